//! Cutting documents to the length of the models.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::TextError;
use crate::example::{TokenizedExample, TokenizedPair};
use crate::masked_tokens::{StudentTokens, TeacherTokens};
use crate::segment::Segment;

/// What to do with a document that is longer than a segment may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverLength {
    /// Stop with an error that names the document.
    Error,
    /// Keep the start. Where the views differ, both keep the labels that fit into both.
    Truncate,
    /// Cut into consecutive segments of at most `max_tokens`.
    ///
    /// The first token of a later segment has no context there and is not a label. A conversation
    /// whose views differ has no common place for a cut and is an error.
    Split,
    /// Leave the document out.
    Skip,
}

/// How long a segment may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentConfig {
    /// Most tokens of a segment, in either view; at least 2.
    pub max_tokens: usize,
    /// What to do with longer documents.
    pub over_length: OverLength,
}

/// What became of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SegmentStats {
    /// Documents given to the cutter.
    pub documents: u64,
    /// Segments made of them.
    pub segments: u64,
    /// Documents left out for their length.
    pub skipped_over_length: u64,
    /// Documents of which only the start was kept.
    pub truncated: u64,
    /// Documents cut into several pieces.
    pub split: u64,
    /// Pieces left out because no token in them is a label (a document of one token, a long
    /// question between two cuts).
    pub without_labels: u64,
}

/// Cuts documents into segments and counts what it did.
#[derive(Debug, Clone)]
pub struct SegmentCutter {
    config: SegmentConfig,
    stats: SegmentStats,
}

impl SegmentCutter {
    /// A cutter that has seen nothing yet.
    ///
    /// # Errors
    /// [`TextError::InvalidOption`] if a segment could not hold a token and its label.
    pub fn new(config: SegmentConfig) -> Result<Self, TextError> {
        if config.max_tokens < 2 {
            return Err(TextError::InvalidOption {
                option: "max_tokens",
                expected: "at least 2",
                found: config.max_tokens.to_string(),
            });
        }
        Ok(Self {
            config,
            stats: SegmentStats::default(),
        })
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> &SegmentStats {
        &self.stats
    }

    /// Cuts one document; the result is empty if it was left out, which [`SegmentStats`] counts.
    ///
    /// # Errors
    /// [`TextError::OverLength`] under [`OverLength::Error`];
    /// [`TextError::SplitDifferentViews`] under [`OverLength::Split`].
    pub fn cut(&mut self, pair: TokenizedPair) -> Result<Vec<Segment>, TextError> {
        let max_tokens = self.config.max_tokens;
        let teacher = pair.teacher().example();
        let student = pair.student().example();
        let tokens = teacher.token_ids.len().max(student.token_ids.len());
        self.stats.documents += 1;
        if tokens <= max_tokens {
            let whole = (0..teacher.token_ids.len(), 0..student.token_ids.len());
            return self.segments(&pair, [whole]);
        }
        match self.config.over_length {
            OverLength::Error => Err(TextError::OverLength {
                place: pair.source().clone(),
                tokens,
                max_tokens,
            }),
            OverLength::Skip => {
                self.stats.skipped_over_length += 1;
                Ok(Vec::new())
            }
            OverLength::Truncate => {
                self.stats.truncated += 1;
                let [teacher_end, student_end] = truncated_ends([teacher, student], max_tokens);
                self.segments(&pair, [(0..teacher_end, 0..student_end)])
            }
            OverLength::Split if teacher.token_ids != student.token_ids => {
                Err(TextError::SplitDifferentViews {
                    place: pair.source().clone(),
                    tokens,
                    max_tokens,
                })
            }
            OverLength::Split => {
                self.stats.split += 1;
                let pieces = (0..tokens)
                    .step_by(max_tokens)
                    .map(|start| start..tokens.min(start + max_tokens))
                    .map(|piece| (piece.clone(), piece));
                self.segments(&pair, pieces)
            }
        }
    }

    /// Makes segments of ranges of tokens: the teacher's and the student's.
    fn segments(
        &mut self,
        pair: &TokenizedPair,
        pieces: impl IntoIterator<Item = (Range<usize>, Range<usize>)>,
    ) -> Result<Vec<Segment>, TextError> {
        let mut segments = Vec::new();
        for (teacher, student) in pieces {
            let (teacher_ids, teacher_mask) = part(pair.teacher().example(), teacher);
            let (student_ids, student_mask) = part(pair.student().example(), student);
            if !teacher_mask.contains(&true) {
                self.stats.without_labels += 1;
                continue;
            }
            segments.push(Segment::try_new(
                TeacherTokens::try_new(teacher_ids, teacher_mask)?,
                StudentTokens::try_new(student_ids, student_mask)?,
                pair.source().clone(),
            )?);
        }
        self.stats.segments += segments.len() as u64;
        Ok(segments)
    }
}

/// A range of an example's tokens, whose first token is not a label.
fn part(example: &TokenizedExample, range: Range<usize>) -> (Vec<u32>, Vec<bool>) {
    let token_ids = example.token_ids[range.clone()].to_vec();
    let mut loss_mask = example.loss_mask[range].to_vec();
    if let Some(first) = loss_mask.first_mut() {
        *first = false;
    }
    (token_ids, loss_mask)
}

/// How many tokens each view keeps so that both fit and have the same labels.
fn truncated_ends(views: [&TokenizedExample; 2], max_tokens: usize) -> [usize; 2] {
    let labels_within = |view: &TokenizedExample| {
        let kept = view.loss_mask.iter().take(max_tokens);
        kept.filter(|&&counts| counts).count()
    };
    let num_labels = labels_within(views[0]).min(labels_within(views[1]));
    views.map(|view| {
        let labels = view
            .loss_mask
            .iter()
            .enumerate()
            .filter(|(_, counts)| **counts);
        let first_surplus_label = labels.map(|(i, _)| i).nth(num_labels);
        let end = view.token_ids.len().min(max_tokens);
        first_surplus_label.map_or(end, |i| end.min(i))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::DocumentSource;
    use crate::example::{StudentExample, TeacherExample};

    fn example(token_ids: Vec<u32>, loss_mask: Vec<bool>) -> TokenizedExample {
        TokenizedExample {
            byte_offsets: vec![(0, 0); token_ids.len()],
            token_ids,
            loss_mask,
            source: DocumentSource {
                path: "a.txt".into(),
                record: 1,
            },
        }
    }

    fn text(tokens: u32) -> TokenizedPair {
        let example = example((0..tokens).collect(), (0..tokens).map(|i| i > 0).collect());
        TokenizedPair {
            teacher: TeacherExample(example.clone()),
            student: StudentExample(example),
        }
    }

    /// Prompts of two lengths before the same labels.
    fn conversation(teacher_prompt: usize, student_prompt: usize, labels: u32) -> TokenizedPair {
        let view = |prompt: usize| {
            let token_ids = std::iter::repeat_n(99, prompt).chain(0..labels).collect();
            let loss_mask = (0..prompt + labels as usize).map(|i| i >= prompt).collect();
            example(token_ids, loss_mask)
        };
        TokenizedPair {
            teacher: TeacherExample(view(teacher_prompt)),
            student: StudentExample(view(student_prompt)),
        }
    }

    fn cutter(max_tokens: usize, over_length: OverLength) -> SegmentCutter {
        SegmentCutter::new(SegmentConfig {
            max_tokens,
            over_length,
        })
        .unwrap()
    }

    #[test]
    fn a_short_document_is_one_segment_whatever_the_policy() {
        for policy in [
            OverLength::Error,
            OverLength::Truncate,
            OverLength::Split,
            OverLength::Skip,
        ] {
            let mut cutter = cutter(5, policy);
            let segments = cutter.cut(text(5)).unwrap();
            assert_eq!(segments.len(), 1);
            assert_eq!(segments[0].student().token_ids(), [0, 1, 2, 3, 4]);
            let stats = SegmentStats {
                documents: 1,
                segments: 1,
                ..SegmentStats::default()
            };
            assert_eq!(*cutter.stats(), stats);
        }
    }

    #[test]
    fn a_long_document_is_an_error_that_names_it_and_the_remedies() {
        let message = cutter(4, OverLength::Error)
            .cut(text(5))
            .unwrap_err()
            .to_string();
        assert!(message.starts_with("a.txt, record 1 has 5 tokens, expected at most 4"));
        assert!(message.contains("over_length"));
    }

    #[test]
    fn skipping_counts_the_document() {
        let mut cutter = cutter(4, OverLength::Skip);
        assert!(cutter.cut(text(5)).unwrap().is_empty());
        assert_eq!(cutter.stats().skipped_over_length, 1);
    }

    #[test]
    fn truncation_keeps_the_start() {
        let mut cutter = cutter(4, OverLength::Truncate);
        let segments = cutter.cut(text(9)).unwrap();
        assert_eq!(segments[0].teacher().token_ids(), [0, 1, 2, 3]);
        assert_eq!(cutter.stats().truncated, 1);
    }

    #[test]
    fn truncation_of_different_views_keeps_the_labels_that_fit_into_both() {
        let mut cutter = cutter(6, OverLength::Truncate);
        let segments = cutter.cut(conversation(4, 1, 9)).unwrap();
        assert_eq!(segments[0].teacher().token_ids(), [99, 99, 99, 99, 0, 1]);
        assert_eq!(segments[0].student().token_ids(), [99, 0, 1]);
    }

    #[test]
    fn truncation_before_the_first_label_leaves_nothing_and_counts_it() {
        let mut cutter = cutter(4, OverLength::Truncate);
        assert!(cutter.cut(conversation(4, 1, 9)).unwrap().is_empty());
        assert_eq!(cutter.stats().without_labels, 1);
    }

    #[test]
    fn splitting_cuts_consecutive_pieces_whose_first_token_is_no_label() {
        let mut cutter = cutter(4, OverLength::Split);
        let segments = cutter.cut(text(9)).unwrap();
        assert_eq!(segments[0].student().token_ids(), [0, 1, 2, 3]);
        assert_eq!(segments[1].student().token_ids(), [4, 5, 6, 7]);
        assert_eq!(segments[1].student().loss_mask(), [false, true, true, true]);
        // The ninth token alone has no context and therefore no label.
        assert_eq!(segments.len(), 2);
        let stats = SegmentStats {
            documents: 1,
            segments: 2,
            split: 1,
            without_labels: 1,
            ..SegmentStats::default()
        };
        assert_eq!(*cutter.stats(), stats);
    }

    #[test]
    fn a_conversation_with_equal_views_can_be_split_and_one_with_different_views_cannot() {
        let mut cutter = cutter(4, OverLength::Split);
        assert_eq!(cutter.cut(conversation(2, 2, 6)).unwrap().len(), 2);
        let error = cutter.cut(conversation(3, 2, 6)).unwrap_err();
        assert!(matches!(
            error,
            TextError::SplitDifferentViews { tokens: 9, .. }
        ));
    }

    #[test]
    fn a_document_of_one_token_has_no_label_and_is_counted() {
        let mut cutter = cutter(4, OverLength::Error);
        assert!(cutter.cut(text(1)).unwrap().is_empty());
        assert_eq!(cutter.stats().without_labels, 1);
    }

    #[test]
    fn a_segment_must_have_room_for_a_label() {
        let config = SegmentConfig {
            max_tokens: 1,
            over_length: OverLength::Error,
        };
        let message = SegmentCutter::new(config).unwrap_err().to_string();
        assert_eq!(message, "max_tokens must be at least 2, found 1");
    }

    proptest! {
        #[test]
        fn cut_views_always_share_their_labels_and_fit(
            teacher_prompt in 1usize..12,
            student_prompt in 1usize..12,
            labels in 0u32..20,
            max_tokens in 2usize..16,
        ) {
            let mut cutter = cutter(max_tokens, OverLength::Truncate);
            let pair = conversation(teacher_prompt, student_prompt, labels);
            for segment in cutter.cut(pair).unwrap() {
                prop_assert!(segment.teacher().token_ids().len() <= max_tokens);
                prop_assert!(segment.student().token_ids().len() <= max_tokens);
                prop_assert!(segment.teacher().labels().eq(segment.student().labels()));
                prop_assert!(segment.student().labels().eq(0..segment.student().num_labels() as u32));
            }
        }

        #[test]
        fn split_pieces_are_the_document(tokens in 0u32..40, max_tokens in 2usize..16) {
            let mut cutter = cutter(max_tokens, OverLength::Split);
            let segments = cutter.cut(text(tokens)).unwrap();
            let joined: Vec<u32> = segments
                .iter()
                .flat_map(|segment| segment.student().token_ids().to_vec())
                .collect();
            let alone = usize::from(tokens as usize % max_tokens == 1);
            prop_assert!(joined.iter().copied().eq(0..tokens - alone as u32));
        }
    }
}
