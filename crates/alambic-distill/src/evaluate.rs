//! Evaluation of a student on text: likelihood, distance to the teacher, calibration.

use alambic_text::Segment;
use alambic_transformer::{AttentionContext, Decoder};
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::token_batch::{check_fits, label_rows, right_padded};
use crate::{DistillError, loss::LogProbs, teacher::Teacher};

/// Bins of the reliability diagram, equal in width over confidences 0 to 1.
pub const CALIBRATION_BINS: usize = 10;

/// One bin of the reliability diagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Sum of the model's probabilities for its first choice.
    pub confidence_sum: f64,
    /// How often the first choice was the label.
    pub correct: u64,
    /// Labels whose confidence fell into the bin.
    pub count: u64,
}

/// Sums over the labels of a text; the means are methods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Segments read.
    pub num_segments: u64,
    /// Labels counted.
    pub num_tokens: u64,
    /// Σ −ln q(label), nats.
    pub nll_sum: f64,
    /// Σ KL(teacher ‖ student) over the whole vocabulary, nats; absent without a teacher.
    pub kl_sum: Option<f64>,
    /// Labels at which teacher and student have the same first choice; absent without a teacher.
    pub agreements: Option<u64>,
    /// The reliability diagram.
    pub calibration: [CalibrationBin; CALIBRATION_BINS],
}

impl Evaluation {
    /// Mean negative log-likelihood in nats per token.
    pub fn nll(&self) -> f64 {
        self.nll_sum / self.num_tokens as f64
    }

    /// `exp(nll)`.
    pub fn perplexity(&self) -> f64 {
        self.nll().exp()
    }

    /// Bits per byte of the text that the labels spell: independent of the tokenizer.
    pub fn bits_per_byte(&self, text_bytes: u64) -> f64 {
        self.nll_sum / std::f64::consts::LN_2 / text_bytes as f64
    }

    /// Mean KL(teacher ‖ student) in nats per token.
    pub fn kl_to_teacher(&self) -> Option<f64> {
        self.kl_sum.map(|sum| sum / self.num_tokens as f64)
    }

    /// Share of labels at which teacher and student agree on the most likely token.
    pub fn top1_agreement(&self) -> Option<f64> {
        self.agreements
            .map(|count| count as f64 / self.num_tokens as f64)
    }

    /// Expected calibration error: mean |confidence − accuracy| over the bins, weighted by count
    /// (Guo et al. 2017, arXiv:1706.04599, eq. 5).
    pub fn expected_calibration_error(&self) -> f64 {
        let gaps = self
            .calibration
            .iter()
            .map(|bin| (bin.confidence_sum - bin.correct as f64).abs());
        gaps.sum::<f64>() / self.num_tokens as f64
    }
}

/// Scores `subject` on the student views of `segments`, beside the teacher on its own views.
///
/// The divergence is exact: it uses the teacher's whole distribution, not a cache. Memory holds
/// one batch of `batch_segments` and its dense distributions.
///
/// # Errors
/// [`DistillError::Empty`] without segments; a segment that a model cannot read.
pub fn evaluate<E>(
    subject: &Decoder,
    teacher: Option<&dyn Teacher>,
    segments: impl Iterator<Item = Result<Segment, E>>,
    batch_segments: usize,
    mut on_segments: impl FnMut(u64),
) -> Result<Evaluation, DistillError>
where
    DistillError: From<E>,
{
    let mut evaluation = Evaluation {
        kl_sum: teacher.map(|_| 0.0),
        agreements: teacher.map(|_| 0),
        ..Evaluation::default()
    };
    let mut segments = segments.peekable();
    while segments.peek().is_some() {
        let batch: Vec<Segment> = segments
            .by_ref()
            .take(batch_segments.max(1))
            .collect::<Result<_, _>>()?;
        evaluate_batch(subject, teacher, &batch, &mut evaluation)?;
        on_segments(evaluation.num_segments);
    }
    if evaluation.num_tokens == 0 {
        return Err(DistillError::Empty {
            what: "the text to evaluate on".into(),
            hint: "no segment with a label was found; check the files and the splits",
        });
    }
    Ok(evaluation)
}

fn evaluate_batch(
    subject: &Decoder,
    teacher: Option<&dyn Teacher>,
    batch: &[Segment],
    evaluation: &mut Evaluation,
) -> Result<(), DistillError> {
    let config = subject.config();
    for segment in batch {
        let ids = segment.student().token_ids();
        check_fits(
            segment,
            ids,
            "student",
            config.max_batched_tokens(),
            config.vocab_size,
        )?;
    }
    let student = student_rows(subject, batch);
    let labels = labels_of(batch);
    add_likelihood(&student, &labels, evaluation);
    if let Some(teacher) = teacher {
        if teacher.vocab_size() != config.vocab_size {
            return Err(DistillError::Setting {
                key: "student.vocab_size",
                found: format!(
                    "{}, beside a teacher of {} tokens",
                    config.vocab_size,
                    teacher.vocab_size()
                ),
                expected: "the teacher's vocabulary",
            });
        }
        for segment in batch {
            let ids = segment.teacher().token_ids();
            check_fits(
                segment,
                ids,
                "teacher",
                teacher.max_sequence_tokens(),
                teacher.vocab_size(),
            )?;
        }
        add_distance(&teacher_rows(teacher, batch), &student, evaluation);
    }
    evaluation.num_segments += batch.len() as u64;
    evaluation.num_tokens += labels.len() as u64;
    Ok(())
}

/// The student's log-probabilities at the counted labels, `[labels, vocab]`.
fn student_rows(subject: &Decoder, batch: &[Segment]) -> Tensor<2> {
    let ids: Vec<&[u32]> = batch
        .iter()
        .map(|segment| segment.student().token_ids())
        .collect();
    let masks: Vec<&[bool]> = batch
        .iter()
        .map(|segment| segment.student().loss_mask())
        .collect();
    let device = subject.device();
    let token_ids = right_padded(&ids, &device);
    let [rows, longest] = token_ids.dims();
    let context = AttentionContext::causal(rows, longest, &device);
    select_rows(
        &LogProbs::from_logits(subject.forward(token_ids, &context)),
        &masks,
    )
}

/// The teacher's log-probabilities at the same labels, `[labels, vocab]`.
fn teacher_rows(teacher: &dyn Teacher, batch: &[Segment]) -> Tensor<2> {
    let ids: Vec<&[u32]> = batch
        .iter()
        .map(|segment| segment.teacher().token_ids())
        .collect();
    let masks: Vec<&[bool]> = batch
        .iter()
        .map(|segment| segment.teacher().loss_mask())
        .collect();
    select_rows(
        &teacher.log_probs(right_padded(&ids, teacher.device())),
        &masks,
    )
}

fn select_rows(log_probs: &LogProbs, masks: &[&[bool]]) -> Tensor<2> {
    let [batch, longest, vocab] = log_probs.dims();
    let rows = label_rows(masks, longest);
    let count = rows.len();
    let device = log_probs.tensor().device();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &device);
    log_probs
        .tensor()
        .clone()
        .reshape([batch * longest, vocab])
        .select(0, rows)
}

/// The counted labels in the order of the selected rows.
fn labels_of(batch: &[Segment]) -> Vec<i32> {
    batch
        .iter()
        .flat_map(|segment| {
            let view = segment.student();
            view.token_ids()
                .iter()
                .zip(view.loss_mask())
                .filter(|&(_, &counted)| counted)
        })
        .map(|(&id, _)| id as i32)
        .collect()
}

fn add_likelihood(student: &Tensor<2>, labels: &[i32], evaluation: &mut Evaluation) {
    let count = labels.len();
    let ids =
        Tensor::<1, Int>::from_data(TensorData::new(labels.to_vec(), [count]), &student.device());
    let at_labels = floats(student.clone().gather(1, ids.unsqueeze_dim::<2>(1)));
    let (confidence, choice) = student.clone().max_dim_with_indices(1);
    let (confidence, choice) = (floats(confidence), ints(choice));
    for index in 0..count {
        evaluation.nll_sum -= f64::from(at_labels[index]);
        let confidence = f64::from(confidence[index]).exp();
        let bin = ((confidence * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1);
        let bin = &mut evaluation.calibration[bin];
        bin.confidence_sum += confidence;
        bin.correct += u64::from(choice[index] == i64::from(labels[index]));
        bin.count += 1;
    }
}

fn add_distance(teacher: &Tensor<2>, student: &Tensor<2>, evaluation: &mut Evaluation) {
    let teacher = teacher.clone().to_device(&student.device());
    let kl = (teacher.clone().exp() * (teacher.clone() - student.clone())).sum_dim(1);
    let kl: f64 = floats(kl).into_iter().map(f64::from).sum();
    let same = ints(teacher.argmax(1))
        .into_iter()
        .zip(ints(student.clone().argmax(1)))
        .filter(|(teacher, student)| teacher == student)
        .count() as u64;
    *evaluation.kl_sum.get_or_insert(0.0) += kl;
    *evaluation.agreements.get_or_insert(0) += same;
}

fn floats(tensor: Tensor<2>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_to_vec()
        .expect("just converted")
}

fn ints(tensor: Tensor<2, Int>) -> Vec<i64> {
    tensor
        .into_data()
        .convert::<i64>()
        .try_to_vec()
        .expect("just converted")
}
