//! Which answers are right, and which of them are kept.
#![allow(clippy::unwrap_used)]

use alambic_synth::{
    Agreement, Answer, AnswerCheck, AnswerRecord, AnswerRequest, CheckKind, CheckedAnswer, Checks,
    DatasetCard, Delivery, Finish, Keep, Outcome, Prompt, Sampling, Source, Strategy,
    StrategyTrial, Usage, WithoutReference, check_answers, keep_answers, shipped_rubric,
    shipped_strategy,
};
use alambic_text::{
    AcceptedAnswers, AnswerComparison, AnswerExtraction, Message, NumberTolerance, Occurrence,
    PercentMeaning, PromptErasing, Role, TextEnd,
};

fn check() -> AnswerCheck {
    AnswerCheck {
        extraction: AnswerExtraction::Behind {
            mark: "Answer:".into(),
            ignore_case: false,
            occurrence: Occurrence::Last,
            end: TextEnd::Line,
        },
        comparison: AnswerComparison::Number {
            tolerance: NumberTolerance::None,
            percent: PercentMeaning::Unit,
        },
        without_reference: WithoutReference::Reject,
        agreement: None,
    }
}

fn checks(check: AnswerCheck) -> Checks {
    Checks {
        default: Some(check),
        ..Checks::default()
    }
}

fn prompt(id: &str, kind: &str, right: Option<&str>) -> Prompt {
    Prompt {
        id: id.into(),
        kind: kind.into(),
        labels: Vec::new(),
        user: "How many?".into(),
        accepted: right.map(AcceptedAnswers::one),
        source: Source {
            name: "mine".into(),
            licence: "MIT".into(),
        },
    }
}

fn answer(text: &str, finish: Finish) -> Outcome {
    Outcome::Answer(Answer {
        text: text.into(),
        reasoning: None,
        finish,
        model: "big".into(),
        log_probs: None,
    })
}

fn said(text: &str) -> Outcome {
    answer(text, Finish::Stop)
}

fn record(prompt: &Prompt, strategy: Option<&str>, sample: u32, outcome: Outcome) -> AnswerRecord {
    let request = AnswerRequest {
        prompt: prompt.id.clone(),
        strategy: strategy.map(str::to_owned),
        sample,
        messages: vec![Message::new(Role::User, prompt.user.as_str())],
        sampling: Sampling {
            temperature: 1.0,
            top_p: None,
            top_k: None,
            max_new_tokens: 9,
            stop: Vec::new(),
            seed: 0,
        },
    };
    AnswerRecord {
        key: request.key("big"),
        writer: "big".into(),
        delivery: Delivery {
            request,
            outcome,
            attempts: 1,
            usage: Usage::default(),
        },
    }
}

fn checked(prompt: &Prompt, outcomes: Vec<Outcome>, checks: &Checks) -> Vec<CheckedAnswer> {
    let records = outcomes.into_iter().enumerate();
    let records = records.map(|(sample, outcome)| record(prompt, None, sample as u32, outcome));
    check_answers(std::slice::from_ref(prompt), records.collect(), checks)
}

/// The check that decides about an answer, and what it found.
fn last(answer: &CheckedAnswer) -> (CheckKind, bool, &str) {
    let verdict = answer.verdicts.last().unwrap();
    (
        verdict.check,
        verdict.passed,
        verdict.found.as_deref().unwrap(),
    )
}

#[test]
fn the_last_verdict_says_why_an_answer_is_rejected() {
    let prompt = prompt("p", "sums", Some("1200"));
    let outcomes = vec![
        said("It is so.\nAnswer: 1,200.00"),
        said("Answer: 1201"),
        said("It is 1200."),
        answer("Answer: 1200", Finish::Length),
        answer("Answer: 1200", Finish::Other("content_filter".into())),
        Outcome::Failure("status 400".into()),
    ];
    let answers = checked(&prompt, outcomes, &checks(check()));
    let found: Vec<_> = answers.iter().map(last).collect();
    let expected = [
        (CheckKind::Reference, true, "1,200.00"),
        (CheckKind::Reference, false, "1201"),
        (CheckKind::FinalAnswer, false, "none"),
        (CheckKind::Finished, false, "length"),
        (CheckKind::Finished, false, "content_filter"),
        (CheckKind::Answered, false, "status 400"),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        answers[1].verdicts.last().unwrap().expected.as_deref(),
        Some("1200")
    );
}

#[test]
fn without_a_known_answer_the_settings_decide() {
    let prompt = prompt("p", "sums", None);
    let rejected = checked(&prompt, vec![said("Answer: 3")], &checks(check()));
    assert_eq!(
        last(&rejected[0]),
        (CheckKind::Reference, false, "no right answer is known")
    );
    let accepting = AnswerCheck {
        without_reference: WithoutReference::Accept,
        ..check()
    };
    assert!(checked(&prompt, vec![said("Answer: 3")], &checks(accepting))[0].passes());
    // Kinds without a check need no final answer.
    let none = Checks::default();
    assert!(checked(&prompt, vec![said("Whatever.")], &none)[0].passes());
    assert!(!checked(&prompt, vec![answer("What", Finish::Length)], &none)[0].passes());
}

#[test]
fn most_answers_have_to_agree_where_that_is_wanted() {
    let agreeing = |min_share| {
        checks(AnswerCheck {
            without_reference: WithoutReference::Accept,
            agreement: Some(Agreement {
                min_share,
                min_answers: 3,
            }),
            ..check()
        })
    };
    let prompt = prompt("p", "sums", None);
    let pass = |answers: &[&str], min_share: f64| -> Vec<bool> {
        let outcomes = answers
            .iter()
            .map(|text| said(&format!("Answer: {text}")))
            .collect();
        let answers = checked(&prompt, outcomes, &agreeing(min_share));
        answers.iter().map(CheckedAnswer::passes).collect()
    };
    // However it is written, it is the same number.
    assert_eq!(pass(&["5", "7", "5.0"], 0.5), [true, false, true]);
    assert_eq!(pass(&["5", "7", "5"], 0.7), [false; 3]);
    assert_eq!(pass(&["5", "5"], 0.5), [false; 2]);
    // Two that are equally frequent are none.
    assert_eq!(pass(&["5", "7", "5", "7"], 0.5), [false; 4]);
    // What is no number agrees with nothing, but counts.
    assert_eq!(pass(&["5", "what", "5"], 0.5), [true, false, true]);
    assert_eq!(pass(&["5", "what", "5"], 0.7), [false; 3]);
}

#[test]
fn of_right_answers_the_settings_keep_some_and_equal_ones_once() {
    let prompts = [prompt("p", "sums", Some("3"))];
    let outcomes = vec![
        said("A long way to it. Answer: 3"),
        said("Answer: 4"),
        said("Short. Answer: 3"),
        said("A long way to it. Answer: 3"),
        said("Shorter. Answer: 3"),
    ];
    let kept = |keep| {
        let mut answers = checked(&prompts[0], outcomes.clone(), &checks(check()));
        let kept = keep_answers(&prompts, &mut answers, keep, &PromptErasing::RemoveSystem);
        let ids: Vec<String> = kept.iter().map(|it| it.id.clone()).collect();
        (ids, answers)
    };
    let (all, answers) = kept(Keep::All);
    assert_eq!(all, ["p/none/0", "p/none/2", "p/none/4"]);
    assert_eq!(
        last(&answers[3]),
        (CheckKind::Distinct, false, "the same as sample 0")
    );
    assert_eq!(kept(Keep::First(2)).0, ["p/none/0", "p/none/2"]);
    assert_eq!(kept(Keep::Shortest(2)).0, ["p/none/2", "p/none/4"]);
}

#[test]
fn a_trial_counts_right_answers_by_kind_and_strategy() {
    let prompts = [
        prompt("a", "sums", Some("3")),
        prompt("b", "dates", Some("9")),
    ];
    let strategies: Vec<Strategy> = ["direct", "step_by_step"]
        .map(|name| shipped_strategy(name).unwrap())
        .into();
    let mut records = Vec::new();
    for (prompt, direct, steps) in [(&prompts[0], "3", "4"), (&prompts[1], "8", "9")] {
        for (strategy, found) in [("direct", direct), ("step_by_step", steps)] {
            let outcome = said(&format!("Answer: {found}"));
            records.push(record(prompt, Some(strategy), 0, outcome));
        }
    }
    let answers = check_answers(&prompts, records, &checks(check()));
    let trial = StrategyTrial::new(&prompts, &strategies, &answers);
    let map = trial.map();
    assert_eq!(
        (map.kinds["sums"].as_str(), map.kinds["dates"].as_str()),
        ("direct", "step_by_step")
    );
    let none = StrategyTrial::new(&prompts, &strategies, &[]);
    assert!(none.map().kinds.is_empty());
    let error = StrategyTrial::prompts(&prompts, 2).unwrap_err().to_string();
    assert!(
        error.contains("1 prompts with a known answer, expected 2"),
        "{error}"
    );
}

#[test]
fn a_judge_sees_the_answer_and_its_points_decide() {
    let rubric = shipped_rubric("right_reasons").unwrap();
    let prompt = prompt("p", "sums", Some("3"));
    let answered = record(&prompt, Some("direct"), 1, said("It is 3."))
        .delivery
        .request;
    let sampling = answered.sampling.clone();
    let request = rubric
        .request(&prompt, &answered, "It is 3.", &sampling)
        .unwrap();
    assert_eq!(request.prompt, "right_reasons of p by direct, sample 1");
    let user = &request.messages[1].content;
    for part in ["How many?", "It is 3.", "<right_answer>\n3"] {
        assert!(user.contains(part), "{user}");
    }
    let verdict = |outcome| {
        let verdict = rubric.verdict(&outcome);
        (verdict.passed, verdict.found.unwrap())
    };
    assert_eq!(verdict(said("Fine.\nPoints: 4")), (true, "4".into()));
    assert_eq!(verdict(said("Points: 2")), (false, "2".into()));
    assert!(!verdict(said("Points: 9")).0);
    assert_eq!(
        verdict(said("Very good.")),
        (false, "a judgement without points".into())
    );
    assert!(!verdict(answer("Points: 4", Finish::Length)).0);
    assert_eq!(
        verdict(Outcome::Failure("gone".into())),
        (false, "no judgement: gone".into())
    );
}

#[test]
fn a_card_counts_what_became_of_everything() {
    let prompts = [
        prompt("a", "sums", Some("3")),
        prompt("b/c", "dates", Some("9")),
    ];
    let records = vec![
        record(&prompts[0], Some("direct"), 0, said("Answer: 3")),
        record(&prompts[0], Some("direct"), 1, said("Answer: 4")),
        record(&prompts[1], Some("direct"), 0, said("So. Answer: 9")),
        record(
            &prompts[1],
            Some("direct"),
            1,
            Outcome::Failure("gone".into()),
        ),
    ];
    let mut answers = check_answers(&prompts, records, &checks(check()));
    let erasing = PromptErasing::RemoveSystem;
    let kept = keep_answers(&prompts, &mut answers, Keep::All, &erasing);
    let card = DatasetCard::new("Sums", &prompts, &answers, &kept);
    assert_eq!((card.prompts_kept, card.conversations), (2, 2));
    let counts = card.kinds["dates"]["direct"];
    assert_eq!((counts.answers, counts.passed, counts.kept), (2, 1, 1));
    assert_eq!(
        (card.rejections["reference"], card.rejections["answered"]),
        (1, 1)
    );
    let lengths = card.answer_characters.unwrap();
    assert_eq!((lengths.shortest, lengths.longest), (9, 13));
    let page = card.markdown();
    for line in [
        "# Sums",
        "| mine | MIT | 2 |",
        "| dates | direct | 2 | 1 | 1 |",
        "| reference | 1 |",
    ] {
        assert!(page.contains(line), "{page}");
    }
}
