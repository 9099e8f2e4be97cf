//! Answer accuracy by family of problems, as grouped bars.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::ReportError;
use super::super::model::{FamilyAccuracy, Report};
use super::super::quantity::{self, KeepLines};
use super::palette::Ink;
use super::plot::{Canvas, DrawError, FONT_SCALE, Figure, TEXT, UNIT, WIDTH, draw_svg};

// All lengths in drawing units.
const BAR: i32 = 10 * UNIT as i32;
const BAR_PITCH: i32 = 13 * UNIT as i32;
const NAME: i32 = 19 * UNIT as i32;
const GROUP_GAP: i32 = 14 * UNIT as i32;
const SCALE_HEIGHT: i32 = 24 * UNIT as i32;
const VALUE_TEXT: u32 = 11 * UNIT;
const VALUES_WIDTH: i32 = 54 * UNIT as i32;
/// Distance of the scale's ends from the edges, so that the labels of 0 and 100% fit.
const INSET: i32 = 10 * UNIT as i32;

/// 97.5% quantile of the standard normal distribution: intervals of 95%.
const NORMAL_QUANTILE: f64 = 1.959_964;

/// Accuracy of teacher, student and baseline for each family; `None` where none was asked.
pub(crate) fn accuracy_by_family(report: &Report) -> Result<Option<Figure>, ReportError> {
    let families = &report.accuracy_by_family;
    if families.is_empty() {
        return Ok(None);
    }
    let bars = 2 + usize::from(families.iter().any(|family| family.baseline.is_some()));
    let group = NAME + BAR_PITCH * bars as i32 + GROUP_GAP;
    let height = group * families.len() as i32 + SCALE_HEIGHT;
    let title = "Answer accuracy by family";
    let size = (WIDTH * UNIT, height as u32);
    let svg = draw_svg(title, size, |root| {
        draw_scale(root, height)?;
        for (i, family) in families.iter().enumerate() {
            draw_family(root, family, group * i as i32, bars)?;
        }
        Ok(())
    })?;
    let note = "In parentheses the number of problems. Dashed: accuracy of guessing. \
                Whiskers: 95% Wilson interval."
        .to_owned();
    let axes = "share of problems answered exactly".to_owned();
    Ok(Some(Figure {
        title,
        axes,
        svg,
        note,
    }))
}

/// The pixel column of a fraction.
fn column(fraction: f64) -> i32 {
    let width = (WIDTH * UNIT) as i32 - VALUES_WIDTH - 2 * INSET;
    INSET + (fraction.clamp(0.0, 1.0) * f64::from(width)).round() as i32
}

fn text(anchor: HPos, size: u32) -> TextStyle<'static> {
    let font = ("sans-serif", f64::from(size) * FONT_SCALE).into_font();
    font.color(&Ink::Text.color())
        .pos(Pos::new(anchor, VPos::Center))
}

fn draw_scale(root: &Canvas<'_>, height: i32) -> Result<(), DrawError> {
    let bottom = height - SCALE_HEIGHT;
    for percent in [0, 25, 50, 75, 100] {
        let x = column(f64::from(percent) / 100.0);
        let style = Ink::Grid.color().stroke_width(UNIT);
        root.draw(&PathElement::new(vec![(x, 0), (x, bottom)], style))?;
        let at = (x, bottom + SCALE_HEIGHT / 2);
        root.draw(&Text::new(
            format!("{percent}%"),
            at,
            text(HPos::Center, TEXT),
        ))?;
    }
    Ok(())
}

fn draw_family(
    root: &Canvas<'_>,
    family: &FamilyAccuracy,
    top: i32,
    bars: usize,
) -> Result<(), DrawError> {
    let name = quantity::visible(&family.family, KeepLines::No);
    let name = format!("{name} ({})", quantity::whole(family.problems));
    root.draw(&Text::new(
        name,
        (column(0.0), top + NAME / 2),
        text(HPos::Left, TEXT),
    ))?;
    let first = top + NAME;
    let accuracies = [
        (Ink::Teacher, Some(family.teacher)),
        (Ink::Distilled, Some(family.student)),
        (Ink::HardLabels, family.baseline),
    ];
    for (i, (ink, accuracy)) in accuracies.into_iter().enumerate() {
        if let Some(accuracy) = accuracy {
            draw_bar(
                root,
                ink,
                first + BAR_PITCH * i as i32,
                accuracy,
                family.problems,
            )?;
        }
    }
    let x = column(family.chance);
    let bottom = first + BAR_PITCH * bars as i32;
    let ground = Ink::Paper.color().stroke_width(4 * UNIT);
    root.draw(&PathElement::new(vec![(x, first), (x, bottom)], ground))?;
    for y in (first..bottom).step_by(5 * UNIT as usize) {
        let end = (y + 3 * UNIT as i32).min(bottom);
        let style = Ink::Text.color().stroke_width(UNIT * 3 / 2);
        root.draw(&PathElement::new(vec![(x, y), (x, end)], style))?;
    }
    Ok(())
}

fn draw_bar(
    root: &Canvas<'_>,
    ink: Ink,
    top: i32,
    accuracy: f64,
    problems: u64,
) -> Result<(), DrawError> {
    let corners = [(column(0.0), top), (column(accuracy), top + BAR)];
    root.draw(&Rectangle::new(corners, ink.color().filled()))?;
    let middle = top + BAR / 2;
    if let Some((low, high)) = wilson_interval(accuracy, problems) {
        let style = Ink::Text.color().stroke_width(UNIT);
        let (low, high) = (column(low), column(high));
        let cap = 2 * UNIT as i32;
        for line in [
            [(low, middle), (high, middle)],
            [(low, middle - cap), (low, middle + cap)],
            [(high, middle - cap), (high, middle + cap)],
        ] {
            root.draw(&PathElement::new(line.to_vec(), style))?;
        }
    }
    let at = ((WIDTH * UNIT) as i32, middle);
    root.draw(&Text::new(
        quantity::percent(accuracy),
        at,
        text(HPos::Right, VALUE_TEXT),
    ))
}

/// The 95% score interval of a fraction of `trials` (Wilson 1927); `None` for no trials.
fn wilson_interval(fraction: f64, trials: u64) -> Option<(f64, f64)> {
    if trials == 0 || !(0.0..=1.0).contains(&fraction) {
        return None;
    }
    let n = trials as f64;
    let z2 = NORMAL_QUANTILE * NORMAL_QUANTILE;
    let center = (fraction + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let spread = (fraction * (1.0 - fraction) / n + z2 / (4.0 * n * n)).sqrt();
    let half = NORMAL_QUANTILE * spread / (1.0 + z2 / n);
    Some((center - half, center + half))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_wilson_interval_solves_its_defining_equation() {
        let (low, high) = wilson_interval(0.7, 50).unwrap();
        for bound in [low, high] {
            let z = (0.7 - bound) / (bound * (1.0 - bound) / 50.0).sqrt();
            assert!((z.abs() - NORMAL_QUANTILE).abs() < 1e-9, "{bound}");
        }
        assert!(low < 0.7 && 0.7 < high);
        assert_eq!(wilson_interval(0.5, 0), None);
        assert!(wilson_interval(0.0, 20).unwrap().0.abs() < 1e-12);
    }
}
