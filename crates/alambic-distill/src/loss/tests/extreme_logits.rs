//! Logits of ten thousand, and columns that one side alone forbids.

use super::*;
use crate::test_device::test_device;

/// Relative; logits of 1e4 are rounded to 1e-3 in `f32`, and those used here are whole numbers.
const RELATIVE_TOLERANCE: f64 = 1e-6;
/// Less than the product of the smallest probability here with the stand-in for an infinite
/// logarithm, and more than any finite divergence.
const AS_GOOD_AS_INFINITE: f64 = 1e24;

/// Opposite extremes, one side certain, both certain of different tokens, extremes close together.
fn teacher() -> Vec<Vec<f64>> {
    vec![
        vec![1e4, -1e4, 0.0, 9_998.0],
        vec![-1e4, -9_999.0, -1e4, -9_997.0],
        vec![1e4, 0.0, -1e4, 1.0],
        vec![9_999.0, 1e4, 9_998.0, 9_996.0],
    ]
}

fn student() -> Vec<Vec<f64>> {
    vec![
        vec![1e4, 9_999.0, -1e4, 9_997.0],
        vec![1e4, 0.0, 3.0, -1.0],
        vec![0.0, -1e4, 1e4, 2.0],
        vec![-1e4, -9_998.0, -9_999.0, -9_997.0],
    ]
}

/// Formulas in logarithms, since the probabilities vanish.
mod in_logarithms {
    use super::reference;

    pub(super) fn log_softmax(row: &[f64]) -> Vec<f64> {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|z| (z - largest).exp()).sum();
        row.iter().map(|z| (z - largest) - sum.ln()).collect()
    }

    pub(super) fn kl(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a.exp() * (a - b)).sum()
    }

    /// `ln (w eᵃ + (1 − w) eᵇ)`
    pub(super) fn mixture(weight: f64, a: &[f64], b: &[f64]) -> Vec<f64> {
        let both = a.iter().zip(b).map(|(a, b)| {
            let (a, b) = (a + weight.ln(), b + (1.0 - weight).ln());
            let (large, small) = (a.max(b), a.min(b));
            large + (small - large).exp().ln_1p()
        });
        both.collect()
    }

    pub(super) fn adaptive(head_mass: f64, p: &[f64], q: &[f64]) -> f64 {
        let exps = |logs: &[f64]| -> Vec<f64> { logs.iter().map(|l| l.exp()).collect() };
        let share = reference::forward_share(head_mass, &exps(p), &exps(q));
        share * kl(p, q) + (1.0 - share) * kl(q, p)
    }
}

fn assert_near(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() < RELATIVE_TOLERANCE * (1.0 + expected.abs()),
            "{what}, entry {index}: {found} against {expected}"
        );
    }
}

#[test]
fn at_extreme_logits_every_unbounded_divergence_has_the_value_of_its_formula() {
    use in_logarithms::{adaptive, kl, log_softmax, mixture};
    let adaptive_kl = AdaptiveKl::try_new(0.5).unwrap();
    let small = 1e-3;
    let skew = SkewKl::try_new(small).unwrap();
    let skew_reverse = SkewReverseKl::try_new(small).unwrap();
    let device = test_device();
    let rows: Vec<_> = teacher().into_iter().zip(student()).collect();
    let check = |divergence: &dyn Divergence, formula: &dyn Fn(&[f64], &[f64]) -> f64| {
        let on = (DType::F32, &device);
        let found = values(divergence, &teacher(), &student(), Kept::Everything, on);
        let of_row = |(p, q): &(Vec<f64>, Vec<f64>)| formula(&log_softmax(p), &log_softmax(q));
        let expected: Vec<f64> = rows.iter().map(of_row).collect();
        assert_near(divergence.name(), &found, &expected);
    };
    check(&ForwardKl, &kl);
    check(&ReverseKl, &|p, q| kl(q, p));
    check(&SymmetricKl, &|p, q| 0.5 * (kl(p, q) + kl(q, p)));
    check(&adaptive_kl, &|p, q| adaptive(0.5, p, q));
    check(&skew, &|p, q| kl(p, &mixture(small, p, q)));
    check(&skew_reverse, &|p, q| kl(q, &mixture(small, q, p)));
}

/// Double precision is proven by the recordings; extreme logits are no reason to need it.
#[test]
fn at_extreme_logits_single_precision_gives_the_values_and_gradients_of_double() {
    let outcome = |divergence: &dyn Divergence, kept: Kept, (dtype, device): (DType, &Device)| {
        let leaf = logits(&student(), dtype, &device.clone().autodiff()).require_grad();
        let per_token = divergence.per_token(&pair(&teacher(), leaf.clone(), kept));
        let gradient = leaf.grad(&per_token.clone().sum().backward()).unwrap();
        (floats(per_token), floats(gradient))
    };
    for (divergence, _) in divergences() {
        for kept in every_kind(2).filter(|kept| kept.serves(&*divergence)) {
            let what = format!("{} on {kept:?}", divergence.name());
            let single = outcome(&*divergence, kept, (DType::F32, &test_device()));
            let double = outcome(&*divergence, kept, (DType::F64, &Device::flex()));
            assert!(
                single.1.iter().all(|gradient| gradient.is_finite()),
                "{what}"
            );
            assert_near(&what, &single.0, &double.0);
            assert_near(&format!("gradient of {what}"), &single.1, &double.1);
        }
    }
}

/// `ln 0` on one side: finite divergences keep the value of their formula, and infinite ones are
/// as good as infinite, never small.
#[test]
fn columns_that_one_side_alone_forbids_have_no_probability_there() {
    let (open, mut closed) = (
        vec![vec![0.3, -1.0, 2.0, 0.1, 0.4]],
        vec![vec![-0.2, 0.4, 0.9, -1.0, 0.6]],
    );
    closed[0][3..].fill(f64::NEG_INFINITY);
    let device = test_device().autodiff();
    for (teacher, student) in [(&open, &closed), (&closed, &open)] {
        for (divergence, formula) in divergences() {
            for kept in every_kind(2).filter(|kept| kept.serves(&*divergence)) {
                let leaf = logits(student, DType::F32, &device).require_grad();
                let per_token = divergence.per_token(&pair(teacher, leaf.clone(), kept));
                let found = floats(per_token.clone())[0];
                let (p, q) = (
                    reference::softmax(&teacher[0]),
                    reference::softmax(&student[0]),
                );
                let (p, q) = reference::outcomes(&p, &q, kept);
                let expected = formula(&p, &q);
                let what = format!(
                    "{} on {kept:?}: {found} against {expected}",
                    divergence.name()
                );
                if !expected.is_finite() {
                    assert!(found > AS_GOOD_AS_INFINITE, "{what}");
                    continue;
                }
                assert!((found - expected).abs() < F32_SUM_TOLERANCE, "{what}");
                let gradient = floats(leaf.grad(&per_token.sum().backward()).unwrap());
                assert!(
                    gradient.iter().all(|g| g.is_finite()),
                    "{gradient:?}, {what}"
                );
                let forbidden = student[0].iter().zip(&gradient);
                let mut forbidden = forbidden.filter(|(logit, _)| logit.is_infinite());
                assert!(
                    forbidden.all(|(_, gradient)| gradient.abs() < 1e-30),
                    "{what}"
                );
            }
        }
    }
}
