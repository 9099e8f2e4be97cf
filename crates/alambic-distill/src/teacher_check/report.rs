//! What a check of a cache against its teacher found.

use std::fmt;

use serde::{Serialize, Serializer};

use super::judgement::MAX_LISTED_LABELS;

/// What is compared at a label.
/// In JSON it is its [key](Self::key).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Quantity {
    /// `Σ p |Δ ln p|` over the stored tokens, nats; `p` is the larger of both probabilities.
    LogProbs,
    /// `Σ p |Δ ln p|` between what is stored and what the teacher's answer would be stored as, nats;
    /// only where levels are stored.
    Levels,
    /// How far the least likely stored token is below the `k`-th most likely one, nats.
    TokenIds,
    /// The difference of the mass of all tokens that are not stored.
    TailMass,
    /// How far, in probability, the teacher's cumulated distribution would have to move for the
    /// stored tokens to be those that the cache's seed draws.
    Draws,
    /// The difference of the entropies, nats.
    Entropy,
    /// The difference of the masses of all tokens that are not stored, at a further temperature.
    TailMassAt(f32),
    /// The difference of the entropies at a further temperature, nats.
    EntropyAt(f32),
    /// The largest difference in a number of the hidden state, divided by the largest of the numbers
    /// that the teacher gives now.
    States,
    /// The same between what is stored and what the teacher's answer would be stored as; only where
    /// integers are stored.
    RoundedStates,
}

impl Quantity {
    /// The word for machines, such as `tail_mass` and `tail_mass_at_2`.
    ///
    /// ```
    /// use alambic_distill::Quantity;
    /// assert_eq!(Quantity::TokenIds.key(), "token_ids");
    /// assert_eq!(Quantity::EntropyAt(0.5).key(), "entropy_at_0.5");
    /// ```
    pub fn key(self) -> String {
        match self {
            Self::LogProbs => "log_probs".into(),
            Self::Levels => "levels".into(),
            Self::TokenIds => "token_ids".into(),
            Self::TailMass => "tail_mass".into(),
            Self::Draws => "draws".into(),
            Self::Entropy => "entropy".into(),
            Self::States => "states".into(),
            Self::RoundedStates => "rounded_states".into(),
            Self::TailMassAt(temperature) => format!("tail_mass_at_{temperature}"),
            Self::EntropyAt(temperature) => format!("entropy_at_{temperature}"),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::LogProbs | Self::Levels | Self::TokenIds | Self::Entropy | Self::EntropyAt(_) => {
                " nats"
            }
            Self::TailMass
            | Self::Draws
            | Self::TailMassAt(_)
            | Self::States
            | Self::RoundedStates => "",
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.key())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LogProbs => "log-probabilities",
            Self::Levels => "levels",
            Self::TokenIds => "token ids",
            Self::TailMass => "tail mass",
            Self::Draws => "draws",
            Self::Entropy => "entropy",
            Self::TailMassAt(temperature) => return write!(f, "tail mass at {temperature}"),
            Self::EntropyAt(temperature) => return write!(f, "entropy at {temperature}"),
            Self::States => "hidden states",
            Self::RoundedStates => "rounded states",
        })
    }
}

/// Largest value and mean over the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The largest.
    pub largest: f64,
    /// The mean.
    pub mean: f64,
}

/// One quantity over all labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct QuantityCheck {
    /// What was compared.
    pub quantity: Quantity,
    /// The cache against the teacher.
    pub difference: Spread,
    /// The teacher against itself, in batches of other shapes.
    pub control: Spread,
    /// How much of the difference the cache's rounding explains.
    pub rounding: Spread,
    /// The largest mean difference that passes.
    pub allowed_mean: f64,
}

/// By what a cache deviates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The difference at one label.
    Label,
    /// The mean difference over all labels.
    Mean,
}

/// A difference between cache and teacher that neither rounding nor the control explains.
///
/// A deviation of a mean names the label with the largest difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deviation {
    /// The segment, counted through all shards.
    pub segment: u64,
    /// Its key, hex.
    pub key: String,
    /// The label, counted through the segment's labels from 0.
    pub label: usize,
    /// The label's place among the segment's tokens.
    pub token: usize,
    /// What differs.
    pub quantity: Quantity,
    /// In which measure.
    pub measure: Measure,
    /// By how much; infinite where a drawn token has no probability (`null` in JSON).
    pub difference: f64,
    /// The most that passes.
    pub allowed: f64,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment,
            label,
            token,
            quantity,
            difference,
            allowed,
            ..
        } = self;
        let key = self.key.get(..12).unwrap_or(&self.key);
        write!(
            f,
            "segment {segment} (key {key}), label {label} (token {token}): "
        )?;
        let unit = quantity.unit();
        match self.measure {
            Measure::Label => write!(
                f,
                "{quantity} off by {difference:.3e}{unit}, {allowed:.3e} allowed"
            ),
            Measure::Mean => write!(
                f,
                "{quantity} off by {difference:.3e}{unit} in the mean of all labels, {allowed:.3e} allowed; the most here"
            ),
        }
    }
}

/// What [`verify_against_teacher`](super::verify_against_teacher) compared and found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TeacherCheck {
    /// Segments in the sample.
    pub num_sampled: u64,
    /// Segments of it that the teacher read again.
    pub num_compared: u64,
    /// Segments of it of which the cache does not store what the teacher read.
    pub num_not_comparable: u64,
    /// Labels of the segments that were compared.
    pub num_labels: u64,
    /// Every quantity that was compared.
    pub quantities: Vec<QuantityCheck>,
    /// Labels with a difference that is too large.
    pub num_deviating_labels: u64,
    /// The first deviations of labels, in the order of segments, then those of means.
    pub deviations: Vec<Deviation>,
}

impl TeacherCheck {
    /// Deviating labels that are counted but not listed in [`Self::deviations`].
    pub fn num_unlisted_labels(&self) -> u64 {
        self.num_deviating_labels
            .saturating_sub(MAX_LISTED_LABELS as u64)
    }

    /// Whether the cache is what the teacher says.
    pub fn passed(&self) -> bool {
        self.deviations.is_empty()
    }
}
