//! Putting objects, none of which is ever replaced.

use std::io::{self, Write};

use bytes::Bytes;
use object_store::{Error, PutMode, PutOptions, PutPayload};

use super::{ObjectFile, ObjectStorage, failure};
use crate::CacheError;
use crate::write_once_dir::{Hold, Sink};

/// The name of the object by which a writer announces itself, and the start of those with a label.
pub(super) const WRITER_OBJECT: &str = "writer";
/// How often a put is repeated that the store refused for a name that then turned out to be free:
/// two conditional puts of one name at the same time may both be refused.
const MOST_PUTS: usize = 8;

/// Bytes in memory until they are put.
struct Buffer(Vec<u8>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Buffer {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectStorage {
    /// Leaves word of a writer, and makes sure that the store refuses to replace an object.
    pub(crate) fn announce(&self, hold: &Hold) -> Result<(), CacheError> {
        let name = match hold {
            Hold::Alone => WRITER_OBJECT.to_owned(),
            Hold::Beside(label) => format!("{WRITER_OBJECT}-{label}"),
        };
        for _ in 0..2 {
            match self.create(&name, Bytes::new()) {
                Ok(()) => {}
                Err(Error::AlreadyExists { .. }) => return Ok(()),
                Err(error) => return Err(self.error(&name, "write", failure::of(&error))),
            }
        }
        let source = io::Error::new(
            io::ErrorKind::Unsupported,
            "the store replaced an object that it was asked not to replace: it has no conditional \
             puts (If-None-Match), on which writers rely",
        );
        Err(self.error(&name, "keep", source))
    }

    /// The labels of the writers beside others that have announced themselves.
    pub(crate) fn labels(&self) -> Result<Vec<String>, CacheError> {
        let names = self.list()?.into_keys();
        let labels = names.filter_map(|name| {
            let label = name.strip_prefix(WRITER_OBJECT)?.strip_prefix('-')?;
            Some(label.to_owned())
        });
        Ok(labels.collect())
    }

    /// Puts an object if there is none of that name; one with the same bytes is as good.
    ///
    /// An answer may be lost after the store has done what it was asked, and the request be
    /// repeated: what is found then is this writer's own.
    pub(crate) fn put_if_absent(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn Sink) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        let exists = || CacheError::AlreadyExists {
            path: self.url_of(name).into(),
        };
        if self.size(name)?.is_some() {
            return Err(exists());
        }
        let mut buffer = Buffer(Vec::new());
        write(&mut buffer)?;
        let bytes = Bytes::from(buffer.0);
        let mut refusal = None;
        for _ in 0..MOST_PUTS {
            match self.create(name, bytes.clone()) {
                Ok(()) => return Ok(()),
                Err(error @ Error::AlreadyExists { .. }) => refusal = Some(error),
                Err(error) => return Err(self.error(name, "write", failure::of(&error))),
            }
            match self.equals(name, &bytes)? {
                Some(true) => return Ok(()),
                Some(false) => return Err(exists()),
                None => {}
            }
        }
        let refusal = refusal.expect("every turn of the loop left one");
        Err(self.error(name, "write", failure::of(&refusal)))
    }

    /// Whether an object has these bytes; `None` if it is absent.
    fn equals(&self, name: &str, bytes: &[u8]) -> Result<Option<bool>, CacheError> {
        match self.size(name)? {
            None => return Ok(None),
            Some(found) if found != bytes.len() as u64 => return Ok(Some(false)),
            Some(_) => {}
        }
        let file = ObjectFile::new(self.clone(), name.to_owned(), bytes.len() as u64);
        let same = file.equals(bytes);
        same.map(Some)
            .map_err(|source| self.error(name, "read", source))
    }

    fn create(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        let key = self.key(name);
        let options = PutOptions::from(PutMode::Create);
        self.ask(|store| async move {
            let payload = PutPayload::from(bytes);
            store.put_opts(&key, payload, options).await.map(drop)
        })
    }
}
