//! Losses between models of other widths, heads and vocabularies, recorded from PyTorch in `f64`
//! (`tools/golden/record_unlike_models.py`).

use alambic_kernels::VisibleKeys;
use burn::tensor::{DType, Device, Int};
use serde::Deserialize;

use super::*;
use crate::test_device::test_device;

/// Sums of tens of terms in `f64`.
const F64_TOLERANCE: f64 = 1e-13;
/// The same in `f32`, whose rounding is 6e-8, of values up to 40.
const F32_TOLERANCE: f64 = 2e-5;

#[derive(Deserialize)]
struct Recording {
    logit_mse: LogitCase,
    hidden_states: HiddenCase,
    relations: RelationCase,
    vocabularies: VocabularyCase,
}

#[derive(Deserialize)]
struct LogitCase {
    student_logits: Vec<Vec<f64>>,
    teacher_logits: Vec<Vec<f64>>,
    per_position: Vec<f64>,
    gradient: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct HiddenCase {
    student_states: Vec<Vec<f64>>,
    teacher_states: Vec<Vec<f64>>,
    projection: Vec<Vec<f64>>,
    mean_squared: HiddenValues,
    cosine: HiddenValues,
}

#[derive(Deserialize)]
struct HiddenValues {
    per_position: Vec<f64>,
    gradient: Vec<Vec<f64>>,
    projection_gradient: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct RelationCase {
    relation_heads: usize,
    documents: Vec<i32>,
    student: Layer,
    teacher: Layer,
    query_key: RelationValues,
    query_query: RelationValues,
    key_key: RelationValues,
    value_value: RelationValues,
}

/// `[positions, heads, width]`
#[derive(Deserialize)]
struct Layer {
    queries: Vec<Vec<Vec<f64>>>,
    keys: Vec<Vec<Vec<f64>>>,
    values: Vec<Vec<Vec<f64>>>,
}

#[derive(Deserialize)]
struct RelationValues {
    per_position: Vec<f64>,
    gradients: LayerGradients,
}

/// `None` for states that the relation does not read.
#[derive(Deserialize)]
struct LayerGradients {
    queries: Option<Vec<Vec<Vec<f64>>>>,
    keys: Option<Vec<Vec<Vec<f64>>>>,
    values: Option<Vec<Vec<Vec<f64>>>>,
}

#[derive(Deserialize)]
struct VocabularyCase {
    student_logits: Vec<Vec<f64>>,
    teacher_logits: Vec<Vec<f64>>,
    matched: Vec<(usize, usize)>,
    universal_logit: Values,
    hybrid_logit: Vec<HybridCase>,
}

#[derive(Deserialize)]
struct Values {
    per_position: Vec<f64>,
    gradient: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct HybridCase {
    beta: f64,
    #[serde(flatten)]
    values: Values,
}

fn recording() -> Recording {
    serde_json::from_str(include_str!(
        "../../../../../tests/golden/losses/unlike_models.json"
    ))
    .unwrap()
}

/// Where and in which type a recording is compared, and how closely.
#[derive(Clone)]
struct Bench {
    dtype: DType,
    device: Device,
    tolerance: f64,
}

/// Twice: in `f32` on the device under test, and in `f64`.
fn benches() -> [Bench; 2] {
    [
        Bench {
            dtype: DType::F32,
            device: test_device(),
            tolerance: F32_TOLERANCE,
        },
        Bench {
            dtype: DType::F64,
            device: Device::flex(),
            tolerance: F64_TOLERANCE,
        },
    ]
}

impl Bench {
    fn constant<const D: usize>(&self, values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
        let data = TensorData::new(values, shape).convert_dtype(self.dtype);
        Tensor::from_data(data, (&self.device, self.dtype))
    }

    fn leaf<const D: usize>(&self, values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
        let data = TensorData::new(values, shape).convert_dtype(self.dtype);
        let device = self.device.clone().autodiff();
        Tensor::from_data(data, (&device, self.dtype)).require_grad()
    }

    /// `[1, rows, columns]`
    fn rows(&self, rows: &[Vec<f64>]) -> Tensor<3> {
        self.constant(rows.concat(), [1, rows.len(), rows[0].len()])
    }

    /// The same as a leaf.
    fn leaf_rows(&self, rows: &[Vec<f64>]) -> Tensor<3> {
        self.leaf(rows.concat(), [1, rows.len(), rows[0].len()])
    }

    fn assert_near<const D: usize>(&self, what: &str, found: Tensor<D>, expected: &[f64]) {
        let found = floats(found);
        assert_eq!(found.len(), expected.len(), "{what}");
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            let near = (found - expected).abs() <= self.tolerance * expected.abs().max(1.0);
            assert!(
                near,
                "{what}[{index}] in {:?}: {found}, recorded {expected}",
                self.dtype
            );
        }
    }

    /// Compares values, and the gradient of their sum with respect to a leaf.
    fn assert_values<const D: usize>(
        &self,
        what: &str,
        per_token: &Tensor<2>,
        leaf: &Tensor<D>,
        values: &[f64],
        gradient: &[f64],
    ) {
        self.assert_near(what, per_token.clone(), values);
        let found = leaf.grad(&per_token.clone().sum().backward()).unwrap();
        self.assert_near(&format!("gradient of {what}"), found, gradient);
    }
}

#[test]
fn the_error_of_logits_equals_the_recorded_one() {
    let case = recording().logit_mse;
    for bench in benches() {
        let student = bench.leaf_rows(&case.student_logits);
        let teacher = Logits::new(bench.rows(&case.teacher_logits));
        let per_token = LogitMse
            .per_token(&teacher, &Logits::new(student.clone()))
            .unwrap();
        let gradient = case.gradient.concat();
        bench.assert_values(
            "logit_mse",
            &per_token,
            &student,
            &case.per_position,
            &gradient,
        );
    }
}

#[test]
fn distances_of_projected_hidden_states_equal_the_recorded_ones() {
    let case = recording().hidden_states;
    let cases = [
        (HiddenDistance::MeanSquared, &case.mean_squared),
        (HiddenDistance::Cosine, &case.cosine),
    ];
    for bench in benches() {
        for (distance, expected) in cases {
            let widths = [case.student_states[0].len(), case.teacher_states[0].len()];
            let student = bench.leaf_rows(&case.student_states);
            let projection = LayerProjection::new(bench.leaf(case.projection.concat(), widths));
            let teacher = bench.rows(&case.teacher_states);
            // One position after the other, since the loss gives sums.
            let positions = case.student_states.len();
            let sums: Vec<Tensor<1>> = (0..positions)
                .map(|position| {
                    let mut counted = vec![false; positions];
                    counted[position] = true;
                    let mask = LabelMask::new(&counted, [1, positions], &bench.device);
                    let projected = projection.forward(student.clone()).unwrap();
                    distance
                        .forward(projected, teacher.clone(), &mask)
                        .unwrap()
                        .sum
                })
                .collect();
            let per_token = Tensor::cat(sums, 0).unsqueeze::<2>();
            let name = distance.name();
            bench.assert_near(name, per_token.clone(), &expected.per_position);
            let gradients = per_token.sum().backward();
            for (what, found, recorded) in [
                (
                    "states",
                    student.grad(&gradients).unwrap().flatten::<1>(0, 2),
                    &expected.gradient,
                ),
                (
                    "projection",
                    projection.weight().grad(&gradients).unwrap().flatten(0, 1),
                    &expected.projection_gradient,
                ),
            ] {
                bench.assert_near(&format!("{name} by the {what}"), found, &recorded.concat());
            }
        }
    }
}

#[test]
fn relations_of_unlike_layers_equal_the_recorded_ones() {
    let case = recording().relations;
    let seq = case.documents.len();
    let of_relation = |relation| match relation {
        AttentionRelation::QueryKey => &case.query_key,
        AttentionRelation::QueryQuery => &case.query_query,
        AttentionRelation::KeyKey => &case.key_key,
        AttentionRelation::ValueValue => &case.value_value,
    };
    let flat = |part: &[Vec<Vec<f64>>]| -> Vec<f64> { part.concat().concat() };
    let shape = |part: &[Vec<Vec<f64>>]| [1, seq, part[0].len(), part[0][0].len()];
    // Positions begin again at 0 where a document begins.
    let mut positions = Vec::new();
    for (place, document) in case.documents.iter().enumerate() {
        let first = case.documents.iter().position(|other| other == document);
        positions.push((place - first.unwrap()) as i32);
    }
    for bench in benches() {
        let positions = TensorData::new(positions.clone(), [1, seq]);
        let positions = Tensor::<2, Int>::from_data(positions, &bench.device);
        let visible = VisibleKeys::within_documents(positions);
        let constant = |part: &[Vec<Vec<f64>>]| bench.constant::<4>(flat(part), shape(part));
        let teacher = AttentionStates::new()
            .with_queries(constant(&case.teacher.queries))
            .with_keys(constant(&case.teacher.keys))
            .with_values(constant(&case.teacher.values));
        for relation in AttentionRelation::ALL {
            let leaf = |part: &[Vec<Vec<f64>>]| bench.leaf::<4>(flat(part), shape(part));
            let parts = [
                &case.student.queries,
                &case.student.keys,
                &case.student.values,
            ];
            let [queries, keys, values] = parts.map(|part| leaf(part));
            let student = AttentionStates::new()
                .with_queries(queries.clone())
                .with_keys(keys.clone())
                .with_values(values.clone());
            let per_token = RelationDistillation::try_new(vec![relation], case.relation_heads)
                .unwrap()
                .per_token(&student, &teacher, &visible)
                .unwrap();
            let expected = of_relation(relation);
            let name = relation.name();
            bench.assert_near(name, per_token.clone(), &expected.per_position);
            let gradients = per_token.sum().backward();
            let recorded = &expected.gradients;
            for (leaf, recorded) in [queries, keys, values].into_iter().zip([
                &recorded.queries,
                &recorded.keys,
                &recorded.values,
            ]) {
                let found = leaf.grad(&gradients);
                assert_eq!(found.is_some(), recorded.is_some(), "{name}");
                if let (Some(found), Some(recorded)) = (found, recorded) {
                    bench.assert_near(&format!("gradient of {name}"), found, &flat(recorded));
                }
            }
        }
    }
}

#[test]
fn losses_between_vocabularies_equal_the_recorded_ones() {
    let case = recording().vocabularies;
    let (student_vocab, teacher_vocab) =
        (case.student_logits[0].len(), case.teacher_logits[0].len());
    // Matched tokens get the same bytes, all others none.
    let mut student_tokens = vec![None; student_vocab];
    let mut teacher_tokens = vec![None; teacher_vocab];
    for (index, &(student, teacher)) in case.matched.iter().enumerate() {
        let bytes = [index as u8];
        (student_tokens[student], teacher_tokens[teacher]) = (Some(bytes), Some(bytes));
    }
    let vocabulary = SharedVocabulary::try_new(&student_tokens, &teacher_tokens).unwrap();
    for bench in benches() {
        let teacher = LogProbs::from_logits(bench.rows(&case.teacher_logits));
        let student = bench.leaf_rows(&case.student_logits);
        let log_probs = LogProbs::from_logits(student.clone());
        let pair = AlignedPair::by_position(&teacher, &log_probs).unwrap();
        let expected = &case.universal_logit;
        let gradient = expected.gradient.concat();
        let per_token = UniversalLogit.per_token(&pair);
        bench.assert_values(
            "universal_logit",
            &per_token,
            &student,
            &expected.per_position,
            &gradient,
        );
        for HybridCase { beta, values } in &case.hybrid_logit {
            let student = bench.leaf_rows(&case.student_logits);
            let log_probs = LogProbs::from_logits(student.clone());
            let pair = AlignedPair::by_position(&teacher, &log_probs).unwrap();
            let loss = HybridLogit::try_new(&vocabulary, *beta, &bench.device).unwrap();
            let per_token = loss.per_token(&pair).unwrap();
            let (what, gradient) = (format!("hybrid_logit {beta}"), values.gradient.concat());
            bench.assert_values(&what, &per_token, &student, &values.per_position, &gradient);
        }
    }
}
