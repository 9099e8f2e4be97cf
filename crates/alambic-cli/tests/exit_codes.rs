//! The binary's exit codes and streams, as a shell sees them.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn alambic(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alambic"))
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_is_no_failure() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["run", "--help"],
        &["cache", "info", "--help"],
    ] {
        let output = alambic(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_wrong_command_line_is_bad_input() {
    for arguments in [&[][..], &["distil"], &["run", "recipe.toml"], &["report"]] {
        let output = alambic(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_wrong_recipe_is_bad_input_and_tells_every_problem() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recipe.toml");
    let recipe = path.to_str().unwrap();
    let out = directory.path().join("run");
    let run = ["run", recipe, "--out", out.to_str().unwrap()];

    let missing = alambic(&run);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        stderr(&missing).starts_with("error: cannot read the recipe "),
        "{}",
        stderr(&missing)
    );
    assert!(
        stderr(&missing).contains("\nwhat to do: "),
        "{}",
        stderr(&missing)
    );

    std::fs::write(&path, "sed = 1\n[data]\nformat = \"cvs\"\n").unwrap();
    let invalid = alambic(&run);
    assert_eq!(invalid.status.code(), Some(2));
    assert!(invalid.stdout.is_empty());
    assert!(
        stderr(&invalid).contains("sed (line 1, column 1)"),
        "{}",
        stderr(&invalid)
    );
    assert!(
        stderr(&invalid).contains("data.format (line 3, column 10)"),
        "{}",
        stderr(&invalid)
    );
    assert!(!out.exists());

    let json = alambic(&[&run[..], &["--json"]].concat());
    assert_eq!(json.status.code(), Some(2));
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["command"], "run");
    assert_eq!(document["status"], "bad_input");
    let problems = document["problems"].as_array().unwrap();
    assert!(
        problems
            .iter()
            .any(|problem| problem["key"] == "data.format"),
        "{document}"
    );
}

#[test]
fn a_cache_that_is_not_there_is_bad_input_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    for command in ["info", "verify", "seal"] {
        let output = alambic(&["cache", command, path]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(path), "{}", stderr(&output));
    }
}

#[test]
fn the_doctor_calls_a_missing_teacher_bad_input() {
    let recipe = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../configs/stories260k_to_stories90k.toml"
    );
    let output = alambic(&[
        "doctor",
        recipe,
        "--device",
        "cpu",
        "--json",
        "--set",
        "teacher.path=/does/not/exist",
    ]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["status"], "bad_input");
    assert_eq!(document["result"]["findings"][0]["severity"], "error");
}

#[test]
fn a_model_that_is_not_there_is_bad_input() {
    for arguments in [
        &[
            "generate",
            "/does/not/exist",
            "--prompt",
            "Once",
            "--device",
            "cpu",
        ][..],
        &[
            "export",
            "/does/not/exist",
            "--out",
            "/does/not/exist/either",
        ],
    ] {
        let output = alambic(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("/does/not/exist"),
            "{}",
            stderr(&output)
        );
    }
}
