//! Reports on disk: `report.json` and `report.html` in a run directory.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::finite::check_finite;
use super::model::{OLDEST_SCHEMA_VERSION, Report, SCHEMA_VERSION};
use super::{ReportError, page};
use crate::pipeline::run_directory::write_atomically;

/// Name of the machine-readable report in a run directory.
pub const REPORT_JSON: &str = "report.json";
/// Name of the report for people in a run directory.
pub const REPORT_HTML: &str = "report.html";

impl Report {
    /// Writes `report.html` and then `report.json` into `directory`, which must exist.
    ///
    /// Each file appears whole or not at all; `report.json` comes last, so that where it lies
    /// the page lies too.
    ///
    /// # Errors
    /// [`ReportError::NonFinite`] names a number that JSON cannot hold,
    /// [`ReportError::UnwritableVersion`] a foreign `schema_version`; nothing is written then.
    /// [`ReportError::Io`] if a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), ReportError> {
        let json = self.to_json()?;
        let html = self.to_html()?;
        for (name, content) in [(REPORT_HTML, html), (REPORT_JSON, json)] {
            let path = directory.join(name);
            write_atomically(&path, content.as_bytes())
                .map_err(|source| io_error("write", &path, source))?;
        }
        Ok(())
    }

    /// Reads a `report.json`.
    ///
    /// Numbers come back as `serde_json` reads them: to the last bit or the one before.
    ///
    /// # Errors
    /// [`ReportError::Io`] if the file cannot be read, [`ReportError::SchemaVersion`] if it
    /// follows a newer version of the contract, [`ReportError::Parse`] if it is no report: not
    /// JSON, a field missing, or a key unknown.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let text = fs::read_to_string(path).map_err(|source| io_error("read", path, source))?;
        let parse_error = |source| ReportError::Parse {
            path: path.to_owned(),
            source,
        };
        let head: Head = serde_json::from_str(&text).map_err(parse_error)?;
        if !(OLDEST_SCHEMA_VERSION..=SCHEMA_VERSION).contains(&head.schema_version) {
            return Err(ReportError::SchemaVersion {
                path: path.to_owned(),
                expected: SCHEMA_VERSION,
                found: head.schema_version,
            });
        }
        serde_json::from_str(&text).map_err(parse_error)
    }

    /// The content of `report.json`.
    ///
    /// # Errors
    /// As [`Report::write`], except for the file system.
    pub fn to_json(&self) -> Result<String, ReportError> {
        self.check()?;
        let mut json = serde_json::to_string_pretty(self)
            .map_err(|source| ReportError::Serialize { source })?;
        json.push('\n');
        Ok(json)
    }

    /// The content of `report.html`: one page that needs no other file and no network.
    ///
    /// # Errors
    /// As [`Report::to_json`], and [`ReportError::Chart`] if a chart cannot be drawn.
    pub fn to_html(&self) -> Result<String, ReportError> {
        self.check()?;
        page::render(self)
    }

    fn check(&self) -> Result<(), ReportError> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(ReportError::UnwritableVersion {
                expected: SCHEMA_VERSION,
                found: self.schema_version,
            });
        }
        check_finite(self)
    }
}

/// The version alone, read before the rest: a newer report has keys that this program refuses.
#[derive(Deserialize)]
struct Head {
    schema_version: u32,
}

fn io_error(action: &'static str, path: &Path, source: std::io::Error) -> ReportError {
    ReportError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixture::{bare_report, realistic_report};
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn read_text(text: &str) -> Result<Report, ReportError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(REPORT_JSON);
        fs::write(&path, text).unwrap();
        Report::read(&path)
    }

    #[test]
    fn a_report_reads_back_as_it_was_written() {
        for report in [realistic_report(1), bare_report()] {
            let directory = tempfile::tempdir().unwrap();
            report.write(directory.path()).unwrap();
            assert_eq!(names(directory.path()), [REPORT_HTML, REPORT_JSON]);
            let read = Report::read(&directory.path().join(REPORT_JSON)).unwrap();
            assert!(read == report, "{:?} reads back otherwise", report.title);
        }
    }

    #[test]
    fn a_second_write_replaces_the_first() {
        let directory = tempfile::tempdir().unwrap();
        realistic_report(1).write(directory.path()).unwrap();
        realistic_report(2).write(directory.path()).unwrap();
        let read = Report::read(&directory.path().join(REPORT_JSON)).unwrap();
        assert!(read == realistic_report(2));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let json = realistic_report(1).to_json().unwrap();
        let json = json.replacen("\"perplexity\"", "\"perplexety\"", 1);
        let error = read_text(&json).unwrap_err();
        let ReportError::Parse { source, .. } = error else {
            panic!("{error:?}")
        };
        assert!(source.to_string().contains("perplexety"), "{source}");
    }

    #[test]
    fn another_schema_version_is_refused_before_its_unknown_keys() {
        let error = read_text(r#"{ "schema_version": 3, "novelty": 1 }"#).unwrap_err();
        assert!(
            matches!(error, ReportError::SchemaVersion { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("schema_version 3"), "{error}");
    }

    #[test]
    fn a_report_of_the_version_before_is_read() {
        let mut report = realistic_report(1);
        report.schema_version = 1;
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(read_text(&json).unwrap(), report);
    }

    #[test]
    fn a_report_that_cannot_be_written_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut report = realistic_report(1);
        report.student.nll = f64::NAN;
        let error = report.write(directory.path()).unwrap_err();
        assert!(error.to_string().contains("student.nll is NaN"), "{error}");
        report = realistic_report(1);
        report.schema_version = 9;
        assert!(report.write(directory.path()).is_err());
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_the_file() {
        let error = realistic_report(1)
            .write(Path::new("no/such/directory"))
            .unwrap_err();
        assert!(error.to_string().contains("report.html"), "{error}");
    }
}
