//! The loss that logistic regression minimises, and its minimum.

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use super::logistic_regression::{LogisticRegressionConfig, wrong};
use crate::SynthError;

/// Steps whose curvature L-BFGS remembers.
const REMEMBERED_STEPS: usize = 10;

/// An example, scaled.
pub(crate) struct Row {
    pub(crate) dense: Vec<f64>,
    pub(crate) sparse: Vec<(usize, f64)>,
    pub(crate) label: f64,
}

impl Row {
    /// The logit by weights in the order dense, sparse, bias.
    fn logit(&self, weights: &[f64]) -> f64 {
        let dense: f64 = self.dense.iter().zip(weights).map(|(x, w)| x * w).sum();
        let sparse_weights = &weights[self.dense.len()..];
        let sparse: f64 = self
            .sparse
            .iter()
            .map(|&(column, x)| x * sparse_weights[column])
            .sum();
        dense + sparse + weights[weights.len() - 1]
    }
}

/// The penalised sum of losses, divided by the number of examples.
struct PenalisedLoss<'a> {
    rows: &'a [Row],
    l2: f64,
}

impl CostFunction for PenalisedLoss<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, weights: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        // −(y ln p + (1 − y) ln (1 − p)) = ln (1 + exp(z)) − y z
        let loss = |row: &Row| {
            let z = row.logit(weights);
            z.max(0.0) + (-z.abs()).exp().ln_1p() - row.label * z
        };
        let penalty: f64 = weights[..weights.len() - 1].iter().map(|w| w * w).sum();
        let losses: f64 = self.rows.iter().map(loss).sum();
        Ok((losses + 0.5 * self.l2 * penalty) / self.rows.len() as f64)
    }
}

impl Gradient for PenalisedLoss<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, weights: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        let bias = weights.len() - 1;
        let mut gradient: Vec<f64> = weights.iter().map(|w| self.l2 * w).collect();
        gradient[bias] = 0.0;
        for row in self.rows {
            let error = sigmoid(row.logit(weights)) - row.label;
            let dense = gradient.iter_mut().zip(&row.dense);
            dense.for_each(|(sum, x)| *sum += error * x);
            for &(column, x) in &row.sparse {
                gradient[row.dense.len() + column] += error * x;
            }
            gradient[bias] += error;
        }
        let count = self.rows.len() as f64;
        gradient.iter_mut().for_each(|sum| *sum /= count);
        Ok(gradient)
    }
}

/// The weights of the least loss, in the order dense, sparse, bias.
pub(crate) fn minimised(
    rows: &[Row],
    weights: usize,
    config: &LogisticRegressionConfig,
) -> Result<Vec<f64>, SynthError> {
    let failed = |error: argmin::core::Error| wrong(format!("the fit failed: {error}"));
    let loss = PenalisedLoss {
        rows,
        l2: config.l2,
    };
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), REMEMBERED_STEPS)
        .with_tolerance_grad(config.gradient_tolerance)
        .map_err(failed)?
        .with_tolerance_cost(0.0)
        .map_err(failed)?;
    let result = Executor::new(loss, solver)
        .configure(|state| {
            state
                .param(vec![0.0; weights])
                .max_iters(config.max_iterations)
        })
        .run()
        .map_err(failed)?;
    let best = result.state.get_best_param().cloned().unwrap_or_default();
    let loss = PenalisedLoss {
        rows,
        l2: config.l2,
    };
    let gradient = loss.gradient(&best).map_err(failed)?;
    let norm = gradient.iter().map(|part| part * part).sum::<f64>().sqrt();
    // The solver stops where rounding lets no step improve the loss, which may be just above the tolerance.
    if norm > 10.0 * config.gradient_tolerance {
        let steps = result.state.get_iter();
        return Err(wrong(format!(
            "expected a gradient of at most {:e} after {steps} steps, found {norm:e}; raise max_iterations or l2",
            config.gradient_tolerance
        )));
    }
    Ok(best)
}

/// 1 / (1 + exp(−z)), without overflow.
pub(crate) fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        z.exp() / (1.0 + z.exp())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let rows = [(0.5, 1.0), (-2.0, 0.3), (1.0, 0.0)].map(|(x, label)| Row {
            dense: vec![x],
            sparse: vec![(0, x * x)],
            label,
        });
        let loss = PenalisedLoss {
            rows: &rows,
            l2: 0.7,
        };
        let weights = vec![0.3, -0.8, 0.1];
        let gradient = loss.gradient(&weights).unwrap();
        for index in 0..weights.len() {
            let at = |step: f64| {
                let mut moved = weights.clone();
                moved[index] += step;
                loss.cost(&moved).unwrap()
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((difference - gradient[index]).abs() < 1e-9);
        }
    }
}
