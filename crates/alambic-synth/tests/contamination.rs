//! Planted evaluation questions are found; other documents of the same kind are kept.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use alambic_synth::{
    ContaminatedDocument, ContaminationIndex, DecontaminationConfig, DecontaminationReport,
    EvaluationQuestion, SearchedBy,
};
use alambic_text::{Split, Textbook, TextbookConfig, TextbookItem};

/// Questions in the manner of school mathematics and of general knowledge, in our own words.
const QUESTIONS: [&str; 8] = [
    "A baker sells 48 rolls in the morning and half as many in the afternoon. Each roll costs 3 coins. How many coins does she take in on that day?",
    "Two trains leave towns that are 180 kilometres apart at the same time and drive towards each other, one at 40 and one at 50 kilometres an hour. After how many hours do they meet?",
    "A rope of 91 metres is cut into two parts, one of which is six times as long as the other. How long is the shorter part?",
    "Nora reads 12 pages on Monday and every day two pages more than the day before. How many pages has she read by Friday evening?",
    "Which gas do plants take in from the air when they make sugar with the help of light?",
    "If every blip is a blop and no blop is a blup, can a blip ever be a blup?",
    "What is the name of the line that divides the Earth into a northern and a southern half?",
    "The sum of three numbers in a row is 72. What is the largest of them?",
];

fn questions(texts: impl IntoIterator<Item = String>) -> Vec<EvaluationQuestion> {
    let numbered = texts.into_iter().enumerate();
    let question = |(number, text): (usize, String)| EvaluationQuestion {
        set: "planted".into(),
        question: number.to_string(),
        text,
    };
    numbered.map(question).collect()
}

fn index(texts: impl IntoIterator<Item = String>) -> ContaminationIndex {
    ContaminationIndex::new(DecontaminationConfig::default(), questions(texts)).unwrap()
}

fn is_found(index: &ContaminationIndex, number: usize, document: &str) -> bool {
    index
        .find(document)
        .is_some_and(|found| found.question == number.to_string())
}

/// The text with its word at `place` replaced.
fn with_word(text: &str, place: usize, word: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    words[place] = word;
    words.join(" ")
}

#[test]
fn questions_are_found_verbatim_and_with_other_case_punctuation_and_white_space() {
    let index = index(QUESTIONS.map(String::from));
    for (number, question) in QUESTIONS.iter().enumerate() {
        let bare: String = question
            .chars()
            .filter(|c| !c.is_ascii_punctuation())
            .collect();
        for document in [
            question.to_string(),
            question.to_uppercase(),
            question.replace(' ', "\n\t "),
            bare,
            question.replace(' ', " — "),
        ] {
            assert!(is_found(&index, number, &document), "{document}");
        }
    }
}

#[test]
fn questions_are_found_in_the_middle_of_longer_documents() {
    let index = index(QUESTIONS.map(String::from));
    let around = "The miller had a donkey that did not want to walk, whatever he gave it to eat. "
        .repeat(200);
    for (number, question) in QUESTIONS.iter().enumerate() {
        let document =
            format!("{around}\n\nExercise 7. {question} Write down your reasons.\n\n{around}");
        let found = index.find(&document).unwrap();
        assert_eq!(
            (found.question.clone(), found.overlap()),
            (number.to_string(), 1.0)
        );
        assert!(
            found.passage.len() < question.len() + 40,
            "{}",
            found.passage
        );
    }
}

#[test]
fn any_one_word_or_number_may_be_changed() {
    let index = index(QUESTIONS.map(String::from));
    for (number, question) in QUESTIONS.iter().enumerate() {
        for place in 0..question.split(' ').count() {
            for word in ["other", "1234", ""] {
                let document = with_word(question, place, word);
                assert!(is_found(&index, number, &document), "{document}");
            }
        }
    }
}

#[test]
fn two_words_may_be_changed_where_that_is_asked_for_and_questions_are_long_enough() {
    let config = DecontaminationConfig {
        edited_words: 2,
        ..Default::default()
    };
    let long = QUESTIONS
        .into_iter()
        .filter(|question| question.split(' ').count() >= 19);
    let long: Vec<String> = long.map(String::from).collect();
    let index = ContaminationIndex::new(config, questions(long.clone())).unwrap();
    for (number, question) in long.iter().enumerate() {
        let words = question.split(' ').count();
        for first in 0..words {
            for second in first..words {
                let document = with_word(&with_word(question, first, "other"), second, "17");
                assert!(is_found(&index, number, &document), "{document}");
            }
        }
    }
}

#[test]
fn documents_about_the_same_things_are_kept() {
    let index = index(QUESTIONS.map(String::from));
    for document in [
        "A baker sells bread in the morning. How many coins does she take in on a good day? That depends on the price of each roll.",
        "Plants take in a gas from the air and make sugar from it, with the help of light. Which gas that is was found out late.",
        "What is the name of the capital of Peru? What is the largest of the numbers 3, 9 and 4?",
        "Two trains leave the same town in the same direction, one an hour after the other. When does the second overtake the first?",
    ] {
        assert_eq!(index.find(document), None, "{document}");
    }
}

#[test]
fn short_questions_are_found_as_a_whole_and_the_shortest_are_named_as_not_looked_for() {
    let texts = ["How many legs has a spider?", "Who is it?"].map(String::from);
    let index = index(texts);
    assert_eq!(
        index.searches(),
        [SearchedBy::AllWords, SearchedBy::Nothing]
    );
    assert!(is_found(
        &index,
        0,
        "Tell me: how many legs has a spider, please"
    ));
    assert_eq!(index.find("How many legs has a beetle?"), None);
    assert_eq!(index.find("Who is it?"), None);
    let report = DecontaminationReport::new(&index, 0, Vec::new());
    assert_eq!(report.sets["planted"].not_looked_for, ["1"]);
}

#[test]
fn the_report_counts_sets_questions_and_documents() {
    let mut all = questions(QUESTIONS.map(String::from));
    all.push(EvaluationQuestion {
        set: "other".into(),
        question: "copy".into(),
        text: QUESTIONS[2].to_lowercase(),
    });
    let index = ContaminationIndex::new(DecontaminationConfig::default(), all).unwrap();
    let documents = [
        QUESTIONS[2],
        "Nothing of the kind.",
        QUESTIONS[2],
        QUESTIONS[5],
    ];
    let found = index.find_all(&documents).into_iter().enumerate();
    let removed = found.filter_map(|(number, found)| {
        Some(ContaminatedDocument {
            document: format!("document {number}"),
            contamination: found?,
        })
    });
    let report = DecontaminationReport::new(&index, documents.len(), removed.collect());
    assert_eq!(report.sets["planted"].documents_removed, 3);
    assert_eq!(report.sets["planted"].questions_found, 2);
    assert_eq!(report.sets["other"].documents_removed, 0);
    assert_eq!(report.removed[0].contamination.same_questions, 1);
    let markdown = report.to_markdown();
    assert!(
        markdown.contains("3 of 4 documents were removed"),
        "{markdown}"
    );
    assert!(
        markdown.contains("| document 3 | planted | 5 |"),
        "{markdown}"
    );
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(
        serde_json::from_str::<DecontaminationReport>(&json).unwrap(),
        report
    );
}

fn problems(seed: u64, split: Split, count: u64) -> Vec<String> {
    let config = TextbookConfig {
        seed,
        split,
        story_ratio: 0.0,
    };
    let items = Textbook::new(config).unwrap().items(0..count);
    let problem = |item| match item {
        TextbookItem::Problem(problem) => Some(problem.question),
        TextbookItem::Story(_) => None,
    };
    items.filter_map(problem).collect()
}

/// Words as the index compares them.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Share of 4,000 training problems that are removed for 1,000 validation problems of the same templates.
fn removed_ratio(config: DecontaminationConfig) -> f64 {
    let asked = questions(problems(1, Split::Validation, 1000));
    let index = ContaminationIndex::new(config, asked).unwrap();
    let documents = problems(2, Split::Train, 4000);
    let removed = documents
        .iter()
        .filter(|document| index.find(document).is_some());
    removed.count() as f64 / documents.len() as f64
}

#[test]
fn problems_of_the_same_templates_are_kept_but_for_those_that_are_almost_questions() {
    let by_own_ngrams = removed_ratio(DecontaminationConfig::default());
    let by_all_ngrams = removed_ratio(DecontaminationConfig {
        max_questions_of_ngram: usize::MAX,
        ..Default::default()
    });
    let by_any_common_8_gram = removed_ratio(DecontaminationConfig {
        max_ngram_words: 8,
        min_ngram_words: 8,
        min_overlap: f64::MIN_POSITIVE,
        edited_words: 0,
        max_questions_of_ngram: usize::MAX,
        ..Default::default()
    });
    let found = [by_own_ngrams, by_all_ngrams, by_any_common_8_gram];
    assert!(
        found[0] < 0.05 && found[0] < found[1] && found[1] < found[2],
        "{found:?}"
    );
}

#[test]
fn problems_that_are_in_both_by_chance_are_removed() {
    let asked = problems(1, Split::Validation, 1000);
    let asked_words: HashSet<Vec<String>> = asked.iter().map(|text| words(text)).collect();
    let index = index(asked);
    let mut both = 0;
    for document in problems(2, Split::Train, 4000) {
        let own = words(&document);
        if own.len() >= 5 && asked_words.contains(&own) {
            both += 1;
            assert!(index.find(&document).is_some(), "{document}");
        }
    }
    assert!(both > 0);
}
