//! Students with a tokenizer of their own.

use super::*;

/// What turns a recipe of one tokenizer into one of two.
const OWN: [&str; 4] = [
    "student.tokenizer=own",
    "cache=unset",
    "data.over_length='error'",
    "objective.terms=[{ kind = 'cross_entropy', weight = 1 }, { kind = 'hybrid_logit', weight = 1, beta = 0.5 }]",
];

/// The keys that are reported for a student with a tokenizer of its own and one more change.
fn keys(change: &str) -> Vec<String> {
    let overrides: Vec<&str> = OWN.into_iter().chain([change]).collect();
    let problems = problems(STORIES, &overrides).into_iter();
    problems.map(|problem| problem.key).collect()
}

#[test]
fn a_tokenizer_of_its_own_takes_the_place_of_the_cache() {
    let recipe = parse(STORIES, &OWN).unwrap().recipe;
    let here = std::env::current_dir().unwrap();
    assert_eq!(recipe.student.tokenizer, Some(here.join("own")));
    assert_eq!((recipe.cache.as_ref(), recipe.objective.tail), (None, None));
    let written = recipe.to_toml().unwrap();
    assert_eq!(parse(&written, &[]).unwrap().recipe, recipe);
    // Losses between the vocabularies may stand alone.
    let alone = "objective.terms=[{ kind = 'universal_logit', weight = 1 }]";
    parse(STORIES, &[OWN[0], OWN[1], OWN[2], alone]).unwrap();
}

#[test]
fn what_two_tokenizers_cannot_serve_is_named() {
    for (change, expected) in [
        (
            "cache={ draws = 5, draw_seed = 1, segments_per_shard = 8 }",
            "cache",
        ),
        ("objective.tail=zero_fill", "objective.tail"),
        ("student.teacher_layers=[1, 2, 3]", "student.teacher_layers"),
        ("data.over_length=truncate", "data.over_length"),
        ("data.over_length=skip", "data.over_length"),
        ("objective.temperature=2.0", "objective.temperature"),
        (
            "objective.terms.0.kind=forward_kl",
            "objective.terms.0.kind",
        ),
        ("objective.terms.1.beta=1.0", "objective.terms.1.beta"),
        ("objective.terms.1.beta=unset", "objective.terms.1.beta"),
        ("objective.terms.1.alpha=0.1", "objective.terms.1.alpha"),
        ("student.tokenizer=''", "student.tokenizer"),
        ("student.tokenizer='hub:org/name'", "student.tokenizer"),
        (
            "objective.layer_terms=[{ kind = 'hidden_cosine', weight = 1, layers = [{ student = 1, teacher = 1 }] }]",
            "objective.layer_terms",
        ),
    ] {
        assert_eq!(keys(change), [expected], "{change}");
    }
    let chat = [
        OWN[0],
        OWN[1],
        OWN[3],
        "data.erase=keep",
        "data.over_length=error",
        "objective.temperature=1.0",
    ];
    assert_eq!(problem(CHAT, &chat).key, "data.chat_template");
}

#[test]
fn one_tokenizer_needs_a_cache_and_losses_between_the_same_tokens() {
    let without = problem(STORIES, &["cache=unset"]);
    assert_eq!(
        (without.key.as_str(), without.found.as_str()),
        ("cache", "nothing")
    );
    let term = "objective.terms=[{ kind = 'universal_logit', weight = 1 }]";
    let found = problem(STORIES, &[term]);
    assert_eq!(found.key, "objective.terms.0.kind");
    assert!(
        found.expected.contains("student.tokenizer"),
        "{}",
        found.expected
    );
}
