//! Teacher and student over the same outcomes: what every divergence compares.

use alambic_kernels::{Computation, log_mass_outside};
use burn::tensor::Tensor;

use super::{LogProbs, LossError, TailTreatment, TopKTargetBatch};

/// Stands in for the logarithm of zero.
///
/// Finite, so that `0 · ln 0` is 0 and its gradient a number; `exp` of it is 0.
const LOG_OF_ZERO: f32 = -1.0e30;

/// What errors call the teacher's side.
const TARGETS: &str = "the teacher's targets";

/// Smallest tail mass whose logarithm is taken: a stored 0 means less than `f32` can tell from it.
const SMALLEST_TAIL_MASS: f32 = 1.0e-37;

/// The teacher's and the student's distribution over the same outcomes at every position.
///
/// For a dense teacher the outcomes are the tokens of the vocabulary. For a truncated one they are
/// the stored tokens and, as the [`TailTreatment`] says, one bucket for all others. What a
/// truncation means is decided here, once, and a divergence need not know.
///
/// # Shapes
/// Both `[batch, seq, outcomes]`, log-probabilities in nats; the logarithm of zero is a finite
/// -1e30.
///
/// # Example
/// ```
/// use alambic_distill::loss::{DistributionPair, LogProbs, TailTreatment, TopKTargetBatch};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// // The most likely one of four tokens is stored, with ¾; the student thinks all alike.
/// let targets = TopKTargetBatch::from_host(vec![2], vec![0.75f32.ln()], vec![0.25], vec![1.0], [1, 1, 1], &device);
/// let student = LogProbs::from_logits(Tensor::<3>::zeros([1, 1, 4], &device));
/// let outcomes = |treatment| {
///     let pair = DistributionPair::top_k(&targets, &student, treatment).unwrap();
///     let probs = |side: &Tensor<3>| side.clone().exp().into_data().to_vec::<f32>().unwrap();
///     (probs(pair.teacher()), probs(pair.student()))
/// };
/// let close = |found: &[f32], expected: &[f32]| {
///     found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
/// };
/// let (teacher, student_side) = outcomes(TailTreatment::TailBucket);
/// assert!(close(&teacher, &[0.75, 0.25]) && close(&student_side, &[0.25, 0.75]));
/// let (teacher, student_side) = outcomes(TailTreatment::RenormaliseBoth);
/// assert!(close(&teacher, &[1.0]) && close(&student_side, &[1.0]));
/// ```
#[derive(Clone, Debug)]
pub struct DistributionPair {
    teacher: Tensor<3>,
    student: Tensor<3>,
    /// What was done with the entries that are not stored; `None` if all are.
    tail_treatment: Option<TailTreatment>,
}

impl DistributionPair {
    /// Whole distributions over the vocabulary.
    ///
    /// # Errors
    /// [`LossError::Shape`] and [`LossError::Vocabulary`] if the shapes differ.
    pub fn dense(teacher: &LogProbs, student: &LogProbs) -> Result<Self, LossError> {
        check_dense(teacher.dims(), student.dims())?;
        Ok(Self::over_outcomes(
            teacher.tensor().clone(),
            student.tensor().clone(),
        ))
    }

    /// Log-probabilities of the same outcomes, which need not sum to 1.
    pub(super) fn over_outcomes(teacher: Tensor<3>, student: Tensor<3>) -> Self {
        Self {
            teacher: finite(teacher),
            student: finite(student),
            tail_treatment: None,
        }
    }

    /// A truncated teacher; `treatment` says what the entries mean that are not stored.
    ///
    /// # Memory
    /// On the CPU backend flex no copy of the student's log-probabilities; elsewhere one
    /// `[batch, seq, vocab]` mask and one masked copy when `k < vocab`.
    ///
    /// # Errors
    /// [`LossError::Shape`] when batch or sequence lengths differ, [`LossError::TooManyEntries`]
    /// when `k > vocab`, [`LossError::TokenOutOfVocabulary`] when a stored id is not below `vocab`.
    pub fn top_k(
        targets: &TopKTargetBatch,
        student: &LogProbs,
        treatment: TailTreatment,
    ) -> Result<Self, LossError> {
        let [batch, seq, vocab] = student.dims();
        let [target_batch, target_seq, k] = targets.dims();
        LossError::check_shape(TARGETS, [target_batch, target_seq], [batch, seq])?;
        if k > vocab {
            return Err(LossError::TooManyEntries { k, vocab });
        }
        let token_id = targets.largest_token_id;
        if token_id as usize >= vocab {
            return Err(LossError::TokenOutOfVocabulary { token_id, vocab });
        }
        let teacher = finite(targets.log_probs.clone());
        let all = student.tensor().clone();
        let stored = finite(all.gather(2, targets.token_ids.clone()));
        if k == vocab {
            return Ok(Self {
                teacher,
                student: stored,
                tail_treatment: None,
            });
        }
        if treatment == TailTreatment::RenormaliseBoth {
            return Ok(Self {
                teacher: normalised(teacher),
                student: normalised(stored),
                tail_treatment: Some(treatment),
            });
        }
        let student_tail = log_mass_outside(
            student.tensor().clone(),
            targets.token_ids.clone(),
            Computation::Fastest,
        );
        let nothing = teacher.clone().narrow(2, 0, 1).full_like(LOG_OF_ZERO);
        let (entries, teacher_tail) = match treatment {
            TailTreatment::TailBucket => {
                let tail = targets.tail_mass.clone().unsqueeze_dim::<3>(2);
                (teacher, tail.clamp_min(SMALLEST_TAIL_MASS).log())
            }
            TailTreatment::ZeroFill => (teacher, nothing),
            TailTreatment::RenormaliseTeacher | TailTreatment::RenormaliseBoth => {
                (normalised(teacher), nothing)
            }
        };
        Ok(Self {
            teacher: Tensor::cat(vec![entries, teacher_tail], 2),
            student: Tensor::cat(vec![stored, finite(student_tail)], 2),
            tail_treatment: Some(treatment),
        })
    }

    /// The teacher's log-probabilities, `[batch, seq, outcomes]`.
    pub fn teacher(&self) -> &Tensor<3> {
        &self.teacher
    }

    /// The student's log-probabilities, `[batch, seq, outcomes]`.
    pub fn student(&self) -> &Tensor<3> {
        &self.student
    }

    /// `[batch, seq, outcomes]`.
    pub fn dims(&self) -> [usize; 3] {
        self.student.dims()
    }

    /// What was done with the entries that are not stored; `None` if all are.
    pub fn tail_treatment(&self) -> Option<TailTreatment> {
        self.tail_treatment
    }
}

/// That a whole teacher and a student are for the same positions and tokens.
pub(super) fn check_dense(teacher: [usize; 3], student: [usize; 3]) -> Result<(), LossError> {
    let [batch, seq, vocab] = student;
    let [teacher_batch, teacher_seq, teacher_vocab] = teacher;
    LossError::check_shape(TARGETS, [teacher_batch, teacher_seq], [batch, seq])?;
    if teacher_vocab == vocab {
        return Ok(());
    }
    Err(LossError::Vocabulary {
        teacher: teacher_vocab,
        student: vocab,
    })
}

/// Log-probabilities whose negative infinities are finite; what is not a number stays so.
fn finite(log_probs: Tensor<3>) -> Tensor<3> {
    let below = log_probs.clone().detach().lower_elem(LOG_OF_ZERO);
    log_probs.mask_fill(below, LOG_OF_ZERO)
}

/// `x − ln Σ eˣ` over the outcomes.
fn normalised(log_probs: Tensor<3>) -> Tensor<3> {
    burn::tensor::activation::log_softmax(log_probs, 2)
}
