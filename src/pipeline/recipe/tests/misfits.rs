//! Keys and values that do not fit: all of them at once, each with its place and a way out.

use super::*;

#[test]
fn every_problem_is_reported_at_once_and_placeholders_cause_none() {
    let text = STORIES
        .replace("hidden_size = 48", "hiden_size = 48")
        .replace("head_dim = 8", "head_dim = 7")
        .replace("top_k = 32", "top_k = \"32\"")
        .replace(
            "[teacher]\npath = \"stories260K\"\nbatch_segments = 16\n",
            "",
        );
    let found = problems(&text, &["training.total_steps=0", "seed=-1"]);
    let mut keys: Vec<&str> = found.iter().map(|problem| problem.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "cache.top_k",
            "experiment.search_steps",
            "schedule.warmup_steps",
            "seed",
            "student.head_dim",
            "student.hiden_size",
            "teacher",
            "training.total_steps",
        ]
    );
}

#[test]
fn an_unknown_key_names_its_place_and_the_key_that_was_meant() {
    let text = STORIES.replace("rope_theta", "rope_tetha");
    let problem = problem(&text, &[]);
    assert_eq!(problem.key, "student.rope_tetha");
    assert_eq!(problem.advice.as_deref(), Some("did you mean rope_theta?"));
    let line = line_of(&text, "rope_tetha");
    assert_eq!(problem.location, Some(Location::Text { line, column: 1 }));
}

#[test]
fn a_key_of_another_section_is_sent_home() {
    let problem = problem(STORIES, &["training.learning_rate=1e-3"]);
    assert_eq!(problem.key, "training.learning_rate");
    assert_eq!(
        problem.advice.as_deref(),
        Some("did you mean optimizer.learning_rate?")
    );
}

#[test]
fn an_unknown_key_in_an_override_is_the_error_it_is_in_a_file() {
    let in_file = problem(&STORIES.replace("top_k = 32", "top_k = 32\ntopp = 1"), &[]);
    let in_override = problem(STORIES, &["cache.topp=1"]);
    assert_eq!(in_file.key, in_override.key);
    assert_eq!(in_file.expected, in_override.expected);
    assert_eq!(in_file.found, in_override.found);
    assert_eq!(
        problem(STORIES, &["studnt.head_dim=8"]).advice.as_deref(),
        Some("did you mean student?")
    );
    assert_eq!(
        problem(STORIES, &["objective.terms.0.wait=8"]).key,
        "objective.terms.0.wait"
    );
}

#[test]
fn a_value_of_the_wrong_type_names_key_line_and_column() {
    let text = STORIES.replace("weight = 0.9", "weight = \"much\"");
    let problem = problem(&text, &[]);
    let line = line_of(&text, "much");
    assert_eq!(
        problem.to_string(),
        format!(
            "objective.terms.0.weight (line {line}, column 35): expected a number, found the string \"much\""
        )
    );
}

#[test]
fn a_missing_section_is_one_problem() {
    let start = STORIES.find("[student]").unwrap();
    let end = STORIES.find("[objective]").unwrap();
    let problem = problem(&[&STORIES[..start], &STORIES[end..]].concat(), &[]);
    assert_eq!(
        (problem.key.as_str(), problem.found.as_str()),
        ("student", "nothing")
    );
}

#[test]
fn a_recipe_changed_in_code_is_validated_without_locations() {
    let mut recipe = parse(STORIES, &[]).unwrap().recipe;
    recipe.student.head_dim = 7;
    recipe.training.total_steps = 0;
    let problems = recipe.validate().unwrap_err();
    assert!(problems.len() > 1 && problems.iter().all(|problem| problem.location.is_none()));
}
