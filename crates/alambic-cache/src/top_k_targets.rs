//! The most probable tokens at every counted label.

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
    /// `[rows * k]`, nats, descending within a row; the order of equal ones says nothing.
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
