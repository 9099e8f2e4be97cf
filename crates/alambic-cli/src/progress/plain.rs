//! Plain lines, for log files and pipes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alambic::pipeline::Progress;

use crate::output;

/// Time between two lines about the same piece of work.
const LINE_EVERY: Duration = Duration::from_secs(3);

/// Prints one line every three seconds, and every note at once.
pub(crate) struct PlainProgress {
    state: Mutex<State>,
    print: Box<dyn Fn(&str) + Send + Sync>,
    now: Box<dyn Fn() -> Duration + Send + Sync>,
}

#[derive(Default)]
struct State {
    stage: String,
    work: Option<Work>,
}

/// A countable piece of work.
struct Work {
    unit: String,
    total: Option<u64>,
    done: u64,
    began: Duration,
    last_line: Duration,
}

impl PlainProgress {
    /// Prints on stderr by the machine's clock.
    pub(crate) fn new() -> Self {
        let start = Instant::now();
        Self::with(
            Box::new(output::progress_line),
            Box::new(move || start.elapsed()),
        )
    }

    fn with(
        print: Box<dyn Fn(&str) + Send + Sync>,
        now: Box<dyn Fn() -> Duration + Send + Sync>,
    ) -> Self {
        Self {
            state: Mutex::default(),
            print,
            now,
        }
    }

    /// The state, also after another thread panicked while it printed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for PlainProgress {
    fn stage(&self, name: &str, detail: &str) {
        let mut state = self.state();
        state.stage = name.into();
        state.work = None;
        (self.print)(&format!("{name}: {detail}"));
    }

    fn begin(&self, unit: &str, total: Option<u64>) {
        let now = (self.now)();
        self.state().work = Some(Work {
            unit: unit.into(),
            total,
            done: 0,
            began: now,
            last_line: now,
        });
    }

    fn advance(&self, done: u64, message: &str) {
        let mut state = self.state();
        let State { stage, work } = &mut *state;
        let Some(work) = work else {
            return;
        };
        work.done = done;
        let now = (self.now)();
        if now.saturating_sub(work.last_line) >= LINE_EVERY {
            work.last_line = now;
            let separator = if message.is_empty() { "" } else { ", " };
            let of_total = work
                .total
                .map_or_else(String::new, |total| format!(" of {total}"));
            let line = format!(
                "{stage}: {done}{of_total} {}{separator}{message}",
                work.unit
            );
            (self.print)(&line);
        }
    }

    fn end(&self) {
        let mut state = self.state();
        if let Some(work) = state.work.take() {
            let elapsed = (self.now)().saturating_sub(work.began);
            (self.print)(&format!(
                "{}: {} {} in {elapsed:.1?}",
                state.stage, work.done, work.unit
            ));
        }
    }

    fn note(&self, line: &str) {
        (self.print)(line);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_line_is_printed_every_three_seconds_and_at_the_end() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let clock = Arc::new(AtomicU64::new(0));
        let (printed, read) = (lines.clone(), clock.clone());
        let progress = PlainProgress::with(
            Box::new(move |line| printed.lock().unwrap().push(line.to_string())),
            Box::new(move || Duration::from_secs(read.load(Ordering::Relaxed))),
        );
        progress.advance(1, "before anything began");
        progress.stage("train", "500 steps");
        progress.begin("steps", Some(500));
        for second in 1..=7 {
            clock.store(second, Ordering::Relaxed);
            progress.advance(second * 10, if second < 5 { "loss 2.5" } else { "" });
        }
        progress.note("step 70: validation 2.31 nats");
        progress.end();
        progress.end();
        assert_eq!(
            *lines.lock().unwrap(),
            [
                "train: 500 steps",
                "train: 30 of 500 steps, loss 2.5",
                "train: 60 of 500 steps",
                "step 70: validation 2.31 nats",
                "train: 70 steps in 7.0s",
            ]
        );
    }
}
