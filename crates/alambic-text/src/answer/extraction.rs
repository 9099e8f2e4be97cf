//! Where the final answer stands in what a model writes.

use serde::{Deserialize, Serialize};

use super::{AnswerPattern, Occurrence};

/// Where the final answer stands in what a model writes.
///
/// White space around an answer is no part of it, and an empty one is none. In TOML it is a table with `find`:
///
/// ```
/// use alambic_text::AnswerExtraction;
///
/// # #[derive(serde::Deserialize)] struct Task { extraction: AnswerExtraction }
/// # fn read(text: &str) -> AnswerExtraction {
/// #     serde_json::from_str(text).unwrap()
/// # }
/// // extraction = { find = "steps", steps = [{ find = "behind", mark = "the answer is", ... }, { find = "letter", ... }] }
/// let extraction = read(r#"{"find": "steps", "steps": [
///     {"find": "behind", "mark": "the answer is", "ignore_case": true, "occurrence": "last", "end": "line"},
///     {"find": "letter", "occurrence": "first"}
/// ]}"#);
/// let text = "If today is the 24th, tomorrow is the 25th. So the answer is (B).\n\nQ: And?";
/// assert_eq!(extraction.extract(text).as_deref(), Some("B"));
/// assert_eq!(extraction.extract("I do not know."), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "find", rename_all = "snake_case", deny_unknown_fields)]
pub enum AnswerExtraction {
    /// The whole text.
    Whole,
    /// The first line that is not empty.
    FirstLine,
    /// What stands behind a mark, such as `####` or `the answer is`.
    Behind {
        /// The mark.
        mark: String,
        /// Whether ASCII letters of the other case are the mark too.
        #[serde(default)]
        ignore_case: bool,
        /// Which of several marks.
        occurrence: Occurrence,
        /// Where the answer ends.
        end: TextEnd,
    },
    /// A number: digits with what [`AnswerComparison::Number`](super::AnswerComparison::Number) takes around them.
    Number {
        /// Which of several.
        occurrence: Occurrence,
    },
    /// The content of the last `\boxed{}`, with the braces in it.
    Boxed,
    /// The letter of a choice: in parentheses, as in `(A)`; where there is none, a capital letter that stands alone (and
    /// is not the word A or I before another).
    Letter {
        /// Which of several.
        occurrence: Occurrence,
    },
    /// What a regular expression finds.
    Pattern {
        /// The expression.
        pattern: AnswerPattern,
        /// Which of several matches.
        occurrence: Occurrence,
    },
    /// One after the other, each in what the one before it found.
    Steps {
        /// At least one makes sense; without any it is the whole text.
        steps: Vec<AnswerExtraction>,
    },
    /// The first that finds something.
    FirstOf {
        /// In the order of trust.
        of: Vec<AnswerExtraction>,
    },
}

/// Where an answer behind a mark ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextEnd {
    /// With the line.
    Line,
    /// With the text.
    Text,
}

impl AnswerExtraction {
    /// The answer in a text, if there is one.
    #[must_use]
    pub fn extract(&self, text: &str) -> Option<String> {
        let found = match self {
            Self::Whole => Some(text),
            Self::FirstLine => text.lines().find(|line| !line.trim().is_empty()),
            Self::Behind {
                mark,
                ignore_case,
                occurrence,
                end,
            } => behind(text, mark, *ignore_case, *occurrence).map(|rest| match end {
                TextEnd::Line => rest.lines().next().unwrap_or_default(),
                TextEnd::Text => rest,
            }),
            Self::Number { occurrence } => occurrence.of(numbers(text)),
            Self::Boxed => boxed(text),
            Self::Letter { occurrence } => letter(text, *occurrence),
            Self::Pattern {
                pattern,
                occurrence,
            } => pattern.find(text, *occurrence),
            Self::Steps { steps } => {
                let whole = Some(text.to_owned());
                let step = |found: Option<String>, step: &Self| step.extract(&found?);
                return steps.iter().fold(whole, step).and_then(trimmed);
            }
            Self::FirstOf { of } => return of.iter().find_map(|one| one.extract(text)),
        };
        found.map(str::to_owned).and_then(trimmed)
    }
}

fn trimmed(text: String) -> Option<String> {
    let trimmed = text.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

fn behind<'a>(
    text: &'a str,
    mark: &str,
    ignore_case: bool,
    occurrence: Occurrence,
) -> Option<&'a str> {
    // Changing ASCII letters alone keeps the places of bytes.
    let place = |text: &str, mark: &str| match occurrence {
        Occurrence::First => text.find(mark),
        Occurrence::Last => text.rfind(mark),
    };
    let place = match ignore_case {
        true => place(&text.to_ascii_lowercase(), &mark.to_ascii_lowercase()),
        false => place(text, mark),
    };
    place.map(|place| &text[place + mark.len()..])
}

/// All numbers of a text, as they are written there.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let digit = text[rest..].find(|character: char| character.is_ascii_digit())? + rest;
        let start = start_of_number(text, rest, digit);
        let mut end = digit;
        let bytes = text.as_bytes();
        while end < bytes.len() && (bytes[end].is_ascii_digit() || b".,/".contains(&bytes[end])) {
            end += 1;
        }
        // Punctuation belongs to a number only before another digit.
        while b".,/".contains(&bytes[end - 1]) {
            end -= 1;
        }
        if bytes.get(end) == Some(&b'%') {
            end += 1;
        }
        rest = end;
        Some(&text[start..end])
    })
}

/// Where a number begins whose first digit is known: with a point, a currency sign, and a sign that does not stand behind a
/// word or another number.
fn start_of_number(text: &str, from: usize, digit: usize) -> usize {
    let before = |end: usize| text[from..end].chars().next_back();
    let mut start = digit;
    if before(start) == Some('.') {
        start -= 1;
    }
    if let Some(currency) = before(start).filter(|sign| "$€£¥".contains(*sign)) {
        start -= currency.len_utf8();
    }
    match before(start) {
        Some(sign @ ('-' | '−')) => {
            let signed = start - sign.len_utf8();
            let joins = text[..signed].chars().next_back();
            let joins = joins.is_some_and(|it| it.is_alphanumeric() || ")%".contains(it));
            if joins { start } else { signed }
        }
        _ => start,
    }
}

/// The content of the last `\boxed{}`.
fn boxed(text: &str) -> Option<&str> {
    const COMMAND: &str = "\\boxed{";
    let inner = &text[text.rfind(COMMAND)? + COMMAND.len()..];
    let mut open = 1usize;
    for (place, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(&inner[..place]);
        }
    }
    None
}

fn letter(text: &str, occurrence: Occurrence) -> Option<&str> {
    let bytes = text.as_bytes();
    let at = |place: Option<usize>| place.and_then(|place| bytes.get(place)).copied();
    let letters = || {
        let letters = bytes.iter().enumerate();
        letters.filter(|(_, byte)| byte.is_ascii_alphabetic())
    };
    let in_parentheses = letters().filter(|&(place, _)| {
        at(place.checked_sub(1)) == Some(b'(') && at(Some(place + 1)) == Some(b')')
    });
    let alone = letters().filter(|&(place, letter)| {
        let outside = |character: Option<char>| !character.is_some_and(char::is_alphanumeric);
        let (before, after) = (&text[..place], &text[place + 1..]);
        let stands_alone = outside(before.chars().next_back())
            && outside(after.chars().next())
            && !after.starts_with(['\'', '’']);
        let follows = after
            .strip_prefix(' ')
            .and_then(|after| after.chars().next());
        let is_word =
            b"AI".contains(letter) && follows.is_some_and(|it| it.is_alphanumeric() || it == '\'');
        letter.is_ascii_uppercase() && stands_alone && !is_word
    });
    let found = occurrence
        .of(in_parentheses)
        .or_else(|| occurrence.of(alone));
    found.map(|(place, _)| &text[place..=place])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::Occurrence::{First, Last};
    use super::*;

    fn found(extraction: &AnswerExtraction, text: &str) -> Option<String> {
        extraction.extract(text)
    }

    fn behind(
        mark: &str,
        ignore_case: bool,
        occurrence: Occurrence,
        end: TextEnd,
    ) -> AnswerExtraction {
        AnswerExtraction::Behind {
            mark: mark.into(),
            ignore_case,
            occurrence,
            end,
        }
    }

    #[test]
    fn what_stands_behind_a_mark_ends_with_its_line_or_the_text() {
        let text = "Answer: 3\nno, ANSWER: 4\nthen more";
        for (ignore_case, occurrence, end, expected) in [
            (false, First, TextEnd::Line, "3"),
            (false, Last, TextEnd::Line, "3"),
            (true, Last, TextEnd::Line, "4"),
            (true, Last, TextEnd::Text, "4\nthen more"),
        ] {
            let extraction = behind("Answer:", ignore_case, occurrence, end);
            assert_eq!(found(&extraction, text).as_deref(), Some(expected));
        }
        let mark = behind("####", false, Last, TextEnd::Line);
        assert_eq!(found(&mark, "it is 5"), None);
        assert_eq!(found(&mark, "it is 5 ####  \n7"), None);
    }

    #[test]
    fn numbers_keep_their_signs_and_leave_punctuation() {
        for (text, first, last) in [
            ("It costs $1,234.50.", "$1,234.50", "$1,234.50"),
            ("-5 and 3-2", "-5", "2"),
            ("from .5 to 7%, or 3/4!", ".5", "3/4"),
            ("2020-11 is -€3", "2020", "-€3"),
            ("x2 or (−7)", "2", "−7"),
        ] {
            for (occurrence, expected) in [(First, first), (Last, last)] {
                let number = AnswerExtraction::Number { occurrence };
                assert_eq!(found(&number, text).as_deref(), Some(expected), "{text}");
            }
        }
        let none = AnswerExtraction::Number { occurrence: Last };
        assert_eq!(found(&none, "two"), None);
    }

    #[test]
    fn letters_in_parentheses_come_before_those_that_stand_alone() {
        for (text, expected) in [
            ("The answer is (C), not D.", Some("C")),
            ("B", Some("B")),
            ("I think it's C.", Some("C")),
            ("A dog and I go", None),
            ("Answer: A", Some("A")),
            ("Is it (a) or (b)?", Some("b")),
            ("ABC", None),
            ("É B’s", None),
        ] {
            let letter = AnswerExtraction::Letter { occurrence: Last };
            assert_eq!(found(&letter, text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn boxes_lines_steps_and_alternatives() {
        let boxed = AnswerExtraction::Boxed;
        let text = r"\boxed{1} so $\boxed{\frac{1}{2}}$";
        assert_eq!(found(&boxed, text).as_deref(), Some(r"\frac{1}{2}"));
        assert_eq!(found(&boxed, r"\boxed{\frac{1}{2"), None);
        let line = AnswerExtraction::FirstLine;
        assert_eq!(found(&line, "\n \n yes \nno").as_deref(), Some("yes"));
        let steps = AnswerExtraction::Steps {
            steps: vec![line.clone(), AnswerExtraction::Number { occurrence: First }],
        };
        assert_eq!(found(&steps, "a 4 b\n5").as_deref(), Some("4"));
        assert_eq!(found(&steps, "a\n5"), None);
        let either = AnswerExtraction::FirstOf {
            of: vec![boxed, steps, AnswerExtraction::Whole],
        };
        assert_eq!(found(&either, " a\n").as_deref(), Some("a"));
        assert_eq!(found(&either, "a 7").as_deref(), Some("7"));
    }

    proptest! {
        #[test]
        fn no_text_brings_an_extraction_down(text in r"(\PC|[-−$€.,/%(){}A-C0-9 \n]|\\boxed\{){0,40}") {
            for occurrence in [First, Last] {
                for extraction in [
                    AnswerExtraction::Whole,
                    AnswerExtraction::FirstLine,
                    AnswerExtraction::Boxed,
                    AnswerExtraction::Number { occurrence },
                    AnswerExtraction::Letter { occurrence },
                    behind("A", true, occurrence, TextEnd::Line),
                ] {
                    let answer = extraction.extract(&text);
                    prop_assert!(answer.is_none_or(|it| !it.is_empty() && text.contains(&it)));
                }
            }
        }

        #[test]
        fn a_number_among_words_is_found(number in 0u32..1_000_000, before in "[a-z ]{0,9}", after in "[a-z ]{0,9}") {
            let text = format!("{before} {number}. {after}");
            let extraction = AnswerExtraction::Number { occurrence: Last };
            prop_assert_eq!(extraction.extract(&text), Some(number.to_string()));
        }
    }
}
