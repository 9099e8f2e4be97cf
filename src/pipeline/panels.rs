//! Panels side by side: the frame of the pictures of experiments and studies.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::PipelineError;
use super::report::ReportError;

/// Room between the extreme values and the frame, as a share of their distance.
const HEADROOM: f64 = 0.15;

/// Where a panel is drawn.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Why it could not be.
pub(super) type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// An SVG file of panels of equal width, each drawn by `draw`.
pub(super) fn side_by_side<P>(
    title: &str,
    size: (u32, u32),
    panels: &[P],
    draw: impl Fn(&Area<'_>, &P) -> Result<(), DrawError>,
) -> Result<String, PipelineError> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let drawn = || {
        root.fill(&WHITE)?;
        let areas = root.split_evenly((1, panels.len()));
        let mut pairs = areas.iter().zip(panels);
        pairs.try_for_each(|(area, panel)| draw(area, panel))?;
        root.present()
    };
    drawn().map_err(|source| ReportError::Chart {
        chart: title.to_owned(),
        source,
    })?;
    drop(root);
    Ok(svg)
}

/// An axis on which all values have room.
pub(super) fn axis(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let room = HEADROOM * (high - low).max(f64::EPSILON);
    low - room..high + room
}
