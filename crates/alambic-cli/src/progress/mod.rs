//! Shows what a command is doing, on stderr.

mod plain;
mod terminal;

use std::io::IsTerminal;
use std::sync::Arc;

use alambic::pipeline::Progress;

use self::plain::PlainProgress;
use self::terminal::TerminalProgress;

/// A bar where stderr is a terminal, plain lines everywhere else.
pub(crate) fn for_stderr() -> Arc<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Arc::new(TerminalProgress::new())
    } else {
        Arc::new(PlainProgress::new())
    }
}
