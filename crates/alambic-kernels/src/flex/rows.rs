//! Loops over rows of floats, compiled for the widest vectors that the processor has.
//!
//! [`vectorized`] compiles a closure for each instruction set and picks one at run time; what the
//! closure calls has to be `#[inline(always)]` to be part of that.

use pulp::Arch;

/// Sums and maxima run in this many lanes.
const LANES: usize = 16;

/// Runs a loop in the version for this processor.
pub(super) fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(body)
}

/// `eˣ` without branches, within 2 units in the last place (the method of Cephes' `expf`).
///
/// Below -87.3 the result stays at the smallest normal number, about 1e-38.
#[inline(always)]
#[allow(clippy::excessive_precision)] // the published coefficients
pub(super) fn exp(x: f32) -> f32 {
    /// ln 2 in two parts, the first of which has few digits.
    const LN_2: [f32; 2] = [0.693_359_375, -2.121_944_4e-4];
    const COEFFICIENTS: [f32; 6] = [
        1.987_569_15e-4,
        1.398_199_95e-3,
        8.333_451_9e-3,
        4.166_579_6e-2,
        1.666_666_55e-1,
        5.000_000_1e-1,
    ];
    // Adding and taking away this number rounds to an integer.
    const ROUNDER: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUNDER;
    let twos = shifted - ROUNDER;
    let rest = x - twos * LN_2[0] - twos * LN_2[1];
    let mut series = COEFFICIENTS[0];
    for coefficient in &COEFFICIENTS[1..] {
        series = series * rest + coefficient;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1f32.to_bits()));
    (series * rest * rest + rest + 1.0) * power
}

/// The largest element; negative infinity of none.
#[inline(always)]
pub(super) fn max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let remainder = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(remainder)
        .copied()
        .fold(f32::NEG_INFINITY, f32::max)
}

/// `Σ exp(x - shift)`
#[inline(always)]
pub(super) fn sum_exp(row: &[f32], shift: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = row.chunks_exact(LANES);
    let remainder = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += exp(*x - shift);
        }
    }
    lanes.iter().sum::<f32>() + remainder.iter().map(|x| exp(*x - shift)).sum::<f32>()
}

/// Replaces `x` by `exp(x - shift)`.
#[inline(always)]
pub(super) fn exp_in_place(row: &mut [f32], shift: f32) {
    for x in row {
        *x = exp(*x - shift);
    }
}

/// Replaces `x` by `exp(x - shift)` and adds the results up.
#[inline(always)]
pub(super) fn exp_in_place_with_sum(row: &mut [f32], shift: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let mut chunks = row.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *x = exp(*x - shift);
            *lane += *x;
        }
    }
    let remainder = chunks.into_remainder();
    exp_in_place(remainder, shift);
    lanes.iter().sum::<f32>() + remainder.iter().sum::<f32>()
}

#[inline(always)]
pub(super) fn sum(row: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = row.chunks_exact(LANES);
    let remainder = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += *x;
        }
    }
    lanes.iter().sum::<f32>() + remainder.iter().sum::<f32>()
}

#[inline(always)]
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (lefts, rights) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let remainders = lefts.remainder().iter().zip(rights.remainder());
    let rest: f32 = remainders.map(|(l, r)| l * r).sum();
    for (l, r) in lefts.zip(rights) {
        for lane in 0..LANES {
            lanes[lane] += l[lane] * r[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two units in the last place of an `f32`, relative.
    const EXP_TOLERANCE: f64 = 2.4e-7;

    #[test]
    fn exp_is_exact_to_two_units_in_the_last_place() {
        let mut worst = 0.0f64;
        for step in -87_000..88_000 {
            let x = step as f32 * 1e-3;
            let expected = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - expected).abs() / expected);
        }
        assert!(worst < EXP_TOLERANCE, "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1.3e-38);
        assert!(exp(-87.3) > 0.0);
    }

    #[test]
    fn reductions_count_the_remainder() {
        let row: Vec<f32> = (0..37).map(|x| x as f32).collect();
        assert_eq!(max(&row), 36.0);
        assert_eq!(sum(&row), 666.0);
        assert_eq!(dot(&row, &row), 16_206.0);
        assert!((sum_exp(&[0.0; 37], 0.0) - 37.0).abs() < 1e-5);
        assert_eq!(max(&[]), f32::NEG_INFINITY);
        let mut row = row;
        let total = exp_in_place_with_sum(&mut row, 36.0);
        assert_eq!(row[36], 1.0);
        assert!((total - sum(&row)).abs() < 1e-6 * total);
    }
}
