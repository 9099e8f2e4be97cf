//! `[optimizer]`: how gradients become steps.

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;

/// The `[optimizer]` section; every value is written out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerSection {
    /// Which optimizer.
    pub kind: OptimizerKind,
    /// Peak learning rate, after the warm-up.
    pub learning_rate: f64,
    /// Decay of the running mean and of the running square, each in `[0, 1)`.
    pub betas: [f64; 2],
    /// Added to the root of the running square.
    pub epsilon: f64,
    /// Decoupled weight decay per unit of learning rate.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm when they exceed it.
    pub max_gradient_norm: f64,
}

/// The optimizers a recipe can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).
    #[serde(rename = "adamw")]
    AdamW,
}

impl OptimizerSection {
    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        checker.positive("optimizer.learning_rate", self.learning_rate);
        for (index, beta) in self.betas.into_iter().enumerate() {
            let key = format!("optimizer.betas.{index}");
            checker.require(
                checker.is_fraction(beta),
                Problem::new(
                    &key,
                    "a number of at least 0 and below 1",
                    format!("{beta:?}"),
                ),
            );
        }
        checker.positive("optimizer.epsilon", self.epsilon);
        checker.not_negative("optimizer.weight_decay", self.weight_decay);
        checker.positive("optimizer.max_gradient_norm", self.max_gradient_norm);
    }
}
