//! Log-likelihoods and accuracies beside those of EleutherAI's lm-eval (`tools/golden/record_lm_eval.py`), on the teacher of
//! the quickstart and questions of the shared data directory.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alambic_eval::{
    ChoiceQuestion, Normalisation, RecordFormat, ScoringOptions, Task, score_choices, shipped_task,
};
use alambic_text::Tokenizer;
use alambic_transformer::{Decoder, DeviceChoice, load_checkpoint};
use serde::Deserialize;

/// Largest difference of the log-likelihood of a choice, a sum over up to some hundred tokens.
const TOLERANCE: f64 = 1e-3;

#[derive(Deserialize)]
struct Recorded {
    /// Without and with a token that begins every text.
    begin: BTreeMap<String, BTreeMap<String, RecordedTask>>,
}

#[derive(Deserialize)]
struct RecordedTask {
    file: PathBuf,
    questions: Vec<RecordedQuestion>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RecordedQuestion {
    Scored {
        log_likelihoods: Vec<f64>,
        acc: f64,
        acc_norm: f64,
    },
    /// Longer than the model reads.
    TooLong { too_long: usize },
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shared() -> Option<PathBuf> {
    let default = root().join("../shared");
    let dir = std::env::var_os("ALAMBIC_SHARED").map_or(default, PathBuf::from);
    if dir.join("data/evals-foundry-dev").exists() {
        return Some(dir.join("data"));
    }
    eprintln!("skipped: recorded evaluations need the shared data directory (set ALAMBIC_SHARED)");
    None
}

fn model() -> (Decoder, Tokenizer) {
    let directory = root().join("data/quickstart_teacher");
    let device = DeviceChoice::Cpu.open().unwrap();
    let decoder = load_checkpoint(&directory, &device).unwrap().decoder;
    let tokenizer = Tokenizer::from_file(&directory.join("tokenizer.json")).unwrap();
    (decoder, tokenizer)
}

/// The shipped task; of MMLU a slice with other columns is at hand.
fn task(name: &str) -> Task {
    let mut task = shipped_task(name).unwrap();
    if name == "mmlu" {
        task.records = RecordFormat::Csv { columns: None };
        for (place, letter) in ["a", "b", "c", "d"].iter().enumerate() {
            let (from, to) = (
                format!("{{{{ {letter} }}}}"),
                format!("{{{{ choice{place} }}}}"),
            );
            task.choice.prompt = task.choice.prompt.replace(&from, &to);
        }
        task.choice.answer = "answer | int".into();
    }
    task
}

#[test]
fn log_likelihoods_and_accuracies_equal_those_of_lm_eval() {
    let Some(data) = shared() else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lm_eval.json");
    let recorded: Recorded = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (decoder, tokenizer) = model();
    let mut compared = 0;
    for (begin, tasks) in &recorded.begin {
        let options = ScoringOptions {
            begin_token: (begin == "bos").then_some(0),
            ..ScoringOptions::default()
        };
        for (name, recorded) in tasks {
            let all = task(name)
                .questions_of_file(&data.join(&recorded.file))
                .unwrap();
            let pairs = all.iter().zip(&recorded.questions);
            let (mut questions, mut expected): (Vec<ChoiceQuestion>, Vec<_>) = (vec![], vec![]);
            for (question, recorded) in pairs {
                match recorded {
                    RecordedQuestion::TooLong { too_long } => {
                        let one = std::slice::from_ref(question);
                        let error = score_choices(&decoder, &tokenizer, one, &options);
                        let error = error.unwrap_err().to_string();
                        assert!(
                            *too_long > 256 && error.contains("reads at most 256"),
                            "{error}"
                        );
                    }
                    RecordedQuestion::Scored {
                        log_likelihoods,
                        acc,
                        acc_norm,
                    } => {
                        questions.push(question.clone());
                        expected.push((log_likelihoods, *acc, *acc_norm));
                    }
                }
            }
            let found = score_choices(&decoder, &tokenizer, &questions, &options).unwrap();
            for (found, (log_likelihoods, acc, acc_norm)) in found.iter().zip(expected) {
                assert_eq!(found.choices.len(), log_likelihoods.len());
                for (choice, expected) in found.choices.iter().zip(log_likelihoods) {
                    let error = (choice.log_likelihood - expected).abs();
                    assert!(error < TOLERANCE, "{name}, {}: {error}", found.id);
                }
                for (normalisation, expected) in [
                    (Normalisation::Sum, acc),
                    (Normalisation::PerByte, acc_norm),
                ] {
                    let is_right = normalisation.chosen(found) == Some(found.right);
                    assert_eq!(is_right, expected == 1.0, "{name}, {}", found.id);
                }
                compared += log_likelihoods.len();
            }
        }
    }
    assert!(compared > 700, "{compared} choices");
}
