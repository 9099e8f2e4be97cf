//! Reading validation data during training.

use alambic_cache::TargetRecord;
use alambic_text::Packer;
use alambic_transformer::Decoder;
use burn::tensor::Tensor;

use super::label_list::LabelList;
use crate::loss::{
    CrossEntropy, Divergence, ForwardKl, Head, HeadPass, SampledForwardKl, TailTreatment,
    TargetBatch,
};
use crate::teacher_head::decoder_head;
use crate::{DistillError, DistillationBatch, TargetSequence, TrainingSource, WindowConfig};

/// Means over the validation data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ValidationScore {
    pub(crate) nll: f64,
    pub(crate) kl_to_teacher: Option<f64>,
    pub(crate) top1_agreement: Option<f64>,
}

#[derive(Default)]
struct Sums {
    labels: u64,
    nll: f64,
    /// Counted where the teacher's tail is known.
    kl: Option<f64>,
    /// Counted where the teacher's first choice is known.
    agreements: Option<f64>,
}

/// Scores `decoder` on every segment, one shard in memory at a time.
pub(crate) fn validate(
    decoder: &Decoder,
    head_pass: HeadPass,
    source: &dyn TrainingSource,
    teacher_head: Option<&Head>,
    windows: &WindowConfig,
    batch_sequences: usize,
) -> Result<ValidationScore, DistillError> {
    let packer = Packer {
        sequence_tokens: windows.sequence_tokens,
        pad_id: windows.pad_id,
    };
    let mut sums = Sums::default();
    for shard in 0..source.num_shards() {
        let records = source.read_shard(shard)?;
        let lengths: Vec<usize> = records
            .iter()
            .map(|record| record.token_ids.len())
            .collect();
        let plan = packer.plan(&lengths)?;
        for chunk in plan.chunks(batch_sequences) {
            let sequences: Vec<TargetSequence> = chunk
                .iter()
                .map(|indices| pack(&packer, &records, indices, source.has_targets()))
                .collect::<Result<_, _>>()?;
            score_batch(decoder, head_pass, &sequences, teacher_head, &mut sums)?;
        }
    }
    let labels = sums.labels.max(1) as f64;
    Ok(ValidationScore {
        nll: sums.nll / labels,
        kl_to_teacher: sums.kl.map(|kl| kl / labels),
        top1_agreement: sums.agreements.map(|agreements| agreements / labels),
    })
}

fn pack(
    packer: &Packer,
    records: &[TargetRecord],
    indices: &[usize],
    with_targets: bool,
) -> Result<TargetSequence, DistillError> {
    let picked: Vec<&TargetRecord> = indices.iter().map(|&index| &records[index]).collect();
    TargetSequence::pack(packer, &picked, with_targets)
}

fn score_batch(
    decoder: &Decoder,
    head_pass: HeadPass,
    sequences: &[TargetSequence],
    teacher_head: Option<&Head>,
    sums: &mut Sums,
) -> Result<(), DistillError> {
    let batch = DistillationBatch::from_sequences(sequences, teacher_head, &decoder.device());
    let Some(labels) = LabelList::of(sequences, &batch) else {
        return Ok(());
    };
    let states = labels.states(decoder.hidden(batch.token_ids, &batch.context));
    let head = decoder_head(decoder);
    let [_, vocab] = head.weight().dims();
    for range in head_pass.ranges(labels.len(), vocab) {
        let of_range = states.clone().narrow(0, range.start, range.len());
        let student = head.logits(of_range).into_log_probs();
        let token_ids = labels.token_ids().clone();
        let token_ids = token_ids
            .narrow(0, range.start, range.len())
            .unsqueeze::<2>();
        sums.labels += range.len() as u64;
        sums.nll += read(CrossEntropy.per_token(&student, &token_ids)?);
        let Some(targets) = labels.targets() else {
            continue;
        };
        let targets = targets.range(range);
        let kl = match &targets {
            TargetBatch::Sampled(targets) => {
                let student = student.at_temperature(targets.temperature())?;
                Some(SampledForwardKl.per_token(targets, &student)?)
            }
            TargetBatch::HeadOnly(_) => None, // without the tail there is no divergence to bound
            targets => {
                let pair = targets.pair(&student, TailTreatment::TailBucket)?;
                Some(ForwardKl.per_token(&pair))
            }
        };
        if let Some(kl) = kl {
            *sums.kl.get_or_insert(0.0) += read(kl);
        }
        let first_choice = student.tensor().clone().argmax(2).squeeze_dim::<2>(2);
        if let Some(agreement) = targets.agreement(first_choice) {
            *sums.agreements.get_or_insert(0.0) += read(agreement);
        }
    }
    Ok(())
}

/// The sum of a value at every label.
fn read(per_label: Tensor<2>) -> f64 {
    f64::from(per_label.sum().into_scalar::<f32>())
}
