//! The order of the data: which sequences make up which optimizer step.
//!
//! The order is a pure function of (seed, step): it does not depend on the size of a micro-batch
//! or on the number of devices.

use std::sync::Arc;

use alambic_cache::TargetRecord;
use alambic_text::Packer;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{DistillError, TargetSequence, TrainingSource};

/// How sequences are drawn from the training data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowConfig {
    /// Seed of the data order.
    pub seed: u64,
    /// Sequences per optimizer step.
    pub sequences_per_step: usize,
    /// Length of every packed sequence.
    pub sequence_tokens: usize,
    /// How many shards are held in memory and mixed at a time.
    pub shuffle_shards: usize,
    /// Token id that fills what packing leaves free; never attended to, never a label.
    pub pad_id: u32,
}

/// Where in the data a run stands; stored in checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPosition {
    /// Passes over the data that are complete.
    pub epoch: u64,
    /// Pool of shards within the epoch.
    pub pool: usize,
    /// Sequence within the pool.
    pub sequence: usize,
}

/// All sequences of one optimizer step.
#[derive(Clone, Debug)]
pub struct Window {
    /// The sequences, in order.
    pub sequences: Vec<TargetSequence>,
    /// Labels that count, over the whole window: what a sum of losses is divided by.
    pub num_labels: u64,
}

/// Where a trainer's windows come from.
pub(crate) trait WindowSource: Send {
    /// The sequences of the next optimizer step.
    fn next_window(&mut self) -> Result<Window, DistillError>;

    /// Where the next window starts.
    fn position(&self) -> DataPosition;
}

impl WindowSource for Windows {
    fn next_window(&mut self) -> Result<Window, DistillError> {
        Windows::next_window(self)
    }

    fn position(&self) -> DataPosition {
        Windows::position(self)
    }
}

/// A pool of shards in memory with its packing plan.
struct Pool {
    position: (u64, usize),
    records: Vec<TargetRecord>,
    plan: Vec<Vec<usize>>,
}

/// An endless stream of [`Window`]s over the shards of a [`TrainingSource`].
pub struct Windows {
    source: Arc<dyn TrainingSource>,
    config: WindowConfig,
    with_targets: bool,
    position: DataPosition,
    pool: Option<Pool>,
}

impl Windows {
    /// Starts at `position`; `with_targets` says whether teacher targets are laid out.
    ///
    /// # Errors
    /// [`DistillError::Empty`] when there is no shard, [`DistillError::Setting`] when a
    /// count is zero.
    pub fn try_new(
        source: Arc<dyn TrainingSource>,
        config: WindowConfig,
        position: DataPosition,
        with_targets: bool,
    ) -> Result<Self, DistillError> {
        if source.num_shards() == 0 {
            return Err(DistillError::Empty {
                what: "the training data".into(),
                hint: "capture more text, or check the data's splits",
            });
        }
        for (key, value) in [
            ("sequences_per_step", config.sequences_per_step),
            ("sequence_tokens", config.sequence_tokens),
            ("shuffle_shards", config.shuffle_shards),
        ] {
            if value == 0 {
                return Err(DistillError::Setting {
                    key,
                    found: "0".into(),
                    expected: "at least 1",
                });
            }
        }
        Ok(Self {
            source,
            config,
            with_targets,
            position,
            pool: None,
        })
    }

    /// Where the next window starts.
    pub fn position(&self) -> DataPosition {
        self.position
    }

    /// The sequences of the next optimizer step.
    pub fn next_window(&mut self) -> Result<Window, DistillError> {
        let mut sequences = Vec::with_capacity(self.config.sequences_per_step);
        while sequences.len() < self.config.sequences_per_step {
            sequences.push(self.next_sequence()?);
        }
        let num_labels = sequences.iter().map(TargetSequence::num_labels).sum();
        Ok(Window {
            sequences,
            num_labels,
        })
    }

    fn next_sequence(&mut self) -> Result<TargetSequence, DistillError> {
        loop {
            self.load_pool()?;
            let pool = self.pool.as_ref().expect("a pool was just loaded");
            if let Some(indices) = pool.plan.get(self.position.sequence) {
                let sequence = self.pack(pool, indices)?;
                self.position.sequence += 1;
                return Ok(sequence);
            }
            self.position.sequence = 0;
            self.position.pool += 1;
            if self.position.pool >= self.num_pools() {
                self.position.pool = 0;
                self.position.epoch += 1;
            }
        }
    }

    fn num_pools(&self) -> usize {
        let shards = self.source.epoch_shards(self.position.epoch);
        shards.len().div_ceil(self.config.shuffle_shards)
    }

    /// Makes sure that the pool of the current position is in memory.
    fn load_pool(&mut self) -> Result<(), DistillError> {
        let wanted = (self.position.epoch, self.position.pool);
        if self
            .pool
            .as_ref()
            .is_some_and(|pool| pool.position == wanted)
        {
            return Ok(());
        }
        self.pool = None; // freed before the next one is read
        let mut records = Vec::new();
        for shard in self.shards_of(wanted) {
            records.extend(self.source.read_shard(shard)?);
        }
        let mut rng = self.rng("pool", wanted);
        records.shuffle(&mut rng);
        let lengths: Vec<usize> = records
            .iter()
            .map(|record| record.token_ids.len())
            .collect();
        let mut plan = self.packer().plan(&lengths)?;
        plan.shuffle(&mut rng);
        self.pool = Some(Pool {
            position: wanted,
            records,
            plan,
        });
        Ok(())
    }

    /// The shards of a pool: a slice of the epoch's permutation.
    fn shards_of(&self, (epoch, pool): (u64, usize)) -> Vec<usize> {
        let mut shards = self.source.epoch_shards(epoch);
        shards.shuffle(&mut self.rng("epoch", (epoch, 0)));
        let start = pool * self.config.shuffle_shards;
        let end = (start + self.config.shuffle_shards).min(shards.len());
        shards[start..end].to_vec()
    }

    fn pack(&self, pool: &Pool, indices: &[usize]) -> Result<TargetSequence, DistillError> {
        let records: Vec<&TargetRecord> =
            indices.iter().map(|&index| &pool.records[index]).collect();
        TargetSequence::pack(&self.packer(), &records, self.with_targets)
    }

    fn packer(&self) -> Packer {
        Packer {
            sequence_tokens: self.config.sequence_tokens,
            pad_id: self.config.pad_id,
        }
    }

    /// The named random stream of one place in the data.
    fn rng(&self, stream: &str, (epoch, pool): (u64, usize)) -> ChaCha8Rng {
        crate::seeding::stream(self.config.seed, &format!("data/{stream}/{epoch}/{pool}"))
    }
}
