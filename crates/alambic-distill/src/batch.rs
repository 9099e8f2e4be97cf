//! From host memory to the device: the one place where cache records become tensors.

use alambic_cache::{TargetRecord, TopKTargets};
use alambic_text::{PackedSequence, Packer, StudentTokens};
use alambic_transformer::AttentionContext;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::DistillError;
use crate::loss::{LabelMask, TopKTargetBatch};

/// A packed sequence with the teacher's targets at its label positions, on the host.
///
/// `targets` rows stand at the position that predicts the label: `[seq, k]`, row-major.
#[derive(Clone, Debug)]
pub struct TargetSequence {
    /// Token ids, labels, mask, positions, document ids.
    pub packed: PackedSequence,
    /// The targets of every position; `None` when the objective reads none.
    pub targets: Option<SequenceTargets>,
    /// Keys of the segments inside, for error messages.
    pub segment_keys: Vec<String>,
}

/// Teacher targets laid out along one packed sequence; zeros where no label is counted.
#[derive(Clone, Debug)]
pub struct SequenceTargets {
    k: usize,
    token_ids: Vec<i32>,
    log_probs: Vec<f32>,
    tail_mass: Vec<f32>,
    entropy: Vec<f32>,
}

impl SequenceTargets {
    /// Room for `seq` positions of `k` entries.
    fn zeros(seq: usize, k: usize) -> Self {
        Self {
            k,
            token_ids: vec![0; seq * k],
            log_probs: vec![0.0; seq * k],
            tail_mass: vec![0.0; seq],
            entropy: vec![0.0; seq],
        }
    }

    /// One target row per position.
    #[cfg(test)]
    pub(crate) fn from_rows(targets: &TopKTargets, seq: usize) -> Self {
        let mut laid_out = Self::zeros(seq, targets.k);
        (0..seq).for_each(|row| laid_out.copy_row(targets, row, row));
        laid_out
    }

    /// Copies target row `row` to the position `at`.
    fn copy_row(&mut self, targets: &TopKTargets, row: usize, at: usize) {
        let (from, to) = (row * self.k, at * self.k);
        for offset in 0..self.k {
            self.token_ids[to + offset] = targets.token_ids[from + offset] as i32;
        }
        self.log_probs[to..to + self.k].copy_from_slice(&targets.log_probs[from..from + self.k]);
        self.tail_mass[at] = targets.tail_mass[row];
        self.entropy[at] = targets.entropy[row];
    }
}

impl TargetSequence {
    /// Packs whole records into one sequence and lays their targets out along it.
    ///
    /// # Errors
    /// The packer's, when the records do not fit.
    pub fn pack(
        packer: &Packer,
        records: &[&TargetRecord],
        with_targets: bool,
    ) -> Result<Self, DistillError> {
        let tokens: Vec<StudentTokens> = records
            .iter()
            .map(|record| {
                StudentTokens::try_new(record.token_ids.clone(), record.loss_mask.clone())
            })
            .collect::<Result<_, _>>()?;
        let borrowed: Vec<&StudentTokens> = tokens.iter().collect();
        let all: Vec<usize> = (0..borrowed.len()).collect();
        Ok(Self::new(
            packer.pack(&borrowed, &all)?,
            records,
            with_targets,
        ))
    }

    /// `records[i]` belongs to `packed.segments[i]`.
    fn new(packed: PackedSequence, records: &[&TargetRecord], with_targets: bool) -> Self {
        let targets = with_targets.then(|| {
            let k = records.first().map_or(0, |record| record.targets.k);
            let mut laid_out = SequenceTargets::zeros(packed.token_ids.len(), k);
            for (placed, record) in packed.segments.iter().zip(records) {
                let labels = record
                    .loss_mask
                    .iter()
                    .enumerate()
                    .filter(|&(_, &counted)| counted);
                for (row, (token, _)) in labels.enumerate() {
                    laid_out.copy_row(&record.targets, row, placed.start + token - 1);
                }
            }
            laid_out
        });
        let segment_keys = records
            .iter()
            .map(|record| record.key.to_string())
            .collect();
        Self {
            packed,
            targets,
            segment_keys,
        }
    }

    /// How many labels count.
    pub fn num_labels(&self) -> u64 {
        self.packed
            .label_mask
            .iter()
            .filter(|&&counted| counted)
            .count() as u64
    }
}

/// What one forward pass of the student reads, on one device.
///
/// # Shapes
/// `[batch, seq]` for ids, labels and mask; `[batch, seq, k]` for targets.
#[derive(Clone, Debug)]
pub struct DistillationBatch {
    /// Input token ids.
    pub token_ids: Tensor<2, Int>,
    /// The next token of the same segment; 0 where there is none.
    pub labels: Tensor<2, Int>,
    /// Which labels count.
    pub mask: LabelMask,
    /// Positions and document boundaries.
    pub context: AttentionContext,
    /// Teacher targets, when the objective reads them.
    pub targets: Option<TopKTargetBatch>,
}

impl DistillationBatch {
    /// Copies sequences of equal length to `device`.
    ///
    /// # Panics
    /// If `sequences` is empty or their lengths differ; windows never make such a batch.
    pub fn from_sequences(sequences: &[TargetSequence], device: &Device) -> Self {
        let batch = sequences.len();
        let seq = sequences[0].packed.token_ids.len();
        let ints = |pick: fn(&PackedSequence) -> &[u32]| -> Tensor<2, Int> {
            let values: Vec<i32> = sequences
                .iter()
                .flat_map(|sequence| pick(&sequence.packed).iter().map(|&id| id as i32))
                .collect();
            Tensor::from_data(TensorData::new(values, [batch, seq]), device)
        };
        let counted: Vec<bool> = sequences
            .iter()
            .flat_map(|sequence| sequence.packed.label_mask.iter().copied())
            .collect();
        Self {
            token_ids: ints(|packed| &packed.token_ids),
            labels: ints(|packed| &packed.labels),
            mask: LabelMask::new(&counted, [batch, seq], device),
            context: AttentionContext::packed(ints(|packed| &packed.positions)),
            targets: targets_to_device(sequences, [batch, seq], device),
        }
    }
}

fn targets_to_device(
    sequences: &[TargetSequence],
    [batch, seq]: [usize; 2],
    device: &Device,
) -> Option<TopKTargetBatch> {
    let all: Vec<&SequenceTargets> = sequences
        .iter()
        .map(|sequence| sequence.targets.as_ref())
        .collect::<Option<_>>()?;
    let floats = |pick: fn(&SequenceTargets) -> &[f32]| -> Vec<f32> {
        all.iter()
            .flat_map(|targets| pick(targets).iter().copied())
            .collect()
    };
    Some(TopKTargetBatch::from_host(
        all.iter()
            .flat_map(|targets| targets.token_ids.iter().copied())
            .collect(),
        floats(|targets| &targets.log_probs),
        floats(|targets| &targets.tail_mass),
        floats(|targets| &targets.entropy),
        [batch, seq, all[0].k],
        device,
    ))
}
