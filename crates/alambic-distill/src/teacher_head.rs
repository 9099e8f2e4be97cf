//! The teacher's head between device and cache.

use alambic_cache::{StateType, TargetKind, TeacherHead};
use alambic_transformer::Decoder;
use burn::tensor::{Device, Tensor, TensorData};

use crate::{DistillError, TrainingSource, loss::Head, teacher::Teacher};

/// What a cache of a teacher's last hidden states, stored as `values`, is specified with.
///
/// # Errors
/// [`DistillError::TeacherCannot`] if the teacher does not give them, and the cache's for a head
/// whose weight is not finite.
pub fn hidden_targets(
    teacher: &dyn Teacher,
    values: StateType,
) -> Result<TargetKind, DistillError> {
    let head = head_of(teacher)?;
    Ok(TargetKind::Hidden {
        width: head.width(),
        values,
        head: head.fingerprint(),
    })
}

/// The head of a teacher, copied to the host.
pub(crate) fn head_of(teacher: &dyn Teacher) -> Result<TeacherHead, DistillError> {
    let head = teacher.head().ok_or(DistillError::TeacherCannot {
        what: "hidden states and a head",
    })?;
    let [width, vocab] = head.weight().dims();
    let rows = head.weight().clone().transpose().into_data();
    let rows = rows.convert::<f32>().try_to_vec().expect("just converted");
    let mut stored =
        TeacherHead::try_new(rows, vocab, width)?.with_logit_scale(head.logit_scale())?;
    if let Some(cap) = head.logit_softcap() {
        stored = stored.with_logit_softcap(cap)?;
    }
    Ok(stored)
}

/// A decoder's own head, with its logit scale and soft-cap; gradients flow into its weight if it is trained.
pub(crate) fn decoder_head(decoder: &Decoder) -> Head {
    let architecture = &decoder.config().architecture;
    let weight = match decoder.lora() {
        None => decoder.head_weight(),
        // It is not trained, so that no gradient is made for it.
        Some(_) => decoder.head_weight().without_autodiff(),
    };
    let head = Head::new(weight).with_logit_scale(architecture.logit_scale);
    let head = head.map(|head| head.computing_in(decoder.precision()));
    let head = match architecture.logit_softcap {
        None => head,
        Some(cap) => head.and_then(|head| head.with_logit_softcap(cap)),
    };
    head.expect("a decoder's configuration was checked when it was made")
}

/// The head that makes distributions of a source's hidden states, frozen, on `device`; `None` for
/// targets that need none.
pub(crate) fn head_for(
    source: &dyn TrainingSource,
    device: &Device,
) -> Result<Option<Head>, DistillError> {
    let Some(stored) = source.teacher_head()? else {
        return Ok(None);
    };
    let shape = [stored.vocab_size(), stored.width()];
    let rows = TensorData::new(stored.weight().to_vec(), shape);
    let rows = Tensor::<2>::from_data(rows, &device.clone().without_autodiff());
    let mut head = Head::new(rows.transpose()).with_logit_scale(stored.logit_scale())?;
    if let Some(cap) = stored.logit_softcap() {
        head = head.with_logit_softcap(cap)?;
    }
    Ok(Some(head))
}
