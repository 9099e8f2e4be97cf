//! What a running stage tells whoever watches.

/// Receives what a stage is doing; the command line draws it, a server may forward it.
///
/// Calls come in this order: [`stage`](Self::stage), then any number of units of work, each
/// [`begin`](Self::begin), [`advance`](Self::advance)..., [`end`](Self::end). A
/// [`note`](Self::note) may come at any time. Implementations must not fail: progress that cannot
/// be shown is dropped, the work goes on.
pub trait Progress: Send + Sync {
    /// A stage starts, such as `capture`; `detail` says what on.
    fn stage(&self, name: &str, detail: &str);

    /// A countable piece of work starts: `total` units, such as `segments` or `steps`; `None` when
    /// the end is not known before it is reached, as with text that is streamed.
    fn begin(&self, unit: &str, total: Option<u64>);

    /// `done` units of the current piece are done in all; `message` holds its latest numbers.
    fn advance(&self, done: u64, message: &str);

    /// The current piece is over.
    fn end(&self);

    /// A line worth keeping, such as the evaluation at a step.
    fn note(&self, line: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn stage(&self, _name: &str, _detail: &str) {}

    fn begin(&self, _unit: &str, _total: Option<u64>) {}

    fn advance(&self, _done: u64, _message: &str) {}

    fn end(&self) {}

    fn note(&self, _line: &str) {}
}
