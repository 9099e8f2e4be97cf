//! When the next request may begin.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Spaces requests evenly, and holds them all while the server wants to be left alone.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    /// At most so many requests in a minute.
    pub(super) fn new(requests_per_minute: Option<u32>) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            interval: requests_per_minute.map_or(Duration::ZERO, |count| minute / count),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for one's turn.
    pub(super) async fn turn(&self) {
        loop {
            let turn = *self.next();
            sleep_until(turn).await;
            // It may have been put off meanwhile, or taken.
            let mut next = self.next();
            if *next <= Instant::now() {
                *next = Instant::now() + self.interval;
                return;
            }
        }
    }

    /// Holds all requests that have not begun.
    pub(super) fn hold(&self, wait: Duration) {
        let mut next = self.next();
        *next = (*next).max(Instant::now() + wait);
    }

    fn next(&self) -> MutexGuard<'_, Instant> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
