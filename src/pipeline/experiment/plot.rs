//! An experiment as a picture: every seed as a dot, mean and standard deviation beside them.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::table::{Figure, ROWS};
use super::{Contender, Experiment};
use crate::pipeline::PipelineError;
use crate::pipeline::panels::{Area, DrawError, axis, side_by_side};
use crate::pipeline::report::Ink;

const SIZE: (u32, u32) = (1080, 360);

type Panel<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What each panel shows.
const PANELS: [(&str, Figure); 3] = [
    ("NLL, nats per token", |run| Some(run.nll)),
    ("KL to the teacher, nats per token", |run| run.kl_to_teacher),
    ("top-1 agreement", |run| run.top1_agreement),
];

impl Experiment {
    /// The test figures of every seed, side by side, as an SVG file.
    ///
    /// # Errors
    /// [`ReportError::Chart`](crate::pipeline::report::ReportError::Chart) if it cannot be drawn.
    pub fn plot(&self) -> Result<String, PipelineError> {
        let is_measured =
            |(_, figure): &&(&str, Figure)| self.runs.iter().any(|run| figure(run).is_some());
        let panels: Vec<_> = PANELS.iter().filter(is_measured).copied().collect();
        side_by_side(&self.title, SIZE, &panels, |area, &(title, figure)| {
            self.draw_panel(area, title, figure)
        })
    }

    fn draw_panel(&self, area: &Area<'_>, title: &str, figure: Figure) -> Result<(), DrawError> {
        let values = axis(self.runs.iter().filter_map(figure));
        let low = values.start;
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .caption(
                title,
                ("sans-serif", 16).into_font().color(&Ink::Text.color()),
            )
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..ROWS.len() as f64, values)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .y_labels(6)
            .y_label_formatter(&|value| format!("{value:.3}"))
            .bold_line_style(Ink::Grid.color())
            .light_line_style(TRANSPARENT)
            .axis_style(Ink::Reference.color())
            .label_style(("sans-serif", 12).into_font().color(&Ink::Text.color()))
            .draw()?;
        let color = Ink::Text.color();
        for (column, (contender, name)) in ROWS.iter().enumerate() {
            self.draw_contender(&mut chart, column as f64 + 0.5, *contender, figure)?;
            let style = TextStyle::from(("sans-serif", 12).into_font())
                .color(&color)
                .pos(Pos::new(HPos::Center, VPos::Top));
            let (x, y) = chart.backend_coord(&(column as f64 + 0.5, low));
            let (first, second) = name.split_once(", ").unwrap_or((name, ""));
            let (left, top) = area.get_base_pixel();
            for (line, text) in [first, second].into_iter().enumerate() {
                let at = (x - left, y - top + 8 + 15 * line as i32);
                area.draw(&Text::new(text, at, style.clone()))?;
            }
        }
        Ok(())
    }

    fn draw_contender(
        &self,
        chart: &mut Panel<'_, '_>,
        x: f64,
        contender: Contender,
        figure: Figure,
    ) -> Result<(), DrawError> {
        let ink = Ink::from(contender.arm()).color();
        let runs = self.runs.iter().filter(|run| run.contender == contender);
        let dot = |value| Circle::new((x - 0.12, value), 4, ink.mix(0.55).filled());
        chart.draw_series(runs.filter_map(figure).map(dot))?;
        let Some(statistic) = self.statistic(contender, figure) else {
            return Ok(());
        };
        let (mean, deviation) = (
            statistic.mean,
            statistic.standard_deviation.unwrap_or_default(),
        );
        let x = x + 0.12;
        let line = |from: (f64, f64), to: (f64, f64)| {
            PathElement::new(vec![from, to], ink.stroke_width(2))
        };
        chart.draw_series([
            line((x, mean - deviation), (x, mean + deviation)),
            line((x - 0.05, mean - deviation), (x + 0.05, mean - deviation)),
            line((x - 0.05, mean + deviation), (x + 0.05, mean + deviation)),
        ])?;
        chart.draw_series([Circle::new((x, mean), 5, ink.filled())])?;
        Ok(())
    }
}
