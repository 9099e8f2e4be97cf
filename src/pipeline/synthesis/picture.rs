//! A dataset as a picture: what became of the answers under each strategy, and how long those are that were kept.

use std::collections::BTreeMap;

use alambic_synth::{DatasetCard, KindCounts};
use plotters::prelude::*;

use crate::pipeline::PipelineError;
use crate::pipeline::panels::{Area, DrawError, side_by_side};
use crate::pipeline::report::Ink;

const SIZE: (u32, u32) = (1080, 420);
/// Bars of the histogram of lengths.
const BINS: usize = 24;
/// Kept, right but not kept, rejected (Okabe and Ito 2008).
const COLORS: [(&str, RGBColor); 3] = [
    ("kept", RGBColor(0x00, 0x72, 0xB2)),
    ("passed, not kept", RGBColor(0x56, 0xB4, 0xE9)),
    ("rejected", RGBColor(0xE6, 0x9F, 0x00)),
];

#[derive(Clone, Copy)]
enum Panel {
    Strategies,
    Lengths,
}

/// The picture of a dataset as an SVG file; `lengths` are those of the answers that are kept, in characters.
pub(super) fn picture(card: &DatasetCard, lengths: &[usize]) -> Result<String, PipelineError> {
    let panels = [Panel::Strategies, Panel::Lengths];
    side_by_side(&card.name, SIZE, &panels, |area, panel| match panel {
        Panel::Strategies => draw_strategies(area, card),
        Panel::Lengths => draw_lengths(area, lengths),
    })
}

/// The counts of each strategy over all kinds.
fn by_strategy(card: &DatasetCard) -> BTreeMap<&str, KindCounts> {
    let mut strategies: BTreeMap<&str, KindCounts> = BTreeMap::new();
    for (name, counts) in card.kinds.values().flatten() {
        let sum = strategies.entry(name).or_default();
        sum.answers += counts.answers;
        sum.passed += counts.passed;
        sum.kept += counts.kept;
    }
    strategies
}

fn draw_strategies(area: &Area<'_>, card: &DatasetCard) -> Result<(), DrawError> {
    let strategies = by_strategy(card);
    let names: Vec<&str> = strategies.keys().copied().collect();
    let most = strategies.values().map(|counts| counts.answers).max();
    let text = Ink::Text.color();
    let label = ("sans-serif", 12).into_font().color(&text);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(
            "Answers by strategy",
            ("sans-serif", 16).into_font().color(&text),
        )
        .x_label_area_size(40)
        .y_label_area_size(170)
        .build_cartesian_2d(
            0.0..most.unwrap_or(1).max(1) as f64 * 1.05,
            // Segments of a range include its end; a range needs two ends.
            (0..names.len().saturating_sub(1).max(1)).into_segmented(),
        )?;
    let name = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(place) => names.get(*place).map_or(String::new(), |it| (*it).into()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_desc("answers")
        .x_label_formatter(&|count| format!("{count:.0}"))
        .y_labels(names.len().max(1))
        .y_label_formatter(&name)
        .bold_line_style(Ink::Grid.color())
        .light_line_style(TRANSPARENT)
        .axis_style(Ink::Reference.color())
        .label_style(label.clone())
        .draw()?;
    for (part, (title, color)) in COLORS.into_iter().enumerate() {
        let bars = strategies.values().enumerate().map(|(place, counts)| {
            let ends = [0, counts.kept, counts.passed, counts.answers].map(|count| count as f64);
            let corners = [
                (ends[part], SegmentValue::Exact(place)),
                (ends[part + 1], SegmentValue::Exact(place + 1)),
            ];
            let mut bar = Rectangle::new(corners, color.filled());
            bar.set_margin(6, 6, 0, 0);
            bar
        });
        chart
            .draw_series(bars)?
            .label(title)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], color.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(Ink::Grid.color())
        .label_font(label)
        .draw()?;
    Ok(())
}

fn draw_lengths(area: &Area<'_>, lengths: &[usize]) -> Result<(), DrawError> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let width = (longest / BINS + 1) as f64;
    let mut counts = [0usize; BINS];
    for &length in lengths {
        counts[(length as f64 / width) as usize] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let text = Ink::Text.color();
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(
            "Lengths of the answers that are kept",
            ("sans-serif", 16).into_font().color(&text),
        )
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..width * BINS as f64, 0.0..most as f64 * 1.05)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_desc("characters")
        .y_desc("answers")
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .bold_line_style(Ink::Grid.color())
        .light_line_style(TRANSPARENT)
        .axis_style(Ink::Reference.color())
        .label_style(("sans-serif", 12).into_font().color(&text))
        .draw()?;
    let bars = counts.iter().enumerate().map(|(bin, &count)| {
        let left = bin as f64 * width;
        let corners = [(left, 0.0), (left + width, count as f64)];
        let mut bar = Rectangle::new(corners, COLORS[0].1.filled());
        bar.set_margin(0, 0, 1, 1);
        bar
    });
    chart.draw_series(bars)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_drawn_of_any_number_of_strategies_and_answers() {
        for strategies in 0..4 {
            let counts = KindCounts {
                answers: 5,
                passed: 3,
                kept: 2,
            };
            let mut card = DatasetCard::new("dataset", &[], &[], &[]);
            let names = (0..strategies).map(|place| (format!("strategy{place}"), counts));
            card.kinds.insert("kind".into(), names.collect());
            let lengths: Vec<usize> = (0..strategies).map(|place| 7 * place).collect();
            let svg = picture(&card, &lengths).unwrap();
            assert_eq!(svg.matches(">\nstrategy").count(), strategies, "{svg}");
        }
    }
}
