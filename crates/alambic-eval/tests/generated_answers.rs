//! Answers in the model's own words, by the teacher of the quickstart.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use alambic_eval::{
    GeneratedAnswer, GenerationOptions, GenerationQuestion, GenerationReport, GenerationTemplates,
    QuestionTemplates, Task, TooLong, generate_answers,
};
use alambic_text::{AcceptedAnswers, SpecialTokens, SpecialTokensInText, Tokenizer};
use alambic_transformer::{
    Decoder, DeviceChoice, GenerationConfig, generate_batch, load_checkpoint,
};

fn model() -> (Decoder, Tokenizer) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/quickstart_teacher");
    let device = DeviceChoice::Cpu.open().unwrap();
    let decoder = load_checkpoint(&directory, &device).unwrap().decoder;
    let tokenizer = Tokenizer::from_file(&directory.join("tokenizer.json")).unwrap();
    (decoder, tokenizer)
}

/// Sums that the teacher was taught to explain; the answer stands behind its mark.
fn templates(stop: &str, max_new_tokens: usize) -> GenerationTemplates {
    let task = format!(
        r#"
        name = "sums"
        description = "Sums with explanations"
        [records]
        format = "json_lines"
        [generation]
        prompt = "Question: {{{{ question }}}}\nExplanation:"
        answers = "answer"
        stop = [{stop}]
        max_new_tokens = {max_new_tokens}
        extraction = {{ find = "behind", mark = "Answer:", occurrence = "first", end = "line" }}
        comparison = {{ by = "number" }}
        "#
    );
    match task.parse::<Task>().unwrap().question {
        QuestionTemplates::Generation(templates) => templates,
        other => panic!("{other:?}"),
    }
}

fn question(prompt: &str, answer: &str) -> GenerationQuestion {
    GenerationQuestion {
        id: "some:1".into(),
        prompt: prompt.into(),
        accepted: AcceptedAnswers::one(answer),
    }
}

fn questions() -> Vec<GenerationQuestion> {
    vec![
        question("Question: What is 3 + 4?\nExplanation:", "7"),
        question(
            "Question: Anna has 9 apples. She gives 4 of them to Ben. How many apples does Anna have now?\nExplanation:",
            "5",
        ),
        question("Story: Tom had a small", "no number is written"),
        question(
            "Question: Tom has 5 balls. Then he finds 3 more. How many balls does Tom have now?\nExplanation:",
            "8",
        ),
    ]
}

fn options(batch: usize) -> GenerationOptions {
    GenerationOptions {
        begin_token: None,
        stop_tokens: vec![0],
        too_long: TooLong::Error,
        batch,
    }
}

fn answers(templates: &GenerationTemplates, batch: usize) -> Vec<GeneratedAnswer> {
    let (decoder, tokenizer) = model();
    let (questions, options) = (questions(), options(batch));
    generate_answers(&decoder, &tokenizer, templates, &questions, &options).unwrap()
}

#[test]
fn answers_are_those_of_each_question_alone_whatever_stands_beside_them() {
    let templates = templates("", 48);
    let (decoder, tokenizer) = model();
    let found = answers(&templates, 3);
    assert_eq!(found, answers(&templates, 1));
    let config = GenerationConfig {
        stop_tokens: vec![0],
        ..GenerationConfig::greedy(48)
    };
    for (answer, question) in found.iter().zip(questions()) {
        let ids = tokenizer.encode(&question.prompt, SpecialTokens::Omit);
        let alone = generate_batch(&decoder, &[ids.unwrap().ids], &config).unwrap();
        let text = tokenizer.decode(&alone[0].token_ids, SpecialTokensInText::Skip);
        assert_eq!(answer.text, text.unwrap());
    }
    let report = GenerationReport::new("sums", "teacher", found, 1).unwrap();
    assert_eq!(
        report.questions[3].extracted.as_deref(),
        Some("8"),
        "{report:?}"
    );
    assert!(report.score.mean >= 0.5, "{report:?}");
    assert_eq!(report.questions[2].extracted, None);
    assert!(report.without_answer >= 1);
}

#[test]
fn stop_texts_and_the_longest_answer_end_what_is_written() {
    let whole = &answers(&templates("", 48), 2)[3];
    assert!(whole.text.contains("\nAnswer: 8"), "{whole:?}");
    let stopped = &answers(&templates(r#""none", "\nAnswer:""#, 48), 2)[3];
    let (before, _) = whole.text.split_once("\nAnswer:").unwrap();
    assert_eq!((stopped.text.as_str(), stopped.finished), (before, true));
    assert_eq!((stopped.extracted.as_deref(), stopped.score), (None, 0.0));
    let short = &answers(&templates("", 2), 2)[3];
    assert!(!short.finished && whole.text.starts_with(&short.text));
}

#[test]
fn a_prompt_without_a_place_for_its_answer_is_refused_or_cut() {
    let (decoder, tokenizer) = model();
    let long = question(&"One day Tom had a dog. ".repeat(40), "1");
    let templates = templates("", 20);
    let ask = |options: &GenerationOptions| {
        let one = std::slice::from_ref(&long);
        generate_answers(&decoder, &tokenizer, &templates, one, options)
    };
    let error = ask(&options(1)).unwrap_err().to_string();
    assert!(
        error.starts_with("question some:1: ") && error.contains("reads at most 256"),
        "{error}"
    );
    let cutting = GenerationOptions {
        too_long: TooLong::CutFront,
        begin_token: Some(0),
        ..options(1)
    };
    let cut = ask(&cutting).unwrap();
    assert!(cut[0].cut);
    let report = GenerationReport::new("t", "m", cut, 1).unwrap();
    assert_eq!(report.cut_questions, 1);
}
