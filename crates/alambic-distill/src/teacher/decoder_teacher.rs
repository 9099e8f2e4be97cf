//! A decoder in this process as the teacher.

use alambic_transformer::{AttentionContext, Checkpoint, Decoder, DecoderConfig, Precision};
use burn::tensor::{Device, Int, Tensor};

use super::{Teacher, TeacherCapabilities};
use crate::loss::{Head, LogProbs};
use crate::teacher_head::decoder_head;

/// A [`Decoder`] that runs in this process, on a plain device.
#[derive(Clone, Debug)]
pub struct DecoderTeacher {
    decoder: Decoder,
    config: DecoderConfig,
    fingerprint: String,
    device: Device,
}

impl DecoderTeacher {
    /// Wraps a decoder whose parameters are on `device`, which must be without autodiff.
    ///
    /// A teacher computes in f32, whatever the decoder did: its fingerprint is that of its weights.
    pub fn new(decoder: Decoder, fingerprint: impl Into<String>, device: &Device) -> Self {
        let decoder = decoder.computing_in(Precision::F32);
        let decoder = decoder.expect("every device computes in f32");
        Self {
            config: decoder.config().clone(),
            decoder,
            fingerprint: fingerprint.into(),
            device: device.clone(),
        }
    }

    /// Wraps a loaded checkpoint.
    pub fn from_checkpoint(checkpoint: Checkpoint, device: &Device) -> Self {
        Self::new(checkpoint.decoder, checkpoint.fingerprint, device)
    }

    /// The model itself.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }
}

impl Teacher for DecoderTeacher {
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn num_parameters(&self) -> usize {
        self.config.num_parameters()
    }

    fn vocab_size(&self) -> usize {
        self.config.vocab_size
    }

    fn max_sequence_tokens(&self) -> usize {
        self.config.max_batched_tokens()
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn capabilities(&self) -> TeacherCapabilities {
        TeacherCapabilities::dense_and_hidden_states()
    }

    fn log_probs(&self, token_ids: Tensor<2, Int>) -> LogProbs {
        let [batch, seq] = token_ids.dims();
        let context = AttentionContext::causal(batch, seq, &self.device);
        LogProbs::from_logits(self.decoder.forward(token_ids, &context))
    }

    fn hidden_states(&self, token_ids: Tensor<2, Int>) -> Option<Tensor<3>> {
        let [batch, seq] = token_ids.dims();
        let context = AttentionContext::causal(batch, seq, &self.device);
        Some(self.decoder.hidden(token_ids, &context))
    }

    fn head(&self) -> Option<Head> {
        Some(decoder_head(&self.decoder))
    }
}
