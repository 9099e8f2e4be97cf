//! Reports: what a run measured, for programs, for people and for the terminal.
//!
//! A [`Report`] is the content of `report.json`, a stable and versioned contract
//! (`docs/report-format.md`). [`Report::write`] puts it into a run directory beside
//! `report.html`, one page with charts that needs no other file, no script and no network.
//! [`Report::table`] sets the figures for the terminal, and [`compare`] gathers the reports of
//! several runs into means and standard deviations.
//!
//! ```no_run
//! // Not run: it reads the reports of runs.
//! use std::path::Path;
//!
//! use alambic::pipeline::report::{Report, compare};
//!
//! let first = Report::read(Path::new("runs/seed-1/report.json"))?;
//! let second = Report::read(Path::new("runs/seed-2/report.json"))?;
//! assert!(compare(&[first, second]).table().contains('±'));
//! # Ok::<(), alambic::pipeline::report::ReportError>(())
//! ```

mod chart;
mod comparison;
mod error;
mod finite;
#[cfg(test)]
mod fixture;
mod metric;
mod model;
mod page;
mod quantity;
mod store;
mod summary_table;
mod text_table;

pub(crate) use chart::Ink;
pub use comparison::{Comparison, ComparisonGroup, Statistic, compare};
pub use error::ReportError;
pub use model::{
    Arm, CacheSummary, Calibration, CalibrationBin, Curve, EvaluationSummary, FamilyAccuracy,
    ModelArm, Report, SCHEMA_VERSION, Sample, Stage, StudentMetrics, TeacherMetrics, TrainPoint,
    TrainingCost, ValidationPoint,
};
pub use store::{REPORT_HTML, REPORT_JSON};
