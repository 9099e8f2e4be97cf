//! Object tracking: three friends swap what they hold, and the state is written after each swap.

use super::framing::framed;
use super::item_rng::ItemRng;
use super::pattern::{Slots, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{ANIMALS, OBJECTS, PEOPLE, PLACES, TOYS, WEEKDAYS};
use crate::Split;

/// Three friends, so three answers.
const FRIENDS: usize = 3;

/// Sentences that problems are put together from: `{a}` belongs to `{A}`, `{x}` and `{y}` swap,
/// `{Q}` and `{q}` are asked for.
pub(super) struct TrackingSentences {
    /// Ids and sentences; the opening names the template.
    pub(super) openings: &'static [(&'static str, &'static str)],
    pub(super) first_swaps: &'static [&'static str],
    pub(super) next_swaps: &'static [&'static str],
    pub(super) ask_thing: &'static [&'static str],
    pub(super) ask_owner: &'static [&'static str],
}

#[rustfmt::skip]
pub(super) const TRAIN: TrackingSentences = TrackingSentences {
    openings: &[
        ("tracking/has", "[{A} has|At home {A} has|Now {A} has] the {a}, {B} has the {b} and {C} has the {c}."),
        ("tracking/friends", "[Three friends play|Some friends meet {at}|They go {to}]. {A} has a {a}, {B} has a {b} and {C} has a {c}."),
        ("tracking/gets", "[{A} gets|{At} {A} gets] the {a}. {B} gets the {b}. {C} gets the {c}."),
        ("tracking/is_with", "The {a} is with {A}, the {b} is with {B} and the {c} is with {C}."),
        ("tracking/finds", "[{A}|On {day} {A}|{At} {A}] finds a {a}, {B} finds a {b}, and {C} finds a {c}."),
        ("tracking/buys", "[At the shop {A}|{A}] buys a {a}. {B} buys a {b} and {C} buys a {c}."),
        ("tracking/bag", "There is a {a} in the bag of {A}, a {b} in the bag of {B} and a {c} in the bag of {C}."),
        ("tracking/takes", "[First {A}|{A}|Then {A}] takes the {a}, {B} takes the {b} and {C} takes the {c}."),
        ("tracking/plays", "[{A}|{At} {A}|At school {A}] plays with the {a}. {B} plays with the {b}. {C} plays with the {c}."),
        ("tracking/had", "[At school {A}|{A}|On {day} {A}] had the {a}, but {B} had the {b}, and {C} had the {c}."),
        ("tracking/wants", "{A} wants the {a} and gets it. {B} wants the {b} and gets it. {C} wants the {c} and gets it."),
    ],
    first_swaps: &[
        "{x} and {y} swap.", "[First|Then|Later|Now] {x} and {y} swap.", "{x} swaps with {y}.", "[First|Then|Later|At home] {x} swaps with {y}.",
        "{x} and {y} swap [first|things|what they have].", "{x} wants to swap with {y}, and they swap.", "{x} and {y} want to swap. So they swap.",
        "On {day} {x} [swaps with {y}|and {y} swap].", "On the way home {x} [swaps with {y}|and {y} swap].", "But {x} and {y} [swap|also swap].",
    ],
    next_swaps: &[
        "{x} and {y} swap.", "[Then|Later|Now|After that] {x} and {y} swap.", "{x} swaps with {y}.", "[Then|Later|After that|At home] {x} swaps with {y}.",
        "{x} and {y} [also swap|swap again|swap things].", "{x} wants to swap with {y}, and they swap.", "{x} and {y} want to swap. So they swap.",
        "{At} {x} [swaps with {y}|and {y} swap].", "But then {x} [swaps with {y}|and {y} swap].",
    ],
    ask_thing: &[
        "What does {Q} have now?", "What does {Q} have in the end?", "Which one does {Q} have?", "What is with {Q} now?",
        "What does {Q} have at home?", "Which thing does {Q} have now?", "Find out what {Q} has now.", "What does {Q} have?",
    ],
    ask_owner: &[
        "Who has the {q} now?", "Who has the {q} in the end?", "Who has the {q}?", "Who is the {q} with?",
        "Who has the {q} at home?", "Which of them has the {q} now?", "Find out who has the {q} now.", "Who has the {q} at last?",
    ],
};

#[rustfmt::skip]
pub(super) const TEST: TrackingSentences = TrackingSentences {
    openings: &[
        ("tracking/test_has", "[{A} has|Here {A} has] the {a}. {B} has the {b}. {C} has the {c}."),
        ("tracking/test_find", "[Some friends are {at}|The friends are here]. {A} finds the {a}, {B} finds the {b} and {C} finds the {c}."),
        ("tracking/test_buy", "[The next day|Today] {A} buys the {a}, {B} buys the {b} and {C} buys the {c}."),
        ("tracking/test_with", "The {a} is with {A}. The {b} is with {B}. The {c} is with {C}."),
        ("tracking/test_gets", "[At school|By the tree] {A} gets a {a}, {B} gets a {b} and {C} gets a {c}."),
    ],
    first_swaps: &["[Soon|Today|So] {x} and {y} swap.", "[Soon|Today|So] {x} swaps with {y}.", "{x} wants to swap with {y}. They swap."],
    next_swaps: &["[Next|The next day|Soon] {x} and {y} swap.", "[Next|The next day|Soon] {x} swaps with {y}."],
    ask_thing: &["Now what does {Q} have?", "Which thing does {Q} have in the end?", "What is with {Q} at last?", "What does {Q} have after that?"],
    ask_owner: &["Now who has the {q}?", "In the end, who has the {q}?", "Who is the {q} with now?", "Who has the {q} after that?"],
};

/// Who holds what, in the order in which the friends were named.
type Holdings = [(&'static str, &'static str); FRIENDS];

/// Makes a problem with one or two swaps.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let sentences = match split {
        Split::Train | Split::Validation => &TRAIN,
        Split::Test => &TEST,
    };
    let (template, opening) = *rng.pick(sentences.openings);
    let names = rng
        .pick_distinct::<_, FRIENDS>(PEOPLE)
        .map(|person| person.name);
    let things: [&str; FRIENDS] = rng.pick_distinct(&[ANIMALS, OBJECTS, TOYS].concat());
    let mut holdings: Holdings = std::array::from_fn(|friend| (names[friend], things[friend]));
    let slots = slots_of(&holdings, rng);
    let mut story = vec![render(opening, &slots, rng)];
    let mut steps = vec![format!("{}.", describe(&holdings))];
    for swap in 0..rng.number(1..=2) {
        let [first, second] = rng.pick_distinct(&[0, 1, 2]);
        let patterns = if swap == 0 {
            sentences.first_swaps
        } else {
            sentences.next_swaps
        };
        let slots = slots
            .clone()
            .with("x", names[first])
            .with("y", names[second]);
        story.push(render(rng.pick::<&str>(patterns), &slots, rng));
        let moved = holdings[first].1;
        holdings[first].1 = holdings[second].1;
        holdings[second].1 = moved;
        steps.push(format!(
            "{} and {} swap: {}.",
            names[first],
            names[second],
            describe(&holdings)
        ));
    }
    let (owner, thing) = *rng.pick(&holdings);
    let asks_thing = rng.coin();
    let asks = if asks_thing {
        sentences.ask_thing
    } else {
        sentences.ask_owner
    };
    let ask = render(
        rng.pick::<&str>(asks),
        &slots.with("Q", owner).with("q", thing),
        rng,
    );
    steps.push(format!("So {owner} has the {thing}."));
    Problem {
        family: ProblemFamily::ObjectTracking,
        template,
        question: framed(split, &story.join(" "), &ask, rng),
        explanation: steps.join(" "),
        answer: if asks_thing { thing } else { owner }.to_owned(),
        choices: FRIENDS,
    }
}

fn slots_of(holdings: &Holdings, rng: &mut ItemRng) -> Slots {
    let slots = Slots::default()
        .with_place(*rng.pick(PLACES))
        .with("day", rng.pick(&WEEKDAYS));
    let owned = [("A", "a"), ("B", "b"), ("C", "c")]
        .into_iter()
        .zip(holdings);
    owned.fold(
        slots,
        |slots, ((owner_slot, thing_slot), (owner, thing))| {
            slots.with(owner_slot, owner).with(thing_slot, thing)
        },
    )
}

fn describe(holdings: &Holdings) -> String {
    holdings
        .map(|(owner, thing)| format!("{owner} {thing}"))
        .join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{mentions, names, problems, sentences};
    use super::*;

    /// Follows the swaps by the order in which names and things are mentioned.
    fn solve(question: &str) -> String {
        let things = [ANIMALS, OBJECTS, TOYS].concat();
        let (mut owners, mut held) = (Vec::new(), Vec::new());
        let all = sentences(question);
        let (ask, story) = all.split_last().unwrap();
        for sentence in story {
            let people = mentions(sentence, &names());
            if !sentence.contains("swap") {
                owners.extend(people);
                held.extend(mentions(sentence, &things));
            } else if let [first, second] = people[..] {
                // "want to swap. So they swap." tells one swap in two sentences.
                let place = |name| owners.iter().position(|owner| *owner == name).unwrap();
                let (first, second) = (place(first), place(second));
                held.swap(first, second);
            }
        }
        assert_eq!((owners.len(), held.len()), (3, 3), "{question}");
        let asked = mentions(ask, &names());
        match asked.first() {
            Some(name) => held[owners.iter().position(|owner| owner == name).unwrap()].to_owned(),
            None => {
                let thing = mentions(ask, &things)[0];
                owners[held.iter().position(|other| *other == thing).unwrap()].to_owned()
            }
        }
    }

    #[test]
    fn an_independent_reader_finds_the_same_answers() {
        for problem in problems(ProblemFamily::ObjectTracking) {
            assert_eq!(solve(&problem.question), problem.answer, "{problem:?}");
        }
    }
}
