//! Tokens drawn from the teacher at every counted label.

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
/// let targets = SampledTargets {
///     draws: 4,
///     temperature: 1.0,
///     num_distinct: vec![2],
///     token_ids: vec![7, 9],
///     counts: vec![3, 1],
///     entropy: vec![0.6],
/// };
/// let row = targets.rows().next().unwrap();
/// assert_eq!(row.counts[0] as f32 / targets.draws as f32, 0.75);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SampledTargets {
    /// Draws per row.
    pub draws: u16,
    /// Temperature of the distribution that was drawn from.
    pub temperature: f32,
    /// `[rows]`, how many different ids were drawn.
    pub num_distinct: Vec<u16>,
    /// The ids of all rows, ascending within a row.
    pub token_ids: Vec<u32>,
    /// How often each of them was drawn, at least once; they add up to `draws` in every row.
    pub counts: Vec<u16>,
    /// `[rows]`, nats, the entropy of the distribution that was drawn from.
    pub entropy: Vec<f32>,
}

/// One row of [`SampledTargets`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledRow<'a> {
    /// The ids, ascending.
    pub token_ids: &'a [u32],
    /// How often each was drawn.
    pub counts: &'a [u16],
    /// The entropy of the distribution that was drawn from, nats.
    pub entropy: f32,
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
            num_distinct: Vec::new(),
            token_ids: Vec::new(),
            counts: Vec::new(),
            entropy: Vec::new(),
        }
    }

    /// Number of targets, one per counted label.
    ///
    /// ```
    /// # use alambic_cache::SampledTargets;
    /// # let targets = SampledTargets { draws: 1, temperature: 1.0, num_distinct: vec![1], token_ids: vec![7], counts: vec![1], entropy: vec![0.0] };
    /// assert_eq!(targets.num_rows(), 1);
    /// ```
    pub fn num_rows(&self) -> usize {
        self.num_distinct.len()
    }

    /// The rows in order, as far as all parts are there.
    ///
    /// ```
    /// # use alambic_cache::SampledTargets;
    /// # let targets = SampledTargets { draws: 1, temperature: 1.0, num_distinct: vec![1], token_ids: vec![7], counts: vec![1], entropy: vec![0.0] };
    /// assert_eq!(targets.rows().next().unwrap().token_ids, [7]);
    /// ```
    pub fn rows(&self) -> impl Iterator<Item = SampledRow<'_>> {
        let (mut token_ids, mut counts) = (&self.token_ids[..], &self.counts[..]);
        self.num_distinct
            .iter()
            .zip(&self.entropy)
            .map_while(move |(&distinct, &entropy)| {
                let ids = token_ids.split_off(..usize::from(distinct))?;
                let counts = counts.split_off(..usize::from(distinct))?;
                Some(SampledRow {
                    token_ids: ids,
                    counts,
                    entropy,
                })
            })
    }
}
