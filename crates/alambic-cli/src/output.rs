//! Everything that is printed: results on stdout, failures and progress on stderr.

use std::io::Write;

use serde_json::Value;

use crate::arguments::Command;
use crate::failure;

/// What stdout is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    /// People.
    Text,
    /// Machines: one JSON document.
    Json,
}

/// What a command found, in both formats.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// Lines for people.
    pub(crate) text: String,
    /// The same for machines.
    pub(crate) document: Value,
    /// How good that is.
    pub(crate) verdict: Verdict,
}

/// What the work of a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The command did what was asked.
    Done,
    /// The command found that its input is wrong.
    BadInput,
    /// The command found that what it checked is not as it should be.
    Failed,
}

impl Outcome {
    /// The command did what was asked.
    pub(crate) fn done(text: String, document: Value) -> Self {
        Self {
            text,
            document,
            verdict: Verdict::Done,
        }
    }
}

/// Prints how a command ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: OutputFormat,
}

impl Output {
    /// Prints in `format`.
    pub(crate) fn new(format: OutputFormat) -> Self {
        Self { format }
    }

    /// Prints the outcome or the failure of a command.
    pub(crate) fn print(self, command: &Command, result: &anyhow::Result<Outcome>) {
        if let Err(error) = result {
            progress_line(&failure::describe(error));
        }
        match (self.format, result) {
            (OutputFormat::Text, Ok(outcome)) => {
                to_stdout(&format!("{}\n", outcome.text.trim_end()))
            }
            (OutputFormat::Text, Err(_)) => {}
            (OutputFormat::Json, _) => {
                to_stdout(&format!("{:#}\n", document(command.name(), result)))
            }
        }
    }

    /// Shows a piece of text at once, to people only.
    pub(crate) fn stream(self, piece: &str) {
        if self.format == OutputFormat::Text {
            to_stdout(piece);
        }
    }
}

/// The one document that `--json` prints.
fn document(command: &str, result: &anyhow::Result<Outcome>) -> Value {
    match result {
        Ok(outcome) => serde_json::json!({
            "command": command,
            "status": match outcome.verdict {
                Verdict::Done => "done",
                Verdict::BadInput => "bad_input",
                Verdict::Failed => "failed",
            },
            "result": outcome.document,
        }),
        Err(error) => failure::document(command, error),
    }
}

/// Prints help or a usage error where each belongs.
pub(crate) fn print_usage(error: &clap::Error) {
    if error.print().is_err() {
        progress_line(&error.to_string());
    }
}

/// Prints one line on stderr.
///
/// A stream that nobody reads any more is no reason to stop the work.
pub(crate) fn progress_line(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes to stdout; a reader that went away wants no more.
fn to_stdout(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_document_tells_command_status_and_result() {
        let outcome = Outcome::done("2 shards".into(), serde_json::json!({ "shards": 2 }));
        let printed = document("cache info", &Ok(outcome));
        assert_eq!(
            printed,
            serde_json::json!({ "command": "cache info", "status": "done", "result": { "shards": 2 } })
        );
        let printed = document("run", &Err(anyhow::anyhow!("the disk is full")));
        assert_eq!(printed["status"], "failed");
        assert_eq!(printed["error"], "the disk is full");
    }
}
