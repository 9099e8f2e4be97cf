//! Reading validation data during training.

use alambic_cache::TargetRecord;
use alambic_text::Packer;
use alambic_transformer::Decoder;
use burn::tensor::Tensor;

use crate::loss::{
    CrossEntropy, DistributionPair, Divergence, ForwardKl, LogProbs, SampledForwardKl,
    TailTreatment, TargetBatch,
};
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
    kl: f64,
    /// Counted where the teacher's first choice is known.
    agreements: Option<f64>,
}

/// Scores `decoder` on every segment, one shard in memory at a time.
pub(crate) fn validate(
    decoder: &Decoder,
    source: &dyn TrainingSource,
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
            score_batch(decoder, &sequences, &mut sums)?;
        }
    }
    let labels = sums.labels.max(1) as f64;
    Ok(ValidationScore {
        nll: sums.nll / labels,
        kl_to_teacher: source.has_targets().then_some(sums.kl / labels),
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
    sequences: &[TargetSequence],
    sums: &mut Sums,
) -> Result<(), DistillError> {
    let batch = DistillationBatch::from_sequences(sequences, &decoder.device());
    let logits = decoder.forward(batch.token_ids.clone(), &batch.context);
    let log_probs = LogProbs::from_logits(logits);
    let read = |sum: Tensor<1>| f64::from(sum.into_scalar::<f32>());
    sums.nll += read(
        CrossEntropy
            .forward(&log_probs, &batch.labels, &batch.mask)?
            .sum,
    );
    sums.labels += batch.mask.num_tokens();
    let targets = match &batch.targets {
        None => return Ok(()),
        Some(TargetBatch::TopK(targets)) => targets,
        Some(TargetBatch::Sampled(targets)) => {
            let kl = SampledForwardKl.forward(targets, &log_probs, &batch.mask)?;
            sums.kl += read(kl.sum);
            return Ok(());
        }
        Some(TargetBatch::Dense(_)) => unreachable!("caches hold no whole distributions"),
    };
    let pair = DistributionPair::top_k(targets, &log_probs, TailTreatment::TailBucket)?;
    sums.kl += read(ForwardKl.forward(&pair, &batch.mask)?.sum);
    let first_choice = targets.token_ids.clone().narrow(2, 0, 1);
    let same = log_probs
        .tensor()
        .clone()
        .argmax(2)
        .equal(first_choice)
        .float()
        .squeeze_dim::<2>(2);
    let agreements = read((same * batch.mask.tensor().clone()).sum());
    *sums.agreements.get_or_insert(0.0) += agreements;
    Ok(())
}
