//! All filters together over a corpus with something planted for each.

#![allow(clippy::unwrap_used)]

use alambic_synth::{
    EvaluationQuestion, Filter, FilterConfig, FilterDocument, FilterReport, FilterStage,
    FilterVerdict, JudgedText, LogisticRegressionConfig, QualityClassifier, QualityFeatures,
    QualityTraining, RemovalReason,
};
use alambic_text::{Split, Textbook, TextbookConfig};

const QUESTION: &str = "A rope of 91 metres is cut into two parts, one of which is six times as long as the other. How long is the shorter part?";

fn stories(seed: u64, count: u64) -> Vec<String> {
    let config = TextbookConfig {
        seed,
        split: Split::Train,
        story_ratio: 1.0,
    };
    let items = Textbook::new(config).unwrap().items(0..count);
    items.map(|item| item.text()).collect()
}

/// A corpus and, for each document, the filter that removes it.
fn corpus() -> Vec<(String, Option<FilterStage>)> {
    let mut all: Vec<(String, Option<FilterStage>)> = Vec::new();
    let long: Vec<String> = stories(1, 60)
        .chunks(6)
        .map(|stories| stories.join("\n"))
        .collect();
    all.extend(long.iter().map(|text| (text.clone(), None)));
    let edited = long[3].replacen("was", "seemed", 1);
    let german = "Der alte Müller ging zum Fluss hinunter, um nach seinem verlorenen Boot zu suchen, und fand es nicht. ";
    let sentence = "I am not sure whether it was the fox. ";
    all.extend([
        ("Too short.".to_owned(), Some(FilterStage::Length)),
        (german.repeat(2), Some(FilterStage::Language)),
        (format!("{} {{}}", long[0]), Some(FilterStage::Heuristics)),
        (
            format!("{}{}", long[1], sentence.repeat(9)),
            Some(FilterStage::Repetition),
        ),
        (
            "Click here to buy 77 boats at the best price, share it with friends now".to_owned(),
            Some(FilterStage::Quality),
        ),
        (
            format!("{}\n{QUESTION}", long[4]),
            Some(FilterStage::Decontamination),
        ),
        (
            format!("{}\n{}", long[4], QUESTION.replace("91", "84")),
            Some(FilterStage::Decontamination),
        ),
        (long[2].to_uppercase(), Some(FilterStage::ExactDuplicates)),
        (edited, Some(FilterStage::NearDuplicates)),
    ]);
    all
}

fn classifier() -> QualityClassifier {
    let good = stories(2, 60).into_iter().map(|text| (text, 1.0));
    let bad = (0..60).map(|i| {
        (
            format!("Click here to buy {i} boats at the best price, share it with friends now"),
            0.0,
        )
    });
    let judged: Vec<JudgedText> = good
        .chain(bad)
        .map(|(text, label)| JudgedText { text, label })
        .collect();
    let training = QualityTraining {
        features: QualityFeatures::default(),
        regression: LogisticRegressionConfig::default(),
        held_out_ratio: 0.2,
        seed: 17,
    };
    let (classifier, report) = QualityClassifier::train(&judged, &training).unwrap();
    assert_eq!(report.auc, Some(1.0));
    classifier
}

fn filter(directory: &std::path::Path) -> Filter {
    let path = directory.join("quality.json");
    std::fs::write(&path, classifier().to_json().unwrap()).unwrap();
    let config = format!(
        r#"
        [length]
        min_words = 10
        [language]
        keep = ["eng"]
        min_confidence = 0.5
        unsure = "keep"
        [heuristics]
        max_curly_brackets = 0
        [repetition]
        max_end_loop_characters = 100
        [quality]
        classifier = '{}'
        min_probability = 0.5
        [decontamination]
        [exact_duplicates]
        same = "words"
        [near_duplicates]
        "#,
        path.display()
    );
    let questions = vec![EvaluationQuestion {
        set: "ropes".into(),
        question: "7".into(),
        text: QUESTION.into(),
    }];
    Filter::new(config.parse::<FilterConfig>().unwrap(), questions).unwrap()
}

#[test]
fn each_filter_removes_what_was_planted_for_it_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let filter = filter(directory.path());
    let corpus = corpus();
    let ids: Vec<String> = (0..corpus.len())
        .map(|number| format!("d{number}"))
        .collect();
    let documents: Vec<FilterDocument<'_>> = corpus
        .iter()
        .zip(&ids)
        .map(|((text, _), id)| FilterDocument { id, text })
        .collect();
    let outcome = filter.apply(&documents).unwrap();
    for (position, (text, expected)) in corpus.iter().enumerate() {
        let removal = outcome.removal(position as u64);
        assert_eq!(removal.map(|removal| removal.filter), *expected, "{text}");
    }
    let RemovalReason::DuplicateOf {
        position,
        similarity,
    } = outcome.removal(corpus.len() as u64 - 1).unwrap().reason
    else {
        panic!("the last document is a duplicate");
    };
    assert_eq!(position, 3);
    assert!(similarity > 0.8);

    let report = &outcome.report;
    assert_eq!((report.documents, report.kept), (19, 10));
    assert_eq!(
        report.stages.iter().map(|stage| stage.removed).sum::<u64>(),
        9
    );
    assert_eq!(report.stages[5].by_reason["ropes"], 2);
    assert_eq!(
        report.decontamination.as_ref().unwrap().removed[0].document,
        "d15"
    );
    let json = serde_json::to_string(report).unwrap();
    assert_eq!(
        &serde_json::from_str::<FilterReport>(&json).unwrap(),
        report
    );
    assert!(
        report
            .to_markdown()
            .contains("| decontamination | 14 | 2 | ropes 2 |"),
        "{}",
        report.to_markdown()
    );
}

#[test]
fn pieces_of_a_stream_get_the_verdicts_of_the_whole() {
    let directory = tempfile::tempdir().unwrap();
    let filter = filter(directory.path());
    let corpus = corpus();
    let documents: Vec<FilterDocument<'_>> = corpus
        .iter()
        .map(|(text, _)| FilterDocument { id: "x", text })
        .collect();
    let whole = filter.apply(&documents).unwrap();
    let mut run = filter.start().unwrap();
    let mut position = 0;
    for piece in documents.chunks(4) {
        for verdict in run.read(piece).unwrap() {
            match verdict {
                FilterVerdict::Removed(removal) => {
                    assert_eq!(whole.removal(position), Some(&removal))
                }
                FilterVerdict::Undecided => (),
                FilterVerdict::Kept => panic!("near-duplicates are not known yet"),
            }
            position += 1;
        }
    }
    let pieces = run.finish();
    assert!(pieces.removals().eq(whole.removals()));
}

#[test]
fn without_near_duplicates_every_verdict_is_known_at_once() {
    let filter = Filter::new(
        "[exact_duplicates]\nsame = 'bytes'".parse().unwrap(),
        Vec::new(),
    )
    .unwrap();
    let mut run = filter.start().unwrap();
    let verdicts = run.read(&[FilterDocument { id: "a", text: "x" }]).unwrap();
    assert_eq!(verdicts, [FilterVerdict::Kept]);
}

#[test]
fn questions_and_the_section_that_looks_for_them_belong_together() {
    let error = Filter::new("[decontamination]".parse().unwrap(), Vec::new()).unwrap_err();
    assert!(error.to_string().contains("found no questions"), "{error}");
    let question = EvaluationQuestion {
        set: "s".into(),
        question: "q".into(),
        text: QUESTION.into(),
    };
    let error = Filter::new(FilterConfig::default(), vec![question]).unwrap_err();
    assert!(
        error.to_string().contains("questions without a section"),
        "{error}"
    );
}

#[test]
fn questions_are_read_from_json_lines_and_a_wrong_line_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("questions.jsonl");
    let line = r#"{"set": "s", "question": "1", "text": "How long?"}"#;
    std::fs::write(&path, format!("{line}\n\n{line}\n")).unwrap();
    assert_eq!(EvaluationQuestion::read_json_lines(&path).unwrap().len(), 2);
    std::fs::write(&path, format!("{line}\n{{}}\n")).unwrap();
    let error = EvaluationQuestion::read_json_lines(&path)
        .unwrap_err()
        .to_string();
    assert!(error.contains("questions.jsonl, line 2"), "{error}");
}
