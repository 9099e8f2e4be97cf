//! A term's weight that changes while a run goes on.

use serde::{Deserialize, Serialize};

use super::LossError;

/// A weight that goes from one value to another between two optimizer steps.
///
/// With the term's own weight `a`, the ramp's `b` and the 1-based optimizer step `s`:
/// `x = (s − first_step) ÷ (last_step − first_step)`, held at 0 before and at 1 after;
/// the weight is `a + (b − a) · x` for a line, `a + (b − a) · ½ (1 − cos πx)` for a cosine.
///
/// A pure function of the step: a run that is resumed has the weights of one that was not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightRamp {
    /// The form of the curve.
    pub kind: RampKind,
    /// The weight in the end; finite and not negative.
    pub to: f64,
    /// The last step with the term's own weight; counted from 1, as in the metrics.
    pub first_step: u64,
    /// The first step with the weight `to`; after `first_step`.
    pub last_step: u64,
}

/// The curves of a [`WeightRamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RampKind {
    /// A straight line.
    Linear,
    /// Half a cosine, flat at both ends.
    Cosine,
}

impl WeightRamp {
    /// The weight at the 1-based optimizer step `step`, for a term of the weight `from`.
    ///
    /// # Example
    /// ```
    /// use alambic_distill::loss::{RampKind, WeightRamp};
    ///
    /// let ramp = WeightRamp { kind: RampKind::Linear, to: 0.5, first_step: 10, last_step: 20 };
    /// assert_eq!(ramp.weight(1.0, 10), 1.0);
    /// assert_eq!(ramp.weight(1.0, 15), 0.75);
    /// assert_eq!(ramp.weight(1.0, 20), 0.5);
    /// ```
    pub fn weight(&self, from: f64, step: u64) -> f64 {
        if step <= self.first_step {
            return from;
        }
        if step >= self.last_step {
            return self.to;
        }
        let progress = (step - self.first_step) as f64 / (self.last_step - self.first_step) as f64;
        let share = match self.kind {
            RampKind::Linear => progress,
            RampKind::Cosine => 0.5 * (1.0 - (std::f64::consts::PI * progress).cos()),
        };
        from + (self.to - from) * share
    }

    /// That the steps come one after the other.
    pub(super) fn check(&self) -> Result<(), LossError> {
        if self.first_step < self.last_step {
            return Ok(());
        }
        Err(LossError::EmptyRamp {
            first_step: self.first_step,
            last_step: self.last_step,
        })
    }
}
