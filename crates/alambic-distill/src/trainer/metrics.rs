//! What a run says about itself while it trains.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::DistillError;

/// Numbers of one optimizer step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// 1-based optimizer step.
    pub step: u64,
    /// Labels counted since the start of the run.
    pub tokens: u64,
    /// The total per token: every term times its weight, and where it compares distributions at a
    /// temperature times that one's factor. In nats, unless hidden states are compared.
    pub loss: f64,
    /// Every term per token, before weight and factor, by its name: in nats where it is made of
    /// logarithms, without a unit between hidden states.
    pub terms: BTreeMap<String, f64>,
    /// The weights of the step that are not constant, by the name of the term.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// What the loss was multiplied with while its gradients were made, where they are made in f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Global norm before clipping.
    pub gradient_norm: f64,
    /// Seconds of training since the start of the run, resumed parts included.
    pub seconds: f64,
}

/// Numbers of one reading of the validation data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationMetrics {
    /// 1-based optimizer step after which it was read.
    pub step: u64,
    /// Labels trained on since the start of the run.
    pub tokens: u64,
    /// Negative log-likelihood in nats per token.
    pub nll: f64,
    /// KL to the cached teacher (tail bucket) in nats per token; absent without a teacher.
    pub kl_to_teacher: Option<f64>,
    /// Share of labels whose most likely token is the teacher's; absent
    /// without a teacher.
    pub top1_agreement: Option<f64>,
}

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Metrics {
    /// An optimizer step.
    Step(StepMetrics),
    /// A reading of the validation data.
    Validation(ValidationMetrics),
}

impl Metrics {
    /// The step that the numbers belong to.
    pub fn step(&self) -> u64 {
        match self {
            Self::Step(metrics) => metrics.step,
            Self::Validation(metrics) => metrics.step,
        }
    }
}

/// Receives metrics as they come.
pub trait MetricSink: Send {
    /// Takes one record.
    ///
    /// # Errors
    /// A sink that cannot keep the record stops the run.
    fn record(&mut self, metrics: &Metrics) -> Result<(), DistillError>;
}

impl<F: FnMut(&Metrics) + Send> MetricSink for F {
    fn record(&mut self, metrics: &Metrics) -> Result<(), DistillError> {
        self(metrics);
        Ok(())
    }
}

/// `metrics.jsonl`: one JSON object per line.
#[derive(Debug)]
pub struct JsonlMetrics {
    path: PathBuf,
    file: File,
}

impl JsonlMetrics {
    /// Opens the file for appending, after dropping what lies behind `last_step`: steps that were
    /// recorded after the checkpoint a run resumes from will be recorded again.
    pub fn open(path: &Path, last_step: u64) -> Result<Self, DistillError> {
        let io = |action| move |source| DistillError::io(action, path, source);
        if path.exists() {
            let kept: Vec<Metrics> = read_metrics(path)?
                .into_iter()
                .filter(|metrics| metrics.step() <= last_step)
                .collect();
            let temporary = path.with_extension("jsonl.tmp");
            let mut file = File::create(&temporary).map_err(io("write"))?;
            for metrics in &kept {
                writeln!(file, "{}", line(metrics)).map_err(io("write"))?;
            }
            file.sync_all().map_err(io("write"))?;
            fs::rename(&temporary, path).map_err(io("replace"))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(io("open"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }
}

impl MetricSink for JsonlMetrics {
    fn record(&mut self, metrics: &Metrics) -> Result<(), DistillError> {
        writeln!(self.file, "{}", line(metrics))
            .map_err(|source| DistillError::io("write", &self.path, source))
    }
}

fn line(metrics: &Metrics) -> String {
    serde_json::to_string(metrics).expect("metrics are plain numbers and names")
}

/// Reads `metrics.jsonl`; a last line that a killed process left unfinished is dropped.
///
/// # Errors
/// [`DistillError::Io`], also for a malformed line that is not the last one.
pub fn read_metrics(path: &Path) -> Result<Vec<Metrics>, DistillError> {
    let io = |source| DistillError::io("read", path, source);
    let lines: Vec<String> = BufReader::new(File::open(path).map_err(io)?)
        .lines()
        .collect::<Result<_, _>>()
        .map_err(io)?;
    let mut metrics = Vec::with_capacity(lines.len());
    for (index, text) in lines.iter().enumerate() {
        match serde_json::from_str(text) {
            Ok(record) => metrics.push(record),
            Err(_) if index + 1 == lines.len() => {}
            Err(source) => return Err(io(source.into())),
        }
    }
    Ok(metrics)
}
