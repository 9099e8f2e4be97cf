//! What is not compared in texts.

use serde::{Deserialize, Serialize};

/// What is not compared in texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextNormalisation {
    /// Upper and lower case.
    Case,
    /// How much white space stands between words, and whether some stands around the text.
    WhiteSpace,
    /// Punctuation at the end: `.`, `,`, `;`, `:`, `!` and `?`.
    TrailingPunctuation,
    /// All of ASCII's punctuation.
    Punctuation,
    /// The words a, an and the, with the white space around them.
    Articles,
}

impl TextNormalisation {
    /// The text without what is not compared.
    pub(super) fn apply(self, text: &str) -> String {
        match self {
            Self::Case => text.to_lowercase(),
            Self::WhiteSpace => joined(text.split_whitespace()),
            Self::TrailingPunctuation => text
                .trim_end()
                .trim_end_matches(['.', ',', ';', ':', '!', '?'])
                .to_owned(),
            Self::Punctuation => text
                .chars()
                .filter(|character| !character.is_ascii_punctuation())
                .collect(),
            Self::Articles => {
                let is_article =
                    |word: &&str| ["a", "an", "the"].contains(&word.to_lowercase().as_str());
                joined(text.split_whitespace().filter(|word| !is_article(word)))
            }
        }
    }
}

/// The text without what is not compared, in the order given.
pub(super) fn normalised(text: &str, ignored: &[TextNormalisation]) -> String {
    let apply = |text: String, ignored: &TextNormalisation| ignored.apply(&text);
    ignored.iter().fold(text.to_owned(), apply)
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::TextNormalisation::{Articles, Case, Punctuation, TrailingPunctuation, WhiteSpace};
    use super::*;

    #[test]
    fn each_leaves_out_what_it_names() {
        let text = "  The  cat, a Dog?! ";
        for (ignored, expected) in [
            (vec![], text),
            (vec![Case], "  the  cat, a dog?! "),
            (vec![WhiteSpace], "The cat, a Dog?!"),
            (vec![TrailingPunctuation], "  The  cat, a Dog"),
            (vec![Punctuation, WhiteSpace], "The cat a Dog"),
            (vec![Articles], "cat, Dog?!"),
            (vec![Case, Articles, TrailingPunctuation], "cat, dog"),
        ] {
            assert_eq!(normalised(text, &ignored), expected);
        }
    }
}
