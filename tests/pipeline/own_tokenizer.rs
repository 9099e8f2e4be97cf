//! A student with a tokenizer of its own, from the recipe to the report.

use std::fs;
use std::path::Path;

use alambic::pipeline::{Contender, Severity, doctor, experiment, run, run_until};
use alambic::pipeline::{ModelTokenizer, RunStage};
use alambic::text::{Split, Textbook, TextbookConfig, Tokenizer};
use alambic::transformer::DecoderConfig;

use super::*;

const VOCAB: usize = 400;

/// A tokenizer learned on the textbook, in a directory of its own.
fn tokenizer(directory: &Path) -> String {
    let textbook = Textbook::new(TextbookConfig {
        seed: 5,
        split: Split::Train,
        story_ratio: 0.5,
    });
    let texts = textbook
        .unwrap()
        .items(0..300)
        .map(|item| item.text())
        .collect::<Vec<_>>();
    let tokenizer = Tokenizer::train_byte_level_bpe(texts, VOCAB, &["<|endoftext|>"]).unwrap();
    let own = directory.join("own");
    fs::create_dir_all(&own).unwrap();
    tokenizer.save(&own.join("tokenizer.json")).unwrap();
    fs::write(
        own.join("tokenizer_config.json"),
        r#"{"eos_token": "<|endoftext|>"}"#,
    )
    .unwrap();
    own.display().to_string()
}

/// The small recipe for a student that reads with the tokenizer of `own`.
fn own_recipe(own: &str, changes: &[&str]) -> LoadedRecipe {
    let tokenizer = format!("student.tokenizer={own}");
    let terms = "objective.terms=[{ kind = 'cross_entropy', weight = 1.0 }, \
                 { kind = 'universal_logit', weight = 0.5 }, { kind = 'hybrid_logit', weight = 1.0, beta = 0.5 }]";
    let mut settings = vec!["cache=unset", "data.textbook.story_ratio=0.5"];
    settings.extend([
        "training.sequence_tokens=512",
        "student.max_position_embeddings=512",
    ]);
    settings.extend([tokenizer.as_str(), terms]);
    settings.extend(changes);
    // Sizes of a cache that is taken away.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/quickstart.toml");
    let of_cache = |setting: &String| setting.starts_with("cache.");
    let mut all: Vec<String> = super::settings(&[]);
    all.retain(|setting| !of_cache(setting));
    all.extend(settings.into_iter().map(str::to_owned));
    Recipe::load(&path, &all).unwrap()
}

#[test]
fn a_student_with_a_tokenizer_of_its_own_is_trained_measured_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let own = tokenizer(directory.path());
    let out = directory.path().join("run");
    let recipe = own_recipe(&own, &[]);
    let examined = doctor(&recipe, &options(&out).device, Some(&out));
    assert!(!examined.has_errors(), "{:?}", examined.findings);
    let report = run(&recipe, &options(&out)).unwrap();
    assert_eq!(report.cache, None);
    assert!(!out.join("cache").exists());
    let names: Vec<&str> = report
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(names, ["train student", "train baseline", "evaluate"]);
    let student = &report.student;
    assert_eq!(
        (student.kl_to_teacher, student.top1_agreement),
        (None, None)
    );
    // A teacher that knows the text needs fewer bits than students of six steps, byte by byte.
    assert!(report.teacher.bits_per_byte < 0.5 * student.bits_per_byte);
    let of_student = report
        .curves
        .iter()
        .find(|curve| curve.arm == Arm::Distilled)
        .unwrap();
    let terms: Vec<&str> = of_student.train[0]
        .terms
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(terms, ["cross_entropy", "hybrid_logit", "universal_logit"]);
    let of_baseline = report
        .curves
        .iter()
        .find(|curve| curve.arm == Arm::HardLabels)
        .unwrap();
    // Both begin with the same weights and read the same text.
    assert_eq!(
        of_baseline.train[0].terms["cross_entropy"],
        of_student.train[0].terms["cross_entropy"]
    );
    assert!(report.table().contains("no cache"), "{}", report.table());
    let page = fs::read_to_string(out.join(REPORT_HTML)).unwrap();
    assert!(page.contains("Bits per byte") && !page.contains("KL to the teacher"));

    let left = load_checkpoint(&out.join("student"), &options(&out).device).unwrap();
    let DecoderConfig { vocab_size, .. } = *left.decoder.config();
    assert_eq!((vocab_size, left.eos_token_ids), (VOCAB, vec![0]));
    let kept = ModelTokenizer::load(&out.join("student")).unwrap();
    let given = ModelTokenizer::load(Path::new(&own)).unwrap();
    assert_eq!(kept.tokenizer.fingerprint(), given.tokenizer.fingerprint());
    assert_eq!(run(&recipe, &options(&out)).unwrap(), report);
}

#[test]
fn what_a_run_without_a_cache_cannot_do_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let own = tokenizer(directory.path());
    let out = directory.path().join("run");
    let small = own_recipe(&own, &["training.total_steps=3", "baseline.enabled=false"]);
    let refused = |recipe: &LoadedRecipe, last| {
        let error = run_until(recipe, &options(&out), last).unwrap_err();
        assert!(error.is_bad_input(), "{error}");
        error.to_string()
    };
    let found = refused(&small, RunStage::Capture);
    assert!(
        found.contains("section [cache]") && !out.exists(),
        "{found}"
    );
    // A teacher that reads fewer tokens than the text has for it.
    let short = directory.path().join("short");
    let teacher = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher");
    fs::create_dir_all(&short).unwrap();
    for file in fs::read_dir(&teacher).unwrap() {
        let file = file.unwrap().path();
        fs::copy(&file, short.join(file.file_name().unwrap())).unwrap();
    }
    let config = fs::read_to_string(short.join("config.json")).unwrap();
    let config = config.replace(
        "\"max_position_embeddings\": 256",
        "\"max_position_embeddings\": 16",
    );
    assert!(config.contains(": 16"));
    fs::write(short.join("config.json"), config).unwrap();
    let short_teacher = format!("teacher.path={}", short.display());
    let cannot = own_recipe(&own, &[&short_teacher]);
    let found = refused(&cannot, RunStage::Train);
    assert!(
        found.contains("record") && found.contains("at most 16"),
        "{found}"
    );
    let examined = doctor(&cannot, &options(&out).device, None).findings;
    assert!(
        examined.iter().any(|finding| finding.message == found),
        "{examined:?}"
    );
    fs::remove_dir_all(&out).unwrap();
    // Another tokenizer in the place of the one that the run began with.
    run_until(&small, &options(&out), RunStage::Train).unwrap();
    let changed =
        Tokenizer::train_byte_level_bpe(["other text".to_owned()], VOCAB, &["<|endoftext|>"]);
    changed
        .unwrap()
        .save(&Path::new(&own).join("tokenizer.json"))
        .unwrap();
    let found = refused(&small, RunStage::Evaluate);
    assert!(found.contains("the student's tokenizer"), "{found}");
}

#[test]
fn an_experiment_with_two_tokenizers_has_no_distance_to_the_teacher() {
    let directory = tempfile::tempdir().unwrap();
    let own = tokenizer(directory.path());
    let recipe = own_recipe(
        &own,
        &[
            "experiment.seeds=[1, 2]",
            "experiment.learning_rates=[1e-2]",
            "experiment.equal_time=false",
        ],
    );
    let experiment = experiment(&recipe, &options(&directory.path().join("runs"))).unwrap();
    assert_eq!(
        (experiment.runs.len(), experiment.capture_seconds),
        (4, 0.0)
    );
    let kl = experiment.statistic(Contender::Distilled, |run| run.kl_to_teacher);
    assert!(kl.is_none());
    let table = experiment.table();
    assert!(!table.contains("KL") && table.contains("NLL"), "{table}");
}

#[test]
fn what_is_wrong_with_the_tokenizer_is_said_before_anything_is_computed() {
    let directory = tempfile::tempdir().unwrap();
    let own = tokenizer(directory.path());
    let out = directory.path().join("run");
    let refused = |own: &str| {
        let recipe = own_recipe(own, &[]);
        let examined = doctor(&recipe, &options(&out).device, Some(&out)).findings;
        let error = run_until(&recipe, &options(&out), RunStage::Train).unwrap_err();
        assert!(!out.exists(), "{error}");
        let mut findings = examined.into_iter();
        let found = findings
            .find(|finding| finding.severity == Severity::Error)
            .unwrap();
        let text = alambic_chain(&error);
        assert_eq!(found.message, text);
        text
    };
    let found = refused(&directory.path().join("nowhere").display().to_string());
    assert!(found.contains("nowhere/tokenizer.json"), "{found}");
    fs::remove_file(Path::new(&own).join("tokenizer_config.json")).unwrap();
    let found = refused(&own);
    assert!(
        found.contains("eos_token to tokenizer_config.json"),
        "{found}"
    );
}

/// An error with its causes in one line, as the doctor shows it.
fn alambic_chain(error: &PipelineError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if !text.contains(&error.to_string()) {
            text += ": ";
            text += &error.to_string();
        }
        cause = error.source();
    }
    text
}
