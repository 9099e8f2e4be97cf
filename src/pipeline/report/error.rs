//! What can go wrong with a report.

use std::path::PathBuf;

/// An error of writing, reading or drawing a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A figure is not a finite number, so that JSON could not hold it.
    #[error(
        "report field {field} is {value}, expected a finite number: see the stage that measured it"
    )]
    NonFinite {
        /// Path of the field, such as `curves[0].train[12].loss`.
        field: String,
        /// The value found.
        value: f64,
    },
    /// The file follows another version of the contract.
    #[error(
        "report {path} has schema_version {found}, this program reads versions up to {expected}: \
         use the version of alambic that wrote it"
    )]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// The newest version this program knows.
        expected: u32,
        /// The version found.
        found: u32,
    },
    /// The report to write names another version of the contract.
    #[error(
        "cannot write a report with schema_version {found}, expected {expected}: set it to SCHEMA_VERSION"
    )]
    UnwritableVersion {
        /// The version this program writes.
        expected: u32,
        /// The version found.
        found: u32,
    },
    /// The file is not a report.
    #[error(
        "cannot read {path} as a report: run `alambic run` again, or see docs/report-format.md"
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser found, with line and column where known.
        #[source]
        source: serde_json::Error,
    },
    /// The report could not be turned into JSON.
    #[error("cannot write the report as JSON")]
    Serialize {
        /// What the serialiser found.
        #[source]
        source: serde_json::Error,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A chart could not be drawn.
    #[error("cannot draw the chart {chart:?}")]
    Chart {
        /// Title of the chart.
        chart: String,
        /// What the drawing library said.
        #[source]
        source: plotters::drawing::DrawingAreaErrorKind<std::io::Error>,
    },
}
