//! What a run leaves on disk, and where.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use alambic_cache::Part;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::PipelineError;

/// The directory of one run.
///
/// ```text
/// recipe.toml            the resolved recipe, written before the first step
/// capture.json           how long the capture took; capture-3-of-8.json that of one part
/// run.json               versions, seed, device, fingerprints
/// cache/train            the teacher's targets        cache/validation
/// distilled/             metrics.jsonl and checkpoints of the student
/// hard_labels/           the same of the baseline
/// student/               the distilled student in the Hugging Face layout
/// baseline/              the baseline in the same layout
/// report.json, report.html
/// ```
#[derive(Clone, Debug)]
pub(crate) struct RunDirectory {
    root: PathBuf,
}

impl RunDirectory {
    /// Creates the directory if it is absent.
    pub(crate) fn create(root: &Path) -> Result<Self, PipelineError> {
        fs::create_dir_all(root).map_err(|source| PipelineError::io("create", root, source))?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The names of the files in the directory, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, PipelineError> {
        let io = |source| PipelineError::io("list", &self.root, source);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(io)? {
            // A name that is not UTF-8 cannot be ours.
            names.extend(entry.map_err(io)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Writes `contents` under `name`, whole or not at all.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) -> Result<(), PipelineError> {
        let path = self.path(name);
        write_atomically(&path, contents).map_err(|source| PipelineError::io("write", path, source))
    }

    /// Writes `value` as JSON under `name`.
    pub(crate) fn write_json<T: Serialize>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<(), PipelineError> {
        let json = serde_json::to_vec_pretty(value)
            .map_err(|source| PipelineError::io("serialise", self.path(name), source.into()))?;
        self.write(name, &json)
    }

    /// Notes what decides the run besides its recipe.
    ///
    /// # Errors
    /// [`PipelineError::Input`] for models that are not those that the run began with.
    pub(crate) fn begin(&self, facts: &RunFacts) -> Result<(), PipelineError> {
        const RUN_FACTS: &str = "run.json";
        if let Some(before) = self.read_json::<RunFacts>(RUN_FACTS)? {
            let short = |text: &str| text.chars().take(12).collect::<String>();
            let own = |facts: &RunFacts| {
                facts
                    .student_tokenizer_fingerprint
                    .clone()
                    .unwrap_or_default()
            };
            for (what, found, expected) in [
                (
                    "teacher",
                    &facts.teacher_fingerprint,
                    &before.teacher_fingerprint,
                ),
                (
                    "teacher's tokenizer",
                    &facts.tokenizer_fingerprint,
                    &before.tokenizer_fingerprint,
                ),
                ("student's tokenizer", &own(facts), &own(&before)),
            ] {
                if found != expected {
                    return Err(PipelineError::Input {
                        what: format!("the {what}, for {}", self.root().display()),
                        expected: format!("the one that this run began with, {}", short(expected)),
                        found: format!("another one, {}", short(found)),
                        advice: "choose another --out directory, or give back the files that this run began with"
                            .into(),
                    });
                }
            }
        }
        self.write_json(RUN_FACTS, facts)
    }

    /// Reads JSON that an earlier stage wrote; `None` when it did not get so far.
    pub(crate) fn read_json<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, PipelineError> {
        let path = self.path(name);
        if !path.exists() {
            return Ok(None);
        }
        let io = |source| PipelineError::io("read", &path, source);
        let bytes = fs::read(&path).map_err(io)?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| io(source.into()))
    }

    /// Keeps the resolved recipe, or refuses a directory that belongs to another one.
    ///
    /// Processes that capture parts come here at the same time: each writes a temporary file of its
    /// own, named by `part`, and whoever comes first decides.
    pub(crate) fn claim(&self, recipe: &str, part: Part) -> Result<(), PipelineError> {
        let path = self.path("recipe.toml");
        if !path.exists() {
            let temporary = self.path(&format!(".tmp-{}-recipe.toml", part.file_label()));
            put_if_absent(&temporary, &path, recipe.as_bytes())
                .map_err(|source| PipelineError::io("write", &path, source))?;
        }
        let found =
            fs::read_to_string(&path).map_err(|source| PipelineError::io("read", &path, source))?;
        if found == recipe {
            return Ok(());
        }
        let differing = recipe
            .lines()
            .zip(found.lines())
            .position(|(new, old)| new != old);
        let line = |text: &str| -> String {
            let Some(index) = differing else {
                return "other lines at the end".into();
            };
            let lines: Vec<&str> = text.lines().take(index + 1).collect();
            let section = lines.iter().rev().find(|line| line.starts_with('['));
            let changed = lines.last().copied().unwrap_or_default();
            format!("`{changed}` in {}", section.unwrap_or(&"the first lines"))
        };
        Err(PipelineError::Input {
            what: path.display().to_string(),
            expected: format!("the recipe that this run began with, {}", line(&found)),
            found: line(recipe),
            advice:
                "choose another --out directory, or give back the recipe that this run began with"
                    .into(),
        })
    }
}

/// What decided a run besides its recipe; `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunFacts {
    pub(crate) created_by: String,
    pub(crate) seed: u64,
    pub(crate) device: String,
    pub(crate) teacher_fingerprint: String,
    /// The teacher's tokenizer.
    pub(crate) tokenizer_fingerprint: String,
    /// The student's, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) student_tokenizer_fingerprint: Option<String>,
}

/// Writes `temporary`, syncs it and gives it the name `path` if that is free.
fn put_if_absent(temporary: &Path, path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let put = write_synced(temporary, contents).and_then(|()| {
        // A hard link fails where a rename would replace.
        match fs::hard_link(temporary, path) {
            Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    });
    // The first error is the one to report; a temporary that never came to be is no other.
    let removed = fs::remove_file(temporary);
    put.and(removed)
}

fn write_synced(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Writes a temporary file beside `path`, syncs it and renames it; on an error nothing is left.
pub(crate) fn write_atomically(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    write_atomically_with(path, |file| file.write_all(contents))
}

/// [`write_atomically`] of what is not held in memory.
pub(crate) fn write_atomically_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<fs::File>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".tmp-{name}"));
    let written = fs::File::create(&temporary)
        .and_then(|file| {
            let mut file = BufWriter::new(file);
            write(&mut file)?;
            file.flush()?;
            file.get_ref().sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report; a temporary that never came to be is no other.
        let _ = fs::remove_file(&temporary);
    }
    written
}
