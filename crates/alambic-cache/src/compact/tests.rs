//! Whole shards of bits: what comes back, and what damaged ones give.

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;

use super::Quantiser;
use crate::shard_file::ShardFile;
use crate::{
    CacheError, CacheSpec, DrawMethod, MASS_TOLERANCE, StateType, TargetKind, TargetRecord,
    Targets, ValueType, encode, sample,
};

const PATH: &str = "shard";
/// The entropy is stored in 64ths of a nat.
const ENTROPY_ERROR: f32 = 1.0 / 128.0;

fn sampled(draws: u16) -> CacheSpec {
    let targets = TargetKind::Sampled {
        draws,
        seed: 1,
        method: DrawMethod::Independent,
    };
    CacheSpec {
        targets,
        ..sample::spec(ValueType::F16, 1)
    }
}

fn encoded(spec: &CacheSpec, records: &[TargetRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::encode_shard(&mut bytes, spec, 0, records, Path::new(PATH)).unwrap();
    bytes
}

fn decode(bytes: Vec<u8>, spec: &CacheSpec) -> Result<Vec<TargetRecord>, CacheError> {
    ShardFile::open(Bytes::from(bytes), spec, 0, Path::new(PATH))?.records()
}

/// Ids, log-probabilities and tail of a row, in ascending order of ids.
fn row(targets: &crate::TopKTargets, row: usize) -> (Vec<(u32, f32)>, f32) {
    let range = row * targets.k..(row + 1) * targets.k;
    let ids = targets.token_ids[range.clone()].iter().copied();
    let values = targets.log_probs[range].iter().copied();
    let mut entries: Vec<(u32, f32)> = ids.zip(values).collect();
    entries.sort_unstable_by_key(|&(id, _)| id);
    (entries, targets.tail_mass[row])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn levels_come_back_within_their_error_and_add_up_to_one(
        seed in 0u64..1_000_000,
        k in 1usize..=50,
        values in prop::sample::select(vec![ValueType::Fine, ValueType::Coarse]),
    ) {
        let spec = sample::tempered(sample::spec(values, k));
        let records = sample::records(&spec, seed, 4);
        let read = decode(encoded(&spec, &records), &spec).unwrap();
        let (finest, largest) = values.level_steps().unwrap();
        let step = |log_prob: f64| (finest * (-log_prob / 2.0).exp()).min(largest);
        for (written, read) in records.iter().zip(&read) {
            prop_assert_eq!((written.key, &written.token_ids, &written.loss_mask), (read.key, &read.token_ids, &read.loss_mask));
            let (before, after) = (written.targets.top_k().unwrap(), read.targets.top_k().unwrap());
            for j in 0..before.num_rows() {
                let ((before, tail), (after, read_tail)) = (row(before, j), row(after, j));
                // One shift for all, of which the levels know nothing.
                let errors: Vec<(f64, f64)> = before.iter().zip(&after).map(|(x, y)| {
                    assert_eq!(x.0, y.0);
                    (f64::from(y.1 - x.1), 0.63 * step(f64::from(x.1.min(y.1)) - 0.1))
                }).collect();
                let lowest = errors.iter().map(|(error, bound)| error - bound).fold(f64::MIN, f64::max);
                let highest = errors.iter().map(|(error, bound)| error + bound).fold(f64::MAX, f64::min);
                prop_assert!(lowest <= highest + 1e-5, "{errors:?}");
                let head: f64 = after.iter().map(|&(_, log_prob)| f64::from(log_prob).exp()).sum();
                prop_assert!((head + f64::from(read_tail) - 1.0).abs() < 1e-6);
                prop_assert_eq!(tail == 0.0, read_tail == 0.0);
            }
            for (x, y) in before.entropy.iter().zip(&after.entropy) {
                prop_assert!((x - y).abs() <= ENTROPY_ERROR);
            }
            for (before, after) in before.tempered.iter().zip(&after.tempered) {
                prop_assert_eq!(before.temperature, after.temperature);
                for (x, y) in before.entropy.iter().zip(&after.entropy) {
                    prop_assert!((x - y).abs() <= ENTROPY_ERROR);
                }
                for (&x, &y) in before.tail_mass.iter().zip(&after.tail_mass) {
                    let smaller = f64::from(x).min(1.0 - f64::from(x));
                    let bound = smaller * (0.63 * step(smaller.ln())).exp_m1() + 1e-7;
                    prop_assert!(f64::from(x - y).abs() <= bound, "{x} {y}");
                }
            }
            for temperature in [2.0, 0.5] {
                let softened = after.at_temperature(temperature).unwrap();
                for j in 0..softened.num_rows() {
                    let (entries, tail) = row(&softened, j);
                    let head: f64 = entries.iter().map(|&(_, lp)| f64::from(lp).exp()).sum();
                    prop_assert!((head + f64::from(tail) - 1.0).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn numbers_at_further_temperatures_come_back_exactly(
        seed in 0u64..1_000_000,
        k in 1usize..=50,
        values in prop::sample::select(vec![ValueType::F16, ValueType::F32]),
    ) {
        let spec = sample::tempered(sample::spec(values, k));
        let written = sample::records(&spec, seed, 4);
        let read = decode(encoded(&spec, &written), &spec).unwrap();
        for (written, read) in written.iter().zip(&read) {
            let (written, read) = (written.targets.top_k().unwrap(), read.targets.top_k().unwrap());
            prop_assert_eq!(&written.tempered, &read.tempered);
            prop_assert_eq!(read.tempered.len(), 2);
        }
    }

    #[test]
    fn drawn_tokens_come_back_exactly(seed in 0u64..1_000_000, draws in 1u16..200) {
        let spec = sampled(draws);
        let written = sample::records(&spec, seed, 4);
        let mut read = decode(encoded(&spec, &written), &spec).unwrap();
        for (written, read) in written.iter().zip(&mut read) {
            let (Targets::Sampled(written), Targets::Sampled(read)) = (&written.targets, &mut read.targets) else {
                panic!("drawn tokens");
            };
            for (x, y) in written.entropy.iter().zip(&read.entropy) {
                prop_assert!((x - y).abs() <= ENTROPY_ERROR);
            }
            read.entropy.clone_from(&written.entropy);
        }
        prop_assert_eq!(read, written);
    }
}

fn both(values: ValueType) -> CacheSpec {
    let targets = TargetKind::HeadPlusSampledTail {
        k: 8,
        values,
        draws: 20,
        seed: 0,
        method: DrawMethod::Independent,
    };
    CacheSpec {
        targets,
        ..sample::spec(values, 8)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn hidden_states_come_back_rounded_and_stay_so(
        seed in 0u64..1_000_000,
        values in prop::sample::select(StateType::ALL.to_vec()),
    ) {
        let spec = sample::hidden_spec(values);
        let mut written = sample::records(&spec, seed, 4);
        let bytes = encoded(&spec, &written);
        let read = decode(bytes.clone(), &spec).unwrap();
        for record in &mut written {
            let Targets::Hidden(targets) = &record.targets else { panic!("hidden states") };
            record.targets = targets.rounded(values).unwrap().into();
        }
        prop_assert_eq!(&read, &written);
        prop_assert_eq!(encoded(&spec, &read), bytes);
    }
}

#[test]
fn a_state_takes_the_bytes_that_its_type_says() {
    // Of 64 and of 256 numbers.
    for (values, bytes) in
        StateType::ALL
            .into_iter()
            .zip([[256, 1024], [128, 512], [68, 272], [52, 208], [36, 144]])
    {
        assert_eq!(
            [64, 256].map(|width| values.bits_per_state(width) / 8),
            bytes
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_damaged_shard_gives_an_error_or_valid_records(
        flips in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..8),
        spec in prop::sample::select(vec![
            sampled(20),
            both(ValueType::Coarse),
            both(ValueType::F16),
            both(ValueType::F32),
            sample::spec(ValueType::Coarse, 8),
            sample::tempered(sample::spec(ValueType::Coarse, 8)),
            sample::tempered(sample::spec(ValueType::F16, 8)),
            sample::hidden_spec(StateType::F16),
            sample::hidden_spec(StateType::Int6),
        ]),
    ) {
        let mut bytes = encoded(&spec, &sample::records(&spec, 0, 4));
        for (position, value) in flips {
            let position = position.index(bytes.len());
            bytes[position] = value;
        }
        if let Ok(records) = decode(bytes, &spec) {
            prop_assert_eq!(records.len(), 4);
        }
    }
}

#[test]
fn a_head_comes_back_as_one_alone_does_and_what_was_drawn_from_its_tail_exactly() {
    for values in [
        ValueType::F16,
        ValueType::F32,
        ValueType::Fine,
        ValueType::Coarse,
    ] {
        for k in [1, 8, 49, 50] {
            let targets = TargetKind::HeadPlusSampledTail {
                k,
                values,
                draws: 30,
                seed: 0,
                method: DrawMethod::Independent,
            };
            let spec = CacheSpec {
                targets,
                ..sample::spec(values, k)
            };
            let written = sample::records(&spec, 7, 4);
            let read = decode(encoded(&spec, &written), &spec).unwrap();
            assert_eq!(read.len(), written.len());
            for (written, read) in written.iter().zip(&read) {
                let (Targets::HeadPlusSampledTail(written), Targets::HeadPlusSampledTail(read)) =
                    (&written.targets, &read.targets)
                else {
                    panic!("heads and tails");
                };
                let mut head = written.head.rounded(values).unwrap();
                for (written, read) in head.entropy.iter_mut().zip(&read.head.entropy) {
                    assert!((*written - read).abs() <= ENTROPY_ERROR);
                    *written = *read;
                }
                assert_eq!(head, read.head, "{values:?}");
                assert_eq!(written.tail, read.tail);
                assert_eq!((read.draws, read.temperature), (30, 1.0));
                for row in read.probabilities() {
                    let total: f32 = row.iter().map(|&(_, probability)| probability).sum();
                    let rounding = match values {
                        ValueType::F16 => MASS_TOLERANCE,
                        _ => 1e-5,
                    };
                    assert!((total - 1.0).abs() < rounding, "{values:?}: {total}");
                }
            }
        }
    }
}

#[test]
fn targets_are_rounded_as_a_shard_rounds_them() {
    for values in [
        ValueType::F32,
        ValueType::F16,
        ValueType::Fine,
        ValueType::Coarse,
    ] {
        let spec = sample::tempered(sample::spec(values, 8));
        let records = sample::records(&spec, 40, 4);
        for (written, read) in records
            .iter()
            .zip(decode(encoded(&spec, &records), &spec).unwrap())
        {
            let rounded = written.targets.top_k().unwrap().rounded(values).unwrap();
            assert_eq!(Some(&rounded), read.targets.top_k(), "{values:?}");
            assert_eq!(rounded.rounded(values), Some(rounded), "{values:?}");
        }
    }
}

#[test]
fn what_cannot_be_stored_is_not_rounded() {
    let spec = sample::spec(ValueType::F32, 8);
    let mut record = sample::records(&spec, 40, 4).remove(1);
    let targets = sample::top_k(&mut record);
    targets.tail_mass[0] += targets.log_probs[7].exp();
    targets.log_probs[7] = -70_000.0;
    assert!(targets.rounded(ValueType::F32).is_some());
    for values in [ValueType::F16, ValueType::Fine, ValueType::Coarse] {
        assert_eq!(targets.rounded(values), None, "{values:?}");
    }
    for value in [f32::NAN, 0.0] {
        targets.log_probs[7] = value;
        assert_eq!(targets.rounded(ValueType::Coarse), None, "{value}");
    }
}

#[test]
fn an_even_distribution_is_read_back_whatever_its_entropy_is_rounded_to() {
    // 64 ln V is just above a half for many a vocabulary.
    for vocab_size in [32_000usize, 50_257, 65_536, 128_256, 151_936] {
        let spec = CacheSpec {
            vocab_size,
            ..sample::tempered(sample::spec(ValueType::Coarse, 1))
        };
        let even = (vocab_size as f32).recip();
        let entropy = vec![(vocab_size as f32).ln()];
        let tail_mass = vec![1.0 - even];
        let mut tempered = crate::TemperedTail::empty(&[2.0, 0.5]);
        for tail in &mut tempered {
            tail.tail_mass.clone_from(&tail_mass);
            tail.entropy.clone_from(&entropy);
        }
        let record = TargetRecord {
            key: crate::SegmentKey::of("t", &[0, 1], &[false, true]),
            token_ids: vec![0, 1],
            loss_mask: vec![false, true],
            targets: crate::TopKTargets {
                k: 1,
                token_ids: vec![7],
                log_probs: vec![even.ln()],
                tail_mass,
                entropy,
                tempered,
            }
            .into(),
        };
        let mut rules = crate::invariants::RecordRules::new(&spec);
        rules.check(&record, 0, Path::new(PATH)).unwrap();
        decode(encoded(&spec, std::slice::from_ref(&record)), &spec).unwrap();
    }
}

#[test]
fn codes_that_are_none_are_named() {
    let spec = sample::spec(ValueType::Coarse, 8);
    let mut bytes = encoded(&spec, &sample::records(&spec, 0, 4));
    let key = b"alambic.codes";
    let at = bytes.windows(key.len()).position(|window| window == key);
    // Behind the key: the type of the value, its length of two bytes, and its first characters.
    let first = at.unwrap() + key.len() + 4;
    bytes[first..first + 4].copy_from_slice(b"////");
    let message = decode(bytes, &spec).unwrap_err().to_string();
    assert!(
        message.contains("alambic.codes should be the codes"),
        "{message}"
    );
}

#[test]
fn a_log_probability_below_all_levels_is_refused_and_fits_f32() {
    let lowest = Quantiser::new(1.0 / 32.0, 0.25).lowest_log_prob() as f32;
    let spec = sample::spec(ValueType::Fine, 2);
    let mut records = (0..).map(|seed| sample::record(&spec, seed));
    let mut record = records.find(|record| record.num_targets() > 1).unwrap();
    let check = |record: &TargetRecord, spec: &CacheSpec| {
        encode::check_storable(record, spec, 5, Path::new(PATH))
    };
    sample::top_k(&mut record).log_probs[3] = lowest + 1.0;
    check(&record, &spec).unwrap();
    sample::top_k(&mut record).log_probs[3] = lowest - 1.0;
    let message = check(&record, &spec).unwrap_err().to_string();
    assert!(
        message.contains("row 5: targets.log_probs[1][1] should be at least"),
        "{message}"
    );
    check(&record, &sample::spec(ValueType::F32, 2)).unwrap();
}
