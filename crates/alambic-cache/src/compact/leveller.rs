//! The levels of whole distributions.

use super::quantiser::{LARGEST_ERROR_STEPS, MAX_LEVEL, Quantiser};
use crate::MASS_TOLERANCE;

/// How many levels above and below the nearest one are tried for the first entry.
const REACH_LEVELS: u16 = 3;

/// Levels stand for a row exactly if none is off by more, in nats and per nat: what `f32` can tell.
const EXACT_NATS: f64 = 1e-5;
const EXACT_RATIO: f64 = 1e-6;

/// Finds levels for head and tail of a row.
///
/// A reader divides the masses of all levels by their sum, which shifts every log-probability by
/// one number; a writer can shift the other way before it rounds. Of the shifts that put the first
/// entry on a level near its own, the one is taken that gives the least `Σ p |Δ ln p|` between what
/// was given and what will be read.
///
/// Different levels can stand for the same distribution, as all of them one further down do where
/// they are evenly spaced. Of these the same ones are taken always, so that a cache can be copied
/// any number of times without any change.
#[derive(Debug)]
pub(super) struct Leveller<'a> {
    quantiser: &'a Quantiser,
    /// `-ln p` of head and tail, `p`, and its square root.
    nats: Vec<f64>,
    masses: Vec<f64>,
    roots: Vec<f64>,
    best: Vec<u16>,
    candidate: Vec<u16>,
}

impl<'a> Leveller<'a> {
    pub(super) fn new(quantiser: &'a Quantiser) -> Self {
        Self {
            quantiser,
            nats: Vec::new(),
            masses: Vec::new(),
            roots: Vec::new(),
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
        self.set_row(log_probs.chain(tail).map(|log_prob| -log_prob));
        if !self.find_exact() {
            self.find_nearest();
            self.set_row_to_what_will_be_read();
            self.find_exact();
        }
        &self.best
    }

    fn set_row(&mut self, nats: impl Iterator<Item = f64>) {
        self.nats.clear();
        self.nats.extend(nats);
        self.masses.clear();
        self.masses
            .extend(self.nats.iter().map(|nats| (-nats).exp()));
        self.roots.clear();
        self.roots
            .extend(self.masses.iter().map(|mass| mass.sqrt()));
    }

    /// Finds the levels of the least error.
    fn find_nearest(&mut self) {
        let first = self.nats[0];
        let nearest = self.quantiser.level(-first).expect("checked before");
        let mut least = f64::INFINITY;
        let highest = (nearest + REACH_LEVELS).min(MAX_LEVEL);
        for level in nearest.saturating_sub(REACH_LEVELS)..=highest {
            let error = self.try_shift(self.quantiser.nats(level) - first);
            if error < least {
                least = error;
                std::mem::swap(&mut self.best, &mut self.candidate);
            }
        }
        if least.is_infinite() {
            self.best.clear();
            let levels = self.nats.iter().map(|nats| self.quantiser.level(-nats));
            self.best
                .extend(levels.map(|level| level.expect("checked before")));
        }
    }

    /// Rounds all entries shifted by so many nats; the error that a reader will see, or infinity
    /// where an entry has no level or a reader would shift too far.
    fn try_shift(&mut self, shift: f64) -> f64 {
        self.candidate.clear();
        let factor = (-shift / 2.0).exp();
        let mut total = 0.0;
        for (&nats, &root) in self.nats.iter().zip(&self.roots) {
            let Some(level) = self.quantiser.level_of(nats + shift, root * factor) else {
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

    fn set_row_to_what_will_be_read(&mut self) {
        let best = std::mem::take(&mut self.best);
        let total: f64 = best.iter().map(|&level| self.quantiser.mass(level)).sum();
        let log_total = total.ln();
        let nats = best.iter().map(|&level| self.quantiser.nats(level));
        self.set_row(nats.map(|nats| nats + log_total));
        self.best = best;
    }

    /// Finds levels that stand for the row exactly; of several, those of the most mass.
    fn find_exact(&mut self) -> bool {
        let first = self.nats[0];
        let reach = self.largest_shift();
        let lowest = (first - reach).max(0.0);
        let from = self.quantiser.level(-lowest).unwrap_or(0).saturating_sub(1);
        for level in from..=MAX_LEVEL {
            let shift = self.quantiser.nats(level) - first;
            if shift > reach {
                return false;
            }
            if shift >= -reach && self.is_exact(shift) {
                std::mem::swap(&mut self.best, &mut self.candidate);
                return true;
            }
        }
        false
    }

    /// Whether all entries shifted by so many nats are levels.
    fn is_exact(&mut self, shift: f64) -> bool {
        self.candidate.clear();
        let factor = (-shift / 2.0).exp();
        for (&nats, &root) in self.nats.iter().zip(&self.roots) {
            match self.quantiser.level_of(nats + shift, root * factor) {
                Some(level)
                    if (self.quantiser.nats(level) - nats - shift).abs()
                        < EXACT_NATS + EXACT_RATIO * nats =>
                {
                    self.candidate.push(level);
                }
                _ => return false,
            }
        }
        true
    }

    /// The most that a reader's normalisation shifts a row: as far as rounding without a shift can
    /// move the sum of a distribution, and as far as that sum may miss 1 itself.
    fn largest_shift(&self) -> f64 {
        LARGEST_ERROR_STEPS * self.quantiser.largest_step() + 2.0 * f64::from(MASS_TOLERANCE)
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

    /// `Σ p |Δ ln p|`.
    fn error(given: &[f32], read: &[f32]) -> f64 {
        let pairs = given.iter().zip(read);
        pairs
            .map(|(x, y)| f64::from(*x).exp() * f64::from((x - y).abs()))
            .sum()
    }

    fn distributions() -> impl Iterator<Item = Vec<f32>> {
        let mut state = 1u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f64 / f64::from(1 << 24)
        };
        let sizes = [1, 2, 7, 50, 128].into_iter().cycle().take(1000);
        sizes.map(move |k| {
            let steepness = 3.0 * random();
            let logits: Vec<f64> = (0..=k)
                .map(|rank| -steepness * f64::from(rank + 1).ln() + 0.3 * random())
                .collect();
            let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
            let log_probs = logits.iter().map(|logit| (logit - total.ln()) as f32);
            log_probs.collect()
        })
    }

    #[test]
    fn what_was_read_is_written_again() {
        for (finest, largest) in [(1.0 / 16.0, 1.25), (1.0 / 32.0, 0.25)] {
            let quantiser = Quantiser::new(finest, largest);
            let mut leveller = Leveller::new(&quantiser);
            for log_probs in distributions() {
                let (tail, head) = log_probs.split_last().unwrap_or((&0.0, &[]));
                let levels = leveller.levels(head, tail.exp()).to_vec();
                let again = read(&quantiser, &levels);
                let (tail, head) = again.split_last().unwrap_or((&0.0, &[]));
                assert_eq!(leveller.levels(head, tail.exp()), levels, "{log_probs:?}");
            }
        }
    }

    #[test]
    fn a_shift_before_rounding_is_never_worse_than_none() {
        let quantiser = Quantiser::new(1.0 / 16.0, 1.25);
        let mut leveller = Leveller::new(&quantiser);
        let (mut without, mut with) = (0.0, 0.0);
        for log_probs in distributions() {
            let (tail, head) = log_probs.split_last().unwrap_or((&0.0, &[]));
            let levels = leveller.levels(head, tail.exp()).to_vec();
            let shifted = error(&log_probs, &read(&quantiser, &levels));
            let first = f64::from(log_probs[0]);
            let level = quantiser.level(first).unwrap_or(0);
            let to_level = first + quantiser.nats(level);
            let rounded = log_probs.iter();
            let rounded: Vec<u16> = rounded
                .filter_map(|&lp| quantiser.level(f64::from(lp) - to_level))
                .collect();
            let plain = error(&log_probs, &read(&quantiser, &rounded));
            assert!(shifted <= plain + 1e-6, "{shifted} {plain}");
            (without, with) = (without + plain, with + shifted);
        }
        assert!(with < 0.9 * without, "{with} {without}");
    }
}
