//! Targets in few bits; `docs/cache-format.md` describes every one of them.
//!
//! A row of targets is a few header numbers and a set of ids with a number each:
//!
//! | targets | header | number of an id |
//! |---|---|---|
//! | top-k | entropy, mass of the rest, lowest level | levels above the lowest |
//! | sampled | entropy, distinct ids | how often it was drawn |
//!
//! The prefix codes of all numbers are made for the shard at hand and stand in its footer. Hidden
//! states need none: they are numbers of fixed width.

mod bits;
mod id_buckets;
mod leveller;
mod prefix_code;
mod quantiser;
mod row_code;
mod sampled;
mod set_code;
mod states;
mod tables;
mod top_k;

use crate::{CacheSpec, TargetKind, TargetRecord, Targets};

pub(crate) use quantiser::Quantiser;
use row_code::{Row, RowCode, RowDecoder, RowEncoder};
pub(crate) use states::{
    SCALE_BITS, STATES_PER_GROUP, decode_states, encode_states, largest_state_error,
};
pub(crate) use top_k::rounded;

/// How many header numbers a row has.
fn num_header_numbers(kind: TargetKind) -> usize {
    match kind {
        TargetKind::TopK { .. } => top_k::NUM_HEADER_NUMBERS,
        TargetKind::Sampled { .. } => sampled::NUM_HEADER_NUMBERS,
        TargetKind::Hidden { .. } => 0,
    }
}

/// Writes the targets of one shard.
#[derive(Debug)]
pub(crate) struct CompactEncoder {
    code: RowCode,
    /// The rows of every record.
    records: Vec<Vec<Row>>,
}

impl CompactEncoder {
    /// Makes the codes for these records; the specification stores levels.
    pub(crate) fn for_records(records: &[TargetRecord], spec: &CacheSpec) -> Self {
        let quantiser = spec.targets.quantiser();
        let rows = |record: &TargetRecord| match &record.targets {
            Targets::TopK(targets) => top_k::to_rows(
                targets,
                quantiser.as_ref().expect("the caller asked for levels"),
            ),
            Targets::Sampled(targets) => sampled::to_rows(targets),
            Targets::Hidden(_) => unreachable!("hidden states need no codes"),
        };
        let records: Vec<Vec<Row>> = records.iter().map(rows).collect();
        let code = RowCode::for_rows(
            records.iter().flatten(),
            num_header_numbers(spec.targets),
            spec.vocab_size,
        );
        Self { code, records }
    }

    /// The codes, for the footer.
    pub(crate) fn tables(&self) -> Vec<u8> {
        self.code.to_tables()
    }

    /// The targets of every record as bytes.
    pub(crate) fn encode(&self) -> Vec<Vec<u8>> {
        let encoder = RowEncoder::new(&self.code);
        let bytes = |rows: &Vec<Row>| encoder.encode(rows);
        self.records.iter().map(bytes).collect()
    }
}

/// Reads the targets of one shard.
#[derive(Debug)]
pub(crate) struct CompactDecoder {
    rows: RowDecoder,
    kind: TargetKind,
    quantiser: Option<Quantiser>,
    /// The first of the specification.
    temperature: f32,
}

impl CompactDecoder {
    /// A decoder with the codes of a footer; `None` if they are none.
    pub(crate) fn from_tables(tables: &[u8], spec: &CacheSpec) -> Option<Self> {
        let code = RowCode::from_tables(tables, num_header_numbers(spec.targets), spec.vocab_size)?;
        Some(Self {
            rows: RowDecoder::new(code),
            kind: spec.targets,
            quantiser: spec.targets.quantiser(),
            temperature: *spec.temperatures.first()?,
        })
    }

    /// The targets of one record; `None` if the bytes are not those of so many rows.
    pub(crate) fn decode(&self, bytes: &[u8], num_rows: usize) -> Option<Targets> {
        match (self.kind, &self.quantiser) {
            (TargetKind::TopK { k, .. }, Some(quantiser)) => {
                top_k::from_rows(&self.rows, bytes, num_rows, k, quantiser).map(Targets::TopK)
            }
            (TargetKind::Sampled { draws, .. }, _) => {
                sampled::from_rows(&self.rows, bytes, num_rows, draws, self.temperature)
                    .map(Targets::Sampled)
            }
            (TargetKind::TopK { .. }, None) | (TargetKind::Hidden { .. }, _) => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
