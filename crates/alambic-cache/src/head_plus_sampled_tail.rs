//! The most probable tokens, and tokens drawn from among the others.

use crate::{DrawnTokens, TopKTargets};

/// The `k` most probable next tokens at each counted label of one segment, and tokens drawn with
/// replacement from among all others, on the host.
///
/// Row `j` belongs to the `j`-th `true` of the record's loss mask. A token of the head counts with its
/// probability, a drawn one with the tail's mass times its share of the draws: an unbiased
/// estimate of every probability of the vocabulary, as [`SampledTargets`](crate::SampledTargets) is,
/// but without any variance where most of the mass lies. Where a cache stores levels, head and tail mass
/// are rounded, by which such an estimate is off; numbers are not ([`ValueType`](crate::ValueType)).
///
/// ```
/// use alambic_cache::{HeadPlusSampledTail, TopKTargets};
/// // One target with k = 1: token 3 has 3/4; of 4 draws among the others, all were token 8.
/// let mut targets = HeadPlusSampledTail::new(
///     TopKTargets {
///         k: 1,
///         token_ids: vec![3],
///         log_probs: vec![0.75f32.ln()],
///         tail_mass: vec![0.25],
///         entropy: vec![0.7],
///         tempered: vec![],
///     },
///     4,
///     1.0,
/// );
/// targets.tail.push_row([(8, 4)]);
/// let row = targets.probabilities().next().unwrap();
/// assert_eq!(row, [(3, 0.75), (8, 0.25)]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct HeadPlusSampledTail {
    /// Head, mass of the tail and entropy of the whole distribution, at `temperature`.
    pub head: TopKTargets,
    /// Draws per row that has a tail.
    pub draws: u16,
    /// Temperature of the distribution.
    pub temperature: f32,
    /// What was drawn from the tail; the counts of a row add up to `draws`, or the row is empty where
    /// the tail has no mass. No id is in the head.
    pub tail: DrawnTokens,
}

impl HeadPlusSampledTail {
    /// A head whose tail is still to be drawn.
    ///
    /// ```
    /// # use alambic_cache::{HeadPlusSampledTail, TopKTargets};
    /// # let head = TopKTargets { k: 1, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![], tempered: vec![] };
    /// assert_eq!(HeadPlusSampledTail::new(head, 8, 1.0).num_rows(), 0);
    /// ```
    pub fn new(head: TopKTargets, draws: u16, temperature: f32) -> Self {
        Self {
            head,
            draws,
            temperature,
            tail: DrawnTokens::default(),
        }
    }

    /// Number of targets, one per counted label.
    ///
    /// ```
    /// # use alambic_cache::{HeadPlusSampledTail, TopKTargets};
    /// # let head = TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.0], tail_mass: vec![0.0], entropy: vec![0.0], tempered: vec![] };
    /// assert_eq!(HeadPlusSampledTail::new(head, 8, 1.0).num_rows(), 1);
    /// ```
    pub fn num_rows(&self) -> usize {
        self.head.num_rows()
    }

    /// The estimated probabilities of every row: those of the head, then those of the drawn tokens.
    ///
    /// ```
    /// # use alambic_cache::{HeadPlusSampledTail, TopKTargets};
    /// # let head = TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.0], tail_mass: vec![0.0], entropy: vec![0.0], tempered: vec![] };
    /// # let mut targets = HeadPlusSampledTail::new(head, 8, 1.0);
    /// targets.tail.push_row([]); // nothing is left for the others
    /// assert_eq!(targets.probabilities().next().unwrap(), [(3, 1.0)]);
    /// ```
    pub fn probabilities(&self) -> impl Iterator<Item = Vec<(u32, f32)>> {
        let draws = f32::from(self.draws);
        self.tail.rows().enumerate().map(move |(row, drawn)| {
            let range = row * self.head.k..(row + 1) * self.head.k;
            let log_probs = self.head.log_probs[range.clone()].iter();
            let head = self.head.token_ids[range].iter().copied();
            let head = head.zip(log_probs.map(|log_prob| log_prob.exp()));
            let mass = self.head.tail_mass[row];
            let shares = drawn
                .counts
                .iter()
                .map(|&count| mass * f32::from(count) / draws);
            head.chain(drawn.token_ids.iter().copied().zip(shares))
                .collect()
        })
    }
}
