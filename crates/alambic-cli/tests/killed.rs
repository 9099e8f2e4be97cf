//! Kill -9 at random moments: what is left is whole, and what is finished later is the same.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often each stage is killed.
const KILLS: u64 = 20;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `alambic STAGE` on a small piece of the quickstart, into `out`.
fn alambic(stage: &str, out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alambic"));
    let teacher = root().join("data/quickstart_teacher");
    command
        .arg(stage)
        .arg(root().join("configs/quickstart.toml"))
        .arg("--out")
        .arg(out)
        .args(["--device", "cpu", "--set"])
        .arg(format!("teacher.path={}", teacher.display()));
    for setting in [
        "data.textbook.train_items=192",
        "data.textbook.validation_items=8",
        "cache.segments_per_shard=8",
        "cache.top_k=8",
        "student.hidden_size=16",
        "student.intermediate_size=32",
        "student.num_hidden_layers=1",
        "student.num_attention_heads=1",
        "student.num_key_value_heads=1",
        "training.total_steps=60",
        "training.sequences_per_step=2",
        "training.micro_batch_sequences=2",
        "training.checkpoint_every_steps=2",
        "training.evaluate_every_steps=60",
        "baseline.enabled=false",
    ] {
        command.args(["--set", setting]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn finish(stage: &str, out: &Path) -> Duration {
    let started = std::time::Instant::now();
    let output = alambic(stage, out).stderr(Stdio::piped()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    started.elapsed()
}

/// Starts the stage `KILLS` times and kills it at moments spread over an undisturbed run's time.
fn kill_again_and_again(stage: &str, out: &Path, undisturbed: Duration) {
    for kill in 0..KILLS {
        let mut child = alambic(stage, out).spawn().unwrap();
        // A fixed low-discrepancy sequence: moments differ, the test does not.
        let share = (kill as f64 * 0.618_034).fract();
        std::thread::sleep(undisturbed.mul_f64(0.15 + 0.7 * share));
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
    }
}

/// Every file below a directory with its bytes.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            let name = path.strip_prefix(directory).unwrap().to_owned();
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_killed_capture_ends_with_the_bytes_of_an_undisturbed_one() {
    let directory = tempfile::tempdir().unwrap();
    let (straight, killed) = (
        directory.path().join("straight"),
        directory.path().join("killed"),
    );
    let undisturbed = finish("capture", &straight);
    kill_again_and_again("capture", &killed, undisturbed);
    finish("capture", &killed);
    let (expected, found) = (files(&straight.join("cache")), files(&killed.join("cache")));
    assert_eq!(
        expected.keys().collect::<Vec<_>>(),
        found.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &expected {
        assert!(bytes == &found[name], "{} differs", name.display());
    }
}

#[test]
fn a_killed_training_ends_with_the_weights_of_an_undisturbed_one() {
    let directory = tempfile::tempdir().unwrap();
    let (straight, killed) = (
        directory.path().join("straight"),
        directory.path().join("killed"),
    );
    finish("capture", &straight);
    finish("capture", &killed);
    let undisturbed = finish("train", &straight);
    kill_again_and_again("train", &killed, undisturbed);
    finish("train", &killed);
    let weights = |run: &Path| std::fs::read(run.join("student/model.safetensors")).unwrap();
    assert!(weights(&straight) == weights(&killed), "the weights differ");
}
