//! Distillation: losses, teachers, capture, a trainer and evaluation.

mod batch;
mod capture;
mod error;
mod evaluate;
pub mod loss;
mod run_lock;
mod seeding;
mod source;
mod stop;
pub mod teacher;
#[cfg(test)]
mod test_device;
mod token_batch;
mod top_k;
pub mod trainer;
mod windows;

pub use batch::{DistillationBatch, SequenceTargets, TargetSequence};
pub use capture::{CaptureConfig, CaptureOutcome, CaptureProgress, capture};
pub use error::DistillError;
pub use evaluate::{CALIBRATION_BINS, CalibrationBin, Evaluation, evaluate};
pub use run_lock::RunLock;
pub use seeding::derive_seed;
pub use source::{PlainText, TrainingSource};
pub use stop::StopHandle;
pub use windows::{DataPosition, Window, WindowConfig, Windows};
