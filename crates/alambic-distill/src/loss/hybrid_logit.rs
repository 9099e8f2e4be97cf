//! Logit distillation between vocabularies that have tokens in common.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::divergence::sum_outcomes;
use super::universal_logit::sorted_distance;
use super::{
    AlignedPair, DistributionPair, Divergence, JensenShannon, LabelMask, LossError,
    SharedVocabulary, TokenLoss,
};

/// Jensen–Shannon divergence on the tokens that both vocabularies have, ULD on the others.
///
/// `w · JSβ(p, q over matched tokens) + (1 − w) · Σᵢ |p₍ᵢ₎ − q₍ᵢ₎ over the other tokens|`
///
/// with the share `w = matched ÷ teacher_vocab`. The matched probabilities are compared as they
/// are, not renormalised, and so are [merged](AlignedPair::by_bytes) ones: the divergence
/// `β Σ p ln (p ÷ m) + (1 − β) Σ q ln (q ÷ m)`, `m = β p + (1 − β) q`, has no negative term for any
/// such numbers while `0 < β < 1`. At 0 and 1, where [`JensenShannon`] is a Kullback–Leibler
/// divergence, it could be negative, and these are refused.
///
/// Never negative, and 0 where matched tokens have equal probabilities and the others equal ones in
/// some order. With equal vocabularies it is [`JensenShannon`], without a common token
/// [`UniversalLogit`](super::UniversalLogit). The first part is in nats, the second has no unit.
///
/// # Memory
/// A copy and a sorted copy of both distributions.
///
/// # Example
/// ```
/// use alambic_distill::loss::{AlignedPair, HybridLogit, LabelMask, LogProbs, SharedVocabulary};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let log_probs = |probs: [f32; 3]| {
///     LogProbs::from_logits(Tensor::from_floats([[probs.map(f32::ln)]], &device))
/// };
/// let student = [Some("a"), Some("b"), Some("c")];
/// let teacher = [Some("x"), Some("a"), Some("y")];
/// let vocabulary = SharedVocabulary::try_new(&student, &teacher).unwrap();
/// let loss = HybridLogit::try_new(&vocabulary, 0.5, &device).unwrap();
/// let teacher = log_probs([0.25, 0.5, 0.25]);
/// let student = log_probs([0.5, 0.375, 0.125]);
/// let pair = AlignedPair::by_position(&teacher, &student).unwrap();
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// // "a" is as likely to both; the others differ by ⅛ each, and weigh two thirds.
/// let sum = loss.forward(&pair, &mask).unwrap().sum.into_scalar::<f32>();
/// assert!((sum - 0.25 * 2.0 / 3.0).abs() < 1e-6);
/// ```
///
/// # References
/// The hybrid loss of GOLD (General On-policy Logit Distillation) in Hugging Face TRL, an extension
/// of Boizard et al. 2024, arXiv:2402.12030.
#[derive(Clone, Debug)]
pub struct HybridLogit {
    divergence: JensenShannon,
    student: SplitVocabulary,
    teacher: SplitVocabulary,
    matched_share: f64,
}

impl HybridLogit {
    /// A loss between two vocabularies, with the teacher's weight `beta` in the divergence.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] unless `beta` lies between 0 and 1, both excluded.
    pub fn try_new(
        vocabulary: &SharedVocabulary,
        beta: f64,
        device: &Device,
    ) -> Result<Self, LossError> {
        check_beta(beta)?;
        let device = device.clone().without_autodiff();
        let matched = vocabulary.matched();
        let students = matched.iter().map(|pair| pair.0);
        let teachers = matched.iter().map(|pair| pair.1);
        let (student_rest, teacher_rest) = (vocabulary.student_rest(), vocabulary.teacher_rest());
        Ok(Self {
            divergence: JensenShannon::try_new(beta)?,
            student: SplitVocabulary::new(students.collect(), student_rest, &device),
            teacher: SplitVocabulary::new(teachers.collect(), teacher_rest, &device),
            matched_share: matched.len() as f64 / vocabulary.teacher_vocab() as f64,
        })
    }

    /// The name used in recipes, metrics and messages.
    pub fn name(&self) -> &'static str {
        "hybrid_logit"
    }

    /// The value at every position, `[batch, positions]`, counted or not.
    ///
    /// # Errors
    /// [`LossError::VocabularySize`] if the pair is over other vocabularies.
    pub fn per_token(&self, pair: &AlignedPair) -> Result<Tensor<2>, LossError> {
        let (student, teacher) = (pair.student(), pair.teacher());
        let [_, _, student_vocab] = student.dims();
        let [_, _, teacher_vocab] = teacher.dims();
        LossError::check_vocabulary("student", student_vocab, self.student.size)?;
        LossError::check_vocabulary("teacher", teacher_vocab, self.teacher.size)?;
        let by_divergence = self.matched(teacher, student);
        let by_divergence = by_divergence.map(|value| value * self.matched_share);
        let by_rank = self.rest(teacher, student);
        let by_rank = by_rank.map(|value| value * (1.0 - self.matched_share));
        Ok(match (by_divergence, by_rank) {
            (Some(matched), Some(rest)) => matched + rest,
            (one, other) => one.or(other).expect("a vocabulary has tokens"),
        })
    }

    /// The sum over the counted positions.
    ///
    /// # Errors
    /// As [`per_token`](Self::per_token); [`LossError::Shape`] if the mask covers other positions.
    pub fn forward(&self, pair: &AlignedPair, mask: &LabelMask) -> Result<TokenLoss, LossError> {
        TokenLoss::masked(self.per_token(pair)?, mask)
    }

    fn matched(&self, teacher: &Tensor<3>, student: &Tensor<3>) -> Option<Tensor<2>> {
        let teacher = select(teacher, &self.teacher.matched)?;
        let student = select(student, &self.student.matched)?;
        let pair = DistributionPair::over_outcomes(teacher, student);
        Some(self.divergence.per_token(&pair))
    }

    fn rest(&self, teacher: &Tensor<3>, student: &Tensor<3>) -> Option<Tensor<2>> {
        let teacher = select(teacher, &self.teacher.rest);
        let student = select(student, &self.student.rest);
        match (teacher, student) {
            (Some(teacher), Some(student)) => Some(sorted_distance(teacher, student)),
            (one, other) => one.or(other).map(|alone| sum_outcomes(alone.exp())),
        }
    }
}

/// Refuses a weight of the teacher at which matched probabilities could have a negative divergence.
pub(super) fn check_beta(beta: f64) -> Result<(), LossError> {
    LossError::check_inner_fraction("beta", beta)
}

/// The ids of one vocabulary; `None` for a list without any.
#[derive(Clone, Debug)]
struct SplitVocabulary {
    matched: Option<Tensor<1, Int>>,
    rest: Option<Tensor<1, Int>>,
    size: usize,
}

impl SplitVocabulary {
    fn new(matched: Vec<usize>, rest: &[usize], device: &Device) -> Self {
        Self {
            size: matched.len() + rest.len(),
            matched: ids(&matched, device),
            rest: ids(rest, device),
        }
    }
}

fn ids(ids: &[usize], device: &Device) -> Option<Tensor<1, Int>> {
    let values: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let data = TensorData::new(values, [ids.len()]);
    (!ids.is_empty()).then(|| Tensor::from_data(data, device))
}

/// The columns of some tokens.
fn select(log_probs: &Tensor<3>, ids: &Option<Tensor<1, Int>>) -> Option<Tensor<3>> {
    let ids = ids.clone()?;
    Some(log_probs.clone().select(2, ids))
}
