//! The losses between two vocabularies that a run minimises.

use burn::tensor::Device;

use super::{
    AlignedPair, HybridLogit, LabelMask, LossError, LossKind, LossSetting, ObjectiveTerm,
    SharedVocabulary, TokenLoss, UniversalLogit,
};

/// The [aligned terms](super::Objective::aligned_terms) of an objective, ready to compute.
///
/// # Example
/// ```
/// use alambic_distill::loss::{
///     AlignedObjective, AlignedPair, LabelMask, LogProbs, LossError, LossKind, ObjectiveTerm, SharedVocabulary,
/// };
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let vocabulary = SharedVocabulary::try_new(&[Some("a"), Some("b")], &[Some("b"), Some("a"), Some("c")]);
/// let terms = [LossKind::UniversalLogit, LossKind::HybridLogit].map(|kind| ObjectiveTerm::published(kind, 1.0));
/// let objective = AlignedObjective::try_new(&terms, || vocabulary.map_err(LossError::from), &device).unwrap();
///
/// let teacher = LogProbs::from_logits(Tensor::zeros([1, 1, 3], &device));
/// let student = LogProbs::from_logits(Tensor::zeros([1, 1, 2], &device));
/// let pair = AlignedPair::by_position(&teacher, &student).unwrap();
/// let losses = objective.losses(&pair, &LabelMask::new(&[true], [1, 1], &device)).unwrap();
/// // ⅓ three times against ½ twice.
/// assert!((losses[0].sum.clone().into_scalar::<f32>() - 2.0 / 3.0).abs() < 1e-6);
/// ```
#[derive(Clone, Debug)]
pub struct AlignedObjective {
    losses: Vec<AlignedLoss>,
}

#[derive(Clone, Debug)]
enum AlignedLoss {
    Universal(UniversalLogit),
    Hybrid(Box<HybridLogit>),
}

impl AlignedObjective {
    /// The losses of some terms; `vocabulary` is asked for if one of them has to know which tokens the
    /// vocabularies have in common.
    ///
    /// # Errors
    /// [`LossError::NotAligned`] for a term at the labels of one vocabulary, [`LossError::SettingMissing`],
    /// [`LossError::OutOfRange`], and the errors of `vocabulary`.
    pub fn try_new<E: From<LossError>>(
        terms: &[ObjectiveTerm],
        vocabulary: impl FnOnce() -> Result<SharedVocabulary, E>,
        device: &Device,
    ) -> Result<Self, E> {
        let is_hybrid = |term: &ObjectiveTerm| term.kind == LossKind::HybridLogit;
        let vocabulary = match terms.iter().any(is_hybrid) {
            true => Some(vocabulary()?),
            false => None,
        };
        let loss = |term: &ObjectiveTerm| -> Result<AlignedLoss, LossError> {
            term.divergence()?; // checks the settings
            match (term.kind, term.setting(LossSetting::Beta), &vocabulary) {
                (LossKind::UniversalLogit, ..) => Ok(AlignedLoss::Universal(UniversalLogit)),
                (LossKind::HybridLogit, Some(beta), Some(vocabulary)) => {
                    let loss = HybridLogit::try_new(vocabulary, beta, device)?;
                    Ok(AlignedLoss::Hybrid(Box::new(loss)))
                }
                (kind, ..) => Err(LossError::NotAligned { term: kind.name() }),
            }
        };
        let losses = terms.iter().map(loss).collect::<Result<_, LossError>>()?;
        Ok(Self { losses })
    }

    /// The loss of each term at the counted positions, in their order.
    ///
    /// # Errors
    /// Those of [`UniversalLogit::forward`] and [`HybridLogit::forward`].
    pub fn losses(
        &self,
        pair: &AlignedPair,
        mask: &LabelMask,
    ) -> Result<Vec<TokenLoss>, LossError> {
        let loss = |loss: &AlignedLoss| match loss {
            AlignedLoss::Universal(loss) => loss.forward(pair, mask),
            AlignedLoss::Hybrid(loss) => loss.forward(pair, mask),
        };
        self.losses.iter().map(loss).collect()
    }
}
