//! Answers that name one of several choices.

use super::normalisation::{TextNormalisation, normalised};

/// What is not compared between an answer and the text of a choice.
const IGNORED: [TextNormalisation; 3] = [
    TextNormalisation::Case,
    TextNormalisation::TrailingPunctuation,
    TextNormalisation::WhiteSpace,
];

/// The place of the choice that an answer names, counted from 0: by its letter (`B`, `(b)`, `B.`, `(B) its text`), or by its
/// text, where exactly one choice has it. Without choices, letters are all that is known.
pub(super) fn choice_place(answer: &str, choices: &[String]) -> Option<usize> {
    let answer = answer.trim();
    let known = match choices.len() {
        0 => 26,
        count => count,
    };
    if let Some(place) = whole_letter(answer).or_else(|| leading_letter(answer)) {
        return (place < known).then_some(place);
    }
    let mut same = (0..choices.len()).filter(|&place| {
        let choice = without_label(&choices[place]);
        normalised(choice, &IGNORED) == normalised(answer, &IGNORED)
    });
    let place = same.next();
    place.filter(|_| same.next().is_none())
}

/// Of a text that is a letter and nothing else.
fn whole_letter(text: &str) -> Option<usize> {
    let inner = text.trim_end_matches(['.', ',', ':', ';', '!', '*']);
    let inner = inner.trim_start_matches(['*', '(', '[']);
    place_of_letter(inner.trim_end_matches([')', ']', '*']))
}

/// Of `(B) its text` and `B. its text`.
fn leading_letter(text: &str) -> Option<usize> {
    let (label, _) = text.split_once(char::is_whitespace)?;
    let bare = label.strip_prefix('(').unwrap_or(label);
    place_of_letter(bare.strip_suffix([')', '.', ':'])?)
}

fn place_of_letter(text: &str) -> Option<usize> {
    let mut bytes = text.bytes();
    let letter = bytes.next().filter(u8::is_ascii_alphabetic)?;
    let place = usize::from(letter.to_ascii_lowercase() - b'a');
    bytes.next().is_none().then_some(place)
}

/// A choice without the letter before it, as in `(B)4`.
fn without_label(choice: &str) -> &str {
    let inner = choice
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'));
    match inner {
        Some((letter, text)) if place_of_letter(letter).is_some() => text.trim_start(),
        _ => choice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_named_by_letter_or_text() {
        let choices = ["(A)4", "(B) A cat.", "7", "7"].map(str::to_owned);
        for (answer, expected) in [
            ("B", Some(1)),
            ("(b)", Some(1)),
            ("**C**.", Some(2)),
            ("(B) 12/25/1937", Some(1)),
            ("D. seven", Some(3)),
            ("4", Some(0)),
            ("a  cat", Some(1)),
            ("7", None),
            ("E", None),
            ("", None),
            ("A cat", Some(1)),
            ("dog", None),
        ] {
            assert_eq!(choice_place(answer, &choices), expected, "{answer}");
        }
        assert_eq!(choice_place("(R)", &[]), Some(17));
    }
}
