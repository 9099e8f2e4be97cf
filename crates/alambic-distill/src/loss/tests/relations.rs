//! The ladder for relation distillation.

use alambic_kernels::{Computation, VisibleKeys, causal_attention};
use burn::tensor::{DType, Device, Int};
use proptest::prelude::*;

use super::differences::{NEXT_TO_NOTHING, assert_gradient, gradient, scattered, tensor};
use super::*;
use crate::test_device::test_device;

/// Rounding of `f64` sums of a few terms.
const F64_TOLERANCE: f64 = 1e-11;

/// Two documents of three and two tokens, and a row of one document.
const POSITIONS: [[i32; 5]; 2] = [[0, 1, 2, 0, 1], [0, 1, 2, 3, 4]];
const BATCH: usize = 2;
const SEQ: usize = 5;

/// Values of one side: `[batch, seq, heads, head_dim]`, in that order.
#[derive(Clone, Debug)]
struct Layer {
    heads: usize,
    groups: usize,
    head_dim: usize,
    queries: Vec<f64>,
    keys: Vec<f64>,
    values: Vec<f64>,
}

impl Layer {
    fn scattered([heads, groups, head_dim]: [usize; 3], salt: f64) -> Self {
        let size = BATCH * SEQ * head_dim;
        Self {
            heads,
            groups,
            head_dim,
            queries: scattered(size * heads, salt),
            keys: scattered(size * groups, salt + 0.3),
            values: scattered(size * groups, salt + 0.6),
        }
    }

    fn states(&self, on: (DType, &Device)) -> AttentionStates {
        let of = |values: &[f64], heads| tensor(values, [BATCH, SEQ, heads, self.head_dim], on);
        AttentionStates::new()
            .with_queries(of(&self.queries, self.heads))
            .with_keys(of(&self.keys, self.groups))
            .with_values(of(&self.values, self.groups))
    }

    /// The joined states of one token.
    fn token(&self, relation: AttentionRelation, column: bool, place: usize) -> Vec<f64> {
        let row = |values: &[f64], heads: usize| {
            let width = heads * self.head_dim;
            values[place * width..(place + 1) * width].to_vec()
        };
        match (relation, column) {
            (AttentionRelation::QueryQuery, _) | (AttentionRelation::QueryKey, false) => {
                row(&self.queries, self.heads)
            }
            (AttentionRelation::KeyKey, _) => row(&self.keys, self.groups),
            (AttentionRelation::ValueValue, _) => row(&self.values, self.groups),
            (AttentionRelation::QueryKey, true) => {
                let keys = row(&self.keys, self.groups);
                let of_head = |head: usize| {
                    let group = head / (self.heads / self.groups);
                    keys[group * self.head_dim..(group + 1) * self.head_dim].to_vec()
                };
                (0..self.heads).flat_map(of_head).collect()
            }
        }
    }

    /// The distribution of one query over the keys that it sees.
    fn row(
        &self,
        relation: AttentionRelation,
        [heads, head]: [usize; 2],
        place: usize,
    ) -> Vec<f64> {
        let query = self.token(relation, false, place);
        let dim = query.len() / heads;
        let part = |state: &[f64]| state[head * dim..(head + 1) * dim].to_vec();
        let query = part(&query);
        let first = place - POSITIONS[place / SEQ][place % SEQ] as usize;
        let score = |key: usize| {
            let key = part(&self.token(relation, true, key));
            let product: f64 = query.iter().zip(&key).map(|(q, k)| q * k).sum();
            product / (dim as f64).sqrt()
        };
        reference::softmax(&(first..=place).map(score).collect::<Vec<_>>())
    }
}

fn expected(
    relations: &[AttentionRelation],
    heads: usize,
    student: &Layer,
    teacher: &Layer,
) -> Vec<f64> {
    let of = |place: usize| {
        let terms = relations.iter().flat_map(|&relation| {
            (0..heads).map(move |head| {
                let teacher = teacher.row(relation, [heads, head], place);
                reference::kl(&teacher, &student.row(relation, [heads, head], place))
            })
        });
        terms.sum::<f64>() / heads as f64
    };
    (0..BATCH * SEQ).map(of).collect()
}

fn visible(device: &Device) -> VisibleKeys {
    VisibleKeys::within_documents(Tensor::<2, Int>::from_ints(POSITIONS, device))
}

fn distillation(relations: &[AttentionRelation], heads: usize) -> RelationDistillation {
    RelationDistillation::try_new(relations.to_vec(), heads).unwrap()
}

fn per_token(
    relations: &[AttentionRelation],
    heads: usize,
    student: &Layer,
    teacher: &Layer,
    on: (DType, &Device),
) -> Vec<f64> {
    let loss = distillation(relations, heads);
    let (student, teacher) = (student.states(on), teacher.states(on));
    floats(loss.per_token(&student, &teacher, &visible(on.1)).unwrap())
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= tolerance * (1.0 + expected.abs()),
            "{what}, position {index}: {found} against {expected}"
        );
    }
}

#[test]
fn relations_follow_their_formula_between_models_of_other_widths_and_heads() {
    let (flex, device) = (Device::flex(), test_device());
    let student = Layer::scattered([4, 2, 3], 1.0);
    let teacher = Layer::scattered([6, 3, 4], 2.0);
    for chosen in AttentionRelation::ALL
        .map(|one| vec![one])
        .into_iter()
        .chain([AttentionRelation::ALL.to_vec()])
    {
        for heads in [1, 2, 3, 6] {
            let expected = expected(&chosen, heads, &student, &teacher);
            let name = format!("{chosen:?} in {heads}");
            let in_f64 = per_token(&chosen, heads, &student, &teacher, (DType::F64, &flex));
            assert_near(&in_f64, &expected, F64_TOLERANCE, &name);
            let in_f32 = per_token(&chosen, heads, &student, &teacher, (DType::F32, &device));
            assert_near(&in_f32, &expected, F32_SUM_TOLERANCE, &name);
            // The first token of a document sees only itself.
            assert_eq!([in_f64[0], in_f64[3], in_f64[5]], [0.0; 3]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn relations_are_zero_between_equal_models_and_never_negative(salt in 0f64..100.0, other in 0f64..100.0) {
        let flex = Device::flex();
        let on = (DType::F64, &flex);
        let student = Layer::scattered([4, 2, 3], salt);
        let teacher = Layer::scattered([2, 2, 6], other);
        for value in per_token(&AttentionRelation::ALL, 2, &student, &student, on) {
            prop_assert!(value.abs() < F64_TOLERANCE);
        }
        for value in per_token(&AttentionRelation::ALL, 2, &student, &teacher, on) {
            prop_assert!(value > -F64_TOLERANCE);
        }
    }

    #[test]
    fn a_relation_of_states_to_themselves_forgets_rotations_of_its_heads(salt in 0f64..100.0, angle in 0f64..6.3) {
        let flex = Device::flex();
        let on = (DType::F64, &flex);
        let student = Layer::scattered([2, 2, 2], salt);
        let teacher = Layer::scattered([2, 2, 2], salt + 40.0);
        let turn = |values: &[f64]| -> Vec<f64> {
            let pairs = values.chunks(2).flat_map(|pair| {
                [
                    pair[0] * angle.cos() - pair[1] * angle.sin(),
                    pair[0] * angle.sin() + pair[1] * angle.cos(),
                ]
            });
            pairs.collect()
        };
        let turned = Layer {
            queries: turn(&student.queries),
            keys: turn(&student.keys),
            values: turn(&student.values),
            ..student.clone()
        };
        let plain = per_token(&AttentionRelation::ALL, 2, &student, &teacher, on);
        let found = per_token(&AttentionRelation::ALL, 2, &turned, &teacher, on);
        assert_near(&found, &plain, F64_TOLERANCE, "turned");
    }
}

#[test]
fn only_the_joined_heads_matter_to_relations_of_states_to_themselves() {
    let flex = Device::flex();
    let on = (DType::F64, &flex);
    let teacher = Layer::scattered([2, 2, 6], 3.0);
    let three_heads = Layer::scattered([3, 3, 4], 4.0);
    let four_heads = Layer {
        heads: 4,
        groups: 4,
        head_dim: 3,
        ..three_heads.clone()
    };
    let chosen = [
        AttentionRelation::QueryQuery,
        AttentionRelation::KeyKey,
        AttentionRelation::ValueValue,
    ];
    let found = per_token(&chosen, 6, &three_heads, &teacher, on);
    assert_eq!(found, per_token(&chosen, 6, &four_heads, &teacher, on));
}

#[test]
fn queries_to_keys_in_the_models_own_heads_are_its_attention_map() {
    let device = test_device();
    let on = (DType::F32, &device);
    let (student, teacher) = (
        Layer::scattered([4, 2, 3], 1.0),
        Layer::scattered([4, 2, 5], 2.0),
    );
    // Values that name their position come out of attention as the weights themselves.
    let map = |layer: &Layer| -> Vec<f64> {
        let of = |values: &[f64], heads| tensor(values, [BATCH, SEQ, heads, layer.head_dim], on);
        let mut weights = vec![0.0; BATCH * SEQ * layer.heads * SEQ];
        for key in 0..SEQ {
            let mut named = vec![0.0; BATCH * SEQ * layer.groups * layer.head_dim];
            for row in 0..BATCH {
                let size = layer.groups * layer.head_dim;
                let at = (row * SEQ + key) * size;
                named[at..at + size].fill(1.0);
            }
            let (queries, keys) = (
                of(&layer.queries, layer.heads),
                of(&layer.keys, layer.groups),
            );
            let values = of(&named, layer.groups);
            let mixed = causal_attention(
                queries,
                keys,
                values,
                &visible(&device),
                Computation::Fastest,
            );
            let mixed = floats(mixed);
            for (place, weight) in mixed.chunks(layer.head_dim).enumerate() {
                weights[place * SEQ + key] = weight[0];
            }
        }
        weights
    };
    let (of_student, of_teacher) = (map(&student), map(&teacher));
    let expected: Vec<f64> = (0..BATCH * SEQ)
        .map(|place| {
            let rows = (place * 4..place * 4 + 4).map(|row| row * SEQ..(row + 1) * SEQ);
            let terms = rows.map(|row| reference::kl(&of_teacher[row.clone()], &of_student[row]));
            terms.sum::<f64>() / 4.0
        })
        .collect();
    let found = per_token(&[AttentionRelation::QueryKey], 4, &student, &teacher, on);
    assert_near(&found, &expected, F32_SUM_TOLERANCE, "attention map");
}

#[test]
fn gradients_of_relations_agree_with_central_differences() {
    let flex = Device::flex();
    let teacher = Layer::scattered([3, 3, 4], 2.0).states((DType::F64, &flex));
    let student = Layer::scattered([6, 3, 2], 1.0);
    let flags = [true, true, true, false, true, true, false, true, true, true];
    let of = |relation, states: AttentionStates| {
        let mask = LabelMask::new(&flags, [BATCH, SEQ], &flex);
        let loss = distillation(&[relation], 3);
        loss.forward(&states, &teacher, &visible(&flex), &mask)
            .unwrap()
            .sum
    };
    let known = student.states((DType::F64, &flex));
    let (per_head, per_group) = ([BATCH, SEQ, 6, 2], [BATCH, SEQ, 3, 2]);
    for relation in [AttentionRelation::QueryQuery, AttentionRelation::QueryKey] {
        assert_gradient(relation.name(), &student.queries, per_head, |queries| {
            of(relation, known.clone().with_queries(queries))
        });
    }
    for relation in [AttentionRelation::KeyKey, AttentionRelation::QueryKey] {
        assert_gradient(relation.name(), &student.keys, per_group, |keys| {
            of(relation, known.clone().with_keys(keys))
        });
    }
    assert_gradient("value_value", &student.values, per_group, |values| {
        of(
            AttentionRelation::ValueValue,
            known.clone().with_values(values),
        )
    });
}

#[test]
fn a_masked_document_adds_nothing_and_no_query_sees_it() {
    let device = test_device();
    let on = (DType::F32, &device);
    let shape = [BATCH, SEQ, 2, 4];
    let (student, teacher) = (
        Layer::scattered([2, 2, 4], 1.0),
        Layer::scattered([2, 2, 4], 2.0),
    );
    let with = |values: &[f64], flags: [bool; BATCH * SEQ]| {
        let teacher = teacher.states(on);
        let mask = LabelMask::new(&flags, [BATCH, SEQ], &device);
        let loss = |values| {
            let student = AttentionStates::new().with_values(values);
            let loss = distillation(&[AttentionRelation::ValueValue], 2);
            loss.forward(&student, &teacher, &visible(&device), &mask)
                .unwrap()
        };
        let value = loss(tensor(values, shape, on));
        let gradient = gradient(values, shape, on, |values| loss(values).sum);
        (floats(value.sum)[0], value.num_tokens, gradient)
    };
    // The second document of the first row.
    let mut flags = [true; BATCH * SEQ];
    flags[3..5].fill(false);
    let (value, count, gradient) = with(&student.values, flags);
    assert_eq!(count, 8);
    assert!(
        gradient[3 * 8..5 * 8]
            .iter()
            .all(|entry| entry.abs() < NEXT_TO_NOTHING)
    );
    assert!(gradient[8..3 * 8].iter().all(|entry| *entry != 0.0));
    let mut other = student.values.clone();
    other[3 * 8..5 * 8].fill(5.0);
    assert_eq!(with(&other, flags).0, value);

    let nothing = with(&student.values, [false; BATCH * SEQ]);
    assert_eq!(nothing, (0.0, 0, vec![0.0; student.values.len()]));
}

#[test]
fn extreme_states_give_finite_relations() {
    let device = test_device();
    let on = (DType::F32, &device);
    let mut student = Layer::scattered([2, 2, 4], 1.0);
    student.values.iter_mut().for_each(|value| *value *= 100.0);
    let teacher = Layer::scattered([2, 2, 4], 2.0);
    let chosen = [AttentionRelation::ValueValue];
    let found = per_token(&chosen, 2, &student, &teacher, on);
    assert_near(
        &found,
        &expected(&chosen, 2, &student, &teacher),
        1e-4,
        "extreme",
    );
    assert!(found.iter().any(|value| *value > 100.0), "{found:?}");
}

#[test]
fn relations_that_cannot_be_compared_are_refused() {
    let device = test_device();
    let on = (DType::F32, &device);
    let value_value = AttentionRelation::ValueValue;
    assert!(matches!(
        RelationDistillation::try_new(vec![], 2),
        Err(LossError::NoRelations)
    ));
    assert!(matches!(
        RelationDistillation::try_new(vec![value_value], 0),
        Err(LossError::OutOfRange {
            setting: "relation_heads",
            ..
        })
    ));
    let error = RelationDistillation::try_new(vec![value_value; 2], 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the relation value_value is named twice; remove one"
    );

    let layer = Layer::scattered([4, 2, 3], 1.0);
    let of = |loss: RelationDistillation, student: &AttentionStates, keys: &VisibleKeys| {
        loss.per_token(student, &layer.states(on), keys)
            .unwrap_err()
    };
    let nothing = AttentionStates::new();
    let error = of(distillation(&[value_value], 2), &nothing, &visible(&device));
    assert!(
        error.to_string().contains("the student's values"),
        "{error}"
    );
    let error = of(
        distillation(&[value_value], 4),
        &layer.states(on),
        &visible(&device),
    );
    assert!(matches!(
        error,
        LossError::RelationHeads {
            side: "student",
            width: 6,
            relation_heads: 4,
            ..
        }
    ));
    let narrow = layer
        .states(on)
        .with_keys(Tensor::zeros([BATCH, SEQ, 3, 3], &device));
    let error = of(
        distillation(&[AttentionRelation::QueryKey], 2),
        &narrow,
        &visible(&device),
    );
    assert!(matches!(
        error,
        LossError::QueryKeyHeads {
            side: "student",
            queries: [4, 3],
            keys: [3, 3]
        }
    ));
    let short = layer
        .states(on)
        .with_values(Tensor::zeros([BATCH, 4, 2, 3], &device));
    let error = of(
        distillation(&[value_value], 2),
        &short,
        &VisibleKeys::causal(4, &device),
    );
    assert!(matches!(
        error,
        LossError::Shape {
            expected: [2, 4],
            found: [2, 5],
            ..
        }
    ));
    let error = of(
        distillation(&[value_value], 2),
        &layer.states(on),
        &VisibleKeys::causal(4, &device),
    );
    assert!(matches!(
        error,
        LossError::Shape {
            expected: [2, 5],
            found: [2, 4],
            ..
        }
    ));
}
