//! What top-k targets need to be read at another temperature.

/// Tail mass and entropy of the teacher at a further temperature, for the head that is stored.
///
/// At the temperature `T` a probability `p` becomes `p^(1/T) ÷ Σ_v p_v^(1/T)`, over the whole
/// vocabulary. The sum of the head is known from its log-probabilities, that of all other tokens is
/// not: it is counted when the teacher is read, and kept as the mass that it has at `T`.
///
/// `ln Σ_v p_v^(1/T) = ln Σ_head p^(1/T) − ln (1 − tail_mass)`
///
/// The mass is kept rather than this number, so that head and tail are a distribution whatever
/// rounding did to the head, and a tail of 0 is exactly 0;
/// [`TopKTargets::at_temperature`](crate::TopKTargets::at_temperature) puts them together.
///
/// ```
/// use alambic_cache::TemperedTail;
/// // 1/2, 1/4, 1/8, 1/8 at temperature 2, the first two in the head: the square roots add up to
/// // 1.914, those of the tail to 0.707.
/// let tail = TemperedTail { temperature: 2.0, tail_mass: vec![0.3694], entropy: vec![1.34245] };
/// assert!(tail.tail_mass[0] > 0.25); // softened
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TemperedTail {
    /// `T`, finite, above 0, not 1.
    pub temperature: f32,
    /// `[rows]`, the probability at `T` of all tokens outside of the head; exactly 0 if
    /// `k == vocab_size`.
    pub tail_mass: Vec<f32>,
    /// `[rows]`, nats, the entropy of the teacher's whole distribution at `T`.
    pub entropy: Vec<f32>,
}

impl TemperedTail {
    /// One without rows for each of these temperatures.
    ///
    /// ```
    /// let tails = alambic_cache::TemperedTail::empty(&[2.0, 4.0]);
    /// assert_eq!(tails[1].temperature, 4.0);
    /// ```
    pub fn empty(temperatures: &[f32]) -> Vec<Self> {
        let empty = |&temperature: &f32| Self {
            temperature,
            tail_mass: Vec::new(),
            entropy: Vec::new(),
        };
        temperatures.iter().map(empty).collect()
    }
}
