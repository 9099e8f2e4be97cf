//! A model on a benchmark, from files to report.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use alambic::eval::{ChoiceReport, Normalisation, ShotChoice, ShotTurns, TaskReport, TooLong};
use alambic::pipeline::{
    BenchmarkChat, BenchmarkOptions, BenchmarkShots, PipelineError, benchmark, find_task,
    write_benchmark,
};
use alambic::transformer::DeviceChoice;

const RECORDS: [&str; 2] = [
    r#"{"query": "Story: Tom had a small", "choices": ["dog", "because", "ran"], "gold": 0}"#,
    r#"{"query": "Story: Tom had a small dog. One", "choices": ["dog", "day"], "gold": 1}"#,
];

fn options() -> BenchmarkOptions {
    BenchmarkOptions {
        limit: None,
        too_long: TooLong::Error,
        unconditional: false,
        preamble: None,
        shots: None,
        chat: None,
        batch: 4,
        seed: 3,
    }
}

fn teacher() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher")
}

fn ask_model(
    model: &Path,
    task: &str,
    data: &[PathBuf],
    options: &BenchmarkOptions,
) -> Result<TaskReport, PipelineError> {
    let device = DeviceChoice::Cpu.open().unwrap();
    benchmark(model, &find_task(task)?, data, options, &device)
}

fn ask(data: &[PathBuf], options: &BenchmarkOptions) -> Result<ChoiceReport, PipelineError> {
    match ask_model(&teacher(), "copa_foundry", data, options)? {
        TaskReport::Choice(report) => Ok(report),
        other => panic!("{other:?}"),
    }
}

#[test]
fn questions_of_several_files_are_asked_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let files = [dir.path().join("a.jsonl"), dir.path().join("b.jsonl")];
    for (file, record) in files.iter().zip(RECORDS) {
        std::fs::write(file, record).unwrap();
    }
    let report = ask(&files, &options()).unwrap();
    assert_eq!(
        (report.task.as_str(), report.model.as_str()),
        ("copa_foundry", "quickstart_teacher")
    );
    assert_eq!(report.accuracy(Normalisation::Sum).unwrap().mean, 1.0);
    let ids: Vec<&str> = report.questions.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["a.jsonl:1", "b.jsonl:1"]);
    let directory = [dir.path().to_owned()];
    assert_eq!(ask(&directory, &options()).unwrap(), report);
    let limited = BenchmarkOptions {
        limit: Some(1),
        ..options()
    };
    assert_eq!(
        ask(&files, &limited).unwrap().questions,
        report.questions[..1]
    );
    let out = dir.path().join("report.json");
    let report = TaskReport::Choice(report);
    write_benchmark(&report, &out).unwrap();
    let read: TaskReport = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(read, report);
    for nothing in [
        BenchmarkOptions {
            limit: Some(0),
            ..options()
        },
        BenchmarkOptions {
            batch: 0,
            ..options()
        },
    ] {
        assert!(ask(&files, &nothing).unwrap_err().is_bad_input());
    }
}

#[test]
fn examples_stand_before_questions_and_a_chat_needs_a_template() {
    let dir = tempfile::tempdir().unwrap();
    let (questions, examples) = (dir.path().join("q.jsonl"), dir.path().join("e.jsonl"));
    std::fs::write(&questions, RECORDS.join("\n")).unwrap();
    std::fs::write(&examples, RECORDS[0]).unwrap();
    let data = [questions];
    let plain = ask(&data, &options()).unwrap();
    let with_shots = |count| BenchmarkOptions {
        shots: Some(BenchmarkShots {
            data: vec![examples.clone(), data[0].clone()],
            count,
            choice: ShotChoice::First,
        }),
        ..options()
    };
    let shown = ask(&data, &with_shots(1)).unwrap();
    assert_ne!(shown.questions, plain.questions);
    let error = ask(&data, &with_shots(2)).unwrap_err();
    assert!(
        error.is_bad_input() && error.to_string().contains("expected 2 examples"),
        "{error}"
    );

    let chat = BenchmarkOptions {
        chat: Some(BenchmarkChat {
            system: None,
            shot_turns: ShotTurns::Separate,
            date: None,
        }),
        ..with_shots(1)
    };
    let error = ask(&data, &chat).unwrap_err();
    assert!(
        error.is_bad_input() && error.to_string().contains("chat_template.jinja"),
        "{error}"
    );
    let model = dir.path().join("model");
    std::fs::create_dir(&model).unwrap();
    for file in std::fs::read_dir(teacher()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), model.join(file.file_name())).unwrap();
    }
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}Story:";
    std::fs::write(model.join("chat_template.jinja"), template).unwrap();
    let TaskReport::Choice(chatted) = ask_model(&model, "copa_foundry", &data, &chat).unwrap()
    else {
        panic!("choices are scored")
    };
    // The delimiter is left out behind the opening of the turn.
    assert_ne!(chatted.questions, shown.questions);
}

#[test]
fn answers_in_the_models_own_words_are_judged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("train.jsonl");
    let record = |question: &str, answer: u32| {
        format!("{{\"question\": \"{question}\", \"answer\": \"So.\\n#### {answer}\"}}")
    };
    let lines = [record("What is 7 + 5?", 12), record("What is 3 + 1?", 4)];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let task = dir.path().join("sums.toml");
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/alambic-eval/tasks/gsm8k.toml"),
    );
    let text = text.unwrap().replace("= 256", "= 40");
    std::fs::write(&task, text).unwrap();
    let task = task.to_str().unwrap();
    let asked = |batch| {
        let options = BenchmarkOptions { batch, ..options() };
        match ask_model(&teacher(), task, std::slice::from_ref(&file), &options).unwrap() {
            TaskReport::Generation(report) => report,
            other => panic!("{other:?}"),
        }
    };
    let report = asked(1);
    assert_eq!(report, asked(2));
    assert_eq!(report.questions.len(), 2);
    assert_eq!(report.questions[0].accepted, ["12"]);
    assert!(report.questions.iter().all(|it| !it.text.is_empty()));
    let found = report.questions.iter().filter(|it| it.extracted.is_some());
    assert_eq!(found.count() + report.without_answer, 2);
}

#[test]
fn what_is_wrong_with_a_task_or_its_records_is_bad_input_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("broken.jsonl");
    std::fs::write(&file, format!("{}\n{{\"query\": 1}}", RECORDS[0])).unwrap();
    let error = ask(std::slice::from_ref(&file), &options()).unwrap_err();
    assert!(error.is_bad_input());
    assert!(
        error
            .to_string()
            .starts_with("broken.jsonl, record 2: choice."),
        "{error}"
    );
    std::fs::write(&file, "{").unwrap();
    let error = ask(std::slice::from_ref(&file), &options()).unwrap_err();
    assert!(error.is_bad_input());
    assert!(
        error.to_string().starts_with("broken.jsonl, record 1: "),
        "{error}"
    );
    let missing = ask(&[dir.path().join("none.jsonl")], &options()).unwrap_err();
    assert!(missing.to_string().contains("none.jsonl"), "{missing}");
    let unknown = find_task("mmul").unwrap_err();
    assert!(
        unknown.is_bad_input() && unknown.to_string().contains("mmlu"),
        "{unknown}"
    );
    let task = dir.path().join("task.toml");
    std::fs::write(&task, "name = \"x\"").unwrap();
    let error = find_task(task.to_str().unwrap()).unwrap_err();
    assert!(error.to_string().contains("task.toml"), "{error}");
}
