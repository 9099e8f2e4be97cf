//! From a recipe to a dataset.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use alambic::distill::StopHandle;
use alambic::pipeline::{
    NoProgress, PipelineError, SynthesisOptions, SynthesisRecipe, SynthesisReport, synthesize,
};
use alambic::synth::{EarlierFailures, RunEnd, read_conversations};
use alambic::text::Role;
use alambic::transformer::DeviceChoice;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(recipe: &SynthesisRecipe, out: &Path) -> Result<SynthesisReport, PipelineError> {
    let options = SynthesisOptions {
        out: out.to_owned(),
        device: DeviceChoice::Cpu.open()?,
        earlier_failures: EarlierFailures::Keep,
        stop: StopHandle::new(),
        progress: Arc::new(NoProgress),
    };
    synthesize(recipe, &options)
}

fn load(name: &str, overrides: &[&str]) -> SynthesisRecipe {
    let overrides: Vec<String> = overrides.iter().map(|it| (*it).to_owned()).collect();
    SynthesisRecipe::load(&root().join("configs/synthesis").join(name), &overrides).unwrap()
}

#[test]
fn worked_solutions_become_conversations() {
    let recipe = load("textbook.toml", &["textbook.problems=60"]);
    let dir = tempfile::tempdir().unwrap();
    let report = run(&recipe, dir.path()).unwrap();
    let card = report.card.as_ref().unwrap();
    assert_eq!((card.prompts, card.conversations), (60, 60));
    assert!(card.rejections.is_empty(), "{card:?}");
    let conversations = read_conversations(report.conversations.as_ref().unwrap()).unwrap();
    for conversation in &conversations {
        let roles: Vec<Role> = conversation.messages.iter().map(|it| it.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant]);
        assert_eq!(
            (&conversation.teacher_system, &conversation.strategy),
            (&None, &None)
        );
        assert!(conversation.verdicts.iter().all(|verdict| verdict.passed));
    }
    let page = std::fs::read_to_string(dir.path().join("README.md")).unwrap();
    assert!(
        page.contains("| textbook | MIT OR Apache-2.0 | 60 |"),
        "{page}"
    );

    // A second run finds everything there, and more prompts are asked alone.
    let again = run(&recipe, dir.path()).unwrap();
    assert_eq!(again.answers.unwrap().finished_before, 60);
    let more = load("textbook.toml", &["textbook.problems=70"]);
    let more = run(&more, dir.path()).unwrap().answers.unwrap();
    assert_eq!((more.finished_before, more.answered), (60, 10));
}

/// Answers of two strategies in a file: the right ones decide.
#[test]
fn a_trial_takes_the_strategy_that_is_right_most_often() {
    let dir = tempfile::tempdir().unwrap();
    let prompts = dir.path().join("prompts.jsonl");
    let answers = dir.path().join("answers.jsonl");
    let (mut prompt_lines, mut answer_lines) = (String::new(), String::new());
    for number in 0..12 {
        let kind = if number % 2 == 0 { "even" } else { "odd" };
        let line = serde_json::json!({"n": number, "kind": kind, "twice": 2 * number});
        prompt_lines += &format!("{line}\n");
        for (strategy, right_for) in [("direct", "even"), ("step_by_step", "odd")] {
            let answer = if kind == right_for { 2 * number } else { 99 };
            let line = serde_json::json!({"prompt": format!("n{number}"), "strategy": strategy,
                                          "answer": format!("Answer: {answer}")});
            answer_lines += &format!("{line}\n");
        }
    }
    std::fs::write(&prompts, prompt_lines).unwrap();
    std::fs::write(&answers, answer_lines).unwrap();
    let recipe = r#"
        name = "twice"
        erase = "keep"
        format = "parquet"
        [[prompts]]
        files = ["prompts.jsonl"]
        records = { format = "json_lines" }
        source = { name = "twice", licence = "CC0-1.0" }
        id = "n{{ n }}"
        kind = "{{ kind }}"
        user = "Twice {{ n }}?"
        reference = "twice"
        [strategies.trial]
        strategies = ["direct", "step_by_step"]
        prompts_per_kind = 3
        [teacher.file]
        path = "answers.jsonl"
        model = "someone"
        [answers]
        samples = 1
        keep = "all"
        most_failures_in_a_row = 5
        sampling = { temperature = 0.0, max_new_tokens = 20, seed = 0 }
        [check.default]
        extraction = { find = "behind", mark = "Answer:", occurrence = "last", end = "line" }
        comparison = { by = "number" }
        without_reference = "reject"
        "#;
    let path = dir.path().join("recipe.toml");
    std::fs::write(&path, recipe).unwrap();
    let recipe = SynthesisRecipe::load(&path, &[]).unwrap();
    let report = run(&recipe, &dir.path().join("out")).unwrap();
    let map = report.trial.as_ref().unwrap().map();
    assert_eq!(map.kinds["even"], "direct");
    assert_eq!(map.kinds["odd"], "step_by_step");
    let card = report.card.as_ref().unwrap();
    assert_eq!((card.conversations, card.rejections.len()), (12, 0));
    assert_eq!(report.answers.unwrap().end, RunEnd::Complete);
    assert!(
        report.summary().contains("| even | **3 of 3** | 0 of 3 |"),
        "{}",
        report.summary()
    );

    // The other way round nothing is right.
    let wrong = std::fs::read_to_string(&path).unwrap();
    let wrong = wrong.replace("twice\"\n        [strategies", "n\"\n        [strategies");
    std::fs::write(&path, wrong).unwrap();
    let recipe = SynthesisRecipe::load(&path, &[]).unwrap();
    let report = run(&recipe, &dir.path().join("wrong")).unwrap();
    let card = report.card.unwrap();
    assert_eq!((card.conversations, card.rejections["reference"]), (1, 11));
}

/// Questions of a benchmark among the prompts, one of them with another number, are found and removed.
#[test]
fn questions_of_evaluation_sets_do_not_reach_the_dataset() {
    let dir = tempfile::tempdir().unwrap();
    let sold = "On Monday the baker on the corner sold thirty loaves of rye bread before noon and 14 rolls after it. How many things?";
    let walked = "A postman walks nine streets in the morning, rests by the river for an hour, and walks five more. How many streets?";
    let edited = sold.replace("14", "19");
    let write = |name: &str, lines: Vec<serde_json::Value>| {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        std::fs::write(dir.path().join(name), lines.join("\n")).unwrap();
    };
    let prompts = [
        &edited,
        walked,
        "Which of the two rivers that meet behind the mill is longer?",
    ];
    let prompt = |text: &&str| serde_json::json!({"q": text});
    write("prompts.jsonl", prompts.iter().map(prompt).collect());
    let answer = |place: usize| serde_json::json!({"prompt": format!("mine/prompts.jsonl:{place}"), "answer": format!("Number {place}.")});
    write("answers.jsonl", (1..=3).map(answer).collect());
    let question = |text: &&str| serde_json::json!({"question": text, "answer": "Easy.\n#### 44"});
    write("gsm8k.jsonl", [sold, walked].iter().map(question).collect());
    let recipe = r#"
        name = "decontaminated"
        erase = "remove_system"
        format = "jsonl"
        [[prompts]]
        files = ["prompts.jsonl"]
        records = { format = "json_lines" }
        source = { name = "mine", licence = "CC0-1.0" }
        kind = "question"
        user = "{{ q }}"
        [teacher.file]
        path = "answers.jsonl"
        model = "someone"
        [answers]
        samples = 1
        keep = "all"
        most_failures_in_a_row = 5
        sampling = { temperature = 0.0, max_new_tokens = 20, seed = 0 }
        [[evaluation_sets]]
        task = "gsm8k"
        data = ["gsm8k.jsonl"]
        [filters.decontamination]
        edited_words = 1
    "#;
    let path = dir.path().join("recipe.toml");
    std::fs::write(&path, recipe).unwrap();
    let report = run(
        &SynthesisRecipe::load(&path, &[]).unwrap(),
        &dir.path().join("out"),
    )
    .unwrap();
    let kept = read_conversations(report.conversations.as_ref().unwrap()).unwrap();
    let ids: Vec<&str> = kept.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["mine/prompts.jsonl:3/none/0"]);
    let removed = report.filters.unwrap().decontamination.unwrap();
    assert!(
        removed.to_markdown().contains("gsm8k"),
        "{}",
        removed.to_markdown()
    );
}

/// The twin of `tools/served_teacher`: the quickstart's teacher answers the textbook's problems, in this process.
#[test]
fn a_model_in_this_process_answers_and_its_mistakes_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("teacher");
    std::fs::create_dir(&model).unwrap();
    for file in [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
    ] {
        std::fs::copy(
            root().join("data/quickstart_teacher").join(file),
            model.join(file),
        )
        .unwrap();
    }
    let tools = root().join("tools/served_teacher");
    std::fs::copy(
        tools.join("chat_template.jinja"),
        model.join("chat_template.jinja"),
    )
    .unwrap();
    let config = r#"{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}"#;
    std::fs::write(model.join("tokenizer_config.json"), config).unwrap();
    let overrides = [
        "teacher.endpoint=unset".to_owned(),
        format!("teacher.checkpoint.path={}", model.display()),
        "teacher.checkpoint.batch_requests=16".to_owned(),
        "textbook.problems=40".to_owned(),
    ];
    let recipe = SynthesisRecipe::load(&tools.join("recipe.toml"), &overrides).unwrap();
    let report = run(&recipe, &dir.path().join("out")).unwrap();
    let card = report.card.unwrap();
    let rejected: usize = card.rejections.values().sum();
    assert_eq!(card.conversations + rejected, 40);
    // It solves at least 70 % of unseen templates; chance is far below a half.
    assert!(card.conversations >= 24 && rejected > 0, "{card:?}");
}

#[test]
fn recipes_that_cannot_work_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let served = "../../tools/served_teacher/recipe.toml";
    for (name, overrides, told) in [
        (
            "textbook.toml",
            &["strategies.map.default=direct"][..],
            "follow none",
        ),
        ("textbook.toml", &["textbook=unset"], "add [[prompts]]"),
        (
            "textbook.toml",
            &["evaluation_sets=[{ task = \"gsm8k\", data = [] }]"],
            "expected [filters.decontamination]",
        ),
        ("textbook.toml", &["teacher=nobody"], "nobody"),
        (
            "textbook.toml",
            &["filters.length.min_words=-1"],
            "min_words",
        ),
        (
            "textbook.toml",
            &["answers.samples=0"],
            "answers.samples is 0",
        ),
        (
            "textbook.toml",
            &["answers.sampling.temperature=-1"],
            "answers.sampling.temperature is -1",
        ),
        ("endpoint.toml", &[], "train.jsonl"),
        (
            served,
            &["strategies.map=unset"],
            "one of `map`, `map_file` and `trial`",
        ),
        (
            served,
            &["strategies.map.default=guess"],
            "no strategy `guess`",
        ),
    ] {
        let overrides: Vec<String> = overrides.iter().map(|it| (*it).to_owned()).collect();
        let path = root().join("configs/synthesis").join(name);
        let error = match SynthesisRecipe::load(&path, &overrides) {
            Ok(recipe) => run(&recipe, dir.path()).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(told), "{overrides:?}: {error}");
    }
}
