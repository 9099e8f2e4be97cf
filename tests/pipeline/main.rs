//! The whole path on a small piece of the textbook: run, run again, inspect, compare, refuse.

#![allow(clippy::unwrap_used)]

mod own_tokenizer;
mod precision;

use std::path::Path;
use std::sync::Arc;

use alambic::cache::{
    CacheReader, CacheSpec, DrawMethod, StateType, TargetKind, ValueType, verify,
};
use alambic::distill::StopHandle;
use alambic::pipeline::recipe::{LoadedRecipe, Recipe, RecipeText};
use alambic::pipeline::report::{
    Arm, CacheSummary, REPORT_HTML, REPORT_JSON, Report, ValidationPoint,
};
use alambic::pipeline::{
    Contender, ContinuationOptions, NoProgress, PipelineError, RunOptions, Severity, continue_text,
    doctor, experiment, export, run, study,
};
use alambic::transformer::{
    Architecture, DecoderConfig, DeviceChoice, Sampling, SaveOptions, WeightType, load_checkpoint,
    save_checkpoint,
};

/// `configs/quickstart.toml`, made small, with further changes.
fn recipe(changes: &[&str]) -> Result<LoadedRecipe, PipelineError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/quickstart.toml");
    Ok(Recipe::load(&path, &settings(changes))?)
}

/// What makes `configs/quickstart.toml` small, and further changes.
fn settings(changes: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut settings = vec![format!(
        "teacher.path={}",
        root.join("data/quickstart_teacher").display()
    )];
    let small = [
        "data.textbook.train_items=96",
        "data.textbook.validation_items=16",
        "data.textbook.test_items=16",
        "cache.segments_per_shard=32",
        "student.hidden_size=16",
        "student.intermediate_size=32",
        "student.num_hidden_layers=1",
        "student.num_attention_heads=2",
        "student.head_dim=8",
        "student.num_key_value_heads=1",
        "training.total_steps=6",
        "training.sequences_per_step=2",
        "training.micro_batch_sequences=2",
        "training.evaluate_every_steps=3",
        "training.checkpoint_every_steps=3",
        "schedule.warmup_steps=2",
        "evaluation.sample_tokens=8",
    ];
    settings.extend(
        small
            .iter()
            .chain(changes)
            .map(|setting| (*setting).to_owned()),
    );
    settings
}

fn options(out: &Path) -> RunOptions {
    RunOptions {
        out: out.to_owned(),
        device: DeviceChoice::Cpu.open().unwrap(),
        stop: StopHandle::new(),
        progress: Arc::new(NoProgress),
        dashboard: false,
    }
}

#[test]
fn a_run_leaves_a_report_a_student_and_a_cache_and_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let recipe = recipe(&[]).unwrap();
    let report = run(&recipe, &options(&out)).unwrap();
    assert_eq!(report.train.steps, 6);
    assert_eq!(
        Some(report.train.tokens),
        report
            .baseline_train
            .as_ref()
            .map(|baseline| baseline.tokens)
    );
    assert!(report.student.parameters * 3 < report.teacher.parameters);
    assert!(cache_of(&report).bytes > 0 && report.student.kl_to_teacher > Some(0.0));
    assert_eq!(
        Report::read(&out.join(REPORT_JSON))
            .unwrap()
            .student
            .parameters,
        report.student.parameters
    );
    assert!(
        std::fs::read_to_string(out.join(REPORT_HTML))
            .unwrap()
            .contains("<svg")
    );
    for split in ["train", "validation"] {
        verify(&out.join("cache").join(split)).unwrap();
    }
    let device = DeviceChoice::Cpu.open().unwrap();
    let student = load_checkpoint(&out.join("student"), &device).unwrap();
    assert_eq!(
        student.config.num_parameters() as u64,
        report.student.parameters
    );

    let again = run(&recipe, &options(&out)).unwrap();
    assert_eq!(
        again.train.seconds,
        Report::read(&out.join(REPORT_JSON)).unwrap().train.seconds
    );

    let exported = directory.path().join("exported");
    export(&out, &exported, WeightType::BF16).unwrap();
    assert!(matches!(
        export(&out, &exported, WeightType::BF16),
        Err(PipelineError::Input { .. })
    ));
    let greedy = ContinuationOptions {
        max_new_tokens: 4,
        sampling: Sampling::Greedy,
        repetition_penalty: None,
        seed: 0,
        stop_texts: Vec::new(),
    };
    let mut streamed = String::new();
    let continued = continue_text(&exported, &device, "Tom", &greedy, |piece| {
        streamed += piece
    })
    .unwrap();
    assert_eq!(streamed, continued.text);
}

/// Runs the small recipe with other targets in its cache; the report, and the cache's own account.
fn run_with_targets(changes: &[&str]) -> (Report, CacheSpec) {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let report = run(&recipe(changes).unwrap(), &options(&out)).unwrap();
    for split in ["train", "validation"] {
        verify(&out.join("cache").join(split)).unwrap();
    }
    let page = std::fs::read_to_string(out.join(REPORT_HTML)).unwrap();
    let kept = &cache_of(&report).kept;
    assert!(page.contains(kept), "{kept}");
    let cache = CacheReader::open(&out.join("cache/train")).unwrap();
    (report, cache.manifest().spec.clone())
}

/// A student whose layers are as wide as those of the embedded teacher.
const TEACHER_SIZED: [&str; 5] = [
    "student.hidden_size=128",
    "student.intermediate_size=352",
    "student.num_attention_heads=4",
    "student.num_key_value_heads=2",
    "student.head_dim=32",
];

/// What the report says of the cache.
fn cache_of(report: &Report) -> &CacheSummary {
    report.cache.as_ref().unwrap()
}

/// Whether the distance to the teacher was measured, and is one.
fn has_kl(point: &ValidationPoint) -> bool {
    point
        .kl_to_teacher
        .is_some_and(|kl| kl.is_finite() && kl > 0.0)
}

/// The validations of the distilled student.
fn validation_of_the_student(report: &Report) -> &[ValidationPoint] {
    let mut curves = report.curves.iter();
    let curve = curves.find(|curve| curve.arm == Arm::Distilled).unwrap();
    assert!(!curve.validation.is_empty());
    &curve.validation
}

#[test]
fn a_student_of_drawn_tokens_is_watched_by_its_kl_and_by_no_agreement() {
    let (report, spec) = run_with_targets(&[
        "cache.top_k=unset",
        "cache.values=unset",
        "cache.draws=12",
        "cache.draw_seed=3",
    ]);
    let drawn = TargetKind::Sampled {
        draws: 12,
        seed: 3,
        method: DrawMethod::Systematic,
    };
    assert_eq!(spec.targets, drawn);
    assert_eq!(cache_of(&report).kept, "12 systematic draws");
    assert!(
        report.stages[0]
            .detail
            .contains("12 systematic draws of the teacher")
    );
    assert!(report.table().contains("12 systematic draws"));
    assert_eq!(cache_of(&report).mean_tail_mass, None);
    for point in validation_of_the_student(&report) {
        assert!(has_kl(point));
        assert_eq!(point.top1_agreement, None);
    }
    let student = &report.student;
    assert!(student.kl_to_teacher > Some(0.0) && student.top1_agreement > Some(0.0));
}

#[test]
fn a_student_of_coarse_levels_is_watched_by_its_kl_and_its_agreement() {
    let (report, spec) = run_with_targets(&["cache.values=coarse", "cache.top_k=8"]);
    let coarse = TargetKind::TopK {
        k: 8,
        values: ValueType::Coarse,
    };
    assert_eq!(spec.targets, coarse);
    assert_eq!(cache_of(&report).kept, "top 8");
    assert!(report.stages[0].detail.contains("top 8 of the teacher"));
    assert!(report.table().contains("top 8"));
    assert!(
        cache_of(&report)
            .mean_tail_mass
            .is_some_and(|mass| mass > 0.0)
    );
    for point in validation_of_the_student(&report) {
        assert!(has_kl(point));
        assert!(point.top1_agreement.is_some());
    }
}

#[test]
fn a_student_is_trained_at_a_temperature_that_the_cache_declares() {
    let (report, spec) = run_with_targets(&[
        "cache.values=fine",
        "cache.top_k=8",
        "cache.temperatures=[1.0, 2.0]",
        "objective.temperature=2.0",
    ]);
    assert_eq!(spec.temperatures, [1.0, 2.0]);
    for point in validation_of_the_student(&report) {
        assert!(has_kl(point));
    }
}

#[test]
fn a_student_of_hidden_states_is_softened_and_watched_by_its_kl_and_its_agreement() {
    let (report, spec) = run_with_targets(&[
        "cache.top_k=unset",
        "cache.values=unset",
        "cache.hidden_states=int8",
        "objective.temperature=2.0",
        "objective.terms=[{ kind = 'reverse_kl', weight = 0.5 }, { kind = 'logit_mse', weight = 0.1 }]",
    ]);
    let TargetKind::Hidden { width, values, .. } = spec.targets else {
        panic!("{:?}", spec.targets);
    };
    assert_eq!(values, StateType::Int8);
    let kept = format!("hidden states of {width}, int8");
    assert_eq!(cache_of(&report).kept, kept);
    assert!(report.stages[0].detail.contains(&kept));
    assert!(report.table().contains(&kept));
    assert_eq!(cache_of(&report).mean_tail_mass, None);
    for point in validation_of_the_student(&report) {
        assert!(has_kl(point));
        assert!(point.top1_agreement.is_some());
    }
}

#[test]
fn a_student_imitates_layers_of_the_teacher_and_the_report_has_their_curves() {
    let layers = "objective.layer_terms=[\
        { kind = 'hidden_cosine', weight = 1, layers = [{ student = 1, teacher = 4 }] }, \
        { kind = 'attention_relations', weight = 0.5, layers = [{ student = 1, teacher = 4 }], \
          relations = ['value_value'], relation_heads = 4 }]";
    let (report, _) = run_with_targets(&[layers]);
    let student = report
        .curves
        .iter()
        .find(|curve| curve.arm == Arm::Distilled);
    let last = student.unwrap().train.last().unwrap();
    let names: Vec<&str> = last.terms.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["attention_relations", "forward_kl", "hidden_cosine"]
    );
    assert!(last.terms["hidden_cosine"] > 0.0 && last.terms["hidden_cosine"] < 2.0);
    let baseline = report
        .curves
        .iter()
        .find(|curve| curve.arm == Arm::HardLabels);
    assert_eq!(baseline.unwrap().train[0].terms.len(), 1);
}

#[test]
fn a_student_of_adapters_keeps_the_rest_of_its_teacher() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let changes = [
        "student.num_hidden_layers=2",
        "student.teacher_layers=[1, 4]",
        "student.lora={ rank = 2, alpha = 4, projections = ['v_proj', 'down_proj'] }",
        "optimizer.learning_rate=0.01",
        "baseline.enabled=false",
    ];
    let recipe = recipe(&[&TEACHER_SIZED[..], &changes].concat()).unwrap();
    let device = &options(&out).device;
    let examined = doctor(&recipe, device, Some(&out));
    assert!(!examined.has_errors(), "{:?}", examined.findings);
    run(&recipe, &options(&out)).unwrap();
    let student = load_checkpoint(&out.join("student"), device)
        .unwrap()
        .decoder;
    let teacher = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher");
    let teacher = load_checkpoint(&teacher, device).unwrap().decoder;
    let of_teacher = teacher.excerpt(student.config(), &[1, 4]).unwrap();
    let ids = || burn::tensor::Tensor::<2, burn::tensor::Int>::from_ints([[5, 17, 300, 2]], device);
    let floats =
        |tensor: burn::tensor::Tensor<3>| -> Vec<f32> { tensor.try_into_vec_as().unwrap() };
    // What had no adapters is as it was, and the whole is not.
    assert_eq!(
        floats(student.embed(ids())),
        floats(of_teacher.embed(ids()))
    );
    let context = alambic::transformer::AttentionContext::causal(1, 4, device);
    let [one, other] = [&student, &of_teacher].map(|it| floats(it.forward(ids(), &context)));
    assert_ne!(one, other);
}

#[test]
fn a_student_starts_from_layers_of_the_teacher() {
    const F32_NOISE: f64 = 1e-5;
    let with_states = [
        "cache.top_k=unset",
        "cache.values=unset",
        "cache.hidden_states=f32",
        "training.total_steps=3",
        "baseline.enabled=false",
    ];
    let first_losses = |layers: &[&str]| {
        let changes: Vec<&str> = TEACHER_SIZED
            .iter()
            .chain(&with_states)
            .chain(layers)
            .copied()
            .collect();
        let (report, _) = run_with_targets(&changes);
        report.curves[0].train[0].terms["forward_kl"]
    };
    let all = [
        "student.num_hidden_layers=4",
        "student.teacher_layers=[1, 2, 3, 4]",
    ];
    let all = first_losses(&all);
    assert!(all.abs() < F32_NOISE, "the teacher itself: {all}");
    let most = [
        "student.num_hidden_layers=3",
        "student.teacher_layers=[1, 2, 4]",
    ];
    let most = first_losses(&most);
    let random = first_losses(&["student.num_hidden_layers=3"]);
    assert!(most > F32_NOISE && most < random, "{most} {random}");
}

#[test]
fn teacher_layers_that_do_not_fit_are_refused_before_the_directory_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let few = recipe(&["student.teacher_layers=[1, 2]"]).unwrap_err();
    let told = "student.teacher_layers";
    assert!(few.to_string().contains(told), "{few}");
    let missing = recipe(&["student.teacher_layers=[5]", "student.head_dim=32"]).unwrap();
    let error = run(&missing, &options(&out)).unwrap_err();
    let told = "layer 5 is taken, expected one of 1 to 4";
    assert!(
        error.is_bad_input() && error.to_string().contains(told),
        "{error}"
    );
    assert!(!out.exists());
    assert!(errors(&missing, None)[0].1.contains(told));
}

#[test]
fn layers_that_the_teacher_lacks_are_refused_before_the_directory_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let layers = "objective.layer_terms=[{ kind = 'hidden_cosine', weight = 1, layers = [{ student = 1, teacher = 5 }] }]";
    let recipe = recipe(&[layers]).unwrap();
    let error = run(&recipe, &options(&out)).unwrap_err();
    let expected = "hidden state 5 of the teacher, which has the states 0 (embedding) to 4";
    assert!(
        error.is_bad_input() && error.to_string().contains(expected),
        "{error}"
    );
    assert!(!out.exists());
    let found = errors(&recipe, None);
    assert!(
        matches!(found.as_slice(), [("teacher", message)] if message.contains(expected)),
        "{found:?}"
    );
}

#[test]
fn a_directory_of_another_recipe_is_refused_with_the_line_that_differs() {
    let directory = tempfile::tempdir().unwrap();
    let stopped = options(directory.path());
    stopped.stop.stop();
    assert!(matches!(
        run(&recipe(&[]).unwrap(), &stopped),
        Err(PipelineError::Stopped { .. })
    ));
    let other = recipe(&["optimizer.learning_rate=0.5"]).unwrap();
    let error = run(&other, &options(directory.path())).unwrap_err();
    assert!(
        error.is_bad_input()
            && error
                .to_string()
                .contains("found `learning_rate = 0.5` in [optimizer]"),
        "{error}"
    );
}

#[test]
fn more_entries_than_the_teacher_has_tokens_are_refused_before_the_directory_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let error = run(&recipe(&["cache.top_k=5000"]).unwrap(), &options(&out)).unwrap_err();
    assert!(
        error.is_bad_input() && error.to_string().contains("cache.top_k"),
        "{error}"
    );
    assert!(!out.exists());
}

#[test]
fn the_seconds_of_a_stopped_capture_count() {
    let directory = tempfile::tempdir().unwrap();
    let recipe = recipe(&["baseline.enabled=false"]).unwrap();
    let stopped = options(directory.path());
    stopped.stop.stop();
    run(&recipe, &stopped).unwrap_err();
    let seconds = || -> f64 {
        let text = std::fs::read_to_string(directory.path().join("capture.json")).unwrap();
        let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
        facts["seconds"].as_f64().unwrap()
    };
    let before = seconds();
    assert!(before > 0.0);
    run(&recipe, &options(directory.path())).unwrap();
    assert!(seconds() > before);
}

#[test]
fn a_cache_of_another_teacher_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    run(
        &recipe(&["baseline.enabled=false"]).unwrap(),
        &options(&directory.path().join("first")),
    )
    .unwrap();
    let student = format!(
        "teacher.path={}",
        directory.path().join("first/student").display()
    );
    let cache = format!(
        "cache.path={}",
        directory.path().join("first/cache").display()
    );
    let other = recipe(&[&student, &cache]).unwrap();
    let error = run(&other, &options(&directory.path().join("second"))).unwrap_err();
    assert!(
        error.is_bad_input() && error.to_string().contains("the teacher of the cache"),
        "{error}"
    );
    let diagnosis = doctor(&other, &DeviceChoice::Cpu.open().unwrap(), None);
    assert!(diagnosis.has_errors());
    let subjects: Vec<&str> = diagnosis
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.subject)
        .collect();
    assert!(subjects.contains(&"cache"), "{subjects:?}");
}

#[test]
fn the_doctor_names_a_missing_teacher_and_a_sequence_longer_than_the_model() {
    let device = DeviceChoice::Cpu.open().unwrap();
    let missing = doctor(&recipe(&["teacher.path=nowhere"]).unwrap(), &device, None);
    assert!(missing.has_errors() && missing.findings[0].message.contains("nowhere"));
    let long = recipe(&["training.sequence_tokens=400"]).unwrap();
    let diagnosis = doctor(&long, &device, None);
    assert!(
        diagnosis
            .findings
            .iter()
            .any(|finding| finding.message.contains("reads at most 256 tokens"))
    );
}

/// The errors that the doctor finds, as subject and message.
fn errors(recipe: &LoadedRecipe, out: Option<&Path>) -> Vec<(&'static str, String)> {
    let diagnosis = doctor(recipe, &DeviceChoice::Cpu.open().unwrap(), out);
    let errors = diagnosis.findings.into_iter();
    errors
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| (finding.subject, finding.message))
        .collect()
}

#[test]
fn the_doctor_finds_a_tokenizer_that_is_too_large_and_a_run_that_would_teach_itself() {
    let directory = tempfile::tempdir().unwrap();
    let teacher = directory.path().join("student");
    let config = DecoderConfig {
        vocab_size: 300,
        hidden_size: 16,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        num_key_value_heads: 1,
        head_dim: 16,
        max_position_embeddings: 256,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        initializer_range: 0.02,
        architecture: Architecture::default(),
    };
    let options = SaveOptions {
        dtype: WeightType::F32,
        bos_token_id: None,
        eos_token_ids: vec![0],
        pad_token_id: None,
        max_shard_bytes: None,
    };
    let device = DeviceChoice::Cpu.open().unwrap();
    std::fs::create_dir_all(&teacher).unwrap();
    save_checkpoint(&config.init(&device), &teacher, &options).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tokenizer = root.join("data/quickstart_teacher/tokenizer.json");
    std::fs::copy(&tokenizer, teacher.join("tokenizer.json")).unwrap();
    let path = format!("teacher.path={}", teacher.display());
    let found = errors(&recipe(&[&path]).unwrap(), None);
    assert!(
        found[0].0 == "teacher" && found[0].1.contains("at most 300 tokens"),
        "{found:?}"
    );

    let own = root.join("data/quickstart_teacher");
    let run = directory.path().join("run");
    std::fs::create_dir_all(run.join("student")).unwrap();
    for entry in std::fs::read_dir(own).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        std::fs::copy(&path, run.join("student").join(name)).unwrap();
    }
    let path = format!("teacher.path={}", run.join("student").display());
    let found = errors(&recipe(&[&path]).unwrap(), Some(&run));
    assert!(
        found[0].0 == "teacher" && found[0].1.contains("what this run writes"),
        "{found:?}"
    );
}

#[test]
fn the_doctor_finds_missing_files_and_text_without_labels_and_tells_the_costs() {
    let directory = tempfile::tempdir().unwrap();
    let chat = include_str!("../../configs/chat_erasing.toml");
    let load = |changes: &[String]| {
        let source = RecipeText {
            name: "chat.toml",
            text: chat,
            directory: directory.path(),
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let teacher = root.join("data/quickstart_teacher");
        let mut settings = vec![
            format!("teacher.path={}", teacher.display()),
            "training.sequence_tokens=128".into(),
            "data.chat_template=chat.jinja".into(),
        ];
        settings.extend_from_slice(changes);
        Recipe::parse(&source, &settings).unwrap()
    };
    let found = errors(&load(&[]), None);
    assert!(
        found[0].0 == "data" && found[0].1.contains("conversations.jsonl is no file"),
        "{found:?}"
    );

    // Answers of nothing: no token of an assistant's turn is left to learn.
    let template = directory.path().join("chat.jinja");
    std::fs::write(
        &template,
        "{% for message in messages %}{{ message.content }}{% endfor %}",
    )
    .unwrap();
    let conversations = directory.path().join("conversations.jsonl");
    let line = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}]}"#;
    std::fs::write(&conversations, [line; 40].join("\n")).unwrap();
    let template = format!("data.chat_template={}", template.display());
    let found = errors(&load(&[template, "data.erase=keep".into()]), None);
    assert!(!found.is_empty(), "{found:?}");

    let states = [
        "cache.top_k=unset",
        "cache.values=unset",
        "cache.hidden_states=int4",
    ];
    for changes in [&[][..], &states] {
        let device = DeviceChoice::Cpu.open().unwrap();
        let costs = doctor(&recipe(changes).unwrap(), &device, None);
        for subject in ["memory", "disk", "time"] {
            let told = costs
                .findings
                .iter()
                .any(|finding| finding.subject == subject && finding.severity == Severity::Note);
            assert!(told, "{subject}: {:?}", costs.findings);
        }
    }
}

#[test]
fn an_experiment_searches_both_arms_and_repeats_them_over_seeds() {
    let directory = tempfile::tempdir().unwrap();
    let recipe = recipe(&[
        "experiment.seeds=[1, 2]",
        "experiment.learning_rates=[1e-3, 1e-2]",
        "experiment.equal_time=true",
    ])
    .unwrap();
    let experiment = experiment(&recipe, &options(directory.path())).unwrap();
    assert_eq!(experiment.runs.len(), 6);
    assert!(experiment.search.values().all(|tried| tried.len() == 2));
    let statistic = experiment
        .statistic(Contender::Distilled, |run| Some(run.nll))
        .unwrap();
    assert!(
        statistic
            .standard_deviation
            .is_some_and(|deviation| deviation > 0.0)
    );
    assert!(experiment.table().contains("hard labels, equal time"));
    let plot = std::fs::read_to_string(directory.path().join("experiment.svg")).unwrap();
    let dots = plot.matches("<circle").count();
    assert_eq!(
        dots,
        3 * (6 + 3),
        "every run and every mean, in three panels"
    );
}

#[test]
fn a_study_compares_variants_and_is_found_again() {
    const STUDY: &str = r#"
        recipe = "RECIPE"
        seeds = [1, 2]
        reference = "states"
        gradient_windows = 2
        [[variants]]
        name = "states"
        family = "whole"
        set = ["cache.top_k=unset", "cache.values=unset", "cache.hidden_states=f32"]
        [[variants]]
        name = "top 8"
        family = "head"
        set = ["cache.top_k=8", "cache.values=coarse"]
        [[variants]]
        name = "top 8, renormalised"
        family = "head alone"
        set = ["cache.top_k=8", "cache.values=coarse", "objective.tail=renormalise_teacher"]
        [[variants]]
        name = "top 4 and 8 draws"
        family = "both"
        set = ["cache.top_k=4", "cache.values=fine", "cache.draws=8", "cache.draw_seed=1"]
    "#;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("study.toml");
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/quickstart.toml");
    let text = STUDY.replace("RECIPE", &recipe.display().to_string());
    std::fs::write(&file, text).unwrap();
    let overrides = settings(&[]);
    let out = directory.path().join("out");
    let found = study(&file, &overrides, &options(&out)).unwrap();
    assert_eq!((found.variants.len(), found.runs.len()), (4, 2 * 5));
    let [states, head, renormalised, both] = &found.variants[..] else {
        panic!("four variants");
    };
    assert!(states.head_bytes > 0 && states.bytes_per_token > head.bytes_per_token);
    assert_eq!(head.bytes_per_token, renormalised.bytes_per_token);
    assert_eq!(std::fs::read_dir(out.join("caches")).unwrap().count(), 3);
    for cosine in &states.gradient_cosines {
        assert!((cosine - 1.0).abs() < 1e-5, "{cosine}");
    }
    for studied in [head, renormalised, both] {
        assert_eq!(studied.gradient_cosines.len(), 2);
        let range = 0.1..0.99999;
        let cosines = studied.gradient_cosines.iter();
        assert!(
            cosines.clone().all(|cosine| range.contains(cosine)),
            "{studied:?}"
        );
    }

    // Again, under another name of the last variant: nothing is trained.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("top 4 and 8 draws", "Top 4 and 8 draws"),
    )
    .unwrap();
    let again = study(&file, &overrides, &options(&out)).unwrap();
    assert_eq!(again.variants[3].variant.name, "Top 4 and 8 draws");
    let seconds = |study: &alambic::pipeline::Study| -> Vec<f64> {
        study.runs.iter().map(|run| run.seconds).collect()
    };
    assert_eq!(seconds(&again), seconds(&found));
    assert!(
        again
            .statistic(Some("Top 4 and 8 draws"), |run| run.nll)
            .is_some()
    );
    for name in ["study.json", "study.md", "study.svg"] {
        assert!(out.join(name).exists(), "{name}");
    }

    let placed = settings(&["cache.path=elsewhere"]);
    let message = study(&file, &placed, &options(&out))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("keeps its caches in its own directory"),
        "{message}"
    );
}
