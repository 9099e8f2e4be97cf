//! Several training sources with one numbering of shards.

use std::sync::Arc;

use alambic_cache::{TargetRecord, TeacherHead};

use crate::source::hash_of;
use crate::{DistillError, StoredTargets, TrainingSource};

/// Sources whose records can be trained on together; the shards of each follow those of the one before it.
pub(crate) struct JoinedSources {
    sources: Vec<Arc<dyn TrainingSource>>,
    /// The first shard of each source.
    starts: Vec<usize>,
}

impl JoinedSources {
    /// Checks that the sources say the same kind of thing over the same vocabulary.
    pub(crate) fn try_new(sources: Vec<Arc<dyn TrainingSource>>) -> Result<Self, DistillError> {
        let Some(first) = sources.first() else {
            return Err(DistillError::Empty {
                what: "a list of training sources".into(),
                hint: "name at least one",
            });
        };
        let head = first.teacher_head()?;
        for (place, other) in sources.iter().enumerate().skip(1) {
            let vocabularies = (first.vocab_size(), other.vocab_size());
            let differs = if vocabularies.0 != vocabularies.1 {
                Some(format!(
                    "vocabularies of {} and {} tokens",
                    vocabularies.0, vocabularies.1
                ))
            } else if first.targets() != other.targets() {
                Some(format!(
                    "targets {:?} and {:?}",
                    first.targets(),
                    other.targets()
                ))
            } else if head != other.teacher_head()? {
                Some("hidden states of different heads".into())
            } else {
                None
            };
            if let Some(differs) = differs {
                return Err(DistillError::UnlikeSources { place, differs });
            }
        }
        let mut starts = Vec::with_capacity(sources.len());
        let mut start = 0;
        for source in &sources {
            starts.push(start);
            start += source.num_shards();
        }
        Ok(Self { sources, starts })
    }

    pub(crate) fn sources(&self) -> &[Arc<dyn TrainingSource>] {
        &self.sources
    }

    /// The shards of an epoch of one source, by the joint numbering.
    pub(crate) fn epoch_shards(&self, source: usize, epoch: u64) -> impl Iterator<Item = usize> {
        let start = self.starts[source];
        let shards = self.sources[source].epoch_shards(epoch);
        shards.into_iter().map(move |shard| start + shard)
    }

    pub(crate) fn num_shards(&self) -> usize {
        self.sources.iter().map(|source| source.num_shards()).sum()
    }

    pub(crate) fn read_shard(&self, index: usize) -> Result<Vec<TargetRecord>, DistillError> {
        let source = self.starts.partition_point(|&start| start <= index) - 1;
        self.sources[source].read_shard(index - self.starts[source])
    }

    pub(crate) fn targets(&self) -> Option<StoredTargets> {
        self.sources[0].targets()
    }

    pub(crate) fn teacher_head(&self) -> Result<Option<TeacherHead>, DistillError> {
        self.sources[0].teacher_head()
    }

    pub(crate) fn vocab_size(&self) -> usize {
        self.sources[0].vocab_size()
    }

    /// Names all sources, and with `how` the way in which they are joined.
    pub(crate) fn identity(&self, how: &str) -> String {
        let sources = self.sources.iter().map(|source| source.identity());
        hash_of(std::iter::once(how.to_owned()).chain(sources))
    }
}
