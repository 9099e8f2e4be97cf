//! The rules of top-k targets at further temperatures.

use crate::compact::ENTROPY_ROUNDING_NATS;
use crate::invariants::{Broken, largest_entropy, require};
use crate::top_k_targets::tempered_log_mass;
use crate::{CacheSpec, ENTROPY_TOLERANCE_NATS, MASS_TOLERANCE, TemperedTail, TopKTargets};

/// Checks tails and entropies at the further temperatures of one cache.
#[derive(Debug)]
pub(crate) struct TemperedRules {
    vocab_size: usize,
    temperatures: Vec<f32>,
    /// How far off the log-probabilities of a row may be, and how far the tail at a temperature:
    /// what head and tail may miss 1 by, and what levels round.
    log_prob_error_nats: f64,
    entropy_tolerance: f32,
    max_entropy: f32,
}

impl TemperedRules {
    pub(crate) fn new(spec: &CacheSpec) -> Self {
        let levels = spec.targets.quantiser();
        let level_error = levels.as_ref().map_or(0.0, |levels| levels.largest_error());
        // Each of two entropies, which bits round to 64ths of a nat.
        let entropy_error = ENTROPY_TOLERANCE_NATS + levels.map_or(0.0, |_| ENTROPY_ROUNDING_NATS);
        Self {
            vocab_size: spec.vocab_size,
            temperatures: spec.further_temperatures().to_vec(),
            log_prob_error_nats: 2.0 * f64::from(MASS_TOLERANCE) + level_error,
            entropy_tolerance: 2.0 * entropy_error,
            max_entropy: largest_entropy(spec),
        }
    }

    /// Checks one record's targets, whose rows at temperature 1 are in order.
    pub(crate) fn check(&self, targets: &TopKTargets) -> Result<(), Broken> {
        let tails = targets.tempered.iter();
        let found: Vec<f32> = tails.map(|tail| tail.temperature).collect();
        require(found == self.temperatures, "targets.tempered", || {
            let expected = format!("at the temperatures {:?} of the cache", self.temperatures);
            (expected, format!("{found:?}"))
        })?;
        for (t, tail) in targets.tempered.iter().enumerate() {
            let rows = targets.num_rows();
            for (name, length) in [
                ("tail_mass", tail.tail_mass.len()),
                ("entropy", tail.entropy.len()),
            ] {
                let field = format_args!("targets.tempered[{t}].{name}");
                require(length == rows, field, || {
                    let expected = format!("{rows} long for {rows} counted labels");
                    (expected, format!("{length} long"))
                })?;
            }
            for row in 0..rows {
                self.check_row(targets, tail, t, row)?;
            }
        }
        Ok(())
    }

    fn check_row(
        &self,
        targets: &TopKTargets,
        tail: &TemperedTail,
        t: usize,
        row: usize,
    ) -> Result<(), Broken> {
        let (k, mass) = (targets.k, tail.tail_mass[row]);
        let is_mass = match k == self.vocab_size {
            true => mass == 0.0,
            false => (0.0..1.0).contains(&mass),
        };
        let field = format_args!("targets.tempered[{t}].tail_mass[{row}]");
        require(is_mass, field, || {
            let expected = format!(
                "at least 0 and below 1 for k = {k} of {}, and 0 for all",
                self.vocab_size
            );
            (expected, mass.to_string())
        })?;
        self.check_entropy(targets.entropy[row], tail, t, row)?;
        let head = &targets.log_probs[row * k..(row + 1) * k];
        self.check_partition(head, tail, t, row)
    }

    /// The higher the temperature, the higher the entropy.
    fn check_entropy(
        &self,
        entropy_at_1: f32,
        tail: &TemperedTail,
        t: usize,
        row: usize,
    ) -> Result<(), Broken> {
        let tolerance = self.entropy_tolerance;
        let range = match tail.temperature > 1.0 {
            true => entropy_at_1 - tolerance..=self.max_entropy,
            false => -ENTROPY_TOLERANCE_NATS..=entropy_at_1 + tolerance,
        };
        let (entropy, temperature) = (tail.entropy[row], tail.temperature);
        let field = format_args!("targets.tempered[{t}].entropy[{row}]");
        require(range.contains(&entropy), field, || {
            let expected = format!(
                "in {range:?} nats at temperature {temperature}, since it is {entropy_at_1} at 1"
            );
            (expected, entropy.to_string())
        })
    }

    /// `Σ p^(1/T)` over a vocabulary lies between 1, for a certain token, and `V^(1 − 1/T)`, for
    /// all equally likely (Jensen).
    fn check_partition(
        &self,
        head: &[f32],
        tail: &TemperedTail,
        t: usize,
        row: usize,
    ) -> Result<(), Broken> {
        let inverse = 1.0 / f64::from(tail.temperature);
        let head = tempered_log_mass(head, tail.temperature);
        let log_partition = head - (-f64::from(tail.tail_mass[row])).ln_1p();
        let uniform = (1.0 - inverse) * (self.vocab_size as f64).ln();
        // The tail's own error, and that of the head, which the temperature divides.
        let tolerance = self.log_prob_error_nats * (1.0 + inverse);
        let range = uniform.min(0.0) - tolerance..=uniform.max(0.0) + tolerance;
        let field = format_args!("targets.tempered[{t}].tail_mass[{row}] with the head");
        require(range.contains(&log_partition), field, || {
            let expected = format!(
                "such that ln Σ p^(1/T) is in {range:?} at T = {}",
                tail.temperature
            );
            (expected, log_partition.to_string())
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use crate::invariants::RecordRules;
    use crate::sample::{self, top_k};
    use crate::{TargetRecord, TemperedTail, ValueType};

    /// What checking a record at the temperatures 1, 2 and 1/2 says after `change`.
    fn verdict(
        values: ValueType,
        k: usize,
        change: impl FnOnce(&mut TargetRecord),
    ) -> Result<(), String> {
        let spec = sample::tempered(sample::spec(values, k));
        let mut records = (0..).map(|seed| sample::record(&spec, seed));
        let mut record = records.find(|record| record.num_targets() > 1).unwrap();
        change(&mut record);
        let outcome = RecordRules::new(&spec).check(&record, 7, Path::new("shard"));
        outcome.map_err(|error| error.to_string())
    }

    fn assert_refused(change: impl FnOnce(&mut Vec<TemperedTail>), expected: &str) {
        let outcome = verdict(ValueType::F32, 8, |record| {
            change(&mut top_k(record).tempered);
        });
        let message = outcome.unwrap_err();
        assert!(
            message.contains(expected),
            "{message} does not contain {expected}"
        );
    }

    #[test]
    fn sample_records_obey_the_rules_at_every_temperature() {
        for k in [1, 8, 49, 50] {
            for values in [ValueType::F32, ValueType::F16, ValueType::Coarse] {
                assert_eq!(verdict(values, k, |_| {}), Ok(()));
            }
        }
    }

    #[test]
    fn every_temperature_of_the_cache_has_its_tails() {
        assert_refused(|tails| _ = tails.pop(), "targets.tempered should be");
        assert_refused(|tails| tails.reverse(), "targets.tempered should be");
        assert_refused(|tails| tails[1].temperature = 3.0, "[2.0, 0.5]");
        assert_refused(
            |tails| tails[0].tail_mass.push(0.1),
            "targets.tempered[0].tail_mass should be",
        );
        assert_refused(
            |tails| _ = tails[1].entropy.pop(),
            "targets.tempered[1].entropy should be",
        );
    }

    #[test]
    fn a_tail_mass_is_a_probability_below_one() {
        for value in [-1e-6, 1.0, 1.1, f32::NAN] {
            assert_refused(
                |tails| tails[0].tail_mass[1] = value,
                "targets.tempered[0].tail_mass[1] should be at least 0 and below 1",
            );
        }
        let some = |record: &mut TargetRecord| top_k(record).tempered[1].tail_mass[0] = 1e-30;
        assert!(verdict(ValueType::F32, 50, some).is_err());
    }

    #[test]
    fn an_entropy_grows_with_the_temperature() {
        let entropy =
            |t: usize, value: f32| move |tails: &mut Vec<TemperedTail>| tails[t].entropy[0] = value;
        assert_refused(
            entropy(0, 0.0),
            "targets.tempered[0].entropy[0] should be in",
        );
        assert_refused(entropy(0, 4.0), "at temperature 2");
        assert_refused(entropy(1, 3.9), "at temperature 0.5");
        assert_refused(entropy(1, -0.1), "targets.tempered[1].entropy[0]");
        assert_refused(entropy(1, f32::NAN), "targets.tempered[1].entropy[0]");
    }

    #[test]
    fn head_and_tail_have_a_sum_that_a_vocabulary_can_have() {
        let almost_all = |tails: &mut Vec<TemperedTail>| tails[0].tail_mass[0] = 0.9999;
        assert_refused(almost_all, "tail_mass[0] with the head should be such that");
        let almost_all = |tails: &mut Vec<TemperedTail>| tails[1].tail_mass[1] = 0.9999;
        assert_refused(almost_all, "at T = 0.5");
    }
}
