//! The command `alambic`: distil small language models from large ones.
//!
//! The binary is glue: it reads arguments, shows progress, calls one function of
//! [`alambic::pipeline`] per command and prints what came back.

mod arguments;
mod commands;
mod failure;
mod interrupt;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Cli;
use crate::output::Output;

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => {
            let output = Output::new(cli.format());
            let result = commands::execute(&cli.command, output, progress::for_stderr());
            output.print(&cli.command, &result);
            result
        }
        Err(error) => {
            output::print_usage(&error);
            Err(error.into())
        }
    };
    ExitCode::from(failure::exit_code(&result))
}
