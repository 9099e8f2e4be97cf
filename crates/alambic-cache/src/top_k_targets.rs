//! The most probable tokens at every counted label.

use half::f16;

use crate::{MASS_TOLERANCE, TemperedTail, ValueType, compact};

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
///     tempered: vec![],
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
    /// Tail and entropy at further temperatures, in the order of the cache's specification.
    pub tempered: Vec<TemperedTail>,
}

impl TopKTargets {
    /// Number of targets, one per counted label.
    ///
    /// ```
    /// use alambic_cache::TopKTargets;
    /// let none = TopKTargets { k: 2, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![], tempered: vec![] };
    /// assert_eq!(none.num_rows(), 0);
    /// ```
    pub fn num_rows(&self) -> usize {
        self.tail_mass.len()
    }

    /// The targets at a temperature: 1, or one of [`Self::tempered`]; `None` at others, at which
    /// the mass of the tail is not known.
    ///
    /// `p^(1/T) (1 − tail_mass) ÷ Σ_head p^(1/T)` is the probability of an entry. Rounding of the
    /// head by `δ` nats is one of at most `2 δ ÷ T` here.
    ///
    /// # Panics
    /// If the vectors are not as long as their shapes say.
    ///
    /// ```
    /// use alambic_cache::{TemperedTail, TopKTargets};
    /// // Four tokens with probabilities 1/2, 1/4, 1/8, 1/8; k = 2.
    /// let half = 2f32.ln();
    /// let targets = TopKTargets {
    ///     k: 2,
    ///     token_ids: vec![3, 0],
    ///     log_probs: vec![-half, -2.0 * half],
    ///     tail_mass: vec![0.25],
    ///     entropy: vec![1.75 * half],
    ///     tempered: vec![TemperedTail { temperature: 2.0, tail_mass: vec![0.3694], entropy: vec![1.34245] }],
    /// };
    /// let softened = targets.at_temperature(2.0).unwrap();
    /// let partition: f32 = [0.5f32, 0.25, 0.125, 0.125].map(f32::sqrt).iter().sum();
    /// assert!((softened.log_probs[0] - (0.5f32.sqrt() / partition).ln()).abs() < 1e-5);
    /// assert_eq!(softened.tail_mass, [0.3694]);
    /// assert_eq!(targets.at_temperature(4.0), None);
    /// ```
    pub fn at_temperature(&self, temperature: f32) -> Option<Self> {
        if temperature == 1.0 {
            return Some(Self {
                tempered: Vec::new(),
                ..self.clone()
            });
        }
        let mut tempered = self.tempered.iter();
        let tail = tempered.find(|tail| tail.temperature == temperature)?;
        let mut log_probs = Vec::with_capacity(self.log_probs.len());
        for (row, &tail_mass) in tail.tail_mass.iter().enumerate() {
            let head = &self.log_probs[row * self.k..(row + 1) * self.k];
            let shift = (-f64::from(tail_mass)).ln_1p() - tempered_log_mass(head, temperature);
            let softened = head
                .iter()
                .map(|&log_prob| tempered_log_prob(log_prob, temperature));
            log_probs.extend(softened.map(|log_prob| (log_prob + shift) as f32));
        }
        Some(Self {
            k: self.k,
            token_ids: self.token_ids.clone(),
            log_probs,
            tail_mass: tail.tail_mass.clone(),
            entropy: tail.entropy.clone(),
            tempered: Vec::new(),
        })
    }

    /// What a reader gets of these targets once they are stored as `values`.
    ///
    /// Log-probabilities are rounded; with levels, tails and entropies are too, and the entries of a row
    /// stand in the order of their levels. What was rounded stays as it is when it is rounded again.
    /// `None` for what a writer refuses: a log-probability that is not in the range of `values`, a row
    /// whose head and tail do not add up to 1 (within [`MASS_TOLERANCE`]).
    ///
    /// # Panics
    /// If the vectors are not as long as their shapes say.
    ///
    /// ```
    /// use alambic_cache::{TopKTargets, ValueType};
    /// let half = 2f32.ln();
    /// let targets = TopKTargets {
    ///     k: 2,
    ///     token_ids: vec![3, 0],
    ///     log_probs: vec![-half, -2.0 * half],
    ///     tail_mass: vec![0.25],
    ///     entropy: vec![1.5 * half],
    ///     tempered: vec![],
    /// };
    /// assert_eq!(targets.rounded(ValueType::F32).as_ref(), Some(&targets));
    /// let rounded = targets.rounded(ValueType::Fine).unwrap();
    /// assert!((rounded.log_probs[1] + 2.0 * half).abs() < 0.63 / 32.0 / 0.5);
    /// assert_eq!(rounded.entropy, [1.046875]); // 67 / 64
    /// ```
    pub fn rounded(&self, values: ValueType) -> Option<Self> {
        let lowest = values.lowest_log_prob();
        let is_storable = (0..self.num_rows()).all(|row| {
            let head = &self.log_probs[row * self.k..(row + 1) * self.k];
            let mass: f64 = head.iter().map(|&log_prob| f64::from(log_prob).exp()).sum();
            let missing = mass + f64::from(self.tail_mass[row]) - 1.0;
            missing.abs() <= f64::from(MASS_TOLERANCE) && head.iter().all(|&value| value >= lowest)
        });
        if !is_storable {
            return None;
        }
        Some(match (values, values.quantiser()) {
            (_, Some(quantiser)) => compact::rounded(self, &quantiser),
            (ValueType::F16, None) => {
                let log_probs = self.log_probs.iter();
                let log_probs = log_probs.map(|&log_prob| f16::from_f32(log_prob).to_f32());
                Self {
                    log_probs: log_probs.collect(),
                    ..self.clone()
                }
            }
            (_, None) => self.clone(),
        })
    }
}

fn tempered_log_prob(log_prob: f32, temperature: f32) -> f64 {
    f64::from(log_prob) / f64::from(temperature)
}

/// `ln Σ p^(1/T)` over a head, which has an entry.
pub(crate) fn tempered_log_mass(head: &[f32], temperature: f32) -> f64 {
    let log_probs = head
        .iter()
        .map(|&log_prob| tempered_log_prob(log_prob, temperature));
    let highest = log_probs.clone().fold(f64::NEG_INFINITY, f64::max);
    let mass: f64 = log_probs.map(|log_prob| (log_prob - highest).exp()).sum();
    highest + mass.ln()
}
