//! The levels of whole distributions.

use super::quantiser::{MAX_LEVEL, Quantiser};

/// Levels for head and tail of a row, such that a reader's normalisation is part of the choice.
///
/// A reader divides the masses of all levels by their sum, which shifts every log-probability by
/// one number. A writer can shift the other way before it rounds. Of the shifts that put the first
/// entry on one of the levels around it, the one is taken that gives the least KL divergence from
/// what was given to what will be read. A row that was read from levels has one that gives all of
/// its levels again, so that a cache can be copied any number of times without loss.
#[derive(Debug)]
pub(super) struct Leveller<'a> {
    quantiser: &'a Quantiser,
    /// `-ln p` of head and tail.
    nats: Vec<f64>,
    best: Vec<u16>,
    candidate: Vec<u16>,
}

impl<'a> Leveller<'a> {
    pub(super) fn new(quantiser: &'a Quantiser) -> Self {
        Self {
            quantiser,
            nats: Vec::new(),
            best: Vec::new(),
            candidate: Vec::new(),
        }
    }

    /// The levels of the entries in order, and of the tail unless it has no mass.
    ///
    /// # Panics
    /// If there is no entry, or one has no level.
    pub(super) fn levels(&mut self, log_probs: &[f32], tail_mass: f32) -> &[u16] {
        self.nats.clear();
        self.nats.extend(log_probs.iter().map(|&lp| -f64::from(lp)));
        if tail_mass > 0.0 {
            self.nats.push(-f64::from(tail_mass).ln());
        }
        let first = self.nats[0];
        let nearest = self.quantiser.level(-first).expect("checked before");
        let mut least = f64::INFINITY;
        for level in self.levels_around(nearest) {
            let shift = self.quantiser.nats(level) - first;
            let divergence = self.try_shift(shift);
            if divergence < least {
                least = divergence;
                std::mem::swap(&mut self.best, &mut self.candidate);
            }
        }
        &self.best
    }

    /// Levels as far from `nearest` as rounding can shift a sum: by half a largest step.
    fn levels_around(&self, nearest: u16) -> impl Iterator<Item = u16> + use<> {
        let (at, reach) = (
            self.quantiser.nats(nearest),
            0.63 * self.quantiser.largest_step(),
        );
        let is_near = |level: &u16| (self.quantiser.nats(*level) - at).abs() <= reach;
        let below = (0..nearest).rev().take_while(is_near).count() as u16;
        let above = (nearest + 1..=MAX_LEVEL).take_while(is_near).count() as u16;
        // The nearest first, which is taken where others are no better.
        std::iter::once(nearest)
            .chain(nearest - below..nearest)
            .chain(nearest + 1..=nearest + above)
    }

    /// Rounds all entries shifted by so many nats; the KL divergence that a reader will see, or
    /// infinity where an entry has no level.
    fn try_shift(&mut self, shift: f64) -> f64 {
        self.candidate.clear();
        let (mut total, mut given, mut error) = (0.0, 0.0, 0.0);
        for &nats in &self.nats {
            let Some(level) = self.quantiser.level(-(nats + shift)) else {
                return f64::INFINITY;
            };
            self.candidate.push(level);
            total += self.quantiser.mass(level);
            let mass = (-nats).exp();
            given += mass;
            error += mass * (self.quantiser.nats(level) - nats);
        }
        error + given * f64::ln(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader makes of levels.
    fn read(quantiser: &Quantiser, levels: &[u16]) -> Vec<f32> {
        let total: f64 = levels.iter().map(|&level| quantiser.mass(level)).sum();
        let nats = levels.iter().map(|&level| quantiser.nats(level));
        nats.map(|nats| (-nats - total.ln()) as f32).collect()
    }

    #[test]
    fn what_was_read_is_written_again() {
        let mut state = 1u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f64 / f64::from(1 << 24)
        };
        for (finest, largest) in [(1.0 / 16.0, 1.25), (1.0 / 32.0, 0.25)] {
            let quantiser = Quantiser::new(finest, largest);
            let mut leveller = Leveller::new(&quantiser);
            for k in [1, 2, 7, 50, 128] {
                for _ in 0..200 {
                    let steepness = 0.1 + 3.0 * random();
                    let logits: Vec<f64> = (0..=k)
                        .map(|rank| -steepness * f64::from(rank + 1).ln() + 0.3 * random())
                        .collect();
                    let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
                    let log_probs: Vec<f32> = logits
                        .iter()
                        .map(|logit| (logit - total.ln()) as f32)
                        .collect();
                    let (head, tail) = log_probs.split_at(k as usize);
                    let levels = leveller.levels(head, tail[0].exp()).to_vec();
                    let again = read(&quantiser, &levels);
                    let (head, tail) = again.split_at(k as usize);
                    assert_eq!(
                        leveller.levels(head, tail[0].exp()),
                        levels,
                        "{log_probs:?}"
                    );
                }
            }
        }
    }
}
