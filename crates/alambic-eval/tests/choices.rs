//! Questions with choices, scored by the teacher of the quickstart.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use alambic_eval::{
    Choice, ChoiceQuestion, ChoiceReport, EvalError, Normalisation, ScoringOptions, TooLong,
    score_choices,
};
use alambic_text::Tokenizer;
use alambic_transformer::{Decoder, DeviceChoice, continuation_log_probs, load_checkpoint};

/// Sums of log-probabilities in another order.
const TOLERANCE: f64 = 1e-4;

fn model() -> (Decoder, Tokenizer) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/quickstart_teacher");
    let device = DeviceChoice::Cpu.open().unwrap();
    let decoder = load_checkpoint(&directory, &device).unwrap().decoder;
    let tokenizer = Tokenizer::from_file(&directory.join("tokenizer.json")).unwrap();
    (decoder, tokenizer)
}

fn choice(prompt: &str, text: &str) -> Choice {
    Choice {
        prompt: prompt.into(),
        text: text.into(),
    }
}

fn question(prompt: &str, choices: &[&str]) -> ChoiceQuestion {
    ChoiceQuestion {
        id: "some:1".into(),
        choices: choices.iter().map(|text| choice(prompt, text)).collect(),
        right: 0,
        unconditional_prompt: Some("One day".into()),
    }
}

#[test]
fn a_model_of_stories_knows_how_they_go_on() {
    let (decoder, tokenizer) = model();
    let questions = [
        question("Story: Tom had a small", &[" dog", " because", " ran"]),
        question("Story: Tom had a small dog. One", &[" day", " dog", " the"]),
    ];
    let scored = score_choices(&decoder, &tokenizer, &questions, &ScoringOptions::default());
    let report = ChoiceReport::new("stories", "teacher", scored.unwrap(), 1).unwrap();
    assert_eq!(report.accuracy(Normalisation::Sum).unwrap().mean, 1.0);
    assert_eq!(report.accuracy(Normalisation::Unconditional), None);
    assert!((report.chance - 1.0 / 3.0).abs() < 1e-12);
}

#[test]
fn scores_are_sums_over_the_tokens_behind_each_prompt() {
    let (decoder, tokenizer) = model();
    let question = question("Story: Tom had ", &["a dog.", "no dog at all."]);
    let options = ScoringOptions {
        begin_token: Some(0),
        unconditional: true,
        ..ScoringOptions::default()
    };
    let one = std::slice::from_ref(&question);
    let scored = score_choices(&decoder, &tokenizer, one, &options).unwrap();
    let ids = |text: &str| {
        let special = alambic_text::SpecialTokens::Omit;
        tokenizer.encode(text, special).unwrap().ids
    };
    let sum = |prompt: &str, choice: &str| {
        // The space belongs to the word behind it.
        let (whole, prompt) = (ids(&format!("{prompt}{choice}")), ids(prompt.trim_end()));
        let prompt_with_begin = [&[0], &prompt[..]].concat();
        let continuation = &whole[prompt.len()..];
        let log_probs = continuation_log_probs(&decoder, &prompt_with_begin, continuation).unwrap();
        (
            log_probs.iter().map(|&it| f64::from(it)).sum::<f64>(),
            continuation.len(),
        )
    };
    for (found, choice) in scored[0].choices.iter().zip(&question.choices) {
        let (expected, tokens) = sum(&choice.prompt, &choice.text);
        assert!((found.log_likelihood - expected).abs() < TOLERANCE);
        assert_eq!((found.tokens, found.bytes), (tokens, choice.text.len()));
        let (expected, _) = sum("One day", &choice.text);
        assert!((found.unconditional.unwrap() - expected).abs() < TOLERANCE);
    }
}

#[test]
fn what_cannot_be_scored_is_refused_by_the_question() {
    let (decoder, tokenizer) = model();
    let score = |question: ChoiceQuestion, options: &ScoringOptions| {
        score_choices(&decoder, &tokenizer, &[question], options)
    };
    let message = |question: ChoiceQuestion, options: &ScoringOptions| {
        let error: EvalError = score(question, options).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("question some:1: "), "{message}");
        message
    };
    let plain = ScoringOptions::default();
    let with_begin = ScoringOptions {
        begin_token: Some(0),
        ..ScoringOptions::default()
    };
    assert!(message(question("", &[" a", " b"]), &plain).contains("begin_token"));
    assert!(score(question("", &[" a", " b"]), &with_begin).is_ok());
    assert!(message(question("One", &[" a", ""]), &plain).contains("no token of its own"));
    let unconditional = ScoringOptions {
        unconditional: true,
        ..ScoringOptions::default()
    };
    let mut without = question("One", &[" a", " b"]);
    without.unconditional_prompt = None;
    assert!(message(without, &unconditional).contains("choice.unconditional_prompt"));

    let long = question(&"One day Tom had a dog. ".repeat(60), &[" a", " b"]);
    assert!(message(long.clone(), &plain).contains("reads at most 256"));
    let cutting = ScoringOptions {
        too_long: TooLong::CutFront,
        ..with_begin
    };
    let cut = score(long, &cutting).unwrap();
    assert!(cut[0].cut && cut[0].choices[0].log_likelihood < 0.0);
    let report = ChoiceReport::new("t", "m", cut, 1).unwrap();
    assert_eq!(report.cut_questions, 1);
    // A choice is never cut.
    let long_choice = question("One", &[" a", &" day Tom had a dog.".repeat(60)]);
    assert!(message(long_choice, &cutting).contains("reads at most 256"));
}

#[test]
fn a_text_that_begins_with_the_begin_token_gets_no_second_one() {
    let (decoder, tokenizer) = model();
    let begin = tokenizer.id_to_token(0).unwrap();
    let score = |prompt: &str| {
        let options = ScoringOptions {
            begin_token: Some(0),
            ..ScoringOptions::default()
        };
        let question = question(prompt, &[" dog", " cat"]);
        score_choices(&decoder, &tokenizer, &[question], &options).unwrap()
    };
    let spelled = score(&format!("{begin}Tom had a"));
    assert_eq!(spelled, score("Tom had a"));
}

#[test]
fn choices_may_stand_in_the_prompt() {
    let (decoder, tokenizer) = model();
    let mut question = question("", &[]);
    question.choices = vec![
        choice("Tom had a", " small dog."),
        choice("Tom ran the", " small dog."),
    ];
    let options = ScoringOptions::default();
    let one = std::slice::from_ref(&question);
    let scored = score_choices(&decoder, &tokenizer, one, &options).unwrap();
    let [first, second] = &scored[0].choices[..] else {
        panic!("two choices")
    };
    assert_eq!(first.tokens, second.tokens);
    assert!(first.log_likelihood > second.log_likelihood);
}
