//! What a student is trained on: shards of records, with or without teacher targets.

use alambic_cache::{CacheReader, SegmentKey, TargetKind, TargetRecord, TeacherHead, TopKTargets};
use alambic_text::Segment;
use sha2::{Digest, Sha256};

use crate::DistillError;

/// What the records of a source say about the teacher.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTargets {
    /// What is stored per label.
    pub kind: TargetKind,
    /// Temperatures that the targets answer for.
    pub temperatures: Vec<f64>,
}

/// Shards of training records that can be read in any order.
pub trait TrainingSource: Send + Sync {
    /// Number of shards.
    fn num_shards(&self) -> usize;

    /// The records of one shard, the same at every call.
    ///
    /// # Errors
    /// When the shard cannot be read or is damaged.
    fn read_shard(&self, index: usize) -> Result<Vec<TargetRecord>, DistillError>;

    /// The shards of an epoch, counted from 0, in any order; one may be read several times. All of them, once, if not said otherwise.
    fn epoch_shards(&self, _epoch: u64) -> Vec<usize> {
        (0..self.num_shards()).collect()
    }

    /// The teacher targets that the records carry, if any.
    fn targets(&self) -> Option<StoredTargets>;

    /// The head that makes distributions of hidden states; `None` for targets that need none.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    fn teacher_head(&self) -> Result<Option<TeacherHead>, DistillError> {
        Ok(None)
    }

    /// Whether the records carry teacher targets.
    fn has_targets(&self) -> bool {
        self.targets().is_some()
    }

    /// Size of the vocabulary that the token ids belong to.
    fn vocab_size(&self) -> usize;

    /// Names the content, so that a checkpoint is not continued on other data.
    fn identity(&self) -> String;
}

impl TrainingSource for CacheReader {
    fn num_shards(&self) -> usize {
        self.manifest().shards.len()
    }

    fn read_shard(&self, index: usize) -> Result<Vec<TargetRecord>, DistillError> {
        Ok(CacheReader::read_shard(self, index)?)
    }

    fn targets(&self) -> Option<StoredTargets> {
        let spec = &self.manifest().spec;
        Some(StoredTargets {
            kind: spec.targets,
            temperatures: spec.temperatures.iter().copied().map(f64::from).collect(),
        })
    }

    fn teacher_head(&self) -> Result<Option<TeacherHead>, DistillError> {
        Ok(CacheReader::teacher_head(self)?)
    }

    fn vocab_size(&self) -> usize {
        self.manifest().spec.vocab_size
    }

    fn identity(&self) -> String {
        hash_of(self.manifest().shards.iter().map(|shard| &shard.sha256))
    }
}

/// Plain text without a teacher, made shard by shard: for training on hard labels alone.
pub struct PlainText<F> {
    identity: String,
    num_shards: usize,
    vocab_size: usize,
    segments: F,
}

impl<F> PlainText<F>
where
    F: Fn(usize) -> Result<Vec<Segment>, DistillError> + Send + Sync,
{
    /// A source whose shard `i` is `segments(i)`, a pure function; `identity` names what it makes.
    pub fn new(
        identity: impl Into<String>,
        num_shards: usize,
        vocab_size: usize,
        segments: F,
    ) -> Self {
        Self {
            identity: identity.into(),
            num_shards,
            vocab_size,
            segments,
        }
    }
}

impl<F> TrainingSource for PlainText<F>
where
    F: Fn(usize) -> Result<Vec<Segment>, DistillError> + Send + Sync,
{
    fn num_shards(&self) -> usize {
        self.num_shards
    }

    fn read_shard(&self, index: usize) -> Result<Vec<TargetRecord>, DistillError> {
        let segments = (self.segments)(index)?;
        Ok(segments.iter().map(without_targets).collect())
    }

    fn targets(&self) -> Option<StoredTargets> {
        None
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }
}

/// Plain text without a teacher that is held in memory, as one shard, for text that cannot be made shard by
/// shard.
///
/// # Memory
/// Five bytes for each token and about 200 for each segment, and the same again while it is read from.
pub struct InMemoryText {
    identity: String,
    records: Vec<TargetRecord>,
    vocab_size: usize,
}

impl InMemoryText {
    /// Holds all segments, as the student sees them.
    ///
    /// # Errors
    /// The first error among the segments, and [`DistillError::Empty`] if there are none.
    pub fn try_new<E: Into<DistillError>>(
        segments: impl IntoIterator<Item = Result<Segment, E>>,
        vocab_size: usize,
    ) -> Result<Self, DistillError> {
        let mut records = Vec::new();
        for segment in segments {
            records.push(without_targets(&segment.map_err(Into::into)?));
        }
        if records.is_empty() {
            return Err(DistillError::Empty {
                what: "a split of the text".into(),
                hint: "give it more documents, or hold out a larger or no share of them",
            });
        }
        Ok(Self {
            identity: hash_of(records.iter().map(|record| record.key.to_string())),
            records,
            vocab_size,
        })
    }
}

impl TrainingSource for InMemoryText {
    fn num_shards(&self) -> usize {
        1
    }

    fn read_shard(&self, _index: usize) -> Result<Vec<TargetRecord>, DistillError> {
        Ok(self.records.clone())
    }

    fn targets(&self) -> Option<StoredTargets> {
        None
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }
}

/// SHA-256 of some texts one after the other, in lower-case hex.
pub(crate) fn hash_of(texts: impl Iterator<Item = impl AsRef<[u8]>>) -> String {
    let mut hash = Sha256::new();
    texts.for_each(|text| hash.update(text));
    let bytes = hash.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Stands for the teacher in the keys of records that have none.
const NO_TEACHER: &str = "";

fn without_targets(segment: &Segment) -> TargetRecord {
    let view = segment.student();
    record_without_targets(view.token_ids().to_vec(), view.loss_mask().to_vec())
}

/// A record of tokens about which no teacher said anything.
pub(crate) fn record_without_targets(token_ids: Vec<u32>, loss_mask: Vec<bool>) -> TargetRecord {
    TargetRecord {
        key: SegmentKey::of(NO_TEACHER, &token_ids, &loss_mask),
        token_ids,
        loss_mask,
        targets: TopKTargets {
            k: 0,
            token_ids: Vec::new(),
            log_probs: Vec::new(),
            tail_mass: Vec::new(),
            entropy: Vec::new(),
            tempered: Vec::new(),
        }
        .into(),
    }
}
