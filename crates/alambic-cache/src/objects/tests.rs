//! Caches in stores: in memory, on a disk, and in one that misbehaves.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload};

use super::faulty_store::{Fault, FaultyStore};
use super::put::WRITER_OBJECT;
use super::*;
use crate::layout::{self, EXTENT_FILE, MANIFEST_FILE};
use crate::storage::Storage;
use crate::write_once_dir::Hold;
use crate::{
    CacheReader, CacheSpec, CacheWriter, Finished, Part, SegmentReader, TargetRecord, ValueType,
    concatenate, filter, sample, seal, split, verify,
};

const URL: &str = "memory://bucket/runs/cache";

fn objects_in(store: Arc<dyn ObjectStore>) -> ObjectStorage {
    ObjectStorage::over(store, URL.into(), "runs/cache").unwrap()
}

fn in_memory() -> Storage {
    Storage::Objects(objects_in(Arc::new(InMemory::new())))
}

fn objects(storage: &Storage) -> &ObjectStorage {
    match storage {
        Storage::Objects(objects) => objects,
        Storage::Directory(path) => panic!("{}", path.display()),
    }
}

/// Puts an object, whatever was there.
fn replace(storage: &Storage, name: &str, bytes: impl Into<Bytes>) {
    let (objects, bytes) = (objects(storage), bytes.into());
    let key = objects.key(name);
    let put = |store: Arc<dyn ObjectStore>| async move {
        let options = PutOptions::from(PutMode::Overwrite);
        store.put_opts(&key, PutPayload::from(bytes), options).await
    };
    objects.ask(put).unwrap();
}

fn remove(storage: &Storage, name: &str) {
    let objects = objects(storage);
    let key = objects.key(name);
    objects
        .ask(|store| async move { store.delete(&key).await })
        .unwrap();
}

fn spec() -> CacheSpec {
    sample::spec(ValueType::F16, 8)
}

/// The records of shard `index`, the same whoever writes it.
fn records(index: usize) -> Vec<TargetRecord> {
    sample::records(&spec(), 10 * index as u64, 3)
}

fn open(storage: &Storage, part: &str) -> CacheWriter {
    CacheWriter::open_part(storage, spec(), part.parse().unwrap()).unwrap()
}

/// Writes the shards of one part that are absent, up to `most` of them, without finishing.
fn write(storage: &Storage, part: &str, num_shards: usize, most: usize) -> CacheWriter {
    let part: Part = part.parse().unwrap();
    let mut writer = open(storage, &part.to_string());
    let mut written = 0;
    for index in part.shards(num_shards) {
        let records = records(index);
        let keys = sample::keys(&records);
        if written < most && !writer.has_shard(index, &keys).unwrap() {
            match writer.write_shard(index, &records) {
                Err(CacheError::AlreadyExists { .. }) => {
                    assert!(writer.has_shard(index, &keys).unwrap());
                }
                outcome => outcome.unwrap(),
            }
            written += 1;
        }
    }
    writer
}

/// The cache that one writer of the whole makes in a directory.
fn local_cache(dir: &Path, num_shards: usize) {
    let storage = Storage::open(dir).unwrap();
    let writer = write(&storage, "0/1", num_shards, usize::MAX);
    writer.finish(num_shards).unwrap();
}

fn content(storage: &Storage) -> Vec<(String, Bytes)> {
    let mut names = storage.file_names().unwrap();
    names.retain(|name| !name.starts_with("lock") && !name.starts_with(WRITER_OBJECT));
    let read = |name: String| {
        let bytes = storage.read(&name).unwrap().unwrap();
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

fn assert_same_as_local(storage: &Storage, num_shards: usize) {
    let dir = tempfile::tempdir().unwrap();
    local_cache(dir.path(), num_shards);
    let local = content(&Storage::open(dir.path()).unwrap());
    assert_eq!(local.len(), num_shards + 2);
    assert_eq!(content(storage), local);
    verify(storage).unwrap();
}

#[test]
fn a_cache_of_objects_has_the_bytes_of_a_local_one() {
    let disk = tempfile::tempdir().unwrap();
    let on_disk = LocalFileSystem::new_with_prefix(disk.path()).unwrap();
    let storages = [
        in_memory(),
        Storage::Objects(objects_in(Arc::new(on_disk))),
        // At the root of a bucket.
        Storage::Objects(ObjectStorage::over(Arc::new(InMemory::new()), URL.into(), "").unwrap()),
    ];
    for storage in &storages {
        write(storage, "0/1", 3, usize::MAX).finish(3).unwrap();
        assert_same_as_local(storage, 3);
        let outcome = CacheWriter::open(storage, spec());
        assert!(
            matches!(outcome, Err(CacheError::AlreadyComplete { .. })),
            "{outcome:?}"
        );
        let mut segments = SegmentReader::new(CacheReader::open(storage).unwrap());
        assert_eq!(segments.read(4).unwrap().key, records(1)[1].key);
        let lengths: Vec<usize> = records(2).iter().map(TargetRecord::num_tokens).collect();
        let reader = CacheReader::open(storage).unwrap();
        assert_eq!(reader.shard_lengths(2).unwrap(), lengths);
    }
    // The same directory, as a directory.
    verify(disk.path().join("runs/cache").as_path()).unwrap();
}

#[test]
fn a_capture_that_stopped_after_some_shards_is_resumed() {
    let storage = in_memory();
    drop(write(&storage, "0/1", 5, 2)); // killed here
    let writer = open(&storage, "0/1");
    for index in 0..5 {
        let keys = sample::keys(&records(index));
        assert_eq!(writer.has_shard(index, &keys).unwrap(), index < 2);
    }
    let outcome = writer.finish(5);
    assert!(
        matches!(outcome, Err(CacheError::MissingShards { .. })),
        "{outcome:?}"
    );
    write(&storage, "0/1", 5, usize::MAX).finish(5).unwrap();
    assert_same_as_local(&storage, 5);
}

#[test]
fn writers_of_parts_of_which_one_dies_and_is_restarted_make_the_cache_of_one_writer() {
    let storage = in_memory();
    let num_shards = 11;
    std::thread::scope(|scope| {
        for part in ["0/4", "2/4", "3/4"] {
            let storage = &storage;
            scope.spawn(move || {
                let finished = write(storage, part, num_shards, usize::MAX).finish_part(num_shards);
                let is_waiting = matches!(finished.unwrap(), Finished::Waiting(_));
                assert!(is_waiting, "part 1/4 is not whole");
            });
        }
        scope.spawn(|| drop(write(&storage, "1/4", num_shards, 1))); // killed after one shard
    });
    let message = seal(&storage).unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("cannot complete {URL}: ")),
        "{message}"
    );
    assert!(
        message.ends_with(
            "shards 5, 9 of 11 are missing: \
             wait for their writers, or run the capture with --shard 1/4"
        ),
        "{message}"
    );
    let restarted = write(&storage, "1/4", num_shards, usize::MAX);
    let finished = restarted.finish_part(num_shards).unwrap();
    assert!(matches!(finished, Finished::Sealed(_)), "{finished:?}");
    seal(&storage).unwrap();
    assert_same_as_local(&storage, num_shards);
}

#[test]
fn a_cache_whose_last_writer_died_before_sealing_is_sealed_later() {
    let storage = in_memory();
    write(&storage, "0/2", 4, usize::MAX)
        .finish_part(4)
        .unwrap();
    drop(write(&storage, "1/2", 4, usize::MAX)); // killed here
    assert!(!storage.has(MANIFEST_FILE).unwrap());
    seal(&storage).unwrap();
    assert_same_as_local(&storage, 4);
}

#[test]
fn writers_of_the_same_part_lose_and_double_nothing() {
    let storage = in_memory();
    let num_shards = 6;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut writer = match CacheWriter::open(&storage, spec()) {
                    // Another one has sealed the cache before this one has begun.
                    Err(CacheError::AlreadyComplete { .. }) => return,
                    writer => writer.unwrap(),
                };
                for index in 0..num_shards {
                    let records = records(index);
                    let keys = sample::keys(&records);
                    match writer.write_shard(index, &records) {
                        Err(CacheError::AlreadyExists { .. }) => {
                            assert!(writer.has_shard(index, &keys).unwrap());
                        }
                        outcome => outcome.unwrap(),
                    }
                }
                writer.finish(num_shards).unwrap();
            });
        }
    });
    assert_same_as_local(&storage, num_shards);
}

#[test]
fn of_many_that_put_one_name_with_other_bytes_one_wins() {
    let storage = in_memory();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0u8..8)
            .map(|number| {
                let storage = &storage;
                let put = move || {
                    let held = storage.hold(Hold::Beside(number.to_string())).unwrap();
                    held.put_if_absent("name", |sink| {
                        sink.write_all(&[number])
                            .map_err(storage.refused("name", "write"))
                    })
                };
                scope.spawn(put)
            })
            .collect();
        writers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    let winners: Vec<usize> = (0..8).filter(|&i| outcomes[i].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let kept = storage.read("name").unwrap().unwrap();
    assert_eq!(kept[..], [winners[0] as u8]);
    let refused = |outcome: &Result<(), CacheError>| match outcome {
        Ok(()) => true,
        Err(error) => matches!(error, CacheError::AlreadyExists { .. }),
    };
    assert!(outcomes.iter().all(refused), "{outcomes:?}");
}

fn in_faulty(fault: Fault) -> (Storage, Arc<FaultyStore>) {
    let store = Arc::new(FaultyStore::new(fault));
    (Storage::Objects(objects_in(store.clone())), store)
}

#[test]
fn a_put_whose_answer_was_lost_is_this_writers_own() {
    let (storage, _) = in_faulty(Fault::LosesAnswers);
    write(&storage, "0/1", 3, usize::MAX).finish(3).unwrap();
    assert_same_as_local(&storage, 3);
}

#[test]
fn a_put_that_was_refused_for_a_free_name_is_repeated() {
    let (storage, _) = in_faulty(Fault::RefusesFirstPuts);
    write(&storage, "0/1", 3, usize::MAX).finish(3).unwrap();
    assert_same_as_local(&storage, 3);
}

#[test]
fn a_store_that_replaces_objects_takes_no_writer() {
    let (storage, _) = in_faulty(Fault::Replaces);
    let error = CacheWriter::open(&storage, spec()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("no conditional puts"), "{cause}");
}

#[test]
fn what_the_store_refuses_is_an_error_with_its_url_and_without_credentials() {
    let (storage, store) = in_faulty(Fault::None);
    write(&storage, "0/1", 2, usize::MAX).finish(2).unwrap();
    let reader = CacheReader::open(&storage).unwrap();
    store.set(Fault::Refuses);
    let outcomes = [
        verify(&storage).map(drop),
        seal(&storage).map(drop),
        CacheWriter::open(&storage, spec()).map(drop),
        CacheReader::open(&storage).map(drop),
        reader.read_shard(0).map(drop),
        reader.shard_lengths(0).map(drop),
        SegmentReader::new(reader).read(0).map(drop),
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, CacheError::ObjectStore { .. }), "{error:?}");
        assert!(error.to_string().contains(URL), "{error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("https://host/container?[query]"), "{cause}");
        assert!(
            !format!("{error:?}{cause}").contains("hunter22"),
            "{error:?}"
        );
    }
    assert_eq!(
        format!("{storage:?}"),
        format!("Objects(ObjectStorage({URL}))")
    );
}

#[test]
fn a_network_that_fails_in_the_middle_of_a_shard_is_not_taken_for_damage() {
    let (storage, store) = in_faulty(Fault::None);
    write(&storage, "0/1", 1, usize::MAX).finish(1).unwrap();
    let file = storage.open_file(&layout::shard_file_name(0)).unwrap();
    store.set(Fault::Refuses);
    let path = storage.path_of("shard-00000.parquet");
    let outcome = crate::shard_file::ShardFile::open(file, &spec(), 0, &path).map(drop);
    assert!(
        matches!(outcome, Err(CacheError::ObjectStore { action: "read", .. })),
        "{outcome:?}"
    );
}

#[test]
fn missing_cut_stray_and_foreign_objects_are_named_by_their_urls() {
    let whole = || {
        let storage = in_memory();
        write(&storage, "0/1", 2, usize::MAX).finish(2).unwrap();
        storage
    };
    let shard = |index| layout::shard_file_name(index);
    let expect = |storage: &Storage, name: &str, words: &str| {
        let message = verify(storage).unwrap_err().to_string();
        let expected = format!("{URL}/{name} {words}");
        assert!(message.starts_with(&expected), "{message}");
    };

    let storage = whole();
    remove(&storage, &shard(1));
    expect(&storage, "shard-00001.parquet", "is listed in the manifest");

    let storage = whole();
    let bytes = storage.read(&shard(0)).unwrap().unwrap();
    replace(&storage, &shard(0), bytes.slice(..bytes.len() - 1));
    expect(&storage, "shard-00000.parquet", "has ");

    let storage = whole();
    replace(&storage, "shard-00002.parquet", bytes.clone());
    expect(
        &storage,
        "shard-00002.parquet",
        "is not one of the 2 shards",
    );

    let storage = whole();
    remove(&storage, MANIFEST_FILE);
    expect(&storage, MANIFEST_FILE, "does not exist");
    replace(&storage, "shard-1.parquet", "");
    let outcome = CacheWriter::open(&storage, spec());
    assert!(
        matches!(outcome, Err(CacheError::ShardName { .. })),
        "{outcome:?}"
    );
    remove(&storage, "shard-1.parquet");
    replace(&storage, &shard(1), "PAR1 and then nothing");
    let outcome = CacheWriter::open(&storage, spec());
    assert!(
        matches!(outcome, Err(CacheError::Parquet { .. })),
        "{outcome:?}"
    );
    replace(&storage, &shard(1), bytes);
    let outcome = CacheWriter::open(&storage, spec());
    assert!(
        matches!(outcome, Err(CacheError::ShardIndexMismatch { .. })),
        "{outcome:?}"
    );

    let storage = in_memory();
    replace(&storage, EXTENT_FILE, "{}");
    let outcome = seal(&storage);
    assert!(
        matches!(outcome, Err(CacheError::ExtentJson { .. })),
        "{outcome:?}"
    );
    let outcome = seal(&in_memory());
    assert!(
        matches!(outcome, Err(CacheError::Unfinished { .. })),
        "{outcome:?}"
    );
}

/// How many bits are flipped, one at a time.
const NUM_FLIPS: usize = 300;

#[test]
fn every_flipped_bit_of_an_object_is_found() {
    let storage = in_memory();
    write(&storage, "0/1", 2, usize::MAX).finish(2).unwrap();
    let mut files = content(&storage);
    files.retain(|(name, _)| name != EXTENT_FILE);
    let mut numbers = sample::Numbers(31);
    for _ in 0..NUM_FLIPS {
        let (name, whole) = &files[numbers.below(files.len())];
        let (position, bit) = (numbers.below(whole.len()), numbers.below(8));
        let mut bytes = whole.to_vec();
        bytes[position] ^= 1 << bit;
        replace(&storage, name, bytes);
        let outcome = verify(&storage);
        assert!(outcome.is_err(), "bit {bit} of byte {position} of {name}");
        replace(&storage, name, whole.clone());
    }
    verify(&storage).unwrap();
}

#[test]
fn one_column_and_one_segment_are_read_without_the_rest_of_the_shard() {
    let mut spec = sample::spec(ValueType::F32, 50);
    spec.segments_per_shard = 40;
    let mut records = sample::records(&spec, 0, 40);
    let long = records.iter().max_by_key(|record| record.num_targets());
    let long = long.unwrap().clone();
    // Two megabytes of targets each, so that the shard has several row groups.
    let repeats = 2_000_000 / (400 * long.num_targets());
    for record in &mut records {
        record.token_ids = long.token_ids.repeat(repeats);
        record.loss_mask = long.loss_mask.repeat(repeats);
        let (targets, of_long) = (sample::top_k(record), long.targets.top_k().unwrap());
        targets.token_ids = of_long.token_ids.repeat(repeats);
        targets.log_probs = of_long.log_probs.repeat(repeats);
        targets.tail_mass = of_long.tail_mass.repeat(repeats);
        targets.entropy = of_long.entropy.repeat(repeats);
    }
    let (storage, store) = in_faulty(Fault::None);
    let mut writer = CacheWriter::open(&storage, spec).unwrap();
    writer.write_shard(0, &records).unwrap();
    let manifest = writer.finish(1).unwrap();
    let whole = manifest.shards[0].bytes;
    assert!(whole > 30_000_000, "{whole}");

    let reader = CacheReader::open(&storage).unwrap();
    let read = store.bytes_read_by(|| drop(reader.shard_lengths(0).unwrap()));
    // The footer, and the first bytes of each of five row groups.
    assert!(read < 10 * 65_536, "{read} of {whole}");
    let mut segments = SegmentReader::new(reader);
    let read = store.bytes_read_by(|| drop(segments.read(7).unwrap()));
    assert!(
        read >= whole,
        "its checksum is compared once: {read} of {whole}"
    );
    let read = store.bytes_read_by(|| assert_eq!(segments.read(33).unwrap(), records[33]));
    assert!(read < whole / 2, "{read} of {whole}");
}

#[test]
fn caches_are_derived_from_objects_into_directories_and_back() {
    let storage = in_memory();
    write(&storage, "0/1", 4, usize::MAX).finish(4).unwrap();
    let source = CacheReader::open(&storage).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let local = dir.path().join("all");
    filter(&source, &local, |_| true).unwrap();
    let (chosen, rest) = (in_memory(), in_memory());
    let half = |record: &TargetRecord| record.key.draw(5) < 0.5;
    let local = CacheReader::open(&local).unwrap();
    let sides = split(&local, &chosen, &rest, half).unwrap();
    assert_eq!(sides[0].num_segments + sides[1].num_segments, 12);
    let joined = in_memory();
    let sides = [&chosen, &rest].map(|side| CacheReader::open(side).unwrap());
    assert_eq!(concatenate(&sides, &joined).unwrap().num_segments, 12);
    for cache in [&chosen, &rest, &joined] {
        verify(cache).unwrap();
    }
}

#[test]
fn requests_are_answered_inside_another_runtime_and_from_many_threads() {
    let storage = in_memory();
    write(&storage, "0/1", 2, usize::MAX).finish(2).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async { verify(&storage).unwrap() });
    let reader = CacheReader::open(&storage).unwrap();
    std::thread::scope(|scope| {
        for index in [0, 1, 0, 1] {
            let reader = &reader;
            scope.spawn(move || reader.read_shard(index).unwrap());
        }
    });
}

#[test]
fn the_objects_beside_a_cache_are_not_its_own() {
    let storage = in_memory();
    write(&storage, "0/1", 1, usize::MAX).finish(1).unwrap();
    // In a folder below, and under a prefix that only starts alike.
    replace(&storage, "old", "");
    let nested = ObjectStorage::over(objects(&storage).store.clone(), URL.into(), "runs/cache/a");
    replace(
        &Storage::Objects(nested.unwrap()),
        "shard-00007.parquet",
        "",
    );
    let alike = ObjectStorage::over(objects(&storage).store.clone(), URL.into(), "runs/cache2");
    replace(&Storage::Objects(alike.unwrap()), "shard-00008.parquet", "");
    verify(&storage).unwrap();
    let names = storage.file_names().unwrap();
    let expected = [
        EXTENT_FILE,
        MANIFEST_FILE,
        "old",
        "shard-00000.parquet",
        "writer",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_connection_needs_no_network_and_no_credentials_to_be_made_ready() {
    // What a wrong setting of the environment says is the store's; a right one connects lazily.
    for text in ["gs://bucket/a", "s3://bucket/a"] {
        let location = crate::CacheLocation::parse(text).unwrap();
        if let Err(error) = Storage::open(&location) {
            assert!(matches!(error, CacheError::ObjectStore { .. }), "{error:?}");
        }
    }
    assert!(fs::metadata("s3:").is_err(), "a URL is no path");
}
