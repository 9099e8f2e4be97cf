//! What a recipe accepts, what it refuses, and how it says so.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::source_tree::{Node, NodeValue};
use super::*;

const STORIES: &str = include_str!("tests/stories.toml");
const CHAT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/configs/chat_erasing.toml"
));

fn parse(text: &str, overrides: &[&str]) -> Result<LoadedRecipe, RecipeError> {
    let source = RecipeText {
        name: "recipe.toml",
        text,
        directory: Path::new("/recipes"),
    };
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    Recipe::parse(&source, &overrides)
}

fn problems(text: &str, overrides: &[&str]) -> Vec<Problem> {
    match parse(text, overrides).unwrap_err() {
        RecipeError::Invalid { problems, .. } => problems,
        other => panic!("{other}"),
    }
}

/// The one problem of the recipe.
fn problem(text: &str, overrides: &[&str]) -> Problem {
    let mut problems = problems(text, overrides);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

fn line_of(text: &str, needle: &str) -> usize {
    1 + text.lines().position(|line| line.contains(needle)).unwrap()
}

#[test]
fn every_recipe_of_the_repository_loads() {
    // How the embedded teacher was made; it has its own type, and a test beside that.
    const NOT_A_RECIPE: &str = "quickstart_teacher.toml";
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut loaded = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with(NOT_A_RECIPE) {
            continue;
        }
        let recipe = Recipe::load(&path, &[])
            .unwrap_or_else(|error| panic!("{error}"))
            .recipe;
        assert_eq!(recipe.validate(), Ok(()));
        loaded += 1;
    }
    assert!(loaded >= 2);
}

#[test]
fn the_stories_student_has_at_most_90_000_parameters() {
    const TEACHER_VOCABULARY: usize = 512;
    const RECIPE: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/configs/stories260k_to_stories90k.toml"
    ));
    let student = parse(RECIPE, &[]).unwrap().recipe.student;
    let parameters = student.decoder_config(TEACHER_VOCABULARY).num_parameters();
    assert!(parameters <= 90_000, "{parameters}");
}

#[test]
fn a_written_recipe_is_read_back_the_same_from_anywhere() {
    for text in [STORIES, CHAT] {
        let recipe = parse(
            text,
            &["cache.path=shared/cache", "data.max_train_documents=7"],
        )
        .unwrap()
        .recipe;
        let elsewhere = RecipeText {
            name: "resolved.toml",
            text: &recipe.to_toml().unwrap(),
            directory: Path::new("/elsewhere"),
        };
        assert_eq!(Recipe::parse(&elsewhere, &[]).unwrap().recipe, recipe);
    }
}

#[test]
fn erasure_is_a_word_or_a_table() {
    for (assignment, erase) in [
        ("data.erase=keep", PromptErasure::Keep),
        ("data.erase=remove_system", PromptErasure::RemoveSystem),
        (
            "data.erase={ replace_system = 'Hi' }",
            PromptErasure::ReplaceSystem("Hi".into()),
        ),
        (
            "data.erase.replace_system=Hi",
            PromptErasure::ReplaceSystem("Hi".into()),
        ),
    ] {
        assert_eq!(parse(CHAT, &[assignment]).unwrap().recipe.data.erase, erase);
    }
    for (assignment, expected) in [
        (
            "data.erase=replace_system",
            "a table { replace_system = ... }",
        ),
        ("data.erase={ keep = 1 }", "\"keep\" alone, as a string"),
        (
            "data.erase={}",
            "one of \"keep\", \"remove_system\", \"replace_system\"",
        ),
        (
            "data.erase=kep",
            "one of \"keep\", \"remove_system\", \"replace_system\"",
        ),
    ] {
        let problem = problem(CHAT, &[assignment]);
        assert_eq!(
            (problem.key.as_str(), problem.expected.as_str()),
            ("data.erase", expected),
            "{assignment}"
        );
    }
}

#[test]
fn relative_paths_start_where_they_were_written() {
    let here = std::env::current_dir().unwrap();
    let recipe = parse(
        CHAT,
        &[
            "teacher.path=chat",
            "data.chat_template=chat.jinja",
            "cache.path=/absolute",
        ],
    )
    .unwrap()
    .recipe;
    assert_eq!(
        recipe.data.files,
        [PathBuf::from("/recipes/conversations.jsonl")]
    );
    assert_eq!(recipe.teacher.path, here.join("chat"));
    assert_eq!(
        recipe.data.chat_template,
        Some(ChatTemplateSource::File(here.join("chat.jinja")))
    );
    assert_eq!(recipe.cache.path, Some(PathBuf::from("/absolute")));

    let files = ["data.files=['a', 'b']", "data.files.1=c"];
    assert_eq!(
        parse(CHAT, &files).unwrap().recipe.data.files,
        [here.join("a"), here.join("c")]
    );
    assert_eq!(
        parse(CHAT, &[]).unwrap().recipe.data.chat_template,
        Some(ChatTemplateSource::Teacher)
    );
}

#[test]
fn a_relative_recipe_directory_starts_at_the_current_directory() {
    let source = RecipeText {
        name: "recipe.toml",
        text: STORIES,
        directory: Path::new(""),
    };
    let loaded = Recipe::parse(&source, &[]).unwrap();
    assert!(loaded.recipe.teacher.path.is_absolute());
    assert_eq!(
        loaded.recipe.teacher.path,
        std::env::current_dir().unwrap().join("stories260K")
    );
}

#[test]
fn the_later_of_two_overrides_counts() {
    let loaded = parse(STORIES, &["seed=1", "seed=2", "objective.terms.1.weight=1"]).unwrap();
    assert_eq!(loaded.recipe.seed, 2);
    assert_eq!(loaded.recipe.objective.terms[1].weight, 1.0);
    assert_eq!(loaded.overrides.len(), 3);
}

#[test]
fn a_loaded_recipe_shows_the_defaults_that_it_runs_with() {
    let resolved = |changes: &[&str]| parse(STORIES, changes).unwrap().recipe;
    let recipe = resolved(&[]);
    assert_eq!(
        recipe.training.head_pass(),
        alambic_distill::loss::HeadPass::default()
    );
    let text = recipe.to_toml().unwrap();
    for line in [
        "tail = \"tail_bucket\"",
        "temperature_factor = \"squared\"",
        "head_pass = \"chunked\"",
        "chunk_bytes = 33554432",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let whole = resolved(&["training.head_pass=whole"]);
    assert!(!whole.to_toml().unwrap().contains("chunk_bytes"));
    let both = ["training.head_pass=whole", "training.chunk_bytes=9"];
    assert_eq!(problem(STORIES, &both).key, "training.chunk_bytes");
}

#[test]
fn a_term_has_a_ramp_and_reads_it_back() {
    let ramp =
        "objective.terms.1.ramp={ kind = 'cosine', to = 0.5, first_step = 1, last_step = 500 }";
    let recipe = parse(STORIES, &[ramp]).unwrap().recipe;
    assert_eq!(recipe.objective.terms[1].weight_at(500), 0.5);
    assert_eq!(recipe.objective.terms[0].ramp, None);
    let written = recipe.to_toml().unwrap();
    assert_eq!(parse(&written, &[]).unwrap().recipe, recipe);
}

#[test]
fn every_problem_is_reported_at_once_and_placeholders_cause_none() {
    let text = STORIES
        .replace("hidden_size = 48", "hiden_size = 48")
        .replace("head_dim = 8", "head_dim = 7")
        .replace("top_k = 32", "top_k = \"32\"")
        .replace(
            "[teacher]\npath = \"stories260K\"\nbatch_segments = 16\n",
            "",
        );
    let found = problems(&text, &["training.total_steps=0", "seed=-1"]);
    let mut keys: Vec<&str> = found.iter().map(|problem| problem.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "cache.top_k",
            "experiment.search_steps",
            "schedule.warmup_steps",
            "seed",
            "student.head_dim",
            "student.hiden_size",
            "teacher",
            "training.total_steps",
        ]
    );
}

#[test]
fn an_unknown_key_names_its_place_and_the_key_that_was_meant() {
    let text = STORIES.replace("rope_theta", "rope_tetha");
    let problem = problem(&text, &[]);
    assert_eq!(problem.key, "student.rope_tetha");
    assert_eq!(problem.advice.as_deref(), Some("did you mean rope_theta?"));
    let line = line_of(&text, "rope_tetha");
    assert_eq!(problem.location, Some(Location::Text { line, column: 1 }));
}

#[test]
fn a_key_of_another_section_is_sent_home() {
    let problem = problem(STORIES, &["training.learning_rate=1e-3"]);
    assert_eq!(problem.key, "training.learning_rate");
    assert_eq!(
        problem.advice.as_deref(),
        Some("did you mean optimizer.learning_rate?")
    );
}

#[test]
fn an_unknown_key_in_an_override_is_the_error_it_is_in_a_file() {
    let in_file = problem(&STORIES.replace("top_k = 32", "top_k = 32\ntopp = 1"), &[]);
    let in_override = problem(STORIES, &["cache.topp=1"]);
    assert_eq!(in_file.key, in_override.key);
    assert_eq!(in_file.expected, in_override.expected);
    assert_eq!(in_file.found, in_override.found);
    assert_eq!(
        problem(STORIES, &["studnt.head_dim=8"]).advice.as_deref(),
        Some("did you mean student?")
    );
    assert_eq!(
        problem(STORIES, &["objective.terms.0.wait=8"]).key,
        "objective.terms.0.wait"
    );
}

#[test]
fn a_value_of_the_wrong_type_names_key_line_and_column() {
    let text = STORIES.replace("weight = 0.9", "weight = \"much\"");
    let problem = problem(&text, &[]);
    let line = line_of(&text, "much");
    assert_eq!(
        problem.to_string(),
        format!(
            "objective.terms.0.weight (line {line}, column 35): expected a number, found the string \"much\""
        )
    );
}

#[test]
fn a_missing_section_is_one_problem() {
    let start = STORIES.find("[student]").unwrap();
    let end = STORIES.find("[objective]").unwrap();
    let problem = problem(&[&STORIES[..start], &STORIES[end..]].concat(), &[]);
    assert_eq!(
        (problem.key.as_str(), problem.found.as_str()),
        ("student", "nothing")
    );
}

#[test]
fn text_that_is_not_toml_names_every_line() {
    let error = parse("seed = \n[data]\nfiles = [\"a\n", &[]).unwrap_err();
    let RecipeError::Syntax { faults, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (faults[0].line, faults.last().unwrap().line),
        (1, 3),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("recipe.toml is not valid TOML:\n  line 1, column "),
        "{error}"
    );
    assert!(
        parse("seed = 1\nseed = 2", &[])
            .unwrap_err()
            .to_string()
            .contains("line 2")
    );
}

#[test]
fn deeply_nested_text_is_refused_and_overflows_no_stack() {
    let path = vec!["a"; 79].join(".");
    let inline = format!(
        "{}{path} = 1{}",
        format!("{path} = {{ ").repeat(78),
        " }".repeat(78)
    );
    for text in [
        inline,
        format!("a = {}", "[".repeat(9999)),
        format!("{path}.{path} = 1"),
    ] {
        assert!(parse(&text, &[]).is_err());
        assert!(parse(STORIES, &[&format!("data.files={text}")]).is_err());
    }
}

#[test]
fn a_file_that_is_missing_or_not_text_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recipe.toml");
    assert!(matches!(
        Recipe::load(&path, &[]),
        Err(RecipeError::Read { .. })
    ));
    std::fs::write(&path, b"seed = 1\n\xff = 2").unwrap();
    assert!(matches!(
        Recipe::load(&path, &[]),
        Err(RecipeError::NotUtf8 { line: 2, .. })
    ));
}

/// Overrides of the stories recipe, the key that must be blamed, and a part of what is expected.
const REFUSED: &[(&str, &str, &str)] = &[
    ("seed=-1", "seed", "a whole number"),
    ("seed=1.5", "seed", "a whole number"),
    ("seed=9223372036854775808", "seed", "a whole number"),
    ("data.files=[]", "data.files", "at least one file"),
    ("data.files=a.txt", "data.files", "an array"),
    ("data.files=['']", "data.files.0", "a path"),
    ("data.files=['a', 'a']", "data.files.1", "each file once"),
    ("data.format=csv", "data.format", "\"parquet\""),
    (
        "data.format=jsonl",
        "data.separator",
        "nothing, because data.format is \"jsonl\"",
    ),
    (
        "data.separator=''",
        "data.separator",
        "at least one character",
    ),
    (
        "data.validation_fraction=1.0",
        "data.validation_fraction",
        "below 1",
    ),
    (
        "data.validation_fraction=nan",
        "data.validation_fraction",
        "below 1",
    ),
    (
        "data.validation_fraction=0.9",
        "data.test_fraction",
        "data.validation_fraction",
    ),
    (
        "data.test_fraction=-0.1",
        "data.test_fraction",
        "at least 0",
    ),
    (
        "data.validation_fraction=0",
        "experiment.learning_rates",
        "data.validation_fraction is 0",
    ),
    (
        "data.chat_template=teacher",
        "data.chat_template",
        "data.format is \"text\"",
    ),
    (
        "data.erase=remove_system",
        "data.erase",
        "no data.chat_template",
    ),
    (
        "data.max_train_documents=0",
        "data.max_train_documents",
        "at least 1",
    ),
    ("teacher.path=", "teacher.path", "a path"),
    ("teacher.path=7", "teacher.path", "a string"),
    (
        "teacher.batch_segments=0",
        "teacher.batch_segments",
        "at least 1",
    ),
    ("cache.top_k=0", "cache.top_k", "at least 1"),
    ("cache.values=f8", "cache.values", "\"f16\""),
    (
        "cache.segments_per_shard=0",
        "cache.segments_per_shard",
        "at least 1",
    ),
    (
        "student.hidden_size=50",
        "student.num_attention_heads",
        "a divisor of student.hidden_size (50)",
    ),
    (
        "student.num_key_value_heads=4",
        "student.num_key_value_heads",
        "a divisor of student.num_attention_heads (6)",
    ),
    ("student.head_dim=7", "student.head_dim", "an even number"),
    (
        "student.rope_theta=inf",
        "student.rope_theta",
        "a finite number above 0",
    ),
    (
        "student.rms_norm_eps=0",
        "student.rms_norm_eps",
        "a finite number above 0",
    ),
    (
        "student.tie_word_embeddings=yes",
        "student.tie_word_embeddings",
        "true or false",
    ),
    (
        "student.max_position_embeddings=256",
        "training.sequence_tokens",
        "student.max_position_embeddings (256)",
    ),
    (
        "objective.temperature=2.0",
        "objective.temperature",
        "1.0 for a divergence on a top-k cache",
    ),
    (
        "objective.temperature=0",
        "objective.temperature",
        "above 0",
    ),
    (
        "objective.temperature=1e999",
        "objective.temperature",
        "a number",
    ),
    ("objective.terms=[]", "objective.terms", "at least one term"),
    (
        "objective.terms.0.weight=-1",
        "objective.terms.0.weight",
        "at least 0",
    ),
    (
        "objective.terms.1.weight=nan",
        "objective.terms.1.weight",
        "a finite number",
    ),
    (
        "objective.terms.1.kind=forward_kl",
        "objective.terms.1.kind",
        "objective.terms.0",
    ),
    (
        "objective.terms.1.kind=kl",
        "objective.terms.1.kind",
        "\"cross_entropy\"",
    ),
    (
        "objective.terms=[{ kind = 'jensen_shannon', weight = 1 }]",
        "objective.terms.0.beta",
        "jensen_shannon reads",
    ),
    (
        "objective.terms=[{ kind = 'jensen_shannon', weight = 1, beta = 1.5 }]",
        "objective.terms.0.beta",
        "0 to 1",
    ),
    (
        "objective.terms=[{ kind = 'forward_kl', weight = 1, alpha = 0.1 }]",
        "objective.terms.0.alpha",
        "forward_kl does not read it",
    ),
    (
        "objective.tail=nothing",
        "objective.tail",
        "\"tail_bucket\"",
    ),
    (
        "objective.temperature_factor=cubed",
        "objective.temperature_factor",
        "\"squared\", \"one\"",
    ),
    (
        "objective.terms=[{ kind = 'logit_mse', weight = 1 }]",
        "objective.terms.0.kind",
        "a top-k cache",
    ),
    (
        "objective.terms.0.ramp={ kind = 'linear', to = -1, first_step = 1, last_step = 9 }",
        "objective.terms.0.ramp.to",
        "at least 0",
    ),
    (
        "objective.terms.0.ramp={ kind = 'linear', to = 1, first_step = 9, last_step = 9 }",
        "objective.terms.0.ramp.last_step",
        "a step after objective.terms.0.ramp.first_step (9)",
    ),
    (
        "objective.terms.0.ramp={ kind = 'cosine', to = 1, first_step = 9, last_step = 501 }",
        "objective.terms.0.ramp.last_step",
        "at most training.total_steps (500)",
    ),
    (
        "objective.terms.0.ramp={ kind = 'cubic', to = 1, first_step = 1, last_step = 9 }",
        "objective.terms.0.ramp.kind",
        "\"linear\", \"cosine\"",
    ),
    (
        "objective.terms.0.ramp={ kind = 'linear', to = 1, first_step = 1 }",
        "objective.terms.0.ramp.last_step",
        "a whole number",
    ),
    (
        "objective.terms=[{ kind = 'forward_kl', weight = 1, ramp = { kind = 'linear', to = 0, first_step = 1, last_step = 9 } }]",
        "objective.terms",
        "at least one weight above 0 at every step",
    ),
    (
        "objective.terms=[{ kind = 'forward_kl', weight = 0 }]",
        "objective.terms",
        "above 0",
    ),
    ("optimizer.kind=sgd", "optimizer.kind", "\"adamw\""),
    (
        "optimizer.learning_rate=0",
        "optimizer.learning_rate",
        "above 0",
    ),
    ("optimizer.betas.1=1.0", "optimizer.betas.1", "below 1"),
    (
        "optimizer.betas=[0.9]",
        "optimizer.betas",
        "an array of 2 values",
    ),
    ("optimizer.epsilon=0.0", "optimizer.epsilon", "above 0"),
    (
        "optimizer.weight_decay=-1",
        "optimizer.weight_decay",
        "at least 0",
    ),
    (
        "optimizer.max_gradient_norm=inf",
        "optimizer.max_gradient_norm",
        "a finite number",
    ),
    (
        "schedule.kind=wsd",
        "schedule.decay_steps",
        "schedule.kind is \"wsd\"",
    ),
    (
        "schedule.decay_steps=10",
        "schedule.decay_steps",
        "schedule.kind is \"cosine\"",
    ),
    (
        "schedule.warmup_steps=500",
        "schedule.warmup_steps",
        "training.total_steps (500)",
    ),
    (
        "schedule.warmup_steps=200",
        "experiment.search_steps",
        "schedule.warmup_steps",
    ),
    (
        "schedule.min_learning_rate_ratio=1.1",
        "schedule.min_learning_rate_ratio",
        "from 0 to 1",
    ),
    (
        "training.sequence_tokens=1",
        "training.sequence_tokens",
        "at least 2",
    ),
    (
        "training.micro_batch_sequences=3",
        "training.micro_batch_sequences",
        "training.sequences_per_step (8)",
    ),
    ("training.head_pass=half", "training.head_pass", "\"whole\""),
    (
        "training.chunk_bytes=0",
        "training.chunk_bytes",
        "at least 1",
    ),
    (
        "training.shuffle_shards=0",
        "training.shuffle_shards",
        "at least 1",
    ),
    (
        "training.keep_checkpoints=0",
        "training.keep_checkpoints",
        "at least 1",
    ),
    (
        "training.early_stopping_patience=0",
        "training.early_stopping_patience",
        "at least 1",
    ),
    (
        "baseline.enabled=false",
        "experiment.equal_time",
        "baseline.enabled is false",
    ),
    (
        "evaluation.prompts=['']",
        "evaluation.prompts.0",
        "at least one character",
    ),
    (
        "evaluation.sample_tokens=512",
        "evaluation.sample_tokens",
        "student.max_position_embeddings (512)",
    ),
    (
        "experiment.seeds=[]",
        "experiment.seeds",
        "at least one value",
    ),
    (
        "experiment.seeds=[1, 1]",
        "experiment.seeds.1",
        "each value once",
    ),
    (
        "experiment.learning_rates=[0.0]",
        "experiment.learning_rates.0",
        "above 0",
    ),
    (
        "experiment.search_steps=501",
        "experiment.search_steps",
        "training.total_steps (500)",
    ),
];

#[test]
fn each_contradiction_blames_its_key_says_what_is_expected_and_names_the_key_that_was_set() {
    for (assignment, key, expected) in REFUSED {
        let problems = problems(STORIES, &[assignment]);
        let blamed = problems.iter().find(|problem| problem.key == *key);
        let problem = blamed.unwrap_or_else(|| panic!("{assignment}: {problems:#?}"));
        assert!(
            problem.expected.contains(expected),
            "{assignment}: {problem}"
        );
        assert!(problem.location.is_some(), "{assignment}: {problem}");
        let set = assignment.split_once('=').unwrap().0;
        assert!(
            problems
                .iter()
                .any(|problem| problem.to_string().contains(set)),
            "{assignment}: {problem}"
        );
    }
}

#[test]
fn what_a_decaying_schedule_needs_is_checked_together() {
    let wsd = "schedule.kind=wsd";
    assert!(parse(STORIES, &[wsd, "schedule.decay_steps=180"]).is_ok());
    assert_eq!(
        problem(STORIES, &[wsd, "schedule.decay_steps=181"]).key,
        "experiment.search_steps"
    );
    assert_eq!(
        problem(STORIES, &[wsd, "schedule.decay_steps=481"]).key,
        "schedule.decay_steps"
    );
    assert_eq!(
        problem(CHAT, &["schedule.decay_steps=0"]).key,
        "schedule.decay_steps"
    );
}

#[test]
fn early_stopping_needs_something_to_watch() {
    let early = problem(CHAT, &["data.validation_fraction=0"]);
    assert_eq!(early.key, "training.early_stopping_patience");
    assert_eq!(
        problem(CHAT, &["training.evaluate_every_steps=2001"]).key,
        "training.evaluate_every_steps"
    );
}

#[test]
fn conversations_seen_differently_are_not_split() {
    assert_eq!(
        problem(CHAT, &["data.over_length=split"]).key,
        "data.over_length"
    );
    assert_eq!(
        problem(CHAT, &["data.erase.replace_system="]).key,
        "data.erase.replace_system"
    );
}

#[test]
fn the_textbook_takes_no_files_and_counts_its_splits_in_items() {
    let textbook = |section: &str| {
        let recipe = STORIES
            .replace("files = [\"TinyStories.txt\"]", "files = []")
            .replace("format = \"text\"", "format = \"textbook\"")
            .replace("separator = \"<|endoftext|>\"\n", "")
            .replace("validation_fraction = 0.05", "validation_fraction = 0.0")
            .replace("test_fraction = 0.1", "test_fraction = 0.0");
        recipe.replace("[teacher]", &format!("{section}\n[teacher]"))
    };
    let section = "[data.textbook]\nseed = 1\nstory_ratio = 0.2\ntrain_items = 9\nvalidation_items = 2\ntest_items = 2";
    let recipe = textbook(section);
    assert_eq!(
        parse(&recipe, &[])
            .unwrap()
            .recipe
            .data
            .textbook
            .unwrap()
            .train_items,
        9
    );
    assert_eq!(problem(&textbook(""), &[]).key, "data.textbook");
    for (assignment, key) in [
        ("data.files=['a']", "data.files"),
        ("data.separator=x", "data.separator"),
        ("data.test_fraction=0.1", "data.test_fraction"),
        ("data.max_train_documents=7", "data.max_train_documents"),
        ("data.chat_template=teacher", "data.chat_template"),
        ("data.textbook.train_items=0", "data.textbook.train_items"),
        ("data.textbook.story_ratio=1.5", "data.textbook.story_ratio"),
        (
            "data.textbook.validation_items=0",
            "experiment.learning_rates",
        ),
    ] {
        assert_eq!(problem(&recipe, &[assignment]).key, key, "{assignment}");
    }
    let with_files = STORIES.replace("[teacher]", &format!("{section}\n[teacher]"));
    assert_eq!(problem(&with_files, &[]).key, "data.textbook");
}

#[test]
fn a_recipe_changed_in_code_is_validated_without_locations() {
    let mut recipe = parse(STORIES, &[]).unwrap().recipe;
    recipe.student.head_dim = 7;
    recipe.training.total_steps = 0;
    let problems = recipe.validate().unwrap_err();
    assert!(problems.len() > 1 && problems.iter().all(|problem| problem.location.is_none()));
}

/// Paths of all values of a tree that are not tables.
fn leaves(node: &Node, path: &str, found: &mut Vec<String>) {
    let below = |word: &str| {
        if path.is_empty() {
            word.into()
        } else {
            format!("{path}.{word}")
        }
    };
    match &node.value {
        NodeValue::Table(table) => {
            for (word, entry) in table {
                leaves(&entry.value, &below(word), found);
            }
        }
        NodeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &below(&index.to_string()), found);
            }
            found.push(path.into());
        }
        _ => found.push(path.into()),
    }
}

fn any_leaf() -> impl Strategy<Value = String> {
    let mut found = Vec::new();
    leaves(&Node::parse_document(STORIES).unwrap(), "", &mut found);
    prop::sample::select(found)
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|value| value.to_string()),
        (0..3000_i64).prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| format!("{value:?}").replace("NaN", "nan")),
        any::<bool>().prop_map(|value| value.to_string()),
        "[a-z_]{0,12}",
        ".{0,12}",
        Just("[]".into()),
        Just("[1, [2], 'x']".into()),
        Just("{}".into()),
        Just("{ a = 1 }".into()),
        Just("1979-05-27".into()),
        Just("99999999999999999999".into()),
    ]
}

/// A line of the stories recipe with its characters shuffled about.
fn damaged_recipe() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((0..STORIES.len(), any::<u8>(), 0..3_u8), 1..8);
    edits.prop_map(|edits| {
        let mut bytes = STORIES.as_bytes().to_vec();
        for (position, byte, edit) in edits {
            let position = position.min(bytes.len() - 1);
            match edit {
                0 => bytes[position] = byte,
                1 => bytes.insert(position, byte),
                _ => drop(bytes.remove(position)),
            }
        }
        bytes
    })
}

fn load_bytes(bytes: &[u8]) -> Result<LoadedRecipe, RecipeError> {
    let text = load::decode("recipe.toml", bytes.to_vec())?;
    parse(&text, &[])
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(load_bytes(&bytes).is_err());
    }

    #[test]
    fn a_damaged_recipe_never_panics_and_every_message_can_be_printed(bytes in damaged_recipe()) {
        if let Err(error) = load_bytes(&bytes) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn arbitrary_toml_never_panics(
        lines in prop::collection::vec((prop_oneof![any_leaf(), "[a-z.]{1,9}"], any_value()), 0..12),
    ) {
        let text: String = lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        prop_assert!(parse(&text, &[]).is_err());
    }

    #[test]
    fn arbitrary_overrides_never_panic(overrides in prop::collection::vec(".{0,30}", 0..4)) {
        let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
        let _ = parse(STORIES, &overrides);
    }

    #[test]
    fn a_refused_override_names_its_key(key in any_leaf(), value in any_value()) {
        let assignment = format!("{key}={value}");
        match parse(STORIES, &[&assignment]) {
            Ok(loaded) => prop_assert_eq!(loaded.recipe.validate(), Ok(())),
            Err(RecipeError::Invalid { problems, .. }) => prop_assert!(
                problems.iter().any(|problem| problem.to_string().contains(&key)),
                "{}: {:#?}", assignment, problems
            ),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn an_accepted_recipe_is_read_back_the_same(key in any_leaf(), value in any_value()) {
        if let Ok(loaded) = parse(STORIES, &[&format!("{key}={value}")]) {
            let text = loaded.recipe.to_toml().unwrap();
            prop_assert_eq!(parse(&text, &[]).unwrap().recipe, loaded.recipe, "{}", text);
        }
    }
}
