//! A store in memory that misbehaves as real ones do, and counts what is read.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_core::Stream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

type BoxStream<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Does what it is asked, and says that the name was taken.
    LosesAnswers,
    /// Says that the name is taken when it is not, the first time it is asked for each.
    RefusesFirstPuts,
    /// Has no conditional puts, and does not say so.
    Replaces,
    /// Answers nothing, and talks of a signed URL.
    Refuses,
}

#[derive(Debug)]
pub(super) struct FaultyStore {
    inner: InMemory,
    fault: Mutex<Fault>,
    refused: Mutex<Vec<Path>>,
    bytes_read: AtomicU64,
}

impl FaultyStore {
    pub(super) fn new(fault: Fault) -> Self {
        Self {
            inner: InMemory::new(),
            fault: Mutex::new(fault),
            refused: Mutex::new(Vec::new()),
            bytes_read: AtomicU64::new(0),
        }
    }

    pub(super) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// How many bytes of objects are sent while `act` runs.
    pub(super) fn bytes_read_by(&self, act: impl FnOnce()) -> u64 {
        let before = self.bytes_read.load(Ordering::SeqCst);
        act();
        self.bytes_read.load(Ordering::SeqCst) - before
    }

    fn check(&self) -> Result<Fault> {
        match *self.fault.lock().unwrap() {
            Fault::Refuses => Err(Error::Generic {
                store: "test",
                source: "GET https://host/container?sig=hunter22 failed".into(),
            }),
            fault => Ok(fault),
        }
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a faulty store")
    }
}

fn taken(path: &Path) -> Error {
    Error::AlreadyExists {
        path: path.to_string(),
        source: "412".into(),
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        match self.check()? {
            Fault::Replaces => options.mode = PutMode::Overwrite,
            Fault::RefusesFirstPuts => {
                let mut refused = self.refused.lock().unwrap();
                if !refused.contains(path) {
                    refused.push(path.clone());
                    return Err(taken(path));
                }
            }
            Fault::LosesAnswers => {
                self.inner.put_opts(path, payload, options).await?;
                return Err(taken(path));
            }
            Fault::None | Fault::Refuses => {}
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        let is_head = options.head;
        let result = self.inner.get_opts(path, options).await?;
        if !is_head {
            let Range { start, end } = result.range;
            self.bytes_read.fetch_add(end - start, Ordering::SeqCst);
        }
        Ok(result)
    }

    fn delete_stream(&self, paths: BoxStream<Result<Path>>) -> BoxStream<Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
