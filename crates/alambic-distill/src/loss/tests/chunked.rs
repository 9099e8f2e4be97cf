//! Chunks give the values and gradients of the plain path.

use burn::tensor::Int;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::test_device::test_device;

/// Sums of a few hundred products in `f32`, in another order.
const TOLERANCE: f64 = 2e-5;
const LABELS: usize = 11;
const HIDDEN: usize = 6;
const VOCAB: usize = 17;

/// Random numbers that are the same on every device, of mean 0 and variance 1.
fn table(rows: usize, columns: usize, seed: u64) -> Tensor<2> {
    // Of a generator of its own: burn's is shared by all tests of the process.
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let numbers = (0..rows * columns).map(|_| {
        let sum: f64 = (0..12).map(|_| random.random::<f64>()).sum();
        (sum - 6.0) as f32
    });
    let data = TensorData::new(numbers.collect(), [rows, columns]);
    Tensor::from_data(data, &test_device())
}

fn tracked(table: Tensor<2>) -> Tensor<2> {
    table.autodiff().require_grad()
}

/// Every loss that a truncated teacher can serve at once.
fn objective(tail: TailTreatment) -> Objective {
    let kinds = LossKind::OF_LABELS.into_iter();
    let served = kinds.filter(|kind| !kind.needs_logits());
    let terms = served.map(|kind| ObjectiveTerm::published(kind, 1.0));
    Objective::try_new(terms.collect(), tail).unwrap()
}

/// Every loss at once.
fn whole_objective() -> Objective {
    let terms = LossKind::OF_LABELS.map(|kind| ObjectiveTerm::published(kind, 1.0));
    Objective::try_new(terms.to_vec(), TailTreatment::TailBucket).unwrap()
}

/// Whole logits, and those of so many labels at a time.
fn passes(labels_per_chunk: &[usize]) -> impl Iterator<Item = HeadPass> {
    let chunked = labels_per_chunk.iter().map(|labels| HeadPass::Chunked {
        chunk_bytes: labels * VOCAB * 4,
    });
    std::iter::once(HeadPass::Whole).chain(chunked)
}

fn labels() -> Tensor<1, Int> {
    let ids: Vec<i32> = (0..LABELS)
        .map(|label| (label * 5 % VOCAB) as i32)
        .collect();
    Tensor::from_data(TensorData::new(ids, [LABELS]), &test_device())
}

fn weights(terms: usize) -> Tensor<2> {
    table(terms, LABELS, 5).abs()
}

fn top_k() -> TopKTargetBatch {
    let logits = floats(table(LABELS, VOCAB, 3) * 2.0);
    let rows: Vec<Vec<f64>> = logits.chunks_exact(VOCAB).map(<[f64]>::to_vec).collect();
    top_k_targets(&rows, 4, DType::F32, &test_device())
}

/// Value, sums and the gradients of hidden states and weight.
type Outcome = (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>);

fn outcome(hidden: &Tensor<2>, weight: &Tensor<2>, total: &Tensor<1>, sums: Tensor<1>) -> Outcome {
    let gradients = total.backward();
    let of = |input: &Tensor<2>| floats(input.grad(&gradients).unwrap());
    (floats(total.clone()), floats(sums), of(hidden), of(weight))
}

fn plain(objective: &Objective, head: fn(Tensor<2>) -> Head, targets: &TargetBatch) -> Outcome {
    let (hidden, weight) = (
        tracked(table(LABELS, HIDDEN, 1)),
        tracked(table(HIDDEN, VOCAB, 2)),
    );
    let logits = head(weight.clone()).shape(hidden.clone().matmul(weight.clone()).unsqueeze::<3>());
    let student = Logits::new(logits);
    let labels = labels().unsqueeze::<2>();
    let terms = objective
        .per_token(student, &labels, Some(targets))
        .unwrap();
    let terms = Tensor::cat(terms, 0);
    let sums = terms
        .clone()
        .without_autodiff()
        .sum_dim(1)
        .squeeze_dim::<1>(1);
    let total = (terms * weights(objective.terms().len()).autodiff()).sum();
    outcome(&hidden, &weight, &total, sums)
}

fn listed(
    pass: HeadPass,
    objective: &Objective,
    head: fn(Tensor<2>) -> Head,
    targets: &LabelTargets,
) -> Outcome {
    let (hidden, weight) = (
        tracked(table(LABELS, HIDDEN, 1)),
        tracked(table(HIDDEN, VOCAB, 2)),
    );
    let losses = pass
        .losses(
            objective,
            &hidden,
            &head(weight.clone()),
            &labels(),
            Some(targets),
            &weights(objective.terms().len()),
        )
        .unwrap();
    outcome(&hidden, &weight, &losses.total, losses.term_sums)
}

fn assert_equal(what: &str, found: &Outcome, expected: &Outcome) {
    let parts = [
        (&found.0, &expected.0),
        (&found.1, &expected.1),
        (&found.2, &expected.2),
        (&found.3, &expected.3),
    ];
    for (part, (found, expected)) in parts.into_iter().enumerate() {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < TOLERANCE * (1.0 + expected.abs()),
                "{what}, part {part}: {found} against {expected}"
            );
        }
    }
}

fn bare(weight: Tensor<2>) -> Head {
    Head::new(weight)
}

fn capped(weight: Tensor<2>) -> Head {
    let scaled = Head::new(weight).with_logit_scale(0.7).unwrap();
    scaled.with_logit_softcap(2.0).unwrap()
}

#[test]
fn chunks_of_any_size_equal_the_plain_path_for_truncated_teachers() {
    for tail in [TailTreatment::TailBucket, TailTreatment::RenormaliseBoth] {
        let objective = objective(tail);
        for head in [bare as fn(Tensor<2>) -> Head, capped] {
            let expected = plain(&objective, head, &TargetBatch::TopK(top_k()));
            for pass in passes(&[0, 1, 3, LABELS, 100]) {
                let found = listed(pass, &objective, head, &LabelTargets::TopK(top_k()));
                assert_equal(&format!("{tail:?}, {pass:?}"), &found, &expected);
            }
        }
    }
}

#[test]
fn chunks_of_a_teacher_given_by_its_hidden_states_equal_the_dense_plain_path() {
    let (states, weight) = (table(LABELS, 9, 7), table(9, VOCAB, 8));
    let logits =
        capped(weight.clone()).shape(states.clone().matmul(weight.clone()).unsqueeze::<3>());
    let dense = TargetBatch::Logits(Logits::new(logits));
    let hidden = LabelTargets::Hidden {
        states,
        head: capped(weight),
    };
    for temperature in [1.0, 2.0] {
        let softened = Temperature::try_new(temperature, TemperatureFactor::One).unwrap();
        let objective = whole_objective().with_temperature(softened);
        let expected = plain(&objective, bare, &dense);
        for pass in passes(&[1, 4, LABELS]) {
            let found = listed(pass, &objective, bare, &hidden);
            assert_equal(&format!("{temperature}, {pass:?}"), &found, &expected);
        }
    }
}

#[test]
fn chunks_of_drawn_tokens_equal_the_plain_path() {
    let terms = [LossKind::ForwardKl, LossKind::CrossEntropy];
    let terms = terms.map(|kind| ObjectiveTerm::new(kind, 1.0)).to_vec();
    let objective = Objective::try_new(terms, TailTreatment::TailBucket).unwrap();
    let ids: Vec<i32> = (0..2 * LABELS)
        .map(|entry| (entry * 7 % VOCAB) as i32)
        .collect();
    let drawn = SampledTargetBatch::from_host(
        ids,
        [0.75, 0.25].repeat(LABELS),
        vec![0.5; LABELS],
        [1, LABELS, 2],
        &test_device(),
    );
    let expected = plain(&objective, capped, &TargetBatch::Sampled(drawn.clone()));
    let targets = LabelTargets::Sampled(drawn);
    for pass in passes(&[1, 4, LABELS]) {
        let found = listed(pass, &objective, capped, &targets);
        assert_equal(&format!("{pass:?}"), &found, &expected);
    }
}

#[test]
fn a_frozen_head_gets_no_gradient_and_leaves_the_others_as_they_are() {
    let objective = objective(TailTreatment::TailBucket);
    let targets = LabelTargets::TopK(top_k());
    let head = Head::new(table(HIDDEN, VOCAB, 2));
    let weights = weights(objective.terms().len());
    for pass in passes(&[3]) {
        let (_, _, expected, _) = listed(pass, &objective, bare, &targets);
        let hidden = tracked(table(LABELS, HIDDEN, 1));
        let losses = pass
            .losses(
                &objective,
                &hidden,
                &head,
                &labels(),
                Some(&targets),
                &weights,
            )
            .unwrap();
        let gradients = losses.total.backward();
        assert_eq!(floats(hidden.grad(&gradients).unwrap()), expected);
    }
}

#[test]
fn the_ranges_of_a_pass_are_all_labels_in_order() {
    let ranges = |pass: HeadPass, labels| -> Vec<(usize, usize)> {
        let ranges = pass.ranges(labels, VOCAB);
        ranges.map(|range| (range.start, range.end)).collect()
    };
    let three = HeadPass::Chunked {
        chunk_bytes: 3 * VOCAB * 4,
    };
    assert_eq!(ranges(three, 7), [(0, 3), (3, 6), (6, 7)]);
    assert_eq!(ranges(HeadPass::Whole, 7), [(0, 7)]);
    let small = HeadPass::Chunked { chunk_bytes: 1 };
    assert_eq!(ranges(small, 2), [(0, 1), (1, 2)]);
    for pass in [three, HeadPass::Whole] {
        assert!(ranges(pass, 0).is_empty());
    }
}

#[test]
fn a_list_without_labels_is_refused() {
    let (hidden, head) = (table(LABELS, HIDDEN, 1), Head::new(table(HIDDEN, VOCAB, 2)));
    let none = hidden.slice(0..0);
    let labels = labels().slice(0..0);
    let weights = weights(1).slice([0..1, 0..0]);
    for pass in passes(&[3]) {
        let objective = Objective::hard_labels();
        let losses = pass.losses(&objective, &none, &head, &labels, None, &weights);
        assert!(matches!(losses, Err(LossError::NoLabels)));
    }
}

#[test]
fn selected_rows_are_those_of_the_flattened_batch() {
    let targets = top_k();
    let rows = Tensor::<1, Int>::from_ints([9, 0, 4], &test_device());
    let picked = targets.select(&rows);
    assert_eq!(picked.dims(), [1, 3, 4]);
    let all = floats(targets.log_probs.clone());
    let expected: Vec<f64> = [9, 0, 4]
        .iter()
        .flat_map(|row| all[row * 4..row * 4 + 4].to_vec())
        .collect();
    assert_eq!(floats(picked.log_probs), expected);
    let tails = floats(targets.tail_mass);
    assert_eq!(floats(picked.tail_mass), [tails[9], tails[0], tails[4]]);
}

#[test]
fn a_factor_of_the_total_is_one_of_its_gradients() {
    let hidden = tracked(table(LABELS, HIDDEN, 1));
    let gradient = table(LABELS, HIDDEN, 4);
    let value = Tensor::<1>::from_floats([3.0], &test_device());
    let total = alambic_kernels::attach_gradients(value, vec![(hidden.clone(), gradient.clone())]);
    assert_eq!(floats(total.clone()), [3.0]);
    let found = hidden.grad(&(total * 0.5).backward()).unwrap();
    assert_eq!(floats(found), floats(gradient * 0.5));
}

#[test]
fn weights_and_labels_that_do_not_fit_are_refused() {
    let objective = Objective::hard_labels();
    let chunked = Chunked::new(objective, 64);
    let (hidden, head) = (table(LABELS, HIDDEN, 1), Head::new(table(HIDDEN, VOCAB, 2)));
    let error = chunked
        .losses(&hidden, &head, &labels(), None, &weights(2))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the weights should have the shape [1, 11], found [2, 11]"),
        "{error}"
    );
    let few = labels().narrow(0, 0, 3);
    assert!(
        chunked
            .losses(&hidden, &head, &few, None, &weights(1))
            .is_err()
    );
    let states = table(LABELS + 1, 4, 1);
    let head_of_teacher = Head::new(table(4, VOCAB, 2));
    let more = LabelTargets::Hidden {
        states,
        head: head_of_teacher,
    };
    let error = chunked
        .losses(&hidden, &head, &labels(), Some(&more), &weights(1))
        .unwrap_err();
    assert!(error.to_string().contains("the targets"), "{error}");
    assert!(Head::new(table(2, 2, 1)).with_logit_softcap(0.0).is_err());
    assert!(
        Head::new(table(2, 2, 1))
            .with_logit_scale(f64::NAN)
            .is_err()
    );
}
