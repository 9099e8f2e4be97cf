//! An object that is read in parts.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::ObjectStorage;

/// The least that is asked for at once: a footer, or a column of numbers, and what stands beside it.
const LEAST_BYTES: u64 = 1 << 16;
/// The most that is asked for beyond what is needed, when an object is read on and on.
const MOST_BYTES: u64 = 1 << 22;

/// Reads only the ranges asked for, and a little more; cloning shares what was read last.
#[derive(Clone)]
pub(crate) struct ObjectFile(Arc<Inner>);

struct Inner {
    objects: ObjectStorage,
    name: String,
    bytes: u64,
    /// The end of the object, which holds a shard's footer and is read several times.
    tail: Mutex<Option<Window>>,
    last: Mutex<Option<Window>>,
}

/// Some bytes of the object.
#[derive(Clone)]
struct Window {
    start: u64,
    bytes: Bytes,
}

impl Window {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The bytes of `start..end`, if they are all here.
    fn slice(&self, start: u64, end: u64) -> Option<Bytes> {
        let is_inside = self.start <= start && end <= self.end();
        is_inside.then(|| {
            let (from, to) = (start - self.start, end - self.start);
            self.bytes.slice(from as usize..to as usize)
        })
    }
}

impl ObjectFile {
    /// An object of that name, known to have so many bytes.
    pub(super) fn new(objects: ObjectStorage, name: String, bytes: u64) -> Self {
        Self(Arc::new(Inner {
            objects,
            name,
            bytes,
            tail: Mutex::new(None),
            last: Mutex::new(None),
        }))
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.bytes
    }

    /// The bytes from `start` on, some at a time.
    pub(crate) fn reader(&self, start: u64) -> ObjectReader {
        ObjectReader {
            file: self.clone(),
            position: start,
        }
    }

    /// So many bytes from `start` on.
    pub(crate) fn bytes(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let end = start.checked_add(length as u64);
        match end.filter(|&end| end <= self.len()) {
            Some(end) => self.range(start, end),
            // A hostile footer may name any range.
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Whether the object has these bytes, which are as many.
    pub(super) fn equals(&self, bytes: &[u8]) -> io::Result<bool> {
        let mut position = 0;
        for piece in bytes.chunks(MOST_BYTES as usize) {
            if self.bytes(position, piece.len())? != piece {
                return Ok(false);
            }
            position += piece.len() as u64;
        }
        Ok(true)
    }

    /// The bytes of `start..end`, which is inside the object.
    fn range(&self, start: u64, end: u64) -> io::Result<Bytes> {
        let inner = &*self.0;
        let tail_start = inner.bytes.saturating_sub(LEAST_BYTES);
        if start >= tail_start {
            let mut tail = inner.tail.lock().unwrap_or_else(PoisonError::into_inner);
            let window = match tail.take() {
                Some(window) => window,
                None => inner.fetch(tail_start, inner.bytes)?,
            };
            let bytes = window.slice(start, end);
            *tail = Some(window);
            return bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        let mut last = inner.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = last.as_ref().and_then(|window| window.slice(start, end)) {
            return Ok(bytes);
        }
        // Who reads on where the last window ends will read on again.
        let ahead = match last.as_ref() {
            Some(window) if (window.start..=window.end()).contains(&start) => {
                (2 * window.bytes.len() as u64).clamp(LEAST_BYTES, MOST_BYTES)
            }
            _ => LEAST_BYTES,
        };
        let window = inner.fetch(start, end.max(start + ahead).min(inner.bytes))?;
        let bytes = window.slice(start, end);
        *last = Some(window);
        bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Inner {
    fn fetch(&self, start: u64, end: u64) -> io::Result<Window> {
        let bytes = match start == end {
            true => Bytes::new(),
            false => self.objects.read_range(&self.name, start..end)?,
        };
        Ok(Window { start, bytes })
    }
}

/// Reads an object from some position on.
pub(crate) struct ObjectReader {
    file: ObjectFile,
    position: u64,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len().saturating_sub(self.position);
        let length = left.min(buffer.len() as u64) as usize;
        if length == 0 {
            return Ok(0);
        }
        let bytes = self
            .file
            .range(self.position, self.position + length as u64)?;
        buffer[..length].copy_from_slice(&bytes);
        self.position += length as u64;
        Ok(length)
    }
}
