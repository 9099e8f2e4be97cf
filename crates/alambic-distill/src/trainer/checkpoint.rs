//! Step checkpoints: whole or absent, verified when read.
//!
//! `step-00000500/` holds `model.bpk`, `optimizer.bpk`, `scheduler.bpk`, `state.json` and, written
//! last, `COMMIT` with the SHA-256 of `state.json`, which in turn lists those of the other files.
//! The directory is filled under a temporary name and renamed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use burn::train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::TrainerConfig;
use super::loss_scale::LossScale;
use crate::{DataPosition, DistillError};

/// Layout of a checkpoint directory; raised when it changes.
const CHECKPOINT_VERSION: u32 = 1;
/// The three records that burn-train hands over.
pub(crate) const PARTS: [&str; 3] = ["model.bpk", "optimizer.bpk", "scheduler.bpk"];

/// What a checkpoint knows besides the records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointState {
    pub(crate) version: u32,
    pub(crate) step: u64,
    pub(crate) tokens: u64,
    pub(crate) seconds: f64,
    pub(crate) position: DataPosition,
    pub(crate) best: Option<BestStep>,
    pub(crate) evaluations_without_improvement: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) loss_scale: Option<LossScale>,
    pub(crate) identity: RunIdentity,
    pub(crate) files: BTreeMap<String, String>,
}

/// The step with the lowest validation NLL.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestStep {
    /// 1-based optimizer step.
    pub step: u64,
    /// Its validation NLL in nats per token.
    pub nll: f64,
}

/// What must be equal for a checkpoint to continue a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunIdentity {
    pub(crate) config: TrainerConfig,
    pub(crate) student: alambic_transformer::DecoderConfig,
    /// The adapters that are trained, if nothing else is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lora: Option<alambic_transformer::LoraConfig>,
    pub(crate) data: String,
    /// Fingerprints of the teachers that answer while the student trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) teacher: Option<String>,
}

/// The checkpoints of one run.
#[derive(Debug)]
pub(crate) struct CheckpointStore {
    root: PathBuf,
    parts: Receiver<Result<(), CheckpointerError>>,
    sender: Sender<Result<(), CheckpointerError>>,
}

impl CheckpointStore {
    /// Opens (and creates) the directory, clearing what killed writers left behind.
    pub(crate) fn open(root: &Path) -> Result<Self, DistillError> {
        fs::create_dir_all(root).map_err(|source| DistillError::io("create", root, source))?;
        for name in entries(root)? {
            if name.starts_with(".tmp-") {
                let path = root.join(name);
                fs::remove_dir_all(&path)
                    .map_err(|source| DistillError::io("remove", &path, source))?;
            }
        }
        let (sender, parts) = channel();
        Ok(Self {
            root: root.to_owned(),
            parts,
            sender,
        })
    }

    /// The part of burn-train's checkpointer that writes `file`.
    pub(crate) fn part(&self, file: &'static str) -> PartWriter {
        PartWriter {
            root: self.root.clone(),
            file,
            done: self.sender.clone(),
        }
    }

    /// Makes room for the parts of `step`.
    pub(crate) fn begin(&self, step: u64) -> Result<(), DistillError> {
        let dir = temporary(&self.root, step);
        fs::create_dir_all(&dir).map_err(|source| DistillError::io("create", dir, source))
    }

    /// Waits for the parts, adds the state, and gives the checkpoint its name.
    pub(crate) fn commit(&self, mut state: CheckpointState) -> Result<(), DistillError> {
        let dir = temporary(&self.root, state.step);
        for _ in PARTS {
            let part = self.parts.recv().expect("the store itself holds a sender");
            part.map_err(|error| checkpoint_error(&dir, format!("cannot be written: {error}")))?;
        }
        for file in PARTS {
            let path = dir.join(file);
            let sum =
                file_sha256(&path).map_err(|source| DistillError::io("read", &path, source))?;
            state.files.insert(file.to_owned(), sum);
        }
        let json = serde_json::to_vec_pretty(&state).expect("the state is plain data");
        let commit = hex(&Sha256::digest(&json));
        let io = |source| DistillError::io("write", &dir, source);
        write_synced(&dir.join("state.json"), &json).map_err(io)?;
        write_synced(&dir.join("COMMIT"), commit.as_bytes()).map_err(io)?;
        let name = self.directory(state.step);
        if name.exists() {
            fs::remove_dir_all(&name)
                .map_err(|source| DistillError::io("replace", &name, source))?;
        }
        fs::rename(&dir, &name).map_err(|source| DistillError::io("rename", &dir, source))?;
        File::open(&self.root)
            .and_then(|root| root.sync_all())
            .map_err(io)
    }

    /// Removes all but the newest `keep` checkpoints and the one of `best`.
    pub(crate) fn prune(&self, keep: usize, best: Option<u64>) -> Result<(), DistillError> {
        let steps = self.steps()?;
        for &step in steps.iter().rev().skip(keep) {
            if Some(step) != best {
                let path = self.directory(step);
                fs::remove_dir_all(&path)
                    .map_err(|source| DistillError::io("remove", &path, source))?;
            }
        }
        Ok(())
    }

    /// The newest whole checkpoint.
    pub(crate) fn latest(&self) -> Result<Option<u64>, DistillError> {
        Ok(self.steps()?.last().copied())
    }

    /// Steps of the whole checkpoints, ascending.
    fn steps(&self) -> Result<Vec<u64>, DistillError> {
        let mut steps: Vec<u64> = entries(&self.root)?
            .iter()
            .filter_map(|name| name.strip_prefix("step-")?.parse().ok())
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Reads and verifies the state of `step`.
    pub(crate) fn state(&self, step: u64) -> Result<CheckpointState, DistillError> {
        let dir = self.directory(step);
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).map_err(|source| DistillError::io("read", path, source))
        };
        let json = read("state.json")?;
        if read("COMMIT")? != hex(&Sha256::digest(&json)).as_bytes() {
            return Err(damaged(&dir, "state.json"));
        }
        let state: CheckpointState = serde_json::from_slice(&json).map_err(|error| {
            checkpoint_error(&dir, format!("state.json cannot be understood: {error}"))
        })?;
        if state.version != CHECKPOINT_VERSION {
            let problem = format!(
                "has the format version {}; this build reads {CHECKPOINT_VERSION}",
                state.version
            );
            return Err(checkpoint_error(&dir, problem));
        }
        for (file, expected) in &state.files {
            let path = dir.join(file);
            let found =
                file_sha256(&path).map_err(|source| DistillError::io("read", &path, source))?;
            if found != *expected {
                return Err(damaged(&dir, file));
            }
        }
        Ok(state)
    }

    /// Reads one record of `step`.
    pub(crate) fn record<R: Checkpoint>(&self, step: u64, file: &str) -> Result<R, DistillError> {
        let dir = self.directory(step);
        R::load(dir.join(file))
            .map_err(|error| checkpoint_error(&dir, format!("{file} cannot be read: {error}")))
    }

    /// The directory of `step`.
    pub(crate) fn directory(&self, step: u64) -> PathBuf {
        self.root.join(format!("step-{step:08}"))
    }
}

impl CheckpointState {
    /// A state of the current version without file checksums yet.
    pub(crate) fn new(step: u64, position: DataPosition, identity: RunIdentity) -> Self {
        Self {
            version: CHECKPOINT_VERSION,
            step,
            tokens: 0,
            seconds: 0.0,
            position,
            best: None,
            evaluations_without_improvement: 0,
            loss_scale: LossScale::of(identity.config.precision),
            identity,
            files: BTreeMap::new(),
        }
    }
}

/// Writes one of burn-train's records into the checkpoint under way.
#[derive(Debug)]
pub(crate) struct PartWriter {
    root: PathBuf,
    file: &'static str,
    done: Sender<Result<(), CheckpointerError>>,
}

impl<R: Checkpoint> Checkpointer<R> for PartWriter {
    fn save(&self, step: usize, record: R) -> Result<(), CheckpointerError> {
        let path = temporary(&self.root, step as u64).join(self.file);
        let written = record.save(path.clone()).and_then(|()| {
            File::open(path)
                .and_then(|file| file.sync_all())
                .map_err(CheckpointerError::IOError)
        });
        // The store outlives its writers, and reports the error to the run.
        let _ = self.done.send(written);
        Ok(())
    }

    fn delete(&self, _step: usize) -> Result<(), CheckpointerError> {
        Ok(()) // whole checkpoints are removed by `CheckpointStore::prune`
    }

    fn restore(&self, step: usize) -> Result<R, CheckpointerError> {
        R::load(self.root.join(format!("step-{step:08}")).join(self.file))
    }
}

fn temporary(root: &Path, step: u64) -> PathBuf {
    root.join(format!(".tmp-step-{step:08}"))
}

fn checkpoint_error(path: &Path, problem: String) -> DistillError {
    DistillError::Checkpoint {
        path: path.to_owned(),
        problem,
    }
}

fn damaged(dir: &Path, file: &str) -> DistillError {
    let problem = format!(
        "{file} does not have the bytes that were written; delete this directory to resume from the checkpoint before it"
    );
    checkpoint_error(dir, problem)
}

fn entries(root: &Path) -> Result<Vec<String>, DistillError> {
    let io = |source| DistillError::io("list", root, source);
    let mut names = Vec::new();
    for entry in fs::read_dir(root).map_err(io)? {
        names.push(
            entry
                .map_err(io)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    Ok(names)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn file_sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
