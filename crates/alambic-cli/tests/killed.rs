//! Kill -9 at random moments: what is left is whole, and what is finished later is the same.

#![allow(clippy::unwrap_used)]

mod small_run;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use small_run::{alambic, files, finish};

/// How often each stage is killed in the midst of its work.
const KILLS: u64 = 20;
/// Longest time between a stage's first progress after a start, and its end.
const LONGEST_DELAY: Duration = Duration::from_millis(60);

/// Starts the stage `KILLS` times; lets it get on by at least one shard or checkpoint, and kills it
/// some milliseconds later.
fn kill_again_and_again(command: impl Fn() -> Command, watched: &Path) {
    for kill in 0..KILLS {
        let before = files(watched);
        let mut child = command().spawn().unwrap();
        while files(watched) == before {
            assert!(
                child.try_wait().unwrap().is_none(),
                "ended at kill {kill} without any progress"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        // A fixed low-discrepancy sequence: moments differ, the test does not.
        let share = (kill as f64 * 0.618_034).fract();
        std::thread::sleep(LONGEST_DELAY.mul_f64(share));
        assert!(
            child.try_wait().unwrap().is_none(),
            "finished before kill {kill}: the test needs more work"
        );
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
    }
}

fn a_killed_capture_ends_like_an_undisturbed_one(settings: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let (straight, killed) = (
        directory.path().join("straight"),
        directory.path().join("killed"),
    );
    let capture = |out| alambic("capture", out, settings);
    finish(capture(&straight));
    kill_again_and_again(|| capture(&killed), &killed.join("cache"));
    finish(capture(&killed));
    let (expected, found) = (straight.join("cache"), killed.join("cache"));
    assert_eq!(files(&expected), files(&found));
    for name in files(&expected) {
        let read = |cache: &Path| std::fs::read(cache.join(&name)).unwrap();
        assert!(
            read(&expected) == read(&found),
            "{} differs",
            name.display()
        );
    }
}

#[test]
fn a_killed_capture_ends_with_the_bytes_of_an_undisturbed_one() {
    a_killed_capture_ends_like_an_undisturbed_one(&["data.textbook.train_items=2400"]);
}

#[test]
fn a_killed_capture_of_hidden_states_ends_with_the_bytes_of_an_undisturbed_one() {
    a_killed_capture_ends_like_an_undisturbed_one(&[
        "data.textbook.train_items=2400",
        "cache.top_k=unset",
        "cache.values=unset",
        "cache.hidden_states=int8",
    ]);
}

#[test]
fn a_killed_training_ends_with_the_weights_of_an_undisturbed_one() {
    let directory = tempfile::tempdir().unwrap();
    let (straight, killed) = (
        directory.path().join("straight"),
        directory.path().join("killed"),
    );
    let stage = |stage, out| {
        let settings = [
            "training.total_steps=600",
            "training.sequences_per_step=2",
            "training.micro_batch_sequences=2",
            "training.checkpoint_every_steps=3",
        ];
        alambic(stage, out, &settings)
    };
    for out in [&straight, &killed] {
        finish(stage("capture", out));
    }
    finish(stage("train", &straight));
    kill_again_and_again(|| stage("train", &killed), &killed.join("distilled"));
    finish(stage("train", &killed));
    let weights = |run: &Path| std::fs::read(run.join("student/model.safetensors")).unwrap();
    assert!(weights(&straight) == weights(&killed), "the weights differ");
}

#[test]
#[cfg(unix)]
fn ctrl_c_saves_and_the_same_command_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (straight, stopped) = (
        directory.path().join("straight"),
        directory.path().join("stopped"),
    );
    let stage = |stage, out| {
        let settings = [
            "training.total_steps=300",
            "training.sequences_per_step=2",
            "training.micro_batch_sequences=2",
            "training.checkpoint_every_steps=100000",
        ];
        alambic(stage, out, &settings)
    };
    for out in [&straight, &stopped] {
        finish(stage("capture", out));
    }
    finish(stage("train", &straight));

    let child = stage("train", &stopped)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = stopped.join("distilled/metrics.jsonl");
    while std::fs::metadata(&metrics).map_or(0, |file| file.len()) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("stopped on request during training"),
        "{told}"
    );
    let saved = files(&stopped.join("distilled/checkpoints"));
    assert!(
        saved.iter().any(|name| name.ends_with("COMMIT")),
        "{saved:?}"
    );

    finish(stage("train", &stopped));
    let weights = |run: &Path| std::fs::read(run.join("student/model.safetensors")).unwrap();
    assert!(
        weights(&straight) == weights(&stopped),
        "the weights differ"
    );
}
