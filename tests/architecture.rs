//! The crates know only whom ARCHITECTURE.md lets them know.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Who may depend on whom, among our own crates.
const ARROWS: [(&str, &[&str]); 9] = [
    ("alambic-cli", &["alambic"]),
    (
        "alambic",
        &[
            "alambic-cache",
            "alambic-distill",
            "alambic-eval",
            "alambic-synth",
            "alambic-text",
            "alambic-transformer",
        ],
    ),
    ("alambic-synth", &["alambic-text", "alambic-transformer"]),
    ("alambic-eval", &["alambic-text", "alambic-transformer"]),
    (
        "alambic-distill",
        &[
            "alambic-cache",
            "alambic-kernels",
            "alambic-text",
            "alambic-transformer",
        ],
    ),
    ("alambic-transformer", &["alambic-kernels"]),
    ("alambic-kernels", &[]),
    ("alambic-cache", &[]),
    ("alambic-text", &[]),
];

/// Crates that must not know burn.
const WITHOUT_BURN: [&str; 3] = ["alambic-cache", "alambic-synth", "alambic-text"];
/// The crate that alone may know burn-train.
const TRAINS: &str = "alambic-distill";
/// What distill's losses must not know: all of the workspace but tensors and kernels.
const UNKNOWN_TO_LOSSES: [&str; 6] = [
    "alambic_cache",
    "alambic_text",
    "alambic_transformer",
    "burn::train",
    "crate::",
    "super::super",
];
/// Only the command line may use these.
const COMMAND_LINE_ONLY: [&str; 4] = ["anyhow", "clap", "ctrlc", "indicatif"];
/// File names that say nothing.
const EMPTY_NAMES: [&str; 5] = ["utils.rs", "helpers.rs", "common.rs", "misc.rs", "base.rs"];
/// Most lines of a source file before its tests.
const MOST_LINES: usize = 500;

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    metadata
        .packages
        .iter()
        .map(|package| {
            let normal = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind == DependencyKind::Normal);
            (
                package.name.to_string(),
                normal.map(|dependency| dependency.name.clone()).collect(),
            )
        })
        .collect()
}

#[test]
fn the_arrows_between_our_crates_are_those_of_the_architecture() {
    let found: BTreeMap<String, BTreeSet<String>> = dependencies()
        .into_iter()
        .map(|(name, all)| {
            (
                name,
                all.into_iter()
                    .filter(|name| name.starts_with("alambic"))
                    .collect(),
            )
        })
        .collect();
    let expected: BTreeMap<String, BTreeSet<String>> = ARROWS
        .iter()
        .map(|(name, arrows)| {
            (
                (*name).to_owned(),
                arrows.iter().map(|arrow| (*arrow).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn text_and_cache_do_not_know_burn_and_only_the_command_line_talks() {
    for (name, all) in dependencies() {
        if WITHOUT_BURN.contains(&name.as_str()) {
            assert!(
                !all.iter().any(|dependency| dependency.starts_with("burn")),
                "{name} knows burn"
            );
        }
        if name != "alambic-cli" {
            for forbidden in COMMAND_LINE_ONLY {
                assert!(!all.contains(forbidden), "{name} uses {forbidden}");
            }
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under a directory, directories of tests apart.
fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            if !path.ends_with("tests") {
                let entries = std::fs::read_dir(&path).unwrap();
                pending.extend(entries.map(|entry| entry.unwrap().path()));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "no source in {}", directory.display());
    found
}

#[test]
fn burn_train_is_used_by_the_trainer_alone() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    for package in &metadata.packages {
        let trains = package.dependencies.iter().any(|dependency| {
            dependency.name == "burn-train"
                || (dependency.name == "burn"
                    && dependency.features.iter().any(|feature| feature == "train"))
        });
        assert_eq!(trains, package.name.as_str() == TRAINS, "{}", package.name);
    }
}

#[test]
fn losses_know_tensors_and_kernels_only() {
    for (path, text) in sources(&root().join("crates/alambic-distill/src/loss")) {
        let code = text.lines().map(str::trim_start);
        for line in code.filter(|line| !line.starts_with("//")) {
            for unknown in UNKNOWN_TO_LOSSES {
                assert!(
                    !line.contains(unknown),
                    "{}: a loss must not know {unknown}: {line}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_source_file_has_a_name_and_a_readable_length() {
    let all = ["src", "crates", "examples"];
    for (path, text) in all.iter().flat_map(|part| sources(&root().join(part))) {
        let name = path.file_name().unwrap().to_string_lossy();
        if name == "tests.rs" {
            continue; // tests may be as long as they need
        }
        assert!(
            !EMPTY_NAMES.contains(&&*name),
            "{} says nothing",
            path.display()
        );
        let lines = text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .count();
        assert!(
            lines <= MOST_LINES,
            "{} has {lines} lines before its tests",
            path.display()
        );
    }
}

#[test]
fn the_python_reader_in_the_documentation_is_the_one_in_the_tools() {
    let document = std::fs::read_to_string(root().join("docs/cache-format.md")).unwrap();
    let (_, after) = document.split_once("```python\n").unwrap();
    let (shown, _) = after.split_once("```").unwrap();
    let program = std::fs::read_to_string(root().join("tools/read_cache.py")).unwrap();
    assert_eq!(shown, program);
}
