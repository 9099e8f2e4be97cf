//! Every format of text that a recipe names, from the file to a trained student.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alambic::cache::CacheReader;
use alambic::distill::StopHandle;
use alambic::pipeline::recipe::{Recipe, RecipeText};
use alambic::pipeline::{LanguageModel, NoProgress, RunOptions, RunStage, run_until};
use alambic::text::{SpecialTokensInText, Tokenizer};
use alambic::transformer::DeviceChoice;
use arrow::array::{RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

const STORIES: &str = include_str!("../configs/stories260k_to_stories90k.toml");
const CHAT: &str = include_str!("../configs/chat_erasing.toml");

/// Documents of the shapes that the textbook has; numbered, so that none repeats.
fn texts() -> Vec<String> {
    (0..60)
        .map(|number| format!("Once upon a time Tom had {number} apples. He was glad."))
        .collect()
}

fn teacher() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher")
}

/// Captures and trains with a shipped recipe, made small; the run directory.
fn train(recipe: &str, directory: &Path, file: &Path, changes: &[&str]) -> PathBuf {
    let mut settings = vec![
        format!("teacher.path={}", teacher().display()),
        format!("data.files=['{}']", file.display()),
    ];
    let small = [
        "data.validation_fraction=0.2",
        "cache.segments_per_shard=16",
        "cache.top_k=unset",
        "cache.values=unset",
        "cache.draws=8",
        "cache.draw_seed=0",
        "student.hidden_size=16",
        "student.intermediate_size=32",
        "student.num_hidden_layers=1",
        "student.num_attention_heads=1",
        "student.num_key_value_heads=1",
        "student.head_dim=16",
        "training.sequence_tokens=128",
        "training.total_steps=4",
        "training.evaluate_every_steps=2",
        "schedule.warmup_steps=1",
        "baseline.enabled=false",
    ];
    settings.extend(
        small
            .iter()
            .chain(changes)
            .map(|change| (*change).to_owned()),
    );
    let source = RecipeText {
        name: "recipe.toml",
        text: recipe,
        directory,
    };
    let out = directory.join("run");
    let options = RunOptions {
        out: out.clone(),
        device: DeviceChoice::Cpu.open().unwrap(),
        stop: StopHandle::new(),
        progress: Arc::new(NoProgress),
        dashboard: false,
    };
    let recipe = Recipe::parse(&source, &settings).unwrap_or_else(|error| panic!("{error}"));
    run_until(&recipe, &options, RunStage::Train).unwrap();
    LanguageModel::load(&out.join("student"), &options.device).unwrap();
    out
}

/// The stories recipe without what belongs to plain text files and to experiments.
fn stories(format: &str) -> String {
    let (recipe, _) = STORIES.split_once("[experiment]").unwrap();
    recipe
        .replace("format = \"text\"", &format!("format = \"{format}\""))
        .replace("separator = \"<|endoftext|>\"\n", "")
}

/// What the student of a run saw, segment by segment.
fn student_views(run: &Path) -> Vec<String> {
    let tokenizer = Tokenizer::from_file(&teacher().join("tokenizer.json")).unwrap();
    let cache = CacheReader::open(&run.join("cache/train")).unwrap();
    let shards = cache.manifest().shards.len();
    let records = (0..shards).flat_map(|shard| cache.read_shard(shard).unwrap());
    records
        .map(|record| {
            tokenizer
                .decode(&record.token_ids, SpecialTokensInText::Skip)
                .unwrap()
        })
        .collect()
}

#[test]
fn plain_text_with_a_separator() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stories.txt");
    std::fs::write(&file, texts().join("\n<|endoftext|>\n")).unwrap();
    let (recipe, _) = STORIES.split_once("[experiment]").unwrap();
    let run = train(recipe, directory.path(), &file, &[]);
    let views = student_views(&run);
    assert!(views.len() > 30 && views.iter().all(|view| texts().contains(view)));
}

#[test]
fn json_lines_of_text() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stories.jsonl");
    let lines = texts()
        .into_iter()
        .map(|text| serde_json::json!({ "text": text }).to_string());
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let run = train(&stories("jsonl"), directory.path(), &file, &[]);
    assert!(
        student_views(&run)
            .iter()
            .all(|view| texts().contains(view))
    );
}

#[test]
fn parquet_with_a_column_of_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stories.parquet");
    let column = Arc::new(StringArray::from(texts()));
    let batch = RecordBatch::try_from_iter([("text", column as _)]).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let run = train(&stories("parquet"), directory.path(), &path, &[]);
    assert!(
        student_views(&run)
            .iter()
            .all(|view| texts().contains(view))
    );
}

#[test]
fn conversations_whose_strategy_prompt_the_student_never_sees() {
    const STRATEGY: &str = "Think step by step";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("conversations.jsonl");
    let lines = (0..60).map(|number| {
        serde_json::json!({ "messages": [
            { "role": "system", "content": STRATEGY },
            { "role": "user", "content": format!("What is {number} and 1?") },
            { "role": "assistant", "content": format!("It is {}.", number + 1) },
        ]})
        .to_string()
    });
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let template = directory.path().join("chat.jinja");
    std::fs::write(
        &template,
        "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}\
         {% if add_generation_prompt %}assistant: {% endif %}",
    )
    .unwrap();
    let template = format!("data.chat_template={}", template.display());
    let changes = [
        template.as_str(),
        "data.erase={ replace_system = 'Be kind' }",
        "schedule.decay_steps=1",
        "training.sequences_per_step=4",
    ];
    let run = train(CHAT, directory.path(), &file, &changes);
    let views = student_views(&run);
    assert!(views.len() > 30);
    for view in views {
        assert!(
            view.contains("Be kind") && !view.contains(STRATEGY),
            "{view}"
        );
    }
}
