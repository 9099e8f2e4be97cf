//! What the entries mean that a truncated teacher does not store.

use serde::{Deserialize, Serialize};

use super::{Divergence, LossError};

/// What `K < V` stored entries say about the other `V − K` tokens.
///
/// Every choice but the first makes a *different loss*: it is 0 for another student than the one
/// that equals the teacher, or for more students than that one. With `K = V` all are the same.
///
/// | treatment | outcomes | teacher | student | forward KL of a student that equals the teacher |
/// |---|---|---|---|---|
/// | `TailBucket` | K + 1 | `p, p_tail` | `q, q_tail` | 0 |
/// | `ZeroFill` | K + 1 | `p, 0` | `q, q_tail` | `Σₖ p ln (p ÷ q) = 0`, but inflated students get less than 0 |
/// | `RenormaliseTeacher` | K + 1 | `p ÷ Σₖ p, 0` | `q, q_tail` | `−ln Σₖ p` |
/// | `RenormaliseBoth` | K | `p ÷ Σₖ p` | `q ÷ Σₖ q` | 0, like that of every student with these ratios |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TailTreatment {
    /// One more outcome, "any other token", on both sides: the divergence of the coarse-grained
    /// distributions, a lower bound of the full one. The default.
    #[default]
    TailBucket,
    /// The teacher has no mass outside of its entries, which do not add up to 1. The best student
    /// inflates every stored probability by `1 ÷ Σₖ p`.
    ZeroFill,
    /// The stored probabilities are divided by their sum; the student is not. The same best
    /// student as under [`TailTreatment::ZeroFill`].
    RenormaliseTeacher,
    /// Both are divided by their sums over the stored tokens: the student's mass on all others
    /// costs nothing.
    RenormaliseBoth,
}

impl TailTreatment {
    /// The word that stands in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Self::TailBucket => "tail_bucket",
            Self::ZeroFill => "zero_fill",
            Self::RenormaliseTeacher => "renormalise_teacher",
            Self::RenormaliseBoth => "renormalise_both",
        }
    }

    /// That a divergence has a finite value under this treatment.
    ///
    /// # Errors
    /// [`LossError::NoTeacherMass`]
    pub fn check(self, divergence: &(impl Divergence + ?Sized)) -> Result<(), LossError> {
        let has_teacher_mass = matches!(self, Self::TailBucket | Self::RenormaliseBoth);
        if has_teacher_mass || !divergence.needs_teacher_mass() {
            return Ok(());
        }
        Err(LossError::NoTeacherMass {
            divergence: divergence.name(),
            treatment: self.name(),
        })
    }
}
