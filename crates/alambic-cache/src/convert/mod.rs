//! Caches of other formats' files; `docs/convert.md` describes these.
//!
//! Every format is read into [`ForeignSegment`]s, one after the other, and these become records of
//! targets without a tail.

mod distillkit;
mod foreign_segment;
mod neutral_jsonl;
mod neutral_parquet;
mod parquet_rows;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::path::{Path, PathBuf};

use crate::invariants::RecordRules;
use crate::shard_filler::ShardFiller;
use crate::{CacheError, CacheSpec, Manifest, TargetKind, ValueType};
use foreign_segment::{ForeignSegment, Kept, Place};

/// The format of a source of [`convert`].
///
/// ```
/// assert_ne!(alambic_cache::ForeignFormat::DistillKit, alambic_cache::ForeignFormat::Jsonl);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// A directory that DistillKit wrote: `compression_config.yaml` and Parquet files.
    DistillKit,
    /// A file of JSON objects, one a line, with `token_ids`, `top_ids` and `top_log_probs`.
    Jsonl,
    /// A Parquet file with these columns.
    Parquet,
}

/// What a cache states that other formats do not, and how it stores what they do.
///
/// ```
/// use alambic_cache::{ConvertConfig, ValueType};
/// let config = ConvertConfig {
///     teacher_fingerprint: "a1".repeat(32),
///     tokenizer_fingerprint: "b2".repeat(32),
///     vocab_size: 512,
///     values: ValueType::F32,
///     top_k: None, // as many as the source has
///     segments_per_shard: 128,
/// };
/// assert_eq!(config.values.plain_bytes(), Some(4));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertConfig {
    /// Lower-case hex SHA-256 over the teacher's configuration and weights.
    pub teacher_fingerprint: String,
    /// Lower-case hex SHA-256 over the tokenizer.
    pub tokenizer_fingerprint: String,
    /// Width of the teacher's logits; every token id is below it.
    pub vocab_size: usize,
    /// How log-probabilities are stored, `F16` or `F32`.
    pub values: ValueType,
    /// Entries per target: the most probable ones of those that the source has. `None` for all,
    /// which have to be equally many at every label then.
    pub top_k: Option<usize>,
    /// The most segments that a shard holds.
    pub segments_per_shard: usize,
}

/// Writes the segments of a source of another format, in order, as a cache.
///
/// The targets are [`HeadOnlyTargets`](crate::HeadOnlyTargets): what the source lacks, the mass of all
/// other tokens, the entropy, further temperatures, stays unknown. Log-probabilities are as the
/// source has them, sorted, and rounded to `values`. A call that was killed is repeated and keeps the
/// shards that are whole. Holds one shard and a few rows of the source.
///
/// # Errors
/// [`CacheError::Foreign`] for what the format does not say or a cache does not hold, with its
/// place; [`CacheError::InvalidRecord`] for ids and log-probabilities that are none, also with the
/// source's place; [`CacheError::NoSegments`] for an empty source, [`CacheError::InvalidSpec`], and
/// those of [`CacheWriter`](crate::CacheWriter).
///
/// ```
/// use alambic_cache::{CacheReader, ConvertConfig, ForeignFormat, ValueType, convert};
/// # let dir = tempfile::tempdir()?;
/// let source = dir.path().join("source.jsonl");
/// // Three tokens; what was expected in place of the second and the third.
/// std::fs::write(
///     &source,
///     r#"{"token_ids": [1, 3, 0], "top_ids": [null, [3, 2], [2, 0]],
///         "top_log_probs": [null, [-0.1, -3.0], [-1.5, -0.5]]}"#.replace('\n', ""),
/// )?;
/// let config = ConvertConfig {
///     teacher_fingerprint: "a1".repeat(32),
///     tokenizer_fingerprint: "b2".repeat(32),
///     vocab_size: 4,
///     values: ValueType::F32,
///     top_k: None,
///     segments_per_shard: 128,
/// };
/// let cache = dir.path().join("cache");
/// assert_eq!(convert(&source, ForeignFormat::Jsonl, &cache, &config)?.num_targets, 2);
/// let record = &CacheReader::open(&cache)?.read_shard(0)?[0];
/// assert_eq!(record.loss_mask, [false, true, true]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn convert(
    source: &Path,
    format: ForeignFormat,
    out: &Path,
    config: &ConvertConfig,
) -> Result<Manifest, CacheError> {
    let mut conversion = Conversion {
        out,
        config,
        target: None,
    };
    let mut take = |segment: ForeignSegment, place: Place<'_>| conversion.take(&segment, place);
    match format {
        ForeignFormat::DistillKit => distillkit::read(source, &mut take)?,
        ForeignFormat::Jsonl => neutral_jsonl::read(source, &mut take)?,
        ForeignFormat::Parquet => neutral_parquet::read(source, &mut take)?,
    }
    conversion.finish()
}

/// Takes segments as they are read.
type Take<'a> = dyn FnMut(ForeignSegment, Place<'_>) -> Result<(), CacheError> + 'a;

/// The Parquet files of a directory in the order of their numbers, or the file itself.
fn parquet_files(source: &Path) -> Result<Vec<PathBuf>, CacheError> {
    if !source.is_dir() {
        return Ok(vec![source.to_owned()]);
    }
    let mut names = crate::write_once_dir::file_names(source)?;
    names.retain(|name| name.ends_with(".parquet"));
    // data_10 after data_9: by length, then by name.
    names.sort_by_key(|name| (name.len(), name.clone()));
    Ok(names.iter().map(|name| source.join(name)).collect())
}

/// Segments on their way into a cache, which begins with the first one that has a label.
struct Conversion<'a> {
    out: &'a Path,
    config: &'a ConvertConfig,
    target: Option<Target>,
}

/// The cache that is written.
struct Target {
    kept: Kept,
    rules: RecordRules,
    filler: ShardFiller,
}

impl Conversion<'_> {
    fn take(&mut self, segment: &ForeignSegment, place: Place<'_>) -> Result<(), CacheError> {
        let target = match &mut self.target {
            Some(target) => target,
            None => {
                let all = segment.num_entries().map(Kept::All);
                let Some(kept) = self.config.top_k.map(Kept::MostProbable).or(all) else {
                    return Err(place.refuse(
                        "the labels",
                        "at least one in the first segment, which tells how many entries there are; \
                         or say how many",
                        "none".into(),
                    ));
                };
                self.target
                    .insert(Target::open(self.out, self.config, kept)?)
            }
        };
        let record = segment.to_record(target.kept, &self.config.teacher_fingerprint, place)?;
        target.rules.check(&record, place.row, place.path)?;
        target.filler.push(record)
    }

    fn finish(self) -> Result<Manifest, CacheError> {
        match self.target {
            Some(target) => target.filler.finish(),
            None => Err(CacheError::NoSegments {
                path: self.out.to_owned(),
            }),
        }
    }
}

impl Target {
    fn open(out: &Path, config: &ConvertConfig, kept: Kept) -> Result<Self, CacheError> {
        let spec = CacheSpec {
            teacher_fingerprint: config.teacher_fingerprint.clone(),
            tokenizer_fingerprint: config.tokenizer_fingerprint.clone(),
            vocab_size: config.vocab_size,
            targets: TargetKind::HeadOnly {
                k: kept.count(),
                values: config.values,
            },
            temperatures: vec![1.0],
            segments_per_shard: config.segments_per_shard,
        };
        spec.validate()?;
        Ok(Self {
            kept,
            rules: RecordRules::new(&spec),
            filler: ShardFiller::open(out, spec)?,
        })
    }
}
