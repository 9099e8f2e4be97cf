//! Sealing: the manifest of a capture whose shards are all there.

use crate::extent::Extent;
use crate::held_storage::HeldStorage;
use crate::layout::{self, MANIFEST_FILE};
use crate::shard_content::ShardContent;
use crate::storage::Storage;
use crate::verify::verify_in;
use crate::write_once_dir::Hold;
use crate::{
    CacheError, CacheLocation, CacheReader, CacheSpec, Manifest, MissingShards, Part, ShardEntry,
    teacher_head_file,
};

/// What a writer that has done its part leaves behind.
///
/// ```
/// use alambic_cache::{CacheSpec, CacheWriter, Finished, Part, TargetKind, ValueType};
/// # let dir = tempfile::tempdir()?;
/// # let spec = CacheSpec {
/// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32),
/// #     vocab_size: 4, targets: TargetKind::TopK { k: 2, values: ValueType::F16 }, temperatures: vec![1.0], segments_per_shard: 8,
/// # };
/// // The third of three writers, of a corpus that fills two shards: there is nothing for it.
/// let writer = CacheWriter::open_part(dir.path(), spec, Part::try_new(2, 3)?)?;
/// let Finished::Waiting(missing) = writer.finish_part(2)? else { unreachable!() };
/// assert_eq!(missing.shards, [0, 1]);
/// assert!(missing.to_string().ends_with("--shard 0/3, --shard 1/3"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Finished {
    /// Every shard was there, and the cache is complete.
    Sealed(Manifest),
    /// The part is whole, others are not.
    Waiting(MissingShards),
}

/// Completes a capture by several writers: reads every shard back, then writes the manifest.
///
/// The last writer does this by itself; this is for the case that it was killed in between. A
/// cache that is complete already is verified and stays as it is.
///
/// # Errors
/// [`CacheError::Unfinished`] if no writer has reached the end of the corpus,
/// [`CacheError::MissingShards`] naming the gaps and what to run, [`CacheError::Locked`] while a
/// single writer holds the whole directory or another command seals it, [`CacheError::UnexpectedShard`],
/// [`CacheError::TeacherHeadAbsent`], and any error of reading a damaged shard.
///
/// ```
/// use alambic_cache::{CacheError, seal};
/// # let dir = tempfile::tempdir()?;
/// let outcome = seal(dir.path()); // an empty directory
/// assert!(matches!(outcome, Err(CacheError::Unfinished { .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn seal(location: impl Into<CacheLocation>) -> Result<Manifest, CacheError> {
    let storage = Storage::open(location)?;
    // Before any lock, so that a complete cache on a read-only disk is no error.
    if storage.has(MANIFEST_FILE)? {
        let (_, reader) = verify_in(storage)?;
        return Ok(reader.manifest().clone());
    }
    let path = || storage.root();
    let extent = Extent::read(&storage)?.ok_or_else(|| CacheError::Unfinished { path: path() })?;
    let held = storage.hold(Hold::Beside("seal".into()))?;
    let num_parts = parts_at_work(&held)?;
    match seal_if_whole(&held, &extent.spec, extent.num_shards, num_parts)? {
        Finished::Sealed(manifest) => Ok(manifest),
        Finished::Waiting(missing) => Err(CacheError::MissingShards {
            path: path(),
            missing,
        }),
    }
}

/// Writes the manifest if every shard and the head, if one is needed, are there; a manifest that says
/// the same already is fine.
pub(crate) fn seal_if_whole(
    held: &HeldStorage,
    spec: &CacheSpec,
    num_shards: usize,
    num_parts: Option<usize>,
) -> Result<Finished, CacheError> {
    let storage = held.storage();
    let present = present_shards(storage, num_shards)?;
    if let Some(missing) = MissingShards::find(&present, num_shards, num_parts) {
        return Ok(Finished::Waiting(missing));
    }
    teacher_head_file::read(storage, spec)?;
    let shards = (0..num_shards).map(|index| entry(storage, spec, index));
    let manifest = Manifest::of(spec.clone(), shards.collect::<Result<_, _>>()?);
    let outcome = held.put_if_absent(MANIFEST_FILE, |sink| {
        sink.write_all(manifest.to_json().as_bytes())
            .map_err(storage.refused(MANIFEST_FILE, "write"))
    });
    match outcome {
        // Another writer saw the last shard at the same time.
        Err(CacheError::AlreadyExists { .. })
            if *CacheReader::open_in(storage.clone())?.manifest() == manifest => {}
        outcome => outcome?,
    }
    Ok(Finished::Sealed(manifest))
}

/// The indices of the shards that are there, ascending; one of `num_shards` or more is an error.
pub(crate) fn present_shards(
    storage: &Storage,
    num_shards: usize,
) -> Result<Vec<usize>, CacheError> {
    let existing = existing_shards(storage)?;
    match existing.iter().find(|&&index| index >= num_shards) {
        Some(&index) if num_shards > 0 => Err(CacheError::UnexpectedShard {
            path: storage.path_of(&layout::shard_file_name(index)),
            num_shards,
        }),
        _ => Ok(existing),
    }
}

/// The indices of all shards that are there, ascending; a name that only resembles one is an error.
pub(crate) fn existing_shards(storage: &Storage) -> Result<Vec<usize>, CacheError> {
    let mut shards = Vec::new();
    let names = storage.file_names()?;
    for name in names.iter().filter(|name| name.starts_with("shard-")) {
        match layout::shard_index(name) {
            Some(index) => shards.push(index),
            None => {
                let path = storage.path_of(name);
                return Err(CacheError::ShardName { path });
            }
        }
    }
    shards.sort_unstable();
    Ok(shards)
}

fn entry(storage: &Storage, spec: &CacheSpec, index: usize) -> Result<ShardEntry, CacheError> {
    let name = layout::shard_file_name(index);
    let content = ShardContent::read(storage, &name)?;
    let records = content.records(spec, index, &storage.path_of(&name))?;
    Ok(content.entry(index, &records))
}

/// In how many parts the cache is captured, as its writers' labels tell; `None` if they disagree.
fn parts_at_work(held: &HeldStorage) -> Result<Option<usize>, CacheError> {
    let mut counts: Vec<usize> = held
        .labels()?
        .iter()
        .filter_map(|label| Part::from_file_label(label).map(Part::count))
        .collect();
    counts.sort_unstable();
    counts.dedup();
    Ok(match counts[..] {
        [count] => Some(count),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::manifest::manifest_path;
    use crate::{CacheWriter, TargetRecord, ValueType, sample, verify};

    fn spec() -> CacheSpec {
        sample::spec(ValueType::F16, 8)
    }

    /// The records of shard `index`, the same whoever writes it.
    fn records(index: usize) -> Vec<TargetRecord> {
        sample::records(&spec(), 10 * index as u64, 3)
    }

    /// Writes the shards of one part that are absent, without finishing.
    fn write_part(dir: &Path, part: &str, num_shards: usize) -> CacheWriter {
        let part: Part = part.parse().unwrap();
        let mut writer = CacheWriter::open_part(dir, spec(), part).unwrap();
        for index in part.shards(num_shards) {
            let records = records(index);
            if !writer.has_shard(index, &sample::keys(&records)).unwrap() {
                writer.write_shard(index, &records).unwrap();
            }
        }
        writer
    }

    fn assert_same_cache(first: &Path, second: &Path) {
        let names = |dir: &Path| {
            let mut names = crate::write_once_dir::file_names(dir).unwrap();
            names.retain(|name| !name.starts_with("lock"));
            names
        };
        assert_eq!(names(first), names(second));
        for name in names(first) {
            let bytes = |dir: &Path| fs::read(dir.join(&name)).unwrap();
            assert_eq!(bytes(first), bytes(second), "{name}");
        }
    }

    #[test]
    fn parts_written_at_the_same_time_give_the_cache_of_one_writer() {
        let (alone, together) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_part(alone.path(), "0/1", 7).finish(7).unwrap();
        let finished: Vec<Finished> = std::thread::scope(|scope| {
            let writers: Vec<_> = ["0/3", "1/3", "2/3"]
                .into_iter()
                .map(|part| {
                    let dir = together.path();
                    scope.spawn(move || write_part(dir, part, 7).finish_part(7).unwrap())
                })
                .collect();
            writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .collect()
        });
        let is_sealed = |finished: &Finished| matches!(finished, Finished::Sealed(_));
        assert!(finished.iter().any(is_sealed), "{finished:?}");
        assert_same_cache(alone.path(), together.path());
        verify(together.path()).unwrap();
    }

    #[test]
    fn writers_that_see_the_last_shard_together_find_the_same_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (
            write_part(dir.path(), "0/2", 4),
            write_part(dir.path(), "1/2", 4),
        );
        let sealed = first.finish_part(4).unwrap();
        assert_eq!(second.finish_part(4).unwrap(), sealed);
    }

    #[test]
    fn another_manifest_is_not_taken_for_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (
            write_part(dir.path(), "0/2", 4),
            write_part(dir.path(), "1/2", 4),
        );
        let Finished::Sealed(mut other) = first.finish_part(4).unwrap() else {
            panic!("every shard is there");
        };
        other.shards[0].sha256 = "0f".repeat(32);
        fs::write(manifest_path(dir.path()), other.to_json()).unwrap();
        let outcome = second.finish_part(4);
        assert!(
            matches!(outcome, Err(CacheError::AlreadyExists { .. })),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_cache_whose_last_writer_was_killed_before_sealing_is_sealed_later() {
        let dir = tempfile::tempdir().unwrap();
        write_part(dir.path(), "0/2", 5).finish_part(5).unwrap();
        let mut other = write_part(dir.path(), "1/2", 2);
        let message = seal(dir.path()).unwrap_err().to_string();
        assert!(
            message.ends_with(
                "shard 3 of 5 is missing: \
                 wait for their writers, or run the capture with --shard 1/2"
            ),
            "{message}"
        );
        other.write_shard(3, &records(3)).unwrap();
        drop(other); // killed here
        let manifest = seal(dir.path()).unwrap();
        assert_eq!(manifest.shards.len(), 5);
        assert_eq!(seal(dir.path()).unwrap(), manifest);
        verify(dir.path()).unwrap();
    }

    #[test]
    fn a_capture_whose_end_nobody_has_seen_is_not_sealed() {
        let dir = tempfile::tempdir().unwrap();
        drop(write_part(dir.path(), "0/2", 4));
        let outcome = seal(dir.path());
        assert!(
            matches!(outcome, Err(CacheError::Unfinished { .. })),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_part_keeps_to_its_own_shards() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer =
            CacheWriter::open_part(dir.path(), spec(), "1/2".parse().unwrap()).unwrap();
        let message = writer.write_shard(2, &records(2)).unwrap_err().to_string();
        assert!(
            message.contains("shard-00002.parquet belongs to another part than 1/2"),
            "{message}"
        );
        writer.write_shard(1, &records(1)).unwrap();
        let message = writer.finish_part(6).unwrap_err().to_string();
        assert!(message.contains("shards 0, 2, 3, 4, 5 of 6"), "{message}");
    }

    #[test]
    fn a_writer_of_a_part_and_one_of_the_whole_refuse_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let open = |part: &str| CacheWriter::open_part(dir.path(), spec(), part.parse().unwrap());
        let part = open("1/2").unwrap();
        for refused in ["1/2", "0/1"] {
            let outcome = open(refused);
            assert!(
                matches!(outcome, Err(CacheError::Locked { .. })),
                "{outcome:?}"
            );
        }
        // Parts of other numbers overlap; what is written once stays.
        open("3/4").unwrap();
        drop(part);
        open("0/1").unwrap();
    }

    #[test]
    fn a_damaged_shard_of_another_part_is_not_sealed() {
        let dir = tempfile::tempdir().unwrap();
        write_part(dir.path(), "0/2", 2).finish_part(2).unwrap();
        let writer = write_part(dir.path(), "1/2", 2);
        let shard = dir.path().join(layout::shard_file_name(0));
        let mut bytes = fs::read(&shard).unwrap();
        bytes.truncate(bytes.len() / 2);
        fs::write(&shard, bytes).unwrap();
        assert!(writer.finish_part(2).is_err());
        assert!(!manifest_path(dir.path()).exists());
    }
}
