//! The most probable tokens of a source that says nothing of all others.

/// The `k` most probable next tokens at each counted label of one segment, and nothing else.
///
/// Other formats keep log-probabilities and neither the mass of all other tokens nor the entropy
/// of the whole distribution. What they lack stays unknown: it is not made up of the head, whose
/// numbers may be approximations that add up to more than 1. Row `j` belongs to the `j`-th `true` of
/// the record's loss mask.
///
/// ```
/// use alambic_cache::HeadOnlyTargets;
/// let targets = HeadOnlyTargets { k: 2, token_ids: vec![3, 0], log_probs: vec![-0.7, -1.4] };
/// assert_eq!(targets.num_rows(), 1);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct HeadOnlyTargets {
    /// Entries per row, at least 1.
    pub k: usize,
    /// `[rows * k]`, the ids of the most probable tokens, distinct within a row.
    pub token_ids: Vec<u32>,
    /// `[rows * k]`, nats, descending within a row, as the source has them.
    pub log_probs: Vec<f32>,
}

impl HeadOnlyTargets {
    /// Targets without any row.
    ///
    /// ```
    /// assert_eq!(alambic_cache::HeadOnlyTargets::empty(50).num_rows(), 0);
    /// ```
    pub fn empty(k: usize) -> Self {
        Self {
            k,
            token_ids: Vec::new(),
            log_probs: Vec::new(),
        }
    }

    /// Number of targets, one per counted label.
    ///
    /// ```
    /// use alambic_cache::HeadOnlyTargets;
    /// let targets = HeadOnlyTargets { k: 1, token_ids: vec![3, 0], log_probs: vec![-0.7, -1.4] };
    /// assert_eq!(targets.num_rows(), 2);
    /// ```
    pub fn num_rows(&self) -> usize {
        self.token_ids.len().checked_div(self.k).unwrap_or(0)
    }
}
