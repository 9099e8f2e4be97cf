//! The drawn tokens that a cache stores, beside those that its seed draws now.

use alambic_cache::{SampledTargets, SegmentKey};

use super::judgement::{LabelComparison, Measured};
use super::live_rows::LiveRows;
use super::report::Quantity;
use super::rounding::ENTROPY_ROUNDING_NATS;
use super::top_k::distance;
use crate::token_sampler::TokenSampler;

/// Compares every label of the segment `key`, whose tokens were drawn with `seed`.
pub(super) fn compare(
    stored: &SampledTargets,
    seed: u64,
    key: &SegmentKey,
    live: &LiveRows,
) -> Vec<LabelComparison> {
    let sampler = || TokenSampler::new(stored.draws, stored.temperature, seed, key);
    let (mut alone, mut together) = (sampler(), sampler());
    live.alone()
        .zip(live.together())
        .zip(stored.rows())
        .map(|((first, second), drawn)| {
            let entropy = alone.begin_row(first);
            let second_entropy = together.begin_row(second);
            let moved = alone
                .cumulated()
                .zip(together.cumulated())
                .map(|(first, second)| distance(first, second));
            vec![
                (
                    Quantity::Draws,
                    Measured {
                        difference: alone.distance(first, &drawn),
                        rounding: 0.0,
                        control: moved.fold(0.0, f64::max),
                    },
                ),
                (
                    Quantity::Entropy,
                    Measured {
                        difference: distance(f64::from(drawn.entropy), entropy),
                        rounding: ENTROPY_ROUNDING_NATS,
                        control: distance(second_entropy, entropy),
                    },
                ),
            ]
        })
        .collect()
}
