//! Arrow batches to records.

use std::path::Path;

use arrow::array::{AsArray, FixedSizeBinaryArray, RecordBatch};
use arrow::datatypes::UInt32Type;
use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::compact::{self, CompactDecoder};
use crate::layout;
use crate::{
    CacheError, CacheSpec, HeadOnlyTargets, HiddenTargets, SegmentKey, StateType, TargetKind,
    TargetRecord, Targets, TemperedTail, TopKTargets, ValueType,
};

/// One batch of a shard; its columns have the types of the layout, their values may be hostile.
pub(crate) struct ShardBatch<'a> {
    pub(crate) batch: &'a RecordBatch,
    /// Row of the shard at which the batch starts.
    pub(crate) first_row: usize,
    pub(crate) spec: &'a CacheSpec,
    /// Reads the column of bits, if there is one.
    pub(crate) compact: Option<&'a CompactDecoder>,
    pub(crate) path: &'a Path,
}

impl ShardBatch<'_> {
    /// The record at `row` of the batch, its lengths checked against its counts.
    pub(crate) fn record(&self, row: usize) -> Result<TargetRecord, CacheError> {
        let num_tokens = self.count(layout::COLUMN_NUM_TOKENS, row);
        let num_targets = self.count(layout::COLUMN_NUM_TARGETS, row);
        let token_ids = self.batch.column(layout::COLUMN_TOKEN_IDS).as_list::<i32>();
        let token_ids = token_ids.value(row);
        let loss_mask = self.batch.column(layout::COLUMN_LOSS_MASK).as_list::<i32>();
        let loss_mask = loss_mask.value(row);
        self.expect_length("length of token_ids", row, num_tokens, token_ids.len())?;
        Ok(TargetRecord {
            key: key(
                self.batch.column(layout::COLUMN_KEY).as_fixed_size_binary(),
                row,
            ),
            token_ids: token_ids.as_primitive::<UInt32Type>().values().to_vec(),
            loss_mask: loss_mask.as_boolean().values().iter().collect(),
            targets: match (self.spec.targets, self.compact) {
                (TargetKind::Hidden { width, values, .. }, _) => Targets::Hidden(
                    self.hidden_targets(row, num_tokens, num_targets, width, values)?,
                ),
                (_, Some(decoder)) => {
                    self.compact_targets(decoder, row, num_tokens, num_targets)?
                }
                (_, None) => self.plain_targets(row, num_targets)?,
            },
        })
    }

    fn compact_targets(
        &self,
        decoder: &CompactDecoder,
        row: usize,
        num_tokens: usize,
        num_targets: usize,
    ) -> Result<Targets, CacheError> {
        let bytes = self.compact_bytes(row);
        let targets = (num_targets <= num_tokens)
            .then(|| decoder.decode(bytes, num_targets))
            .flatten();
        targets.ok_or_else(|| {
            let expected = format!("{num_targets} rows in the codes of the footer");
            self.refuse_bytes(row, expected, bytes)
        })
    }

    fn hidden_targets(
        &self,
        row: usize,
        num_tokens: usize,
        num_targets: usize,
        width: usize,
        values: StateType,
    ) -> Result<HiddenTargets, CacheError> {
        let bytes = self.compact_bytes(row);
        let states = (num_targets <= num_tokens)
            .then(|| compact::decode_states(bytes, num_targets, width, values))
            .flatten();
        let states = states.ok_or_else(|| {
            let expected = format!("{num_targets} states of {width} numbers, {values:?}");
            self.refuse_bytes(row, expected, bytes)
        })?;
        Ok(HiddenTargets { width, states })
    }

    /// The value of the one column of bits or states.
    fn compact_bytes(&self, row: usize) -> &[u8] {
        let column = self.batch.column(layout::COLUMN_COMPACT_TARGETS);
        column.as_binary::<i32>().value(row)
    }

    fn refuse_bytes(&self, row: usize, expected: String, bytes: &[u8]) -> CacheError {
        CacheError::InvalidRecord {
            path: self.path.to_owned(),
            row: self.first_row + row,
            field: "targets".to_owned(),
            expected,
            found: format!("{} bytes that are not", bytes.len()),
        }
    }

    fn plain_targets(&self, row: usize, num_targets: usize) -> Result<Targets, CacheError> {
        let (k, values) = match self.spec.targets {
            TargetKind::TopK { k, values } | TargetKind::HeadOnly { k, values } => (k, values),
            TargetKind::Sampled { .. }
            | TargetKind::HeadPlusSampledTail { .. }
            | TargetKind::Hidden { .. } => {
                unreachable!("drawn tokens and hidden states have one column")
            }
        };
        let value_bytes = values.plain_bytes().unwrap_or_default();
        let bytes = |column, value_bytes, per_target: usize| {
            let expected = num_targets
                .saturating_mul(per_target)
                .saturating_mul(value_bytes);
            self.binary(column, row, expected)
        };
        let log_probs = bytes(layout::COLUMN_TARGET_LOG_PROBS, value_bytes, k)?;
        let log_probs = match values {
            ValueType::F16 => f16_to_f32(log_probs),
            _ => to_f32(log_probs),
        };
        let token_ids = to_u32(bytes(layout::COLUMN_TARGET_IDS, 4, k)?);
        if let TargetKind::HeadOnly { .. } = self.spec.targets {
            return Ok(Targets::HeadOnly(HeadOnlyTargets {
                k,
                token_ids,
                log_probs,
            }));
        }
        Ok(Targets::TopK(TopKTargets {
            k,
            token_ids,
            log_probs,
            tail_mass: to_f32(bytes(layout::COLUMN_TAIL_MASS, 4, 1)?),
            entropy: to_f32(bytes(layout::COLUMN_ENTROPY, 4, 1)?),
            tempered: self.plain_tempered(row, num_targets)?,
        }))
    }

    /// Tails and entropies at the further temperatures, `[temperatures - 1, rows]` each.
    fn plain_tempered(
        &self,
        row: usize,
        num_targets: usize,
    ) -> Result<Vec<TemperedTail>, CacheError> {
        let temperatures = self.spec.further_temperatures();
        if temperatures.is_empty() {
            return Ok(Vec::new());
        }
        let numbers = |column| {
            let bytes = num_targets.saturating_mul(4 * temperatures.len());
            self.binary(column, row, bytes).map(to_f32)
        };
        let tail_mass = numbers(layout::COLUMN_TEMPERED_TAIL_MASS)?;
        let entropy = numbers(layout::COLUMN_TEMPERED_ENTROPY)?;
        let tail = |(i, &temperature): (usize, &f32)| {
            let rows = i * num_targets..(i + 1) * num_targets;
            TemperedTail {
                temperature,
                tail_mass: tail_mass[rows.clone()].to_vec(),
                entropy: entropy[rows].to_vec(),
            }
        };
        Ok(temperatures.iter().enumerate().map(tail).collect())
    }

    fn count(&self, column: usize, row: usize) -> usize {
        let column = self.batch.column(column).as_primitive::<UInt32Type>();
        column.value(row) as usize
    }

    fn binary(&self, column: usize, row: usize, expected: usize) -> Result<&[u8], CacheError> {
        let bytes = self.batch.column(column).as_binary::<i32>().value(row);
        let field = format!("bytes of {}", self.batch.schema().field(column).name());
        self.expect_length(&field, row, expected, bytes.len())?;
        Ok(bytes)
    }

    fn expect_length(
        &self,
        field: &str,
        row: usize,
        expected: usize,
        found: usize,
    ) -> Result<(), CacheError> {
        if expected == found {
            return Ok(());
        }
        Err(CacheError::InvalidRecord {
            path: self.path.to_owned(),
            row: self.first_row + row,
            field: field.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        })
    }
}

/// The key at `row` of a column of the layout.
pub(crate) fn key(column: &FixedSizeBinaryArray, row: usize) -> SegmentKey {
    let bytes = column.value(row).try_into();
    SegmentKey::from_bytes(bytes.expect("the schema was checked: 32 bytes"))
}

fn to_u32(bytes: &[u8]) -> Vec<u32> {
    let (chunks, _) = bytes.as_chunks();
    chunks
        .iter()
        .map(|&chunk| u32::from_le_bytes(chunk))
        .collect()
}

fn to_f32(bytes: &[u8]) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks();
    chunks
        .iter()
        .map(|&chunk| f32::from_le_bytes(chunk))
        .collect()
}

fn f16_to_f32(bytes: &[u8]) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks();
    let halves: Vec<f16> = chunks
        .iter()
        .map(|&chunk| f16::from_le_bytes(chunk))
        .collect();
    halves.to_f32_vec()
}
