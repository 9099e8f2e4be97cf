//! One answer that is asked for.

use std::fmt;

use alambic_text::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Problems;

/// How an answer is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// 0 takes the most probable token each time.
    pub temperature: f64,
    /// Draw from the most probable tokens that have this much probability together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Draw from this many of the most probable tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// The longest answer.
    pub max_new_tokens: u32,
    /// Texts that end an answer; they are not part of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The first sample's seed; the next has the next.
    pub seed: u64,
}

impl Sampling {
    /// Notes what cannot be, by keys that begin with `key`.
    pub fn check(&self, key: &str, problems: &mut Problems) {
        let mut expect = |holds: bool, name: &str, found: String, expected: &str| {
            problems.expect(holds, &format!("{key}.{name}"), found, expected);
        };
        let temperature = self.temperature;
        let fits = temperature.is_finite() && temperature >= 0.0;
        expect(fits, "temperature", temperature.to_string(), "0 or more");
        if let Some(top_p) = self.top_p {
            let fits = top_p > 0.0 && top_p <= 1.0;
            expect(fits, "top_p", top_p.to_string(), "above 0, at most 1");
        }
        expect(self.top_k != Some(0), "top_k", "0".into(), "at least 1");
        let fits = self.max_new_tokens > 0;
        expect(fits, "max_new_tokens", "0".into(), "at least 1");
        let fits = !self.stop.iter().any(String::is_empty);
        expect(
            fits,
            "stop",
            "an empty text".into(),
            "texts that are not empty",
        );
    }

    /// The seed of a sample, counted from 0.
    #[must_use]
    pub fn seed_of(&self, sample: u32) -> u64 {
        self.seed.wrapping_add(u64::from(sample))
    }
}

/// Names a request by its content: equal requests have equal keys, in every run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestKey(String);

impl fmt::Display for RequestKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One answer that is asked for: what the teacher sees, and how the answer is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// The prompt's identity.
    pub prompt: String,
    /// The name of the strategy, if one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Which answer of the prompt it is, counted from 0.
    pub sample: u32,
    /// What the teacher sees.
    pub messages: Vec<Message>,
    /// How the answer is drawn.
    pub sampling: Sampling,
}

impl AnswerRequest {
    /// The key of this request to a writer of this identity.
    #[must_use]
    pub fn key(&self, writer: &str) -> RequestKey {
        let mut hasher = Sha256::new();
        let json = serde_json::to_vec(&(writer, self));
        hasher.update(json.expect("texts and numbers can be written as JSON"));
        let digest = hasher.finalize();
        RequestKey(
            digest[..16]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use alambic_text::Role;

    use super::*;

    #[test]
    fn everything_that_changes_an_answer_changes_the_key() {
        let request = AnswerRequest {
            prompt: "p1".into(),
            strategy: Some("direct".into()),
            sample: 0,
            messages: vec![Message::new(Role::User, "2 + 3?")],
            sampling: Sampling {
                temperature: 0.7,
                top_p: None,
                top_k: None,
                max_new_tokens: 16,
                stop: Vec::new(),
                seed: 1,
            },
        };
        let key = request.key("model");
        assert_eq!(key, request.clone().key("model"));
        assert_eq!(key.to_string().len(), 32);
        let changes: [fn(&mut AnswerRequest); 6] = [
            |it| it.prompt = "p2".into(),
            |it| it.strategy = None,
            |it| it.sample = 1,
            |it| it.messages[0].content = "2 + 4?".into(),
            |it| it.sampling.temperature = 0.8,
            |it| it.sampling.seed = 2,
        ];
        for change in changes {
            let mut changed = request.clone();
            change(&mut changed);
            assert_ne!(changed.key("model"), key);
        }
        assert_ne!(request.key("other"), key);
    }
}
