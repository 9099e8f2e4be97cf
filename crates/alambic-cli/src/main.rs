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
    #[cfg(all(feature = "wgpu", target_os = "linux"))]
    set_up_runtime_directory();
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

/// Starts the program again with `XDG_RUNTIME_DIR` set, where it is not.
///
/// wgpu asks for displays as well as for GPUs, and on a machine without any the libraries below it
/// write complaints about that variable to standard error. A process cannot safely change its own
/// variables, so it replaces itself; should that fail, it goes on, and the complaints appear.
#[cfg(all(feature = "wgpu", target_os = "linux"))]
fn set_up_runtime_directory() {
    use std::os::unix::process::CommandExt;
    const VARIABLE: &str = "XDG_RUNTIME_DIR";
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let _failure = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(VARIABLE, std::env::temp_dir())
            .exec();
    }
}
