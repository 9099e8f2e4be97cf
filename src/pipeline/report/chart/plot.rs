//! A plot of two quantities: lines and dots between two axes.

use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;

use super::super::ReportError;
use super::super::page::escape;
use super::axis::Axis;
use super::palette::Ink;

/// Drawing units per pixel of layout: `plotters` knows whole units only.
pub(super) const UNIT: u32 = 4;
/// Size of tick labels in drawing units.
pub(super) const TEXT: u32 = 12 * UNIT;
/// `plotters` divides font sizes by this number.
pub(super) const FONT_SCALE: f64 = 1.24;

pub(super) type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// A chart and what the page says about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    /// What is drawn.
    pub(crate) title: &'static str,
    /// What the axes mean.
    pub(crate) axes: String,
    /// The drawing, an `<svg>` element.
    pub(crate) svg: String,
    /// How to read it; empty where it needs no words.
    pub(crate) note: String,
}

/// Opacity of faint lines.
const FAINT: f64 = 0.28;

/// How strongly a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Faint,
    Strong,
    /// Thin and broken: for orientation.
    Guide,
}

/// Something to draw, in values of the quantities.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    Line {
        points: Vec<(f64, f64)>,
        ink: Ink,
        weight: Weight,
    },
    /// A dot with its radius in pixels of layout.
    Dot {
        at: (f64, f64),
        ink: Ink,
        radius: f64,
    },
}

/// A plot of `height` pixels at the common width.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) height: u32,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) marks: Vec<Mark>,
}

/// Width of every chart in pixels of layout.
pub(super) const WIDTH: u32 = 480;

impl Plot {
    pub(super) fn svg(&self) -> Result<String, ReportError> {
        let size = (WIDTH * UNIT, self.height * UNIT);
        draw_svg(self.title, size, |root| self.draw(root))
    }

    fn draw(&self, root: &Canvas<'_>) -> Result<(), DrawError> {
        let label_width = TEXT * 2 / 3 * self.y.widest_label_chars() as u32 + 12 * UNIT;
        let mut chart = ChartBuilder::on(root)
            .margin_top(8 * UNIT)
            .margin_right(18 * UNIT)
            .x_label_area_size(26 * UNIT)
            .y_label_area_size(label_width)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let font = ("sans-serif", f64::from(TEXT) * FONT_SCALE).into_font();
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(Ink::Grid.color().stroke_width(UNIT))
            .light_line_style(TRANSPARENT)
            .axis_style(Ink::Reference.color().stroke_width(UNIT))
            .label_style(font.color(&Ink::Text.color()))
            .set_all_tick_mark_size(4 * UNIT)
            .draw()?;
        for mark in &self.marks {
            match mark {
                Mark::Line {
                    points,
                    ink,
                    weight: Weight::Guide,
                } => {
                    let style = ink.color().stroke_width(UNIT);
                    let (dash, gap) = (4 * UNIT, 4 * UNIT);
                    let points = points.iter().copied();
                    chart.draw_series(DashedLineSeries::new(points, dash, gap, style))?;
                }
                Mark::Line {
                    points,
                    ink,
                    weight,
                } => {
                    let style = match weight {
                        Weight::Faint => ink.color().mix(FAINT).stroke_width(UNIT),
                        _ => ink.color().stroke_width(2 * UNIT),
                    };
                    chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
                }
                Mark::Dot { at, ink, radius } => {
                    let radius = (radius * f64::from(UNIT)).round() as u32;
                    let dot = Circle::new(*at, radius, ink.color().filled());
                    chart.draw_series([dot])?;
                }
            }
        }
        Ok(())
    }
}

/// Where charts are drawn.
pub(super) type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws an `<svg>` that scales to its container and says its title to screen readers.
pub(super) fn draw_svg(
    title: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Canvas<'_>) -> Result<(), DrawError>,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let drawn = draw(&root).and_then(|()| root.present());
    drop(root);
    drawn.map_err(|source| ReportError::Chart {
        chart: title.to_owned(),
        source,
    })?;
    let elements = svg.split_once('>').map_or("", |(_, elements)| elements);
    let (width, height) = size;
    Ok(format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">{elements}",
        escape(title)
    ))
}
