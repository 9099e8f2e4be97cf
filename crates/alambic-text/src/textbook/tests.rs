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

/// Ids of the templates of one side of the split, with their families.
fn templates(split: Split) -> Vec<(ProblemOrStory, &'static str)> {
    use ProblemFamily as F;
    let is_test = split == Split::Test;
    let side = |train, test| if is_test { test } else { train };
    let pick = |family, sentences: &[(&'static str, &'static str)]| {
        sentences
            .iter()
            .map(|(id, _)| (Some(family), *id))
            .collect::<Vec<_>>()
    };
    let dates = if is_test {
        &date_arithmetic::TEST
    } else {
        &date_arithmetic::TRAIN
    };
    let counts = if is_test {
        &counting::TEST
    } else {
        &counting::TRAIN
    };
    let comparisons = if is_test {
        &comparison::TEST
    } else {
        &comparison::TRAIN
    };
    let frames = word_arithmetic_templates::FRAMES.of(split).iter();
    [
        frames
            .map(|frame| (Some(F::WordArithmetic), frame.id))
            .collect(),
        pick(
            F::ObjectTracking,
            side(
                object_tracking::TRAIN.openings,
                object_tracking::TEST.openings,
            ),
        ),
        pick(
            F::Ordering,
            side(ordering::TRAIN.clues, ordering::TEST.clues),
        ),
        pick(
            F::BooleanExpressions,
            side(
                boolean_expressions::TRAIN.shapes,
                boolean_expressions::TEST.shapes,
            ),
        ),
        pick(F::DateArithmetic, dates.starts),
        dates
            .direct
            .iter()
            .map(|template| (Some(F::DateArithmetic), template.id))
            .collect(),
        pick(F::Counting, counts.lists),
        pick(F::Counting, counts.direct),
        pick(F::Comparison, comparisons.numbers),
        pick(F::Comparison, comparisons.owners),
        story_plots::PLOTS
            .of(split)
            .iter()
            .map(|plot| (None, plot.id))
            .collect(),
    ]
    .concat()
}

/// Every sentence pattern of one side of the split, of all families and stories.
fn patterns(split: Split) -> Vec<&'static str> {
    let is_test = split == Split::Test;
    let tracking = if is_test {
        &object_tracking::TEST
    } else {
        &object_tracking::TRAIN
    };
    let ordering = if is_test {
        &ordering::TEST
    } else {
        &ordering::TRAIN
    };
    let dates = if is_test {
        &date_arithmetic::TEST
    } else {
        &date_arithmetic::TRAIN
    };
    let counts = if is_test {
        &counting::TEST
    } else {
        &counting::TRAIN
    };
    let comparisons = if is_test {
        &comparison::TEST
    } else {
        &comparison::TRAIN
    };
    let booleans = if is_test {
        &boolean_expressions::TEST
    } else {
        &boolean_expressions::TRAIN
    };
    let texts = |named: &[(&'static str, &'static str)]| {
        named.iter().map(|(_, text)| *text).collect::<Vec<_>>()
    };
    let frames = word_arithmetic_templates::FRAMES.of(split).iter();
    let arithmetic = frames.flat_map(|frame| {
        frame
            .events
            .iter()
            .map(|event| event.text)
            .chain([frame.start, frame.question])
    });
    [
        arithmetic.collect(),
        texts(tracking.openings),
        tracking.first_swaps.to_vec(),
        tracking.next_swaps.to_vec(),
        tracking.ask_thing.to_vec(),
        tracking.ask_owner.to_vec(),
        ordering.openings.to_vec(),
        texts(ordering.clues),
        ordering.questions.to_vec(),
        booleans.questions.to_vec(),
        dates.direct.iter().map(|template| template.text).collect(),
        texts(dates.starts),
        dates.after.to_vec(),
        dates.before.to_vec(),
        dates.questions.to_vec(),
        texts(counts.lists),
        counts.questions.to_vec(),
        texts(counts.direct),
        texts(comparisons.numbers),
        texts(comparisons.owners),
        comparisons.questions.to_vec(),
        framing::OPENINGS.of(split).to_vec(),
        framing::INTERLUDES.of(split).to_vec(),
        story_plots::PLOTS
            .of(split)
            .iter()
            .map(|plot| plot.text)
            .collect(),
    ]
    .concat()
}

/// `None` is a story.
type ProblemOrStory = Option<ProblemFamily>;

fn template_ids(split: Split) -> BTreeSet<&'static str> {
    templates(split).into_iter().map(|(_, id)| id).collect()
}

fn template_sentences(split: Split) -> BTreeSet<String> {
    let texts: Vec<String> = patterns(split).into_iter().flat_map(expansions).collect();
    texts
        .iter()
        .flat_map(|text| sentences(text))
        .map(str::to_owned)
        .collect()
}

/// Shapes of the expressions that problems of `split` hold.
fn boolean_shapes(split: Split) -> BTreeSet<String> {
    let problems = (0..5_000)
        .map(|index| boolean_expressions::problem(split, &mut ItemRng::for_item(1, split, index)));
    let first = |problem: Problem| problem.explanation.split(" = ").next().unwrap().to_owned();
    problems
        .map(|problem| first(problem).replace("True", "x").replace("False", "x"))
        .collect()
}

#[test]
fn train_and_test_share_no_shape_of_an_expression() {
    let (train, test) = (boolean_shapes(Split::Train), boolean_shapes(Split::Test));
    assert!(train.is_disjoint(&test), "{:?}", train.intersection(&test));
    assert_eq!(test.len(), boolean_expressions::TEST.shapes.len());
    assert!(train.len() > 60, "{}", train.len());
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
