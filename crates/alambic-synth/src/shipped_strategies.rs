//! The strategies that come with the crate.

use crate::SynthError;
use crate::strategy::Strategy;

/// Names and contents of `strategies/`.
const STRATEGIES: [(&str, &str); 10] = [
    ("direct", include_str!("../strategies/direct.toml")),
    ("eliminate", include_str!("../strategies/eliminate.toml")),
    (
        "explain_then_answer",
        include_str!("../strategies/explain_then_answer.toml"),
    ),
    (
        "extract_then_answer",
        include_str!("../strategies/extract_then_answer.toml"),
    ),
    (
        "plan_then_solve",
        include_str!("../strategies/plan_then_solve.toml"),
    ),
    (
        "recall_reason_generate",
        include_str!("../strategies/recall_reason_generate.toml"),
    ),
    (
        "recall_then_generate",
        include_str!("../strategies/recall_then_generate.toml"),
    ),
    (
        "simplify_first",
        include_str!("../strategies/simplify_first.toml"),
    ),
    (
        "solve_and_verify",
        include_str!("../strategies/solve_and_verify.toml"),
    ),
    (
        "step_by_step",
        include_str!("../strategies/step_by_step.toml"),
    ),
];

/// The names of all strategies that come with the crate.
///
/// ```
/// assert!(alambic_synth::shipped_strategies().any(|name| name == "step_by_step"));
/// ```
pub fn shipped_strategies() -> impl Iterator<Item = &'static str> {
    STRATEGIES.iter().map(|(name, _)| *name)
}

/// A strategy by its name.
///
/// # Errors
/// [`SynthError::Strategy`] naming all of them, if there is none of the name.
pub fn shipped_strategy(name: &str) -> Result<Strategy, SynthError> {
    let found = STRATEGIES.iter().find(|(known, _)| *known == name);
    let Some((_, text)) = found else {
        let names: Vec<&str> = shipped_strategies().collect();
        return Err(SynthError::Strategy {
            origin: name.to_owned(),
            problem: format!(
                "no strategy of this name, expected one of {}",
                names.join(", ")
            ),
        });
    };
    text.parse()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_is_sound_and_named_as_its_file() {
        let mut prompts = std::collections::HashSet::new();
        for name in shipped_strategies() {
            let strategy = shipped_strategy(name).unwrap();
            assert_eq!(strategy.name, name);
            assert!(!strategy.suits.is_empty(), "{name} suits nothing");
            // A sentence that was broken in the file is one sentence.
            assert!(!strategy.system_prompt.contains('\n'), "{name}");
            assert!(prompts.insert(strategy.system_prompt));
        }
        let error = shipped_strategy("stepwise").unwrap_err().to_string();
        assert!(error.contains("step_by_step"), "{error}");
    }
}
