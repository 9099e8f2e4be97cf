//! One segment with the teacher's targets: the row of a shard.

use crate::SegmentKey;

/// The `k` most probable next tokens at each counted label of one segment, on the host.
///
/// Row `j` belongs to the `j`-th `true` of the record's loss mask. Log-probabilities are in nats
/// at temperature 1, as the teacher gave them: not renormalised over the head.
///
/// ```
/// use alambic_cache::TopKTargets;
/// // One target over four tokens with probabilities 1/2, 1/4, 1/8, 1/8; k = 2.
/// let half = 2f32.ln();
/// let targets = TopKTargets {
///     k: 2,
///     token_ids: vec![3, 0],
///     log_probs: vec![-half, -2.0 * half],
///     tail_mass: vec![0.25],
///     entropy: vec![1.75 * half],
/// };
/// assert_eq!(targets.num_rows(), 1);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TopKTargets {
    /// Entries per row.
    pub k: usize,
    /// `[rows * k]`, the ids of the most probable tokens, distinct within a row.
    pub token_ids: Vec<u32>,
    /// `[rows * k]`, nats, descending within a row.
    pub log_probs: Vec<f32>,
    /// `[rows]`, the probability of all other tokens together; exactly 0 if `k == vocab_size`.
    pub tail_mass: Vec<f32>,
    /// `[rows]`, nats, the entropy of the teacher's whole distribution.
    pub entropy: Vec<f32>,
}

impl TopKTargets {
    /// Number of targets, one per counted label.
    ///
    /// ```
    /// use alambic_cache::TopKTargets;
    /// let none = TopKTargets { k: 2, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![] };
    /// assert_eq!(none.num_rows(), 0);
    /// ```
    pub fn num_rows(&self) -> usize {
        self.tail_mass.len()
    }
}

/// One segment: the student's view of it and the teacher's targets for its counted labels.
///
/// Training needs nothing but these. The numbers of targets and of `true` in `loss_mask` agree.
///
/// ```
/// use alambic_cache::{SegmentKey, TargetRecord, TopKTargets};
/// let record = TargetRecord {
///     key: SegmentKey::of("teacher", &[1, 3], &[false, true]),
///     token_ids: vec![1, 3],
///     loss_mask: vec![false, true],
///     targets: TopKTargets {
///         k: 1,
///         token_ids: vec![3],
///         log_probs: vec![0.75f32.ln()],
///         tail_mass: vec![0.25],
///         entropy: vec![0.5623],
///     },
/// };
/// assert_eq!((record.num_tokens(), record.num_targets()), (2, 1));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TargetRecord {
    /// Names what the teacher read and scored.
    pub key: SegmentKey,
    /// The student's view, at least one token.
    pub token_ids: Vec<u32>,
    /// Which tokens are counted labels; as long as `token_ids`, never `true` at 0.
    pub loss_mask: Vec<bool>,
    /// One row per counted label.
    pub targets: TopKTargets,
}

impl TargetRecord {
    /// Tokens of the student's view.
    ///
    /// ```
    /// # use alambic_cache::{SegmentKey, TargetRecord, TopKTargets};
    /// # let targets = TopKTargets { k: 1, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![] };
    /// # let key = SegmentKey::of("t", &[9, 8, 7], &[false; 3]);
    /// let record = TargetRecord { key, token_ids: vec![9, 8, 7], loss_mask: vec![false; 3], targets };
    /// assert_eq!(record.num_tokens(), 3);
    /// ```
    pub fn num_tokens(&self) -> usize {
        self.token_ids.len()
    }

    /// Counted labels, each with one row of targets.
    ///
    /// ```
    /// # use alambic_cache::{SegmentKey, TargetRecord, TopKTargets};
    /// # let targets = TopKTargets { k: 1, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![] };
    /// # let key = SegmentKey::of("t", &[9, 8, 7], &[false; 3]);
    /// let record = TargetRecord { key, token_ids: vec![9, 8, 7], loss_mask: vec![false; 3], targets };
    /// assert_eq!(record.num_targets(), 0); // no label counts
    /// ```
    pub fn num_targets(&self) -> usize {
        self.targets.num_rows()
    }
}
