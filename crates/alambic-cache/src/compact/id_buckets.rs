//! Ranges of token ids that are about equally frequent in a shard.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// Ranges that cover all ids below a power of two, each of a power of two of ids.
///
/// An id is written as its range and its offset within, which takes as many bits as the range is
/// wide. Frequent ids have a range of their own and rare ones share one, so that the offsets cost
/// little more than the ids' own frequencies would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdBuckets {
    /// First id of every bucket, ascending from 0.
    starts: Vec<u32>,
    /// Bits of the offset in every bucket.
    offset_bits: Vec<u8>,
}

/// A bucket that may be halved: the heaviest first, then the one of the lowest ids.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    count: u64,
    start: Reverse<u32>,
    offset_bits: u8,
}

impl IdBuckets {
    /// At most `max_buckets` buckets for ids below `vocab_size` that occur `counts[id]` times; those
    /// behind the end of `counts` do not occur.
    ///
    /// Starts with one bucket for all ids and halves the one that occurs most often, the one of
    /// the lowest ids among several.
    pub(super) fn for_counts(counts: &[u64], vocab_size: usize, max_buckets: usize) -> Self {
        let mut up_to = vec![0u64];
        up_to.extend(counts.iter().scan(0, |sum, &count| {
            *sum += count;
            Some(*sum)
        }));
        let candidate = |start: u32, offset_bits: u8| {
            let sum = |id: u64| up_to[(id as usize).min(counts.len())];
            let end = u64::from(start) + (1 << offset_bits);
            Candidate {
                count: sum(end) - sum(u64::from(start)),
                start: Reverse(start),
                offset_bits,
            }
        };
        let mut heap = BinaryHeap::from([candidate(0, id_bits(vocab_size))]);
        let mut whole: Vec<(u32, u8)> = Vec::new();
        while heap.len() + whole.len() < max_buckets {
            let Some(heaviest) = heap.peek_mut().filter(|bucket| bucket.count > 0) else {
                break;
            };
            let heaviest = PeekMut::pop(heaviest);
            let start = heaviest.start.0;
            let Some(offset_bits) = heaviest.offset_bits.checked_sub(1) else {
                whole.push((start, 0));
                continue;
            };
            heap.push(candidate(start, offset_bits));
            heap.push(candidate(start + (1 << offset_bits), offset_bits));
        }
        whole.extend(
            heap.into_iter()
                .map(|left| (left.start.0, left.offset_bits)),
        );
        whole.sort_unstable();
        let (starts, offset_bits) = whole.into_iter().unzip();
        Self {
            starts,
            offset_bits,
        }
    }

    /// Buckets of these widths in ascending order; `None` unless they cover exactly the ids of a
    /// vocabulary, each starting at a multiple of its width.
    pub(super) fn from_offset_bits(offset_bits: Vec<u8>, vocab_size: usize) -> Option<Self> {
        let mut next = 0u64;
        let mut starts = Vec::with_capacity(offset_bits.len());
        for &bits in &offset_bits {
            let width = 1u64.checked_shl(u32::from(bits)).filter(|_| bits <= 32)?;
            if !next.is_multiple_of(width) {
                return None;
            }
            starts.push(u32::try_from(next).ok()?);
            next += width;
        }
        (next == 1 << id_bits(vocab_size)).then_some(Self {
            starts,
            offset_bits,
        })
    }

    /// Bits of the offset in every bucket, in ascending order of ids.
    pub(super) fn offset_bits(&self) -> &[u8] {
        &self.offset_bits
    }

    /// How many buckets there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The bucket of an id.
    pub(super) fn bucket(&self, id: u32) -> usize {
        self.starts.partition_point(|&start| start <= id) - 1
    }

    /// The first id of a bucket and the bits of an offset in it.
    #[inline]
    pub(super) fn range(&self, bucket: usize) -> (u32, u32) {
        (self.starts[bucket], u32::from(self.offset_bits[bucket]))
    }
}

/// Bits of the largest id below `vocab_size`.
fn id_bits(vocab_size: usize) -> u8 {
    (usize::BITS - vocab_size.saturating_sub(1).leading_zeros()) as u8
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_id_has_one_bucket(counts in prop::collection::vec(0u64..100, 1..600), max in 1usize..300) {
            let buckets = IdBuckets::for_counts(&counts, counts.len(), max);
            prop_assert!(buckets.len() <= max);
            for id in 0..counts.len() as u32 {
                let (start, bits) = buckets.range(buckets.bucket(id));
                prop_assert!(start <= id && id - start < 1 << bits);
            }
            let read = IdBuckets::from_offset_bits(buckets.offset_bits.clone(), counts.len());
            prop_assert_eq!(read, Some(buckets));
        }
    }

    #[test]
    fn frequent_ids_have_buckets_of_their_own() {
        let mut counts = vec![1; 1000];
        counts[3] = 5000;
        counts[700] = 5000;
        let buckets = IdBuckets::for_counts(&counts, 1000, 64);
        for id in [3, 700] {
            assert_eq!(buckets.range(buckets.bucket(id)), (id, 0));
        }
    }

    #[test]
    fn widths_that_do_not_cover_the_vocabulary_are_refused() {
        for bits in [
            vec![],
            vec![2],
            vec![4],
            vec![2, 2, 2],
            vec![1, 2, 1],
            vec![33],
            vec![64],
        ] {
            assert_eq!(
                IdBuckets::from_offset_bits(bits.clone(), 5),
                None,
                "{bits:?}"
            );
        }
        for bits in [vec![3], vec![2, 2], vec![1, 1, 2], vec![0, 0, 1, 2]] {
            assert!(IdBuckets::from_offset_bits(bits, 5).is_some());
        }
        assert!(IdBuckets::from_offset_bits(vec![0], 1).is_some());
    }
}
