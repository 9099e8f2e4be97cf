//! Other formats on the command line: what becomes an ordinary cache, and what is refused.

#![allow(clippy::unwrap_used)]

mod small_run;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use small_run::teacher;

const LINES: &str = r#"{"token_ids": [1, 3, 0], "top_ids": [null, [3, 2], [2, 0, 5]], "top_log_probs": [null, [-0.125, -3.0], [-1.5, -0.5, -4.0]]}
{"token_ids": [4, 4], "top_ids": [null, [8, 7]], "top_log_probs": [null, [-0.25, -2.0]]}
"#;

fn cache(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alambic"))
        .arg("cache")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

#[test]
fn lines_of_json_become_a_cache_that_verifies_and_says_what_it_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("lines.jsonl"), LINES).unwrap();
    let teacher = teacher();
    let teacher = [
        "--teacher",
        teacher.to_str().unwrap(),
        "--values",
        "f16",
        "--top-k",
        "2",
    ];
    let convert = ["convert", "lines.jsonl", "--from", "jsonl", "--out", "made"];
    let output = cache(&[&convert[..], &teacher, &["--json"]].concat(), directory);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = &document["result"];
    assert_eq!(result["num_targets"], 3);
    assert_eq!(result["targets"]["kind"], "head_only");
    assert_eq!(result["lacks"][0], "tail_mass");
    assert!(cache(&["verify", "made"], directory).status.success());
    let info = cache(&["info", "made"], directory);
    let info = String::from_utf8_lossy(&info.stdout);
    assert!(
        info.contains("the 2 most likely of") && info.contains("not known"),
        "{info}"
    );
}

#[test]
fn a_teacher_is_named_by_fingerprints_and_an_unfit_row_by_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("lines.jsonl"), LINES).unwrap();
    let (first, second) = ("a1".repeat(32), "b2".repeat(32));
    let named = [
        "--teacher-fingerprint",
        &first,
        "--tokenizer-fingerprint",
        &second,
    ];
    let convert = [
        "convert",
        "lines.jsonl",
        "--from",
        "jsonl",
        "--values",
        "f32",
    ];
    let with = |others: &[&str]| cache(&[&convert[..], &named, others].concat(), directory);
    let made = with(&["--vocab-size", "9", "--out", "made", "--top-k", "1"]);
    assert!(made.status.success(), "{made:?}");
    let unfit = with(&["--vocab-size", "9", "--out", "unfit", "--top-k", "3"]);
    let stderr = String::from_utf8_lossy(&unfit.stderr);
    assert_eq!(unfit.status.code(), Some(2));
    assert!(
        stderr.contains("line 1: the entries at token 1"),
        "{stderr}"
    );
    // Without the size of the vocabulary nothing can be said of the ids.
    assert!(!with(&["--out", "nothing"]).status.success());
    assert!(!directory.join("nothing").exists());
}
