//! The reliability diagram: how often a prediction is right, over how sure the model was.

use super::super::ReportError;
use super::super::model::{Calibration, Report};
use super::axis::Axis;
use super::palette::Ink;
use super::plot::{Figure, Mark, Plot, Weight};

const HEIGHT: u32 = 420;
const SMALLEST_RADIUS: f64 = 1.8;
const LARGEST_RADIUS: f64 = 7.0;

/// Accuracy over confidence for each model; `None` where no bin holds a token.
///
/// Dots grow in area with the tokens of their bin; empty bins have no accuracy and no dot.
pub(crate) fn reliability_diagram(report: &Report) -> Result<Option<Figure>, ReportError> {
    let counts = report
        .calibration
        .iter()
        .flat_map(|c| &c.bins)
        .map(|bin| bin.count);
    let largest = counts.max().unwrap_or(0);
    if largest == 0 {
        return Ok(None);
    }
    let diagonal = Mark::Line {
        points: vec![(0.0, 0.0), (1.0, 1.0)],
        ink: Ink::Reference,
        weight: Weight::Guide,
    };
    let models = report
        .calibration
        .iter()
        .flat_map(|model| model_marks(model, largest));
    let marks = std::iter::once(diagonal).chain(models).collect();
    let title = "Reliability";
    let plot = Plot {
        title,
        height: HEIGHT,
        x: Axis::unit(),
        y: Axis::unit(),
        marks,
    };
    let note = "On the dashed diagonal a model is as often right as it is sure; below it, \
                it is too sure. Larger dots hold more tokens."
        .to_owned();
    let axes = "accuracy of the most probable token over its probability".to_owned();
    Ok(Some(Figure {
        title,
        axes,
        svg: plot.svg()?,
        note,
    }))
}

/// One model's line and dots; `largest` is the count of the fullest bin of all models.
fn model_marks(model: &Calibration, largest: u64) -> Vec<Mark> {
    let ink = Ink::from(model.arm);
    let bins: Vec<_> = model.bins.iter().filter(|bin| bin.count > 0).collect();
    let points = bins
        .iter()
        .map(|bin| (bin.confidence, bin.accuracy))
        .collect();
    let mut marks = vec![Mark::Line {
        points,
        ink,
        weight: Weight::Strong,
    }];
    marks.extend(bins.iter().map(|bin| {
        let share = (bin.count as f64 / largest as f64).sqrt();
        let radius = SMALLEST_RADIUS + (LARGEST_RADIUS - SMALLEST_RADIUS) * share;
        Mark::Dot {
            at: (bin.confidence, bin.accuracy),
            ink,
            radius,
        }
    }));
    marks
}
