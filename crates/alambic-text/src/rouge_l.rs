//! Words in the same order: Rouge-L.

/// How much of two texts is words in the same order, each share between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RougeL {
    /// Of the candidate's words.
    pub precision: f64,
    /// Of the reference's words.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f_measure: f64,
}

/// Rouge-L of a candidate beside a reference: the longest common subsequence of words (Lin 2004, "ROUGE: A Package for
/// Automatic Evaluation of Summaries", section 3, with β = 1).
///
/// Words are runs of ASCII letters and digits, in lower case and without stemming, as the package `rouge-score` has them by
/// default: all else divides words, so texts in other scripts have none. Without words on either side all is 0. Time is the
/// product of the numbers of words.
///
/// ```
/// use alambic_text::rouge_l;
/// let score = rouge_l("the cat on the mat", "The cat sat on the mat.");
/// assert_eq!((score.precision, score.recall), (1.0, 5.0 / 6.0));
/// ```
#[must_use]
pub fn rouge_l(candidate: &str, reference: &str) -> RougeL {
    let (candidate, reference) = (words(candidate), words(reference));
    let common = longest_common_subsequence(&candidate, &reference);
    if common == 0 {
        return RougeL::default();
    }
    let precision = common as f64 / candidate.len() as f64;
    let recall = common as f64 / reference.len() as f64;
    RougeL {
        precision,
        recall,
        f_measure: 2.0 * precision * recall / (precision + recall),
    }
}

fn words(text: &str) -> Vec<String> {
    // As in Python, letters that have an ASCII one for lower case count.
    let text = text.to_lowercase();
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The length of the longest common subsequence, with one row of the table in memory.
fn longest_common_subsequence(left: &[String], right: &[String]) -> usize {
    let mut row = vec![0usize; right.len() + 1];
    for word in left {
        let mut diagonal = 0;
        for (place, other) in right.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = match word == other {
                true => diagonal + 1,
                false => above.max(row[place]),
            };
            diagonal = above;
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of Lin 2004, section 3.1.
    #[test]
    fn the_published_example_has_the_published_values() {
        let reference = "police killed the gunman";
        assert_eq!(rouge_l("police kill the gunman", reference).f_measure, 0.75);
        assert_eq!(rouge_l("the gunman kill police", reference).f_measure, 0.5);
    }

    #[test]
    fn texts_without_common_words_have_nothing_in_common() {
        for (left, right) in [("", ""), ("a", ""), ("a b", "c"), ("ä", "ä")] {
            assert_eq!(rouge_l(left, right), RougeL::default());
        }
        assert_eq!(rouge_l("A-b, c!", "a b C").f_measure, 1.0);
    }

    proptest! {
        #[test]
        fn precision_and_recall_change_places_with_the_texts(left in "[a-c ]{0,20}", right in "[a-c ]{0,20}") {
            let (there, back) = (rouge_l(&left, &right), rouge_l(&right, &left));
            prop_assert_eq!((there.precision, there.recall), (back.recall, back.precision));
            prop_assert!((0.0..=1.0).contains(&there.f_measure));
        }
    }
}
