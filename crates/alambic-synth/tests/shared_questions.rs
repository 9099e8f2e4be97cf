//! Real questions from the shared data directory: edited ones are found, and others of the same set are not.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::path::Path;

use alambic_synth::{ContaminationIndex, DecontaminationConfig, EvaluationQuestion, SearchedBy};
use serde_json::Value;

/// The training questions of GSM8K, or a loud line if they are not there.
fn gsm8k() -> Option<Vec<String>> {
    let directory = std::env::var_os("ALAMBIC_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        Into::into,
    );
    let path = directory.join("data/gsm8k-train/train.jsonl");
    let Ok(lines) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: needs {} (set ALAMBIC_SHARED)", path.display());
        return None;
    };
    let question = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["question"].as_str().unwrap().to_owned()
    };
    Some(lines.lines().map(question).collect())
}

/// The text with one word, chosen by `number`, replaced by another.
fn with_a_word_changed(text: &str, number: usize) -> String {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let place = number * 7919 % words.len();
    words[place] = "37";
    words.join(" ")
}

#[test]
fn edited_questions_of_gsm8k_are_found_and_the_others_kept() {
    const EVALUATED: usize = 1000;
    let Some(all) = gsm8k() else { return };
    let (evaluated, others) = all.split_at(EVALUATED);
    let questions = evaluated.iter().enumerate();
    let questions = questions.map(|(number, text)| EvaluationQuestion {
        set: "gsm8k".into(),
        question: number.to_string(),
        text: text.clone(),
    });
    let index =
        ContaminationIndex::new(DecontaminationConfig::default(), questions.collect()).unwrap();
    let by_ngrams = index
        .searches()
        .iter()
        .filter(|search| matches!(search, SearchedBy::Ngrams(_)))
        .count();
    assert!(by_ngrams >= EVALUATED - 5, "{by_ngrams}");
    let is_found = |text: &str, number: usize| {
        index
            .find(text)
            .is_some_and(|found| found.question == number.to_string())
    };
    let mut edited = 0;
    for (number, text) in evaluated.iter().enumerate() {
        assert!(is_found(&text.to_uppercase(), number), "{text}");
        edited += usize::from(is_found(&with_a_word_changed(text, number), number));
    }
    // What white space separates may be several words, such as `twenty-five`.
    assert!(edited * 100 >= 99 * EVALUATED, "{edited} of {EVALUATED}");
    let removed = others.iter().filter(|text| index.find(text).is_some());
    // One of 6,473: a company with 100 employees rather than 200, and otherwise the same.
    assert!(removed.count() <= 1);
}
