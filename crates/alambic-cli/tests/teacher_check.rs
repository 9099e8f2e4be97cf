//! A cache beside its teacher on the command line: numbers, words and exit codes.

#![allow(clippy::unwrap_used)]

mod small_run;

use std::path::Path;
use std::process::{Command, Output};

use alambic::cache::{CacheReader, CacheWriter, Targets};
use serde_json::Value;
use small_run::{alambic, finish, teacher};

fn verify(cache: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alambic"))
        .args(["cache", "verify"])
        .arg(cache)
        .args(arguments)
        .output()
        .unwrap()
}

/// A copy in which every label has the targets of its neighbour, whole by its checksums.
fn moved_by_one(cache: &Path, copy: &Path) {
    let cache = CacheReader::open(cache).unwrap();
    let manifest = cache.manifest();
    let mut writer = CacheWriter::open(copy, manifest.spec.clone()).unwrap();
    for shard in 0..manifest.shards.len() {
        let mut records = cache.read_shard(shard).unwrap();
        for record in &mut records {
            let Targets::TopK(targets) = &mut record.targets else {
                panic!("{:?}", record.targets)
            };
            targets.token_ids.rotate_left(targets.k);
            targets.log_probs.rotate_left(targets.k);
            targets.tail_mass.rotate_left(1);
            targets.entropy.rotate_left(1);
        }
        writer.write_shard(shard, &records).unwrap();
    }
    writer.finish(manifest.shards.len()).unwrap();
}

#[test]
fn a_cache_is_compared_with_its_teacher_in_words_for_machines_and_by_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    finish(alambic("capture", &run, &["data.textbook.train_items=64"]));
    let cache = run.join("cache/train");
    let teacher = teacher();
    let teacher = teacher.to_str().unwrap();
    let asked = ["--teacher", teacher, "--sample", "10", "--device", "cpu"];

    let output = verify(&cache, &[&asked[..], &["--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["status"], "done");
    assert_eq!(document["result"]["num_segments"], 64);
    let check = &document["result"]["teacher"];
    assert_eq!(check["passed"], true);
    assert_eq!(
        (&check["num_sampled"], &check["num_compared"]),
        (&10.into(), &10.into())
    );

    let output = verify(&cache, &asked);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("whole: 8 shards, 64 segments"), "{text}");
    assert!(text.contains("\nlog-probabilities "), "{text}");
    assert!(
        text.ends_with("the cache is what the teacher says\n"),
        "{text}"
    );

    let moved = directory.path().join("moved");
    moved_by_one(&cache, &moved);
    assert_eq!(verify(&moved, &[]).status.code(), Some(0), "it is whole");
    let output = verify(&moved, &asked);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("the cache is not what the teacher says: "),
        "{text}"
    );
    assert!(text.contains("label 0 (token "), "{text}");
    let output = verify(&moved, &[&asked[..], &["--json"]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["status"], "failed");
    assert!(document["result"]["teacher"]["deviations"][0]["segment"].is_u64());
}

#[test]
fn a_teacher_that_did_not_fill_the_cache_is_bad_input() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    finish(alambic("capture", &run, &["data.textbook.train_items=16"]));
    let other = directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    for entry in std::fs::read_dir(teacher()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, other.join(path.file_name().unwrap())).unwrap();
    }
    // The last byte of the weights.
    let weights = other.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let other = other.to_str().unwrap();
    let asked = ["--teacher", other, "--sample", "2", "--device", "cpu"];
    let output = verify(&run.join("cache/train"), &asked);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("captured from another teacher: its fingerprint is "),
        "{stderr}"
    );
}

#[test]
fn hidden_states_that_two_processes_captured_are_described_and_compared_with_their_teacher() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let settings = [
        "data.textbook.train_items=32",
        "cache.top_k=unset",
        "cache.values=unset",
        "cache.hidden_states=int6",
    ];
    for part in ["0/2", "1/2"] {
        let mut command = alambic("capture", &run, &settings);
        command.args(["--shard", part]);
        finish(command);
    }
    let cache = run.join("cache/train");
    let info = Command::new(env!("CARGO_BIN_EXE_alambic"))
        .args(["cache", "info"])
        .arg(&cache)
        .output()
        .unwrap();
    let text = String::from_utf8(info.stdout).unwrap();
    assert!(text.contains("numbers, int6, and the head for "), "{text}");

    let teacher = teacher();
    let teacher = teacher.to_str().unwrap();
    let asked = ["--teacher", teacher, "--sample", "10", "--device", "cpu"];
    let output = verify(&cache, &asked);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("\nhidden states "), "{text}");
    assert!(text.contains("\nrounded states "), "{text}");

    let head = cache.join("teacher-head.safetensors");
    let mut bytes = std::fs::read(&head).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&head, bytes).unwrap();
    let output = verify(&cache, &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_ne!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("teacher-head.safetensors has SHA-256"),
        "{stderr}"
    );
}
