//! Models with more columns than their tokenizer has tokens: only the tokens are compared.

use burn::tensor::Int;

use super::*;
use crate::test_device::test_device;

/// Sums of a few products in `f32`, in another order.
const TOLERANCE: f64 = 1e-5;
const TOKENIZER_SIZE: usize = 5;
const STUDENT_COLUMNS: usize = 7;
const TEACHER_COLUMNS: usize = 8;
/// What can stand where no token is.
const PADDINGS: [f64; 7] = [
    0.0,
    7.0,
    1e30,
    -1e30,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

fn teacher() -> Vec<Vec<f64>> {
    vec![
        vec![0.3, -1.0, 2.0, 0.1, -0.4],
        vec![1.0, 0.0, 0.5, -2.0, 0.2],
        vec![-0.7, 0.6, 0.2, 1.1, -1.5],
    ]
}

fn student() -> Vec<Vec<f64>> {
    vec![
        vec![-0.2, 0.4, 0.9, -1.0, 0.6],
        vec![0.1, 0.15, -0.7, 0.3, 1.2],
        vec![0.8, -0.3, 0.0, 0.5, -0.6],
    ]
}

fn padded(rows: Vec<Vec<f64>>, columns: usize, padding: f64) -> Vec<Vec<f64>> {
    let mut rows = rows;
    rows.iter_mut().for_each(|row| row.resize(columns, padding));
    rows
}

fn cut(logits: Tensor<3>) -> LogProbs {
    LogProbs::from_padded_logits(logits, TOKENIZER_SIZE).unwrap()
}

/// A matrix whose rows are those given.
fn matrix(rows: &[Vec<f64>]) -> Tensor<2> {
    logits(rows, DType::F32, &test_device()).squeeze_dim::<2>(0)
}

#[test]
fn forward_kl_of_padded_models_matches_its_closed_form() {
    let device = test_device();
    let teacher = vec![vec![0.5f64.ln(), 0.25f64.ln(), 0.25f64.ln(), 9.0]];
    let student = vec![vec![0.0, 0.0, 0.0, 50.0, 0.0]];
    let cut = |rows: &[Vec<f64>]| {
        LogProbs::from_padded_logits(logits(rows, DType::F32, &device), 3).unwrap()
    };
    let pair = DistributionPair::dense(&cut(&teacher), &cut(&student)).unwrap();
    let found = floats(ForwardKl.per_token(&pair))[0];
    // A uniform student: cross-entropy ln 3 minus teacher entropy 1.5 ln 2.
    let expected = 3f64.ln() - 1.5 * 2f64.ln();
    assert!((found - expected).abs() < F32_SUM_TOLERANCE, "{found}");
}

#[test]
fn whatever_stands_in_the_padding_values_and_gradients_are_those_without_it() {
    let device = test_device().autodiff();
    let outcome = |divergence: &dyn Divergence, pair: &DistributionPair, leaf: &Tensor<3>| {
        let per_token = divergence.per_token(pair);
        let gradient = leaf.grad(&per_token.clone().sum().backward()).unwrap();
        (floats(per_token), gradient)
    };
    for (divergence, _) in divergences() {
        for kept in every_kind(2).filter(|kept| kept.serves(&*divergence)) {
            let leaf = logits(&student(), DType::F32, &device).require_grad();
            let pair = pair(&teacher(), leaf.clone(), kept);
            let (expected, expected_gradient) = outcome(&*divergence, &pair, &leaf);
            for padding in PADDINGS {
                let wide = padded(student(), STUDENT_COLUMNS, padding);
                let leaf = logits(&wide, DType::F32, &device).require_grad();
                let pair = pair_with_padded_teacher(padding, &cut(leaf.clone()), kept);
                let (found, gradient) = outcome(&*divergence, &pair, &leaf);
                let what = format!("{} on {kept:?}, padding {padding}", divergence.name());
                assert_eq!(found, expected, "{what}");
                let of_tokens = gradient.clone().narrow(2, 0, TOKENIZER_SIZE);
                assert_eq!(
                    floats(of_tokens),
                    floats(expected_gradient.clone()),
                    "{what}"
                );
                let of_padding = gradient.slice([0..1, 0..3, TOKENIZER_SIZE..STUDENT_COLUMNS]);
                assert_eq!(floats(of_padding), [0.0; 6], "{what}");
            }
        }
    }
}

fn pair_with_padded_teacher(padding: f64, student: &LogProbs, kept: Kept) -> DistributionPair {
    let device = test_device();
    match kept {
        Kept::Everything => {
            let wide = padded(teacher(), TEACHER_COLUMNS, padding);
            let teacher = cut(logits(&wide, DType::F32, &device));
            DistributionPair::dense(&teacher, student).unwrap()
        }
        Kept::TopK(k, treatment) => {
            let targets = top_k_targets(&teacher(), k, DType::F32, &device);
            DistributionPair::top_k(&targets, student, treatment).unwrap()
        }
    }
}

#[test]
fn stored_tokens_beyond_the_tokenizer_are_refused() {
    let device = test_device();
    // A teacher whose padding was not cut off, and has a mass.
    let wide = padded(teacher(), TEACHER_COLUMNS, 3.0);
    let targets = top_k_targets(&wide, 2, DType::F32, &device);
    let student = cut(logits(
        &padded(student(), STUDENT_COLUMNS, 0.0),
        DType::F32,
        &device,
    ));
    for treatment in TREATMENTS {
        assert!(matches!(
            DistributionPair::top_k(&targets, &student, treatment),
            Err(LossError::TokenOutOfVocabulary {
                token_id: 6,
                vocab: TOKENIZER_SIZE,
            })
        ));
    }
    let of = |token_id| {
        let targets = TopKTargetBatch::from_host(
            vec![1, 0, 2, token_id, 3, 0],
            vec![-1.0; 6],
            vec![0.2; 3],
            vec![0.5; 3],
            [1, 3, 2],
            &device,
        );
        DistributionPair::top_k(&targets, &student, TailTreatment::TailBucket)
    };
    assert!(of(TOKENIZER_SIZE as i32 - 1).is_ok());
    let error = of(TOKENIZER_SIZE as i32).unwrap_err();
    assert!(error.to_string().contains("name the token 5"), "{error}");
    assert!(of(-1).is_err());
}

#[test]
fn a_tokenizer_that_does_not_fit_the_columns_is_refused() {
    let device = test_device();
    for tokenizer_size in [0, STUDENT_COLUMNS + 1] {
        let logits = Tensor::<3>::zeros([1, 1, STUDENT_COLUMNS], &device);
        let head = Head::new(Tensor::zeros([2, STUDENT_COLUMNS], &device));
        let of_logits = LogProbs::from_padded_logits(logits, tokenizer_size).unwrap_err();
        let of_head = head.within_vocabulary(tokenizer_size).unwrap_err();
        for error in [of_logits, of_head] {
            let expected = format!("{tokenizer_size} tokens does not fit 7 columns of logits");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
}

/// Total, sums of the terms, and the gradients of hidden states and weight.
type Outcome = [Vec<f64>; 4];

/// Three labels with two hidden numbers each, of which the weight makes logits.
struct Chunks {
    hidden: Tensor<2>,
    weight: Tensor<2>,
    labels: Tensor<1, Int>,
    weights: Tensor<2>,
    objective: Objective,
}

impl Chunks {
    /// A student whose weight has `columns`, filled up with `padding`.
    fn new(columns: usize, padding: f64) -> Self {
        let kinds = LossKind::OF_LABELS.into_iter();
        let terms: Vec<ObjectiveTerm> = kinds
            .filter(|kind| !kind.needs_logits())
            .map(|kind| ObjectiveTerm::published(kind, 1.0))
            .collect();
        let rows = |rows: &[Vec<f64>]| matrix(rows).autodiff().require_grad();
        let hidden = [vec![0.4, -1.1], vec![-0.3, 0.8], vec![1.5, 0.2]];
        Self {
            hidden: rows(&hidden),
            weight: rows(&padded(student()[..2].to_vec(), columns, padding)),
            labels: Tensor::from_ints([4, 0, 2], &test_device()),
            weights: Tensor::full([terms.len(), 3], 0.5, &test_device()),
            objective: Objective::try_new(terms, TailTreatment::TailBucket).unwrap(),
        }
    }

    fn outcome(&self, total: &Tensor<1>, term_sums: Tensor<1>) -> Outcome {
        let gradients = total.backward();
        let of = |input: &Tensor<2>| input.grad(&gradients).unwrap();
        let of_weight = of(&self.weight);
        let [hidden, columns] = of_weight.dims();
        let of_padding = of_weight
            .clone()
            .slice([0..hidden, TOKENIZER_SIZE..columns]);
        assert!(floats(of_padding).iter().all(|gradient| *gradient == 0.0));
        let of_tokens = of_weight.narrow(1, 0, TOKENIZER_SIZE);
        [
            floats(total.clone()),
            floats(term_sums),
            floats(of(&self.hidden)),
            floats(of_tokens),
        ]
    }

    /// In chunks of two labels.
    fn chunked(&self, head: Head, targets: &LabelTargets) -> Outcome {
        let losses = Chunked::new(self.objective.clone(), 2 * TOKENIZER_SIZE * 4)
            .losses(
                &self.hidden,
                &head,
                &self.labels,
                Some(targets),
                &self.weights,
            )
            .unwrap();
        self.outcome(&losses.total, losses.term_sums)
    }

    /// With whole logits, the padding's included.
    fn plain(&self, head: &Head, targets: &TargetBatch) -> Outcome {
        let product = self.hidden.clone().matmul(self.weight.clone());
        let whole = head.shape(product.unsqueeze::<3>());
        let student = Logits::new(whole.narrow(2, 0, TOKENIZER_SIZE));
        let labels = self.labels.clone().unsqueeze::<2>();
        let terms = self.objective.per_token(student, &labels, Some(targets));
        let terms = Tensor::cat(terms.unwrap(), 0);
        let sums = terms.clone().without_autodiff().sum_dim(1);
        let total = (terms * self.weights.clone().autodiff()).sum();
        self.outcome(&total, sums.squeeze_dim::<1>(1))
    }
}

fn capped(weight: Tensor<2>) -> Head {
    Head::new(weight).with_logit_softcap(2.0).unwrap()
}

/// The teacher's hidden states, and its weight filled up with `padding`.
fn hidden_teacher(columns: usize, padding: f64) -> (Tensor<2>, Tensor<2>) {
    let states = matrix(&[
        vec![0.9, 0.1, -0.5],
        vec![-1.2, 0.7, 0.3],
        vec![0.2, -0.4, 1.0],
    ]);
    (states, matrix(&padded(teacher(), columns, padding)))
}

fn assert_equal(what: &str, found: &Outcome, expected: &Outcome) {
    for (part, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{what}, part {part}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < TOLERANCE * (1.0 + expected.abs()),
                "{what}, part {part}: {found} against {expected}"
            );
        }
    }
}

#[test]
fn heads_within_the_vocabulary_give_the_losses_and_gradients_of_heads_without_padding() {
    let targets = |padding: Option<f64>| {
        let (states, weight) = match padding {
            None => hidden_teacher(TOKENIZER_SIZE, 0.0),
            Some(padding) => hidden_teacher(TEACHER_COLUMNS, padding),
        };
        let head = capped(weight).within_vocabulary(TOKENIZER_SIZE).unwrap();
        let truncated = top_k_targets(&teacher(), 2, DType::F32, &test_device());
        [
            LabelTargets::Hidden { states, head },
            LabelTargets::TopK(truncated),
        ]
    };
    let unpadded = Chunks::new(TOKENIZER_SIZE, 0.0);
    let expected = targets(None).map(|it| unpadded.chunked(capped(unpadded.weight.clone()), &it));
    for padding in PADDINGS {
        let chunks = Chunks::new(STUDENT_COLUMNS, padding);
        for (targets, expected) in targets(Some(padding)).iter().zip(&expected) {
            let head = capped(chunks.weight.clone()).within_vocabulary(TOKENIZER_SIZE);
            let found = chunks.chunked(head.unwrap(), targets);
            assert_equal(&format!("padding {padding}"), &found, expected);
        }
    }
}

#[test]
fn chunks_of_padded_heads_equal_the_plain_path_over_cut_logits() {
    for padding in [0.0, 7.0, -1e30] {
        let chunks = Chunks::new(STUDENT_COLUMNS, padding);
        let (states, weight) = hidden_teacher(TEACHER_COLUMNS, padding);
        let head = capped(weight.clone());
        let dense = cut(head.shape(states.clone().matmul(weight).unsqueeze::<3>()));
        let head = head.within_vocabulary(TOKENIZER_SIZE).unwrap();
        let hidden = LabelTargets::Hidden { states, head };
        let top_k = top_k_targets(&teacher(), 2, DType::F32, &test_device());
        for (in_chunks, whole) in [
            (hidden, TargetBatch::Dense(dense)),
            (LabelTargets::TopK(top_k.clone()), TargetBatch::TopK(top_k)),
        ] {
            let head = capped(chunks.weight.clone());
            let expected = chunks.plain(&head, &whole);
            let head = head.within_vocabulary(TOKENIZER_SIZE).unwrap();
            let found = chunks.chunked(head, &in_chunks);
            assert_equal(&format!("padding {padding}"), &found, &expected);
        }
    }
}
