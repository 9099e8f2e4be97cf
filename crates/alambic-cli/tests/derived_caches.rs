//! Caches made of caches on the command line: ordinary ones, that verify and can be trained on.

#![allow(clippy::unwrap_used)]

mod small_run;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use small_run::{alambic, files, finish};

fn cache(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alambic"))
        .arg("cache")
        .args(arguments)
        .arg("--json")
        .current_dir(directory)
        .output()
        .unwrap()
}

/// What a command that has to succeed tells machines.
fn told(arguments: &[&str], directory: &Path) -> Value {
    let output = cache(arguments, directory);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["result"].clone()
}

#[test]
fn a_cache_is_split_filtered_and_joined_without_its_teacher() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    finish(alambic("capture", &directory.join("run"), &[]));
    let whole = "run/cache/train";

    let split = ["split", whole, "--out", "few", "--rest", "many"];
    let split = told(
        &[&split[..], &["--fraction", "0.2", "--seed", "3"]].concat(),
        directory,
    );
    let segments = |document: &Value| document["num_segments"].as_u64().unwrap();
    let sides = split["caches"].as_array().unwrap();
    let (few, many) = (segments(&sides[0]), segments(&sides[1]));
    // 128 of 640 are expected, with a standard deviation of 10.
    assert_eq!(few + many, 640);
    assert!((88..=168).contains(&few), "{few}");

    let joined = told(&["concat", "many", "few", "--out", "joined"], directory);
    assert_eq!(segments(&joined["caches"][0]), 640);
    let short = told(
        &["filter", whole, "--out", "short", "--max-tokens", "60"],
        directory,
    );
    assert!((1..640).contains(&segments(&short["caches"][0])), "{short}");
    for made in ["few", "many", "joined", "short"] {
        told(&["verify", made], directory);
    }

    // Never into a directory that the command names for something else.
    let doubled: [&[&str]; 4] = [
        &["filter", whole, "--out", whole, "--min-tokens", "1"],
        &["concat", "many", "few", "--out", "few"],
        &[
            "split",
            whole,
            "--out",
            "new",
            "--rest",
            "new",
            "--fraction",
            "0.5",
            "--seed",
            "1",
        ],
        &[
            "split",
            whole,
            "--out",
            "new",
            "--rest",
            whole,
            "--fraction",
            "0.5",
            "--seed",
            "1",
        ],
    ];
    for arguments in doubled {
        let output = cache(arguments, directory);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains("a directory of its own"), "{stderr}");
        assert!(!directory.join("new").exists(), "{arguments:?}");
    }

    let everything = told(
        &["filter", whole, "--out", "same", "--min-tokens", "1"],
        directory,
    );
    assert_eq!(segments(&everything["caches"][0]), 640);
    let (whole, same) = (directory.join(whole), directory.join("same"));
    assert_eq!(files(&whole), files(&same));
    for name in files(&whole) {
        let read = |cache: &Path| std::fs::read(cache.join(&name)).unwrap();
        assert!(read(&whole) == read(&same), "{} differs", name.display());
    }

    let empty = ["filter", "few", "--out", "none", "--min-tokens", "100000"];
    let output = cache(&empty, directory);
    assert_eq!(
        output.status.code(),
        Some(2),
        "an empty result is bad input"
    );
}
