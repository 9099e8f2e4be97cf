//! The charts of the page, as inline SVG drawn by `plotters`.
//!
//! Colours in the SVG are those of the light scheme; `page/report.css` selects elements by
//! colour and swaps them in the dark scheme. Text takes its font from the page.

mod axis;
mod curves;
mod families;
mod palette;
mod plot;
mod reliability;

pub(crate) use curves::{training_loss, validation_agreement, validation_kl, validation_nll};
pub(crate) use families::accuracy_by_family;
pub(crate) use palette::Ink;
pub(crate) use plot::Figure;
pub(crate) use reliability::reliability_diagram;
