//! Grids of topics, audiences and forms, from which a writer makes a textbook.

use std::collections::HashSet;
use std::path::Path;
use std::str::FromStr;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::config_problems::checked;
use crate::SynthError;

/// The grid that comes with the crate.
const SHIPPED: &str = include_str!("../../grids/textbook.toml");

/// One value along one side of a grid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridChoice {
    /// A short name, for ids and tables.
    pub name: String,
    /// What stands in the prompt.
    pub text: String,
}

/// Topics × audiences × forms: every combination is a prompt for a writer. A TOML file.
///
/// Asked for "a textbook" a thousand times, a model writes the same one; what makes its texts differ is what they are asked to
/// be about, for whom and in which form (Gunasekar et al. 2023, arXiv:2306.11644, section 2.2; Li et al. 2023,
/// arXiv:2309.05463, section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextbookGrid {
    /// The prompt, in which `{topic}`, `{audience}` and `{form}` are replaced.
    pub prompt: String,
    /// What texts are about.
    pub topics: Vec<GridChoice>,
    /// Whom they are for.
    pub audiences: Vec<GridChoice>,
    /// What kind of text they are.
    pub forms: Vec<GridChoice>,
}

/// What a writer is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridPrompt {
    /// The names of topic, audience and form, with slashes between them.
    pub id: String,
    /// The topic's name.
    pub topic: String,
    /// The audience's name.
    pub audience: String,
    /// The form's name.
    pub form: String,
    /// What the writer is told.
    pub user: String,
}

impl GridPrompt {
    /// The parts of a [`DiversityTable`](super::diversity::DiversityTable) that a text for this prompt belongs to.
    #[must_use]
    pub fn labels(&self) -> [String; 3] {
        [
            format!("topic: {}", self.topic),
            format!("audience: {}", self.audience),
            format!("form: {}", self.form),
        ]
    }
}

impl TextbookGrid {
    /// The grid that comes with the crate: 30 topics, 5 audiences and 6 forms.
    ///
    /// # Errors
    /// None, since a test reads the file; the signature is that of reading any grid.
    ///
    /// ```
    /// let grid = alambic_synth::TextbookGrid::shipped()?;
    /// let prompts = grid.prompts(17);
    /// assert_eq!(prompts.len(), 900);
    /// assert_ne!(prompts[0].topic, prompts[1].topic);
    /// # Ok::<(), alambic_synth::SynthError>(())
    /// ```
    pub fn shipped() -> Result<Self, SynthError> {
        SHIPPED.parse()
    }

    /// Reads a grid's TOML file.
    ///
    /// # Errors
    /// [`SynthError::File`], and as [`from_str`](Self::from_str).
    pub fn from_file(path: &Path) -> Result<Self, SynthError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SynthError::file("read", path, source))?;
        Self::parsed(&text, &path.display().to_string())
    }

    /// All combinations, each once, in an order that follows from `seed`: the first n are a sample of the grid for any n.
    #[must_use]
    pub fn prompts(&self, seed: u64) -> Vec<GridPrompt> {
        let mut prompts = Vec::new();
        for topic in &self.topics {
            for audience in &self.audiences {
                let forms = self.forms.iter();
                prompts.extend(forms.map(|form| self.prompt(topic, audience, form)));
            }
        }
        prompts.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        prompts
    }

    fn prompt(&self, topic: &GridChoice, audience: &GridChoice, form: &GridChoice) -> GridPrompt {
        let user = self.prompt.replace("{topic}", &topic.text);
        let user = user.replace("{audience}", &audience.text);
        GridPrompt {
            id: format!("{}/{}/{}", topic.name, audience.name, form.name),
            topic: topic.name.clone(),
            audience: audience.name.clone(),
            form: form.name.clone(),
            user: user.replace("{form}", &form.text).trim().to_owned(),
        }
    }

    fn parsed(text: &str, origin: &str) -> Result<Self, SynthError> {
        let grid: Self = toml::from_str(text).map_err(|error| SynthError::FilterSource {
            origin: origin.to_owned(),
            problem: error.to_string(),
        })?;
        grid.validate()?;
        Ok(grid)
    }

    /// Whether the grid can be used.
    ///
    /// # Errors
    /// [`SynthError::Settings`] lists everything that is wrong: a placeholder that the prompt lacks, a side without choices,
    /// choices without name or text, braces in a text, and names that occur twice or hold a slash.
    pub fn validate(&self) -> Result<(), SynthError> {
        checked(|problems| {
            for place in ["{topic}", "{audience}", "{form}"] {
                let holds = self.prompt.contains(place);
                problems.expect(holds, "prompt", &format!("a text with `{place}`"), "none");
            }
            for (side, choices) in [
                ("topics", &self.topics),
                ("audiences", &self.audiences),
                ("forms", &self.forms),
            ] {
                problems.at_least(side, choices.len(), 1);
                let mut names = HashSet::new();
                for GridChoice { name, text } in choices {
                    let named = !name.trim().is_empty() && !name.contains('/');
                    problems.expect(named, side, "names without slashes", format!("`{name}`"));
                    let fresh = names.insert(name);
                    problems.expect(fresh, side, "each name once", format!("`{name}` again"));
                    let told = !text.trim().is_empty() && !text.contains(['{', '}']);
                    problems.expect(
                        told,
                        side,
                        "a text without braces",
                        format!("`{text}` of `{name}`"),
                    );
                }
            }
        })
    }
}

impl FromStr for TextbookGrid {
    type Err = SynthError;

    /// Reads and validates TOML.
    ///
    /// # Errors
    /// [`SynthError::FilterSource`] if it is no TOML or has other keys, and as [`validate`](Self::validate).
    fn from_str(text: &str) -> Result<Self, SynthError> {
        Self::parsed(text, "the grid")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_occurs_once_in_the_order_of_the_seed() {
        let grid = TextbookGrid::shipped().unwrap();
        let prompts = grid.prompts(1);
        let ids: HashSet<&str> = prompts.iter().map(|prompt| prompt.id.as_str()).collect();
        let users: HashSet<&str> = prompts.iter().map(|prompt| prompt.user.as_str()).collect();
        assert_eq!((ids.len(), users.len()), (900, 900));
        assert_eq!(grid.prompts(1), prompts);
        assert_ne!(grid.prompts(2), prompts);
    }

    #[test]
    fn a_prompt_holds_what_its_choices_say_and_no_placeholder() {
        let grid = TextbookGrid::shipped().unwrap();
        for prompt in grid.prompts(3) {
            assert!(!prompt.user.contains(['{', '}']), "{}", prompt.user);
            let topic = grid
                .topics
                .iter()
                .find(|topic| topic.name == prompt.topic)
                .unwrap();
            assert!(prompt.user.contains(&topic.text));
        }
    }

    #[test]
    fn a_malformed_grid_is_refused_with_all_its_problems() {
        let text = r#"
            prompt = "Write {form} about {topic}."
            topics = [{ name = "a", text = "x" }, { name = "a", text = " " }]
            audiences = []
            forms = [{ name = "a/b", text = "{topic}" }]
        "#;
        let message = TextbookGrid::from_str(text).unwrap_err().to_string();
        assert_eq!(message.matches("expected").count(), 6, "{message}");
    }
}
