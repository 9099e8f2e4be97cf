//! Asking a long computation to stop cleanly.

use burn::train::Interrupter;

/// A handle that asks capture or training to save what it has and return.
///
/// Clones share the request; a Ctrl-C handler holds one, the computation another.
#[derive(Clone, Default)]
pub struct StopHandle(Interrupter);

impl StopHandle {
    /// A handle without a request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests the stop. Returns at once.
    pub fn stop(&self) {
        self.0.stop(Some("stop requested"));
    }

    /// Whether a stop was requested.
    pub fn is_stopped(&self) -> bool {
        self.0.should_stop()
    }

    pub(crate) fn interrupter(&self) -> Interrupter {
        self.0.clone()
    }
}

impl std::fmt::Debug for StopHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StopHandle")
            .field("stopped", &self.is_stopped())
            .finish()
    }
}
