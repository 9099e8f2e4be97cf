//! Plots of the stories: `{A}` is the hero (and `{he}`), `{B}` a friend, the other slots are things.

use super::pattern::SplitTemplates;

/// A plot, sentence by sentence.
pub(super) struct Plot {
    pub(super) id: &'static str,
    pub(super) text: &'static str,
}

const fn plot(id: &'static str, text: &'static str) -> Plot {
    Plot { id, text }
}

pub(super) const PLOTS: SplitTemplates<Plot> = SplitTemplates {
    train: TRAIN,
    test: TEST,
};

#[rustfmt::skip]
const TRAIN: &[Plot] = &[
    plot("story/lost_toy", "[One day|On {day}] {A} went {to} with {his} [new|red|blue] {toy}. {He} put it down and ran to {B}. When {he} came back, the {toy} was not there. {A} was [very|so] sad. But a [little|big] {pet} had the {toy} and gave it back. {A} was happy again."),
    plot("story/hungry_pet", "{A} had a [little|small|big] {pet}. One day {his} {pet} was hungry and did not want to play. {A} gave it [{a_fruit}|some {fruit}s], but it did not eat. Then {B} came with some bread. The {pet} ate all of it and was happy. {A} and {B} were happy too."),
    plot("story/rain", "It was a [warm|good] day, and {A} played {at}. Then the rain came. {A} was [cold|wet and cold] and wanted to go home. {B} saw {him} and said: Come with me. They sat in the house of {B} and ate [a cake|{a_fruit}]. Soon the sun came out again."),
    plot("story/share", "{A} had two {fruit}s. {B} had no {fruit} and was sad. {A} looked at {B} and gave one {fruit} to {B}. They sat {at} and ate. {A} was happy that {he} shared. After that they were good friends."),
    plot("story/kite", "{A} wanted to make a [red|blue|big] kite. At first it did not fly, and {he} was sad. {B} said: Do not stop. So {A} made it again, and now it was very good. The kite went up {at}. {A} was very proud."),
    plot("story/broken_cup", "One day {A} played with a ball in the house. The ball hit a cup, and the cup broke. {A} was afraid, but {he} told {his} mother what was wrong. {His} mother said: It is good that you told me. Then they made a new cup together."),
    plot("story/noise", "It was dark, and {A} was in bed. {He} heard something at the door and was afraid. {A} went to look. It was only a little {pet}! It was [cold|wet], so {A} took it in. The {pet} slept by {his} bed, and {A} was not afraid any more."),
    plot("story/lost_key", "{A} lost {his} [key|bag] {at}. {He} looked and looked, but {he} could not find it. So {A} asked {B} to help. {B} looked under a tree and saw it there. Thank you, said {A}. Then they went home together."),
    plot("story/new_friend", "{B} was new at school and had no friends. {B} sat under a tree [all day|and was sad]. {A} saw this and gave {his} {toy} to {B}. They played together [all day|at school]. Now {A} had a new friend."),
    plot("story/race", "{A} and {B} ran [to the tree|to the river|to the hill]. {A} was very fast, but then {he} fell down. {B} stopped and helped {him} up. They ran on together. No one was first, but they were both happy."),
    plot("story/birthday", "On {day} {A} wanted to make a cake for {B}. But there were no [eggs|{fruit}s] in the house. {A} went to the shop and got some. Then {he} made a very big cake. {B} ate it and said: This is the best cake!"),
    plot("story/river_boat", "{A} had a small boat. {He} put it on the river, but the river took it away. {A} ran after it and could not get it. A [big|good] duck saw the boat and took it back to {him}. {A} gave some bread to the duck."),
    plot("story/cat_tree", "{A} saw a [little|small] cat up in a tree. The cat was afraid and could not come down. {A} was not tall, so {he} asked {B} to help. {B} was tall and took the cat down. The cat was happy and went home with {A}."),
    plot("story/old_thing", "{A} found an old {thing} {at}. It was not {his}, but {he} liked it very much. Then {he} saw that {B} looked for something. Is this your {thing}? asked {A}. Yes, said {B}, thank you! {A} was sad for a little, but then {he} was proud."),
    plot("story/farm_work", "{A} helped on the farm all day. {He} gave [bread|{fruit}s] to the {pet}s and looked for eggs. One {pet} ran away {to}, and {A} ran after it. At last {he} got it back. {A} was tired but very happy."),
    plot("story/long_book", "{B} gave {A} a long book. {A} could not read well and did not like it. So they sat {at}, and {B} read it with {him}. Every day {A} read some more. In the end {he} could read the book to {B}."),
];

#[rustfmt::skip]
const TEST: &[Plot] = &[
    plot("story/test_wet_pet", "One day a little {pet} fell in the river. {A} saw it and ran to help. {He} took the {pet} out, but it was cold and wet. {A} put it in the sun and gave it some bread. Soon the {pet} was well again, and {A} was proud."),
    plot("story/test_first_day", "It was the first day at school, and {A} was afraid. {He} did not know any one there. Then {B} sat down by {him} and asked: Do you want to play? They played with a {toy} all day. When {A} came home, {he} was happy."),
    plot("story/test_lost_way", "{A} went {to} to look for {fruit}s. Soon it was dark, and {he} could not find the way home. {A} sat under a tree and was very sad. Then {he} heard {B}. They went home together and ate {a_fruit}."),
    plot("story/test_broken_toy", "{A} had an old {toy}, and {he} liked it very much. On {day} {B} played with it, and it broke. {B} was sad and wanted to help. They made a new {toy} together. It was the best {toy} of all."),
    plot("story/test_stop_to_help", "{A} ran home from school. {He} was hungry and wanted to eat. But then {he} saw that {B} had lost a {thing}. {A} stopped and helped to look for it. At last they found it in the garden, and {B} gave {him} {a_fruit}."),
];
