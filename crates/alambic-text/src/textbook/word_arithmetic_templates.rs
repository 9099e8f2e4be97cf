//! Templates of the arithmetic word problems.
//!
//! `{n}` is the start, `{m}` and `{k}` are the sizes of the steps. A verb always means the same step:
//! find, buy, get, put, come add; give, eat, lose, take, sell, leave subtract.

use super::pattern::SplitTemplates;

/// What happens to the total.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Add,
    Subtract,
}

/// What is counted.
#[derive(Clone, Copy)]
pub(super) enum Nouns {
    Fruits,
    Animals,
    /// Fruits, toys or other objects.
    Things,
}

/// One way to tell a problem.
pub(super) struct ArithmeticTemplate {
    pub(super) id: &'static str,
    pub(super) nouns: Nouns,
    pub(super) steps: &'static [Step],
    pub(super) text: &'static str,
}

const fn template(
    id: &'static str,
    nouns: Nouns,
    steps: &'static [Step],
    text: &'static str,
) -> ArithmeticTemplate {
    ArithmeticTemplate {
        id,
        nouns,
        steps,
        text,
    }
}

use Nouns::{Animals, Fruits, Things};
use Step::{Add, Subtract};

pub(super) const TEMPLATES: SplitTemplates<ArithmeticTemplate> = SplitTemplates {
    train: TRAIN,
    test: TEST,
};

const TRAIN: &[ArithmeticTemplate] = &[
    template(
        "arithmetic/find_more",
        Things,
        &[Add],
        "{A} has {n} {items}. [{He}|Then {he}] finds {m} more {items} {at}. How many {items} does {A} have [now|in all]?",
    ),
    template(
        "arithmetic/buy_twice",
        Things,
        &[Add],
        "{A} buys {n} {items} on {day}. On {day2} {he} buys {m} more. How many {items} does {he} have in all?",
    ),
    template(
        "arithmetic/take_from_table",
        Things,
        &[Subtract],
        "There are {n} {items} on the table. {A} takes {m} of them. How many {items} are [left|left on the table]?",
    ),
    template(
        "arithmetic/eat",
        Fruits,
        &[Subtract],
        "{A} has {n} {items}. {He} eats {m} of them {at}. How many {items} are [left|left for {B}]?",
    ),
    template(
        "arithmetic/two_owners",
        Things,
        &[Add],
        "{A} has {n} {items} and {B} has {m} {items}. How many {items} do they have [in all|together]?",
    ),
    template(
        "arithmetic/lose",
        Things,
        &[Subtract],
        "{A} has a bag with {n} {items}. {He} loses {m} {items} {at}. How many {items} does {he} still have?",
    ),
    template(
        "arithmetic/give_then_find",
        Things,
        &[Subtract, Add],
        "{A} has {n} {items}. {He} gives {m} to {B}. Then {he} finds {k} more. How many {items} does {A} have now?",
    ),
    template(
        "arithmetic/get_then_lose",
        Things,
        &[Add, Subtract],
        "{A} has {n} {items}. {He} gets {m} more from {B}. [Later|Then] {he} loses {k} of them. How many {items} does {he} have now?",
    ),
    template(
        "arithmetic/animals_come",
        Animals,
        &[Add],
        "{n} {items} are {at}. {m} more {items} come. How many {items} are there [now|in all]?",
    ),
    template(
        "arithmetic/animals_leave",
        Animals,
        &[Subtract],
        "{A} sees {n} {items} {at}. Then {m} of them leave. How many {items} [are left|does {he} see now]?",
    ),
    template(
        "arithmetic/put_in_box",
        Things,
        &[Add],
        "There are {n} {items} in a box. {A} puts {m} more {items} in the box. How many {items} are in the box now?",
    ),
    template(
        "arithmetic/take_from_box_twice",
        Things,
        &[Subtract, Subtract],
        "There are {n} {items} in a bag. {A} takes {m} and {B} takes {k}. How many {items} are still in the bag?",
    ),
    template(
        "arithmetic/more_than",
        Things,
        &[Add],
        "{A} has {n} {items}. {B} has {m} more {items} than {A}. How many {items} does {B} have?",
    ),
    template(
        "arithmetic/fewer_than",
        Things,
        &[Subtract],
        "{A} has {n} {items}. {B} has {m} fewer {items} than {A}. How many {items} does {B} have[| now]?",
    ),
    template(
        "arithmetic/find_on_days",
        Things,
        &[Add],
        "On {day} {A} finds {n} {items}. On {day2} {he} finds {m} {items}. How many does {he} find in all?",
    ),
    template(
        "arithmetic/buy_give_give",
        Things,
        &[Subtract, Subtract],
        "{A} buys {n} {items} at the shop. {He} gives {m} to {B} and loses {k} on the way home. How many {items} are left?",
    ),
    template(
        "arithmetic/sell",
        Fruits,
        &[Subtract],
        "A shop has {n} {items} on {day}. {A} sells {m} of them. How many {items} does the shop still have?",
    ),
    template(
        "arithmetic/sell_then_buy",
        Things,
        &[Subtract, Add],
        "The shop has {n} {items}. On {day} the shop sells {m} {items}. On {day2} it gets {k} new {items}. How many {items} are in the shop now?",
    ),
    template(
        "arithmetic/find_then_eat",
        Fruits,
        &[Add, Subtract],
        "{A} finds {n} {items} {at} and {m} {items} at home. {He} eats {k} of them. How many {items} does {A} still have?",
    ),
    template(
        "arithmetic/get_get",
        Things,
        &[Add, Add],
        "{A} has {n} {items}. {He} gets {m} from {B} on {day}. Then {he} gets {k} more on {day2}. How many {items} is that in all?",
    ),
    template(
        "arithmetic/come_then_leave",
        Animals,
        &[Add, Subtract],
        "There are {n} {items} {at}. First {m} more come, and later {k} leave. How many {items} are there now?",
    ),
    template(
        "arithmetic/leave_then_come",
        Animals,
        &[Subtract, Add],
        "A farm has {n} {items}. On {day} {m} {items} leave. After that {k} {items} come. How many {items} does the farm have now?",
    ),
    template(
        "arithmetic/put_then_take",
        Things,
        &[Add, Subtract],
        "{A} puts {n} {items} on the table. {B} puts {m} more on it. Then {A} takes {k} away. How many {items} are on the table?",
    ),
    template(
        "arithmetic/eat_both",
        Fruits,
        &[Subtract, Subtract],
        "{A} and {B} have {n} {items}. {A} eats {m} and {B} eats {k}. How many {items} are left?",
    ),
    template(
        "arithmetic/buy_in_all",
        Things,
        &[Add, Add],
        "At the shop {A} buys {n} {items}. Later {he} finds {m} {items} at home and {k} in a bag. How many {items} does {A} have [now|in all]?",
    ),
];

const TEST: &[ArithmeticTemplate] = &[
    template(
        "arithmetic/test_get_from_friend",
        Things,
        &[Add],
        "On {day} {A} has {n} {items}. After that {he} gets {m} more from {B}. How many {items} is that [now|together]?",
    ),
    template(
        "arithmetic/test_give",
        Things,
        &[Subtract],
        "{A} buys {n} {items} at the shop on {day}. Later {he} gives {m} of them to {B}. How many {items} are still with {A}?",
    ),
    template(
        "arithmetic/test_bag_lose_find",
        Things,
        &[Subtract, Add],
        "There are {n} {items} in the bag of {A}. {He} loses {m} of them and then finds {k}. How many {items} are in the bag now?",
    ),
    template(
        "arithmetic/test_garden_fruit",
        Fruits,
        &[Subtract],
        "{A} finds {n} {items} {at}. At home {B} eats {m} {items}. How many {items} are there still?",
    ),
    template(
        "arithmetic/test_animals_come_twice",
        Animals,
        &[Add, Add],
        "{A} has {n} {items} on the farm. On {day} {m} more come and on {day2} {k} come. How many {items} are on the farm now?",
    ),
    template(
        "arithmetic/test_shop_sells_twice",
        Things,
        &[Subtract, Subtract],
        "There are {n} {items} in the shop. First the shop sells {m} to {A}. Later it sells {k} to {B}. How many {items} are left in the shop?",
    ),
    template(
        "arithmetic/test_buy_and_take",
        Things,
        &[Add, Subtract],
        "{A} has {n} {items} at home and buys {m} more. {B} takes {k} of the {items}. How many {items} are left for {A}?",
    ),
    template(
        "arithmetic/test_together",
        Things,
        &[Add],
        "{A} finds {n} {items} and {B} finds {m}. How many {items} do {A} and {B} have together?",
    ),
];
