//! Overrides that take a key away.

use super::*;

#[test]
fn an_unset_key_is_as_if_it_were_written_nowhere() {
    let unset = [
        "cache.path=shared/cache",
        "cache.path=unset",
        "data.max_train_documents=unset",
        "experiment=unset",
    ];
    let without = &STORIES[..STORIES.find("[experiment]").unwrap()];
    let loaded = parse(STORIES, &unset).unwrap();
    assert_eq!(loaded.recipe, parse(without, &[]).unwrap().recipe);
    assert_eq!(loaded.overrides, unset);
}

#[test]
fn an_unset_key_can_be_set_again_and_the_word_in_quotes_is_a_word() {
    let separator = |overrides: &[&str]| parse(STORIES, overrides).unwrap().recipe.data.separator;
    assert_eq!(
        separator(&["data.separator=unset", "data.separator=---"]).as_deref(),
        Some("---")
    );
    assert_eq!(
        separator(&["data.separator='unset'"]).as_deref(),
        Some("unset")
    );
}

#[test]
fn an_unset_key_without_which_the_recipe_has_a_gap_is_asked_for() {
    let decay = ["schedule.decay_steps=unset"];
    let problem = problem(CHAT, &decay);
    assert_eq!(problem.key, "schedule.decay_steps");
    assert_eq!(
        problem.location,
        Some(Location::Override {
            assignment: decay[0].into()
        })
    );
}

#[test]
fn a_required_key_cannot_be_unset_and_the_message_says_how_to_mean_the_word() {
    for (assignment, key) in [
        ("seed=unset", "seed"),
        ("teacher=unset", "teacher"),
        ("teacher.path=unset", "teacher.path"),
        (
            "student.tie_word_embeddings=unset",
            "student.tie_word_embeddings",
        ),
        ("schedule.kind=unset", "schedule.kind"),
        ("optimizer.betas.1=unset", "optimizer.betas.1"),
        ("objective.terms.0=unset", "objective.terms.0"),
        (
            "data.erase.replace_system=unset",
            "data.erase.replace_system",
        ),
    ] {
        let problem = problem(CHAT, &[assignment]);
        assert_eq!(
            (problem.key.as_str(), problem.found.as_str()),
            (key, "nothing"),
            "{assignment}"
        );
        let advice = problem.advice.unwrap();
        assert!(
            advice.contains("write it in quotes"),
            "{assignment}: {advice}"
        );
    }
    let path = parse(CHAT, &["teacher.path='unset'"])
        .unwrap()
        .recipe
        .teacher
        .path;
    assert!(path.ends_with("unset"));
}

#[test]
fn an_unknown_key_cannot_be_unset() {
    let problem = problem(STORIES, &["cache.topk=unset"]);
    assert_eq!(problem.key, "cache.topk");
    assert_eq!(problem.advice.as_deref(), Some("did you mean top_k?"));
}

#[test]
fn nothing_can_be_set_below_an_unset_key() {
    let overrides = ["experiment=unset", "experiment.seeds=[1]"];
    let problem = problem(STORIES, &overrides);
    assert_eq!(
        (problem.expected.as_str(), problem.found.as_str()),
        ("a table at experiment", "nothing")
    );
}
