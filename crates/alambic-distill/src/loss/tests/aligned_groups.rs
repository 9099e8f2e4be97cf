//! Distributions of groups of tokens.

use burn::tensor::{DType, Device};

use super::differences::{assert_gradient, gradient, scattered, tensor};
use super::*;
use crate::test_device::test_device;

/// Rounding of `f64` sums of a few terms.
const F64_TOLERANCE: f64 = 1e-12;

const STUDENT: [usize; 3] = [2, 6, 5];
const TEACHER: [usize; 3] = [1, 7, 7];

/// Tokens of both sides with their bytes, and where they lie.
struct Document {
    alignment: ByteAlignment,
    student: (usize, usize, Vec<u32>),
    teacher: (usize, usize, Vec<u32>),
    loss_mask: Vec<bool>,
}

impl Document {
    fn aligned(&self) -> AlignedDocument<'_> {
        AlignedDocument {
            alignment: &self.alignment,
            student: placed(&self.student),
            teacher: placed(&self.teacher),
            loss_mask: &self.loss_mask,
        }
    }
}

fn placed((row, start, token_ids): &(usize, usize, Vec<u32>)) -> PlacedTokens<'_> {
    PlacedTokens {
        row: *row,
        start: *start,
        token_ids,
    }
}

/// Two documents. The second of the student stands in the middle of its second row, and both of
/// the teacher in one row.
fn documents() -> [Document; 2] {
    // A beginning, then "ab", "c", "de" against "a", "b", "cde".
    let first = Document {
        alignment: ByteAlignment::try_new(
            &[(0, 0), (0, 2), (2, 3), (3, 5)],
            &[(0, 0), (0, 1), (1, 2), (2, 5)],
        )
        .unwrap(),
        student: (0, 0, vec![0, 3, 1, 4]),
        teacher: (0, 0, vec![6, 2, 5, 1]),
        loss_mask: vec![false, true, true, true],
    };
    // No beginning for either: the first group has nothing to be predicted from.
    let second = Document {
        alignment: ByteAlignment::try_new(
            &[(0, 1), (1, 2), (2, 3), (3, 3)],
            &[(0, 1), (1, 3), (3, 3)],
        )
        .unwrap(),
        student: (1, 2, vec![2, 4, 3, 1]),
        teacher: (0, 4, vec![0, 3, 4]),
        loss_mask: vec![false, true, true, true],
    };
    [first, second]
}

fn groups(documents: &[Document], device: &Device) -> AlignedGroups {
    let aligned: Vec<_> = documents.iter().map(Document::aligned).collect();
    AlignedGroups::try_new(&aligned, STUDENT, TEACHER, device).unwrap()
}

fn values([batch, seq, vocab]: [usize; 3], salt: f64) -> Vec<f64> {
    scattered(batch * seq * vocab, salt)
        .iter()
        .map(|x| 2.0 * x)
        .collect()
}

/// The distribution at a position of a row.
fn at(logits: &[f64], [_, seq, vocab]: [usize; 3], row: usize, position: usize) -> Vec<f64> {
    let start = (row * seq + position) * vocab;
    reference::softmax(&logits[start..start + vocab])
}

fn times(probs: Vec<f64>, factor: f64) -> Vec<f64> {
    probs.into_iter().map(|p| p * factor).collect()
}

/// The merged probabilities, written out group by group: (student, teacher).
fn expected(student: &[f64], teacher: &[f64]) -> Vec<(Vec<f64>, Vec<f64>)> {
    let s = |row, position| at(student, STUDENT, row, position);
    let t = |position| at(teacher, TEACHER, 0, position);
    vec![
        // "ab": one token, and "a" "b".
        (s(0, 0), times(t(0), t(1)[5])),
        // "c" "de", and "cde".
        (times(s(0, 1), s(0, 2)[4]), t(2)),
        // "b" "c" of the second document, and "bc".
        (times(s(1, 2), s(1, 3)[3]), t(4)),
        // Its end.
        (s(1, 4), t(5)),
    ]
}

fn pair(student: Tensor<3>, teacher: &[f64], groups: &AlignedGroups) -> AlignedPair {
    let on = (student.dtype(), &student.device().without_autodiff());
    let teacher = LogProbs::from_logits(tensor(teacher, TEACHER, on));
    AlignedPair::by_bytes(&teacher, &LogProbs::from_logits(student), groups).unwrap()
}

#[test]
fn a_group_has_its_first_distribution_times_the_later_tokens() {
    let (flex, device) = (Device::flex(), test_device());
    let (student, teacher) = (values(STUDENT, 1.0), values(TEACHER, 2.0));
    let runs = [
        (DType::F64, &flex, F64_TOLERANCE),
        (DType::F32, &device, F32_SUM_TOLERANCE),
    ];
    for (dtype, device, tolerance) in runs {
        let groups = groups(&documents(), device);
        assert_eq!(groups.mask().num_tokens(), 4);
        let pair = pair(
            tensor(&student, STUDENT, (dtype, device)),
            &teacher,
            &groups,
        );
        assert_eq!(pair.student().dims(), [1, 4, 5]);
        assert_eq!(pair.teacher().dims(), [1, 4, 7]);
        let students = floats(pair.student().clone().exp());
        let teachers = floats(pair.teacher().clone().exp());
        for (group, (student, teacher)) in expected(&student, &teacher).iter().enumerate() {
            let found = students[group * 5..].iter().zip(student);
            let found = found.chain(teachers[group * 7..].iter().zip(teacher));
            for (found, expected) in found {
                assert!(
                    (found - expected).abs() < tolerance,
                    "group {group}: {found} against {expected}"
                );
            }
        }
    }
}

#[test]
fn the_entry_of_the_first_token_is_the_probability_of_the_groups_text() {
    let flex = Device::flex();
    let student = values(STUDENT, 1.0);
    let pair = pair(
        tensor(&student, STUDENT, (DType::F64, &flex)),
        &values(TEACHER, 2.0),
        &groups(&documents(), &flex),
    );
    let merged = floats(pair.student().clone());
    let text = at(&student, STUDENT, 0, 1)[1].ln() + at(&student, STUDENT, 0, 2)[4].ln();
    assert!((merged[5 + 1] - text).abs() < F64_TOLERANCE);
}

#[test]
fn a_gradient_flows_through_every_factor() {
    let flex = Device::flex();
    let groups = groups(&documents(), &flex);
    let teacher = values(TEACHER, 2.0);
    let weights = scattered(20, 5.0);
    assert_gradient("merged", &values(STUDENT, 1.0), STUDENT, |student| {
        let pair = pair(student, &teacher, &groups);
        let weights = tensor(&weights, [1, 4, 5], (DType::F64, &flex));
        (pair.student().clone().exp() * weights).sum()
    });
    let losses: [fn(&AlignedPair, &AlignedGroups) -> Tensor<1>; 2] = [
        |pair, groups| UniversalLogit.forward(pair, groups.mask()).unwrap().sum,
        |pair, groups| {
            let student = ["a", "b", "c", "d", "e"].map(Some);
            let teacher = ["c", "x", "e", "y", "a", "z", "w"].map(Some);
            let vocabulary = SharedVocabulary::try_new(&student, &teacher).unwrap();
            let hybrid = HybridLogit::try_new(&vocabulary, 0.3, &Device::flex()).unwrap();
            hybrid.forward(pair, groups.mask()).unwrap().sum
        },
    ];
    for (index, loss) in losses.iter().enumerate() {
        assert_gradient(
            &format!("loss {index}"),
            &values(STUDENT, 1.0),
            STUDENT,
            |student| loss(&pair(student, &teacher, &groups), &groups),
        );
    }
}

#[test]
fn positions_that_predict_no_group_have_exactly_no_gradient() {
    let device = test_device();
    let on = (DType::F32, &device);
    let groups = groups(&documents(), &device);
    let teacher = values(TEACHER, 2.0);
    let gradient = gradient(&values(STUDENT, 1.0), STUDENT, on, |student| {
        let pair = pair(student, &teacher, &groups);
        let weights = tensor(&scattered(20, 5.0), [1, 4, 5], on);
        (pair.student().clone().exp() * weights).sum()
    });
    let read = [0, 1, 2, 6 + 2, 6 + 3, 6 + 4];
    for (position, entries) in gradient.chunks(5).enumerate() {
        let is_read = entries.iter().any(|entry| *entry != 0.0);
        assert_eq!(
            is_read,
            read.contains(&position),
            "position {position}: {entries:?}"
        );
    }
}

#[test]
fn groups_that_are_not_counted_throughout_are_left_out() {
    let device = test_device();
    let [mut first, mut second] = documents();
    first.loss_mask = vec![false, true, false, true];
    second.loss_mask = vec![false, false, false, true];
    let found = groups(&[first, second], &device);
    // "ab", and the end of the second document.
    assert_eq!(found.mask().num_tokens(), 2);
}

#[test]
fn without_a_group_sum_count_and_gradient_are_zero() {
    let device = test_device();
    let [mut first, _] = documents();
    first.loss_mask = vec![false; 4];
    for documents in [vec![first], vec![]] {
        let groups = groups(&documents, &device);
        assert_eq!(groups.mask().num_tokens(), 0);
        let loss = |student| {
            let pair = pair(student, &values(TEACHER, 2.0), &groups);
            UniversalLogit.forward(&pair, groups.mask()).unwrap().sum
        };
        let on = (DType::F32, &device);
        let student = values(STUDENT, 1.0);
        assert_eq!(floats(loss(tensor(&student, STUDENT, on))), [0.0]);
        assert_eq!(
            gradient(&student, STUDENT, on, loss),
            vec![0.0; student.len()]
        );
    }
}

#[test]
fn one_tokenization_for_both_is_compared_label_by_label() {
    let device = test_device();
    let dims = [1, 4, 5];
    let ranges = [(0, 0), (0, 2), (2, 3), (3, 5)];
    let alignment = ByteAlignment::try_new(&ranges, &ranges).unwrap();
    let tokens = PlacedTokens {
        row: 0,
        start: 0,
        token_ids: &[0, 3, 1, 4],
    };
    let document = AlignedDocument {
        alignment: &alignment,
        student: tokens,
        teacher: tokens,
        loss_mask: &[false, true, true, true],
    };
    let groups = AlignedGroups::try_new(&[document], dims, dims, &device).unwrap();
    let of = |salt| LogProbs::from_logits(tensor(&values(dims, salt), dims, (DType::F32, &device)));
    let by_bytes = AlignedPair::by_bytes(&of(1.0), &of(2.0), &groups).unwrap();
    let by_position = AlignedPair::by_position(&of(1.0), &of(2.0)).unwrap();
    let found = UniversalLogit.forward(&by_bytes, groups.mask()).unwrap();
    // The mask of labels, moved to the positions that predict them.
    let mask = LabelMask::new(&[true, true, true, false], [1, 4], &device);
    let expected = UniversalLogit.forward(&by_position, &mask).unwrap();
    assert_eq!(found.num_tokens, expected.num_tokens);
    let (found, expected) = (floats(found.sum)[0], floats(expected.sum)[0]);
    assert!(
        (found - expected).abs() < F32_SUM_TOLERANCE,
        "{found} against {expected}"
    );
}

#[test]
fn documents_that_do_not_lie_in_the_batch_are_refused() {
    let device = test_device();
    let refused = |change: fn(&mut Document)| {
        let [first, mut second] = documents();
        change(&mut second);
        let aligned = [first.aligned(), second.aligned()];
        AlignedGroups::try_new(&aligned, STUDENT, TEACHER, &device).unwrap_err()
    };
    let error = refused(|document| document.student.1 = 3);
    assert_eq!(
        error.to_string(),
        "document 1 lies outside of the student's batch: its end in the row is 7, which may be at most 6"
    );
    let error = refused(|document| document.teacher.0 = 1);
    assert!(matches!(
        error,
        AlignmentError::DocumentPlace {
            side: "teacher",
            what: "row",
            most: 0,
            found: 1,
            ..
        }
    ));
    let error = refused(|document| document.loss_mask.truncate(3));
    assert_eq!(
        error.to_string(),
        "the student's loss mask of document 1 should be as many as its alignment has, 4, found 3"
    );
    let error = refused(|document| document.teacher.2.push(0));
    assert!(matches!(
        error,
        AlignmentError::DocumentLength {
            expected: 3,
            found: 4,
            ..
        }
    ));
    let error = refused(|document| document.student.2[1] = 5);
    assert!(matches!(
        error,
        AlignmentError::TokenId {
            side: "student",
            found: 5,
            vocab: 5
        }
    ));

    let groups = groups(&documents(), &device);
    let of = |dims: [usize; 3]| LogProbs::from_logits(Tensor::zeros(dims, &device));
    assert!(matches!(
        AlignedPair::by_bytes(&of([1, 7, 8]), &of(STUDENT), &groups),
        Err(LossError::VocabularySize {
            side: "teacher",
            expected: 7,
            found: 8
        })
    ));
    assert!(matches!(
        AlignedPair::by_bytes(&of(TEACHER), &of([2, 7, 5]), &groups),
        Err(LossError::Shape {
            expected: [2, 6],
            found: [2, 7],
            ..
        })
    ));
}
