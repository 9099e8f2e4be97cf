//! How a candidate fares against an opponent.

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Interval, mean};
use crate::pairwise::{PairwiseJudgement, Verdict};

/// How a candidate fares against an opponent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairwiseReport {
    /// How many pairs the candidate wins.
    pub wins: usize,
    /// How many are ties.
    pub ties: usize,
    /// How many it loses.
    pub losses: usize,
    /// How many have no verdict in one of the orders; they are in no other number.
    pub without_verdict: usize,
    /// How often the judge preferred the first answer in both orders; these are ties.
    pub first_preferred: usize,
    /// How often the judge preferred the second answer in both orders; these are ties.
    pub second_preferred: usize,
    /// The share of wins, a tie counted as half a win, of the pairs that have a verdict.
    pub win_rate: Interval,
    /// Every pair.
    pub judgements: Vec<PairwiseJudgement>,
}

impl PairwiseReport {
    /// Counts; `seed` decides what the bootstrap draws. None if no pair has a verdict.
    pub fn new(judgements: Vec<PairwiseJudgement>, seed: u64) -> Option<Self> {
        let verdicts: Vec<Verdict> = judgements.iter().filter_map(|it| it.verdict()).collect();
        if verdicts.is_empty() {
            return None;
        }
        let count = |verdict| verdicts.iter().filter(|it| **it == verdict).count();
        let position = |candidate_first| {
            let of = |it: &&PairwiseJudgement| {
                it.prefers_a_position() && it.candidate_first == Some(candidate_first)
            };
            judgements.iter().filter(of).count()
        };
        let worth = |verdict: &Verdict| match verdict {
            Verdict::Win => 1.0,
            Verdict::Tie => 0.5,
            Verdict::Loss => 0.0,
        };
        let worths: Vec<f64> = verdicts.iter().map(worth).collect();
        Some(Self {
            wins: count(Verdict::Win),
            ties: count(Verdict::Tie),
            losses: count(Verdict::Loss),
            without_verdict: judgements.len() - verdicts.len(),
            first_preferred: position(Verdict::Win),
            second_preferred: position(Verdict::Loss),
            win_rate: mean(&worths, seed),
            judgements,
        })
    }

    /// A Markdown table of one line.
    pub fn markdown(&self, candidate: &str, opponent: &str) -> String {
        format!(
            "| candidate | opponent | wins | ties | losses | without verdict | first preferred | second preferred | win rate |\n\
             |---|---|---|---|---|---|---|---|---|\n\
             | {candidate} | {opponent} | {} | {} | {} | {} | {} | {} | {} |\n",
            self.wins,
            self.ties,
            self.losses,
            self.without_verdict,
            self.first_preferred,
            self.second_preferred,
            self.win_rate
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn judgement(first: &str, second: &str) -> PairwiseJudgement {
        PairwiseJudgement::of_texts("1", [first.to_owned(), second.to_owned()])
    }

    #[test]
    fn a_report_counts_wins_and_preferences_for_a_place() {
        let judgements = vec![
            judgement("[[A]]", "[[B]]"),
            judgement("[[A]]", "[[A]]"),
            judgement("[[B]]", "[[B]]"),
            judgement("[[B]]", "[[B]]"),
            judgement("[[B]]", "[[A]]"),
            judgement("no", "[[A]]"),
        ];
        let report = PairwiseReport::new(judgements, 1).unwrap();
        assert_eq!((report.wins, report.ties, report.losses), (1, 3, 1));
        assert_eq!(
            (
                report.without_verdict,
                report.first_preferred,
                report.second_preferred
            ),
            (1, 1, 2)
        );
        assert_eq!(report.win_rate.mean, 0.5);
        assert!(
            report
                .markdown("a", "b")
                .contains("| a | b | 1 | 3 | 1 | 1 | 1 | 2 | 0.500 (")
        );
        assert_eq!(PairwiseReport::new(vec![judgement("", "")], 1), None);
    }
}
