//! Panics of libraries that read files.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Cause;

/// Turns a panic of a library into an error.
///
/// The libraries assert about the content of files in several places; a file is user data, which
/// must not bring the process down.
pub(crate) fn contained<T, E: Into<Box<dyn Error + Send + Sync>>>(
    library: &str,
    action: impl FnOnce() -> Result<T, E>,
) -> Result<T, Cause> {
    match catch_unwind(AssertUnwindSafe(action)) {
        Ok(result) => result.map_err(Cause::new),
        Err(panic) => {
            let reason = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let reason = reason.unwrap_or("no reason given");
            Err(Cause::new(format!("{library} gave up: {reason}")))
        }
    }
}
