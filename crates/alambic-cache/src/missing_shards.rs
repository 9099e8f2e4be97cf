//! Which shards a cache still lacks, and who would capture them.

use std::fmt;

use crate::Part;

/// How many gaps are listed one by one; the rest is counted.
const MOST_LISTED: usize = 1024;
/// How many shards and parts a message names.
const MOST_NAMED: usize = 8;

/// The shards that a capture by several writers still lacks.
///
/// `Display` says which ones and what to run.
///
/// ```
/// use alambic_cache::{MissingShards, Part};
/// let missing = MissingShards {
///     num_shards: 16,
///     num_missing: 2,
///     shards: vec![3, 7],
///     parts: vec![Part::try_new(3, 8)?, Part::try_new(7, 8)?],
/// };
/// assert_eq!(
///     missing.to_string(),
///     "shards 3, 7 of 16 are missing: wait for their writers, or run the capture with \
///      --shard 3/8, --shard 7/8"
/// );
/// # Ok::<(), alambic_cache::CacheError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingShards {
    /// How many shards the cache should have.
    pub num_shards: usize,
    /// How many of them are absent; at least one.
    pub num_missing: usize,
    /// The absent indices, ascending; the first 1024 of them if there are more.
    pub shards: Vec<usize>,
    /// The parts that own these; empty if nothing tells in how many parts the cache is captured.
    pub parts: Vec<Part>,
}

impl MissingShards {
    /// The gaps in `present`, which is ascending, if there are any; `num_parts` is the number of
    /// parts in which the cache is captured, where that is known.
    ///
    /// Zero shards are no cache: the first one is then the one missing.
    pub(crate) fn find(
        present: &[usize],
        num_shards: usize,
        num_parts: Option<usize>,
    ) -> Option<Self> {
        let expected = num_shards.max(1);
        let num_present = present.partition_point(|&index| index < expected);
        let mut rest = present.iter().copied().peekable();
        let gaps = (0..expected).filter(|index| rest.next_if_eq(index).is_none());
        if num_present == expected {
            return None;
        }
        let shards: Vec<usize> = gaps.take(MOST_LISTED).collect();
        let several = num_parts.filter(|&count| count > 1);
        let mut parts: Vec<Part> = several
            .into_iter()
            .flat_map(|count| {
                shards
                    .iter()
                    .map(move |&index| Part::owner_of(index, count))
            })
            .collect();
        parts.sort_unstable();
        parts.dedup();
        Some(Self {
            num_shards,
            num_missing: expected - num_present,
            shards,
            parts,
        })
    }
}

impl fmt::Display for MissingShards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, verb) = match self.num_missing {
            1 => ("shard", "is"),
            _ => ("shards", "are"),
        };
        let shards = named(&self.shards, self.num_missing, ToString::to_string);
        write!(f, "{noun} {shards} of {} {verb} missing: ", self.num_shards)?;
        if self.parts.is_empty() {
            return write!(f, "run the capture again");
        }
        let parts = named(&self.parts, self.parts.len(), |part| {
            format!("--shard {part}")
        });
        write!(f, "wait for their writers, or run the capture with {parts}")
    }
}

fn named<T>(items: &[T], count: usize, name: impl Fn(&T) -> String) -> String {
    let names: Vec<String> = items.iter().take(MOST_NAMED).map(name).collect();
    let names = names.join(", ");
    match count.saturating_sub(MOST_NAMED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_found_with_the_parts_that_own_them() {
        assert_eq!(MissingShards::find(&[0, 1, 2], 3, Some(2)), None);
        let missing = MissingShards::find(&[0, 2, 3], 6, Some(2)).unwrap();
        assert_eq!(missing.shards, [1, 4, 5]);
        assert_eq!(
            missing.parts,
            [Part::try_new(0, 2).unwrap(), Part::try_new(1, 2).unwrap()]
        );
    }

    #[test]
    fn gaps_without_number_are_counted_and_not_listed() {
        let missing = MissingShards::find(&[0, 2], usize::MAX, None).unwrap();
        assert_eq!(missing.num_missing, usize::MAX - 2);
        assert_eq!(missing.shards.len(), MOST_LISTED);
        assert_eq!(missing.shards[..2], [1, 3]);
        assert_eq!(MissingShards::find(&[], 0, None).unwrap().shards, [0]);
        assert_eq!(MissingShards::find(&[0, 1], 1, None), None);
    }

    #[test]
    fn the_message_fits_the_number_of_gaps() {
        let message = |present: &[usize], num_shards, num_parts| {
            let missing = MissingShards::find(present, num_shards, num_parts);
            missing.unwrap().to_string()
        };
        let alone = "shard 1 of 2 is missing: run the capture again";
        assert_eq!(message(&[0], 2, None), alone);
        assert_eq!(message(&[0], 2, Some(1)), alone);
        assert_eq!(
            message(&[], 12, Some(2)),
            "shards 0, 1, 2, 3, 4, 5, 6, 7 and 4 more of 12 are missing: \
             wait for their writers, or run the capture with --shard 0/2, --shard 1/2"
        );
    }
}
