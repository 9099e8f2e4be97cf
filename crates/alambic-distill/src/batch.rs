//! From host memory to the device: the one place where cache records become tensors.

use alambic_cache::TargetRecord;
use alambic_text::{PackedSequence, Packer, StudentTokens};
use alambic_transformer::AttentionContext;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::loss::{Head, LabelMask, TargetBatch};
use crate::{DistillError, SequenceTargets};

/// A packed sequence with the teacher's targets at its label positions, on the host.
///
/// Targets stand at the position that predicts the label.
#[derive(Clone, Debug)]
pub struct TargetSequence {
    /// Token ids, labels, mask, positions, document ids.
    pub packed: PackedSequence,
    /// The targets of every position; `None` when the objective reads none.
    pub targets: Option<SequenceTargets>,
    /// Keys of the segments inside, for error messages.
    pub segment_keys: Vec<String>,
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
            let starts = packed.segments.iter().map(|placed| placed.start);
            let placed = starts.zip(records.iter().copied());
            SequenceTargets::lay_out(placed, packed.token_ids.len())
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
/// `[batch, seq]` for ids, labels, mask and targets.
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
    pub targets: Option<TargetBatch>,
}

impl DistillationBatch {
    /// Copies sequences of equal length to `device`; hidden states need the teacher's head, which is
    /// there already.
    ///
    /// # Panics
    /// If `sequences` is empty or their lengths differ, or if they have hidden states without a head;
    /// windows and the trainer never make such a batch.
    pub fn from_sequences(
        sequences: &[TargetSequence],
        teacher_head: Option<&Head>,
        device: &Device,
    ) -> Self {
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
            targets: sequences
                .iter()
                .map(|sequence| sequence.targets.as_ref())
                .collect::<Option<Vec<_>>>()
                .map(|targets| SequenceTargets::to_device(&targets, seq, teacher_head, device)),
        }
    }
}
