//! The safetensors files of a checkpoint: one file, or shards and their index.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::header::{Header, read_header};
use super::tensor_reader::{FloatType, Layout, read_values};
use crate::error::TransformerError;

/// Name of the weights of an unsharded checkpoint.
pub(super) const SINGLE_FILE: &str = "model.safetensors";
/// Name of the index of a sharded checkpoint.
pub(super) const INDEX_FILE: &str = "model.safetensors.index.json";

/// The open weight files of one directory.
#[derive(Debug)]
pub(super) struct WeightFiles {
    files: Vec<WeightFile>,
    /// Index into `files`, by tensor.
    location: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct WeightFile {
    name: String,
    path: PathBuf,
    file: File,
    header: Header,
}

/// `model.safetensors.index.json`; its metadata is not needed.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl WeightFiles {
    /// Opens `model.safetensors`, or else the shards of the index; reads headers only.
    pub(super) fn open(dir: &Path) -> Result<Self, TransformerError> {
        if exists(&dir.join(SINGLE_FILE))? {
            return Self::open_file(dir, SINGLE_FILE);
        }
        let index_path = dir.join(INDEX_FILE);
        if exists(&index_path)? {
            return Self::open_shards(dir, &index_path);
        }
        Err(TransformerError::NoWeights {
            path: dir.to_path_buf(),
        })
    }

    /// Opens one file by its name.
    pub(super) fn open_file(dir: &Path, name: &str) -> Result<Self, TransformerError> {
        let file = WeightFile::open(dir, name)?;
        let location = file.header.tensors.keys().map(|name| (name.clone(), 0));
        Ok(Self {
            location: location.collect(),
            files: vec![file],
        })
    }

    fn open_shards(dir: &Path, index_path: &Path) -> Result<Self, TransformerError> {
        let index = read_index(index_path)?;
        let mut shards: Vec<&str> = index.weight_map.values().map(String::as_str).collect();
        shards.sort_unstable();
        shards.dedup();
        let files = shards
            .iter()
            .map(|shard| WeightFile::open(dir, shard))
            .collect::<Result<Vec<_>, _>>()?;

        let mut problems = Vec::new();
        let mut location = BTreeMap::new();
        for (number, file) in files.iter().enumerate() {
            for tensor in file.header.tensors.keys() {
                if index.weight_map.get(tensor) != Some(&file.name) {
                    problems.push(format!(
                        "`{tensor}` is in {}, which {INDEX_FILE} does not say",
                        file.name
                    ));
                }
                location.insert(tensor.clone(), number);
            }
        }
        for (tensor, shard) in &index.weight_map {
            let held = files
                .iter()
                .any(|file| file.name == *shard && file.header.tensors.contains_key(tensor));
            if !held {
                problems.push(format!(
                    "`{tensor}` is not in {shard}, where {INDEX_FILE} expects it"
                ));
            }
        }
        if !problems.is_empty() {
            return Err(TransformerError::WeightMismatch {
                path: dir.to_path_buf(),
                problems,
            });
        }
        Ok(Self { files, location })
    }

    pub(super) fn file_names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    pub(super) fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.location.keys().map(String::as_str)
    }

    pub(super) fn contains(&self, tensor: &str) -> bool {
        self.location.contains_key(tensor)
    }

    /// What is wrong with a tensor that should have this shape and a readable type.
    pub(super) fn mismatch(&self, tensor: &str, shape: &[usize]) -> Option<String> {
        let Some(&number) = self.location.get(tensor) else {
            return Some(format!("missing tensor `{tensor}` of shape {shape:?}"));
        };
        let entry = &self.files[number].header.tensors[tensor];
        if entry.shape != shape {
            return Some(format!(
                "tensor `{tensor}` has shape {:?}, expected {shape:?}",
                entry.shape
            ));
        }
        match FloatType::named(&entry.dtype) {
            Some(_) => None,
            None => Some(format!(
                "tensor `{tensor}` has type {}, expected F32, F16 or BF16",
                entry.dtype
            )),
        }
    }

    /// Reads one tensor, found flawless by [`mismatch`](Self::mismatch), as f32; or some of its rows.
    pub(super) fn read(
        &mut self,
        tensor: &str,
        rows: Option<Range<usize>>,
        layout: Layout,
    ) -> Result<Vec<f32>, TransformerError> {
        let number = self.location[tensor];
        self.files[number].read(tensor, rows, layout)
    }
}

fn exists(path: &Path) -> Result<bool, TransformerError> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(TransformerError::Io {
            action: "open",
            path: path.to_path_buf(),
            source,
        }),
    }
}

fn read_index(path: &Path) -> Result<Index, TransformerError> {
    let text = std::fs::read(path).map_err(|source| TransformerError::Io {
        action: "read",
        path: path.to_path_buf(),
        source,
    })?;
    let index: Index = serde_json::from_slice(&text).map_err(|source| TransformerError::Json {
        path: path.to_path_buf(),
        source,
    })?;
    match index
        .weight_map
        .iter()
        .find(|(_, shard)| !is_plain_file_name(shard))
    {
        None => Ok(index),
        Some((tensor, shard)) => Err(TransformerError::ShardName {
            path: path.to_path_buf(),
            tensor: tensor.clone(),
            shard: shard.clone(),
        }),
    }
}

/// Whether a name stays in its own directory, on every operating system.
fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let single = matches!(components.next(), Some(Component::Normal(part)) if part == name)
        && components.next().is_none();
    single && !name.contains(['/', '\\', ':', '\0'])
}

impl WeightFile {
    fn open(dir: &Path, name: &str) -> Result<Self, TransformerError> {
        let path = dir.join(name);
        let io = |source| TransformerError::Io {
            action: "open",
            path: path.clone(),
            source,
        };
        let mut file = File::open(&path).map_err(io)?;
        let file_bytes = file.metadata().map_err(io)?.len();
        let header =
            read_header(&mut file, file_bytes).map_err(|problem| TransformerError::WeightFile {
                path: path.clone(),
                problem,
            })?;
        Ok(Self {
            name: name.to_string(),
            path,
            file,
            header,
        })
    }

    fn read(
        &mut self,
        tensor: &str,
        rows: Option<Range<usize>>,
        layout: Layout,
    ) -> Result<Vec<f32>, TransformerError> {
        let entry = &self.header.tensors[tensor];
        let entry = match rows {
            None => entry.clone(),
            Some(rows) => entry.rows(rows),
        };
        let start = self.header.data_start + entry.range.start;
        self.file
            .seek(SeekFrom::Start(start))
            .and_then(|_| read_values(&mut self.file, &entry, layout))
            .map_err(|source| TransformerError::Io {
                action: "read",
                path: self.path.clone(),
                source,
            })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_stay_in_their_directory() {
        assert!(is_plain_file_name("model-00001-of-00002.safetensors"));
        for name in [
            "",
            ".",
            "..",
            "/etc/passwd",
            "a/b",
            "a/",
            "../a",
            "./a",
            "a\\b",
            "C:a",
            "a\0",
        ] {
            assert!(!is_plain_file_name(name), "{name:?}");
        }
    }
}
