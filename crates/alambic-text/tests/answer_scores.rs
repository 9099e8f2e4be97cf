//! Scores of answers beside those of other programs (`tools/golden/record_answer_scores.py`).
#![allow(clippy::unwrap_used)]

use std::path::Path;

use alambic_text::{
    AcceptedAnswers, AnswerComparison, OverlapMeasure, OverlapNormalisation, rouge_l,
};
use serde::Deserialize;

/// Divisions in another order.
const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Recorded {
    /// Candidate, reference, precision, recall, F measure.
    rouge_l: Vec<(String, String, f64, f64, f64)>,
    /// Given answer, accepted spans, exact match, F1.
    drop: Vec<(String, Vec<String>, f64, f64)>,
}

fn recorded() -> Recorded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/answer_scores.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn rouge_l_equals_that_of_rouge_score() {
    let pairs = recorded().rouge_l;
    assert_eq!(pairs.len(), 100);
    for (candidate, reference, precision, recall, f_measure) in pairs {
        let found = rouge_l(&candidate, &reference);
        for (found, expected) in [
            (found.precision, precision),
            (found.recall, recall),
            (found.f_measure, f_measure),
        ] {
            let error = (found - expected).abs();
            assert!(error < TOLERANCE, "{candidate:?} {reference:?}: {error}");
        }
    }
}

#[test]
fn drop_scores_equal_those_of_lm_eval() {
    let pairs = recorded().drop;
    assert_eq!(pairs.len(), 100);
    for (given, spans, exact_match, f1) in pairs {
        let accepted = AcceptedAnswers {
            answers: vec![spans.clone()],
            choices: vec![],
        };
        for (measure, expected) in [
            (OverlapMeasure::ExactMatch, exact_match),
            (OverlapMeasure::F1, f1),
        ] {
            let comparison = AnswerComparison::Overlap {
                normalisation: OverlapNormalisation::Drop,
                measure,
            };
            let found = comparison.score(&given, &accepted);
            let error = (found - expected).abs();
            assert!(error < TOLERANCE, "{given:?} {spans:?}: {found} {expected}");
        }
    }
}
