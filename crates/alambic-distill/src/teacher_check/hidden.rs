//! The hidden states that a cache stores, beside those that the teacher has now.

use alambic_cache::{HiddenTargets, StateType};

use super::judgement::{LabelComparison, Measured, larger};
use super::live_rows::LiveRows;
use super::report::Quantity;
use super::top_k::distance;

/// Compares every label of a segment.
pub(super) fn compare(
    stored: &HiddenTargets,
    values: StateType,
    live: &LiveRows,
) -> Vec<LabelComparison> {
    let rounded = values.is_integer().then(|| {
        let runs: [Vec<f32>; 2] = [
            live.alone().flatten().copied().collect(),
            live.together().flatten().copied().collect(),
        ];
        runs.map(|states| {
            let width = stored.width;
            let targets = HiddenTargets { width, states };
            // What cannot be stored is compared as it is: no writer would have taken it.
            targets.rounded(values).unwrap_or(targets)
        })
    });
    live.alone()
        .zip(live.together())
        .zip(stored.rows())
        .enumerate()
        .map(|(label, ((first, second), stored))| {
            let scale = scale(first);
            let error = f64::from(values.largest_error(first)) / scale;
            let rounding = if error.is_finite() { error } else { 0.0 };
            let states = Measured {
                difference: largest_distance(stored, first) / scale,
                rounding,
                control: largest_distance(second, first) / scale,
            };
            let of_rounded = rounded.as_ref().map(|runs| {
                let width = stored.len();
                let [first, second] = runs
                    .each_ref()
                    .map(|run| &run.states[label * width..(label + 1) * width]);
                Measured {
                    difference: largest_distance(stored, first) / scale,
                    // Both sides are rounded.
                    rounding: 2.0 * rounding,
                    control: largest_distance(second, first) / scale,
                }
            });
            let of_rounded = of_rounded.map(|measured| (Quantity::RoundedStates, measured));
            let states = (Quantity::States, states);
            [states].into_iter().chain(of_rounded).collect()
        })
        .collect()
}

/// The largest number of a state in magnitude, by which differences are measured; 1 for zeros.
fn scale(state: &[f32]) -> f64 {
    let largest = state
        .iter()
        .fold(0f32, |largest, number| largest.max(number.abs()));
    if largest > 0.0 {
        f64::from(largest)
    } else {
        1.0
    }
}

/// The largest distance of two states in one of their numbers.
fn largest_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| distance(f64::from(a), f64::from(b)))
        .fold(0.0, larger)
}
