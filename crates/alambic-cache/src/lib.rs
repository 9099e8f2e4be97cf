//! Teacher outputs on disk: Parquet shards, a manifest, integrity and resume.
//!
//! A teacher is run once; what it said is kept as a *cache*, and any number of students train
//! from it. A cache is a directory of immutable shards, `shard-00000.parquet` and so on, one row
//! per segment, and a `manifest.json` that is written last: a directory with a manifest is whole.
//! Instead of a directory it may be a prefix in object storage ([`CacheLocation`]), with the
//! feature `object-store`.
//!
//! - [`CacheWriter`] captures: it takes records shard by shard, resumes after a kill, finishes.
//!   Several writers share a corpus by [`Part`]; the last one, or [`seal`], completes the cache.
//! - [`CacheReader`] trains: it returns the records of one shard at a time.
//! - [`SegmentReader`] reads single segments in any order, [`EpochOrder`] says in which.
//! - [`TargetIndex`] finds segments by what the teacher read, so that it is not asked twice.
//! - [`concatenate`], [`filter`] and [`split`] make caches of caches, [`convert`] of other formats.
//! - [`verify`] proves that nothing changed since the capture.
//!
//! # A capture and a reading
//!
//! ```
//! use alambic_cache::{
//!     CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind,
//!     ValueType, verify,
//! };
//!
//! let spec = CacheSpec {
//!     teacher_fingerprint: "a1".repeat(32),
//!     tokenizer_fingerprint: "b2".repeat(32),
//!     vocab_size: 4,
//!     targets: TargetKind::TopK { k: 2, values: ValueType::F16 },
//!     temperatures: vec![1.0],
//!     segments_per_shard: 128,
//! };
//! // The segment "1 3 0", whose last two tokens are labels; the teacher's distribution over the
//! // four tokens is 1/2, 1/4, 1/8, 1/8 at both.
//! let (token_ids, loss_mask) = (vec![1, 3, 0], vec![false, true, true]);
//! let record = TargetRecord {
//!     key: SegmentKey::of(&spec.teacher_fingerprint, &token_ids, &loss_mask),
//!     token_ids,
//!     loss_mask,
//!     targets: TopKTargets {
//!         k: 2,
//!         token_ids: vec![3, 0, /* second label */ 0, 2],
//!         log_probs: vec![0.5f32.ln(), 0.25f32.ln(), 0.5f32.ln(), 0.25f32.ln()],
//!         tail_mass: vec![0.25, 0.25],
//!         entropy: vec![1.75 * 2f32.ln(); 2],
//!         tempered: vec![], // no further temperatures
//!     }.into(),
//! };
//!
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let mut writer = CacheWriter::open(dir, spec)?;
//! if !writer.has_shard(0, &[record.key])? {
//!     writer.write_shard(0, &[record])?;
//! }
//! writer.finish(1)?;
//!
//! assert_eq!(verify(dir)?.num_targets, 2);
//! let reader = CacheReader::open(dir)?;
//! let stored = &reader.read_shard(0)?[0];
//! assert_eq!(stored.targets.top_k().unwrap().token_ids, [3, 0, 0, 2]);
//! assert!((stored.targets.top_k().unwrap().log_probs[1] - 0.25f32.ln()).abs() < 1e-3); // f16
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a record promises
//!
//! Checked when it is written and again when it is read; a record that breaks a rule is
//! [`CacheError::InvalidRecord`]:
//! - at least one token, `loss_mask` as long as `token_ids` and `false` at 0;
//! - one row of targets per counted label, of the kind, the `k` or the draws of the whole cache;
//! - ids below `vocab_size`, distinct within a row;
//! - entropy, where it is stored, in `[0, ln vocab_size]` (within [`ENTROPY_TOLERANCE_NATS`]);
//! - [`TopKTargets`]: log-probabilities finite, descending, at most 0 (within
//!   [`LOG_PROB_TOLERANCE_NATS`]); tail mass in `[0, 1]`, exactly 0 if `k == vocab_size`; head and
//!   tail add up to 1 (within [`MASS_TOLERANCE`]); at each further temperature a tail mass in
//!   `[0, 1)`, an entropy on the right side of that at 1, and with the head a sum `Σ p^(1/T)` that a
//!   distribution over the vocabulary can have;
//! - [`HeadOnlyTargets`]: log-probabilities finite, descending, at most 0 (within
//!   [`LOG_PROB_TOLERANCE_NATS`]);
//! - [`SampledTargets`]: ids ascending, each drawn at least once, as many draws in every row;
//! - [`HeadPlusSampledTail`]: the head as above; as many draws in every row that has a tail, none of
//!   them in the head;
//! - [`HiddenTargets`]: states of the width of the whole cache, finite.
//!
//! Nothing is clamped or dropped. [`ValueType::F32`] stores what it was given, [`ValueType::F16`]
//! rounds log-probabilities to nearest, a relative error of at most [`F16_RELATIVE_ERROR`].
//! [`ValueType::Fine`] and [`ValueType::Coarse`] store levels, which are read as a distribution
//! whose head and tail add up to 1, at every temperature; with them, and with draws, the entropy is rounded to 1/64 nat,
//! from 0 up. [`StateType`] says how hidden states are rounded; the [`TeacherHead`] that makes
//! distributions of them lies in the same directory, and its fingerprint is part of the specification.
//!
//! # What a directory promises
//!
//! Files appear whole or not at all and are never overwritten; one writer at a time for each
//! [`Part`] (in object storage several may meet, and the first one wins shard by shard); the same
//! records give the same bytes, whoever wrote them. Files may be hostile: reading
//! them gives records or an error.
//! The layout is described in `docs/cache-format.md`.

mod compact;
mod convert;
mod decode;
mod derive;
mod draw_method;
mod drawn_tokens;
mod encode;
mod epoch_order;
mod error;
mod extent;
mod head_fingerprint;
mod head_only_targets;
mod head_plus_sampled_tail;
mod held_storage;
mod hidden_targets;
mod info;
mod invariants;
mod layout;
mod location;
mod manifest;
mod missing_shards;
mod object_url;
#[cfg(feature = "object-store")]
mod objects;
mod part;
mod reader;
mod record;
mod sampled_targets;
mod seal;
mod segment_key;
mod segment_reader;
mod shard_content;
mod shard_file;
mod shard_filler;
mod shared_file;
mod spec;
mod state_type;
mod storage;
mod stored_file;
mod target_index;
mod teacher_head;
mod teacher_head_file;
mod tempered_rules;
mod tempered_tail;
mod top_k_targets;
mod verify;
mod write_once_dir;
mod writer;

pub use convert::{ConvertConfig, ForeignFormat, convert};
pub use derive::{concatenate, filter, split};
pub use draw_method::DrawMethod;
pub use drawn_tokens::{DrawnRow, DrawnTokens};
pub use epoch_order::EpochOrder;
pub use error::CacheError;
pub use head_fingerprint::HeadFingerprint;
pub use head_only_targets::HeadOnlyTargets;
pub use head_plus_sampled_tail::HeadPlusSampledTail;
pub use hidden_targets::HiddenTargets;
pub use info::CacheInfo;
pub use invariants::{
    ENTROPY_TOLERANCE_NATS, F16_RELATIVE_ERROR, LOG_PROB_TOLERANCE_NATS, MASS_TOLERANCE,
};
pub use layout::{MANIFEST_FILE, TEACHER_HEAD_FILE};
pub use location::CacheLocation;
pub use manifest::{Manifest, ShardEntry};
pub use missing_shards::MissingShards;
pub use part::Part;
pub use reader::CacheReader;
pub use record::{TargetRecord, Targets};
pub use sampled_targets::SampledTargets;
pub use seal::{Finished, seal};
pub use segment_key::SegmentKey;
pub use segment_reader::SegmentReader;
pub use spec::{CacheSpec, FORMAT_VERSION, MAX_DRAWS, MAX_TEMPERATURES, TargetKind, ValueType};
pub use state_type::StateType;
pub use target_index::TargetIndex;
pub use teacher_head::TeacherHead;
pub use tempered_tail::TemperedTail;
pub use top_k_targets::TopKTargets;
pub use verify::{VerifyReport, verify};
pub use writer::CacheWriter;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sample;
