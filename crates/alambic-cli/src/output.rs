//! Everything that is printed: results on stdout, failures and progress on stderr.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is the work of this file, and of no other"
)]

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
            eprintln!("{}", failure::describe(error));
        }
        match (self.format, result) {
            (OutputFormat::Text, Ok(outcome)) => println!("{}", outcome.text.trim_end()),
            (OutputFormat::Text, Err(_)) => {}
            (OutputFormat::Json, _) => println!("{:#}", document(command.name(), result)),
        }
    }
}

/// The one document that `--json` prints.
fn document(command: &str, result: &anyhow::Result<Outcome>) -> Value {
    match result {
        Ok(outcome) => serde_json::json!({
            "command": command,
            "status": "done",
            "result": outcome.document,
        }),
        Err(error) => failure::document(command, error),
    }
}

/// Prints help or a usage error where each belongs.
pub(crate) fn print_usage(error: &clap::Error) {
    if error.print().is_err() {
        eprintln!("{error}");
    }
}

/// Prints one line of progress.
pub(crate) fn progress_line(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_document_tells_command_status_and_result() {
        let outcome = Outcome {
            text: "2 shards".into(),
            document: serde_json::json!({ "shards": 2 }),
        };
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
