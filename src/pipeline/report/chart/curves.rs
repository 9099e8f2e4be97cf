//! Curves over optimizer steps: training loss and the three validation figures.

use super::super::ReportError;
use super::super::model::{Curve, Report, ValidationPoint};
use super::axis::{Axis, Label};
use super::palette::Ink;
use super::plot::{Figure, Mark, Plot, WIDTH, Weight};

const HEIGHT: u32 = 290;
/// The smoothing averages over about this fraction of the logged steps on either side.
const SMOOTHING_RATIO: f64 = 0.02;
const DOT_RADIUS: f64 = 3.2;

type Points = Vec<(f64, f64)>;

/// Training loss of both arms: each logged step faint, a centred mean strong.
///
/// `None` where no training step was logged.
pub(crate) fn training_loss(report: &Report) -> Result<Option<Figure>, ReportError> {
    let losses: Vec<f64> = report
        .curves
        .iter()
        .flat_map(|curve| &curve.train)
        .map(|point| point.loss)
        .collect();
    if losses.is_empty() {
        return Ok(None);
    }
    let y = Axis::positive(&losses);
    let axes = axes("weighted objective per token", &y);
    let title = "Training loss";
    let marks = training_marks(report);
    let plot = Plot {
        title,
        height: HEIGHT,
        x: Axis::steps(last_step(report)),
        y,
        marks,
    };
    let longest = report
        .curves
        .iter()
        .map(|curve| curve.train.len())
        .max()
        .unwrap_or(0);
    let note = format!(
        "Each arm minimises its own objective, so compare the arms on validation. Faint: every \
         logged step; strong: centred mean of {}.",
        2 * smoothing_reach(longest) + 1
    );
    Ok(Some(Figure {
        title,
        axes,
        svg: plot.svg()?,
        note,
    }))
}

/// The faint lines of all arms, then the strong ones above them.
fn training_marks(report: &Report) -> Vec<Mark> {
    let (mut faint, mut strong) = (Vec::new(), Vec::new());
    for curve in &report.curves {
        let points: Points = curve
            .train
            .iter()
            .map(|p| (p.step as f64, p.loss))
            .collect();
        let smooth = centred_mean(&points, smoothing_reach(points.len()));
        let ink = Ink::from(curve.arm);
        let points = extremes_per_column(points);
        faint.push(Mark::Line {
            points,
            ink,
            weight: Weight::Faint,
        });
        strong.extend(strong_line(curve, smooth));
    }
    faint.append(&mut strong);
    faint
}

/// Negative log-likelihood on the validation tokens.
pub(crate) fn validation_nll(report: &Report) -> Result<Option<Figure>, ReportError> {
    let scale = |values: &[f64]| Axis::positive(values);
    validation(
        report,
        "Validation NLL",
        "nats per token, lower is better",
        scale,
        |p| Some(p.nll),
    )
}

/// KL(teacher ‖ student) on the validation tokens.
pub(crate) fn validation_kl(report: &Report) -> Result<Option<Figure>, ReportError> {
    let scale = |values: &[f64]| Axis::positive(values);
    let axes = "nats per token, lower is better";
    validation(report, "KL to the teacher", axes, scale, |p| {
        p.kl_to_teacher
    })
}

/// Agreement with the teacher on the most probable token.
pub(crate) fn validation_agreement(report: &Report) -> Result<Option<Figure>, ReportError> {
    let scale = |values: &[f64]| Axis::linear(values.iter().copied(), Label::Percent);
    let axes = "share of tokens, higher is better";
    validation(
        report,
        "Top-1 agreement with the teacher",
        axes,
        scale,
        |p| p.top1_agreement,
    )
}

fn validation(
    report: &Report,
    title: &'static str,
    meaning: &str,
    scale: fn(&[f64]) -> Axis,
    figure: fn(&ValidationPoint) -> Option<f64>,
) -> Result<Option<Figure>, ReportError> {
    let values: Vec<f64> = report
        .curves
        .iter()
        .flat_map(|c| &c.validation)
        .filter_map(figure)
        .collect();
    if values.is_empty() {
        return Ok(None);
    }
    let y = scale(&values);
    let axes = axes(meaning, &y);
    let marks = validation_marks(report, figure);
    let plot = Plot {
        title,
        height: HEIGHT,
        x: Axis::steps(last_step(report)),
        y,
        marks,
    };
    Ok(Some(Figure {
        title,
        axes,
        svg: plot.svg()?,
        note: String::new(),
    }))
}

/// A line with a dot for each validation.
fn validation_marks(report: &Report, figure: fn(&ValidationPoint) -> Option<f64>) -> Vec<Mark> {
    let mut marks = Vec::new();
    for curve in &report.curves {
        let at = |p: &ValidationPoint| Some((p.step as f64, figure(p)?));
        let points: Points = curve.validation.iter().filter_map(at).collect();
        let (ink, radius) = (Ink::from(curve.arm), DOT_RADIUS);
        marks.extend(points.iter().map(|&at| Mark::Dot { at, ink, radius }));
        marks.push(Mark::Line {
            points,
            ink,
            weight: Weight::Strong,
        });
    }
    marks
}

fn axes(meaning: &str, y: &Axis) -> String {
    let scale = if y.is_logarithmic() {
        ", log scale"
    } else {
        ""
    };
    format!("{meaning}{scale}, over optimizer steps")
}

/// A line; a dot where a single point makes none.
fn strong_line(curve: &Curve, points: Points) -> Vec<Mark> {
    let ink = curve.arm.into();
    match points[..] {
        [at] => vec![Mark::Dot {
            at,
            ink,
            radius: DOT_RADIUS,
        }],
        _ => vec![Mark::Line {
            points,
            ink,
            weight: Weight::Strong,
        }],
    }
}

fn last_step(report: &Report) -> u64 {
    let steps = |curve: &Curve| {
        let train = curve.train.iter().map(|p| p.step);
        train.chain(curve.validation.iter().map(|p| p.step)).max()
    };
    report.curves.iter().filter_map(steps).max().unwrap_or(0)
}

fn smoothing_reach(points: usize) -> usize {
    (points as f64 * SMOOTHING_RATIO).round() as usize
}

/// Centred mean over `reach` neighbours on either side.
///
/// Near the start, where losses fall steeply, both sides shrink alike; near the end only the
/// side that runs out does, so that the last value is no single noisy step.
fn centred_mean(points: &[(f64, f64)], reach: usize) -> Points {
    let last = points.len().saturating_sub(1);
    let mean = |i: usize| {
        let back = reach.min(i);
        let ahead = back.min(last - i);
        let window = &points[i - back..=i + ahead];
        window.iter().map(|point| point.1).sum::<f64>() / window.len() as f64
    };
    points
        .iter()
        .enumerate()
        .map(|(i, point)| (point.0, mean(i)))
        .collect()
}

/// Keeps the lowest and highest point of each pixel column: the drawing stays the same.
fn extremes_per_column(points: Points) -> Points {
    let per_column = points.len().div_ceil(WIDTH as usize);
    if per_column <= 2 {
        return points;
    }
    let extremes = |column: &[(f64, f64)]| {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let low = column.iter().min_by(by_value).copied();
        let high = column.iter().max_by(by_value).copied();
        let mut pair: Points = low.into_iter().chain(high).collect();
        pair.sort_by(|a, b| a.0.total_cmp(&b.0));
        pair
    };
    points.chunks(per_column).flat_map(extremes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centred_mean_follows_a_straight_line_until_its_window_runs_out() {
        let line: Points = (0..50)
            .map(|i| (f64::from(i), 3.0 - f64::from(i)))
            .collect();
        let means = centred_mean(&line, 10);
        for ((_, mean), (x, y)) in means.iter().zip(&line).take(40) {
            assert!((mean - y).abs() < 1e-12, "{x}");
        }
        let last_eleven = line[39..].iter().map(|point| point.1).sum::<f64>() / 11.0;
        assert!((means[49].1 - last_eleven).abs() < 1e-12);
        assert!(centred_mean(&[], 3).is_empty());
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let mut points: Points = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        points[7_123].1 = 9.0;
        points[44].1 = -3.0;
        let thinned = extremes_per_column(points);
        assert!(thinned.len() <= 2 * WIDTH as usize);
        assert!(thinned.contains(&(7_123.0, 9.0)) && thinned.contains(&(44.0, -3.0)));
        assert!(thinned.is_sorted_by(|a, b| a.0 <= b.0));
    }
}
