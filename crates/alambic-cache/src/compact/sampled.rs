//! Drawn tokens as rows.

use super::row_code::{Row, RowDecoder, entropy_of_number, entropy_to_number};
use crate::SampledTargets;

/// Entropy, number of distinct ids.
pub(super) const NUM_HEADER_NUMBERS: usize = 2;

pub(super) fn to_rows(targets: &SampledTargets) -> Vec<Row> {
    targets
        .rows()
        .map(|row| Row {
            header: vec![entropy_to_number(row.entropy), row.token_ids.len() as u16],
            entries: row
                .token_ids
                .iter()
                .copied()
                .zip(row.counts.iter().copied())
                .collect(),
        })
        .collect()
}

pub(super) fn from_rows(
    rows: &RowDecoder,
    bytes: &[u8],
    num_rows: usize,
    draws: u16,
    temperature: f32,
) -> Option<SampledTargets> {
    let mut targets = SampledTargets::empty(draws, temperature);
    rows.decode(
        bytes,
        num_rows,
        |&[_, distinct]: &[u16; NUM_HEADER_NUMBERS]| usize::from(distinct),
        |&[entropy, distinct], entries| {
            if distinct > draws {
                return None;
            }
            targets.num_distinct.push(distinct);
            targets.entropy.push(entropy_of_number(entropy));
            for &(id, count) in entries {
                targets.token_ids.push(id);
                targets.counts.push(count);
            }
            Some(())
        },
    )?;
    Some(targets)
}
