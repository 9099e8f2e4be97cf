//! Which answers are right, and which of them are kept.

mod agreement;
mod answer_check;
mod rubric;
mod selection;
mod verdict;

pub use agreement::Agreement;
pub use answer_check::{AnswerCheck, WithoutReference};
pub use rubric::{Rubric, shipped_rubric, shipped_rubrics};
pub use selection::{Keep, select};
pub use verdict::{CheckKind, Verdict};
