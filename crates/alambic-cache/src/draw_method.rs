//! How tokens are drawn from a distribution.

use serde::{Deserialize, Serialize};

/// How tokens are drawn from a teacher's distribution.
///
/// Either way the share of a token among the draws is an unbiased estimate of its probability. Of `n`
/// systematic draws a token of the probability `p` gets `⌊n p⌋` or `⌈n p⌉`: likely tokens have their
/// probability almost exactly, and all randomness goes to the unlikely ones. With `f` the fraction of
/// `n p`, the variance of the share is `f (1 − f) ÷ n²` instead of `p (1 − p) ÷ n`.
///
/// ```
/// use alambic_cache::DrawMethod;
/// assert_eq!(serde_json::to_string(&DrawMethod::Systematic)?, r#""systematic""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # References
/// Independent draws: Anshumann et al. 2025, arXiv:2503.16870, section 3. Systematic ones: Madow and
/// Madow 1944, Annals of Mathematical Statistics 15, 1; the resampling of particle filters, Carpenter,
/// Clifford and Fearnhead 1999, IEE Proceedings 146, 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawMethod {
    /// A random number for every draw. What a manifest means that names no method.
    #[default]
    Independent,
    /// One random number for all draws of a label: they lie evenly spaced in the cumulated distribution.
    Systematic,
}

impl DrawMethod {
    /// The word in recipes and manifests.
    ///
    /// ```
    /// assert_eq!(alambic_cache::DrawMethod::Systematic.name(), "systematic");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Independent => "independent",
            Self::Systematic => "systematic",
        }
    }
}
