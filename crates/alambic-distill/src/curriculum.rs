//! One source after the other.

use std::sync::Arc;

use alambic_cache::{TargetRecord, TeacherHead};

use crate::joined_sources::JoinedSources;
use crate::{DistillError, StoredTargets, TrainingSource};

/// Training sources that follow each other: progressive learning, where the answers of a middling teacher come before those of a strong one
/// (Mukherjee et al. 2023, Orca, arXiv:2306.02707, section 3).
///
/// Each source is read for its epochs before the next begins; the last one is read for as long as training goes on. A source can be a
/// [`Mixture`](crate::Mixture).
pub struct Curriculum {
    joined: JoinedSources,
    /// Epochs of all sources but the last.
    epochs: Vec<u64>,
}

impl Curriculum {
    /// Sources with the epochs of each, in their order, and the one that comes last.
    ///
    /// # Errors
    /// [`DistillError::UnlikeSources`] if their records cannot be trained on together.
    pub fn try_new(
        before: Vec<(Arc<dyn TrainingSource>, u64)>,
        last: Arc<dyn TrainingSource>,
    ) -> Result<Self, DistillError> {
        let (mut sources, epochs): (Vec<_>, Vec<u64>) = before.into_iter().unzip();
        sources.push(last);
        Ok(Self {
            joined: JoinedSources::try_new(sources)?,
            epochs,
        })
    }

    /// The source of an epoch, and which epoch of that source it is.
    fn stage(&self, epoch: u64) -> (usize, u64) {
        let mut rest = epoch;
        for (source, &epochs) in self.epochs.iter().enumerate() {
            if rest < epochs {
                return (source, rest);
            }
            rest -= epochs;
        }
        (self.epochs.len(), rest)
    }
}

impl TrainingSource for Curriculum {
    fn num_shards(&self) -> usize {
        self.joined.num_shards()
    }

    fn read_shard(&self, index: usize) -> Result<Vec<TargetRecord>, DistillError> {
        self.joined.read_shard(index)
    }

    fn epoch_shards(&self, epoch: u64) -> Vec<usize> {
        let (source, epoch) = self.stage(epoch);
        self.joined.epoch_shards(source, epoch).collect()
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
        self.joined
            .identity(&format!("curriculum {:?}", self.epochs))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::record_without_targets;
    use crate::{DataPosition, Mixture, WindowConfig, Windows};

    /// Shards of one record each, whose tokens name them.
    struct Numbered {
        tokens: Vec<u32>,
        vocab_size: usize,
    }

    impl TrainingSource for Numbered {
        fn num_shards(&self) -> usize {
            self.tokens.len()
        }

        fn read_shard(&self, index: usize) -> Result<Vec<TargetRecord>, DistillError> {
            let token_ids = vec![self.tokens[index]; 4];
            let loss_mask = vec![false, true, true, true];
            Ok(vec![record_without_targets(token_ids, loss_mask)])
        }

        fn targets(&self) -> Option<StoredTargets> {
            None
        }

        fn vocab_size(&self) -> usize {
            self.vocab_size
        }

        fn identity(&self) -> String {
            format!("{:?}", self.tokens)
        }
    }

    fn numbered(tokens: &[u32]) -> Arc<dyn TrainingSource> {
        Arc::new(Numbered {
            tokens: tokens.to_vec(),
            vocab_size: 100,
        })
    }

    /// The tokens that name the sequences of some windows.
    fn read(source: Arc<dyn TrainingSource>, windows: usize) -> Vec<u32> {
        let config = WindowConfig {
            seed: 5,
            sequences_per_step: 1,
            sequence_tokens: 4,
            shuffle_shards: 2,
            pad_id: 0,
        };
        let mut stream = Windows::try_new(source, config, DataPosition::default(), false).unwrap();
        let first = |_| stream.next_window().unwrap().sequences[0].packed.token_ids[0];
        (0..windows).map(first).collect()
    }

    fn sorted(mut tokens: Vec<u32>) -> Vec<u32> {
        tokens.sort_unstable();
        tokens
    }

    #[test]
    fn each_source_is_read_as_often_as_it_was_said() {
        let parts = vec![
            (numbered(&[1, 2, 3]), 2.0),
            (numbered(&[11, 12]), 0.5),
            (numbered(&[21]), 1.5),
        ];
        let mixture: Arc<dyn TrainingSource> = Arc::new(Mixture::try_new(parts).unwrap());
        let tokens = read(mixture.clone(), 16);
        assert_eq!(sorted(tokens[..7].to_vec()), [1, 1, 2, 2, 3, 3, 21]);
        assert_eq!(
            sorted(tokens[7..16].to_vec()),
            [1, 1, 2, 2, 3, 3, 11, 12, 21]
        );
        let shards = |epoch| mixture.epoch_shards(epoch).len();
        assert_eq!([shards(0), shards(1), shards(2), shards(3)], [7, 10, 7, 10]);
    }

    #[test]
    fn weights_are_shares_of_the_tokens_that_are_read() {
        let epochs = Mixture::epochs_of_weights(&[(300, 3.0), (600, 1.0), (100, 1.0)]);
        let read: Vec<f64> = epochs
            .iter()
            .zip([300.0, 600.0, 100.0])
            .map(|(e, t)| e * t)
            .collect();
        assert!((read[0] / read[1] - 3.0).abs() < 1e-12 && (read[2] / read[1] - 1.0).abs() < 1e-12);
        assert_eq!(epochs.iter().copied().fold(0.0, f64::max), 1.0);
    }

    #[test]
    fn sources_follow_each_other_and_the_last_one_stays() {
        let mixed = Mixture::try_new(vec![(numbered(&[11]), 1.0), (numbered(&[12]), 1.0)]).unwrap();
        let before = vec![(numbered(&[1, 2, 3]), 2), (numbered(&[5]), 1)];
        let curriculum = Curriculum::try_new(before, Arc::new(mixed)).unwrap();
        let tokens = read(Arc::new(curriculum), 13);
        assert_eq!(sorted(tokens[..3].to_vec()), [1, 2, 3]);
        assert_eq!(sorted(tokens[3..6].to_vec()), [1, 2, 3]);
        assert_eq!(tokens[6], 5);
        assert_eq!(sorted(tokens[7..].to_vec()), [11, 11, 11, 12, 12, 12]);
    }

    #[test]
    fn what_is_joined_has_a_name_of_its_own() {
        let mixture = |epochs: f64| {
            let parts = vec![(numbered(&[1]), 1.0), (numbered(&[2]), epochs)];
            Mixture::try_new(parts).unwrap().identity()
        };
        assert_eq!(mixture(1.0), mixture(1.0));
        assert_ne!(mixture(1.0), mixture(2.0));
        let curriculum = Curriculum::try_new(vec![(numbered(&[1]), 1)], numbered(&[2])).unwrap();
        assert_ne!(curriculum.identity(), mixture(1.0));
    }

    #[test]
    fn sources_that_do_not_belong_together_are_refused() {
        let other: Arc<dyn TrainingSource> = Arc::new(Numbered {
            tokens: vec![1],
            vocab_size: 50,
        });
        let error = Mixture::try_new(vec![(numbered(&[1]), 1.0), (other.clone(), 1.0)]).err();
        let error = error.unwrap().to_string();
        assert!(
            error.contains("vocabularies of 100 and 50 tokens"),
            "{error}"
        );
        assert!(Curriculum::try_new(vec![(numbered(&[1]), 1)], other).is_err());
        for epochs in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.5] {
            assert!(Mixture::try_new(vec![(numbered(&[1]), epochs)]).is_err());
        }
        assert!(Mixture::try_new(vec![]).is_err());
    }
}
