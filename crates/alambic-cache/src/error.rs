//! What can go wrong between a capture and the training that reads it.

use std::path::PathBuf;

use parquet::errors::ParquetError;

use crate::{HeadFingerprint, MissingShards, Part, SegmentKey};

/// Every error of this crate; each names the file, what was expected and what was found.
///
/// For a cache in object storage, `path` is the URL of an object or of the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The operating system refused something: no room, no right, no such directory.
    #[error("cannot {action} {}: check the path, its permissions and the room on the disk", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was attempted, as a verb: "write", "read".
        action: &'static str,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
    /// An object store, or the way to it, refused something.
    #[error("cannot {action} {}: check the bucket, the credentials and settings in the environment, and the network", path.display())]
    ObjectStore {
        /// The URL of the object or of the cache.
        path: PathBuf,
        /// What was attempted, as a verb: "write", "read".
        action: &'static str,
        /// The store's answer in words, without credentials.
        #[source]
        source: std::io::Error,
    },
    /// A cache in object storage, for a build that has none.
    #[error("cannot reach {}: this build has no object storage; build with the feature object-store", path.display())]
    NoObjectStorage {
        /// The URL of the cache.
        path: PathBuf,
    },
    /// A text that names no place for a cache.
    #[error("where the cache stands: expected {expected}, found {found}")]
    InvalidLocation {
        /// What a location may be.
        expected: &'static str,
        /// What was given, without what may be a secret.
        found: String,
    },
    /// Another writer holds the cache.
    #[error("{} is held by another writer: wait until that capture ends, or stop it", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The cache is finished; nothing can be added to it.
    #[error("the cache is already complete, {} exists: read it, or capture into another directory", path.display())]
    AlreadyComplete {
        /// The manifest.
        path: PathBuf,
    },
    /// A file with this final name exists; files of a cache are written once.
    #[error("{} exists and is never overwritten: ask `has_shard` first, or remove the file", path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// A specification that no cache of this format can have.
    #[error("cache specification: {field} should be {expected}, found {found}")]
    InvalidSpec {
        /// The field of [`CacheSpec`](crate::CacheSpec).
        field: &'static str,
        /// What the format allows.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A shard was captured under another specification; training on a mixture would be wrong.
    #[error("{} belongs to another cache: its {field} is {found}, expected {expected}; capture into another directory", path.display())]
    SpecMismatch {
        /// The shard.
        path: PathBuf,
        /// The first field that differs.
        field: &'static str,
        /// The value in the specification at hand.
        expected: String,
        /// The value in the shard.
        found: String,
    },
    /// A shard was renamed or copied over another one.
    #[error("{} says it is shard {found}, its name says {expected}: it was renamed; restore or remove it", path.display())]
    ShardIndexMismatch {
        /// The shard.
        path: PathBuf,
        /// The index in the file name.
        expected: usize,
        /// The index stored inside.
        found: String,
    },
    /// An existing shard holds other segments than the ones about to be captured.
    #[error("{} holds segment {found} at row {row}, expected {expected}: the data or its order changed; capture into another directory", path.display())]
    KeyMismatch {
        /// The shard.
        path: PathBuf,
        /// Row within the shard.
        row: usize,
        /// The key asked for.
        expected: SegmentKey,
        /// The key in the shard.
        found: SegmentKey,
    },
    /// A shard holds another number of segments than it may.
    #[error("{} should hold {expected} segments, found {found}", path.display())]
    SegmentCount {
        /// The shard.
        path: PathBuf,
        /// The number, or the range allowed.
        expected: String,
        /// The number found.
        found: usize,
    },
    /// A record breaks a rule of the format.
    #[error("{}, row {row}: {field} should be {expected}, found {found}", path.display())]
    InvalidRecord {
        /// The shard.
        path: PathBuf,
        /// Row (segment) within the shard.
        row: usize,
        /// The field, with the target's index where there is one.
        field: String,
        /// The rule.
        expected: String,
        /// The value found.
        found: String,
    },
    /// Shards are missing that the cache should have: capture them, then finish or seal.
    #[error("cannot complete {}: {missing}", path.display())]
    MissingShards {
        /// The cache directory.
        path: PathBuf,
        /// Which shards, and what to run.
        missing: MissingShards,
    },
    /// Nothing says how many shards the cache will have: no writer has come to the corpus' end.
    #[error("cannot seal {}: no writer has reached the end of the corpus; run the capture, it seals the cache when it is whole", path.display())]
    Unfinished {
        /// The cache directory.
        path: PathBuf,
    },
    /// Writers of one cache counted different numbers of shards: they read different text.
    #[error("{} counts {found} shards, this capture comes to {expected}: the data or its order changed; capture into another directory", path.display())]
    ExtentMismatch {
        /// The file that says how many shards there are.
        path: PathBuf,
        /// The number this writer counted.
        expected: usize,
        /// The number in the file.
        found: usize,
    },
    /// The extent of a capture is not the JSON it should be.
    #[error("cannot read {} as the extent of a capture: remove it and resume the capture", path.display())]
    ExtentJson {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A part of a capture that cannot be.
    #[error("part {found}: expected I/N with 0 <= I < N, as 0/4 to 3/4 for four writers")]
    InvalidPart {
        /// What was given.
        found: String,
    },
    /// A writer was asked for a shard of another writer's part.
    #[error("{} belongs to another part than {part}, which has the shards i with i mod N = I", path.display())]
    ForeignShard {
        /// The shard.
        path: PathBuf,
        /// The writer's part.
        part: Part,
    },
    /// A file that looks like a shard and is not one of this cache.
    #[error("{} is not one of the {num_shards} shards of this cache: remove it", path.display())]
    UnexpectedShard {
        /// The file.
        path: PathBuf,
        /// How many shards the cache should have.
        num_shards: usize,
    },
    /// A file whose name starts like a shard's and does not end like one.
    #[error("{} is no shard name, expected shard-00000.parquet and so on: remove or rename it", path.display())]
    ShardName {
        /// The file.
        path: PathBuf,
    },
    /// There is no manifest: not a cache, or one whose capture has not finished.
    #[error("{} does not exist: name the directory of a cache, or finish its capture first", path.display())]
    Incomplete {
        /// Where the manifest should be.
        path: PathBuf,
    },
    /// The manifest is not the JSON it should be.
    #[error("cannot read {} as a cache manifest: restore it, or remove it and resume the capture", path.display())]
    ManifestJson {
        /// The manifest.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The manifest says what it should, in other bytes than it was written with.
    #[error("{} is spelt otherwise than it was written, from byte {byte} on: it was edited or damaged; restore it", path.display())]
    ManifestSpelling {
        /// The manifest.
        path: PathBuf,
        /// The first byte that differs.
        byte: usize,
    },
    /// Written by another version of the format.
    #[error("{} has format version {found}, this build reads {expected}: use the matching version of alambic", path.display())]
    UnknownVersion {
        /// The manifest or the shard.
        path: PathBuf,
        /// The version of this build.
        expected: u32,
        /// The version in the file.
        found: String,
    },
    /// The manifest is JSON and contradicts itself or names files it may not name.
    #[error("{}: {field} should be {expected}, found {found}", path.display())]
    InvalidManifest {
        /// The manifest.
        path: PathBuf,
        /// The entry.
        field: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A file is missing from a finished cache.
    #[error("{} is listed in the manifest and does not exist: restore it, or remove manifest.json and run the capture again", path.display())]
    ShardAbsent {
        /// The shard.
        path: PathBuf,
    },
    /// A file was cut or grew.
    #[error("{} has {found} bytes, the manifest says {expected}: it was cut or replaced; restore it, or remove it and manifest.json and run the capture again", path.display())]
    ShardSize {
        /// The shard.
        path: PathBuf,
        /// Bytes according to the manifest.
        expected: u64,
        /// Bytes on the disk.
        found: u64,
    },
    /// A file changed after it was written.
    #[error("{} has SHA-256 {found}, the manifest says {expected}: it is damaged; restore it, or remove it and manifest.json and run the capture again", path.display())]
    Checksum {
        /// The shard.
        path: PathBuf,
        /// The digest in the manifest.
        expected: String,
        /// The digest of the file.
        found: String,
    },
    /// A shard and the manifest count differently.
    #[error("{} holds {found} {what}, the manifest says {expected}", path.display())]
    CountMismatch {
        /// The shard.
        path: PathBuf,
        /// What is counted: "segments", "tokens", "targets".
        what: &'static str,
        /// The count in the manifest.
        expected: u64,
        /// The count in the shard.
        found: u64,
    },
    /// The shard was asked for by an index the cache does not have.
    #[error("{} has {num_shards} shards, there is no shard {index}", path.display())]
    NoSuchShard {
        /// The cache directory.
        path: PathBuf,
        /// The index asked for.
        index: usize,
        /// The number of shards.
        num_shards: usize,
    },
    /// The segment was asked for by an index the cache or shard does not have.
    #[error("{} has {num_segments} segments, there is no segment {index}", path.display())]
    NoSuchSegment {
        /// The cache directory or the shard.
        path: PathBuf,
        /// The index asked for.
        index: u64,
        /// The number of segments.
        num_segments: u64,
    },
    /// Nothing is left for a derived cache.
    #[error("no segment is left for {}, a cache has at least one: choose another condition", path.display())]
    NoSegments {
        /// The directory of the derived cache.
        path: PathBuf,
    },
    /// Caches whose segments cannot stand in one: they differ in more than the size of their shards.
    #[error("the segments of {} do not fit: its {field} is {found}, expected {expected}", path.display())]
    UnlikeCaches {
        /// The cache that differs.
        path: PathBuf,
        /// The first field of the specification that differs.
        field: &'static str,
        /// The value that it would have to have.
        expected: String,
        /// The value that it has.
        found: String,
    },
    /// The head that makes distributions of the hidden states is missing.
    #[error("{} does not exist: hidden states mean nothing without the teacher's head; run the capture again, which puts it first, or restore it", path.display())]
    TeacherHeadAbsent {
        /// Where it should be.
        path: PathBuf,
    },
    /// The head is another one than that which the targets were captured with.
    #[error("{} has SHA-256 {found}, the specification says {expected}: it is damaged or another teacher's; restore it", path.display())]
    TeacherHeadMismatch {
        /// The head's file.
        path: PathBuf,
        /// The fingerprint in the specification.
        expected: HeadFingerprint,
        /// That of the head at hand.
        found: HeadFingerprint,
    },
    /// The head's file is not laid out as this format says.
    #[error("{} is no head of this format: {field} should be {expected}, found {found}", path.display())]
    TeacherHeadFile {
        /// The file.
        path: PathBuf,
        /// The part of it.
        field: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Numbers that no head can have.
    #[error("teacher's head: {field} should be {expected}, found {found}")]
    InvalidTeacherHead {
        /// The part of the head.
        field: &'static str,
        /// What it should be.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A file of another format holds what is not converted.
    #[error("cannot convert {}, {what} should be {expected}, found {found}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The line or row, counted from 1, and the part of it.
        what: String,
        /// What it should be, and what to do.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The Parquet library refused to write or read.
    #[error("cannot {action} {} as Parquet: the file is damaged or the disk is full", path.display())]
    Parquet {
        /// The shard.
        path: PathBuf,
        /// "write" or "read".
        action: &'static str,
        /// The library's answer.
        #[source]
        source: ParquetError,
    },
    /// The Parquet file is readable and is not laid out as a shard of this format.
    #[error("{} is no shard of this format: {field} should be {expected}, found {found}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// The part of the layout.
        field: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The Parquet library panicked on the bytes of this file; they are damaged.
    #[error("{} is damaged: the Parquet reader stopped with \"{message}\"; restore it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The panic message.
        message: String,
    },
}
