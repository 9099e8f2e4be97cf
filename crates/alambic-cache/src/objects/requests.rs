//! Asynchronous requests for a synchronous crate.

use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::thread;

use object_store::Error;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread with a runtime of its own; any thread may wait for its answers, one inside another
/// runtime included.
pub(super) struct Requests {
    handle: Handle,
    /// Ends the thread when it is dropped.
    _alive: oneshot::Sender<()>,
}

impl Requests {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("alambic-objects".into())
            .spawn(move || {
                // An error is what tells the end: the sender is gone.
                let _ = runtime.block_on(ended);
            })?;
        Ok(Self {
            handle,
            _alive: alive,
        })
    }

    /// What a request comes to.
    pub(super) fn wait_for<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answers) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // The receiver waits below until this is sent.
            let _ = answer.send(request.await);
        });
        answers.recv().unwrap_or_else(|_| {
            Err(Error::Generic {
                store: "alambic",
                source: "a request ended without an answer".into(),
            })
        })
    }
}
