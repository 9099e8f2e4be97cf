//! Properties of the textbook as a whole, and the reading aids of the families' independent solvers.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use super::pattern::expansions;
use super::vocabulary::PEOPLE;
use super::*;

const SPLITS: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

/// Problems of one family: 1,000 of each split.
pub(crate) fn problems(family: ProblemFamily) -> Vec<Problem> {
    let of_split = |split| {
        (0..1_000)
            .map(move |index| problem_of(family, split, &mut ItemRng::for_item(11, split, index)))
    };
    SPLITS.into_iter().flat_map(of_split).collect()
}

/// The words of a text, without punctuation.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Sentences without their final sign.
pub(crate) fn sentences(text: &str) -> Vec<&str> {
    text.split(['.', '?', '!'])
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
        .collect()
}

/// Names of all people.
pub(crate) fn names() -> Vec<&'static str> {
    PEOPLE.iter().map(|person| person.name).collect()
}

/// Those of `candidates` that `text` mentions, in the order of mention.
pub(crate) fn mentions(text: &str, candidates: &[&'static str]) -> Vec<&'static str> {
    words(text)
        .iter()
        .filter_map(|word| {
            candidates
                .iter()
                .find(|candidate| *candidate == word)
                .copied()
        })
        .collect()
}

fn textbook(seed: u64, split: Split, story_ratio: f64) -> Textbook {
    Textbook::new(TextbookConfig {
        seed,
        split,
        story_ratio,
    })
    .unwrap()
}

/// Template ids and the patterns they are made of, for one side of the split.
fn templates(split: Split) -> Vec<(ProblemOrStory, &'static str, Vec<&'static str>)> {
    use ProblemFamily as F;
    let mut all = Vec::new();
    let mut add = |family, id, patterns: Vec<&'static str>| all.push((family, id, patterns));
    word_arithmetic_templates::TEMPLATES
        .of(split)
        .iter()
        .for_each(|t| add(Some(F::WordArithmetic), t.id, vec![t.text]));
    object_tracking::TEMPLATES.of(split).iter().for_each(|t| {
        add(
            Some(F::ObjectTracking),
            t.id,
            vec![
                t.opening,
                t.first_swap,
                t.next_swap,
                t.ask_thing,
                t.ask_owner,
            ],
        );
    });
    ordering::TEMPLATES
        .of(split)
        .iter()
        .for_each(|t| add(Some(F::Ordering), t.id, vec![t.opening, t.clue, t.question]));
    boolean_expressions::TEMPLATES
        .of(split)
        .iter()
        .for_each(|t| {
            add(Some(F::BooleanExpressions), t.id, vec![t.shape, t.question]);
        });
    date_arithmetic::TEMPLATES
        .of(split)
        .iter()
        .for_each(|t| add(Some(F::DateArithmetic), t.id, vec![t.text]));
    counting::TEMPLATES
        .of(split)
        .iter()
        .for_each(|t| add(Some(F::Counting), t.id, vec![t.text]));
    comparison::TEMPLATES
        .of(split)
        .iter()
        .for_each(|t| add(Some(F::Comparison), t.id, vec![t.text]));
    story_plots::PLOTS
        .of(split)
        .iter()
        .for_each(|t| add(None, t.id, vec![t.text]));
    all
}

/// `None` is a story.
type ProblemOrStory = Option<ProblemFamily>;

fn template_ids(split: Split) -> BTreeSet<&'static str> {
    templates(split).into_iter().map(|(_, id, _)| id).collect()
}

fn template_sentences(split: Split) -> BTreeSet<String> {
    let patterns = templates(split)
        .into_iter()
        .flat_map(|(_, _, patterns)| patterns);
    let texts: Vec<String> = patterns.flat_map(expansions).collect();
    texts
        .iter()
        .flat_map(|text| sentences(text))
        .map(str::to_owned)
        .collect()
}

#[test]
fn an_item_is_a_pure_function_of_seed_split_and_index() {
    for split in SPLITS {
        let forwards: Vec<_> = textbook(3, split, 0.3).items(0..500).collect();
        let other = textbook(3, split, 0.3);
        for index in (0..500).rev() {
            assert_eq!(other.item(index), forwards[index as usize]);
        }
    }
}

#[test]
fn seeds_and_splits_give_different_text() {
    let text = |seed, split| {
        textbook(seed, split, 0.0)
            .items(0..100)
            .map(|item| item.text())
            .collect::<BTreeSet<_>>()
    };
    assert!(
        text(1, Split::Train)
            .intersection(&text(2, Split::Train))
            .count()
            < 5
    );
    assert!(
        text(1, Split::Train)
            .intersection(&text(1, Split::Validation))
            .count()
            < 5
    );
    assert!(text(1, Split::Train).is_disjoint(&text(1, Split::Test)));
}

#[test]
fn train_and_test_share_no_template_and_no_sentence() {
    let (train, test) = (template_ids(Split::Train), template_ids(Split::Test));
    assert_eq!(
        train.intersection(&test).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
    assert_eq!(train, template_ids(Split::Validation));
    assert_eq!(train.len(), templates(Split::Train).len(), "ids are unique");
    let (train, test) = (
        template_sentences(Split::Train),
        template_sentences(Split::Test),
    );
    assert_eq!(
        train.intersection(&test).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}

#[test]
fn every_family_has_enough_templates() {
    for family in ProblemFamily::all().iter().copied().map(Some).chain([None]) {
        let count = |split| {
            templates(split)
                .iter()
                .filter(|template| template.0 == family)
                .count()
        };
        let (train, test) = if family.is_some() { (10, 4) } else { (12, 4) };
        assert!(count(Split::Train) >= train, "{family:?}");
        assert!(count(Split::Test) >= test, "{family:?}");
    }
}

#[test]
fn every_template_is_used() {
    for split in SPLITS {
        let used: BTreeSet<_> = textbook(8, split, 0.2)
            .items(0..8_000)
            .map(|item| match item {
                TextbookItem::Story(story) => story.template,
                TextbookItem::Problem(problem) => problem.template,
            })
            .collect();
        assert_eq!(used, template_ids(split));
    }
}

#[test]
fn texts_are_short_and_clean() {
    for split in SPLITS {
        for item in textbook(4, split, 0.2).items(0..5_000) {
            let text = item.text();
            assert!(text.len() < 700, "{text}");
            assert!(text.is_ascii() && text.ends_with('\n'), "{text}");
            for flaw in ["  ", " .", " ?", " ,", "..", "{", "}", "[", "]", "|"] {
                assert!(!text.contains(flaw), "{flaw:?} in {text}");
            }
            for vowel in ["a a", "a e", "a i", "a o", "a u"] {
                assert!(
                    !text.contains(&format!(" {vowel}"))
                        || vowel == "a a" && text.contains(" a and"),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn the_test_split_has_no_word_that_training_lacks_and_words_are_few() {
    let words_of = |split| {
        let texts = textbook(6, split, 0.3)
            .items(0..12_000)
            .map(|item| item.text());
        texts
            .flat_map(|text| words(&text))
            .filter(|word| word.parse::<u32>().is_err())
            .collect::<BTreeSet<_>>()
    };
    let (train, test) = (words_of(Split::Train), words_of(Split::Test));
    assert_eq!(
        test.difference(&train).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    let distinct = train
        .iter()
        .map(|word| word.to_lowercase())
        .collect::<BTreeSet<_>>()
        .len();
    assert!((200..=350).contains(&distinct), "{distinct} distinct words");
}

#[test]
fn no_answer_is_more_than_twice_as_frequent_as_chance() {
    for family in ProblemFamily::all() {
        let all = problems(*family);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        all.iter()
            .for_each(|problem| *counts.entry(&problem.answer).or_default() += 1);
        let (answer, count) = counts.iter().max_by_key(|(_, count)| **count).unwrap();
        let share = *count as f64 / all.len() as f64;
        assert!(
            share < 2.0 * chance_accuracy(&all),
            "{family}: {answer} in {share} of the problems"
        );
    }
}

#[test]
fn families_and_stories_appear_in_the_shares_asked_for() {
    let items: Vec<_> = textbook(2, Split::Train, 0.25).items(0..8_000).collect();
    let stories = items
        .iter()
        .filter(|item| matches!(item, TextbookItem::Story(_)))
        .count();
    assert!((1_800..2_200).contains(&stories), "{stories}");
    for family in ProblemFamily::all() {
        let of_family = |item: &&TextbookItem| matches!(item, TextbookItem::Problem(problem) if problem.family == *family);
        let count = items.iter().filter(of_family).count();
        assert!((720..1_000).contains(&count), "{family}: {count}");
    }
}

#[test]
fn a_story_ratio_outside_zero_to_one_is_refused() {
    for story_ratio in [-0.1, 1.5, f64::NAN] {
        let refused = Textbook::new(TextbookConfig {
            seed: 1,
            split: Split::Train,
            story_ratio,
        });
        assert!(refused.unwrap_err().to_string().contains("from 0 to 1"));
    }
    assert!(
        textbook(1, Split::Train, 1.0)
            .items(0..100)
            .all(|item| matches!(item, TextbookItem::Story(_)))
    );
}
