//! Object tracking: three friends swap what they hold, and the state is written after each swap.

use super::item_rng::ItemRng;
use super::pattern::{Slots, SplitTemplates, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{ANIMALS, OBJECTS, PEOPLE, TOYS};
use crate::Split;

/// Three friends, so three answers.
const FRIENDS: usize = 3;

/// One way to tell a problem; `{a}` belongs to `{A}`, `{x}` and `{y}` swap, `{Q}` and `{q}` are asked for.
pub(super) struct TrackingTemplate {
    pub(super) id: &'static str,
    pub(super) opening: &'static str,
    pub(super) first_swap: &'static str,
    pub(super) next_swap: &'static str,
    pub(super) ask_thing: &'static str,
    pub(super) ask_owner: &'static str,
}

#[rustfmt::skip]
const TRAIN: &[TrackingTemplate] = &[
    TrackingTemplate {
        id: "tracking/has",
        opening: "{A} has the {a}, {B} has the {b} and {C} has the {c}.",
        first_swap: "{x} and {y} swap.",
        next_swap: "Then {x} and {y} swap.",
        ask_thing: "What does {Q} have now?",
        ask_owner: "Who has the {q} now?",
    },
    TrackingTemplate {
        id: "tracking/three_friends",
        opening: "Three friends play. {A} has a {a}, {B} has a {b} and {C} has a {c}.",
        first_swap: "First {x} and {y} swap.",
        next_swap: "[Later|Next] {x} and {y} swap.",
        ask_thing: "What does {Q} have in the end?",
        ask_owner: "Who has the {q} in the end?",
    },
    TrackingTemplate {
        id: "tracking/gets",
        opening: "{A} gets the {a}. {B} gets the {b}. {C} gets the {c}.",
        first_swap: "{x} swaps with {y}.",
        next_swap: "Then {x} swaps with {y}.",
        ask_thing: "Which one does {Q} have?",
        ask_owner: "Who has the {q}?",
    },
    TrackingTemplate {
        id: "tracking/is_with",
        opening: "The {a} is with {A}, the {b} is with {B} and the {c} is with {C}.",
        first_swap: "{x} and {y} swap first.",
        next_swap: "After that, {x} and {y} swap.",
        ask_thing: "What is with {Q} now?",
        ask_owner: "Who is the {q} with?",
    },
    TrackingTemplate {
        id: "tracking/finds",
        opening: "{A} finds a {a}, {B} finds a {b}, and {C} finds a {c}.",
        first_swap: "On the way home {x} swaps with {y}.",
        next_swap: "At home {x} swaps with {y}.",
        ask_thing: "What does {Q} have at home?",
        ask_owner: "Who has the {q} at home?",
    },
    TrackingTemplate {
        id: "tracking/buys",
        opening: "At the shop {A} buys a {a}. {B} buys a {b} and {C} buys a {c}.",
        first_swap: "[Later|Then] {x} and {y} swap things.",
        next_swap: "After that {x} and {y} swap things.",
        ask_thing: "Which thing does {Q} have now?",
        ask_owner: "Who has the {q} at last?",
    },
    TrackingTemplate {
        id: "tracking/box",
        opening: "There is a {a} in the box of {A}, a {b} in the box of {B} and a {c} in the box of {C}.",
        first_swap: "{x} and {y} swap boxes.",
        next_swap: "Next, {x} and {y} swap boxes.",
        ask_thing: "What is in the box of {Q}?",
        ask_owner: "Who has the box with the {q}?",
    },
    TrackingTemplate {
        id: "tracking/takes",
        opening: "First {A} takes the {a}, {B} takes the {b} and {C} takes the {c}.",
        first_swap: "Then {x} wants to swap with {y}, and they swap.",
        next_swap: "Now {x} wants to swap with {y}, and they swap.",
        ask_thing: "What does {Q} have after that?",
        ask_owner: "Who has the {q} after that?",
    },
    TrackingTemplate {
        id: "tracking/plays_with",
        opening: "In the park {A} plays with the {a}. {B} plays with the {b}. {C} plays with the {c}.",
        first_swap: "{x} and {y} want to swap. So they swap.",
        next_swap: "Then {x} and {y} also want to swap. So they swap.",
        ask_thing: "What does {Q} play with now?",
        ask_owner: "Who plays with the {q} now?",
    },
    TrackingTemplate {
        id: "tracking/at_school",
        opening: "At school {A} had the {a}, {B} had the {b}, and {C} had the {c}.",
        first_swap: "But {x} and {y} swap.",
        next_swap: "And then {x} and {y} swap[ again|].",
        ask_thing: "Find out what {Q} has now.",
        ask_owner: "Find out who has the {q} now.",
    },
    TrackingTemplate {
        id: "tracking/day",
        opening: "On Monday {A} has a {a}, {B} has a {b} and {C} has a {c}.",
        first_swap: "On Tuesday {x} swaps with {y}.",
        next_swap: "The next day {x} swaps with {y}.",
        ask_thing: "What does {Q} have on Sunday?",
        ask_owner: "Who has the {q} on Sunday?",
    },
];

#[rustfmt::skip]
const TEST: &[TrackingTemplate] = &[
    TrackingTemplate {
        id: "tracking/test_at_home",
        opening: "At home {A} has the {a}. {B} has the {b}. {C} has the {c}.",
        first_swap: "First {x} swaps with {y}.",
        next_swap: "After that {x} swaps with {y}.",
        ask_thing: "Which thing does {Q} have in the end?",
        ask_owner: "In the end, who has the {q}?",
    },
    TrackingTemplate {
        id: "tracking/test_friends_find",
        opening: "Some friends are in the park. {A} finds the {a}, {B} finds the {b} and {C} finds the {c}.",
        first_swap: "On the way home {x} and {y} swap.",
        next_swap: "Later {x} and {y} also swap.",
        ask_thing: "Now what does {Q} have?",
        ask_owner: "Now who has the {q}?",
    },
    TrackingTemplate {
        id: "tracking/test_buy",
        opening: "On Friday {A} buys the {a}, {B} buys the {b} and {C} buys the {c}.",
        first_swap: "On Saturday {x} and {y} swap.",
        next_swap: "Then, at home, {x} and {y} swap.",
        ask_thing: "After that, what does {Q} have?",
        ask_owner: "After that, who has the {q}?",
    },
    TrackingTemplate {
        id: "tracking/test_with",
        opening: "There are some friends here. The {a} is with {A}. The {b} is with {B}. The {c} is with {C}.",
        first_swap: "So {x} and {y} swap.",
        next_swap: "Now {x} and {y} swap.",
        ask_thing: "What is with {Q} at last?",
        ask_owner: "Who is the {q} with now?",
    },
    TrackingTemplate {
        id: "tracking/test_gets",
        opening: "At school {A} gets a {a}, {B} gets a {b} and {C} gets a {c}.",
        first_swap: "{x} wants to swap with {y}. They swap.",
        next_swap: "Next {x} wants to swap with {y}. They swap.",
        ask_thing: "What does {Q} have at last?",
        ask_owner: "Who at last has the {q}?",
    },
];

pub(super) const TEMPLATES: SplitTemplates<TrackingTemplate> = SplitTemplates {
    train: TRAIN,
    test: TEST,
};

/// Who holds what, in the order in which the friends were named.
type Holdings = [(&'static str, &'static str); FRIENDS];

/// Makes a problem with one to three swaps.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let template = rng.pick(TEMPLATES.of(split));
    let names = rng
        .pick_distinct::<_, FRIENDS>(PEOPLE)
        .map(|person| person.name);
    let things: [&str; FRIENDS] = rng.pick_distinct(&[ANIMALS, OBJECTS, TOYS].concat());
    let mut holdings: Holdings = std::array::from_fn(|friend| (names[friend], things[friend]));
    let mut sentences = vec![render(template.opening, &opening_slots(&holdings), rng)];
    let mut steps = vec![format!("{}.", describe(&holdings))];
    for swap in 0..rng.number(1..=3) {
        let [first, second] = rng.pick_distinct(&[0, 1, 2]);
        let slots = Slots::default()
            .with("x", names[first])
            .with("y", names[second]);
        let pattern = if swap == 0 {
            template.first_swap
        } else {
            template.next_swap
        };
        sentences.push(render(pattern, &slots, rng));
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
    let ask = if asks_thing {
        template.ask_thing
    } else {
        template.ask_owner
    };
    sentences.push(render(
        ask,
        &Slots::default().with("Q", owner).with("q", thing),
        rng,
    ));
    steps.push(format!("So {owner} has the {thing}."));
    Problem {
        family: ProblemFamily::ObjectTracking,
        template: template.id,
        question: sentences.join(" "),
        explanation: steps.join(" "),
        answer: if asks_thing { thing } else { owner }.to_owned(),
        choices: FRIENDS,
    }
}

fn opening_slots(holdings: &Holdings) -> Slots {
    let slots = ["A", "B", "C"]
        .into_iter()
        .zip(["a", "b", "c"])
        .zip(holdings);
    slots.fold(Slots::default(), |slots, ((owner, thing), holding)| {
        slots.with(owner, holding.0).with(thing, holding.1)
    })
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
