//! A study as a picture: what a family of targets is worth at how many bytes.

use std::collections::BTreeMap;

use plotters::coord::combinators::LogCoord;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::table::Figure;
use super::{StudiedVariant, Study};
use crate::pipeline::PipelineError;
use crate::pipeline::panels::{Area, DrawError, axis, side_by_side};
use crate::pipeline::report::Ink;

const SIZE: (u32, u32) = (1080, 470);
/// Room at both ends of the axis of bytes, as a factor.
const SIDE_ROOM: f64 = 1.4;
/// Colours of the families (Okabe and Ito 2008), told apart by markers too.
const FAMILY_COLORS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0xF0, 0xE4, 0x42),
    RGBColor(0x00, 0x00, 0x00),
];

type Panel<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogCoord<f64>, RangedCoordf64>>;

/// What each panel shows.
const PANELS: [(&str, Figure); 2] = [
    ("NLL on the test split, nats per token", |run| run.nll),
    ("KL to the teacher, nats per token", |run| run.kl_to_teacher),
];

/// A label at 1, 2 and 5 times a power of ten; more would run into each other.
fn bytes_label(value: &f64) -> String {
    let text = format!("{value:.0}");
    match text.trim_end_matches('0') {
        "1" | "2" | "5" => text,
        _ => String::new(),
    }
}

impl Study {
    /// Mean and standard deviation of the test figures over bytes per token, as an SVG file.
    ///
    /// # Errors
    /// [`ReportError::Chart`](crate::pipeline::report::ReportError::Chart) if it cannot be drawn.
    pub fn plot(&self) -> Result<String, PipelineError> {
        side_by_side(&self.title, SIZE, &PANELS, |area, &(title, figure)| {
            self.draw_panel(area, title, figure)
        })
    }

    /// The variants of each family by size, families in the order in which they are described.
    fn families(&self) -> Vec<(&str, Vec<&StudiedVariant>)> {
        let mut places = BTreeMap::new();
        let mut families: Vec<(&str, Vec<&StudiedVariant>)> = Vec::new();
        for studied in &self.variants {
            let family = studied.variant.family.as_str();
            let place = *places.entry(family).or_insert(families.len());
            if place == families.len() {
                families.push((family, Vec::new()));
            }
            families[place].1.push(studied);
        }
        for (_, members) in &mut families {
            members.sort_by(|a, b| a.bytes_per_token.total_cmp(&b.bytes_per_token));
        }
        families
    }

    /// Everything that the axis of a figure has to reach: means with one deviation up and down.
    fn ends_of_bars(&self, figure: Figure) -> Vec<f64> {
        let names = self.variants.iter();
        let names = names.map(|studied| Some(studied.variant.name.as_str()));
        names
            .chain([None])
            .filter_map(|name| self.statistic(name, figure))
            .flat_map(|found| {
                let deviation = found.standard_deviation.unwrap_or_default();
                [found.mean - deviation, found.mean + deviation]
            })
            .collect()
    }

    fn draw_panel(&self, area: &Area<'_>, title: &str, figure: Figure) -> Result<(), DrawError> {
        let values = axis(self.ends_of_bars(figure).into_iter());
        let bytes = || self.variants.iter().map(|studied| studied.bytes_per_token);
        let left = bytes().fold(f64::INFINITY, f64::min) / SIDE_ROOM;
        let right = bytes().fold(f64::NEG_INFINITY, f64::max) * SIDE_ROOM;
        let text = Ink::Text.color();
        let label = ("sans-serif", 12).into_font().color(&text);
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .caption(title, ("sans-serif", 16).into_font().color(&text))
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d((left..right).log_scale(), values)?;
        chart
            .configure_mesh()
            .x_desc("bytes per token")
            .y_labels(6)
            .y_label_formatter(&|value| format!("{value:.3}"))
            .x_label_formatter(&bytes_label)
            .bold_line_style(Ink::Grid.color())
            .light_line_style(TRANSPARENT)
            .axis_style(Ink::Reference.color())
            .label_style(label.clone())
            .draw()?;
        self.draw_hard_labels(&mut chart, figure, left, right)?;
        for (place, (family, members)) in self.families().into_iter().enumerate() {
            let color = FAMILY_COLORS[place % FAMILY_COLORS.len()];
            self.draw_family(&mut chart, place, family, &members, figure, color)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(Ink::Grid.color())
            .label_font(label)
            .draw()?;
        Ok(())
    }

    fn draw_hard_labels(
        &self,
        chart: &mut Panel<'_, '_>,
        figure: Figure,
        left: f64,
        right: f64,
    ) -> Result<(), DrawError> {
        let Some(hard) = self.statistic(None, figure) else {
            return Ok(());
        };
        let ink = Ink::HardLabels.color();
        let line = [(left, hard.mean), (right, hard.mean)];
        chart
            .draw_series(DashedLineSeries::new(line, 6, 4, ink.stroke_width(2)))?
            .label("hard labels")
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], ink.stroke_width(2)));
        Ok(())
    }

    fn draw_family(
        &self,
        chart: &mut Panel<'_, '_>,
        place: usize,
        family: &str,
        members: &[&StudiedVariant],
        figure: Figure,
        color: RGBColor,
    ) -> Result<(), DrawError> {
        let points: Vec<(f64, f64, f64)> = members
            .iter()
            .filter_map(|studied| {
                let found = self.statistic(Some(&studied.variant.name), figure)?;
                let deviation = found.standard_deviation.unwrap_or_default();
                Some((studied.bytes_per_token, found.mean, deviation))
            })
            .collect();
        let line = points.iter().map(|&(x, mean, _)| (x, mean));
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(family)
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 18, y)], color.stroke_width(2))
            });
        chart.draw_series(points.iter().map(|&(x, mean, deviation)| {
            let ends = vec![(x, mean - deviation), (x, mean + deviation)];
            PathElement::new(ends, color.stroke_width(1))
        }))?;
        if place.is_multiple_of(2) {
            chart.draw_series(
                points
                    .iter()
                    .map(|&(x, mean, _)| Circle::new((x, mean), 4, color.filled())),
            )?;
        } else {
            chart.draw_series(
                points
                    .iter()
                    .map(|&(x, mean, _)| TriangleMarker::new((x, mean), 5, color.filled())),
            )?;
        }
        Ok(())
    }
}
