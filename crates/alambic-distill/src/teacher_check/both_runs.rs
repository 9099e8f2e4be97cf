//! Segments of a cache beside the two runs of their teacher.

use alambic_cache::{CacheSpec, TargetKind, TargetRecord, Targets};
use burn::tensor::{Int, Tensor};

use super::judgement::{Compared, Place};
use super::live_rows::LiveRows;
use super::rounding::ENTROPY_ROUNDING_NATS;
use super::{draws, hidden, top_k};
use crate::token_batch::right_padded;
use crate::{DistillError, teacher::Teacher};

/// Compares segments with both runs of the teacher, label by label.
pub(super) fn compare(
    teacher: &dyn Teacher,
    spec: &CacheSpec,
    batch: &[(u64, TargetRecord)],
    labels: &mut Vec<Compared>,
) -> Result<(), DistillError> {
    let mut ids: Vec<&[u32]> = batch
        .iter()
        .map(|(_, record)| record.token_ids.as_slice())
        .collect();
    match ids.as_slice() {
        [] => return Ok(()),
        &[only] => ids.push(only),
        _ => {}
    }
    let together = ask(teacher, spec.targets, right_padded(&ids, teacher.device()))?;
    for (row, (segment, record)) in batch.iter().enumerate() {
        let token_ids = right_padded(&[&record.token_ids], teacher.device());
        let alone = ask(teacher, spec.targets, token_ids)?;
        let live = LiveRows::new(&alone, &together, row, &record.loss_mask);
        let comparisons = match (spec.targets, &record.targets) {
            (TargetKind::TopK { values, .. }, Targets::TopK(stored)) => {
                let entropy_rounding = values.level_steps().map_or(0.0, |_| ENTROPY_ROUNDING_NATS);
                top_k::compare(stored, values, entropy_rounding, &live)
            }
            (TargetKind::Sampled { seed, method, .. }, Targets::Sampled(stored)) => {
                draws::compare(stored, (method, seed), &record.key, &live)
            }
            (
                TargetKind::HeadPlusSampledTail {
                    values,
                    seed,
                    method,
                    ..
                },
                Targets::HeadPlusSampledTail(stored),
            ) => {
                let nothing = std::iter::repeat_n(&[][..], stored.num_rows());
                let whole = live.softened(stored.temperature, nothing);
                let heads = stored.head.token_ids.chunks_exact(stored.head.k);
                let tails = live.softened(stored.temperature, heads);
                top_k::compare(&stored.head, values, ENTROPY_ROUNDING_NATS, &whole)
                    .into_iter()
                    .zip(draws::compare_tail(
                        stored,
                        (method, seed),
                        &record.key,
                        &tails,
                    ))
                    .map(|(head, tail)| head.into_iter().chain([tail]).collect())
                    .collect()
            }
            (TargetKind::Hidden { values, .. }, Targets::Hidden(stored)) => {
                hidden::compare(stored, values, &live)
            }
            (kind, _) => {
                return Err(DistillError::Setting {
                    key: "targets",
                    found: format!("{kind:?}"),
                    expected: "the most likely or drawn tokens or hidden states, which can be compared",
                });
            }
        };
        let tokens = (0..record.num_tokens()).filter(|&token| record.loss_mask[token]);
        let places = tokens.enumerate().map(|(label, token)| Place {
            segment: *segment,
            key: record.key,
            label,
            token,
        });
        labels.extend(places.zip(comparisons));
    }
    Ok(())
}

/// What the teacher says at every position: distributions, or hidden states where these are stored.
fn ask(
    teacher: &dyn Teacher,
    kind: TargetKind,
    token_ids: Tensor<2, Int>,
) -> Result<Tensor<3>, DistillError> {
    match kind {
        TargetKind::Hidden { .. } => {
            let states = teacher.hidden_states(token_ids);
            states.ok_or(DistillError::TeacherCannot {
                what: "hidden states to compare with",
            })
        }
        _ => Ok(teacher.log_probs(token_ids).tensor().clone()),
    }
}
