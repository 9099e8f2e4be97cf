//! The temperature at which distributions are compared.

use serde::{Deserialize, Serialize};

use super::LossError;

/// Softens teacher and student before they are compared: `softmax(z ÷ T)`.
///
/// Cross-entropy on labels and [`LogitMse`](super::LogitMse) know no temperature.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temperature {
    value: f64,
    factor: TemperatureFactor,
}

/// What a divergence at the temperature `T` is multiplied with in the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemperatureFactor {
    /// `T²`. The gradient of a KL or Jensen–Shannon divergence by the logits shrinks like `1 ÷ T²`;
    /// this keeps its scale beside the other terms whatever `T` is (Hinton et al. 2015,
    /// arXiv:1503.02531, section 2). The gradient of the total variation shrinks like `1 ÷ T` only,
    /// so that this factor makes it grow. The default.
    #[default]
    Squared,
    /// 1: the divergence as it is.
    One,
}

impl TemperatureFactor {
    /// The word that stands in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Self::Squared => "squared",
            Self::One => "one",
        }
    }
}

impl Temperature {
    /// Compares the distributions as they are.
    pub const ONE: Self = Self {
        value: 1.0,
        factor: TemperatureFactor::Squared,
    };

    /// The temperature `value` with its factor.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] unless `value` is finite and above 0.
    pub fn try_new(value: f64, factor: TemperatureFactor) -> Result<Self, LossError> {
        LossError::check_positive("temperature", value)?;
        Ok(Self { value, factor })
    }

    /// `T`.
    pub fn value(self) -> f64 {
        self.value
    }

    /// `T²` or 1.
    ///
    /// # Example
    /// ```
    /// use alambic_distill::loss::{Temperature, TemperatureFactor};
    ///
    /// let squared = Temperature::try_new(2.0, TemperatureFactor::Squared).unwrap();
    /// assert_eq!(squared.factor(), 4.0);
    /// let plain = Temperature::try_new(2.0, TemperatureFactor::One).unwrap();
    /// assert_eq!(plain.factor(), 1.0);
    /// ```
    pub fn factor(self) -> f64 {
        match self.factor {
            TemperatureFactor::Squared => self.value * self.value,
            TemperatureFactor::One => 1.0,
        }
    }
}

/// Whether targets that were kept at a temperature are those of another one.
///
/// Caches keep temperatures as `f32`: what a recipe calls 1.3 differs from what was kept by 5e-8.
pub(crate) fn is_kept_temperature(kept: f64, temperature: f64) -> bool {
    kept as f32 == temperature as f32
}
