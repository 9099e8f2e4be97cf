//! One term of an objective, as a recipe names it.

use serde::{Deserialize, Serialize};

use super::{
    AdaptiveKl, Divergence, ForwardKl, JensenShannon, LossError, ReverseKl, SkewKl, SkewReverseKl,
    SymmetricKl, TotalVariation, WeightRamp, hybrid_logit,
};

/// One loss by its name in the recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// [`ForwardKl`].
    ForwardKl,
    /// [`ReverseKl`].
    ReverseKl,
    /// [`SymmetricKl`].
    SymmetricKl,
    /// [`JensenShannon`]; reads `beta`.
    JensenShannon,
    /// [`SkewKl`]; reads `alpha`.
    SkewKl,
    /// [`SkewReverseKl`]; reads `alpha`.
    SkewReverseKl,
    /// [`AdaptiveKl`]; reads `head_mass`.
    AdaptiveKl,
    /// [`TotalVariation`].
    TotalVariation,
    /// [`LogitMse`](super::LogitMse).
    LogitMse,
    /// [`CrossEntropy`](super::CrossEntropy) on the labels of the text.
    CrossEntropy,
    /// [`UniversalLogit`](super::UniversalLogit), between two vocabularies.
    UniversalLogit,
    /// [`HybridLogit`](super::HybridLogit), between two vocabularies; reads `beta`.
    HybridLogit,
}

impl LossKind {
    /// Every loss at the labels of one vocabulary, which a [`HeadPass`](super::HeadPass) computes.
    pub const OF_LABELS: [Self; 10] = [
        Self::ForwardKl,
        Self::ReverseKl,
        Self::SymmetricKl,
        Self::JensenShannon,
        Self::SkewKl,
        Self::SkewReverseKl,
        Self::AdaptiveKl,
        Self::TotalVariation,
        Self::LogitMse,
        Self::CrossEntropy,
    ];

    /// Every loss between two vocabularies.
    pub const OF_VOCABULARIES: [Self; 2] = [Self::UniversalLogit, Self::HybridLogit];

    /// The name used in recipes, metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ForwardKl => "forward_kl",
            Self::ReverseKl => "reverse_kl",
            Self::SymmetricKl => "symmetric_kl",
            Self::JensenShannon => "jensen_shannon",
            Self::SkewKl => "skew_kl",
            Self::SkewReverseKl => "skew_reverse_kl",
            Self::AdaptiveKl => "adaptive_kl",
            Self::TotalVariation => "total_variation",
            Self::LogitMse => "logit_mse",
            Self::CrossEntropy => "cross_entropy",
            Self::UniversalLogit => "universal_logit",
            Self::HybridLogit => "hybrid_logit",
        }
    }

    /// Whether the loss reads the teacher's targets at the labels.
    pub fn needs_targets(self) -> bool {
        self != Self::CrossEntropy && !self.compares_vocabularies()
    }

    /// Whether the loss is between the vocabularies of student and teacher, for models of unlike tokenizers:
    /// it reads a live teacher where both texts are [aligned](super::AlignedPair).
    pub fn compares_vocabularies(self) -> bool {
        Self::OF_VOCABULARIES.contains(&self)
    }

    /// Refuses a loss that drawn tokens cannot estimate without bias.
    ///
    /// The expectation over draws of a function of the shares is that of the probabilities only if
    /// the function is linear: the forward KL divergence is, but for the entropy, which is stored.
    ///
    /// # Errors
    /// [`LossError::NotLinear`]
    pub fn check_linear(self) -> Result<(), LossError> {
        match self {
            Self::ForwardKl | Self::CrossEntropy => Ok(()),
            other => Err(LossError::NotLinear { term: other.name() }),
        }
    }

    /// Whether the loss reads the teacher's raw logits, which only targets of hidden states and
    /// live teachers have.
    pub fn needs_logits(self) -> bool {
        self == Self::LogitMse
    }

    /// Whether the loss is a [`Divergence`] between two distributions, which a temperature softens.
    pub fn compares_distributions(self) -> bool {
        self.needs_targets() && !self.needs_logits()
    }

    /// The setting that the loss reads besides its weight.
    pub fn setting(self) -> Option<LossSetting> {
        match self {
            Self::JensenShannon | Self::HybridLogit => Some(LossSetting::Beta),
            Self::SkewKl | Self::SkewReverseKl => Some(LossSetting::Alpha),
            Self::AdaptiveKl => Some(LossSetting::HeadMass),
            _ => None,
        }
    }
}

/// A number that some losses read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossSetting {
    /// The teacher's weight in [`JensenShannon`] and in that of [`HybridLogit`](super::HybridLogit).
    Beta,
    /// The share of its own side in the mixture of [`SkewKl`] and [`SkewReverseKl`].
    Alpha,
    /// The teacher's mass that makes the head of [`AdaptiveKl`].
    HeadMass,
}

impl LossSetting {
    /// Every setting.
    pub const ALL: [Self; 3] = [Self::Beta, Self::Alpha, Self::HeadMass];

    /// The key in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Self::Beta => "beta",
            Self::Alpha => "alpha",
            Self::HeadMass => "head_mass",
        }
    }

    /// The value of the paper that introduced the loss.
    pub fn published(self) -> f64 {
        match self {
            Self::Beta | Self::HeadMass => 0.5,
            Self::Alpha => 0.1,
        }
    }
}

/// A loss and its weight.
///
/// # Example
/// ```
/// use alambic_distill::loss::{LossKind, LossSetting, ObjectiveTerm, RampKind, WeightRamp};
///
/// let ramp = WeightRamp { kind: RampKind::Linear, to: 0.0, first_step: 1, last_step: 11 };
/// let term = ObjectiveTerm::published(LossKind::SkewKl, 2.0).with_ramp(ramp);
/// assert_eq!(term.setting(LossSetting::Alpha), Some(0.1)); // Ko et al. 2024
/// assert_eq!(term.weight_at(6), 1.0);
/// assert_eq!(term.divergence().unwrap().unwrap().name(), "skew_kl");
/// // Without the setting that it reads:
/// assert!(ObjectiveTerm::new(LossKind::SkewKl, 2.0).divergence().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveTerm {
    /// Which loss.
    pub kind: LossKind,
    /// Its factor in the total; finite and not negative.
    pub weight: f64,
    /// How the weight goes to another one; it stays if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<WeightRamp>,
    /// The teacher's weight in a Jensen–Shannon divergence, 0 to 1; both excluded in `hybrid_logit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// The share of its own side in the mixture of a skew divergence, 0 to less than 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The teacher's mass that makes the head of an adaptive divergence, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_mass: Option<f64>,
}

impl ObjectiveTerm {
    /// A loss that needs no setting.
    pub fn new(kind: LossKind, weight: f64) -> Self {
        Self {
            kind,
            weight,
            ramp: None,
            beta: None,
            alpha: None,
            head_mass: None,
        }
    }

    /// A loss with the setting of the paper that introduced it, if it reads one.
    pub fn published(kind: LossKind, weight: f64) -> Self {
        let term = Self::new(kind, weight);
        match kind.setting() {
            Some(setting) => term.with(setting, setting.published()),
            None => term,
        }
    }

    /// The same term with a setting.
    pub fn with(mut self, setting: LossSetting, value: f64) -> Self {
        match setting {
            LossSetting::Beta => self.beta = Some(value),
            LossSetting::Alpha => self.alpha = Some(value),
            LossSetting::HeadMass => self.head_mass = Some(value),
        }
        self
    }

    /// The same term with a weight that changes.
    pub fn with_ramp(mut self, ramp: WeightRamp) -> Self {
        self.ramp = Some(ramp);
        self
    }

    /// The weight at the 1-based optimizer step `step`.
    pub fn weight_at(&self, step: u64) -> f64 {
        match self.ramp {
            Some(ramp) => ramp.weight(self.weight, step),
            None => self.weight,
        }
    }

    /// The value given for a setting.
    pub fn setting(&self, setting: LossSetting) -> Option<f64> {
        match setting {
            LossSetting::Beta => self.beta,
            LossSetting::Alpha => self.alpha,
            LossSetting::HeadMass => self.head_mass,
        }
    }

    /// The divergence that the term names; `None` for a loss that does not compare distributions.
    ///
    /// # Errors
    /// [`LossError::SettingMissing`], [`LossError::SettingUnread`] and [`LossError::OutOfRange`].
    pub fn divergence(&self) -> Result<Option<Box<dyn Divergence>>, LossError> {
        let term = self.kind.name();
        let superfluous = |setting: &LossSetting| {
            self.setting(*setting).is_some() && self.kind.setting() != Some(*setting)
        };
        if let Some(setting) = LossSetting::ALL.into_iter().find(superfluous) {
            let setting = setting.name();
            return Err(LossError::SettingUnread { term, setting });
        }
        let value = |setting: LossSetting| {
            let missing = LossError::SettingMissing {
                term,
                setting: setting.name(),
            };
            self.setting(setting).ok_or(missing)
        };
        let alpha = || value(LossSetting::Alpha);
        Ok(match self.kind {
            LossKind::CrossEntropy | LossKind::LogitMse | LossKind::UniversalLogit => None,
            LossKind::HybridLogit => {
                hybrid_logit::check_beta(value(LossSetting::Beta)?)?;
                None
            }
            LossKind::ForwardKl => Some(Box::new(ForwardKl)),
            LossKind::ReverseKl => Some(Box::new(ReverseKl)),
            LossKind::SymmetricKl => Some(Box::new(SymmetricKl)),
            LossKind::JensenShannon => {
                Some(Box::new(JensenShannon::try_new(value(LossSetting::Beta)?)?))
            }
            LossKind::SkewKl => Some(Box::new(SkewKl::try_new(alpha()?)?)),
            LossKind::SkewReverseKl => Some(Box::new(SkewReverseKl::try_new(alpha()?)?)),
            LossKind::AdaptiveKl => Some(Box::new(AdaptiveKl::try_new(value(
                LossSetting::HeadMass,
            )?)?)),
            LossKind::TotalVariation => Some(Box::new(TotalVariation)),
        })
    }
}
