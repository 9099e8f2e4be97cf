//! Distillation: losses, teachers, capture, a trainer and evaluation.
//!
//! ```text
//! segments ─> teacher ─> capture ─> cache ─> windows ─> trainer ─> student ─> evaluate
//! ```
//!
//! 1. A [`teacher::Teacher`] gives log-probabilities; [`teacher::DecoderTeacher`] is one in this process.
//! 2. [`capture()`] writes its targets for a stream of segments into a cache, shard by shard;
//!    [`verify_against_teacher`] asks again about a sample of it.
//! 3. A [`TrainingSource`] is a cache, or [`PlainText`] without a teacher. [`Windows`] draws from it all
//!    sequences of one optimizer step; the order follows from seed and step alone.
//! 4. [`trainer::Trainer`] minimises a [`loss::Objective`] and leaves checkpoints and `metrics.jsonl`.
//! 5. [`evaluate()`] measures a student beside its teacher.
//!
//! The losses of [`loss`] stand alone: they take tensors and give a sum and a count.
//! The facade's `examples/` 01 to 05 show each part in under 100 lines.

mod batch;
mod capture;
mod curriculum;
mod error;
mod evaluate;
mod gradient_fidelity;
mod head_plus_sampled_tail;
mod joined_sources;
pub mod loss;
mod mixture;
mod retokenizer;
mod run_lock;
mod seeding;
mod sequence_targets;
mod source;
mod stop;
pub mod teacher;
mod teacher_check;
mod teacher_head;
#[cfg(test)]
mod test_device;
mod token_batch;
mod token_sampler;
mod top_k;
pub mod trainer;
mod windows;

pub use batch::{DistillationBatch, TargetSequence};
pub use capture::{CaptureConfig, CaptureOutcome, CaptureProgress, capture};
pub use curriculum::Curriculum;
pub use error::DistillError;
pub use evaluate::{CALIBRATION_BINS, CalibrationBin, Evaluation, evaluate};
pub use gradient_fidelity::{GradientFidelity, Teaching, gradient_fidelity};
pub use mixture::Mixture;
pub use retokenizer::{Retokenized, Retokenizer, TextTokenizer, TokenizerPair};
pub use run_lock::RunLock;
pub use seeding::derive_seed;
pub use sequence_targets::SequenceTargets;
pub use source::{InMemoryText, PlainText, StoredTargets, TrainingSource};
pub use stop::StopHandle;
pub use teacher_check::{
    Deviation, Measure, Quantity, QuantityCheck, Spread, TeacherCheck, TeacherCheckConfig,
    verify_against_teacher,
};
pub use teacher_head::hidden_targets;
pub use windows::{DataPosition, Window, WindowConfig, Windows};
