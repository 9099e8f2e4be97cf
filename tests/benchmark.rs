//! A model on a benchmark, from files to report.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use alambic::eval::{ChoiceReport, Normalisation, TooLong};
use alambic::pipeline::{BenchmarkOptions, PipelineError, benchmark, find_task, write_benchmark};
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
        seed: 3,
    }
}

fn ask(data: &[PathBuf], options: &BenchmarkOptions) -> Result<ChoiceReport, PipelineError> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher");
    let device = DeviceChoice::Cpu.open().unwrap();
    benchmark(&model, &find_task("copa")?, data, options, &device)
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
        ("copa", "quickstart_teacher")
    );
    assert_eq!(report.accuracy(Normalisation::Sum).unwrap().mean, 1.0);
    let ids: Vec<&str> = report.questions.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["a.jsonl:1", "b.jsonl:1"]);
    let out = dir.path().join("report.json");
    write_benchmark(&report, &out).unwrap();
    let read: ChoiceReport = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(read, report);
    let limited = BenchmarkOptions {
        limit: Some(1),
        ..options()
    };
    assert_eq!(
        ask(&files, &limited).unwrap().questions,
        report.questions[..1]
    );
    let none = BenchmarkOptions {
        limit: Some(0),
        ..options()
    };
    assert!(ask(&files, &none).unwrap_err().is_bad_input());
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
