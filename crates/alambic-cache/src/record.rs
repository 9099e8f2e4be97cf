//! One segment with the teacher's targets: the row of a shard.

use crate::{
    HeadOnlyTargets, HeadPlusSampledTail, HiddenTargets, SampledTargets, SegmentKey, TopKTargets,
};

/// What the teacher said at the counted labels of one segment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Targets {
    /// The most probable tokens and the mass of the rest.
    TopK(TopKTargets),
    /// Drawn tokens.
    Sampled(SampledTargets),
    /// The most probable tokens, and drawn ones of the rest.
    HeadPlusSampledTail(HeadPlusSampledTail),
    /// The teacher's last hidden states.
    Hidden(HiddenTargets),
    /// The most probable tokens of a source that says nothing of the rest.
    HeadOnly(HeadOnlyTargets),
}

impl Targets {
    /// Number of targets, one per counted label.
    ///
    /// ```
    /// use alambic_cache::{SampledTargets, Targets};
    /// assert_eq!(Targets::Sampled(SampledTargets::empty(50, 1.0)).num_rows(), 0);
    /// ```
    pub fn num_rows(&self) -> usize {
        match self {
            Self::TopK(targets) => targets.num_rows(),
            Self::Sampled(targets) => targets.num_rows(),
            Self::HeadPlusSampledTail(targets) => targets.num_rows(),
            Self::Hidden(targets) => targets.num_rows(),
            Self::HeadOnly(targets) => targets.num_rows(),
        }
    }

    /// The most probable tokens with what is left for all others, if these are stored.
    ///
    /// ```
    /// use alambic_cache::{SampledTargets, Targets};
    /// assert!(Targets::Sampled(SampledTargets::empty(50, 1.0)).top_k().is_none());
    /// ```
    pub fn top_k(&self) -> Option<&TopKTargets> {
        match self {
            Self::TopK(targets) => Some(targets),
            Self::HeadPlusSampledTail(targets) => Some(&targets.head),
            Self::Sampled(_) | Self::Hidden(_) | Self::HeadOnly(_) => None,
        }
    }
}

impl From<TopKTargets> for Targets {
    fn from(targets: TopKTargets) -> Self {
        Self::TopK(targets)
    }
}

impl From<HeadOnlyTargets> for Targets {
    fn from(targets: HeadOnlyTargets) -> Self {
        Self::HeadOnly(targets)
    }
}

impl From<SampledTargets> for Targets {
    fn from(targets: SampledTargets) -> Self {
        Self::Sampled(targets)
    }
}

impl From<HeadPlusSampledTail> for Targets {
    fn from(targets: HeadPlusSampledTail) -> Self {
        Self::HeadPlusSampledTail(targets)
    }
}

impl From<HiddenTargets> for Targets {
    fn from(targets: HiddenTargets) -> Self {
        Self::Hidden(targets)
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
///         tempered: vec![],
///     }.into(),
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
    pub targets: Targets,
}

impl TargetRecord {
    /// Tokens of the student's view.
    ///
    /// ```
    /// # use alambic_cache::{SegmentKey, TargetRecord, Targets, TopKTargets};
    /// # let targets = Targets::TopK(TopKTargets { k: 1, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![], tempered: vec![] });
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
    /// # use alambic_cache::{SegmentKey, TargetRecord, Targets, TopKTargets};
    /// # let targets = Targets::TopK(TopKTargets { k: 1, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![], tempered: vec![] });
    /// # let key = SegmentKey::of("t", &[9, 8, 7], &[false; 3]);
    /// let record = TargetRecord { key, token_ids: vec![9, 8, 7], loss_mask: vec![false; 3], targets };
    /// assert_eq!(record.num_targets(), 0); // no label counts
    /// ```
    pub fn num_targets(&self) -> usize {
        self.targets.num_rows()
    }
}
