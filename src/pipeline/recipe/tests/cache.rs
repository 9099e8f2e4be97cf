//! What is kept of the teacher: the most likely tokens, drawn ones, or its hidden states.

use alambic_cache::{DrawMethod, StateType, TargetKind, ValueType};
use alambic_distill::loss::LossKind;

use super::*;

/// The stories recipe with drawn tokens in place of the most likely ones.
const DRAWN: [&str; 4] = [
    "cache.top_k=unset",
    "cache.values=unset",
    "cache.draws=50",
    "cache.draw_seed=3",
];

/// The stories recipe with hidden states in their place, whose tail nothing reads.
const HIDDEN: [&str; 4] = [
    "cache.top_k=unset",
    "cache.values=unset",
    "cache.hidden_states=int8",
    "objective.tail=unset",
];

/// `HIDDEN` and one more override.
fn hidden_and(assignment: &str) -> Vec<&str> {
    HIDDEN.into_iter().chain([assignment]).collect()
}

/// `DRAWN` and one more override.
fn drawn_and(assignment: &str) -> Vec<&str> {
    DRAWN.into_iter().chain([assignment]).collect()
}

#[test]
fn the_most_likely_tokens_are_kept_with_each_type_of_values() {
    for (word, values) in [
        ("f16", ValueType::F16),
        ("f32", ValueType::F32),
        ("fine", ValueType::Fine),
        ("coarse", ValueType::Coarse),
    ] {
        let recipe = parse(STORIES, &[&format!("cache.values={word}")])
            .unwrap()
            .recipe;
        assert_eq!(
            recipe.cache.as_ref().unwrap().targets(),
            TargetKind::TopK { k: 32, values }
        );
    }
}

#[test]
fn from_1_to_4095_tokens_are_drawn_and_the_seed_is_the_recipes() {
    for draws in [1, 50, 4095] {
        let assignment = format!("cache.draws={draws}");
        let recipe = parse(STORIES, &drawn_and(&assignment)).unwrap().recipe;
        assert_eq!(
            recipe.cache.as_ref().unwrap().targets(),
            TargetKind::Sampled {
                draws,
                seed: 3,
                method: DrawMethod::Systematic
            }
        );
    }
    for draws in [0, 4096] {
        let assignment = format!("cache.draws={draws}");
        let problem = problem(STORIES, &drawn_and(&assignment));
        assert_eq!(
            (problem.key.as_str(), problem.expected.as_str()),
            ("cache.draws", "1 to 4095")
        );
        assert_eq!(problem.location, Some(Location::Override { assignment }));
    }
}

#[test]
fn only_whole_groups_of_keys_name_a_kind_of_targets() {
    const KEYS: [(&str, &str); 5] = [
        ("cache.top_k", "32"),
        ("cache.values", "fine"),
        ("cache.draws", "50"),
        ("cache.draw_seed", "3"),
        ("cache.hidden_states", "int8"),
    ];
    for subset in 0..1_u8 << KEYS.len() {
        let given = |index: usize| subset & (1 << index) != 0;
        let overrides: Vec<String> = KEYS
            .iter()
            .enumerate()
            .map(|(index, (key, value))| match given(index) {
                true => format!("{key}={value}"),
                false => format!("{key}=unset"),
            })
            .collect();
        let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
        if matches!(subset, 0b00011 | 0b01100 | 0b01111 | 0b10000) {
            assert!(parse(STORIES, &overrides).is_ok(), "{overrides:?}");
            continue;
        }
        let problem = problem(STORIES, &overrides);
        let found: Vec<&str> = (0..KEYS.len())
            .filter(|index| given(*index))
            .map(|index| KEYS[index].0)
            .collect();
        let found = match found.is_empty() {
            true => "none of them".to_string(),
            false => found.join(", "),
        };
        assert_eq!((problem.key.as_str(), problem.found), ("cache", found));
        for (key, _) in KEYS {
            assert!(problem.expected.contains(key), "{}", problem.expected);
        }
        let advice = problem.advice.unwrap();
        assert!(advice.contains("cache.top_k=unset"), "{advice}");
    }
}

#[test]
fn both_pairs_of_keys_name_a_head_whose_tail_is_drawn_and_which_is_stored_in_bits() {
    const BOTH: [&str; 3] = ["cache.top_k=12", "cache.draws=20", "cache.draw_seed=3"];
    for (word, values) in [
        ("f16", ValueType::F16),
        ("f32", ValueType::F32),
        ("fine", ValueType::Fine),
        ("coarse", ValueType::Coarse),
    ] {
        let values_key = format!("cache.values={word}");
        let overrides: Vec<&str> = BOTH.into_iter().chain([values_key.as_str()]).collect();
        let recipe = parse(STORIES, &overrides).unwrap().recipe;
        let expected = TargetKind::HeadPlusSampledTail {
            k: 12,
            values,
            draws: 20,
            seed: 3,
            method: DrawMethod::Systematic,
        };
        assert_eq!(recipe.cache.as_ref().unwrap().targets(), expected);
    }
}

#[test]
fn a_loss_that_draws_cannot_estimate_is_named_by_its_kind() {
    for kind in LossKind::OF_LABELS {
        let setting = match kind.setting() {
            Some(setting) => format!(", {} = {}", setting.name(), setting.published()),
            None => String::new(),
        };
        let terms = format!(
            "objective.terms=[{{ kind = 'cross_entropy', weight = 1 }}, {{ kind = '{}', weight = 1{setting} }}]",
            kind.name()
        );
        let found = match parse(STORIES, &drawn_and(&terms)) {
            Ok(_) => Vec::new(),
            Err(RecipeError::Invalid { problems, .. }) => problems,
            Err(other) => panic!("{other}"),
        };
        let blamed = found
            .iter()
            .find(|problem| problem.expected.contains("cache.draws"));
        let linear = matches!(kind, LossKind::ForwardKl | LossKind::CrossEntropy);
        assert_eq!(blamed.is_none(), linear, "{kind:?}: {found:#?}");
        if let Some(problem) = blamed {
            assert_eq!(problem.key, "objective.terms.1.kind");
            assert_eq!(problem.found, format!("{:?}", kind.name()));
            assert!(problem.advice.is_some() && problem.location.is_some());
        }
    }
}

#[test]
fn a_misfit_of_the_draws_is_the_only_complaint() {
    let reverse = "objective.terms.0.kind=reverse_kl";
    for draws in ["many", "-1", "65536", "1.5"] {
        let assignment = format!("cache.draws={draws}");
        let mut overrides = drawn_and(&assignment);
        overrides.push(reverse);
        let problem = problem(STORIES, &overrides);
        assert_eq!(
            (problem.key.as_str(), problem.expected.as_str()),
            ("cache.draws", "a whole number from 0 to 65535")
        );
        assert_eq!(problem.location, Some(Location::Override { assignment }));
    }
}

#[test]
fn drawn_tokens_are_written_out_and_read_back_the_same() {
    let recipe = parse(STORIES, &DRAWN).unwrap().recipe;
    let written = recipe.to_toml().unwrap();
    assert!(
        written.contains("draws = 50") && written.contains("draw_seed = 3"),
        "{written}"
    );
    assert!(
        !written.contains("top_k") && !written.contains("values"),
        "{written}"
    );
    assert_eq!(parse(&written, &[]).unwrap().recipe, recipe);
}

#[test]
fn the_most_likely_tokens_are_trained_at_the_temperatures_that_are_declared() {
    let declared = "cache.temperatures=[1.0, 2.0, 1.3]";
    for temperature in ["1.0", "2.0", "1.3"] {
        let asked = format!("objective.temperature={temperature}");
        let recipe = parse(STORIES, &[declared, &asked]).unwrap().recipe;
        assert_eq!(
            recipe.cache.as_ref().unwrap().temperatures(),
            [1.0, 2.0, 1.3]
        );
        let written = recipe.to_toml().unwrap();
        assert_eq!(parse(&written, &[]).unwrap().recipe, recipe);
    }
    let problem = problem(STORIES, &[declared, "objective.temperature=4.0"]);
    assert_eq!(
        (problem.key.as_str(), problem.expected.as_str()),
        (
            "objective.temperature",
            "one of cache.temperatures ([1.0, 2.0, 1.3])"
        )
    );
    let advice = problem.advice.unwrap();
    assert!(advice.contains("add 4.0 to cache.temperatures"), "{advice}");
}

#[test]
fn without_a_declaration_the_temperature_is_1_and_a_loaded_recipe_says_so() {
    let recipe = parse(STORIES, &[]).unwrap().recipe;
    assert_eq!(recipe.cache.as_ref().unwrap().temperatures(), [1.0]);
    let written = recipe.to_toml().unwrap();
    assert!(written.contains("temperatures = [1.0]"), "{written}");
}

#[test]
fn drawn_tokens_have_no_list_of_temperatures() {
    let problem = problem(STORIES, &drawn_and("cache.temperatures=[1.0]"));
    assert_eq!(problem.key, "cache.temperatures");
    let advice = problem.advice.unwrap();
    assert!(advice.contains("objective.temperature"), "{advice}");
}

#[test]
fn hidden_states_are_kept_in_each_type() {
    for (word, values) in ["f32", "f16", "int8", "int6", "int4"]
        .into_iter()
        .zip(StateType::ALL)
    {
        let assignment = format!("cache.hidden_states={word}");
        let recipe = parse(STORIES, &hidden_and(&assignment)).unwrap().recipe;
        assert_eq!(recipe.cache.as_ref().unwrap().hidden_states, Some(values));
    }
    let problem = problem(STORIES, &hidden_and("cache.hidden_states=int5"));
    assert_eq!(problem.key, "cache.hidden_states");
    assert!(problem.expected.contains("int6"), "{}", problem.expected);
}

#[test]
fn hidden_states_serve_every_loss_at_every_temperature() {
    for kind in LossKind::OF_LABELS {
        let setting = match kind.setting() {
            Some(setting) => format!(", {} = {}", setting.name(), setting.published()),
            None => String::new(),
        };
        let terms = format!(
            "objective.terms=[{{ kind = 'forward_kl', weight = 1 }}, {{ kind = '{}', weight = 1{setting} }}]",
            kind.name()
        );
        let terms = match kind {
            LossKind::ForwardKl => "objective.terms=[{ kind = 'forward_kl', weight = 1 }]",
            _ => &terms,
        };
        for temperature in ["0.5", "1.0", "4.0"] {
            let temperature = format!("objective.temperature={temperature}");
            let mut overrides = hidden_and(terms);
            overrides.push(&temperature);
            if let Err(error) = parse(STORIES, &overrides) {
                panic!("{kind:?}, {temperature}: {error}");
            }
        }
    }
    // A temperature that nothing reads stays an error.
    let mut overrides = hidden_and("objective.terms=[{ kind = 'logit_mse', weight = 1 }]");
    overrides.push("objective.temperature=2.0");
    assert_eq!(problem(STORIES, &overrides).key, "objective.temperature");
}

#[test]
fn a_tail_beside_hidden_states_is_refused_and_none_is_written_out() {
    for tail in ["tail_bucket", "renormalise_teacher"] {
        let assignment = format!("objective.tail={tail}");
        let problem = problem(STORIES, &hidden_and(&assignment));
        assert_eq!(
            (problem.key.as_str(), problem.found.as_str()),
            ("objective.tail", format!("{tail:?}").as_str())
        );
        assert!(problem.expected.contains("cache.hidden_states"));
        assert_eq!(problem.location, Some(Location::Override { assignment }));
    }
    let recipe = parse(STORIES, &HIDDEN).unwrap().recipe;
    let written = recipe.to_toml().unwrap();
    assert!(written.contains("hidden_states = \"int8\""), "{written}");
    assert!(!written.contains("tail ="), "{written}");
    assert_eq!(parse(&written, &[]).unwrap().recipe, recipe);
}
