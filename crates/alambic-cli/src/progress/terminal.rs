//! A progress bar.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alambic::pipeline::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// Stage, bar, count, time left and the latest numbers.
const BAR_TEMPLATE: &str = "{prefix:>10} [{bar:30}] {human_pos}/{human_len} {msg} ({eta} left)";

/// The same where the end is not known.
const SPINNER_TEMPLATE: &str = "{prefix:>10} {spinner} {human_pos} {msg} ({elapsed})";

/// How often the time left is drawn anew while nothing is reported.
const REDRAW_EVERY: Duration = Duration::from_millis(500);

/// Draws one bar at a time on stderr; lines that stay are printed above it.
pub(crate) struct TerminalProgress {
    state: Mutex<State>,
    target: fn() -> ProgressDrawTarget,
}

struct State {
    stage: String,
    unit: String,
    bar: Option<ProgressBar>,
}

impl TerminalProgress {
    /// Draws on stderr.
    pub(crate) fn new() -> Self {
        Self::drawing_on(ProgressDrawTarget::stderr)
    }

    fn drawing_on(target: fn() -> ProgressDrawTarget) -> Self {
        let state = State {
            stage: String::new(),
            unit: String::new(),
            bar: None,
        };
        Self {
            state: Mutex::new(state),
            target,
        }
    }

    /// The state, also after another thread panicked while it drew.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::progress_line(line)),
            None => output::progress_line(line),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for TerminalProgress {
    fn stage(&self, name: &str, detail: &str) {
        let mut state = self.state();
        state.clear();
        state.stage = name.into();
        state.line(&format!("{name}: {detail}"));
    }

    fn begin(&self, unit: &str, total: Option<u64>) {
        let mut state = self.state();
        state.clear();
        let bar = ProgressBar::with_draw_target(total, (self.target)());
        let template = if total.is_some() {
            BAR_TEMPLATE
        } else {
            SPINNER_TEMPLATE
        };
        let style = ProgressStyle::with_template(template).expect("the templates are constants");
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(state.stage.clone());
        bar.set_message(unit.to_string());
        bar.enable_steady_tick(REDRAW_EVERY);
        state.unit = unit.into();
        state.bar = Some(bar);
    }

    fn advance(&self, done: u64, message: &str) {
        let state = self.state();
        if let Some(bar) = &state.bar {
            bar.set_position(done);
            bar.set_message(match message {
                "" => state.unit.clone(),
                message => format!("{}, {message}", state.unit),
            });
        }
    }

    fn end(&self) {
        let mut state = self.state();
        if let Some(bar) = &state.bar {
            let line = format!(
                "{}: {} {} in {:.1?}",
                state.stage,
                bar.position(),
                state.unit,
                bar.elapsed()
            );
            state.clear();
            state.line(&line);
        }
    }

    fn note(&self, line: &str) {
        self.state().line(line);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn calls_in_any_order_are_shown_without_panic() {
        let progress = TerminalProgress::drawing_on(ProgressDrawTarget::hidden);
        progress.advance(1, "early");
        progress.end();
        progress.stage("capture", "4 shards");
        progress.begin("segments {braces}", None);
        progress.advance(7, "");
        progress.begin("steps", Some(10));
        progress.note("step 5: 2.31 nats");
        progress.advance(20, "loss 2.31");
        progress.end();
        progress.end();
        assert!(progress.state().bar.is_none());
    }
}
