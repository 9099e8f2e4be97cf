//! The crates know only whom ARCHITECTURE.md lets them know.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Who may depend on whom, among our own crates.
const ARROWS: [(&str, &[&str]); 7] = [
    ("alambic-cli", &["alambic"]),
    (
        "alambic",
        &[
            "alambic-cache",
            "alambic-distill",
            "alambic-text",
            "alambic-transformer",
        ],
    ),
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

/// Crates that must not know burn, and the one that alone may know burn-train.
const WITHOUT_BURN: [&str; 2] = ["alambic-cache", "alambic-text"];
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

#[test]
fn every_source_file_has_a_name_and_a_readable_length() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pending = vec![root.join("src"), root.join("crates"), root.join("examples")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            if path.ends_with("tests") {
                continue; // tests may be as long as they need
            }
            pending.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy();
        if !name.ends_with(".rs") || name == "tests.rs" {
            continue;
        }
        assert!(
            !EMPTY_NAMES.contains(&&*name),
            "{} says nothing",
            path.display()
        );
        let text = std::fs::read_to_string(&path).unwrap();
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
