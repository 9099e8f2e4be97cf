//! The rules every record obeys, checked when it is written and when it is read.

use std::path::Path;

use crate::compact::ENTROPY_ROUNDING_NATS;
use crate::tempered_rules::TemperedRules;
use crate::{
    CacheError, CacheSpec, DrawnRow, DrawnTokens, HeadOnlyTargets, HeadPlusSampledTail,
    HiddenTargets, SampledTargets, TargetKind, TargetRecord, Targets, TopKTargets,
};

/// How far above 0 a log-probability may lie, nats: a log-softmax in f32 rounds at this scale.
///
/// ```
/// assert!(alambic_cache::LOG_PROB_TOLERANCE_NATS > f32::EPSILON);
/// ```
pub const LOG_PROB_TOLERANCE_NATS: f32 = 1e-4;

/// How far outside `[0, ln V]` an entropy may lie, nats: it is an f32 sum over the vocabulary.
///
/// ```
/// assert!(alambic_cache::ENTROPY_TOLERANCE_NATS < 0.01);
/// ```
pub const ENTROPY_TOLERANCE_NATS: f32 = 1e-3;

/// How far head and tail may miss 1 together.
///
/// Rounding to f16 moves the head's mass by at most [`F16_RELATIVE_ERROR`] times the entropy,
/// 0.006 for the largest vocabularies.
///
/// ```
/// use alambic_cache::{F16_RELATIVE_ERROR, MASS_TOLERANCE};
/// assert!(F16_RELATIVE_ERROR * 262_144f32.ln() < MASS_TOLERANCE);
/// ```
pub const MASS_TOLERANCE: f32 = 1e-2;

/// Half a unit in the last place of f16: the relative error of a stored log-probability.
///
/// Below 2⁻¹⁴ in magnitude f16 is subnormal and the error is absolute, at most 2⁻²⁵.
///
/// ```
/// assert_eq!(alambic_cache::F16_RELATIVE_ERROR, 2f32.powi(-11));
/// ```
pub const F16_RELATIVE_ERROR: f32 = 1.0 / 2048.0;

/// Checks records of one cache; holds one bit per vocabulary entry to find repeated ids.
#[derive(Debug)]
pub(crate) struct RecordRules {
    vocab_size: usize,
    kind: TargetKind,
    temperature: f32,
    max_entropy: f32,
    tempered: TemperedRules,
    seen: Vec<u64>,
}

/// The largest entropy of a row: that of equally likely tokens, with what an f32 sum and, in a column of
/// bits, rounding may add.
pub(crate) fn largest_entropy(spec: &CacheSpec) -> f32 {
    let rounding = match spec.targets.has_codes() {
        true => ENTROPY_ROUNDING_NATS,
        false => 0.0,
    };
    (spec.vocab_size as f32).ln() + ENTROPY_TOLERANCE_NATS + rounding
}

/// A broken rule: field, expected, found.
pub(crate) type Broken = (String, String, String);

impl RecordRules {
    pub(crate) fn new(spec: &CacheSpec) -> Self {
        Self {
            vocab_size: spec.vocab_size,
            kind: spec.targets,
            temperature: spec.temperatures.first().copied().unwrap_or(1.0),
            max_entropy: largest_entropy(spec),
            tempered: TemperedRules::new(spec),
            seen: Vec::new(),
        }
    }

    /// Checks one record; `row` and `path` only name it in the error.
    pub(crate) fn check(
        &mut self,
        record: &TargetRecord,
        row: usize,
        path: &Path,
    ) -> Result<(), CacheError> {
        self.check_tokens(record)
            .and_then(|()| {
                let rows = record.loss_mask.iter().filter(|&&counted| counted).count();
                match (self.kind, &record.targets) {
                    (TargetKind::TopK { k, .. }, Targets::TopK(targets)) => {
                        check_top_k_lengths(targets, k, rows)?;
                        self.check_top_k(targets, k)?;
                        self.tempered.check(targets)
                    }
                    (TargetKind::Sampled { draws, .. }, Targets::Sampled(targets)) => {
                        check_sampled_lengths(targets, draws, self.temperature, rows)?;
                        self.check_sampled(targets)
                    }
                    (
                        TargetKind::HeadPlusSampledTail { k, draws, .. },
                        Targets::HeadPlusSampledTail(targets),
                    ) => {
                        check_top_k_lengths(&targets.head, k, rows)?;
                        check_draws(targets.draws, targets.temperature, draws, self.temperature)?;
                        check_drawn_lengths(&targets.tail, rows)?;
                        self.check_top_k(&targets.head, k)?;
                        self.check_tail(targets)
                    }
                    (TargetKind::Hidden { width, .. }, Targets::Hidden(targets)) => {
                        check_hidden(targets, width, rows)
                    }
                    (TargetKind::HeadOnly { k, .. }, Targets::HeadOnly(targets)) => {
                        self.check_head_only(targets, k, rows)
                    }
                    (kind, _) => Err((
                        "targets".into(),
                        format!("{kind:?}, the same for every row of the cache"),
                        "targets of another kind".into(),
                    )),
                }
            })
            .map_err(|(field, expected, found)| CacheError::InvalidRecord {
                path: path.to_owned(),
                row,
                field,
                expected,
                found,
            })
    }

    fn check_tokens(&self, record: &TargetRecord) -> Result<(), Broken> {
        let tokens = record.token_ids.len();
        require(tokens > 0, "token_ids", || {
            ("at least 1 token".into(), "none".into())
        })?;
        for (i, &id) in record.token_ids.iter().enumerate() {
            if id as usize >= self.vocab_size {
                return Err(self.foreign_id(format!("token_ids[{i}]"), id));
            }
        }
        require(record.loss_mask.len() == tokens, "loss_mask", || {
            (
                format!("{tokens} long, as token_ids"),
                format!("{} long", record.loss_mask.len()),
            )
        })?;
        require(!record.loss_mask[0], "loss_mask[0]", || {
            (
                "false, nothing predicts the first token".into(),
                "true".into(),
            )
        })
    }

    fn check_top_k(&mut self, targets: &TopKTargets, k: usize) -> Result<(), Broken> {
        let rows = targets
            .token_ids
            .chunks_exact(k)
            .zip(targets.log_probs.chunks_exact(k));
        for (j, (ids, log_probs)) in rows.enumerate() {
            self.check_ids(ids, j)?;
            let head = check_log_probs(log_probs, j)?;
            self.check_masses(k, head, targets.tail_mass[j], j)?;
            self.check_entropy(targets.entropy[j], j)?;
        }
        Ok(())
    }

    /// Nothing is said of the mass: the log-probabilities may be approximations.
    fn check_head_only(
        &mut self,
        targets: &HeadOnlyTargets,
        k: usize,
        rows: usize,
    ) -> Result<(), Broken> {
        check_k(targets.k, k)?;
        let entries = rows.saturating_mul(k);
        check_lengths(
            &[
                ("targets.token_ids", targets.token_ids.len(), entries),
                ("targets.log_probs", targets.log_probs.len(), entries),
            ],
            rows,
        )?;
        let of_row = targets
            .token_ids
            .chunks_exact(k)
            .zip(targets.log_probs.chunks_exact(k));
        for (j, (ids, log_probs)) in of_row.enumerate() {
            self.check_ids(ids, j)?;
            check_log_probs(log_probs, j)?;
        }
        Ok(())
    }

    fn check_sampled(&self, targets: &SampledTargets) -> Result<(), Broken> {
        for (j, row) in targets.drawn.rows().enumerate() {
            self.check_drawn(row, targets.draws, "targets.drawn", j)?;
            self.check_entropy(targets.entropy[j], j)?;
        }
        Ok(())
    }

    fn check_tail(&self, targets: &HeadPlusSampledTail) -> Result<(), Broken> {
        let heads = targets.head.token_ids.chunks_exact(targets.head.k);
        for (j, (row, head)) in targets.tail.rows().zip(heads).enumerate() {
            let has_mass = targets.head.tail_mass[j] > 0.0;
            let draws = if has_mass { targets.draws } else { 0 };
            self.check_drawn(row, draws, "targets.tail", j)?;
            let of_head = |id| row.token_ids.binary_search(id).is_ok();
            match head.iter().find(|id| of_head(id)) {
                None => {}
                Some(id) => {
                    let field = format!("targets.tail.token_ids[{j}]");
                    let expected = "ids that are not in the head".into();
                    return Err((field, expected, id.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Checks one row of `field` that holds so many draws.
    fn check_drawn(
        &self,
        row: DrawnRow<'_>,
        draws: u16,
        field: &str,
        j: usize,
    ) -> Result<(), Broken> {
        let ids = row.token_ids;
        if let Some(i) = ids.iter().position(|&id| id as usize >= self.vocab_size) {
            return Err(self.foreign_id(format!("{field}.token_ids[{j}][{i}]"), ids[i]));
        }
        let ascend = ids.is_sorted_by(|first, second| first < second);
        require(ascend, format_args!("{field}.token_ids[{j}]"), || {
            ("distinct ids in ascending order".into(), format!("{ids:?}"))
        })?;
        let total: u32 = row.counts.iter().map(|&count| u32::from(count)).sum();
        let holds = total == u32::from(draws) && row.counts.iter().all(|&n| n > 0);
        require(holds, format_args!("{field}.counts[{j}]"), || {
            (
                format!("at least 1 each and {draws} together"),
                format!("{:?}", row.counts),
            )
        })
    }

    fn check_ids(&mut self, ids: &[u32], j: usize) -> Result<(), Broken> {
        if self.seen.is_empty() {
            self.seen = vec![0; self.vocab_size.div_ceil(64)];
        }
        let mut broken = None;
        let mut marked = 0;
        for (i, &id) in ids.iter().enumerate() {
            let (word, bit) = (id as usize / 64, 1u64 << (id % 64));
            if id as usize >= self.vocab_size {
                broken = Some(self.foreign_id(format!("targets.token_ids[{j}][{i}]"), id));
                break;
            }
            if self.seen[word] & bit != 0 {
                let field = format!("targets.token_ids[{j}]");
                broken = Some((field, "distinct ids".into(), format!("{id} twice")));
                break;
            }
            self.seen[word] |= bit;
            marked = i + 1;
        }
        for &id in &ids[..marked] {
            self.seen[id as usize / 64] = 0;
        }
        broken.map_or(Ok(()), Err)
    }

    fn check_masses(&self, k: usize, head: f64, tail: f32, j: usize) -> Result<(), Broken> {
        let range = if k == self.vocab_size {
            0.0..=0.0
        } else {
            0.0..=1.0
        };
        require(
            range.contains(&tail),
            format_args!("targets.tail_mass[{j}]"),
            || {
                (
                    format!("in {range:?} for k = {k} of {}", self.vocab_size),
                    tail.to_string(),
                )
            },
        )?;
        let total = head + f64::from(tail);
        let close = (total - 1.0).abs() <= f64::from(MASS_TOLERANCE);
        require(
            close,
            format_args!("head and tail mass of target {j}"),
            || (format!("1 within {MASS_TOLERANCE}"), total.to_string()),
        )
    }

    fn check_entropy(&self, entropy: f32, j: usize) -> Result<(), Broken> {
        let range = -ENTROPY_TOLERANCE_NATS..=self.max_entropy;
        require(
            range.contains(&entropy),
            format_args!("targets.entropy[{j}]"),
            || (format!("in {range:?} nats"), entropy.to_string()),
        )
    }

    fn foreign_id(&self, field: String, id: u32) -> Broken {
        (
            field,
            format!("below vocab_size {}", self.vocab_size),
            id.to_string(),
        )
    }
}

/// Compares the entries of a row with those of the cache.
fn check_k(found: usize, expected: usize) -> Result<(), Broken> {
    require(found == expected, "targets.k", || {
        (
            format!("{expected}, the same for every row of the cache"),
            found.to_string(),
        )
    })
}

fn check_top_k_lengths(targets: &TopKTargets, k: usize, rows: usize) -> Result<(), Broken> {
    check_k(targets.k, k)?;
    let entries = rows.saturating_mul(k);
    check_lengths(
        &[
            ("targets.tail_mass", targets.tail_mass.len(), rows),
            ("targets.entropy", targets.entropy.len(), rows),
            ("targets.token_ids", targets.token_ids.len(), entries),
            ("targets.log_probs", targets.log_probs.len(), entries),
        ],
        rows,
    )
}

fn check_sampled_lengths(
    targets: &SampledTargets,
    draws: u16,
    temperature: f32,
    rows: usize,
) -> Result<(), Broken> {
    check_draws(targets.draws, targets.temperature, draws, temperature)?;
    check_lengths(&[("targets.entropy", targets.entropy.len(), rows)], rows)?;
    check_drawn_lengths(&targets.drawn, rows)
}

/// Compares draws and temperature with those of the cache.
fn check_draws(
    draws: u16,
    temperature: f32,
    expected_draws: u16,
    expected_temperature: f32,
) -> Result<(), Broken> {
    let same = |expected: String| format!("{expected}, the same for every row of the cache");
    require(
        temperature == expected_temperature,
        "targets.temperature",
        || {
            (
                same(expected_temperature.to_string()),
                temperature.to_string(),
            )
        },
    )?;
    require(draws == expected_draws, "targets.draws", || {
        (same(expected_draws.to_string()), draws.to_string())
    })
}

fn check_drawn_lengths(drawn: &DrawnTokens, rows: usize) -> Result<(), Broken> {
    let entries = drawn.num_distinct.iter().map(|&n| usize::from(n)).sum();
    check_lengths(
        &[
            ("targets.num_distinct", drawn.num_distinct.len(), rows),
            ("drawn token_ids", drawn.token_ids.len(), entries),
            ("drawn counts", drawn.counts.len(), entries),
        ],
        rows,
    )
}

fn check_hidden(targets: &HiddenTargets, width: usize, rows: usize) -> Result<(), Broken> {
    require(targets.width == width, "targets.width", || {
        (
            format!("{width}, the same for every row of the cache"),
            targets.width.to_string(),
        )
    })?;
    let (found, expected) = (targets.states.len(), rows.saturating_mul(width));
    check_lengths(&[("targets.states", found, expected)], rows)?;
    let not_finite = targets.states.iter().position(|state| !state.is_finite());
    not_finite.map_or(Ok(()), |i| {
        let field = format!("targets.states[{}][{}]", i / width, i % width);
        Err((field, "finite".into(), targets.states[i].to_string()))
    })
}

/// Field, found and expected length of each.
fn check_lengths(lengths: &[(&str, usize, usize)], rows: usize) -> Result<(), Broken> {
    for &(field, found, expected) in lengths {
        require(found == expected, field, || {
            (
                format!("{expected} long for {rows} counted labels"),
                format!("{found} long"),
            )
        })?;
    }
    Ok(())
}

/// Returns the mass of the head.
fn check_log_probs(log_probs: &[f32], j: usize) -> Result<f64, Broken> {
    let mut previous = LOG_PROB_TOLERANCE_NATS;
    let mut head = 0f64;
    for (i, &log_prob) in log_probs.iter().enumerate() {
        // One comparison for the common case; NaN fails it too.
        if !(log_prob <= previous && log_prob > f32::NEG_INFINITY) {
            let expected = if !log_prob.is_finite() {
                "finite".into()
            } else if i == 0 {
                format!("at most {LOG_PROB_TOLERANCE_NATS}")
            } else {
                format!("at most {previous}, rows descend")
            };
            let field = format!("targets.log_probs[{j}][{i}]");
            return Err((field, expected, log_prob.to_string()));
        }
        previous = log_prob;
        head += f64::from(log_prob.exp());
    }
    Ok(head)
}

pub(crate) fn require(
    holds: bool,
    field: impl std::fmt::Display,
    describe: impl FnOnce() -> (String, String),
) -> Result<(), Broken> {
    if holds {
        return Ok(());
    }
    let (expected, found) = describe();
    Err((field.to_string(), expected, found))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ValueType;
    use crate::sample::{self, top_k};

    /// What checking a sample record says after `change`; it has at least two targets.
    fn verdict(k: usize, change: impl FnOnce(&mut TargetRecord)) -> Result<(), String> {
        let spec = sample::spec(ValueType::F32, k);
        let mut record = (0..).map(|seed| sample::record(&spec, seed));
        let mut record = record.find(|record| record.num_targets() > 1).unwrap();
        change(&mut record);
        let outcome = RecordRules::new(&spec).check(&record, 7, Path::new("shard-00000.parquet"));
        outcome.map_err(|error| error.to_string())
    }

    fn assert_refused(outcome: Result<(), String>, expected: &str) {
        let message = outcome.unwrap_err();
        assert!(
            message.starts_with("shard-00000.parquet, row 7: "),
            "{message}"
        );
        assert!(
            message.contains(expected),
            "{message} does not contain {expected}"
        );
    }

    #[test]
    fn sample_records_obey_the_rules() {
        for k in [1, 8, 49, 50] {
            assert_eq!(verdict(k, |_| {}), Ok(()));
        }
    }

    #[test]
    fn tokens_and_mask_are_checked() {
        assert_refused(
            verdict(8, |r| r.token_ids.clear()),
            "token_ids should be at least 1 token",
        );
        assert_refused(
            verdict(8, |r| r.token_ids[1] = 50),
            "token_ids[1] should be below vocab_size 50, found 50",
        );
        assert_refused(
            verdict(8, |r| r.loss_mask.push(false)),
            "loss_mask should be",
        );
        assert_refused(
            verdict(8, |r| r.loss_mask[0] = true),
            "loss_mask[0] should be false",
        );
    }

    #[test]
    fn lengths_are_checked_against_the_mask() {
        assert_refused(
            verdict(8, |r| r.loss_mask.fill(false)),
            "0 long for 0 counted labels",
        );
        assert_refused(
            verdict(8, |r| top_k(r).tail_mass.push(0.0)),
            "targets.tail_mass",
        );
        assert_refused(
            verdict(8, |r| _ = top_k(r).entropy.pop()),
            "targets.entropy",
        );
        assert_refused(
            verdict(8, |r| _ = top_k(r).log_probs.pop()),
            "targets.log_probs",
        );
        assert_refused(
            verdict(8, |r| top_k(r).token_ids.push(0)),
            "targets.token_ids",
        );
        assert_refused(verdict(8, |r| top_k(r).k = 4), "targets.k should be 8");
    }

    #[test]
    fn target_ids_are_below_the_vocabulary_and_distinct_within_a_row() {
        assert_refused(
            verdict(8, |r| top_k(r).token_ids[9] = u32::MAX),
            "targets.token_ids[1][1] should be below vocab_size 50, found 4294967295",
        );
        let repeat = |r: &mut TargetRecord| top_k(r).token_ids[15] = top_k(r).token_ids[8];
        assert_refused(
            verdict(8, repeat),
            "targets.token_ids[1] should be distinct ids",
        );
        // The same id in two rows is fine.
        let share = |r: &mut TargetRecord| top_k(r).token_ids.copy_within(0..8, 8);
        assert_eq!(verdict(8, share), Ok(()));
    }

    #[test]
    fn log_probs_are_finite_and_descend_from_zero() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let outcome = verdict(8, |r| top_k(r).log_probs[10] = value);
            assert_refused(outcome, "targets.log_probs[1][2] should be finite");
        }
        assert_refused(
            verdict(8, |r| top_k(r).log_probs[0] = 0.01),
            "should be at most 0.0001",
        );
        assert_refused(
            verdict(8, |r| top_k(r).log_probs.swap(2, 3)),
            "rows descend",
        );
    }

    #[test]
    fn a_certain_teacher_may_round_a_little_above_zero() {
        let certain = |log_prob: f32, entropy: f32| {
            verdict(1, |r| {
                top_k(r).log_probs.fill(log_prob);
                top_k(r).tail_mass.fill(0.0);
                top_k(r).entropy.fill(entropy);
            })
        };
        assert_eq!(certain(0.0, 0.0), Ok(()));
        assert_eq!(
            certain(LOG_PROB_TOLERANCE_NATS, -ENTROPY_TOLERANCE_NATS),
            Ok(())
        );
        assert_refused(
            certain(2.0 * LOG_PROB_TOLERANCE_NATS, 0.0),
            "targets.log_probs[0][0]",
        );
        assert_refused(
            certain(0.0, -2.0 * ENTROPY_TOLERANCE_NATS),
            "targets.entropy[0]",
        );
    }

    #[test]
    fn tail_mass_is_a_probability_and_zero_for_the_whole_vocabulary() {
        for value in [-1e-6, 1.1, f32::NAN] {
            assert_refused(
                verdict(8, |r| top_k(r).tail_mass[1] = value),
                "targets.tail_mass[1]",
            );
        }
        let outcome = verdict(50, |r| top_k(r).tail_mass[0] = f32::MIN_POSITIVE);
        assert_refused(outcome, "for k = 50 of 50");
    }

    #[test]
    fn head_and_tail_add_up_to_one() {
        let halve = |r: &mut TargetRecord| top_k(r).tail_mass[1] /= 2.0;
        assert_refused(
            verdict(1, halve),
            "head and tail mass of target 1 should be 1 within 0.01",
        );
        // A renormalised head is a wrong head.
        let renormalise = |r: &mut TargetRecord| {
            let mass = (1.0 - top_k(r).tail_mass[0]).ln();
            top_k(r)
                .log_probs
                .iter_mut()
                .for_each(|log_prob| *log_prob -= mass);
        };
        assert_refused(verdict(8, renormalise), "head and tail mass of target 0");
    }

    #[test]
    fn entropy_lies_between_zero_and_that_of_the_uniform_distribution() {
        assert_eq!(verdict(8, |r| top_k(r).entropy[0] = 50f32.ln()), Ok(()));
        for value in [-0.01, 50f32.ln() + 0.01, f32::NAN] {
            assert_refused(
                verdict(8, |r| top_k(r).entropy[0] = value),
                "targets.entropy[0]",
            );
        }
    }

    #[test]
    fn hidden_states_are_of_the_caches_width_as_many_as_labels_and_finite() {
        let spec = sample::hidden_spec(crate::StateType::F32);
        let verdict = |change: fn(&mut HiddenTargets)| {
            let mut record = (0..).map(|seed| sample::record(&spec, seed));
            let mut record = record.find(|record| record.num_targets() > 1).unwrap();
            let Targets::Hidden(targets) = &mut record.targets else {
                panic!("hidden states");
            };
            change(targets);
            let path = Path::new("shard-00000.parquet");
            let outcome = RecordRules::new(&spec).check(&record, 7, path);
            outcome.map_err(|error| error.to_string())
        };
        assert_eq!(verdict(|_| {}), Ok(()));
        assert_refused(verdict(|t| t.width = 35), "targets.width should be 70");
        assert_refused(verdict(|t| t.width = 0), "targets.width should be 70");
        assert_refused(verdict(|t| _ = t.states.pop()), "targets.states should be");
        let no_number: fn(&mut HiddenTargets) = |t| t.states[75] = f32::NAN;
        assert_refused(
            verdict(no_number),
            "targets.states[1][5] should be finite, found NaN",
        );
    }
}
