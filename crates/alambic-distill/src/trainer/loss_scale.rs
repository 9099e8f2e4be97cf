//! Loss scaling: small gradients do not vanish in f16.

use alambic_transformer::Precision;
use serde::{Deserialize, Serialize};

/// Where a run begins, as `torch.amp.GradScaler` does.
const INITIAL: f64 = 65_536.0;
/// Steps without an overflow after which the scale is doubled.
const STEPS_UNTIL_GROWTH: u64 = 2_000;
/// It grows no further.
const LARGEST: f64 = 16_777_216.0;

/// What the loss is multiplied with before its gradients are made in f16, a power of two; they are divided by it before
/// anything reads them (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2).
///
/// Where others skip the data of a step whose gradients overflow, the trainer computes it again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LossScale {
    factor: f64,
    steps_without_overflow: u64,
}

impl LossScale {
    /// The scale of a run that begins; none where gradients have the range of f32.
    pub(crate) fn of(precision: Precision) -> Option<Self> {
        (precision == Precision::F16).then_some(Self {
            factor: INITIAL,
            steps_without_overflow: 0,
        })
    }

    pub(crate) fn factor(self) -> f64 {
        self.factor
    }

    /// Behind a step whose gradients are finite.
    pub(crate) fn step(&mut self) {
        self.steps_without_overflow += 1;
        if self.steps_without_overflow == STEPS_UNTIL_GROWTH {
            self.steps_without_overflow = 0;
            self.factor = (self.factor * 2.0).min(LARGEST);
        }
    }

    /// Behind gradients that are not finite; whether there is a smaller scale to try.
    pub(crate) fn halve(&mut self) -> bool {
        self.steps_without_overflow = 0;
        let can = self.factor > 1.0;
        if can {
            self.factor /= 2.0;
        }
        can
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_after_two_thousand_steps_and_halves_at_once() {
        let mut scale = LossScale::of(Precision::F16).unwrap();
        (0..1_999).for_each(|_| scale.step());
        assert_eq!(scale.factor(), 65_536.0);
        scale.step();
        assert_eq!(scale.factor(), 131_072.0);
        (0..1_999).for_each(|_| scale.step());
        assert!(scale.halve());
        assert_eq!(scale.factor(), 65_536.0);
        (0..1_999).for_each(|_| scale.step());
        assert_eq!(scale.factor(), 65_536.0);
        (0..16).for_each(|_| assert!(scale.halve()));
        assert_eq!((scale.halve(), scale.factor()), (false, 1.0));
    }

    #[test]
    fn it_never_exceeds_its_largest_value_and_is_for_f16_alone() {
        let mut scale = LossScale::of(Precision::F16).unwrap();
        (0..40_000).for_each(|_| scale.step());
        assert_eq!(scale.factor(), LARGEST);
        assert_eq!(LossScale::of(Precision::Bf16), None);
        assert_eq!(LossScale::of(Precision::F32), None);
    }
}
