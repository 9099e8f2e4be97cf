//! Ctrl-C: the first one asks the work to stop cleanly, the second one ends it.

use alambic::distill::StopHandle;
use anyhow::Context;

use crate::output;

/// The exit code of a program ended by Ctrl-C: 128 plus the number of the signal.
const ENDED_BY_CTRL_C: i32 = 130;

/// A handle that the first Ctrl-C stops; call it once.
pub(crate) fn stop_on_ctrl_c() -> anyhow::Result<StopHandle> {
    let stop = StopHandle::new();
    let handle = stop.clone();
    ctrlc::set_handler(move || {
        if handle.is_stopped() {
            std::process::exit(ENDED_BY_CTRL_C);
        }
        handle.stop();
        output::progress_line("stopping after the current step; press Ctrl-C again to end at once");
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}
