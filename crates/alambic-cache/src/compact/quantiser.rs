//! Probabilities as small integers.

/// The highest level.
pub(crate) const MAX_LEVEL: u16 = 1023;

/// The error of a level in steps: half of one, and what it grows on the way to the next level.
pub(crate) const LARGEST_ERROR_STEPS: f64 = 0.63;

/// Levels of probabilities: finely spaced where a probability is large, evenly in nats below.
///
/// The error of a divergence grows with `p · (Δ ln p)²`, so that its bits are spent best on levels
/// that are evenly spaced in `√p`. There the distance of two levels, in nats, is
/// `finest_step · p^(-1/2)`; it ends to grow at `largest_step`, and further down the levels are
/// evenly spaced in `ln p`.
///
/// Level 0 is the probability 1.
#[derive(Clone, Debug)]
pub(crate) struct Quantiser {
    finest_step: f64,
    largest_step: f64,
    /// Where the levels begin to be even in `ln p`: `-ln p` and the level, with its fraction.
    bend: (f64, f64),
    /// `-ln p` and `p` of every level.
    nats: Vec<f64>,
    masses: Vec<f64>,
}

impl Quantiser {
    /// Levels at these distances, in nats, of which `largest_step` is at least `finest_step`.
    pub(crate) fn new(finest_step: f64, largest_step: f64) -> Self {
        let mut quantiser = Self {
            finest_step,
            largest_step,
            bend: (
                2.0 * (largest_step / finest_step).ln(),
                2.0 / finest_step * (1.0 - finest_step / largest_step),
            ),
            nats: Vec::new(),
            masses: Vec::new(),
        };
        quantiser.nats = (0..=MAX_LEVEL)
            .map(|level| quantiser.nats_of(level))
            .collect();
        quantiser.masses = quantiser.nats.iter().map(|nats| (-nats).exp()).collect();
        quantiser
    }

    fn nats_of(&self, level: u16) -> f64 {
        let level = f64::from(level);
        let (bend_nats, bend_level) = self.bend;
        if level <= bend_level {
            return -2.0 * (1.0 - level * self.finest_step / 2.0).ln();
        }
        bend_nats + (level - bend_level) * self.largest_step
    }

    /// The level nearest to a log-probability; above 0 counts as 0.
    pub(crate) fn level(&self, log_prob: f64) -> Option<u16> {
        let nats = (-log_prob).max(0.0);
        self.level_of(nats, (-nats / 2.0).exp())
    }

    /// The level nearest to a probability of this `-ln p` and `√p`; above 1 counts as 1.
    #[inline]
    pub(crate) fn level_of(&self, nats: f64, root: f64) -> Option<u16> {
        let (bend_nats, bend_level) = self.bend;
        let level = if nats <= bend_nats {
            2.0 / self.finest_step * (1.0 - root)
        } else {
            bend_level + (nats - bend_nats) / self.largest_step
        };
        // Adding a half and cutting rounds without a call of a function.
        let level = (level.max(0.0) + 0.5) as u32;
        (level <= u32::from(MAX_LEVEL)).then_some(level as u16)
    }

    /// `-ln p` of a level.
    #[inline]
    pub(crate) fn nats(&self, level: u16) -> f64 {
        self.nats[usize::from(level)]
    }

    /// `p` of a level.
    #[inline]
    pub(crate) fn mass(&self, level: u16) -> f64 {
        self.masses[usize::from(level)]
    }

    /// The largest distance of two levels, nats.
    pub(crate) fn largest_step(&self) -> f64 {
        self.largest_step
    }

    /// The largest error of a log-probability, nats.
    pub(crate) fn largest_error(&self) -> f64 {
        LARGEST_ERROR_STEPS * self.largest_step
    }

    /// `p` of every level.
    pub(crate) fn masses(&self) -> &[f64] {
        &self.masses
    }

    /// The lowest log-probability that has a level.
    pub(crate) fn lowest_log_prob(&self) -> f64 {
        -self.nats(MAX_LEVEL)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_off_by_half_the_distance_of_two() {
        for (finest, largest) in [(1.0 / 16.0, 1.25), (1.0 / 32.0, 0.25), (0.1, 0.1)] {
            let quantiser = Quantiser::new(finest, largest);
            assert_eq!(quantiser.level(0.0), Some(0));
            for i in 1..40_000 {
                let log_prob = -f64::from(i) * 0.001;
                let Some(level) = quantiser.level(log_prob) else {
                    assert!(log_prob < quantiser.lowest_log_prob());
                    continue;
                };
                let error = (quantiser.nats(level) + log_prob).abs();
                let step = (finest * (-log_prob / 2.0).exp()).min(largest);
                assert!(
                    error <= LARGEST_ERROR_STEPS * step,
                    "{log_prob}: {error} of {step}"
                );
            }
        }
    }

    #[test]
    fn levels_ascend_and_masses_belong_to_them() {
        let quantiser = Quantiser::new(1.0 / 16.0, 1.25);
        for level in 0..MAX_LEVEL {
            assert!(quantiser.nats(level) < quantiser.nats(level + 1));
            assert_eq!(quantiser.level(-quantiser.nats(level)), Some(level));
            assert_eq!(quantiser.mass(level), (-quantiser.nats(level)).exp());
        }
    }
}
