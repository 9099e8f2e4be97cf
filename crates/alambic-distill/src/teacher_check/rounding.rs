//! How far a stored number can be from the one that was captured.

use alambic_cache::{F16_RELATIVE_ERROR, MASS_TOLERANCE, ValueType};

/// Half a step of the entropy where it is stored in bits, nats.
pub(super) const ENTROPY_ROUNDING_NATS: f64 = 1.0 / 128.0;
/// The error of a level in steps, as [`ValueType`] promises it.
const LEVEL_ERROR_STEPS: f64 = 0.63;
/// The error of f16 where numbers are too small for a relative one.
const F16_ABSOLUTE_ERROR: f64 = 1.0 / (1u64 << 25) as f64;

/// The largest error of a stored log-probability, nats, before a reader normalises its row.
pub(super) fn log_prob_error(values: ValueType, log_prob: f64) -> f64 {
    match (values, values.level_steps()) {
        (_, Some((finest, largest))) => {
            // A writer may shift a row by so much before it takes levels.
            let shift = LEVEL_ERROR_STEPS * largest + 2.0 * f64::from(MASS_TOLERANCE);
            LEVEL_ERROR_STEPS * (finest * ((shift - log_prob) / 2.0).exp()).min(largest)
        }
        (ValueType::F16, None) => {
            log_prob.abs() * f64::from(F16_RELATIVE_ERROR) + F16_ABSOLUTE_ERROR
        }
        (_, None) => 0.0,
    }
}

/// The largest error of a stored tail mass at a further temperature, which is told by its own level
/// or by that of the head, whichever is nearer; no reader shifts it.
pub(super) fn tempered_tail_error(values: ValueType, tail_mass: f64) -> f64 {
    values.level_steps().map_or(0.0, |(finest, largest)| {
        let smaller = tail_mass.min(1.0 - tail_mass);
        let step = (finest / smaller.sqrt()).min(largest);
        smaller * (LEVEL_ERROR_STEPS * step).exp_m1()
    })
}

/// The largest shift by which a reader normalises a row of these log-probabilities, head and tail:
/// `ln Σ p exp(error of p)` for levels, 0 for numbers.
pub(super) fn normaliser_error(values: ValueType, log_probs: impl Iterator<Item = f64>) -> f64 {
    if values.level_steps().is_none() {
        return 0.0;
    }
    let mass = log_probs.map(|log_prob| (log_prob + log_prob_error(values, log_prob)).exp());
    mass.sum::<f64>().ln().max(0.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use alambic_cache::TopKTargets;

    use super::*;

    #[test]
    fn rounding_stays_within_its_bounds() {
        for values in [
            ValueType::F32,
            ValueType::F16,
            ValueType::Fine,
            ValueType::Coarse,
        ] {
            for steepness in 1..60 {
                let logits: Vec<f64> = (1..=40)
                    .map(|rank| -0.1 * f64::from(steepness) * f64::from(rank).ln())
                    .collect();
                let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
                let log_probs: Vec<f64> = logits.iter().map(|logit| logit - total.ln()).collect();
                let (head, tail) = log_probs.split_at(8);
                let tail: f64 = tail.iter().map(|log_prob| log_prob.exp()).sum();
                let targets = TopKTargets {
                    k: 8,
                    token_ids: (0..8).collect(),
                    log_probs: head.iter().map(|&log_prob| log_prob as f32).collect(),
                    tail_mass: vec![tail as f32],
                    entropy: vec![1.0],
                    tempered: vec![],
                };
                let rounded = targets.rounded(values).unwrap();
                let row = head.iter().copied().chain([tail.ln()]);
                let normaliser = normaliser_error(values, row);
                for (&id, &read) in rounded.token_ids.iter().zip(&rounded.log_probs) {
                    let given = head[id as usize];
                    let error = (f64::from(read) - given).abs();
                    let bound = log_prob_error(values, given) + normaliser + 1e-6;
                    assert!(error <= bound, "{values:?}: {given}, {error} of {bound}");
                }
            }
        }
    }
}
