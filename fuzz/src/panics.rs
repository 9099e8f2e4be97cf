//! Panics that are contained, and those that are not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Runs a check of code that contains panics of its dependencies, and ends the process if one escapes.
///
/// libFuzzer's own hook ends the process at every panic, contained or not. This one notes what the panic says and
/// where it was; a backtrace would take more memory than a small file may.
pub fn only_escaping_panics(check: impl FnOnce()) {
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = panic.to_string();
        }
    }));
    if catch_unwind(AssertUnwindSafe(check)).is_err() {
        let last = LAST_PANIC.lock().map(|last| last.clone());
        eprintln!("{}", last.unwrap_or_default());
        std::process::abort();
    }
}
