//! Memory that does not grow with the text, and a disk that is full.

#![allow(clippy::unwrap_used)]

mod small_run;

use std::path::Path;
use std::process::{Command, Stdio};

use small_run::{alambic, files, finish};

/// Items of the small text; the large one has 50 times as many.
const ITEMS: usize = 320;
/// What a run of 50 times the text may need more than a small one: allocators do not repeat
/// themselves to the byte.
const GROWTH_RATIO: f64 = 1.1;

/// Peak resident bytes of capture and of training, each a process of its own.
fn peaks(out: &Path, items: usize) -> [f64; 2] {
    let items = format!("data.textbook.train_items={items}");
    let settings = [
        items.as_str(),
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
    let small = peaks(&directory.path().join("small"), ITEMS);
    let large = peaks(&directory.path().join("large"), 50 * ITEMS);
    for (stage, (small, large)) in ["capture", "training"].iter().zip(small.iter().zip(large)) {
        assert!(
            large < GROWTH_RATIO * small,
            "{stage} of 50 times the text took {large} bytes at most, {small} before"
        );
    }
}

#[test]
#[cfg(unix)]
fn a_full_disk_leaves_nothing_half_written_and_the_run_goes_on_later() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let settings = ["cache.segments_per_shard=256", "training.total_steps=10"];
    let capture = || alambic("capture", &out, &settings);

    // No file may grow beyond 16 blocks of 512 bytes: a write fails in the midst of a shard.
    let inner = capture();
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdin(Stdio::null());
    let output = limited.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("cannot write") && told.contains("cache"),
        "{told}"
    );
    assert!(told.contains("File too large"), "{told}");
    let left = files(&out.join("cache"));
    assert!(
        left.iter()
            .all(|name| name.extension().is_none_or(|end| end != "parquet")),
        "{left:?}"
    );

    finish(capture());
    let verified = Command::new(env!("CARGO_BIN_EXE_alambic"))
        .args(["cache", "verify"])
        .arg(out.join("cache/train"))
        .status()
        .unwrap();
    assert!(verified.success());
}
