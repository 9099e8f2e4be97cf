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

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of some requests that want to begin at once may begin, by a clock that only moves when all wait.
    async fn starts(pace: &Pace, count: usize) -> Vec<u64> {
        let beginning = Instant::now();
        let mut starts = Vec::new();
        for _ in 0..count {
            pace.turn().await;
            starts.push(beginning.elapsed().as_millis() as u64);
        }
        starts
    }

    fn paused() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime")
    }

    #[test]
    fn requests_are_spaced_evenly_and_held_while_the_server_wants() {
        paused().block_on(async {
            let pace = Pace::new(Some(600));
            assert_eq!(starts(&pace, 4).await, [0, 100, 200, 300]);
            pace.hold(Duration::from_secs(3));
            assert_eq!(starts(&pace, 2).await, [3000, 3100]);
        });
    }

    #[test]
    fn without_a_limit_nothing_waits_but_for_the_server() {
        paused().block_on(async {
            let pace = Pace::new(None);
            assert_eq!(starts(&pace, 3).await, [0, 0, 0]);
            pace.hold(Duration::from_secs(2));
            pace.hold(Duration::from_secs(1));
            assert_eq!(starts(&pace, 1).await, [2000]);
        });
    }
}
