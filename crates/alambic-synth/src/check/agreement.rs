//! The answer that most samples give.

use alambic_text::AnswerComparison;
use serde::{Deserialize, Serialize};

use super::verdict::{CheckKind, Verdict};
use crate::error::Problems;

/// How many answers to a prompt have to agree: self-consistency (Wang et al. 2022, arXiv:2203.11171).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The share of all final answers that the most frequent one needs, above 0 and at most 1.
    pub min_share: f64,
    /// With fewer final answers nothing is agreed upon.
    pub min_answers: usize,
}

/// The final answers of a prompt, each with how many gave it; the most frequent first, earlier ones before later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Votes(Vec<(String, usize)>);

impl Agreement {
    /// Checks the settings; `key` names them.
    pub(crate) fn check(&self, key: &str, problems: &mut Problems) {
        let share = self.min_share;
        let fits = share > 0.0 && share <= 1.0;
        problems.expect(
            fits,
            &format!("{key}.min_share"),
            share,
            "above 0, at most 1",
        );
        let count = self.min_answers;
        problems.expect(
            count >= 2,
            &format!("{key}.min_answers"),
            count,
            "at least 2",
        );
    }

    /// Counts final answers; two that the comparison takes for the same are one.
    pub(super) fn votes(&self, finals: &[&str], comparison: &AnswerComparison) -> Votes {
        let mut votes: Vec<(String, usize)> = Vec::new();
        for found in finals {
            let mut same = votes.iter_mut();
            match same.find(|(known, _)| comparison.agree(found, known)) {
                Some((_, count)) => *count += 1,
                None => votes.push(((*found).to_owned(), 1)),
            }
        }
        votes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Votes(votes)
    }

    /// Whether a final answer is the one that enough agree upon. Two that are equally frequent are none.
    pub(super) fn verdict(
        &self,
        found: &str,
        votes: &Votes,
        comparison: &AnswerComparison,
    ) -> Verdict {
        let all: usize = votes.0.iter().map(|(_, count)| count).sum();
        let mine = votes
            .0
            .iter()
            .position(|(known, _)| comparison.agree(found, known));
        let count = mine.map_or(0, |place| votes.0[place].1);
        let is_most = mine == Some(0) && votes.0.get(1).is_none_or(|(_, second)| *second < count);
        let enough = all >= self.min_answers && count as f64 >= self.min_share * all as f64;
        let (share, least) = (self.min_share, self.min_answers);
        let expected = format!("the most frequent, with a share of {share} of at least {least}");
        let verdict = Verdict::new(
            CheckKind::Agreement,
            is_most && enough,
            format!("{count} of {all}"),
        );
        verdict.expecting(expected)
    }
}
