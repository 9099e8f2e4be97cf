//! The words of a text as duplicates and contamination compare them.
//!
//! A text that is not ASCII is first brought into Unicode's NFKC form. A word is then a longest run of letters and digits, in
//! lower case; everything else (spaces, punctuation, emoji) separates words and is dropped. Han characters and Japanese kana are
//! words by themselves, since these scripts put no spaces between words.
//!
//! Operators of formulas are words too, for `7 + 5` is not `7 - 5`: `+ = < > ^ % ≤ ≥ ≠` beside a digit or parenthesis, and
//! `- * /` between two of them, so that hyphens, bullets and emphasis are no words. `−`, `×`, `⋅` and `÷` are `-`, `*` and `/`.
//!
//! So `It's 3.5 km!` has the words `it`, `s`, `3`, `5` and `km`: changes of case, of punctuation and of white space change
//! nothing.

use twox_hash::XxHash3_64;
use unicode_normalization::UnicodeNormalization;

/// Multiplier of the rolling hash of n-grams: odd, with bits set all over.
const NGRAM_MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// True of characters that are words by themselves: Han, hiragana and katakana.
fn is_word_by_itself(character: char) -> bool {
    matches!(character,
        '\u{3041}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// An operator as it is compared, and whether it has to stand between two numbers to be one.
fn operator(character: char) -> Option<(&'static str, OperatorPlace)> {
    use OperatorPlace::{Beside, Between};
    Some(match character {
        '+' => ("+", Beside),
        '=' => ("=", Beside),
        '<' => ("<", Beside),
        '>' => (">", Beside),
        '^' => ("^", Beside),
        '%' => ("%", Beside),
        '≤' => ("≤", Beside),
        '≥' => ("≥", Beside),
        '≠' => ("≠", Beside),
        '-' | '−' => ("-", Between),
        '*' | '×' | '⋅' => ("*", Between),
        '/' | '÷' => ("/", Between),
        _ => return None,
    })
}

/// Where a character is an operator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OperatorPlace {
    /// Beside a digit or parenthesis.
    Beside,
    /// Between two of them.
    Between,
}

/// The operator that `character` is, between the last character before it that is no space, and what follows.
fn operator_between(character: char, before: Option<char>, behind: &str) -> Option<&'static str> {
    let (name, place) = operator(character)?;
    let before = before.is_some_and(|before| before.is_numeric() || before == ')');
    let behind = behind.trim_start().chars().next();
    let behind = behind.is_some_and(|behind| behind.is_numeric() || behind == '(');
    let stands = match place {
        OperatorPlace::Beside => before || behind,
        OperatorPlace::Between => before && behind,
    };
    stands.then_some(name)
}

/// Calls `each` with the words of `text`, in order.
pub(crate) fn for_each_word(text: &str, each: impl FnMut(&str)) {
    if text.is_ascii() {
        split(text, each);
    } else {
        split(&text.nfkc().collect::<String>(), each);
    }
}

fn split(text: &str, mut each: impl FnMut(&str)) {
    let mut word = String::new();
    let mut before = None;
    for (index, character) in text.char_indices() {
        let alone = is_word_by_itself(character);
        if character.is_alphanumeric() && !alone {
            word.extend(character.to_lowercase());
        } else {
            if !word.is_empty() {
                each(&word);
                word.clear();
            }
            let behind = &text[index + character.len_utf8()..];
            if alone {
                each(character.encode_utf8(&mut [0; 4]));
            } else if let Some(operator) = operator_between(character, before, behind) {
                each(operator);
            }
        }
        if !character.is_whitespace() {
            before = Some(character);
        }
    }
    if !word.is_empty() {
        each(&word);
    }
}

/// The words of `text`, in order.
pub(crate) fn normalised_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for_each_word(text, |word| words.push(word.to_owned()));
    words
}

/// A hash (XXH3, 64 bits) of every word of `text`, in order.
pub(crate) fn word_hashes(text: &str) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(text.len() / 5);
    for_each_word(text, |word| {
        hashes.push(XxHash3_64::oneshot(word.as_bytes()));
    });
    hashes
}

/// Hashes of the n-grams of `items` in order, `size` items each; none if there are fewer.
///
/// A polynomial in the items modulo 2⁶⁴, then mixed. Two different n-grams share a hash with a probability of about 2⁻⁶⁴.
///
/// # Panics
/// If `size` is 0, which no validated configuration has.
pub(crate) fn ngram_hashes(items: &[u64], size: usize) -> impl Iterator<Item = u64> {
    assert!(size > 0, "n-grams of no items");
    let highest = (1..size).fold(1u64, |power, _| power.wrapping_mul(NGRAM_MULTIPLIER));
    let mut rolling = 0u64;
    items.iter().enumerate().filter_map(move |(index, &item)| {
        if index >= size {
            rolling = rolling.wrapping_sub(items[index - size].wrapping_mul(highest));
        }
        rolling = rolling.wrapping_mul(NGRAM_MULTIPLIER).wrapping_add(item);
        (index + 1 >= size).then(|| mixed(rolling))
    })
}

/// Spreads every bit over the whole word: the finaliser of MurmurHash3 by Austin Appleby.
pub(crate) fn mixed(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn case_punctuation_and_white_space_do_not_change_the_words() {
        let expected = ["it", "s", "3", "5", "km"];
        for text in ["It's 3.5 km!", "it s  3,5\nKM", "(IT’S) 3·5 — km…"] {
            assert_eq!(normalised_words(text), expected, "{text}");
        }
    }

    #[test]
    fn compatible_and_decomposed_characters_are_the_same() {
        assert_eq!(
            normalised_words("Cafe\u{301} ﬁne ２"),
            ["café", "fine", "2"]
        );
        assert_eq!(normalised_words("Straße"), ["straße"]);
    }

    #[test]
    fn han_characters_and_kana_are_words_by_themselves() {
        assert_eq!(
            normalised_words("我有3个apple。"),
            ["我", "有", "3", "个", "apple"]
        );
    }

    #[test]
    fn operators_of_formulas_are_words_and_hyphens_are_not() {
        assert_eq!(normalised_words("7-5 = 2"), ["7", "-", "5", "=", "2"]);
        assert_eq!(normalised_words("7 − 5=2"), ["7", "-", "5", "=", "2"]);
        assert_eq!(
            normalised_words("(1+2)×3 > x"),
            ["1", "+", "2", "*", "3", ">", "x"]
        );
        assert_eq!(
            normalised_words("- a well-known **rule** and/or <b>law</b>"),
            ["a", "well", "known", "rule", "and", "or", "b", "law", "b"]
        );
    }

    #[test]
    fn a_text_without_words_has_none() {
        assert!(normalised_words(" … !?\n").is_empty());
        assert!(normalised_words("").is_empty());
    }

    #[test]
    fn rolling_hashes_are_those_of_each_ngram_alone() {
        let items: Vec<u64> = (0..40u64).map(mixed).collect();
        for size in [1, 2, 7, 40] {
            let rolled: Vec<u64> = ngram_hashes(&items, size).collect();
            let alone: Vec<u64> = items
                .windows(size)
                .flat_map(|window| ngram_hashes(window, size))
                .collect();
            assert_eq!(rolled, alone);
            assert_eq!(rolled.iter().collect::<HashSet<_>>().len(), rolled.len());
        }
        assert_eq!(ngram_hashes(&items, 41).count(), 0);
    }
}
