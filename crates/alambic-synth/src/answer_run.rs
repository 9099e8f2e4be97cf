//! All answers of a run, across interruptions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::SynthError;
use crate::answer::{Delivery, Outcome, Usage};
use crate::journal::{self, Journal};
use crate::request::{AnswerRequest, RequestKey};
use crate::writer::{AnswerWriter, WriteEnd};

/// The journal's name in the run's directory.
const JOURNAL: &str = "answers.jsonl";

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRecord {
    /// The request's key.
    pub key: RequestKey,
    /// The writer's identity.
    pub writer: String,
    /// The request, and what became of it.
    pub delivery: Delivery,
}

/// What is done about requests that failed for good in an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EarlierFailures {
    /// Their record stands.
    Keep,
    /// They are asked again.
    Retry,
}

/// How a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPolicy {
    /// What is done about requests that failed for good earlier.
    pub earlier_failures: EarlierFailures,
    /// So many failures one after the other end the run: it is not the requests that are at fault then.
    pub most_failures_in_a_row: usize,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// Every request is answered or has failed for good.
    Complete,
    /// The budget allows no further request.
    BudgetSpent,
    /// It was told to stop.
    Stopped,
    /// Too many requests failed one after the other.
    TooManyFailures,
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Why it ended.
    pub end: RunEnd,
    /// Requests that were finished before.
    pub finished_before: usize,
    /// Answers that came now.
    pub answered: usize,
    /// Requests that failed for good now.
    pub failed: usize,
    /// Requests that are still open.
    pub open: usize,
    /// What all records of the journal took, of this run and of earlier ones.
    pub usage: Usage,
    /// Length of a record that an earlier process did not finish; it is gone.
    pub torn_bytes: u64,
}

/// Answers of one directory: each is on disk before it is counted, and none is asked for again.
///
/// Records are named by the content of their request ([`RequestKey`]): prompts may be added, and settings changed, between two
/// runs, and only what is new is asked. An answer that arrives while the process is killed is lost, and is asked for again:
/// at most as many as were in flight.
#[derive(Debug)]
pub struct AnswerRun {
    directory: PathBuf,
    journal: Journal,
    /// Whether each finished request was answered.
    finished: HashMap<RequestKey, bool>,
    usage: Usage,
}

impl AnswerRun {
    /// Opens a directory, and creates it if there is none.
    ///
    /// # Errors
    /// [`SynthError::File`]; [`SynthError::Locked`] if another process has it open; [`SynthError::Line`] for a journal that is
    /// damaged elsewhere than in its last line.
    pub fn open(directory: &Path) -> Result<Self, SynthError> {
        std::fs::create_dir_all(directory)
            .map_err(|source| SynthError::file("create", directory, source))?;
        let journal = Journal::open(&directory.join(JOURNAL))?;
        let (mut finished, mut usage) = (HashMap::new(), Usage::default());
        for record in journal.lines::<AnswerRecord>()? {
            let record = record?;
            usage += record.delivery.usage;
            let is_answer = matches!(record.delivery.outcome, Outcome::Answer(_));
            finished.insert(record.key, is_answer);
        }
        Ok(Self {
            directory: directory.to_owned(),
            journal,
            finished,
            usage,
        })
    }

    /// What all records took.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// How many of the requests are finished, so that [`complete`](Self::complete) does not ask for them.
    #[must_use]
    pub fn num_finished(
        &self,
        requests: &[AnswerRequest],
        writer: &str,
        earlier_failures: EarlierFailures,
    ) -> usize {
        let finished = requests
            .iter()
            .filter(|it| !self.is_open(&it.key(writer), earlier_failures));
        finished.count()
    }

    fn is_open(&self, key: &RequestKey, earlier_failures: EarlierFailures) -> bool {
        match self.finished.get(key) {
            None => true,
            Some(is_answer) => !is_answer && earlier_failures == EarlierFailures::Retry,
        }
    }

    /// Lets the writer answer what is not finished.
    ///
    /// `should_stop` is asked before each request; `progress` hears of each that is finished, once it is on disk.
    ///
    /// # Errors
    /// [`SynthError::AskedTwice`]; those of the writer and of the disk. What is recorded by then stays.
    pub fn complete<W: AnswerWriter>(
        &mut self,
        requests: Vec<AnswerRequest>,
        writer: &mut W,
        policy: RunPolicy,
        should_stop: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(&Delivery),
    ) -> Result<RunSummary, SynthError> {
        let identity = writer.identity();
        let planned = requests.len();
        let open = self.open_requests(requests, &identity, policy.earlier_failures)?;
        let finished_before = planned - open.len();
        let (mut answered, mut failed) = (0, 0);
        let failures_in_a_row = std::cell::Cell::new(0);
        let is_over = || failures_in_a_row.get() >= policy.most_failures_in_a_row;
        let mut stopped = false;
        let mut requests = open.into_iter();
        let mut next = std::iter::from_fn(|| {
            stopped = stopped || should_stop();
            (!stopped && !is_over()).then(|| requests.next()).flatten()
        });
        let end = writer.write(&mut next, &mut |delivery| {
            let record = AnswerRecord {
                key: delivery.request.key(&identity),
                writer: identity.clone(),
                delivery,
            };
            self.journal.append(&record)?;
            let is_answer = matches!(record.delivery.outcome, Outcome::Answer(_));
            self.usage += record.delivery.usage;
            self.finished.insert(record.key, is_answer);
            match is_answer {
                true => answered += 1,
                false => failed += 1,
            }
            failures_in_a_row.set(if is_answer {
                0
            } else {
                failures_in_a_row.get() + 1
            });
            progress(&record.delivery);
            Ok(())
        })?;
        let open = planned - finished_before - answered - failed;
        Ok(RunSummary {
            end: match end {
                _ if open == 0 => RunEnd::Complete,
                WriteEnd::BudgetSpent => RunEnd::BudgetSpent,
                WriteEnd::NoMoreRequests if stopped => RunEnd::Stopped,
                WriteEnd::NoMoreRequests => RunEnd::TooManyFailures,
            },
            finished_before,
            answered,
            failed,
            open,
            usage: self.usage,
            torn_bytes: self.journal.torn_bytes(),
        })
    }

    /// The last record of each request, in the order of the requests; none for those that are open.
    ///
    /// # Errors
    /// [`SynthError::File`] and [`SynthError::Line`].
    pub fn records(
        &self,
        requests: &[AnswerRequest],
        writer: &str,
    ) -> Result<Vec<Option<AnswerRecord>>, SynthError> {
        let places = requests.iter().enumerate();
        let places: HashMap<RequestKey, usize> = places
            .map(|(place, request)| (request.key(writer), place))
            .collect();
        let mut records = vec![None; requests.len()];
        for record in journal::lines::<AnswerRecord>(&self.directory.join(JOURNAL))? {
            let record = record?;
            if let Some(&place) = places.get(&record.key) {
                records[place] = Some(record);
            }
        }
        Ok(records)
    }

    fn open_requests(
        &self,
        requests: Vec<AnswerRequest>,
        writer: &str,
        earlier_failures: EarlierFailures,
    ) -> Result<Vec<AnswerRequest>, SynthError> {
        let mut seen = std::collections::HashSet::new();
        let mut open = Vec::new();
        for request in requests {
            let key = request.key(writer);
            let is_open = self.is_open(&key, earlier_failures);
            if !seen.insert(key) {
                return Err(SynthError::AskedTwice {
                    prompt: request.prompt,
                    sample: request.sample,
                });
            }
            if is_open {
                open.push(request);
            }
        }
        Ok(open)
    }
}
