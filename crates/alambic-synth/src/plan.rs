//! From prompts to requests.

use std::collections::BTreeMap;

use alambic_text::{Message, Role};
use serde::{Deserialize, Serialize};

use crate::SynthError;
use crate::prompt::Prompt;
use crate::request::{AnswerRequest, Sampling};
use crate::strategy::Strategy;
use crate::strategy_map::StrategyMap;

/// How prompts become requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Which strategy each prompt is answered under; without a map the teacher sees the prompts alone.
    pub map: Option<StrategyMap>,
    /// The strategies by their names.
    pub strategies: BTreeMap<String, Strategy>,
    /// Answers to each prompt.
    pub samples: u32,
    /// How they are drawn.
    pub sampling: Sampling,
}

impl Plan {
    /// The requests of all prompts, the samples of a prompt one after the other.
    ///
    /// # Errors
    /// [`SynthError::Strategy`] for a prompt that the map does not cover, or a strategy that is not there.
    pub fn requests(&self, prompts: &[Prompt]) -> Result<Vec<AnswerRequest>, SynthError> {
        let mut requests = Vec::with_capacity(prompts.len() * self.samples as usize);
        for prompt in prompts {
            let strategy = match &self.map {
                Some(map) => Some(self.strategy(map.strategy_of(prompt)?)?),
                None => None,
            };
            for sample in 0..self.samples {
                requests.push(request(prompt, strategy, sample, &self.sampling));
            }
        }
        Ok(requests)
    }

    fn strategy(&self, name: &str) -> Result<&Strategy, SynthError> {
        self.strategies.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.strategies.keys().map(String::as_str).collect();
            SynthError::Strategy {
                origin: "the map of strategies".into(),
                problem: format!("no strategy `{name}`, expected one of {}", names.join(", ")),
            }
        })
    }
}

/// One request: the strategy's system prompt, if there is one, and what the user says.
pub(crate) fn request(
    prompt: &Prompt,
    strategy: Option<&Strategy>,
    sample: u32,
    sampling: &Sampling,
) -> AnswerRequest {
    let system = strategy.map(|it| Message::new(Role::System, it.system_prompt.as_str()));
    let user = Message::new(Role::User, prompt.user.as_str());
    AnswerRequest {
        prompt: prompt.id.clone(),
        strategy: strategy.map(|strategy| strategy.name.clone()),
        sample,
        messages: system.into_iter().chain([user]).collect(),
        sampling: sampling.clone(),
    }
}
