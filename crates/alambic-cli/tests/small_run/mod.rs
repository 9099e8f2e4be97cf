//! The binary on a small piece of the quickstart.
#![allow(dead_code)] // each test program uses its own part

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The path of the teacher that is part of the program.
pub(crate) fn teacher() -> PathBuf {
    root().join("data/quickstart_teacher")
}

/// A recipe of the quickstart's kind, with a student of one narrow layer.
const SETTINGS: [&str; 13] = [
    "data.textbook.train_items=640",
    "data.textbook.validation_items=8",
    "data.textbook.test_items=16",
    "cache.segments_per_shard=8",
    "cache.top_k=8",
    "student.hidden_size=16",
    "student.intermediate_size=32",
    "student.num_hidden_layers=1",
    "student.num_attention_heads=1",
    "student.num_key_value_heads=1",
    "schedule.warmup_steps=2",
    "training.evaluate_every_steps=1000",
    "baseline.enabled=false",
];

/// `alambic STAGE RECIPE --out OUT` on the CPU, with these settings on top.
pub(crate) fn alambic(stage: &str, out: &Path, settings: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alambic"));
    command
        .arg(stage)
        .arg(root().join("configs/quickstart.toml"))
        .arg("--out")
        .arg(out)
        .args(["--device", "cpu", "--set"])
        .arg(format!("teacher.path={}", teacher().display()));
    for setting in SETTINGS.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Runs a command that has to succeed.
pub(crate) fn finish(mut command: Command) -> Output {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Every file below a directory, by its path inside; none if there is no such directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        match std::fs::read_dir(&path) {
            Ok(entries) => pending.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) if path == directory => {}
            Err(_) => found.push(path.strip_prefix(directory).unwrap().to_owned()),
        }
    }
    found.sort();
    found
}
