//! Caches of other formats: the first byte says in which, and the rest is the file.
//!
//! Of DistillKit's, the settings come first and then, behind a zero byte, the Parquet file. Checks that what is
//! converted is a sound cache, and that everything else is an error with words. Panics of the Parquet library have
//! to be contained.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use alambic_cache::{ConvertConfig, ForeignFormat, ValueType, convert, verify};
use alambic_fuzz::{Scratch, expect_words, only_escaping_panics, within_memory};
use libfuzzer_sys::fuzz_target;

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.inside().join("distillkit")).expect("a directory in memory");
    scratch
});

fuzz_target!(init: { LazyLock::force(&SCRATCH); }, |data| {
    let Some((&format, file)) = data.split_first() else {
        return;
    };
    let (dir, out) = (SCRATCH.inside(), SCRATCH.outside().join("out"));
    let write = |name: &str, bytes: &[u8]| fs::write(dir.join(name), bytes).expect("a file in memory");
    let (format, source) = match format % 3 {
        0 => (ForeignFormat::Jsonl, "lines.jsonl"),
        1 => (ForeignFormat::Parquet, "rows.parquet"),
        _ => (ForeignFormat::DistillKit, "distillkit"),
    };
    if format == ForeignFormat::DistillKit {
        let zero = file.iter().position(|&byte| byte == 0).unwrap_or(file.len());
        write("distillkit/compression_config.yaml", &file[..zero]);
        write("distillkit/data_0.parquet", file.get(zero + 1..).unwrap_or_default());
    } else {
        write(source, file);
    }
    fs::remove_dir_all(&out).ok();
    let config = ConvertConfig {
        teacher_fingerprint: "a1".repeat(32),
        tokenizer_fingerprint: "b2".repeat(32),
        vocab_size: 8,
        values: ValueType::F16,
        top_k: None,
        segments_per_shard: 2,
    };
    only_escaping_panics(|| {
        within_memory(file.len(), || match convert(&dir.join(source), format, &out, &config) {
            Ok(_) => drop(verify(&out).expect("what was converted")),
            Err(error) => expect_words(&error),
        });
    });
});
