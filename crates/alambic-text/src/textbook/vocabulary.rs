//! The words that all templates share; kept few so that a small vocabulary of tokens covers them.

/// A character of a problem or a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    gender: Gender,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gender {
    Male,
    Female,
}

/// The pronouns that stand for a person.
pub(crate) struct Pronouns {
    pub(crate) subject: &'static str,
    pub(crate) subject_capital: &'static str,
    pub(crate) object: &'static str,
    pub(crate) possessive: &'static str,
    pub(crate) possessive_capital: &'static str,
}

impl Person {
    const fn he(name: &'static str) -> Self {
        Self {
            name,
            gender: Gender::Male,
        }
    }

    const fn she(name: &'static str) -> Self {
        Self {
            name,
            gender: Gender::Female,
        }
    }

    pub(crate) const fn pronouns(self) -> Pronouns {
        match self.gender {
            Gender::Male => Pronouns {
                subject: "he",
                subject_capital: "He",
                object: "him",
                possessive: "his",
                possessive_capital: "His",
            },
            Gender::Female => Pronouns {
                subject: "she",
                subject_capital: "She",
                object: "her",
                possessive: "her",
                possessive_capital: "Her",
            },
        }
    }
}

/// Everyone who appears in the textbook.
pub(crate) const PEOPLE: &[Person] = &[
    Person::he("Tom"),
    Person::he("Ben"),
    Person::he("Sam"),
    Person::he("Leo"),
    Person::she("Mia"),
    Person::she("Ann"),
    Person::she("Eva"),
    Person::she("Zoe"),
];

/// Kinds of nouns that counting problems tell apart; every plural is the singular with an `s`.
pub(crate) const ANIMALS: &[&str] = &["dog", "cat", "hen", "duck", "frog", "bird", "pig", "goat"];
/// Things to eat.
pub(crate) const FRUITS: &[&str] = &["apple", "pear", "plum", "fig", "lemon", "melon"];
/// Things to play with.
pub(crate) const TOYS: &[&str] = &["ball", "kite", "doll", "drum", "boat", "car"];
/// Other things that one can carry.
pub(crate) const OBJECTS: &[&str] = &["book", "cup", "hat", "key", "pen", "ring", "bell", "coin"];

/// Names of the days, in order.
pub(crate) const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Where things happen: "{at}" tells where, "{to}" tells where to.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) at: &'static str,
    pub(crate) to: &'static str,
}

/// All places; all are outdoors, where any of the stories can happen.
pub(crate) const PLACES: &[Place] = &[
    Place {
        at: "in the park",
        to: "to the park",
    },
    Place {
        at: "in the garden",
        to: "to the garden",
    },
    Place {
        at: "on the farm",
        to: "to the farm",
    },
    Place {
        at: "by the river",
        to: "to the river",
    },
    Place {
        at: "on the hill",
        to: "to the hill",
    },
];

/// `noun` behind its indefinite article.
pub(crate) fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_stands_before_a_vowel() {
        assert_eq!(with_article("apple"), "an apple");
        assert_eq!(with_article("pear"), "a pear");
    }

    #[test]
    fn no_noun_belongs_to_two_kinds() {
        let mut nouns: Vec<&str> = [ANIMALS, FRUITS, TOYS, OBJECTS].concat();
        let total = nouns.len();
        nouns.sort_unstable();
        nouns.dedup();
        assert_eq!(nouns.len(), total);
    }
}
