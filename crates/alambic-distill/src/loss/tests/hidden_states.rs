//! The ladder for distances between hidden states, and what pairs of layers refuse.

use burn::module::Module;
use burn::tensor::{DType, Device};
use proptest::prelude::*;

use super::differences::{assert_gradient, gradient, scattered, tensor};
use super::*;
use crate::test_device::test_device;

/// Rounding of `f64` sums of a few terms.
const F64_TOLERANCE: f64 = 1e-12;

const WIDTH: usize = 5;

/// A state without direction counts as one of length 1.
fn length(state: &[f64]) -> f64 {
    let square: f64 = state.iter().map(|x| x * x).sum();
    if square == 0.0 { 1.0 } else { square.sqrt() }
}

fn expected(distance: HiddenDistance, s: &[f64], t: &[f64]) -> f64 {
    let both = || s.iter().zip(t);
    match distance {
        HiddenDistance::MeanSquared => {
            both().map(|(s, t)| (s - t).powi(2)).sum::<f64>() / s.len() as f64
        }
        HiddenDistance::Cosine => {
            let product: f64 = both().map(|(s, t)| s * t).sum();
            1.0 - product / (length(s) * length(t))
        }
    }
}

fn states(count: usize) -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(-3f64..3.0, count * WIDTH)
}

fn per_token(
    distance: HiddenDistance,
    student: &[f64],
    teacher: &[f64],
    on: (DType, &Device),
) -> Vec<f64> {
    let shape = [1, student.len() / WIDTH, WIDTH];
    let teacher = tensor(teacher, shape, on);
    floats(
        distance
            .per_token(tensor(student, shape, on), teacher)
            .unwrap(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_distance_follows_its_formula(student in states(3), teacher in states(3)) {
        let (flex, device) = (Device::flex(), test_device());
        for distance in HiddenDistance::ALL {
            let in_f64 = per_token(distance, &student, &teacher, (DType::F64, &flex));
            let in_f32 = per_token(distance, &student, &teacher, (DType::F32, &device));
            let rows = student.chunks(WIDTH).zip(teacher.chunks(WIDTH));
            for (row, (s, t)) in rows.enumerate() {
                let expected = expected(distance, s, t);
                prop_assert!((in_f64[row] - expected).abs() < F64_TOLERANCE * 10.0);
                prop_assert!((in_f32[row] - expected).abs() < F32_SUM_TOLERANCE * (1.0 + expected));
            }
        }
    }

    #[test]
    fn a_distance_is_symmetric_and_zero_between_equal_states(student in states(2), teacher in states(2)) {
        let flex = Device::flex();
        let on = (DType::F64, &flex);
        for distance in HiddenDistance::ALL {
            let forwards = per_token(distance, &student, &teacher, on);
            let backwards = per_token(distance, &teacher, &student, on);
            for (forwards, backwards) in forwards.iter().zip(backwards) {
                prop_assert!(*forwards >= -F64_TOLERANCE);
                prop_assert!((forwards - backwards).abs() < F64_TOLERANCE);
            }
            for value in per_token(distance, &student, &student, on) {
                prop_assert!(value.abs() < F64_TOLERANCE);
            }
        }
    }

    #[test]
    fn the_cosine_sees_directions_alone(student in states(2), teacher in states(2), factor in 0.1f64..10.0) {
        let flex = Device::flex();
        let on = (DType::F64, &flex);
        let scaled = |by: f64| student.iter().map(|x| x * by).collect::<Vec<_>>();
        let cosine = |student: &[f64], teacher: &[f64]| per_token(HiddenDistance::Cosine, student, teacher, on);
        let plain = cosine(&student, &teacher);
        for (found, expected) in cosine(&scaled(factor), &teacher).iter().zip(&plain) {
            prop_assert!((found - expected).abs() < F64_TOLERANCE);
        }
        for (found, expected) in cosine(&scaled(-factor), &teacher).iter().zip(&plain) {
            prop_assert!((found - (2.0 - expected)).abs() < F64_TOLERANCE);
        }
        for value in cosine(&scaled(-1.0), &student) {
            prop_assert!((value - 2.0).abs() < F64_TOLERANCE);
        }
    }
}

#[test]
fn gradients_of_distances_agree_with_central_differences() {
    let shape = [2, 2, WIDTH];
    let teacher = scattered(20, 1.0);
    let on_device = |values: &[f64], device: &Device| tensor(values, shape, (DType::F64, device));
    for distance in HiddenDistance::ALL {
        assert_gradient(distance.name(), &scattered(20, 2.0), shape, |student| {
            let mask = LabelMask::new(&[true, false, true, true], [2, 2], &student.device());
            let teacher = on_device(&teacher, &student.device().without_autodiff());
            distance.forward(student, teacher, &mask).unwrap().sum
        });
    }
}

#[test]
fn masked_states_add_exactly_nothing() {
    let device = test_device();
    let shape = [1, 3, WIDTH];
    let (student, teacher) = (scattered(15, 1.0), scattered(15, 2.0));
    for distance in HiddenDistance::ALL {
        let with = |student: &[f64], flags: [bool; 3]| {
            let mask = LabelMask::new(&flags, [1, 3], &device);
            let on = (DType::F32, &device);
            let teacher = || tensor(&teacher, shape, on);
            let loss = |student| distance.forward(student, teacher(), &mask).unwrap();
            let value = loss(tensor(student, shape, on));
            let gradient = gradient(student, shape, on, |student| loss(student).sum);
            (floats(value.sum)[0], value.num_tokens, gradient)
        };
        let (value, count, gradient) = with(&student, [true, false, true]);
        assert_eq!(count, 2);
        assert_eq!(gradient[WIDTH..2 * WIDTH], [0.0; WIDTH]);
        assert!(gradient[..WIDTH].iter().all(|entry| *entry != 0.0));
        let mut other = student.clone();
        other[WIDTH..2 * WIDTH].fill(7.0);
        assert_eq!(with(&other, [true, false, true]).0, value);

        let nothing = with(&student, [false; 3]);
        assert_eq!(nothing, (0.0, 0, vec![0.0; 15]), "{}", distance.name());
    }
}

#[test]
fn a_state_of_zeros_costs_one_and_is_drawn_along_the_teachers() {
    let device = test_device();
    let on = (DType::F32, &device);
    let teacher = || tensor(&[3.0, 4.0], [1, 1, 2], on);
    let cosine = |student, teacher| {
        let per_token = HiddenDistance::Cosine.per_token(student, teacher);
        per_token.unwrap().sum()
    };
    let zeros = || tensor(&[0.0, 0.0], [1, 1, 2], on);
    assert_eq!(floats(cosine(zeros(), teacher())), [1.0]);
    assert_eq!(floats(cosine(teacher(), zeros())), [1.0]);
    let found = gradient(&[0.0; 2], [1, 1, 2], on, |student| {
        cosine(student, teacher())
    });
    for (found, expected) in found.iter().zip([-0.6, -0.8]) {
        assert!((found - expected).abs() < F32_SUM_TOLERANCE, "{found}");
    }
    let found = gradient(&[3.0, 4.0], [1, 1, 2], on, |student| {
        cosine(student, zeros())
    });
    assert_eq!(found, [0.0, 0.0]);
}

#[test]
fn half_precision_is_widened_before_any_arithmetic() {
    let device = Device::flex();
    // Squares of 300 are beyond f16.
    let far = Tensor::<3>::full([1, 1, 4], 300.0, &device).cast(DType::F16);
    let near = Tensor::<3>::zeros([1, 1, 4], &device);
    let squared = HiddenDistance::MeanSquared
        .per_token(far.clone(), near)
        .unwrap();
    assert_eq!(floats(squared), [90_000.0]);
    let cosine = HiddenDistance::Cosine.per_token(far.clone(), far).unwrap();
    assert!(floats(cosine)[0].abs() < F32_SUM_TOLERANCE);
}

fn pairs(pairs: &[(usize, usize)], layers: LayerCounts) -> Result<LayerPairs, LossError> {
    let pair = |&(student, teacher)| LayerPair { student, teacher };
    LayerPairs::try_new(pairs.iter().map(pair).collect(), layers)
}

const LAYERS: LayerCounts = LayerCounts {
    student: 2,
    teacher: 4,
};

fn layers(indices: &[usize], width: usize, device: &Device) -> LayerStates {
    let states = |&index: &usize| {
        let values = scattered(2 * width, (index + width) as f64);
        (index, tensor(&values, [1, 2, width], (DType::F32, device)))
    };
    LayerStates::try_new(indices.iter().map(states).collect()).unwrap()
}

#[test]
fn layers_are_paired_by_their_relative_depth() {
    let evenly = |student, teacher| {
        let pairs = LayerPairs::evenly_spaced(LayerCounts { student, teacher }).unwrap();
        pairs
            .as_slice()
            .iter()
            .map(|pair| pair.teacher)
            .collect::<Vec<_>>()
    };
    assert_eq!(evenly(4, 12), [3, 6, 9, 12]);
    assert_eq!(evenly(4, 6), [2, 3, 5, 6]);
    assert_eq!(evenly(3, 3), [1, 2, 3]);
    assert_eq!(evenly(4, 2), [1, 1, 2, 2]);
    let none = LayerCounts {
        student: 0,
        teacher: 2,
    };
    assert!(matches!(
        LayerPairs::evenly_spaced(none),
        Err(LossError::NoLayerPairs)
    ));
    let none = LayerCounts {
        student: 2,
        teacher: 0,
    };
    assert!(matches!(
        LayerPairs::evenly_spaced(none),
        Err(LossError::NoLayerPairs)
    ));
}

#[test]
fn pairs_of_layers_that_do_not_exist_or_repeat_are_refused() {
    assert!(matches!(pairs(&[], LAYERS), Err(LossError::NoLayerPairs)));
    let error = pairs(&[(0, 0), (3, 4)], LAYERS).unwrap_err();
    assert!(matches!(
        error,
        LossError::LayerOutOfRange {
            index: 1,
            side: "student",
            layer: 3,
            last: 2
        }
    ));
    let error = pairs(&[(1, 2), (1, 2)], LAYERS).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the layer pair 1-2 is named twice; remove one"
    );
    let twice = pairs(&[(2, 4), (2, 3), (1, 4)], LAYERS).unwrap();
    assert_eq!(twice.student_layers(), [1, 2]);
    assert_eq!(twice.teacher_layers(), [3, 4]);
}

#[test]
fn the_loss_of_all_pairs_is_the_sum_of_each() {
    let device = test_device();
    let mask = LabelMask::new(&[true, true], [1, 2], &device);
    let chosen = pairs(&[(1, 2), (2, 4)], LAYERS).unwrap();
    for distance in HiddenDistance::ALL {
        let loss = HiddenStateLoss::init(distance, chosen.clone(), [3, 5], 17, &device);
        let (student, teacher) = (layers(&[0, 1, 2], 3, &device), layers(&[2, 4], 5, &device));
        let each = loss.per_pair(&student, &teacher, &mask).unwrap();
        let total = loss.forward(&student, &teacher, &mask).unwrap();
        assert_eq!((each.len(), total.num_tokens), (2, 2));
        let sum: f64 = each.into_iter().map(|loss| floats(loss.sum)[0]).sum();
        assert!((floats(total.sum)[0] - sum).abs() < F32_SUM_TOLERANCE);

        let projected = loss.projections()[1].forward(student.layer(2, "student").unwrap());
        let target = teacher.layer(4, "teacher").unwrap();
        let second = distance.forward(projected.unwrap(), target, &mask).unwrap();
        let first = loss.per_pair(&student, &teacher, &mask).unwrap().remove(1);
        assert_eq!(floats(second.sum), floats(first.sum));
    }
}

#[test]
fn models_of_one_width_are_compared_without_a_projection() {
    let device = test_device();
    let chosen = pairs(&[(2, 4)], LAYERS).unwrap();
    let loss = HiddenStateLoss::init(HiddenDistance::MeanSquared, chosen, [3, 3], 17, &device);
    assert_eq!((loss.projections().len(), loss.num_params()), (0, 0));
    let states = layers(&[2, 4], 3, &device);
    let same = LayerStates::try_new(
        [
            (2, states.layer(4, "teacher").unwrap()),
            (4, states.layer(4, "teacher").unwrap()),
        ]
        .into(),
    );
    let same = same.unwrap();
    let mask = LabelMask::new(&[true, true], [1, 2], &device);
    assert_eq!(
        floats(loss.forward(&same, &same, &mask).unwrap().sum),
        [0.0]
    );
}

#[test]
fn projections_follow_from_the_seed_alone() {
    let device = test_device();
    let chosen = pairs(&[(1, 2), (2, 4)], LAYERS).unwrap();
    let weights = |seed: u64, device: &Device| -> Vec<Vec<f64>> {
        let distance = HiddenDistance::MeanSquared;
        let loss = HiddenStateLoss::init(distance, chosen.clone(), [4, 6], seed, device);
        assert_eq!(loss.num_params(), 48);
        let weights = loss.projections().iter();
        weights
            .map(|projection| floats(projection.weight()))
            .collect()
    };
    let first = weights(17, &device);
    assert_eq!(first, weights(17, &Device::flex()));
    assert_ne!(first, weights(18, &device));
    assert_ne!(first[0], first[1]);
    assert!(first.concat().iter().all(|weight| weight.abs() <= 0.5));
    assert!(first.concat().iter().any(|weight| weight.abs() > 0.4));
}

#[test]
fn the_gradient_of_a_projection_agrees_with_central_differences() {
    let flex = Device::flex();
    let mask = LabelMask::new(&[true, true], [1, 2], &flex);
    let student = || tensor(&scattered(6, 3.0), [1, 2, 3], (DType::F64, &flex));
    let teacher = || tensor(&scattered(8, 4.0), [1, 2, 4], (DType::F64, &flex));
    for distance in HiddenDistance::ALL {
        assert_gradient(distance.name(), &scattered(12, 5.0), [3, 4], |weight| {
            // `Param` makes a leaf of what it is given, so that the map is applied by hand here.
            let projected = student().matmul(weight.unsqueeze::<3>());
            distance.forward(projected, teacher(), &mask).unwrap().sum
        });
        let trained = LayerProjection::new(tensor(
            &scattered(12, 5.0),
            [3, 4],
            (DType::F64, &flex.clone().autodiff()),
        ));
        let projected = trained.forward(student()).unwrap();
        let loss = distance.forward(projected, teacher(), &mask).unwrap();
        let found = floats(trained.weight().grad(&loss.sum.backward()).unwrap());
        let expected = gradient(&scattered(12, 5.0), [3, 4], (DType::F64, &flex), |weight| {
            let projected = student().matmul(weight.unsqueeze::<3>());
            distance.forward(projected, teacher(), &mask).unwrap().sum
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn states_that_do_not_fit_are_refused() {
    let device = test_device();
    let mask = LabelMask::new(&[true, true], [1, 2], &device);
    let chosen = pairs(&[(1, 3)], LAYERS).unwrap();
    let loss = HiddenStateLoss::init(HiddenDistance::Cosine, chosen, [3, 4], 0, &device);
    let of = |student: &LayerStates, teacher: &LayerStates| {
        loss.forward(student, teacher, &mask).unwrap_err()
    };
    let error = of(&layers(&[1], 3, &device), &layers(&[2, 4], 4, &device));
    assert_eq!(
        error.to_string(),
        "the teacher's layer 3 is compared, but only the layers [2, 4] were given"
    );
    assert!(matches!(
        of(&layers(&[1], 5, &device), &layers(&[3], 4, &device)),
        LossError::StateWidth {
            expected: 3,
            found: 5,
            ..
        }
    ));
    assert!(matches!(
        of(&layers(&[1], 3, &device), &layers(&[3], 6, &device)),
        LossError::StateWidth {
            expected: 4,
            found: 6,
            ..
        }
    ));
    let longer = Tensor::<3>::zeros([1, 3, 4], &device);
    let longer = LayerStates::try_new([(3, longer)].into()).unwrap();
    assert!(matches!(
        of(&layers(&[1], 3, &device), &longer),
        LossError::Shape {
            expected: [1, 2],
            found: [1, 3],
            ..
        }
    ));
    assert!(matches!(
        LayerStates::try_new(Default::default()),
        Err(LossError::NoLayerPairs)
    ));
    let uneven = [
        (0, Tensor::zeros([1, 2, 4], &device)),
        (1, Tensor::zeros([1, 2, 5], &device)),
    ];
    assert!(matches!(
        LayerStates::try_new(uneven.into()),
        Err(LossError::StateWidth {
            expected: 4,
            found: 5,
            ..
        })
    ));
    let states = Tensor::<3>::zeros([1, 2, 3], &device);
    let short = LabelMask::new(&[true], [1, 1], &device);
    assert!(matches!(
        HiddenDistance::Cosine.forward(states.clone(), states, &short),
        Err(LossError::Shape { found: [1, 1], .. })
    ));
}
