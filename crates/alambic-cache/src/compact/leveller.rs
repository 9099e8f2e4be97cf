//! The levels of whole distributions.

use super::quantiser::{LARGEST_ERROR_STEPS, MAX_LEVEL, Quantiser};
use crate::MASS_TOLERANCE;

/// Errors that differ by less are equal: different levels can stand for the same distribution.
const TIE: f64 = 1e-6;

/// Levels for head and tail of a row, such that a reader's normalisation is part of the choice.
///
/// A reader divides the masses of all levels by their sum, which shifts every log-probability by
/// one number. A writer can shift the other way before it rounds. Of the shifts that put the first
/// entry on one of the levels around it, the one is taken that gives the least `Σ p |Δ ln p|` between
/// what was given and what will be read. A row that was read from levels has one that gives all of
/// its levels again, so that a cache can be copied any number of times without loss.
#[derive(Debug)]
pub(super) struct Leveller<'a> {
    quantiser: &'a Quantiser,
    /// `-ln p` of head and tail, and `p`.
    nats: Vec<f64>,
    masses: Vec<f64>,
    best: Vec<u16>,
    candidate: Vec<u16>,
}

impl<'a> Leveller<'a> {
    pub(super) fn new(quantiser: &'a Quantiser) -> Self {
        Self {
            quantiser,
            nats: Vec::new(),
            masses: Vec::new(),
            best: Vec::new(),
            candidate: Vec::new(),
        }
    }

    /// The levels of the entries in order, and of the tail unless it has no mass.
    ///
    /// # Panics
    /// If there is no entry, or one has no level.
    pub(super) fn levels(&mut self, log_probs: &[f32], tail_mass: f32) -> &[u16] {
        let tail = (tail_mass > 0.0).then(|| f64::from(tail_mass).ln());
        let log_probs = log_probs.iter().map(|&log_prob| f64::from(log_prob));
        self.nats.clear();
        self.nats
            .extend(log_probs.chain(tail).map(|log_prob| -log_prob));
        self.search();
        // Among the levels that stand for what will be read, the same ones whenever it is written.
        self.nats.clear();
        let best = self.best.iter();
        self.nats
            .extend(best.map(|&level| self.quantiser.nats(level)));
        let total: f64 = self.nats.iter().map(|nats| (-nats).exp()).sum();
        self.nats.iter_mut().for_each(|nats| *nats += total.ln());
        self.search();
        &self.best
    }

    /// Finds the levels of the least error; of several, those of the most mass.
    fn search(&mut self) {
        self.masses.clear();
        self.masses
            .extend(self.nats.iter().map(|nats| (-nats).exp()));
        let first = self.nats[0];
        let mut least = f64::INFINITY;
        for level in self.levels_around(first) {
            let error = self.try_shift(self.quantiser.nats(level) - first);
            if error < least - TIE {
                least = error;
                std::mem::swap(&mut self.best, &mut self.candidate);
            }
        }
        assert!(least.is_finite(), "rounding without a shift is one of them");
    }

    /// The levels near to the first entry's `-ln p`, ascending.
    fn levels_around(&self, first: f64) -> impl Iterator<Item = u16> + use<> {
        let nearest = self.quantiser.level(-first).expect("checked before");
        let is_near =
            |level: &u16| (self.quantiser.nats(*level) - first).abs() <= self.largest_shift();
        let below = (0..nearest).rev().take_while(is_near).count() as u16;
        let above = (nearest + 1..=MAX_LEVEL).take_while(is_near).count() as u16;
        nearest - below..=nearest + above
    }

    /// The most that a reader's normalisation shifts a row: as far as rounding without a shift can
    /// move the sum of a distribution, and as far as that sum may miss 1 itself.
    fn largest_shift(&self) -> f64 {
        LARGEST_ERROR_STEPS * self.quantiser.largest_step() + 2.0 * f64::from(MASS_TOLERANCE)
    }

    /// Rounds all entries shifted by so many nats; the error that a reader will see, or infinity
    /// where an entry has no level or a reader would shift too far.
    fn try_shift(&mut self, shift: f64) -> f64 {
        self.candidate.clear();
        let mut total = 0.0;
        for &nats in &self.nats {
            let Some(level) = self.quantiser.level(-(nats + shift)) else {
                return f64::INFINITY;
            };
            self.candidate.push(level);
            total += self.quantiser.mass(level);
        }
        let log_total = total.ln();
        if log_total.abs() > self.largest_shift() {
            return f64::INFINITY;
        }
        let entries = self.nats.iter().zip(&self.masses).zip(&self.candidate);
        entries
            .map(|((nats, mass), &level)| {
                mass * (self.quantiser.nats(level) + log_total - nats).abs()
            })
            .sum()
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
