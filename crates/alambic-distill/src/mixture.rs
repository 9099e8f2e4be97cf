//! Several sources in proportions.

use std::sync::Arc;

use alambic_cache::{TargetRecord, TeacherHead};

use crate::joined_sources::JoinedSources;
use crate::{DistillError, StoredTargets, TrainingSource};

/// Several training sources, each read so often in an epoch of the mixture.
///
/// A source of 2 epochs is read twice in each epoch of the mixture, one of 0.5 in every second one, one of 1.5 once and twice in turns:
/// in epoch e, counted from 0, ⌊(e+1)·epochs⌋ − ⌊e·epochs⌋ times. Within an epoch the shards of all sources are mixed.
pub struct Mixture {
    joined: JoinedSources,
    epochs: Vec<f64>,
}

impl Mixture {
    /// Sources with the epochs of each in an epoch of the mixture; one of them is read in every epoch at least.
    ///
    /// # Errors
    /// [`DistillError::UnlikeSources`] if their records cannot be trained on together; [`DistillError::Setting`] for epochs that are not
    /// above 0, or all below 1; [`DistillError::Empty`] without sources.
    pub fn try_new(parts: Vec<(Arc<dyn TrainingSource>, f64)>) -> Result<Self, DistillError> {
        let (sources, epochs): (Vec<_>, Vec<f64>) = parts.into_iter().unzip();
        let joined = JoinedSources::try_new(sources)?;
        if let Some(wrong) = epochs.iter().find(|it| !(it.is_finite() && **it > 0.0)) {
            return Err(setting(*wrong, "more than 0"));
        }
        let most = epochs.iter().copied().fold(0.0, f64::max);
        if most < 1.0 {
            return Err(setting(most, "at least 1 for the source that is read most"));
        }
        Ok(Self { joined, epochs })
    }

    /// The epochs with which sources of so many tokens have these weights among the tokens that are read. The source that needs to be
    /// read most often is read once in each epoch.
    ///
    /// ```
    /// use alambic_distill::Mixture;
    /// // A small source of 100 tokens and a large one of 800 in equal parts: the large one is read in every eighth epoch.
    /// assert_eq!(Mixture::epochs_of_weights(&[(100, 1.0), (800, 1.0)]), [1.0, 0.125]);
    /// ```
    ///
    /// # Panics
    /// For a source without tokens, or a weight that is not above 0.
    #[must_use]
    pub fn epochs_of_weights(parts: &[(u64, f64)]) -> Vec<f64> {
        let needs = parts.iter().map(|&(tokens, weight)| {
            assert!(
                tokens > 0 && weight > 0.0,
                "{tokens} tokens of weight {weight}"
            );
            weight / tokens as f64
        });
        let needs: Vec<f64> = needs.collect();
        let most = needs.iter().copied().fold(0.0, f64::max);
        needs.into_iter().map(|need| need / most).collect()
    }

    /// How often a source is read in an epoch.
    fn passes(&self, source: usize, epoch: u64) -> u64 {
        let before = |epoch: u64| (epoch as f64 * self.epochs[source]).floor() as u64;
        before(epoch + 1) - before(epoch)
    }
}

fn setting(found: f64, expected: &'static str) -> DistillError {
    DistillError::Setting {
        key: "epochs",
        found: found.to_string(),
        expected,
    }
}

impl TrainingSource for Mixture {
    fn num_shards(&self) -> usize {
        self.joined.num_shards()
    }

    fn read_shard(&self, index: usize) -> Result<Vec<TargetRecord>, DistillError> {
        self.joined.read_shard(index)
    }

    fn epoch_shards(&self, epoch: u64) -> Vec<usize> {
        let mut shards = Vec::new();
        for source in 0..self.joined.sources().len() {
            for _ in 0..self.passes(source, epoch) {
                shards.extend(self.joined.epoch_shards(source, epoch));
            }
        }
        shards
    }

    fn targets(&self) -> Option<StoredTargets> {
        self.joined.targets()
    }

    fn teacher_head(&self) -> Result<Option<TeacherHead>, DistillError> {
        self.joined.teacher_head()
    }

    fn vocab_size(&self) -> usize {
        self.joined.vocab_size()
    }

    fn identity(&self) -> String {
        self.joined.identity(&format!("mixture {:?}", self.epochs))
    }
}
