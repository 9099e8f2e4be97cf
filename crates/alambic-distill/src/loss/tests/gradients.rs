//! Gradients against central differences in `f64`.

use burn::tensor::Int;

use super::*;

/// Half the distance between the two values of a difference.
const STEP: f64 = 1e-5;
/// Central differences in `f64` with that step.
const TOLERANCE: f64 = 1e-8;

pub(super) fn teacher() -> Vec<Vec<f64>> {
    vec![
        vec![0.3, -1.0, 2.0, 0.1, -0.4],
        vec![1.0, 0.0, 0.5, -2.0, 0.2],
    ]
}

fn student() -> Vec<Vec<f64>> {
    vec![
        vec![-0.2, 0.4, 0.9, -1.0, 0.6],
        vec![0.1, 0.15, -0.7, 0.3, 1.2],
    ]
}

/// The gradient of a sum by autodiff.
pub(super) fn gradient(loss: impl Fn(Tensor<3>) -> Tensor<1>) -> Vec<f64> {
    let leaf = logits(&student(), DType::F64, &Device::flex().autodiff()).require_grad();
    floats(leaf.grad(&loss(leaf.clone()).backward()).unwrap())
}

/// The same by central differences.
pub(super) fn differences(loss: impl Fn(Tensor<3>) -> Tensor<1>) -> Vec<f64> {
    let value = |row: usize, column: usize, by: f64| {
        let mut rows = student();
        rows[row][column] += by;
        floats(loss(logits(&rows, DType::F64, &Device::flex())))[0]
    };
    let places = (0..2).flat_map(|row| (0..5).map(move |column| (row, column)));
    places
        .map(|(row, column)| (value(row, column, STEP) - value(row, column, -STEP)) / (2.0 * STEP))
        .collect()
}

pub(super) fn assert_near(name: &str, analytic: &[f64], numeric: &[f64]) {
    for (index, (analytic, numeric)) in analytic.iter().zip(numeric).enumerate() {
        assert!(
            (analytic - numeric).abs() < TOLERANCE,
            "{name}, entry {index}: {analytic} against {numeric}"
        );
    }
}

#[test]
fn gradients_agree_with_central_differences_on_every_kind_of_target() {
    for (divergence, _) in divergences() {
        if divergence.name() == "adaptive_kl" {
            continue; // its weights are constants to the gradient: see below
        }
        for k in [2, 5] {
            for kept in every_kind(k).filter(|kept| kept.serves(&*divergence)) {
                let loss = |student: Tensor<3>| {
                    let mask = every_label(2, &student.device());
                    divergence
                        .forward(&pair(&teacher(), student, kept), &mask)
                        .unwrap()
                        .sum
                };
                let name = format!("{} on {kept:?}", divergence.name());
                assert_near(&name, &gradient(loss), &differences(loss));
            }
        }
    }
}

#[test]
fn an_adaptive_gradient_weighs_the_two_others() {
    let divergence = AdaptiveKl::try_new(0.5).unwrap();
    for kept in [Kept::Everything, Kept::TopK(2, TailTreatment::TailBucket)] {
        let of = |divergence: &dyn Divergence| {
            gradient(|student| divergence.per_token(&pair(&teacher(), student, kept)).sum())
        };
        let (forward, reverse) = (of(&ForwardKl), of(&ReverseKl));
        let expected: Vec<f64> = (0..2)
            .flat_map(|row| {
                let p = reference::softmax(&teacher()[row]);
                let (p, q) = reference::outcomes(&p, &reference::softmax(&student()[row]), kept);
                let share = reference::forward_share(0.5, &p, &q);
                let of_row = row * 5..row * 5 + 5;
                let both = forward[of_row.clone()].iter().zip(&reverse[of_row]);
                both.map(|(f, r)| share * f + (1.0 - share) * r)
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_near("adaptive_kl", &of(&divergence), &expected);
    }
}

#[test]
fn the_gradient_of_cross_entropy_agrees_with_central_differences() {
    let loss = |student: Tensor<3>| {
        let device = student.device();
        let labels = Tensor::<2, Int>::from_ints([[2, 0]], &device);
        let log_probs = LogProbs::from_logits(student);
        CrossEntropy
            .forward(&log_probs, &labels, &every_label(2, &device))
            .unwrap()
            .sum
    };
    assert_near("cross_entropy", &gradient(loss), &differences(loss));
}

/// `∂/∂z T² KL(p_T ‖ q_T) = T (q_T − p_T)`
#[test]
fn a_squared_temperature_keeps_the_scale_of_gradients() {
    let temperature = 2.0;
    let found = gradient(|student| {
        let teacher = LogProbs::from_logits(logits(&teacher(), DType::F64, &Device::flex()));
        let pair = DistributionPair::dense(
            &teacher.at_temperature(temperature).unwrap(),
            &LogProbs::from_logits(student)
                .at_temperature(temperature)
                .unwrap(),
        );
        ForwardKl.per_token(&pair.unwrap()).sum() * temperature * temperature
    });
    let softened = |row: &Vec<f64>| -> Vec<f64> {
        reference::softmax(&row.iter().map(|z| z / temperature).collect::<Vec<_>>())
    };
    let expected: Vec<f64> = teacher()
        .iter()
        .zip(&student())
        .flat_map(|(p, q)| {
            let both = softened(p).into_iter().zip(softened(q));
            both.map(|(p, q)| temperature * (q - p)).collect::<Vec<_>>()
        })
        .collect();
    assert_near("T² KL", &found, &expected);
}
