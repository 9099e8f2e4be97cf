//! Targets in few bits; `docs/cache-format.md` describes every one of them.
//!
//! A row of targets is a few header numbers and a set of ids with a number each:
//!
//! | targets | header | number of an id |
//! |---|---|---|
//! | top-k | entropy, mass of the rest, lowest level; entropy and mass at further temperatures | levels above the lowest |
//! | sampled | entropy, distinct ids | how often it was drawn |
//! | head plus sampled tail | those of top-k; then distinct ids | that of top-k; then how often it was drawn |
//! | the same, its head in numbers | entropy; then distinct ids | upper bits of `-ln p`; then how often it was drawn |
//!
//! The prefix codes of all numbers are made for the shard at hand and stand in its footer. Hidden
//! states need none: they are numbers of fixed width.

mod bits;
mod head_plus_sampled_tail;
mod id_buckets;
mod leveller;
mod number_head;
mod prefix_code;
mod quantiser;
mod row_code;
mod sampled;
mod set_code;
mod states;
mod tables;
mod tail_number;
mod top_k;

use rayon::prelude::*;

use crate::{CacheSpec, TargetKind, TargetRecord, Targets};

use bits::BitWriter;
use number_head::{NumberFormat, NumberHeadReader};
pub(crate) use quantiser::Quantiser;
pub(crate) use row_code::ENTROPY_ROUNDING_NATS;
use row_code::{Row, RowCode, RowDecoder, RowEncoder};
pub(crate) use states::{
    SCALE_BITS, STATES_PER_GROUP, decode_states, encode_states, largest_state_error,
};
use tables::TableReader;
use top_k::TopKReader;
pub(crate) use top_k::rounded;

/// How many header numbers rows have: one number for each kind of rows, which take turns.
fn num_header_numbers(spec: &CacheSpec) -> Vec<usize> {
    match spec.targets {
        TargetKind::TopK { .. } => {
            let further = spec.further_temperatures().len();
            vec![top_k::NUM_HEADER_NUMBERS + top_k::NUM_FURTHER_NUMBERS * further]
        }
        TargetKind::Sampled { .. } => vec![sampled::NUM_HEADER_NUMBERS],
        TargetKind::HeadPlusSampledTail { values, .. } => {
            let head = match NumberFormat::of(values) {
                Some(_) => number_head::NUM_HEADER_NUMBERS,
                None => top_k::NUM_HEADER_NUMBERS,
            };
            vec![head, head_plus_sampled_tail::NUM_TAIL_HEADER_NUMBERS]
        }
        // Stored in other columns.
        TargetKind::Hidden { .. } | TargetKind::HeadOnly { .. } => Vec::new(),
    }
}

/// How log-probabilities are stored, unless as levels.
fn number_format(targets: TargetKind) -> Option<NumberFormat> {
    let (_, values) = targets.head()?;
    NumberFormat::of(values)
}

/// Writes the targets of one shard.
#[derive(Debug)]
pub(crate) struct CompactEncoder {
    /// For rows that take turns.
    codes: Vec<RowCode>,
    /// The rows of every record.
    records: Vec<Vec<Row>>,
}

impl CompactEncoder {
    /// Makes the codes for these records, whose targets are stored in bits.
    pub(crate) fn for_records(records: &[TargetRecord], spec: &CacheSpec) -> Self {
        let quantiser = spec.targets.quantiser();
        let levels = || quantiser.as_ref().expect("the caller asked for levels");
        let rows = |record: &TargetRecord| match &record.targets {
            Targets::TopK(targets) => top_k::to_rows(targets, levels()),
            Targets::Sampled(targets) => sampled::to_rows(targets),
            Targets::HeadPlusSampledTail(targets) => {
                let heads = match number_format(spec.targets) {
                    Some(format) => number_head::to_rows(&targets.head, format),
                    None => top_k::to_rows(&targets.head, levels()),
                };
                head_plus_sampled_tail::to_rows(heads, &targets.tail)
            }
            Targets::Hidden(_) => unreachable!("hidden states need no codes"),
            Targets::HeadOnly(_) => unreachable!("targets without a tail are stored plainly"),
        };
        let records: Vec<Vec<Row>> = records.par_iter().map(rows).collect();
        let kinds = num_header_numbers(spec);
        let code = |(turn, &num_header_numbers): (usize, &usize)| {
            let rows = records.iter().flatten().skip(turn).step_by(kinds.len());
            RowCode::for_rows(rows, num_header_numbers, spec.vocab_size)
        };
        let codes = kinds.iter().enumerate().map(code).collect();
        Self { codes, records }
    }

    /// The codes, for the footer.
    pub(crate) fn tables(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.codes
            .iter()
            .for_each(|code| code.write_tables(&mut out));
        out
    }

    /// The targets of every record as bytes.
    pub(crate) fn encode(&self) -> Vec<Vec<u8>> {
        let encoders: Vec<RowEncoder<'_>> = self.codes.iter().map(RowEncoder::new).collect();
        let bytes = |rows: &Vec<Row>| {
            let mut writer = BitWriter::default();
            for (row, encoder) in rows.iter().zip(encoders.iter().cycle()) {
                encoder.write(row, &mut writer);
            }
            writer.into_bytes()
        };
        self.records.par_iter().map(bytes).collect()
    }
}

/// Reads the targets of one shard.
#[derive(Debug)]
pub(crate) struct CompactDecoder {
    /// For rows that take turns.
    rows: Vec<RowDecoder>,
    kind: TargetKind,
    quantiser: Option<Quantiser>,
    /// The first of the specification.
    temperature: f32,
    further_temperatures: Vec<f32>,
}

impl CompactDecoder {
    /// A decoder with the codes of a footer; `None` if they are none.
    pub(crate) fn from_tables(tables: &[u8], spec: &CacheSpec) -> Option<Self> {
        let mut tables = TableReader::new(tables);
        let kinds = num_header_numbers(spec).into_iter();
        let codes = kinds.map(|num| RowCode::read_tables(&mut tables, num, spec.vocab_size));
        let rows = codes
            .map(|code| code.map(RowDecoder::new))
            .collect::<Option<_>>()?;
        tables.is_at_end().then_some(())?;
        Some(Self {
            rows,
            kind: spec.targets,
            quantiser: spec.targets.quantiser(),
            temperature: *spec.temperatures.first()?,
            further_temperatures: spec.further_temperatures().to_vec(),
        })
    }

    /// The targets of one record; `None` if the bytes are not those of so many rows.
    pub(crate) fn decode(&self, bytes: &[u8], num_rows: usize) -> Option<Targets> {
        match (self.kind, &self.quantiser, &self.rows[..]) {
            (TargetKind::TopK { k, .. }, Some(quantiser), [rows]) => {
                let further = &self.further_temperatures;
                top_k::from_rows(rows, bytes, num_rows, (k, further), quantiser).map(Targets::TopK)
            }
            (TargetKind::Sampled { draws, .. }, _, [rows]) => {
                sampled::from_rows(rows, bytes, num_rows, draws, self.temperature)
                    .map(Targets::Sampled)
            }
            (TargetKind::HeadPlusSampledTail { k, draws, .. }, quantiser, [heads, tails]) => {
                let draws = (draws, self.temperature);
                let capacity = top_k::rows_within(bytes, num_rows, k);
                let targets = match quantiser {
                    Some(quantiser) => {
                        let heads = TopKReader::new(heads, (k, &[]), quantiser, capacity);
                        head_plus_sampled_tail::from_rows(heads, tails, bytes, num_rows, draws)
                    }
                    None => {
                        let head = top_k::with_capacity((k, &[]), capacity);
                        let format = number_format(self.kind)?;
                        let heads = NumberHeadReader::new(heads, format, head);
                        head_plus_sampled_tail::from_rows(heads, tails, bytes, num_rows, draws)
                    }
                };
                targets.map(Targets::HeadPlusSampledTail)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
