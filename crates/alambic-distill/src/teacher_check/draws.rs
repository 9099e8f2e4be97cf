//! The drawn tokens that a cache stores, beside those that its seed draws now.

use alambic_cache::{DrawMethod, DrawnRow, HeadPlusSampledTail, SampledTargets, SegmentKey};

use super::judgement::{LabelComparison, Measured};
use super::live_rows::LiveRows;
use super::report::Quantity;
use super::rounding::ENTROPY_ROUNDING_NATS;
use super::top_k::distance;
use crate::token_sampler::TokenSampler;

/// Compares every label of the segment `key`, whose tokens were drawn by `method` with `seed`.
pub(super) fn compare(
    stored: &SampledTargets,
    (method, seed): (DrawMethod, u64),
    key: &SegmentKey,
    live: &LiveRows,
) -> Vec<LabelComparison> {
    let sampler = || TokenSampler::new(stored.draws, method, stored.temperature, seed, key);
    let (mut alone, mut together) = (sampler(), sampler());
    live.alone()
        .zip(live.together())
        .zip(stored.drawn.rows().zip(&stored.entropy))
        .map(|((first, second), (drawn, &stored_entropy))| {
            let entropy = alone.begin_row(first);
            let second_entropy = together.begin_row(second);
            vec![
                (Quantity::Draws, measure(&alone, &together, first, &drawn)),
                (
                    Quantity::Entropy,
                    Measured {
                        difference: distance(f64::from(stored_entropy), entropy),
                        rounding: ENTROPY_ROUNDING_NATS,
                        control: distance(second_entropy, entropy),
                    },
                ),
            ]
        })
        .collect()
}

/// Compares what was drawn at every label from the tails that `live` holds.
pub(super) fn compare_tail(
    stored: &HeadPlusSampledTail,
    (method, seed): (DrawMethod, u64),
    key: &SegmentKey,
    live: &LiveRows,
) -> Vec<(Quantity, Measured)> {
    let sampler = || TokenSampler::new(stored.draws, method, 1.0, seed, key);
    let (mut alone, mut together) = (sampler(), sampler());
    live.alone()
        .zip(live.together())
        .zip(stored.tail.rows())
        .map(|((first, second), drawn)| {
            alone.begin_row(first);
            together.begin_row(second);
            let measured = match drawn.token_ids {
                // The tail's mass says whether there should be any.
                [] => Measured {
                    difference: 0.0,
                    rounding: 0.0,
                    control: 0.0,
                },
                _ => measure(&alone, &together, first, &drawn),
            };
            (Quantity::Draws, measured)
        })
        .collect()
}

/// One row of draws beside the rows that the samplers of both runs have begun.
fn measure(
    alone: &TokenSampler,
    together: &TokenSampler,
    log_probs: &[f32],
    drawn: &DrawnRow<'_>,
) -> Measured {
    let cumulated = alone.cumulated().zip(together.cumulated());
    let moved = cumulated.map(|(first, second)| distance(first, second));
    Measured {
        difference: alone.distance(log_probs, drawn),
        rounding: 0.0,
        control: moved.fold(0.0, f64::max),
    }
}
