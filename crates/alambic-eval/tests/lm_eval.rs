//! Log-likelihoods, generated texts and scores beside those of EleutherAI's lm-eval (`tools/golden/record_lm_eval.py`), on the
//! teacher of the quickstart, with questions of the shared data directory and of `records/`.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alambic_eval::{
    ChatPrompting, ChoiceQuestion, ContinuationQuestion, EvalError, GenerationOptions,
    GenerationQuestion, Normalisation, Prompting, QuestionTemplates, Questions, ScoringOptions,
    ShotChoice, ShotTurns, Shots, Task, TooLong, generate_answers, score_choices,
    score_continuations, shipped_task,
};
use alambic_text::{ChatTemplate, RecordExpression, RecordFormat, RecordTemplate, Tokenizer};
use alambic_transformer::{Decoder, DeviceChoice, load_checkpoint};
use serde::Deserialize;

/// Largest difference of a log-likelihood, a sum over up to some hundred tokens.
const TOLERANCE: f64 = 1e-3;
/// Tokens that the model reads.
const LIMIT: usize = 256;

#[derive(Deserialize)]
struct Recorded {
    new_tokens: usize,
    chat_template: String,
    system: String,
    runs: Vec<Run>,
}

/// What stands before and around the questions.
#[derive(Deserialize)]
struct Run {
    begin: bool,
    shots: usize,
    chat: Option<String>,
    tasks: BTreeMap<String, RecordedTask>,
}

#[derive(Deserialize)]
struct RecordedTask {
    root: String,
    file: PathBuf,
    questions: Vec<RecordedQuestion>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RecordedQuestion {
    Scored {
        log_likelihoods: Vec<f64>,
        acc: f64,
        acc_norm: Option<f64>,
    },
    Generated {
        text: String,
        score: f64,
    },
    /// Longer than the model reads.
    TooLong {
        too_long: usize,
    },
}

/// What was compared.
#[derive(Default)]
struct Compared {
    choices: usize,
    continuations: usize,
    texts: usize,
    refused: usize,
    largest_difference: f64,
}

struct Model {
    decoder: Decoder,
    tokenizer: Tokenizer,
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

fn model() -> Model {
    let directory = root().join("data/quickstart_teacher");
    let device = DeviceChoice::Cpu.open().unwrap();
    Model {
        decoder: load_checkpoint(&directory, &device).unwrap().decoder,
        tokenizer: Tokenizer::from_file(&directory.join("tokenizer.json")).unwrap(),
    }
}

/// The shipped task; of MMLU a slice with other columns is at hand, and answers are as short as they were recorded.
fn task(name: &str, new_tokens: usize) -> Task {
    let mut task = shipped_task(name).unwrap();
    match &mut task.question {
        QuestionTemplates::Choice(templates) if name == "mmlu" => {
            task.records = RecordFormat::Csv {
                columns: None,
                delimiter: ',',
            };
            let mut prompt = templates.prompt.source().to_owned();
            for (place, letter) in ["a", "b", "c", "d"].iter().enumerate() {
                let (from, to) = (
                    format!("{{{{ {letter} }}}}"),
                    format!("{{{{ choice{place} }}}}"),
                );
                prompt = prompt.replace(&from, &to);
            }
            templates.prompt = RecordTemplate::new(prompt).unwrap();
            templates.answer = RecordExpression::new("answer | int").unwrap();
        }
        QuestionTemplates::Generation(templates) => {
            templates.max_new_tokens = new_tokens;
        }
        _ => {}
    }
    task
}

fn prompting(recorded: &Recorded, run: &Run, records: &[alambic_eval::TaskRecord]) -> Prompting {
    let shots = (run.shots > 0).then(|| Shots {
        records: records.to_vec(),
        count: run.shots,
        choice: ShotChoice::First,
    });
    let chat = run.chat.as_ref().map(|turns| ChatPrompting {
        template: ChatTemplate::new(&recorded.chat_template, "<|endoftext|>", "<|endoftext|>")
            .unwrap(),
        system: Some(recorded.system.clone()),
        shot_turns: match turns.as_str() {
            "joined" => ShotTurns::Joined,
            _ => ShotTurns::Separate,
        },
    });
    Prompting {
        preamble: String::new(),
        shots,
        chat,
    }
}

fn assert_refused<T: std::fmt::Debug>(
    too_long: usize,
    result: Result<T, EvalError>,
    compared: &mut Compared,
) {
    let error = result.unwrap_err().to_string();
    assert!(
        too_long > LIMIT && error.contains("reads at most 256"),
        "{error}"
    );
    compared.refused += 1;
}

fn compare_choice(
    model: &Model,
    question: &ChoiceQuestion,
    recorded: &RecordedQuestion,
    options: &ScoringOptions,
    compared: &mut Compared,
) {
    let one = std::slice::from_ref(question);
    let found = score_choices(&model.decoder, &model.tokenizer, one, options);
    let (log_likelihoods, acc, acc_norm) = match recorded {
        RecordedQuestion::TooLong { too_long } => {
            return assert_refused(*too_long, found, compared);
        }
        RecordedQuestion::Scored {
            log_likelihoods,
            acc,
            acc_norm,
        } => (log_likelihoods, *acc, *acc_norm),
        RecordedQuestion::Generated { .. } => panic!("{} was generated", question.id),
    };
    let found = found.unwrap().remove(0);
    assert_eq!(found.choices.len(), log_likelihoods.len());
    for (choice, expected) in found.choices.iter().zip(log_likelihoods) {
        let difference = (choice.log_likelihood - expected).abs();
        assert!(difference < TOLERANCE, "{}: {difference}", found.id);
        compared.largest_difference = compared.largest_difference.max(difference);
    }
    let mut scores = vec![(Normalisation::Sum, acc)];
    scores.extend(acc_norm.map(|score| (Normalisation::PerByte, score)));
    for (normalisation, expected) in scores {
        let is_right = normalisation.chosen(&found) == Some(found.right);
        assert_eq!(is_right, expected == 1.0, "{}", found.id);
    }
    compared.choices += log_likelihoods.len();
}

fn compare_continuation(
    model: &Model,
    question: &ContinuationQuestion,
    recorded: &RecordedQuestion,
    options: &ScoringOptions,
    compared: &mut Compared,
) {
    let RecordedQuestion::Scored {
        log_likelihoods,
        acc,
        ..
    } = recorded
    else {
        panic!("{} was not scored", question.id)
    };
    let one = std::slice::from_ref(question);
    let found = score_continuations(&model.decoder, &model.tokenizer, one, options).unwrap();
    let difference = (found[0].log_likelihood - log_likelihoods[0]).abs();
    assert!(difference < TOLERANCE, "{}: {difference}", question.id);
    assert_eq!(found[0].is_greedy, *acc == 1.0, "{}", question.id);
    compared.largest_difference = compared.largest_difference.max(difference);
    compared.continuations += 1;
}

fn compare_texts(
    model: &Model,
    task: &Task,
    questions: &[GenerationQuestion],
    recorded: &[RecordedQuestion],
    begin_token: Option<u32>,
    compared: &mut Compared,
) {
    let QuestionTemplates::Generation(templates) = &task.question else {
        panic!("{} is of another kind", task.name)
    };
    let options = GenerationOptions {
        begin_token,
        stop_tokens: vec![0],
        too_long: TooLong::Error,
        batch: 4,
    };
    let answers = |questions: &[GenerationQuestion]| {
        generate_answers(
            &model.decoder,
            &model.tokenizer,
            templates,
            questions,
            &options,
        )
    };
    let (mut short, mut expected) = (Vec::new(), Vec::new());
    for (question, recorded) in questions.iter().zip(recorded) {
        match recorded {
            RecordedQuestion::TooLong { too_long } => {
                assert_refused(*too_long, answers(std::slice::from_ref(question)), compared);
            }
            RecordedQuestion::Generated { text, score } => {
                short.push(question.clone());
                expected.push((text, *score));
            }
            RecordedQuestion::Scored { .. } => panic!("{} was scored", question.id),
        }
    }
    for (answer, (text, score)) in answers(&short).unwrap().iter().zip(expected) {
        assert_eq!(answer.text, *text, "{}", answer.id);
        assert_eq!(answer.score, score, "{}: {text}", answer.id);
        compared.texts += 1;
    }
}

#[test]
fn log_likelihoods_texts_and_scores_equal_those_of_lm_eval() {
    let Some(data) = shared() else { return };
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let recorded = std::fs::read(here.join("lm_eval.json")).unwrap();
    let recorded: Recorded = serde_json::from_slice(&recorded).unwrap();
    let model = model();
    let mut compared = Compared::default();
    for run in &recorded.runs {
        let options = ScoringOptions {
            begin_token: run.begin.then_some(0),
            ..ScoringOptions::default()
        };
        for (name, of_task) in &run.tasks {
            let task = task(name, recorded.new_tokens);
            let path = match of_task.root.as_str() {
                "records" => here.join("records").join(&of_task.file),
                _ => data.join(&of_task.file),
            };
            let records = task.records_of_file(&path).unwrap();
            let prompting = prompting(&recorded, run, &records);
            let asked = &records[..of_task.questions.len()];
            match task.questions(asked, &prompting).unwrap() {
                Questions::Choice(questions) => {
                    for (question, recorded) in questions.iter().zip(&of_task.questions) {
                        compare_choice(&model, question, recorded, &options, &mut compared);
                    }
                }
                Questions::Continuation(questions) => {
                    for (question, recorded) in questions.iter().zip(&of_task.questions) {
                        compare_continuation(&model, question, recorded, &options, &mut compared);
                    }
                }
                Questions::Generation(questions) => {
                    let recorded = &of_task.questions;
                    let begin = options.begin_token;
                    compare_texts(&model, &task, &questions, recorded, begin, &mut compared);
                }
            }
        }
    }
    let Compared {
        choices,
        continuations,
        texts,
        refused,
        largest_difference,
    } = compared;
    eprintln!(
        "{choices} choices, {continuations} continuations, {texts} texts, {refused} refused; \
         largest difference {largest_difference:e}"
    );
    assert!(choices > 1000 && continuations == 10 && texts > 20 && refused > 0);
}
