//! Frames of the arithmetic word problems: a start, one or two events, a question, each drawn on its own.
//!
//! `{n}` is the number at the start and `{s}` the number of an event. The word of an event stands near its number and
//! always means the same: find, buy, get, put, come, more add; give, eat, lose, take, sell, leave, fewer take away.

use super::pattern::SplitTemplates;

/// Words of events that take away; all others add.
pub(super) const TAKING: &[&str] = &["gives", "eats", "loses", "takes", "fewer", "sells", "leave"];

/// What is counted.
#[derive(Clone, Copy)]
pub(super) enum Nouns {
    Fruits,
    Animals,
    /// Fruits, toys or other objects.
    Things,
}

/// Something that changes the number.
pub(super) struct Event {
    /// The word that tells what happens; the explanation repeats it.
    pub(super) word: &'static str,
    pub(super) text: &'static str,
}

/// A way to tell problems.
pub(super) struct ArithmeticFrame {
    pub(super) id: &'static str,
    pub(super) nouns: Nouns,
    pub(super) start: &'static str,
    pub(super) events: &'static [Event],
    pub(super) max_events: u32,
    pub(super) question: &'static str,
}

const fn event(word: &'static str, text: &'static str) -> Event {
    Event { word, text }
}

use Nouns::{Animals, Fruits, Things};

pub(super) const FRAMES: SplitTemplates<ArithmeticFrame> = SplitTemplates {
    train: TRAIN,
    test: TEST,
};

#[rustfmt::skip]
const PERSON_EVENTS: &[Event] = &[
    event("finds", "[{He}|Then {he}|Later {he}|After that {he}|On {day2} {he}] finds {s} [more|more {items}|{items}][| at home| {at}| on the way home]."),
    event("finds", "[{At}|At home|On the way home] {he} finds {s} [more|more {items}|{items}]."),
    event("buys", "[{He}|Then {he}|Later {he}|On {day2} {he}|Now {he}|At the shop {he}] buys {s} [more|more {items}|new {items}]."),
    event("gets", "[{He}|Then {he}|Later {he}|After that {he}|Now {he}|{B} comes, and {A}] gets {s} [more|more {items}|new {items}][| from {B}]."),
    event("gives", "[{He}|Then {he}|Later {he}|On {day2} {he}|Now {he}] gives {s} [of them|{items}|of the {items}] to {B}[| {at}]."),
    event("gives", "[{At}|At home|On the way home] {he} gives {s} [of them|{items}|of the {items}] to {B}."),
    event("loses", "[{He}|Then {he}|Later {he}|After that {he}|On {day2} {he}] loses {s} [of them|{items}|of the {items}][| {at}| on the way home]."),
    event("loses", "[{At}|At school|On the way home] {he} loses {s} [of them|{items}|of the {items}]."),
    event("sells", "[{He}|Then {he}|Later {he}|On {day2} {he}|Now {he}] sells {s} [of them|{items}][| to {B}]."),
    event("takes", "[{B}|Then {B}|Later {B}|{At} {B}|On {day2} {B}] takes {s} [of them|{items}|of the {items}][| away| home]."),
];

#[rustfmt::skip]
const FRUIT_EVENTS: &[Event] = &[
    event("eats", "[{He}|Then {he}|Later {he}|After that {B}|On {day2} {he}] eats {s} [of them|{items}|of the {items}][| {at}| at home]."),
    event("eats", "[{At}|At home|On the way home] {he} eats {s} [of them|{items}|of the {items}]."),
    event("finds", "[{He}|Then {he}|Later {he}|After that {he}|{At} {he}] finds {s} [more|more {items}|{items}][| under a tree]."),
    event("gets", "[{He}|Then {he}|Later {he}|On {day2} {he}] gets {s} [more|more {items}|new {items}][| from {B}]."),
];

#[rustfmt::skip]
const SHOP_EVENTS: &[Event] = &[
    event("sells", "[The shop|Then the shop|On {day2} the shop|Later it|{A}|Then {A}] sells {s} [of them|{items}|of the {items}][| to {B}]."),
    event("gets", "[The shop|Then the shop|On {day2} it|Later it|After that the shop] gets {s} [more|new {items}|more {items}]."),
    event("buys", "[{A}|Then {A}|Later {A}|On {day2} {A}] buys {s} [more|new {items}|more {items}] for the shop."),
];

#[rustfmt::skip]
const ANIMAL_EVENTS: &[Event] = &[
    event("come", "[Then|Later|After that|On {day2}|First] {s} [more|more {items}|{items}] come[| home| from the river]."),
    event("leave", "[Then|Later|After that|On {day2}|First] {s} [of them|{items}|of the {items}] leave[| again]."),
];

#[rustfmt::skip]
const TABLE_EVENTS: &[Event] = &[
    event("puts", "[{B}|Then {B}|Later {B}|{A}|After that {A}|On {day2} {A}] puts {s} [more|more {items}|other {items}] [on it|there|down]."),
    event("takes", "[{B}|Then {B}|Later {B}|{A}|After that {A}|The next day {A}] takes {s} [of them|{items}|of the {items}][| away| home]."),
];

const PERSON_QUESTION: &str = "[How many {items} does {A} have now?|How many {items} does {he} have?|How many {items} does {he} have in all?|How many {items} does {A} have in the end?|How many {items} does {A} still have?|How many does {A} have then?|Find the number of {items} of {A}.]";

#[rustfmt::skip]
const TRAIN: &[ArithmeticFrame] = &[
    ArithmeticFrame {
        id: "arithmetic/has",
        nouns: Things,
        start: "[{A} has {n} {items}|At home {A} has {n} {items}|On {day} {A} has {n} {items}|Now {A} has {n} {items}|{A} has a box with {n} {items}|{At} {A} has {n} {items}].",
        events: PERSON_EVENTS,
        max_events: 2,
        question: PERSON_QUESTION,
    },
    ArithmeticFrame {
        id: "arithmetic/finds",
        nouns: Things,
        start: "[{A} finds {n} {items}|{At} {A} finds {n} {items}|On {day} {A} finds {n} {items}|{A} goes {to} and finds {n} {items}].",
        events: PERSON_EVENTS,
        max_events: 2,
        question: PERSON_QUESTION,
    },
    ArithmeticFrame {
        id: "arithmetic/buys",
        nouns: Things,
        start: "[{A} buys {n} {items}|At the shop {A} buys {n} {items}|{A} goes to the shop and buys {n} {items}|On {day} {A} buys {n} {items}].",
        events: PERSON_EVENTS,
        max_events: 2,
        question: PERSON_QUESTION,
    },
    ArithmeticFrame {
        id: "arithmetic/gets",
        nouns: Things,
        start: "[{A} gets {n} {items} from {B}|On {day} {A} gets {n} {items}|{A} meets {B} and gets {n} {items}].",
        events: PERSON_EVENTS,
        max_events: 2,
        question: PERSON_QUESTION,
    },
    ArithmeticFrame {
        id: "arithmetic/box",
        nouns: Things,
        start: "[There are {n} {items} in the box of {A}|In the bag of {A} there are {n} {items}|The box of {A} has {n} {items}|{n} {items} are in the bag of {A}].",
        events: PERSON_EVENTS,
        max_events: 2,
        question: PERSON_QUESTION,
    },
    ArithmeticFrame {
        id: "arithmetic/fruits",
        nouns: Fruits,
        start: "[{A} has {n} {items}|{A} goes {to} for {n} {items}|{A} finds {n} {items} under a tree|{A} and {B} have {n} {items}].",
        events: FRUIT_EVENTS,
        max_events: 2,
        question: "[How many {items} are left?|How many {items} are there now?|How many {items} are there in the end?|How many {items} are still there?|How many {items} are that in all?]",
    },
    ArithmeticFrame {
        id: "arithmetic/shop",
        nouns: Things,
        start: "[The shop has {n} {items}|On {day} the shop has {n} {items}|A shop has {n} {items}|{A} has a shop with {n} {items}].",
        events: SHOP_EVENTS,
        max_events: 2,
        question: "[How many {items} does the shop have now?|How many {items} does the shop still have?|How many {items} are in the shop?|How many {items} are there at last?]",
    },
    ArithmeticFrame {
        id: "arithmetic/animals",
        nouns: Animals,
        start: "[{n} {items} are {at}|There are {n} {items} {at}|{A} sees {n} {items} {at}|A farm has {n} {items}|{At} there are {n} {items}].",
        events: ANIMAL_EVENTS,
        max_events: 2,
        question: "[How many {items} are there now?|How many {items} are still there?|How many {items} can you see?|How many {items} are there in the end?]",
    },
    ArithmeticFrame {
        id: "arithmetic/table",
        nouns: Things,
        start: "[There are {n} {items} on the table|{A} sees {n} {items} on the table|{A} puts {n} {items} on the table|On the table there are {n} {items}].",
        events: TABLE_EVENTS,
        max_events: 2,
        question: "[How many {items} are on the table now?|How many {items} are left on the table?|How many {items} are there on the table?|How many {items} are there then?]",
    },
    ArithmeticFrame {
        id: "arithmetic/together",
        nouns: Things,
        start: "[{A} has {n} {items}|On {day} {A} finds {n} {items}|{A} buys {n} {items} at the shop|{At} {A} sees {n} {items}].",
        events: &[
            event("has", "[{B} has {s} {items}|But {B} has {s}|{B} also has {s} {items}|{B} has {s} new {items}]."),
            event("finds", "[{B} finds {s}|{B} also finds {s} {items}|On {day2} {B} finds {s} {items}]."),
        ],
        max_events: 1,
        question: "[How many {items} do they have in all?|How many {items} do {A} and {B} have together?|How many is that together?|How many {items} are that?]",
    },
    ArithmeticFrame {
        id: "arithmetic/than",
        nouns: Things,
        start: "[{A} has {n} {items}|At home {A} has {n} {items}|On {day} {A} buys {n} {items}|{A} finds {n} {items} {at}].",
        events: &[
            event("more", "[{B} has|But {B} has|{B} also has] {s} more [than {A}|{items} than {A}]."),
            event("fewer", "[{B} has|But {B} has|{B} also has] {s} fewer [than {A}|{items} than {A}]."),
        ],
        max_events: 1,
        question: "[How many {items} does {B} have?|How many does {B} have?|How many {items} has {B}?|Find the number of {items} of {B}.]",
    },
];

#[rustfmt::skip]
const TEST_PERSON_EVENTS: &[Event] = &[
    event("finds", "[The next day {he}|Next {he}|Soon {he}|Today {he}] finds {s} [more of them|other {items}]."),
    event("buys", "[The next day {he}|Next {he}|Soon {he}|Today {he}] buys {s} [more of them|other {items}]."),
    event("gets", "[The next day {he}|Next {he}|Soon {he}|Today {he}] gets {s} [more of them|other {items}]."),
    event("gives", "[The next day {he}|Next {he}|Soon {he}|But {he}] gives {s} of [the {items} to {B}|them to {B}]."),
    event("loses", "[The next day {he}|Next {he}|Soon {he}|But {he}] loses {s} of [these {items}|all these {items}]."),
    event("takes", "[The next day {B}|Next {B}|Soon {B}|But {B}] takes {s} of [these {items}|all these {items}]."),
];

#[rustfmt::skip]
const TEST: &[ArithmeticFrame] = &[
    ArithmeticFrame {
        id: "arithmetic/test_home",
        nouns: Things,
        start: "[{A} is at home and has {n} {items}|{A} comes home with {n} {items}].",
        events: TEST_PERSON_EVENTS,
        max_events: 2,
        question: "[How many {items} are with {A} now?|How many {items} does {A} have at last?]",
    },
    ArithmeticFrame {
        id: "arithmetic/test_bag",
        nouns: Things,
        start: "[There are {n} {items} in the bag of {A}|{A} has {n} {items} in a bag].",
        events: TEST_PERSON_EVENTS,
        max_events: 2,
        question: "[How many {items} are in the bag now?|Now how many {items} does {A} have?]",
    },
    ArithmeticFrame {
        id: "arithmetic/test_fruits",
        nouns: Fruits,
        start: "[{A} looks for {items} and finds {n}|On the farm {A} gets {n} {items}].",
        events: &[
            event("eats", "[The next day {he}|Next {he}|Soon {he}|But {B}] eats {s} of [these {items}|all these {items}]."),
            event("gets", "[The next day {he}|Next {he}|Soon {he}] gets {s} [more of them|other {items}]."),
        ],
        max_events: 2,
        question: "[How many of the {items} are left?|How many {items} are there after that?]",
    },
    ArithmeticFrame {
        id: "arithmetic/test_shop",
        nouns: Things,
        start: "[There are {n} {items} in the shop|Today the shop has {n} {items}].",
        events: &[
            event("sells", "[The next day the shop|Next it|Soon {A}] sells {s} [of these {items}|of them to {B}]."),
            event("gets", "[The next day the shop|Next it|Soon it] gets {s} [more of them|other {items}]."),
        ],
        max_events: 2,
        question: "[How many {items} are left in the shop?|How many {items} are in the shop after that?]",
    },
    ArithmeticFrame {
        id: "arithmetic/test_animals",
        nouns: Animals,
        start: "[You see {n} {items} {at}|On the farm of {A} there are {n} {items}].",
        events: &[
            event("come", "[The next day|Next|Soon] {s} [more of them|other {items}] come."),
            event("leave", "[The next day|Next|Soon] {s} of [these {items}|them] leave."),
        ],
        max_events: 2,
        question: "[How many {items} are left there?|How many {items} do you see now?]",
    },
];
