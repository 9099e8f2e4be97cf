//! Memory that does not grow with the text, and a disk that is full.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod small_run;

use std::path::Path;
use std::process::{Command, Stdio};

use alambic::text::Tokenizer;
use alambic::transformer::{
    Architecture, DecoderConfig, DeviceChoice, SaveOptions, WeightType, save_checkpoint,
};
use small_run::{alambic, files, finish};

/// Items of the small text; the large one has 50 times as many.
const ITEMS: usize = 320;
/// What a run may need more than another: allocators take memory in lumps, not by the byte.
///
/// The targets of the large text take 58 MB and its tokens 4 MB, so that a run which held them
/// would be far above this.
const ALLOCATOR_BYTES: f64 = 16e6;

/// A random teacher of one narrow layer, which reads fast, with the embedded one's tokenizer.
fn tiny_teacher(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    let tokenizer = "tokenizer.json";
    std::fs::copy(
        small_run::teacher().join(tokenizer),
        directory.join(tokenizer),
    )
    .unwrap();
    let config = DecoderConfig {
        vocab_size: Tokenizer::from_file(&directory.join(tokenizer))
            .unwrap()
            .vocab_size(),
        hidden_size: 16,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        num_key_value_heads: 1,
        head_dim: 16,
        max_position_embeddings: 256,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        initializer_range: 0.1,
        architecture: Architecture::default(),
    };
    let decoder = config.init(&DeviceChoice::Cpu.open().unwrap());
    let options = SaveOptions {
        dtype: WeightType::F32,
        bos_token_id: None,
        eos_token_ids: vec![0],
        pad_token_id: None,
        max_shard_bytes: None,
    };
    save_checkpoint(&decoder, directory, &options).unwrap();
}

/// Peak resident bytes of capture and of training, each a process of its own.
fn peaks(teacher: &Path, out: &Path, items: usize) -> [f64; 2] {
    let items = format!("data.textbook.train_items={items}");
    let teacher = format!("teacher.path={}", teacher.display());
    let settings = [
        items.as_str(),
        teacher.as_str(),
        "teacher.batch_segments=8",
        "cache.segments_per_shard=64",
        "training.shuffle_shards=2",
        "training.total_steps=40",
        "training.sequences_per_step=4",
        "training.micro_batch_sequences=4",
    ];
    ["capture", "train"].map(|stage| {
        let mut child = alambic(stage, out, &settings).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0.0f64;
        while child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
            peak = peak.max(kilobytes.map_or(0.0, |number| number.trim().parse().unwrap()));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(child.wait().unwrap().success(), "{stage} failed");
        peak * 1024.0
    })
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_text() {
    let directory = tempfile::tempdir().unwrap();
    let teacher = directory.path().join("teacher");
    tiny_teacher(&teacher);
    let small = peaks(&teacher, &directory.path().join("small"), ITEMS);
    let large = peaks(&teacher, &directory.path().join("large"), 50 * ITEMS);
    eprintln!("peak bytes of capture and training: {small:?}, of 50 times the text: {large:?}");
    for (stage, (small, large)) in ["capture", "training"].iter().zip(small.iter().zip(large)) {
        assert!(
            large < small + ALLOCATOR_BYTES,
            "{stage} of 50 times the text took {large} bytes at most, {small} before"
        );
    }
}

#[test]
#[cfg(unix)]
fn a_full_disk_leaves_nothing_half_written_and_the_run_goes_on_later() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let settings = ["cache.segments_per_shard=256", "training.total_steps=30"];
    let capture = || alambic("capture", &out, &settings);
    let train = || alambic("train", &out, &settings);

    let told = fails_on_a_full_disk(capture());
    assert!(
        told.contains("cannot write") && told.contains("cache"),
        "{told}"
    );
    let left = files(&out.join("cache"));
    let is_shard = |name: &Path| name.extension().is_some_and(|end| end == "parquet");
    assert!(!left.iter().any(|name| is_shard(name)), "{left:?}");

    finish(capture());
    let verified = Command::new(env!("CARGO_BIN_EXE_alambic"))
        .args(["cache", "verify"])
        .arg(out.join("cache/train"))
        .output()
        .unwrap();
    assert!(verified.status.success());

    let told = fails_on_a_full_disk(train());
    assert!(told.contains("distilled"), "{told}");
    let left = files(&out.join("distilled"));
    assert!(
        !left.iter().any(|name| name.ends_with("COMMIT")),
        "{left:?}"
    );
    assert!(!out.join("student").exists());
    finish(train());
    assert!(out.join("student/model.safetensors").exists());
}

/// Runs a command none of whose files may grow beyond 16 blocks of 512 bytes, so that a write fails
/// in the midst of a file; what it says.
#[cfg(unix)]
fn fails_on_a_full_disk(inner: Command) -> String {
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdin(Stdio::null());
    let output = limited.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("File too large"), "{told}");
    told
}
