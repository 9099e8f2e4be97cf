//! The summary of a cache that `alambic cache info` shows.

use serde::Serialize;

use crate::{CacheSpec, Manifest, ShardEntry};

/// Specification, counts and sizes of a finished cache.
///
/// Made by [`CacheReader::info`](crate::CacheReader::info); serialises to JSON for machines.
///
/// ```
/// # use alambic_cache::{CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
/// # let dir = tempfile::tempdir()?;
/// # let spec = CacheSpec {
/// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
/// #     targets: TargetKind::TopK { k: 1, values: ValueType::F32 }, temperatures: vec![1.0],
/// #     segments_per_shard: 8,
/// # };
/// # let record = TargetRecord {
/// #     key: SegmentKey::of("t", &[1, 3], &[false, true]), token_ids: vec![1, 3], loss_mask: vec![false, true],
/// #     targets: TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.75f32.ln()], tail_mass: vec![0.25], entropy: vec![0.5623], tempered: vec![] }.into(),
/// # };
/// # let mut writer = CacheWriter::open(dir.path(), spec)?;
/// # writer.write_shard(0, &[record])?;
/// # writer.finish(1)?;
/// let info = CacheReader::open(dir.path())?.info();
/// let json = serde_json::to_value(&info)?;
/// assert_eq!(json["num_targets"], 1);
/// assert_eq!(json["spec"]["targets"]["k"], 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CacheInfo {
    /// Version of the format.
    pub format_version: u32,
    /// What the cache was captured from and how it is stored.
    pub spec: CacheSpec,
    /// Number of shard files.
    pub num_shards: usize,
    /// Segments in all shards.
    pub num_segments: u64,
    /// Tokens of the student's view in all shards.
    pub num_tokens: u64,
    /// Counted labels in all shards.
    pub num_targets: u64,
    /// Size of all shards, without the manifest and the teacher's head.
    pub bytes: u64,
    /// `bytes / num_tokens`.
    pub bytes_per_token: f64,
    /// The shards in order.
    pub shards: Vec<ShardEntry>,
}

impl CacheInfo {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let bytes = manifest.shards.iter().map(|shard| shard.bytes).sum();
        Self {
            format_version: manifest.format_version,
            spec: manifest.spec.clone(),
            num_shards: manifest.shards.len(),
            num_segments: manifest.num_segments,
            num_tokens: manifest.num_tokens,
            num_targets: manifest.num_targets,
            bytes,
            bytes_per_token: bytes as f64 / manifest.num_tokens as f64,
            shards: manifest.shards.clone(),
        }
    }
}
