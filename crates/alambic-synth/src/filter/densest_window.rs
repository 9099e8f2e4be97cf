//! The stretch of a document with the most n-grams of a question.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// An n-gram of a document that an index has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    /// The question that it belongs to.
    pub(crate) searched: usize,
    /// Its first word in the document.
    pub(crate) position: usize,
    /// Which of the question's n-grams it is.
    pub(crate) ngram: u32,
}

/// A stretch of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The question.
    pub(crate) searched: usize,
    /// Different n-grams of the question within the stretch.
    pub(crate) matched: usize,
    /// First word of the first n-gram.
    pub(crate) first: usize,
    /// First word of the last n-gram.
    pub(crate) last: usize,
}

/// The first stretch of at most `width` words between first and last n-gram that has most n-grams of one question; `hits` are of
/// this question, in order of their positions. `None` without hits.
pub(crate) fn densest_window(hits: &[Hit], width: usize) -> Option<Window> {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    let (mut start, mut best): (usize, Option<Window>) = (0, None);
    for hit in hits {
        *counts.entry(hit.ngram).or_insert(0) += 1;
        while hit.position - hits[start].position > width {
            if let Entry::Occupied(mut count) = counts.entry(hits[start].ngram) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            start += 1;
        }
        if best.is_none_or(|best| counts.len() > best.matched) {
            best = Some(Window {
                searched: hit.searched,
                matched: counts.len(),
                first: hits[start].position,
                last: hit.position,
            });
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(hits: &[(usize, u32)], width: usize) -> Option<(usize, usize, usize)> {
        let hit = |&(position, ngram)| Hit {
            searched: 0,
            position,
            ngram,
        };
        let hits: Vec<Hit> = hits.iter().map(hit).collect();
        densest_window(&hits, width).map(|found| (found.matched, found.first, found.last))
    }

    #[test]
    fn ngrams_that_are_far_from_each_other_do_not_add_up() {
        let hits = [(0, 0), (50, 1), (52, 2), (53, 2), (90, 3)];
        assert_eq!(window(&hits, 10), Some((2, 50, 52)));
        assert_eq!(window(&hits, 45), Some((3, 50, 90)));
        assert_eq!(window(&hits, 100), Some((4, 0, 90)));
    }

    #[test]
    fn one_ngram_counts_once_however_often_it_stands() {
        assert_eq!(window(&[(0, 7), (1, 7), (2, 7)], 10), Some((1, 0, 0)));
        assert_eq!(window(&[], 10), None);
    }
}
