//! Axes: the range of a quantity and its labelled ticks.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::super::quantity;

/// Ratio of largest to smallest value above which an axis is logarithmic.
const LOG_RATIO: f64 = 4.0;
/// About how many intervals between ticks.
const INTERVALS: f64 = 5.0;
/// Fewer ticks than this leave a logarithmic axis hard to read.
const FEWEST_TICKS: usize = 4;
/// Where the ticks of a decade lie, and where they lie in a short range.
const SPARSE_MANTISSAS: [f64; 3] = [1.0, 2.0, 5.0];
const DENSE_MANTISSAS: [f64; 7] = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0];
/// Guards ticks that lie on the edge against rounding.
const EDGE: f64 = 1e-9;

/// How values map to positions along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Logarithmic,
}

impl Scale {
    /// The position of a value, before it is fitted to pixels.
    fn position(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.ln(),
        }
    }
}

/// A labelled value of an axis.
#[derive(Debug, Clone, PartialEq)]
struct Tick {
    value: f64,
    label: String,
}

/// The range of a quantity and its ticks: a coordinate of `plotters`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    scale: Scale,
    range: Range<f64>,
    ticks: Vec<Tick>,
}

/// How tick values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Number,
    Percent,
    Count,
}

impl Axis {
    /// Spans `values` from tick to tick on a linear scale.
    pub(super) fn linear(values: impl IntoIterator<Item = f64>, label: Label) -> Self {
        let (low, high) = extent(values);
        let step = nice_step((high - low) / INTERVALS);
        let first = (low / step + EDGE).floor();
        let last = (high / step - EDGE).ceil();
        Self::ticked(first * step..last * step, step, label)
    }

    /// Spans steps from 0 to the last one.
    pub(super) fn steps(last: u64) -> Self {
        let last = last.max(1) as f64;
        let step = nice_step(last / 5.0).max(1.0);
        Self::ticked(0.0..last, step, Label::Count)
    }

    /// Spans 0 to 1 in quarters.
    pub(super) fn unit() -> Self {
        Self::ticked(0.0..1.0, 0.25, Label::Percent)
    }

    /// Logarithmic where all values are positive and span a factor above [`LOG_RATIO`], else linear.
    pub(super) fn positive(values: &[f64]) -> Self {
        let (low, high) = extent(values.iter().copied());
        if low <= 0.0 || high / low < LOG_RATIO {
            return Self::linear(values.iter().copied(), Label::Number);
        }
        let (low, high) = (low * 0.93, high * 1.07);
        let sparse = logarithmic_ticks(low..high, &SPARSE_MANTISSAS);
        let ticks = if sparse.len() >= FEWEST_TICKS {
            sparse
        } else {
            logarithmic_ticks(low..high, &DENSE_MANTISSAS)
        };
        Self {
            scale: Scale::Logarithmic,
            range: low..high,
            ticks,
        }
    }

    pub(super) fn is_logarithmic(&self) -> bool {
        self.scale == Scale::Logarithmic
    }

    /// Length of the longest tick label in characters.
    pub(super) fn widest_label_chars(&self) -> usize {
        self.ticks
            .iter()
            .map(|tick| tick.label.chars().count())
            .max()
            .unwrap_or(0)
    }

    fn ticked(range: Range<f64>, step: f64, label: Label) -> Self {
        let first = (range.start / step - EDGE).ceil() as i64;
        let last = (range.end / step + EDGE).floor() as i64;
        let ticks = (first..=last).map(|i| {
            let value = i as f64 * step;
            Tick {
                value,
                label: label_of(value, step, label),
            }
        });
        Self {
            scale: Scale::Linear,
            ticks: ticks.collect(),
            range,
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let position = |value: f64| self.scale.position(value);
        let (low, high) = (position(self.range.start), position(self.range.end));
        let share = (position(*value) - low) / (high - low);
        start + (share * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|tick| tick.value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|tick| tick.value == *value);
        tick.map_or_else(|| Self::format(value), |tick| tick.label.clone())
    }
}

/// Smallest and largest value; widened where they coincide, `0..1` where there are none.
fn extent(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    let (low, high) = values
        .into_iter()
        .fold(start, |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        (0.0, 1.0)
    } else if high - low <= EDGE * high.abs().max(low.abs()) {
        let margin = (0.05 * high.abs()).max(EDGE);
        (low - margin, high + margin)
    } else {
        (low, high)
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `raw`.
fn nice_step(raw: f64) -> f64 {
    let magnitude = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|m| m * magnitude >= raw * (1.0 - EDGE));
    step.unwrap_or(10.0) * magnitude
}

fn label_of(value: f64, step: f64, label: Label) -> String {
    let decimals = |step: f64| (-step.log10() - EDGE).ceil().max(0.0) as usize;
    match label {
        Label::Number => format!("{value:.*}", decimals(step)),
        Label::Percent if step == 0.25 => format!("{:.0}%", 100.0 * value),
        Label::Percent => format!("{:.*}%", decimals(100.0 * step), 100.0 * value),
        Label::Count if value < 10_000.0 => quantity::whole(value as u64),
        Label::Count => quantity::count(value),
    }
}

/// The multiples of powers of ten that lie in `range`, labelled without superfluous zeros.
fn logarithmic_ticks(range: Range<f64>, mantissas: &[f64]) -> Vec<Tick> {
    let decades = range.start.log10().floor() as i32..=range.end.log10().ceil() as i32;
    let mut ticks = Vec::new();
    for decade in decades {
        for &mantissa in mantissas {
            let value = mantissa * 10f64.powi(decade);
            let fraction_digits = i32::from(mantissa.fract() != 0.0) - decade;
            if range.contains(&value) {
                let label = format!("{value:.*}", fraction_digits.max(0) as usize);
                ticks.push(Tick { value, label });
            }
        }
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn a_linear_axis_ends_on_ticks() {
        let axis = Axis::linear([0.61, 0.873], Label::Percent);
        assert_eq!(labels(&axis), ["60%", "70%", "80%", "90%"]);
        let wide = Axis::linear([0.01, 0.873], Label::Percent);
        assert_eq!(labels(&wide), ["0%", "20%", "40%", "60%", "80%", "100%"]);
        assert!((axis.range.end - 0.9).abs() < 1e-12);
    }

    #[test]
    fn a_wide_positive_range_becomes_logarithmic() {
        let axis = Axis::positive(&[0.17, 6.0]);
        assert_eq!(axis.scale, Scale::Logarithmic);
        assert_eq!(labels(&axis), ["0.2", "0.5", "1", "2", "5"]);
        let short = Axis::positive(&[1.27, 8.3]);
        assert_eq!(labels(&short), ["1.5", "2", "3", "4", "5", "7"]);
        assert_eq!(Axis::positive(&[1.0, 3.0]).scale, Scale::Linear);
        assert_eq!(Axis::positive(&[0.0, 3.0]).scale, Scale::Linear);
    }

    #[test]
    fn degenerate_values_still_give_a_range() {
        for values in [
            vec![],
            vec![0.0],
            vec![3.0, 3.0],
            vec![-2.0],
            vec![1e-30, 1e-30],
        ] {
            let axis = Axis::linear(values.clone(), Label::Number);
            assert!(axis.range.start < axis.range.end, "{values:?} {axis:?}");
            assert!(axis.ticks.len() < 20, "{values:?} {axis:?}");
        }
        assert!(labels(&Axis::steps(0)).len() >= 2);
    }

    #[test]
    fn steps_are_labelled_by_whole_numbers() {
        assert_eq!(labels(&Axis::steps(600)), ["0", "200", "400", "600"]);
        assert_eq!(labels(&Axis::steps(3)), ["0", "1", "2", "3"]);
    }
}
