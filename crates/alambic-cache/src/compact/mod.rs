//! Targets in few bits; `docs/cache-format.md` describes every one of them.
//!
//! A row of targets is a few header numbers and a set of ids with a number each:
//!
//! | targets | header | number of an id |
//! |---|---|---|
//! | top-k | entropy, mass of the rest, lowest level; entropy and mass at further temperatures | levels above the lowest |
//! | sampled | entropy, distinct ids | how often it was drawn |
//!
//! The prefix codes of all numbers are made for the shard at hand and stand in its footer.

mod bits;
mod id_buckets;
mod leveller;
mod prefix_code;
mod quantiser;
mod row_code;
mod sampled;
mod set_code;
mod tables;
mod tail_number;
mod top_k;

use crate::{CacheSpec, TargetKind, TargetRecord, Targets};

pub(crate) use quantiser::Quantiser;
use row_code::{Row, RowCode, RowDecoder, RowEncoder};
pub(crate) use top_k::rounded;

/// How many header numbers a row has.
fn num_header_numbers(spec: &CacheSpec) -> usize {
    match spec.targets {
        TargetKind::TopK { .. } => {
            let further = spec.further_temperatures().len();
            top_k::NUM_HEADER_NUMBERS + top_k::NUM_FURTHER_NUMBERS * further
        }
        TargetKind::Sampled { .. } => sampled::NUM_HEADER_NUMBERS,
        TargetKind::HeadOnly { .. } => 0, // stored in plain columns
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
            Targets::HeadOnly(_) => unreachable!("targets without a tail are stored plainly"),
        };
        let records: Vec<Vec<Row>> = records.iter().map(rows).collect();
        let code = RowCode::for_rows(
            records.iter().flatten(),
            num_header_numbers(spec),
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
    further_temperatures: Vec<f32>,
}

impl CompactDecoder {
    /// A decoder with the codes of a footer; `None` if they are none.
    pub(crate) fn from_tables(tables: &[u8], spec: &CacheSpec) -> Option<Self> {
        let code = RowCode::from_tables(tables, num_header_numbers(spec), spec.vocab_size)?;
        Some(Self {
            rows: RowDecoder::new(code),
            kind: spec.targets,
            quantiser: spec.targets.quantiser(),
            temperature: *spec.temperatures.first()?,
            further_temperatures: spec.further_temperatures().to_vec(),
        })
    }

    /// The targets of one record; `None` if the bytes are not those of so many rows.
    pub(crate) fn decode(&self, bytes: &[u8], num_rows: usize) -> Option<Targets> {
        match (self.kind, &self.quantiser) {
            (TargetKind::TopK { k, .. }, Some(quantiser)) => {
                let further = &self.further_temperatures;
                top_k::from_rows(&self.rows, bytes, num_rows, (k, further), quantiser)
                    .map(Targets::TopK)
            }
            (TargetKind::Sampled { draws, .. }, _) => {
                sampled::from_rows(&self.rows, bytes, num_rows, draws, self.temperature)
                    .map(Targets::Sampled)
            }
            (TargetKind::TopK { .. }, None) | (TargetKind::HeadOnly { .. }, _) => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
