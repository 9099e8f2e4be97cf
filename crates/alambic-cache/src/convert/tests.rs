//! Sources of every format, whole and broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, Int64Builder, ListBuilder, RecordBatch};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::{Value, json};

use super::*;
use crate::{CacheReader, HeadOnlyTargets, TargetRecord, Targets, verify};

/// What the writer's own library decodes differs by the order of its sums.
const LOG_PROB_TOLERANCE: f32 = 1e-5;

fn config(vocab_size: usize) -> ConvertConfig {
    ConvertConfig {
        teacher_fingerprint: "a1".repeat(32),
        tokenizer_fingerprint: "b2".repeat(32),
        vocab_size,
        values: ValueType::F32,
        top_k: None,
        segments_per_shard: 5,
    }
}

/// Every record of a converted source; the cache verifies.
fn converted(
    source: &Path,
    format: ForeignFormat,
    config: &ConvertConfig,
) -> Result<Vec<TargetRecord>, String> {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("cache");
    convert(source, format, &out, config).map_err(|error| error.to_string())?;
    verify(&out).unwrap();
    let cache = CacheReader::open(&out).unwrap();
    let shards = 0..cache.manifest().shards.len();
    Ok(shards.flat_map(|i| cache.read_shard(i).unwrap()).collect())
}

fn head(record: &TargetRecord) -> &HeadOnlyTargets {
    match &record.targets {
        Targets::HeadOnly(targets) => targets,
        other => panic!("{other:?}"),
    }
}

/// The two caches that DistillKit wrote, and what it decodes them to.
fn distillkit() -> Option<PathBuf> {
    let default = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let root = std::env::var_os("ALAMBIC_SHARED").map_or(default, PathBuf::from);
    let golden = root.join("golden/distillkit");
    #[allow(clippy::print_stderr, reason = "a skipped test must be heard")]
    if !golden.is_dir() {
        eprintln!(
            "skipped: DistillKit's caches need the shared data directory (set ALAMBIC_SHARED)"
        );
        return None;
    }
    Some(golden)
}

fn numbers<T>(file: &SafeTensors<'_>, name: &str, read: fn([u8; 4]) -> T) -> Vec<T> {
    let view = file.tensor(name).unwrap();
    let (numbers, _) = view.data().as_chunks::<4>();
    numbers.iter().map(|&bytes| read(bytes)).collect()
}

#[test]
fn distillkits_caches_are_read_as_distillkit_decodes_them() {
    let Some(golden) = distillkit() else { return };
    for (name, k) in [("k128-exact16-poly", 128), ("k50-residual8", 50)] {
        let source = golden.join(name);
        let records = converted(&source, ForeignFormat::DistillKit, &config(512)).unwrap();
        assert_eq!(records.len(), 12);
        let bytes = fs::read(source.join("expected.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        for (segment, record) in records.iter().enumerate() {
            let ids = numbers(&file, &format!("{segment}.ids"), u32::from_le_bytes);
            let log_probs = numbers(&file, &format!("{segment}.log_probs"), f32::from_le_bytes);
            // Row t belongs to the label t + 1; the last one has none.
            let targets = head(record);
            assert_eq!((record.num_tokens(), targets.num_rows()), (120, 119));
            assert!(!record.loss_mask[0] && record.loss_mask[1..].iter().all(|&counted| counted));
            for row in 0..targets.num_rows() {
                let range = row * k..(row + 1) * k;
                let by_id = |ids: &[u32], log_probs: &[f32]| {
                    let entries = ids.iter().copied().zip(log_probs.iter().copied());
                    let mut entries: Vec<(u32, f32)> = entries.collect();
                    entries.sort_by_key(|&(id, _)| id);
                    entries
                };
                let expected = by_id(&ids[range.clone()], &log_probs[range.clone()]);
                let found = by_id(&targets.token_ids[range.clone()], &targets.log_probs[range]);
                for (expected, found) in expected.iter().zip(&found) {
                    assert_eq!(expected.0, found.0, "{name}, {segment}, {row}");
                    let difference = (expected.1 - found.1).abs();
                    assert!(
                        difference <= LOG_PROB_TOLERANCE,
                        "{name}, {segment}, {row}: {difference}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_distillkit_cache_is_cut_to_its_most_probable_entries() {
    let Some(golden) = distillkit() else { return };
    let cut = ConvertConfig {
        top_k: Some(8),
        ..config(512)
    };
    let source = golden.join("k50-residual8");
    let whole = converted(&source, ForeignFormat::DistillKit, &config(512)).unwrap();
    let cut = converted(&source, ForeignFormat::DistillKit, &cut).unwrap();
    for (whole, cut) in whole.iter().zip(&cut) {
        for (whole, cut) in head(whole)
            .token_ids
            .chunks(50)
            .zip(head(cut).token_ids.chunks(8))
        {
            assert_eq!(whole[..8], *cut);
        }
    }
}

#[test]
fn settings_that_do_not_fit_the_rows_are_named_with_the_place() {
    let Some(golden) = distillkit() else { return };
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("copy");
    fs::create_dir(&source).unwrap();
    let from = golden.join("k50-residual8");
    fs::copy(from.join("data_0.parquet"), source.join("data_0.parquet")).unwrap();
    let settings = fs::read_to_string(from.join("compression_config.yaml")).unwrap();
    let with = |from: &str, to: &str| {
        assert!(settings.contains(from), "{settings}");
        fs::write(
            source.join("compression_config.yaml"),
            settings.replace(from, to),
        )
        .unwrap();
        converted(&source, ForeignFormat::DistillKit, &config(512)).unwrap_err()
    };
    let message = with("exact_k: 1", "exact_k: 0");
    assert!(
        message.contains("row 1: row 0 of the targets should be 55 bytes"),
        "{message}"
    );
    let message = with("exact_k: 1", "exact_k: 51");
    assert!(
        message.contains("exact_k should be at most k (50), found 51"),
        "{message}"
    );
    let message = with("num_elements: 29", "num_elements: 30");
    assert!(
        message.contains("residual_bins should be at most"),
        "{message}"
    );
    let message = with("normalize_t: false", "normalize_t: perhaps");
    assert!(message.contains("compression_config.yaml"), "{message}");
    let message = with("delta_encoding: false", "delta_encoding");
    assert!(message.contains("`key: value`"), "{message}");
}

/// Three segments of a vocabulary of 9; the second has a label that does not count.
fn segments() -> [Value; 3] {
    [
        json!({"token_ids": [1, 3, 0], "top_ids": [null, [3, 2], [2, 0]],
               "top_log_probs": [null, [-0.125, -3.0], [-1.5, -0.5]]}),
        json!({"token_ids": [4, 4, 4], "top_ids": [null, null, [8, 7]],
               "top_log_probs": [null, null, [-0.25, -0.25]]}),
        json!({"token_ids": [5], "top_ids": [null], "top_log_probs": [null]}),
    ]
}

fn jsonl(directory: &Path, segments: &[Value]) -> PathBuf {
    let path = directory.join("source.jsonl");
    let lines: Vec<String> = segments
        .iter()
        .map(|segment| format!("{segment}\n"))
        .collect();
    fs::write(&path, lines.concat()).unwrap();
    path
}

/// The same as Parquet, in the types that pyarrow gives Python's numbers.
fn parquet(directory: &Path, segments: &[Value]) -> PathBuf {
    let path = directory.join("source.parquet");
    let mut token_ids = ListBuilder::new(Int64Builder::new());
    let mut top_ids = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
    let mut log_probs = ListBuilder::new(ListBuilder::new(Float64Builder::new()));
    for segment in segments {
        let list = |name: &str| segment[name].as_array().unwrap();
        let ids = list("token_ids").iter();
        token_ids.append_value(ids.map(Value::as_i64));
        for label in list("top_ids") {
            match label.as_array() {
                Some(ids) => top_ids.values().append_value(ids.iter().map(Value::as_i64)),
                None => top_ids.values().append_null(),
            }
        }
        top_ids.append(true);
        for label in list("top_log_probs") {
            match label.as_array() {
                Some(values) => {
                    let values = values.iter().map(Value::as_f64);
                    log_probs.values().append_value(values);
                }
                None => log_probs.values().append_null(),
            }
        }
        log_probs.append(true);
    }
    let columns: [(&str, ArrayRef); 3] = [
        ("token_ids", Arc::new(token_ids.finish())),
        ("top_ids", Arc::new(top_ids.finish())),
        ("top_log_probs", Arc::new(log_probs.finish())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn both_neutral_forms_become_the_same_records() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(9);
    let lines = jsonl(directory.path(), &segments());
    let records = converted(&lines, ForeignFormat::Jsonl, &config).unwrap();
    let rows = parquet(directory.path(), &segments());
    assert_eq!(
        converted(&rows, ForeignFormat::Parquet, &config).unwrap(),
        records
    );
    let found: Vec<_> = records
        .iter()
        .map(|record| {
            (
                record.token_ids.clone(),
                record.loss_mask.clone(),
                head(record).clone(),
            )
        })
        .collect();
    let targets = |token_ids: Vec<u32>, log_probs: Vec<f32>| HeadOnlyTargets {
        k: 2,
        token_ids,
        log_probs,
    };
    let expected = [
        (
            vec![1, 3, 0],
            vec![false, true, true],
            targets(vec![3, 2, 0, 2], vec![-0.125, -3.0, -0.5, -1.5]),
        ),
        // Equally probable ones by id.
        (
            vec![4, 4, 4],
            vec![false, false, true],
            targets(vec![7, 8], vec![-0.25, -0.25]),
        ),
        (vec![5], vec![false], targets(vec![], vec![])),
    ];
    assert_eq!(found, expected);
}

/// What vLLM gives: the token that is there stands beside the likely ones if it is none of them.
#[test]
fn rows_of_unequal_length_need_a_number_of_entries() {
    let directory = tempfile::tempdir().unwrap();
    let segment = json!({
        "token_ids": [1, 3, 6], "top_ids": [null, [3, 2], [2, 0, 6]],
        "top_log_probs": [null, [-0.125, -3.0], [-1.5, -0.5, -7.0]]});
    let source = jsonl(directory.path(), &[segment]);
    let message = converted(&source, ForeignFormat::Jsonl, &config(9)).unwrap_err();
    assert!(
        message.contains("the entries at token 2 should be 2, as many as the first label has"),
        "{message}"
    );
    let two = ConvertConfig {
        top_k: Some(2),
        ..config(9)
    };
    let records = converted(&source, ForeignFormat::Jsonl, &two).unwrap();
    assert_eq!(head(&records[0]).token_ids, [3, 2, 0, 2]);
    let three = ConvertConfig {
        top_k: Some(3),
        ..config(9)
    };
    let message = converted(&source, ForeignFormat::Jsonl, &three).unwrap_err();
    assert!(
        message.contains("line 1: the entries at token 1 should be at least 3"),
        "{message}"
    );
    assert!(
        message.contains("ask for fewer (top_k), found 2"),
        "{message}"
    );
}

#[test]
fn what_is_no_segment_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let good = segments()[0].clone();
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut second = good.clone();
        change(&mut second);
        let source = jsonl(directory.path(), &[good.clone(), second]);
        converted(&source, ForeignFormat::Jsonl, &config(9)).unwrap_err()
    };
    for (change, expected) in [
        (
            (&|s: &mut Value| s["token_ids"] = json!([1, 3])) as &dyn Fn(&mut Value),
            "line 2: the number of targets should be 2, one for each token, found 3",
        ),
        (
            &|s| s["top_ids"] = json!([null, [3, 2]]),
            "line 2: the length of top_log_probs should be 2",
        ),
        (
            &|s| s["top_ids"][2] = json!(null),
            "top_log_probs[2] should be null, as top_ids has, found 2 values",
        ),
        (
            &|s| s["top_ids"][1] = json!([3, 2, 1]),
            "top_log_probs[1] should be 3 values",
        ),
        (
            &|s| {
                s["top_ids"][0] = json!([3, 2]);
                s["top_log_probs"][0] = json!([-1.0, -2.0]);
            },
            "what is expected at token 0 should be none",
        ),
        (&|s| s["top_ids"][1] = json!([3, 3]), "distinct ids"),
        (
            &|s| s["top_ids"][1] = json!([3, 9]),
            "below vocab_size 9, found 9",
        ),
        (
            &|s| s["token_ids"] = json!([1, 3, 9]),
            "token_ids[2] should be below vocab_size 9",
        ),
        (
            &|s| s["top_log_probs"][1] = json!([0.5, -2.0]),
            "should be at most 0.0001",
        ),
        (
            &|s| s["top_log_probs"][1] = json!([-1e300, -2.0]),
            "number out of range",
        ),
        (
            &|s| s["top_ids"][1] = json!([-3, 2]),
            "line 2: it should be",
        ),
        (&|s| s["logits"] = json!([]), "unknown field `logits`"),
        (&|s| *s = json!([]), "line 2: it should be an object"),
    ] {
        let message = broken(change);
        assert!(message.contains(expected), "{message} lacks {expected}");
        assert!(message.contains("source.jsonl"), "{message}");
    }
}

#[test]
fn parquet_of_other_columns_or_numbers_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let negative = json!({
        "token_ids": [1, -3, 0], "top_ids": [null, [3, 2], [2, 0]],
        "top_log_probs": [null, [-0.125, -3.0], [-1.5, -0.5]]});
    let source = parquet(directory.path(), &[negative]);
    let message = converted(&source, ForeignFormat::Parquet, &config(9)).unwrap_err();
    assert!(message.contains("row 1: token_ids should be"), "{message}");
    let source = parquet(directory.path(), &segments());
    fs::write(
        directory.path().join("compression_config.yaml"),
        "d: 9\nk: 2\nexact_k: 2\nresidual_bins: []\n",
    )
    .unwrap();
    fs::rename(&source, directory.path().join("data_0.parquet")).unwrap();
    let message = converted(directory.path(), ForeignFormat::DistillKit, &config(9)).unwrap_err();
    assert!(
        message.contains("input_ids and others, found token_ids, top_ids"),
        "{message}"
    );
}

#[test]
fn levels_are_refused_and_so_is_an_empty_source() {
    let directory = tempfile::tempdir().unwrap();
    let levels = ConvertConfig {
        values: ValueType::Fine,
        ..config(9)
    };
    let source = jsonl(directory.path(), &segments());
    let message = converted(&source, ForeignFormat::Jsonl, &levels).unwrap_err();
    assert!(
        message.contains("targets.values should be F16 or F32"),
        "{message}"
    );
    let source = jsonl(directory.path(), &[]);
    let message = converted(&source, ForeignFormat::Jsonl, &config(9)).unwrap_err();
    assert!(message.contains("no segment"), "{message}");
    let source = jsonl(directory.path(), &segments()[2..]);
    let message = converted(&source, ForeignFormat::Jsonl, &config(9)).unwrap_err();
    assert!(
        message.contains("the labels should be at least one"),
        "{message}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_a_record_says_comes_back_through_every_form(seed in 0u64..1_000_000, k in 1usize..=20) {
        let spec = CacheSpec {
            targets: TargetKind::HeadOnly { k, values: ValueType::F32 },
            ..crate::sample::spec(ValueType::F32, k)
        };
        let mut records = crate::sample::records(&spec, seed, 6);
        records.sort_by_key(|record| record.num_targets() == 0); // one with labels first
        prop_assume!(records[0].num_targets() > 0);
        let as_json = |record: &TargetRecord| {
            let targets = head(record);
            let mut rows = targets.token_ids.chunks(k).zip(targets.log_probs.chunks(k));
            let labels = record.loss_mask.iter();
            let labels = labels.map(|&counted| counted.then(|| rows.next().unwrap()));
            let (ids, log_probs): (Vec<_>, Vec<_>) = labels.map(Option::unzip).unzip();
            json!({"token_ids": record.token_ids, "top_ids": ids, "top_log_probs": log_probs})
        };
        let segments: Vec<Value> = records.iter().map(as_json).collect();
        let directory = tempfile::tempdir().unwrap();
        let config = config(spec.vocab_size);
        for (source, format) in [
            (jsonl(directory.path(), &segments), ForeignFormat::Jsonl),
            (parquet(directory.path(), &segments), ForeignFormat::Parquet),
        ] {
            let read = converted(&source, format, &config).unwrap();
            prop_assert_eq!(&read, &records, "{:?}", format);
        }
    }
}
