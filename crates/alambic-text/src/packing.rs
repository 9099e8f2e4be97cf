//! Packing whole segments into sequences of fixed length.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::error::TextError;
use crate::masked_tokens::StudentTokens;

/// Packs segments into sequences and never splits one.
///
/// ```
/// use alambic_text::{Packer, StudentTokens};
///
/// let segments = [
///     StudentTokens::try_new(vec![5, 6, 7], vec![false, true, true])?,
///     StudentTokens::try_new(vec![8, 9], vec![false, true])?,
/// ];
/// let packer = Packer { sequence_tokens: 6, pad_id: 0 };
/// assert_eq!(packer.plan(&[3, 2])?, [[0, 1]]);
///
/// let sequence = packer.pack(&segments.each_ref(), &[0, 1])?;
/// assert_eq!(sequence.token_ids, [5, 6, 7, 8, 9, 0]);
/// assert_eq!(sequence.labels, [6, 7, 0, 9, 0, 0]);
/// assert_eq!(sequence.label_mask, [true, true, false, true, false, false]);
/// assert_eq!(sequence.positions, [0, 1, 2, 0, 1, 0]);
/// assert_eq!(sequence.document_ids, [1, 1, 1, 2, 2, 0]);
/// # Ok::<(), alambic_text::TextError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packer {
    /// Tokens of every sequence.
    pub sequence_tokens: usize,
    /// The token that fills the rest of a sequence. It is never a counted label.
    pub pad_id: u32,
}

/// Where a segment lies in a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedSegment {
    /// Index of the segment in the slice that was packed from.
    pub index: usize,
    /// Its first position in the sequence.
    pub start: usize,
    /// Its length.
    pub tokens: usize,
}

/// Whole segments side by side; every vector has `sequence_tokens` entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedSequence {
    /// Token ids; the pad token behind the last segment.
    pub token_ids: Vec<u32>,
    /// At position `t` the token `t + 1` of the same segment; the pad token where there is none.
    pub labels: Vec<u32>,
    /// Whether the label counts. False at the last token of a segment and on padding.
    pub label_mask: Vec<bool>,
    /// Positions for the model, from 0 in every segment and on padding 0.
    pub positions: Vec<u32>,
    /// 1 for the tokens of the first segment, 2 for the second ...; 0 for padding. A token may
    /// attend to tokens with the same number.
    pub document_ids: Vec<u32>,
    /// The segments, in order.
    pub segments: Vec<PlacedSegment>,
}

impl Packer {
    /// Distributes segments of these lengths over sequences: best-fit decreasing.
    ///
    /// Longest first (the earlier one of equals), each segment goes into the fullest sequence that
    /// still has room (the first of equals). The plan depends on the lengths alone. It needs at
    /// most 11/9 times the fewest possible sequences, plus one (Johnson 1974,
    /// doi:10.1137/0203025). Sequences come in the order in which they were begun, the indices
    /// inside each ascend. Cost: `O(n log n)`.
    ///
    /// # Errors
    /// [`TextError::SegmentLength`] if a segment is empty or longer than a sequence.
    pub fn plan(&self, lengths: &[usize]) -> Result<Vec<Vec<usize>>, TextError> {
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&index| (Reverse(lengths[index]), index));
        let mut sequences: Vec<Vec<usize>> = Vec::new();
        let mut room: BTreeSet<(usize, usize)> = BTreeSet::new();
        for index in order {
            let tokens = lengths[index];
            self.check_length(index, tokens)?;
            let best_fit = room.range((tokens, 0)..).next().copied();
            let (free_tokens, sequence) = best_fit.unwrap_or_else(|| {
                sequences.push(Vec::new());
                (self.sequence_tokens, sequences.len() - 1)
            });
            room.remove(&(free_tokens, sequence));
            room.insert((free_tokens - tokens, sequence));
            sequences[sequence].push(index);
        }
        for sequence in &mut sequences {
            sequence.sort_unstable();
        }
        Ok(sequences)
    }

    /// Lays the segments with these indices side by side, in this order.
    ///
    /// # Errors
    /// [`TextError::PackingIndices`] if an index is out of range or given twice, or if the
    /// segments together are longer than a sequence; [`TextError::SegmentLength`] if one is.
    pub fn pack(
        &self,
        segments: &[&StudentTokens],
        indices: &[usize],
    ) -> Result<PackedSequence, TextError> {
        self.check_indices(segments, indices)?;
        let length = self.sequence_tokens;
        let mut sequence = PackedSequence {
            token_ids: vec![self.pad_id; length],
            labels: vec![self.pad_id; length],
            label_mask: vec![false; length],
            positions: vec![0; length],
            document_ids: vec![0; length],
            segments: Vec::with_capacity(indices.len()),
        };
        let mut start = 0;
        for &index in indices {
            sequence.place(index, segments[index], start);
            start += segments[index].token_ids().len();
        }
        Ok(sequence)
    }

    fn check_length(&self, segment: usize, tokens: usize) -> Result<(), TextError> {
        if (1..=self.sequence_tokens).contains(&tokens) {
            return Ok(());
        }
        Err(TextError::SegmentLength {
            segment,
            tokens,
            sequence_tokens: self.sequence_tokens,
        })
    }

    fn check_indices(
        &self,
        segments: &[&StudentTokens],
        indices: &[usize],
    ) -> Result<(), TextError> {
        let failed = |expected, found| Err(TextError::PackingIndices { expected, found });
        let mut seen = BTreeSet::new();
        let mut total = 0usize;
        for &index in indices {
            let Some(segment) = segments.get(index) else {
                let found = format!("index {index} of {} segments", segments.len());
                return failed("indices of the segments given", found);
            };
            if !seen.insert(index) {
                return failed("every index once", format!("index {index} twice"));
            }
            let tokens = segment.token_ids().len();
            self.check_length(index, tokens)?;
            total += tokens;
        }
        if total > self.sequence_tokens {
            let found = format!("{total} tokens for {}", self.sequence_tokens);
            return failed("segments that fit into one sequence together", found);
        }
        Ok(())
    }
}

impl PackedSequence {
    /// Writes a segment at `start`, where there is room for it.
    fn place(&mut self, index: usize, segment: &StudentTokens, start: usize) {
        let token_ids = segment.token_ids();
        let tokens = token_ids.len();
        let end = start + tokens;
        let document_id = self.segments.len() as u32 + 1;
        self.token_ids[start..end].copy_from_slice(token_ids);
        self.labels[start..end - 1].copy_from_slice(&token_ids[1..]);
        self.label_mask[start..end - 1].copy_from_slice(&segment.loss_mask()[1..]);
        self.document_ids[start..end].fill(document_id);
        for (position, slot) in (0..).zip(&mut self.positions[start..end]) {
            *slot = position;
        }
        self.segments.push(PlacedSegment {
            index,
            start,
            tokens,
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(token_ids: &[u32]) -> StudentTokens {
        let loss_mask = (0..token_ids.len()).map(|i| i > 0).collect();
        StudentTokens::try_new(token_ids.to_vec(), loss_mask).unwrap()
    }

    const PAD: u32 = 1_000_000;

    prop_compose! {
        fn any_segment(max_tokens: usize)
            (tokens in prop::collection::vec((0u32..1000, any::<bool>()), 1..=max_tokens))
            -> StudentTokens
        {
            let (token_ids, mut loss_mask): (Vec<u32>, Vec<bool>) = tokens.into_iter().unzip();
            loss_mask[0] = false;
            StudentTokens::try_new(token_ids, loss_mask).unwrap()
        }
    }

    fn packed(packer: &Packer, segments: &[StudentTokens]) -> Vec<PackedSequence> {
        let segments: Vec<&StudentTokens> = segments.iter().collect();
        let lengths: Vec<usize> = segments.iter().map(|s| s.token_ids().len()).collect();
        let plan = packer.plan(&lengths).unwrap();
        plan.iter()
            .map(|indices| packer.pack(&segments, indices).unwrap())
            .collect()
    }

    proptest! {
        #[test]
        fn every_segment_is_placed_exactly_once_and_whole(
            segments in prop::collection::vec(any_segment(16), 0..60),
        ) {
            let packer = Packer { sequence_tokens: 16, pad_id: PAD };
            let mut placed = Vec::new();
            for sequence in packed(&packer, &segments) {
                for place in &sequence.segments {
                    let range = place.start..place.start + place.tokens;
                    prop_assert_eq!(
                        &sequence.token_ids[range],
                        segments[place.index].token_ids()
                    );
                    placed.push(place.index);
                }
            }
            placed.sort_unstable();
            prop_assert_eq!(placed, (0..segments.len()).collect::<Vec<_>>());
        }

        #[test]
        fn labels_are_the_next_tokens_of_the_same_segment_and_never_cross(
            segments in prop::collection::vec(any_segment(16), 1..60),
        ) {
            let packer = Packer { sequence_tokens: 16, pad_id: PAD };
            for sequence in packed(&packer, &segments) {
                for t in 0..packer.sequence_tokens {
                    let document = sequence.document_ids[t];
                    let next = sequence.document_ids.get(t + 1);
                    if document > 0 && next == Some(&document) {
                        prop_assert_eq!(sequence.labels[t], sequence.token_ids[t + 1]);
                        prop_assert_eq!(sequence.positions[t + 1], sequence.positions[t] + 1);
                    } else {
                        prop_assert_eq!(sequence.labels[t], PAD);
                        prop_assert!(!sequence.label_mask[t]);
                    }
                }
            }
        }

        #[test]
        fn counted_labels_are_those_of_the_segments_in_order(
            segments in prop::collection::vec(any_segment(16), 1..60),
        ) {
            let packer = Packer { sequence_tokens: 16, pad_id: PAD };
            for sequence in packed(&packer, &segments) {
                let expected: Vec<u32> = sequence
                    .segments
                    .iter()
                    .flat_map(|place| segments[place.index].labels())
                    .collect();
                let counted: Vec<u32> = (0..packer.sequence_tokens)
                    .filter(|&t| sequence.label_mask[t])
                    .map(|t| sequence.labels[t])
                    .collect();
                prop_assert_eq!(counted, expected);
            }
        }

        #[test]
        fn padding_is_document_zero_and_documents_count_from_one(
            segments in prop::collection::vec(any_segment(16), 1..60),
        ) {
            let packer = Packer { sequence_tokens: 16, pad_id: PAD };
            for sequence in packed(&packer, &segments) {
                let mut expected = Vec::new();
                for (number, place) in (1..).zip(&sequence.segments) {
                    prop_assert_eq!(sequence.positions[place.start], 0);
                    expected.extend(std::iter::repeat_n(number, place.tokens));
                }
                let filled = expected.len();
                expected.resize(packer.sequence_tokens, 0);
                prop_assert_eq!(&sequence.document_ids, &expected);
                prop_assert!(sequence.token_ids[filled..].iter().all(|&id| id == PAD));
                prop_assert!(sequence.positions[filled..].iter().all(|&position| position == 0));
            }
        }

        #[test]
        fn no_two_sequences_could_be_joined(
            lengths in prop::collection::vec(1usize..=16, 0..60),
        ) {
            let packer = Packer { sequence_tokens: 16, pad_id: PAD };
            let plan = packer.plan(&lengths).unwrap();
            let mut filled: Vec<usize> = plan
                .iter()
                .map(|indices| indices.iter().map(|&i| lengths[i]).sum())
                .collect();
            filled.sort_unstable();
            if let [first, second, ..] = filled[..] {
                prop_assert!(first + second > packer.sequence_tokens);
            }
        }
    }

    #[test]
    fn the_best_fit_is_the_fullest_sequence_with_room() {
        let packer = Packer {
            sequence_tokens: 10,
            pad_id: 0,
        };
        // 7 and 6 open two sequences; 3 fills the first exactly, then 2 and 2 the second.
        assert_eq!(
            packer.plan(&[6, 2, 7, 3, 2]).unwrap(),
            [vec![2, 3], vec![0, 1, 4]]
        );
        assert!(packer.plan(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_segment_that_fits_no_sequence_is_an_error_with_its_index() {
        let packer = Packer {
            sequence_tokens: 3,
            pad_id: 0,
        };
        let error = packer.plan(&[3, 4]).unwrap_err().to_string();
        assert_eq!(error, "segment 1 has 4 tokens, expected 1 to 3");
        assert!(packer.plan(&[0]).is_err());
        let too_long = segment(&[1, 2, 3, 4]);
        assert!(packer.pack(&[&too_long], &[0]).is_err());
    }

    #[test]
    fn indices_that_are_no_sequence_are_refused() {
        let packer = Packer {
            sequence_tokens: 3,
            pad_id: 0,
        };
        let segments = [segment(&[1, 2]), segment(&[3, 4])];
        let pack = |indices: &[usize]| packer.pack(&segments.each_ref(), indices);
        assert!(pack(&[2]).unwrap_err().to_string().contains("index 2 of 2"));
        assert!(
            pack(&[0, 0])
                .unwrap_err()
                .to_string()
                .contains("index 0 twice")
        );
        assert!(
            pack(&[0, 1])
                .unwrap_err()
                .to_string()
                .contains("4 tokens for 3")
        );
    }

    #[test]
    fn packing_nothing_gives_padding_alone() {
        let packer = Packer {
            sequence_tokens: 3,
            pad_id: 9,
        };
        let sequence = packer.pack(&[], &[]).unwrap();
        assert_eq!(sequence.token_ids, [9, 9, 9]);
        assert_eq!(sequence.document_ids, [0, 0, 0]);
    }
}
