//! What heuristics measure of a text.

use std::collections::HashSet;

/// Words of which English prose has some (Rae et al. 2021, arXiv:2112.11446, appendix A.1.1).
const STOP_WORDS: [&str; 8] = ["the", "be", "to", "of", "and", "that", "have", "with"];
/// How lines of a list begin.
const BULLETS: [char; 8] = ['•', '‣', '◦', '⁃', '●', '▪', '-', '*'];
/// How sentences end (Raffel et al. 2020, section 2.2: "a terminal punctuation mark").
const SENTENCE_ENDS: [char; 5] = ['.', '!', '?', '"', '”'];

/// Counts and shares of one text. Words are what white space separates; lines are trimmed, and empty ones do not count.
#[derive(Clone, Debug, PartialEq)]
pub struct TextStatistics {
    /// Words.
    pub words: usize,
    /// Mean characters of a word, punctuation included.
    pub mean_word_characters: f64,
    /// `#` characters for each word.
    pub hash_word_ratio: f64,
    /// Ellipses (`…` or `...`) for each word.
    pub ellipsis_word_ratio: f64,
    /// Share of lines that begin with a bullet: one of `•‣◦⁃●▪-*`.
    pub bullet_line_ratio: f64,
    /// Share of lines that end with an ellipsis.
    pub ellipsis_line_ratio: f64,
    /// Share of words with a letter in them.
    pub alphabetic_word_ratio: f64,
    /// How many of `the`, `be`, `to`, `of`, `and`, `that`, `have` and `with` occur.
    pub stop_words: usize,
    /// Sentences: words that end with `.`, `!` or `?`, behind which closing quotes and brackets may stand.
    pub sentences: usize,
    /// Share of lines that end as sentences do.
    pub terminal_line_ratio: f64,
    /// `{` and `}` characters.
    pub curly_brackets: usize,
    /// Occurrences of `lorem ipsum`, in any case.
    pub lorem_ipsum: usize,
    /// Lines that mention `javascript`, in any case.
    pub javascript_lines: usize,
}

impl TextStatistics {
    /// Measures `text`; shares of nothing are 0.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let of_words = |count: usize| ratio(count, words.len());
        let of_lines = |count: usize| ratio(count, lines.len());
        let count_lines =
            |holds: &dyn Fn(&str) -> bool| lines.iter().filter(|line| holds(line)).count();
        let ends_with_ellipsis = |line: &str| line.ends_with("...") || line.ends_with('…');
        let lower_case = text.to_lowercase();
        let characters: usize = words.iter().map(|word| word.chars().count()).sum();
        let with_letter = words
            .iter()
            .filter(|word| word.chars().any(char::is_alphabetic));
        let ellipses = text.matches("...").count() + text.matches('…').count();
        Self {
            words: words.len(),
            mean_word_characters: of_words(characters),
            hash_word_ratio: of_words(text.matches('#').count()),
            ellipsis_word_ratio: of_words(ellipses),
            bullet_line_ratio: of_lines(count_lines(&|line| line.starts_with(BULLETS))),
            ellipsis_line_ratio: of_lines(count_lines(&ends_with_ellipsis)),
            alphabetic_word_ratio: of_words(with_letter.count()),
            stop_words: stop_words(&lower_case),
            sentences: words.iter().filter(|word| ends_sentence(word)).count(),
            terminal_line_ratio: of_lines(count_lines(&|line| line.ends_with(SENTENCE_ENDS))),
            curly_brackets: text.matches(['{', '}']).count(),
            lorem_ipsum: lower_case.matches("lorem ipsum").count(),
            javascript_lines: lower_case
                .lines()
                .filter(|line| line.contains("javascript"))
                .count(),
        }
    }
}

/// `count / all`; 0 of nothing.
pub(crate) fn ratio(count: usize, all: usize) -> f64 {
    match all {
        0 => 0.0,
        all => count as f64 / all as f64,
    }
}

fn stop_words(lower_case: &str) -> usize {
    let words: HashSet<&str> = lower_case
        .split(|character: char| !character.is_alphanumeric())
        .collect();
    STOP_WORDS
        .iter()
        .filter(|word| words.contains(*word))
        .count()
}

fn ends_sentence(word: &str) -> bool {
    word.trim_end_matches(['"', '\'', '”', '’', ')', ']'])
        .ends_with(['.', '!', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statistic_is_what_a_reader_counts() {
        let text = "The fox (and the hen) ran to 42.\n\n- one # …\n* two...\n\"Have {it}!\" Lorem IPSUM; no JavaScript\n";
        let found = TextStatistics::new(text);
        assert_eq!(found.words, 20);
        assert_eq!(found.hash_word_ratio, 1.0 / 20.0);
        assert_eq!(found.ellipsis_word_ratio, 2.0 / 20.0);
        assert_eq!(found.bullet_line_ratio, 0.5);
        assert_eq!(found.ellipsis_line_ratio, 0.5);
        // Without letters: 42. - # … *
        assert_eq!(found.alphabetic_word_ratio, 15.0 / 20.0);
        assert_eq!(found.stop_words, 4); // the, and, to, have
        assert_eq!(found.sentences, 3); // 42. two... {it}!"
        assert_eq!(found.terminal_line_ratio, 0.5);
        assert_eq!(found.curly_brackets, 2);
        assert_eq!((found.lorem_ipsum, found.javascript_lines), (1, 1));
    }

    #[test]
    fn an_empty_text_has_zeros() {
        let found = TextStatistics::new(" \n");
        assert_eq!(
            (
                found.words,
                found.mean_word_characters,
                found.bullet_line_ratio
            ),
            (0, 0.0, 0.0)
        );
    }
}
