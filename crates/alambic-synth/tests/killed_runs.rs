//! 10,000 requests to a server that shows seven kinds of faults, each in one answer of twenty, by a process that is killed twice:
//! nothing is lost, and nothing is doubled.
//!
//! The program starts itself again for the process that is killed, so it has a `main` of its own.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod stand_in;

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use alambic_synth::{
    AnswerRequest, AnswerRun, AnswerWriter, Budget, EarlierFailures, Endpoint, EndpointApi,
    EndpointConfig, Outcome, Retries, RunEnd, RunPolicy, Sampling,
};
use alambic_text::{Message, Role};
use stand_in::{Fault, KEY, MODEL, StandIn};

/// How many answers are asked for.
const REQUESTS: u64 = 10_000;
/// Each kind's share of the server's answers.
const FAULT_SHARE: f64 = 0.05;
/// Requests at a time.
const CONCURRENCY: usize = 64;
/// How many answers are on disk when the process is killed.
const KILLED_AT: [usize; 2] = [3_000, 7_000];

const URL_VARIABLE: &str = "STAND_IN_URL";
const DIR_VARIABLE: &str = "STAND_IN_DIR";
const KEY_VARIABLE: &str = "STAND_IN_KEY";

fn main() {
    match (env::var(URL_VARIABLE), env::var_os(DIR_VARIABLE)) {
        (Ok(url), Some(dir)) => ask_all(&url, Path::new(&dir)),
        _ => {
            a_server_that_repeats_the_key_is_not_repeated();
            nothing_is_lost_and_nothing_doubled();
        }
    }
}

fn requests() -> Vec<AnswerRequest> {
    let request = |number| AnswerRequest {
        prompt: format!("square-{number}"),
        strategy: None,
        sample: 0,
        messages: vec![Message::new(Role::User, stand_in::question(number))],
        sampling: Sampling {
            temperature: 0.0,
            top_p: None,
            top_k: None,
            max_new_tokens: 32,
            stop: Vec::new(),
            seed: 0,
        },
    };
    (0..REQUESTS).map(request).collect()
}

/// What the process that is killed does.
fn ask_all(url: &str, dir: &Path) {
    let mut run = AnswerRun::open(dir).unwrap();
    let config = EndpointConfig {
        base_url: url.to_owned(),
        model: MODEL.to_owned(),
        api: EndpointApi::Chat,
        key_variable: Some(KEY_VARIABLE.to_owned()),
        accepted_models: Vec::new(),
        concurrency: CONCURRENCY,
        requests_per_minute: None,
        timeout_secs: 1.0,
        retries: Retries {
            attempts: 12,
            first_wait_secs: 0.01,
            longest_wait_secs: 0.2,
        },
        budget: Budget::default(),
        top_log_probs: None,
        body: serde_json::Map::new(),
    };
    let mut endpoint = Endpoint::new(config, run.usage()).unwrap();
    let policy = RunPolicy {
        earlier_failures: EarlierFailures::Keep,
        most_failures_in_a_row: 20,
    };
    let summary = run
        .complete(requests(), &mut endpoint, policy, &|| false, &mut |_| ())
        .unwrap();
    assert_eq!(summary.end, RunEnd::Complete);
    let all = summary.finished_before + summary.answered + summary.failed;
    assert_eq!((all, summary.open), (REQUESTS as usize, 0));
    assert!(summary.finished_before >= KILLED_AT[1], "{summary:?}");
    let records = run.records(&requests(), &endpoint.identity()).unwrap();
    assert!(records.iter().all(Option::is_some));
    println!("{}", serde_json::to_string(&summary).unwrap());
}

fn command(server: &StandIn, dir: &Path, key: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .env(URL_VARIABLE, server.base_url())
        .env(DIR_VARIABLE, dir)
        .env(KEY_VARIABLE, key);
    command
}

fn start(server: &StandIn, dir: &Path, log: &Path) -> Child {
    let log = fs::File::create(log).unwrap();
    command(server, dir, KEY).stdout(log).spawn().unwrap()
}

fn a_server_that_repeats_the_key_is_not_repeated() {
    let server = StandIn::faulty(0.0);
    let dir = tempfile::tempdir().unwrap();
    let wrong = "sk-wrong-7d1e";
    let output = command(&server, dir.path(), wrong).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        said.contains("status 401: wrong key: Bearer [key]"),
        "{said}"
    );
    assert!(!said.contains(wrong), "{said}");
    assert_eq!(finished(dir.path()), 0);
}

fn journal(dir: &Path) -> PathBuf {
    dir.join("answers.jsonl")
}

fn finished(dir: &Path) -> usize {
    let bytes = fs::read(journal(dir)).unwrap_or_default();
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

fn nothing_is_lost_and_nothing_doubled() {
    let server = StandIn::faulty(FAULT_SHARE);
    let temporary = tempfile::tempdir().unwrap();
    let (dir, log) = (temporary.path().join("run"), temporary.path().join("log"));
    for count in KILLED_AT {
        let mut child = start(&server, &dir, &log);
        while finished(&dir) < count {
            assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
            thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        println!("killed behind {} answers", finished(&dir));
    }
    assert!(start(&server, &dir, &log).wait().unwrap().success());

    let text = fs::read_to_string(journal(&dir)).unwrap();
    let mut records: HashMap<String, usize> = HashMap::new();
    let mut failures = 0;
    for line in text.lines() {
        let record: alambic_synth::AnswerRecord = serde_json::from_str(line).unwrap();
        let delivery = record.delivery;
        let number: u64 = delivery.request.prompt["square-".len()..].parse().unwrap();
        match delivery.outcome {
            Outcome::Answer(answer) => assert_eq!(answer.text, stand_in::answer(number)),
            Outcome::Failure(reason) => {
                assert_eq!(delivery.attempts, 12, "{reason}");
                failures += 1;
            }
        }
        *records.entry(delivery.request.prompt).or_default() += 1;
    }
    assert_eq!(records.len() as u64, REQUESTS, "lost");
    assert!(records.values().all(|&count| count == 1), "doubled");
    // Seven kinds of faults in twenty answers: all twelve attempts fail once in a million.
    assert!(failures <= 2, "{failures} requests failed for good");

    let served = server.served();
    let mut good: HashMap<String, usize> = HashMap::new();
    for one in &served {
        if matches!(one.fault, None | Some(Fault::WrongTokenCounts)) {
            *good.entry(stand_in::prompt(&one.body)).or_default() += 1;
        }
    }
    let paid_again: usize = good.values().map(|count| count - 1).sum();
    let under_way = KILLED_AT.len() * CONCURRENCY;
    assert!(
        paid_again <= under_way,
        "{paid_again} answers were asked for again"
    );
    for fault in Fault::ALL {
        let count = served.iter().filter(|one| one.fault == Some(fault)).count();
        let share = count as f64 / served.len() as f64;
        println!("{fault:?}: {count} of {} answers", served.len());
        assert!((share - FAULT_SHARE).abs() < 0.01, "{fault:?}: {share}");
    }
    let log = fs::read_to_string(&log).unwrap();
    assert!(
        !text.contains(KEY) && !log.contains(KEY),
        "the key was written down"
    );
    println!("{log}{paid_again} answers were asked for again, at most {under_way} were under way");
}
