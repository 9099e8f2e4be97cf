//! Which strategy a task is answered under.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::SynthError;
use crate::prompt::Prompt;

/// Which strategy each prompt is answered under. A TOML file.
///
/// The kind of a prompt decides if it is listed; otherwise the first rule that holds; otherwise the default. A prompt that none of
/// them covers is an error.
///
/// ```
/// use alambic_synth::StrategyMap;
/// let map: StrategyMap = r#"
///     default = "explain_then_answer"
///     [kinds]
///     arithmetic = "step_by_step"
///     [[rules]]
///     user_contains = ["Passage:"]
///     strategy = "extract_then_answer"
/// "#
/// .parse()?;
/// assert_eq!(map.strategies(), ["explain_then_answer", "extract_then_answer", "step_by_step"]);
/// # Ok::<(), alambic_synth::SynthError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyMap {
    /// For prompts of no listed kind for which no rule holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Strategies by kind.
    #[serde(default)]
    pub kinds: BTreeMap<String, String>,
    /// For prompts of other kinds, in this order.
    #[serde(default)]
    pub rules: Vec<StrategyRule>,
}

/// A strategy for the prompts of which all conditions hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyRule {
    /// The user's words contain one of these texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_contains: Vec<String>,
    /// The prompt comes from one of these collections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The user's words have at least this many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_user_bytes: Option<usize>,
    /// The strategy's name.
    pub strategy: String,
}

impl StrategyRule {
    fn holds(&self, prompt: &Prompt) -> bool {
        let contains = |text: &String| prompt.user.contains(text.as_str());
        let words = self.user_contains.is_empty() || self.user_contains.iter().any(contains);
        let source = self.sources.is_empty() || self.sources.contains(&prompt.source.name);
        let length = self
            .min_user_bytes
            .is_none_or(|bytes| prompt.user.len() >= bytes);
        words && source && length
    }

    fn has_conditions(&self) -> bool {
        !self.user_contains.is_empty() || !self.sources.is_empty() || self.min_user_bytes.is_some()
    }
}

impl FromStr for StrategyMap {
    type Err = SynthError;

    fn from_str(text: &str) -> Result<Self, SynthError> {
        let wrong = |problem: String| SynthError::Strategy {
            origin: "the map of strategies".into(),
            problem,
        };
        let map: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        match map.rules.iter().position(|rule| !rule.has_conditions()) {
            Some(place) => Err(wrong(format!(
                "rules[{place}] has no condition, expected one; a strategy for all other prompts is `default`"
            ))),
            None => Ok(map),
        }
    }
}

impl StrategyMap {
    /// Reads a map's TOML file.
    ///
    /// # Errors
    /// [`SynthError::File`] and [`SynthError::Strategy`], which name the file.
    pub fn from_file(path: &Path) -> Result<Self, SynthError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| SynthError::file("read", path, source))?;
        text.parse()
            .map_err(|error: SynthError| error.of_strategy(path))
    }

    /// The name of the strategy for a prompt.
    ///
    /// # Errors
    /// [`SynthError::Strategy`] naming the prompt, if nothing in the map covers it.
    pub fn strategy_of(&self, prompt: &Prompt) -> Result<&str, SynthError> {
        let by_rule = || self.rules.iter().find(|rule| rule.holds(prompt));
        let by_kind = self.kinds.get(&prompt.kind);
        let found = by_kind
            .or_else(|| by_rule().map(|rule| &rule.strategy))
            .or(self.default.as_ref());
        found.map(String::as_str).ok_or_else(|| SynthError::Strategy {
            origin: format!("prompt {}", prompt.id),
            problem: format!(
                "no strategy for its kind `{}`, expected the kind in `kinds`, a rule that holds, or a `default`",
                prompt.kind
            ),
        })
    }

    /// The names of all strategies that it can choose, in alphabetical order.
    #[must_use]
    pub fn strategies(&self) -> Vec<&str> {
        let by_rule = self.rules.iter().map(|rule| &rule.strategy);
        let all = self.kinds.values().chain(by_rule).chain(&self.default);
        let mut names: Vec<&str> = all.map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::prompt::Source;

    const MAP: &str = r#"
        [kinds]
        arithmetic = "step_by_step"
        [[rules]]
        user_contains = ["Passage:", "Text:"]
        min_user_bytes = 20
        strategy = "extract"
        [[rules]]
        sources = ["quiz"]
        strategy = "recall"
    "#;

    fn prompt(kind: &str, source: &str, user: &str) -> Prompt {
        Prompt {
            id: "p1".into(),
            kind: kind.into(),
            labels: Vec::new(),
            user: user.into(),
            accepted: None,
            source: Source {
                name: source.into(),
                licence: "MIT".into(),
            },
        }
    }

    #[test]
    fn the_kind_decides_before_rules_and_rules_in_their_order() {
        let map: StrategyMap = MAP.parse().unwrap();
        let long = "Passage: one two three. What?";
        for (kind, source, user, expected) in [
            ("arithmetic", "quiz", long, Some("step_by_step")),
            ("reading", "quiz", long, Some("extract")),
            ("reading", "quiz", "Passage: short", Some("recall")),
            ("reading", "other", "Passage: short", None),
        ] {
            let found = map
                .strategy_of(&prompt(kind, source, user))
                .ok()
                .map(str::to_owned);
            assert_eq!(found.as_deref(), expected);
        }
        let error = map
            .strategy_of(&prompt("reading", "other", "?"))
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("p1") && error.contains("`reading`"),
            "{error}"
        );
        let with_default = StrategyMap {
            default: Some("direct".into()),
            ..map
        };
        let found = with_default.strategy_of(&prompt("reading", "other", "?"));
        assert_eq!(found.unwrap(), "direct");
    }

    #[test]
    fn a_rule_without_a_condition_is_refused() {
        let error = "[[rules]]\nstrategy = 'direct'".parse::<StrategyMap>();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("rules[0]"), "{error}");
    }
}
