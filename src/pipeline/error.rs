//! What can go wrong in a run, and whose fault it is.

use std::path::PathBuf;

use alambic_cache::CacheError;
use alambic_distill::DistillError;
use alambic_distill::loss::LossError;
use alambic_eval::EvalError;
use alambic_synth::SynthError;
use alambic_text::TextError;
use alambic_transformer::TransformerError;

use super::recipe::RecipeError;
use super::report::ReportError;

/// An error of a pipeline stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The recipe is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A variant of a study makes the recipe wrong.
    #[error("the study's variant {name:?} makes no valid recipe")]
    Variant {
        /// The name of the variant.
        name: String,
        /// What is wrong with the recipe.
        #[source]
        source: RecipeError,
    },
    /// Text, tokenizer or chat template are wrong.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A checkpoint or a device cannot be used.
    #[error(transparent)]
    Transformer(#[from] TransformerError),
    /// Capture, training or evaluation failed.
    #[error(transparent)]
    Distill(#[from] DistillError),
    /// A benchmark's task, records or questions do not fit.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// Prompts, strategies, answers or their teacher do not fit.
    #[error(transparent)]
    Synth(#[from] SynthError),
    /// A report cannot be written or read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Something the user gave does not fit.
    #[error("{what}: expected {expected}, found {found}; {advice}")]
    Input {
        /// Which file, key or pair of them.
        what: String,
        /// What would fit.
        expected: String,
        /// What is there.
        found: String,
        /// What to do.
        advice: String,
    },
    /// A model could not be fetched from the Hub.
    #[error(
        "cannot fetch {model}; run the same command again to resume, or set HF_HUB_OFFLINE=1 to use what is cached"
    )]
    Hub {
        /// Which model.
        model: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of the run could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The user asked to stop; what is finished is kept.
    #[error("stopped on request during {stage}; run the same command again to continue")]
    Stopped {
        /// The stage that was under way.
        stage: &'static str,
    },
}

impl PipelineError {
    /// Whether the user's input is at fault (exit code 2) rather than the run (exit code 1).
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Transformer(TransformerError::Io { action, .. })
            | Self::Text(TextError::File { action, .. })
            | Self::Report(ReportError::Io { action, .. })
            | Self::Io { action, .. } => is_reading(action),
            Self::Synth(SynthError::File { action, .. }) => is_reading(action),
            Self::Synth(error) => !matches!(
                error,
                SynthError::Endpoint { .. } | SynthError::Locked { .. } | SynthError::Model(_)
            ),
            Self::Recipe(_)
            | Self::Variant { .. }
            | Self::Text(_)
            | Self::Transformer(_)
            | Self::Eval(_)
            | Self::Input { .. } => true,
            Self::Report(error) => matches!(
                error,
                ReportError::Parse { .. } | ReportError::SchemaVersion { .. }
            ),
            Self::Distill(error) => matches!(
                error,
                DistillError::Text(_)
                    | DistillError::SegmentTooLong { .. }
                    | DistillError::NotText { .. }
                    | DistillError::Loss(LossError::Alignment(_))
                    | DistillError::TokenOutOfVocabulary { .. }
                    | DistillError::TeacherMismatch { .. }
                    | DistillError::NotComparable { .. }
                    | DistillError::Empty { .. }
                    | DistillError::CheckpointMismatch { .. }
                    | DistillError::Setting { .. }
            ),
            Self::Cache(error) => matches!(
                error,
                CacheError::Incomplete { .. }
                    | CacheError::Unfinished { .. }
                    | CacheError::NoSegments { .. }
                    | CacheError::UnlikeCaches { .. }
                    | CacheError::Foreign { .. }
                    | CacheError::InvalidSpec { .. }
            ),
            Self::Hub { .. } | Self::Stopped { .. } => false,
        }
    }

    /// An input/output error with its action and path.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}

/// Whether an action reads what the user named: a failure to write is the machine's.
fn is_reading(action: &str) -> bool {
    ["open", "read", "list"].contains(&action)
}
