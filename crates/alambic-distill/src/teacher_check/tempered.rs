//! Tails and entropies at further temperatures, beside those that the teacher has now.

use alambic_cache::{TopKTargets, ValueType};

use super::judgement::Measured;
use super::report::Quantity;
use super::rounding::{ENTROPY_ROUNDING_NATS, tempered_tail_error};
use super::top_k::distance;

/// Compares one label; `live` are the teacher's two runs, selected as the stored ones were.
///
/// What a reader makes of the head at a temperature follows from the head at 1 and from this tail.
pub(super) fn compare(
    stored: &TopKTargets,
    values: ValueType,
    live: [&TopKTargets; 2],
    label: usize,
) -> Vec<(Quantity, Measured)> {
    let tails = stored.tempered.iter().enumerate();
    let compared = tails.flat_map(|(index, tail)| {
        let live = live.map(|targets| &targets.tempered[index]);
        let [tail_mass, second_mass] = live.map(|tail| f64::from(tail.tail_mass[label]));
        let [entropy, second_entropy] = live.map(|tail| f64::from(tail.entropy[label]));
        let masses = Measured {
            difference: distance(f64::from(tail.tail_mass[label]), tail_mass),
            rounding: tempered_tail_error(values, tail_mass),
            control: distance(second_mass, tail_mass),
        };
        let entropies = Measured {
            difference: distance(f64::from(tail.entropy[label]), entropy),
            rounding: match values.level_steps() {
                Some(_) => ENTROPY_ROUNDING_NATS,
                None => 0.0,
            },
            control: distance(second_entropy, entropy),
        };
        [
            (Quantity::TailMassAt(tail.temperature), masses),
            (Quantity::EntropyAt(tail.temperature), entropies),
        ]
    });
    compared.collect()
}
