//! Which of several right answers are kept.

use serde::{Deserialize, Serialize};

use super::verdict::{CheckKind, Verdict};

/// Which of the answers to a prompt are kept, of those that pass all checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// All of them.
    All,
    /// So many at most, the earliest.
    First(usize),
    /// So many at most, the shortest; earlier ones before later.
    Shortest(usize),
}

/// The places of the answers that are kept, in their order. An answer that is the same text as an earlier one gets a verdict that says
/// so, and is not kept.
pub fn select(keep: Keep, texts: &[Option<&str>], verdicts: &mut [Vec<Verdict>]) -> Vec<usize> {
    let mut passing: Vec<usize> = Vec::new();
    for place in 0..texts.len() {
        let Some(text) = texts[place] else {
            continue;
        };
        if !verdicts[place].iter().all(|verdict| verdict.passed) {
            continue;
        }
        let same = passing.iter().find(|&&other| texts[other] == Some(text));
        match same {
            Some(other) => {
                let found = format!("the same as sample {other}");
                verdicts[place].push(Verdict::new(CheckKind::Distinct, false, found));
            }
            None => passing.push(place),
        }
    }
    let (count, by_length) = match keep {
        Keep::All => (passing.len(), false),
        Keep::First(count) => (count, false),
        Keep::Shortest(count) => (count, true),
    };
    if by_length {
        passing.sort_by_key(|&place| texts[place].map_or(0, str::len));
    }
    passing.truncate(count);
    passing.sort_unstable();
    passing
}
