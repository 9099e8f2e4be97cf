//! What a capture in progress is to become: known once a writer has seen the end of the corpus.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::held_storage::HeldStorage;
use crate::layout::EXTENT_FILE;
use crate::storage::Storage;
use crate::{CacheError, CacheSpec, FORMAT_VERSION};

/// The content of `extent.json`, equal for all writers of one cache.
///
/// The first writer that reaches the end of the corpus puts it, every later one compares. From
/// then on anyone can tell which shards are missing, without the corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extent {
    format_version: u32,
    pub(crate) spec: CacheSpec,
    pub(crate) num_shards: usize,
}

impl Extent {
    pub(crate) fn of(spec: &CacheSpec, num_shards: usize) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            spec: spec.clone(),
            num_shards,
        }
    }

    /// The extent of a cache, if a writer has put it.
    pub(crate) fn read(storage: &Storage) -> Result<Option<Self>, CacheError> {
        let json = storage.read(EXTENT_FILE)?;
        let path = storage.path_of(EXTENT_FILE);
        json.map(|json| Self::parse(&json, &path)).transpose()
    }

    fn parse(json: &[u8], path: &Path) -> Result<Self, CacheError> {
        let path = || path.to_owned();
        let extent: Self = serde_json::from_slice(json).map_err(|source| {
            let path = path();
            CacheError::ExtentJson { path, source }
        })?;
        if extent.format_version != FORMAT_VERSION {
            return Err(CacheError::UnknownVersion {
                path: path(),
                expected: FORMAT_VERSION,
                found: extent.format_version.to_string(),
            });
        }
        extent.spec.validate()?;
        Ok(extent)
    }

    /// Puts the extent if it is absent; refuses one that is there and differs.
    pub(crate) fn put(&self, held: &HeldStorage) -> Result<(), CacheError> {
        let storage = held.storage();
        let mut json =
            serde_json::to_string_pretty(self).expect("a struct of numbers and strings is JSON");
        json.push('\n');
        let outcome = held.put_if_absent(EXTENT_FILE, |sink| {
            sink.write_all(json.as_bytes())
                .map_err(storage.refused(EXTENT_FILE, "write"))
        });
        let path = match outcome {
            Err(CacheError::AlreadyExists { path }) => path,
            outcome => return outcome,
        };
        let found = Self::read(storage)?.ok_or_else(|| CacheError::Unfinished {
            path: storage.root(),
        })?;
        self.spec.expect_same(&found.spec, &path)?;
        if self.num_shards != found.num_shards {
            return Err(CacheError::ExtentMismatch {
                path,
                expected: self.num_shards,
                found: found.num_shards,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;
    use crate::write_once_dir::Hold;
    use crate::{ValueType, sample};

    #[test]
    fn every_writer_must_come_to_the_same_extent() {
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::open(temporary.path()).unwrap();
        let dir = storage.hold(Hold::Alone).unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        assert_eq!(Extent::read(&storage).unwrap(), None);
        let extent = Extent::of(&spec, 5);
        extent.put(&dir).unwrap();
        extent.put(&dir).unwrap();
        assert_eq!(Extent::read(&storage).unwrap(), Some(extent));

        let error = Extent::of(&spec, 6).put(&dir).unwrap_err().to_string();
        assert!(
            error.contains("extent.json counts 5 shards, this capture comes to 6"),
            "{error}"
        );
        let other = sample::spec(ValueType::F32, 8);
        let outcome = Extent::of(&other, 5).put(&dir);
        assert!(
            matches!(
                outcome,
                Err(CacheError::SpecMismatch {
                    field: "targets",
                    ..
                })
            ),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_damaged_extent_is_an_error_with_its_path() {
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::open(temporary.path()).unwrap();
        for json in ["", "{}", "{\"format_version\": 1, \"num_shards\": -1}"] {
            fs::write(storage.path_of(EXTENT_FILE), json).unwrap();
            let error = Extent::read(&storage).unwrap_err();
            assert!(matches!(error, CacheError::ExtentJson { .. }), "{error}");
            assert!(error.to_string().contains(EXTENT_FILE), "{error}");
        }
    }
}
