//! Finds the known key that an unknown one was probably meant to be.

/// The candidate closest to `word`, or none when all are too far to be a slip of the hand.
///
/// Distance counts inserted, removed, replaced and swapped characters; at most a third of the
/// word may differ, and never fewer than one character is allowed to.
pub(super) fn nearest_key<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longest word that is compared; a longer one is no slip of the hand.
const MAX_COMPARED_CHARACTERS: usize = 64;

/// Optimal string alignment distance (Damerau 1964), in characters.
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    if left.len().max(right.len()) > MAX_COMPARED_CHARACTERS {
        return usize::MAX;
    }
    let mut before_last = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut row = vec![i; right.len() + 1];
        for j in 1..=right.len() {
            let replaced = last[j - 1] + usize::from(left[i - 1] != right[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            let swapped =
                i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if swapped {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn edit_distance_counts_each_kind_of_slip_once() {
        for (left, right, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("head_dim", "head_dim", 0),
            ("hed_dim", "head_dim", 1),
            ("head_dims", "head_dim", 1),
            ("haed_dim", "head_dim", 1),
            ("heab_dim", "head_dim", 1),
            ("HEAD_DIM", "head_dim", 0),
        ] {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
        }
    }

    #[test]
    fn only_a_close_key_is_suggested() {
        let keys = ["hidden_size", "head_dim", "rope_theta"];
        assert_eq!(nearest_key("hiden_size", keys), Some("hidden_size"));
        assert_eq!(nearest_key("dropout", keys), None);
    }
}
