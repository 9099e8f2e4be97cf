//! Where soft labels come from.

mod decoder_teacher;

use burn::tensor::{Device, Int, Tensor};

pub use decoder_teacher::DecoderTeacher;

use crate::loss::{Head, LogProbs};

/// A language model that is distilled: token ids in, distributions out.
///
/// A teacher lives on its own device, without autodiff; what it returns stays there.
pub trait Teacher {
    /// Identifies the weights and their configuration: lower-case hex SHA-256.
    fn fingerprint(&self) -> &str;

    /// Number of trainable numbers, each shared tensor counted once.
    fn num_parameters(&self) -> usize;

    /// Number of tokens in the vocabulary.
    fn vocab_size(&self) -> usize;

    /// The longest sequence it can read.
    fn max_sequence_tokens(&self) -> usize;

    /// Where it computes.
    fn device(&self) -> &Device;

    /// What it can answer.
    fn capabilities(&self) -> TeacherCapabilities;

    /// Log-probabilities of the next token at every position, causally.
    ///
    /// # Shapes
    /// `[batch, seq]` → `[batch, seq, vocab]`. Rows may be padded on the right: a position never
    /// sees what follows it.
    fn log_probs(&self, token_ids: Tensor<2, Int>) -> LogProbs;

    /// The last hidden state at every position, which [`head`](Self::head) reads: `[batch, seq]` →
    /// `[batch, seq, hidden]`; `None` unless [`TeacherCapabilities::hidden_states`].
    fn hidden_states(&self, token_ids: Tensor<2, Int>) -> Option<Tensor<3>> {
        let _ = token_ids;
        None
    }

    /// The output projection; `None` unless [`TeacherCapabilities::hidden_states`].
    fn head(&self) -> Option<Head> {
        None
    }
}

/// What a teacher can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TeacherCapabilities {
    /// Whether it gives the whole distribution, at any temperature.
    pub dense: bool,
    /// Whether it gives its last hidden states and its head, of which the whole distribution is made.
    pub hidden_states: bool,
}

impl TeacherCapabilities {
    /// A teacher whose whole distribution can be read.
    pub fn dense() -> Self {
        Self {
            dense: true,
            hidden_states: false,
        }
    }

    /// A teacher of which both can be read.
    pub fn dense_and_hidden_states() -> Self {
        Self {
            hidden_states: true,
            ..Self::dense()
        }
    }
}
