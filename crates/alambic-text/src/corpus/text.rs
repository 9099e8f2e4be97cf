//! Documents of a text file, divided by a separator.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Trim, check_byte_order_mark, open_file, read_failed};
use crate::document::{Document, DocumentSource, SourcedDocument};
use crate::error::TextError;

const CHUNK_BYTES: usize = 64 * 1024;

/// Reads a text file in chunks and cuts it at the separators.
#[derive(Debug)]
pub(super) struct TextReader {
    path: PathBuf,
    file: File,
    separator: Vec<u8>,
    trim: Trim,
    /// Bytes of the file from `buffer_offset` on; those before `document_start` are done with.
    buffer: Vec<u8>,
    buffer_offset: u64,
    document_start: usize,
    /// No separator starts in `buffer[document_start..scanned]`.
    scanned: usize,
    at_end: bool,
    record: u64,
    skipped_empty: u64,
}

impl TextReader {
    pub(super) fn open(path: &Path, separator: &str, trim: Trim) -> Result<Self, TextError> {
        let mut reader = Self {
            path: path.to_owned(),
            file: open_file(path)?,
            separator: separator.as_bytes().to_vec(),
            trim,
            buffer: Vec::new(),
            buffer_offset: 0,
            document_start: 0,
            scanned: 0,
            at_end: false,
            record: 0,
            skipped_empty: 0,
        };
        reader.read_chunk()?;
        check_byte_order_mark(path, &reader.buffer)?;
        Ok(reader)
    }

    pub(super) fn skipped_empty(&self) -> u64 {
        self.skipped_empty
    }

    pub(super) fn next_document(&mut self) -> Result<Option<SourcedDocument>, TextError> {
        while let Some(piece) = self.next_piece()? {
            let text = match self.trim {
                Trim::Whitespace => piece.trim().to_owned(),
                Trim::Keep => piece,
            };
            if text.is_empty() {
                self.skipped_empty += 1;
                continue;
            }
            self.record += 1;
            return Ok(Some(SourcedDocument {
                document: Document::Text(text),
                source: DocumentSource {
                    path: self.path.clone(),
                    record: self.record,
                },
            }));
        }
        Ok(None)
    }

    /// Everything up to the next separator or the file's end, and `None` behind the end.
    fn next_piece(&mut self) -> Result<Option<String>, TextError> {
        loop {
            if let Some(end) = self.find_separator() {
                let piece = self.decode(end)?;
                self.document_start = end + self.separator.len();
                self.scanned = self.document_start;
                return Ok(Some(piece));
            }
            if self.at_end {
                let end = self.buffer.len();
                if self.document_start == end {
                    return Ok(None);
                }
                let piece = self.decode(end)?;
                self.document_start = end;
                self.scanned = end;
                return Ok(Some(piece));
            }
            self.read_chunk()?;
        }
    }

    fn find_separator(&mut self) -> Option<usize> {
        let first = *self.separator.first()?;
        while self.scanned + self.separator.len() <= self.buffer.len() {
            let unscanned = &self.buffer[self.scanned..];
            let Some(candidate) = unscanned.iter().position(|&byte| byte == first) else {
                self.scanned = self.buffer.len();
                return None;
            };
            self.scanned += candidate;
            if self.buffer[self.scanned..].starts_with(&self.separator) {
                return Some(self.scanned);
            }
            if self.scanned + self.separator.len() > self.buffer.len() {
                // The separator may continue in the next chunk.
                return None;
            }
            self.scanned += 1;
        }
        None
    }

    fn decode(&self, end: usize) -> Result<String, TextError> {
        let bytes = &self.buffer[self.document_start..end];
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(TextError::InvalidUtf8 {
                path: self.path.clone(),
                byte_offset: self.buffer_offset
                    + (self.document_start + error.valid_up_to()) as u64,
            }),
        }
    }

    /// Drops the bytes of earlier documents and appends a chunk of the file.
    fn read_chunk(&mut self) -> Result<(), TextError> {
        self.buffer.drain(..self.document_start);
        self.buffer_offset += self.document_start as u64;
        self.scanned -= self.document_start;
        self.document_start = 0;
        let mut chunk = Read::by_ref(&mut self.file).take(CHUNK_BYTES as u64);
        let read = chunk
            .read_to_end(&mut self.buffer)
            .map_err(|source| read_failed(&self.path, source))?;
        self.at_end = read == 0;
        Ok(())
    }
}
