//! Asking a server: what is sent, what is read, when it ends.
#![allow(clippy::unwrap_used)]

mod stand_in;

use std::path::Path;

use alambic_synth::{
    AnswerRequest, AnswerRun, Budget, Delivery, EarlierFailures, Endpoint, EndpointApi,
    EndpointConfig, Outcome, Prices, Retries, RunEnd, RunPolicy, RunSummary, Sampling, SynthError,
    Usage,
};
use alambic_text::{Message, Role};
use serde_json::{Value, json};
use stand_in::{KEY, MODEL, StandIn};

fn config(server: &StandIn) -> EndpointConfig {
    EndpointConfig {
        base_url: server.base_url(),
        model: MODEL.to_owned(),
        api: EndpointApi::Chat,
        key_variable: None,
        accepted_models: Vec::new(),
        concurrency: 4,
        requests_per_minute: None,
        timeout_secs: 5.0,
        retries: Retries {
            attempts: 2,
            first_wait_secs: 0.001,
            longest_wait_secs: 0.1,
        },
        budget: Budget::default(),
        top_log_probs: None,
        body: serde_json::Map::new(),
    }
}

fn requests(count: u64) -> Vec<AnswerRequest> {
    let request = |number| AnswerRequest {
        prompt: format!("p{number}"),
        strategy: Some("direct".into()),
        sample: 0,
        messages: vec![
            Message::new(Role::System, "Only the number."),
            Message::new(Role::User, stand_in::question(number)),
        ],
        sampling: Sampling {
            temperature: 0.5,
            top_p: Some(0.9),
            top_k: None,
            max_new_tokens: 10,
            stop: vec!["\n".into()],
            seed: 7,
        },
    };
    (0..count).map(request).collect()
}

/// Asks all of them in a directory; also what was handed over.
fn ask(
    dir: &Path,
    config: EndpointConfig,
    requests: Vec<AnswerRequest>,
    earlier_failures: EarlierFailures,
) -> Result<(RunSummary, Vec<Delivery>), SynthError> {
    let mut run = AnswerRun::open(dir)?;
    let mut endpoint = Endpoint::new(config, run.usage())?;
    let policy = RunPolicy {
        earlier_failures,
        most_failures_in_a_row: 3,
    };
    let mut deliveries = Vec::new();
    let mut note = |delivery: &Delivery| deliveries.push(delivery.clone());
    let summary = run.complete(requests, &mut endpoint, policy, &|| false, &mut note)?;
    Ok((summary, deliveries))
}

/// The same in a directory of its own.
fn ask_once(
    config: EndpointConfig,
    requests: Vec<AnswerRequest>,
) -> Result<(RunSummary, Vec<Delivery>), SynthError> {
    let dir = tempfile::tempdir().unwrap();
    ask(dir.path(), config, requests, EarlierFailures::Keep)
}

fn failure(deliveries: &[Delivery]) -> &str {
    match &deliveries[0].outcome {
        Outcome::Failure(reason) => reason,
        Outcome::Answer(answer) => panic!("answered: {answer:?}"),
    }
}

#[test]
fn the_request_says_what_was_asked_and_no_more() {
    let server = StandIn::faulty(0.0);
    let mut with_body = config(&server);
    with_body.body.insert("min_p".into(), json!(0.1));
    let (summary, deliveries) = ask_once(with_body, requests(1)).unwrap();
    assert_eq!((summary.end, summary.answered), (RunEnd::Complete, 1));
    let Outcome::Answer(answer) = &deliveries[0].outcome else {
        panic!("{deliveries:?}")
    };
    assert_eq!(
        (answer.text.as_str(), answer.model.as_str()),
        ("It is 0.", MODEL)
    );
    let expected = json!({
        "min_p": 0.1,
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Only the number."},
            {"role": "user", "content": "What is the square of 0?"},
        ],
        "temperature": 0.5,
        "max_tokens": 10,
        "seed": 7,
        "top_p": 0.9,
        "stop": ["\n"],
    });
    let served = server.served();
    assert_eq!(
        (served[0].path.as_str(), &served[0].body),
        ("/v1/chat/completions", &expected)
    );
}

#[test]
fn the_other_call_gets_the_rendered_conversation() {
    let server = StandIn::faulty(0.0);
    let dir = tempfile::tempdir().unwrap();
    let template = dir.path().join("template.jinja");
    let text = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}\
                {% if add_generation_prompt %}<assistant>{% endif %}";
    std::fs::write(&template, text).unwrap();
    let completions = EndpointConfig {
        api: EndpointApi::Completions {
            template,
            bos_token: "<s>".into(),
            eos_token: "</s>".into(),
        },
        ..config(&server)
    };
    let (summary, _) = ask_once(completions, requests(1)).unwrap();
    assert_eq!(summary.answered, 1);
    let served = server.served();
    assert_eq!(served[0].path, "/v1/completions");
    let expected = "<s><system>Only the number.<user>What is the square of 0?<assistant>";
    assert_eq!(served[0].body["prompt"], expected);
}

fn reply(choice: Value) -> Option<(u16, Value)> {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2});
    Some((
        200,
        json!({"model": MODEL, "choices": [choice], "usage": usage}),
    ))
}

#[test]
fn log_probabilities_are_read_from_both_calls() {
    let chat = StandIn::scripted(|body| {
        assert_eq!(
            (&body["logprobs"], &body["top_logprobs"]),
            (&json!(true), &json!(2))
        );
        let top = json!([{"token": "4", "logprob": -0.1, "bytes": [52]},
                         {"token": "\u{fffd}", "logprob": -3.5, "bytes": [240, 159]}]);
        let content = json!([{"token": "4", "logprob": -0.1, "bytes": [52], "top_logprobs": top}]);
        reply(
            json!({"message": {"content": "4"}, "finish_reason": "length",
                     "logprobs": {"content": content}}),
        )
    });
    let completions = StandIn::scripted(|body| {
        assert_eq!(body["logprobs"], json!(2));
        let log_probs = json!({"tokens": ["4"], "token_logprobs": [-0.1],
                               "top_logprobs": [{"4": -0.1, "5": -3.5}]});
        reply(json!({"text": "4", "finish_reason": "length", "logprobs": log_probs}))
    });
    let dir = tempfile::tempdir().unwrap();
    let template = dir.path().join("template.jinja");
    std::fs::write(&template, "{{ messages[1].content }}").unwrap();
    let api = EndpointApi::Completions {
        template,
        bos_token: String::new(),
        eos_token: String::new(),
    };
    for (server, api, bytes) in [(chat, EndpointApi::Chat, true), (completions, api, false)] {
        let asked = EndpointConfig {
            api,
            top_log_probs: Some(2),
            ..config(&server)
        };
        let (_, deliveries) = ask_once(asked, requests(1)).unwrap();
        let Outcome::Answer(answer) = &deliveries[0].outcome else {
            panic!("{deliveries:?}")
        };
        let tokens = answer.log_probs.as_ref().unwrap();
        assert_eq!(tokens.len(), 1);
        assert_eq!(
            (tokens[0].token.text.as_str(), tokens[0].log_prob),
            ("4", -0.1)
        );
        let top = &tokens[0].top;
        assert_eq!((top.len(), top[1].1), (2, -3.5));
        assert_eq!(top[1].0.bytes, bytes.then(|| vec![240, 159]));
        assert_eq!(answer.finish, alambic_synth::Finish::Length);
        assert_eq!(
            (
                deliveries[0].usage.prompt_tokens,
                deliveries[0].usage.answer_tokens
            ),
            (3, 2)
        );
    }
}

#[test]
fn a_request_that_fails_for_good_is_recorded_and_the_rest_goes_on() {
    let server = StandIn::scripted(|body| {
        let is_second = stand_in::prompt(body).contains("of 1?");
        is_second.then(|| {
            (
                400,
                json!({"error": {"message": format!("too long for {KEY}")}}),
            )
        })
    });
    let dir = tempfile::tempdir().unwrap();
    let with_key = EndpointConfig {
        key_variable: Some("ALAMBIC_TEST_PRESET_KEY".into()),
        ..config(&server)
    };
    let missing = ask(dir.path(), with_key, requests(3), EarlierFailures::Keep);
    let error = missing.unwrap_err().to_string();
    assert!(error.contains("ALAMBIC_TEST_PRESET_KEY"), "{error}");

    let (summary, deliveries) = ask(
        dir.path(),
        config(&server),
        requests(3),
        EarlierFailures::Keep,
    )
    .unwrap();
    assert_eq!((summary.answered, summary.failed, summary.open), (2, 1, 0));
    let failed = deliveries
        .iter()
        .find(|it| it.request.prompt == "p1")
        .unwrap();
    assert_eq!(failed.attempts, 1);
    assert!(failure(std::slice::from_ref(failed)).starts_with("status 400: too long for"));

    let again = ask(
        dir.path(),
        config(&server),
        requests(3),
        EarlierFailures::Keep,
    )
    .unwrap()
    .0;
    assert_eq!((again.finished_before, again.failed), (3, 0));
    let again = ask(
        dir.path(),
        config(&server),
        requests(3),
        EarlierFailures::Retry,
    )
    .unwrap()
    .0;
    assert_eq!((again.finished_before, again.failed), (2, 1));
}

#[test]
fn answers_that_make_no_sense_are_asked_for_again_and_then_told() {
    for (answer, told) in [
        (json!({"choices": []}), "0 choices, expected 1"),
        (json!({"choices": [{}]}), "a choice without an answer"),
        (json!([1, 2]), "no answer of the protocol"),
        (
            json!({"model": "other", "choices": [{"text": "4"}]}),
            "but other answered",
        ),
    ] {
        let server = StandIn::scripted(move |_| Some((200, answer.clone())));
        let (_, deliveries) = ask_once(config(&server), requests(1)).unwrap();
        assert_eq!(deliveries[0].attempts, 2);
        assert!(failure(&deliveries).contains(told), "{deliveries:?}");
        // Nobody knows what they took: the most that it can have been.
        assert!(deliveries[0].usage.answer_tokens <= 20 && deliveries[0].usage.bounded_tokens > 0);
    }
    for (choice, told) in [
        (
            json!({"message": {"refusal": "I would rather not."}}),
            "refused: I would rather not.",
        ),
        (
            json!({"message": {"content": null}}),
            "an answer without content",
        ),
    ] {
        let server = StandIn::scripted(move |_| reply(choice.clone()));
        let (_, deliveries) = ask_once(config(&server), requests(1)).unwrap();
        assert_eq!((failure(&deliveries), deliveries[0].attempts), (told, 1));
    }
}

#[test]
fn another_name_of_the_model_has_to_be_accepted() {
    let dated = "stand-in-7b-2026-11";
    let server = StandIn::scripted(move |_| {
        Some((
            200,
            json!({"model": dated, "choices": [{"message": {"content": "4"}}]}),
        ))
    });
    let (summary, _) = ask_once(config(&server), requests(1)).unwrap();
    assert_eq!(summary.failed, 1);
    let accepting = EndpointConfig {
        accepted_models: vec![dated.into()],
        ..config(&server)
    };
    let (summary, _) = ask_once(accepting, requests(1)).unwrap();
    assert_eq!(summary.answered, 1);
}

#[test]
fn an_endpoint_that_refuses_everything_ends_the_run_and_records_nothing() {
    for (status, answer, told) in [
        (
            401,
            json!({"error": {"message": "who are you?"}}),
            "status 401: who are you?",
        ),
        (404, json!({"detail": "Not Found"}), "status 404: Not Found"),
        (
            307,
            json!({"header": "location: http://elsewhere.invalid/\r\n"}),
            "status 307",
        ),
        (
            429,
            json!({"header": "retry-after: 3600\r\n"}),
            "left alone for 3600 s",
        ),
    ] {
        let server = StandIn::scripted(move |_| Some((status, answer.clone())));
        let dir = tempfile::tempdir().unwrap();
        let error = ask(
            dir.path(),
            config(&server),
            requests(9),
            EarlierFailures::Keep,
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("/v1/chat/completions") && error.contains(told),
            "{error}"
        );
        assert_eq!(
            std::fs::read(dir.path().join("answers.jsonl")).unwrap(),
            b""
        );
    }
}

#[test]
fn a_server_that_is_gone_ends_the_run_before_all_requests_have_failed() {
    let server = StandIn::faulty(0.0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let gone = EndpointConfig {
        base_url: nobody,
        concurrency: 1,
        ..config(&server)
    };
    let dir = tempfile::tempdir().unwrap();
    let (summary, deliveries) = ask(dir.path(), gone, requests(50), EarlierFailures::Keep).unwrap();
    assert_eq!((summary.end, summary.failed), (RunEnd::TooManyFailures, 3));
    assert_eq!((summary.open, summary.usage), (47, Usage::default()));
    assert!(failure(&deliveries).contains("onnect"), "{deliveries:?}");
    let (summary, _) = ask(
        dir.path(),
        config(&server),
        requests(50),
        EarlierFailures::Retry,
    )
    .unwrap();
    assert_eq!((summary.end, summary.answered), (RunEnd::Complete, 50));
}

#[test]
fn a_budget_is_never_exceeded_and_a_larger_one_goes_on() {
    let server = StandIn::faulty(0.0);
    let dir = tempfile::tempdir().unwrap();
    let ask_within = |budget| {
        let config = EndpointConfig {
            budget,
            ..config(&server)
        };
        ask(dir.path(), config, requests(200), EarlierFailures::Keep)
            .unwrap()
            .0
    };
    let tokens = Budget {
        tokens: Some(2_500),
        ..Budget::default()
    };
    let first = ask_within(tokens.clone());
    assert_eq!((first.end, first.failed), (RunEnd::BudgetSpent, 0));
    assert!(
        first.answered > 50 && first.usage.tokens() <= 2_500,
        "{first:?}"
    );
    let again = ask_within(tokens);
    assert_eq!((again.end, again.answered), (RunEnd::BudgetSpent, 0));
    let prices = Prices {
        million_prompt_tokens: 1e6,
        million_answer_tokens: 2e6,
    };
    let cost = Budget {
        tokens: None,
        cost: Some(3_500.0),
        prices: Some(prices),
    };
    let second = ask_within(cost);
    let cost = second.usage.prompt_tokens + 2 * second.usage.answer_tokens;
    assert!(second.end == RunEnd::BudgetSpent && second.answered > 0 && cost <= 3_500);
    let last = ask_within(Budget::default());
    assert_eq!((last.end, last.open), (RunEnd::Complete, 0));
    assert_eq!(server.served().len(), 200);
}

#[test]
fn all_settings_that_cannot_work_are_told_at_once() {
    let server = StandIn::faulty(0.0);
    let mut wrong = config(&server);
    wrong.base_url = "http://me:secret@host/v1".into();
    wrong.concurrency = 0;
    wrong.timeout_secs = 0.0;
    wrong.budget.cost = Some(1.0);
    wrong.body.insert("stream".into(), json!(true));
    let error = Endpoint::new(wrong, Usage::default())
        .unwrap_err()
        .to_string();
    for key in [
        "base_url",
        "concurrency",
        "timeout_secs",
        "budget.prices",
        "body.stream",
    ] {
        assert!(error.contains(key), "{key}: {error}");
    }
    assert!(!error.contains("secret"), "{error}");
}
