//! Tokens drawn from the teacher at every counted label.

use crate::DrawnTokens;

/// Next tokens drawn with replacement at each counted label of one segment, on the host.
///
/// Row `j` belongs to the `j`-th `true` of the record's loss mask. The share of an id among the
/// draws is an unbiased estimate of its probability, for every id of the vocabulary, so that a loss
/// that is linear in the teacher's probabilities has an unbiased gradient.
///
/// # References
/// Anshumann et al. 2025, arXiv:2503.16870.
///
/// ```
/// use alambic_cache::SampledTargets;
/// // One target: of 4 draws, three were token 7 and one was token 9.
/// let mut targets = SampledTargets::empty(4, 1.0);
/// targets.drawn.push_row([(7, 3), (9, 1)]);
/// targets.entropy.push(0.6);
/// let row = targets.drawn.rows().next().unwrap();
/// assert_eq!(row.counts[0] as f32 / targets.draws as f32, 0.75);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SampledTargets {
    /// Draws per row.
    pub draws: u16,
    /// Temperature of the distribution that was drawn from.
    pub temperature: f32,
    /// What was drawn; the counts of a row add up to `draws`.
    pub drawn: DrawnTokens,
    /// `[rows]`, nats, the entropy of the distribution that was drawn from.
    pub entropy: Vec<f32>,
}

impl SampledTargets {
    /// No rows yet.
    ///
    /// ```
    /// assert_eq!(alambic_cache::SampledTargets::empty(50, 1.0).num_rows(), 0);
    /// ```
    pub fn empty(draws: u16, temperature: f32) -> Self {
        Self {
            draws,
            temperature,
            drawn: DrawnTokens::default(),
            entropy: Vec::new(),
        }
    }

    /// Number of targets, one per counted label.
    ///
    /// ```
    /// # let mut targets = alambic_cache::SampledTargets::empty(1, 1.0);
    /// targets.drawn.push_row([(7, 1)]);
    /// assert_eq!(targets.num_rows(), 1);
    /// ```
    pub fn num_rows(&self) -> usize {
        self.drawn.num_rows()
    }
}
