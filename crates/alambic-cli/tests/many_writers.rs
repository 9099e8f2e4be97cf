//! Several processes capture one corpus into one directory.

#![allow(clippy::unwrap_used)]

mod small_run;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use small_run::{alambic, files, finish};

/// Enough text that a process can be killed in the midst of its part.
const SETTINGS: [&str; 1] = ["data.textbook.train_items=2400"];

fn capture(out: &Path, part: Option<&str>) -> Command {
    let mut command = alambic("capture", out, &SETTINGS);
    if let Some(part) = part {
        command.args(["--shard", part]);
    }
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn seal(cache: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alambic"))
        .args(["cache", "seal"])
        .arg(cache)
        .output()
        .unwrap()
}

/// The shards of one part that are whole.
fn shards_of(cache: &Path, index: usize, count: usize) -> usize {
    let names = files(cache);
    let shards = names.iter().filter_map(|name| {
        let digits = name
            .to_str()?
            .strip_prefix("shard-")?
            .strip_suffix(".parquet")?;
        digits.parse::<usize>().ok()
    });
    shards.filter(|shard| shard % count == index).count()
}

fn assert_same_caches(expected: &Path, found: &Path) {
    let names = |run: &Path| {
        let mut names = files(&run.join("cache"));
        names.retain(|name| {
            let name = name.file_name().unwrap().to_str().unwrap();
            !name.starts_with("lock")
        });
        names
    };
    assert_eq!(names(expected), names(found));
    for name in names(expected) {
        let read = |run: &Path| std::fs::read(run.join("cache").join(&name)).unwrap();
        assert!(read(expected) == read(found), "{} differs", name.display());
    }
}

#[test]
fn four_processes_of_which_one_is_killed_give_the_bytes_of_a_single_one() {
    let directory = tempfile::tempdir().unwrap();
    let (alone, together) = (
        directory.path().join("alone"),
        directory.path().join("together"),
    );
    finish(capture(&alone, None));

    let spawn = |part| {
        let mut command = capture(&together, Some(part));
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let train = together.join("cache/train");
    let mut killed = spawn("2/4");
    let others: Vec<_> = ["0/4", "1/4", "3/4"].map(spawn).into();
    while shards_of(&train, 2, 4) == 0 {
        assert!(
            killed.try_wait().unwrap().is_none(),
            "ended without a shard"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    killed.kill().unwrap(); // SIGKILL
    killed.wait().unwrap();
    for other in others {
        let output = other.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert!(!train.join("manifest.json").exists(), "a part is missing");
    let refused = seal(&train);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("run the capture with --shard 2/4\n"),
        "{}",
        stderr(&refused)
    );

    finish(capture(&together, Some("2/4")));
    assert_same_caches(&alone, &together);

    // The last process was killed after its last shard: anyone can seal, more than once.
    std::fs::remove_file(train.join("manifest.json")).unwrap();
    for _ in 0..2 {
        let sealed = seal(&train);
        assert!(sealed.status.success(), "{}", stderr(&sealed));
    }
    assert_same_caches(&alone, &together);
    // A run goes on from there as from its own capture.
    finish(capture(&together, None));
}

#[test]
fn a_part_is_captured_by_one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let mut first = capture(&out, Some("1/2")).spawn().unwrap();
    while shards_of(&out.join("cache/train"), 1, 2) == 0 {
        assert!(first.try_wait().unwrap().is_none(), "ended without a shard");
        std::thread::sleep(Duration::from_millis(1));
    }
    for part in [Some("1/2"), None] {
        let second = capture(&out, part).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(second.status.code(), Some(1), "{}", stderr(&second));
        assert!(stderr(&second).contains("is locked"), "{}", stderr(&second));
    }
    assert!(
        first.try_wait().unwrap().is_none(),
        "the test needs more work"
    );
    first.kill().unwrap();
    first.wait().unwrap();
}
