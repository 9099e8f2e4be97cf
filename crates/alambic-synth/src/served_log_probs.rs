//! What a server said about the tokens of its answers, as lines that a cache can be converted from.

use std::collections::HashMap;

use alambic_text::{ChatTemplate, GenerationPrompt, Role, SpecialTokens, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::SynthError;
use crate::answer::{ServedToken, TokenLogProb};
use crate::synthetic_conversation::SyntheticConversation;

/// What a teacher expected in place of each token of an answer, as the student reads it: a line of JSON that
/// `alambic cache convert --from jsonl` takes.
///
/// The prompt is the student's; the tokens of the answer are those that the teacher wrote under its strategy, so that the student
/// learns from the distributions without seeing what they depend on (context distillation).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogProbLine {
    /// Tokens of the student's prompt and of the answer.
    pub token_ids: Vec<u32>,
    /// For each token the most likely ones in its place; none in the prompt.
    pub top_ids: Vec<Option<Vec<u32>>>,
    /// Their log-probabilities, in nats.
    pub top_log_probs: Vec<Option<Vec<f64>>>,
}

/// Turns what a server said about tokens into ids of a tokenizer, which has to be the server's own.
#[derive(Debug)]
pub struct ServedTokenReader<'a> {
    tokenizer: &'a Tokenizer,
    template: &'a ChatTemplate,
    ids: HashMap<Vec<u8>, u32>,
    /// By id: whether the token stands for text, rather than for structure.
    stands_for_text: Vec<bool>,
}

impl<'a> ServedTokenReader<'a> {
    /// A reader for answers of a model with this tokenizer and template.
    ///
    /// # Errors
    /// [`SynthError::Text`] if the tokenizer does not say what its tokens stand for.
    pub fn new(tokenizer: &'a Tokenizer, template: &'a ChatTemplate) -> Result<Self, SynthError> {
        let bytes = tokenizer.distinct_token_bytes()?.into_iter().enumerate();
        let ids = bytes.filter_map(|(id, bytes)| Some((bytes?, id as u32)));
        let all = tokenizer.token_bytes()?;
        Ok(Self {
            tokenizer,
            template,
            ids: ids.collect(),
            stands_for_text: all.iter().map(Option::is_some).collect(),
        })
    }

    /// The line of a conversation whose last message is the answer that the log-probabilities belong to. `top` entries are kept of each
    /// token; a server that gives fewer is refused.
    ///
    /// # Errors
    /// In words, if tokens and answer are not the same text, or a token is none of the tokenizer's.
    pub fn line(
        &self,
        conversation: &SyntheticConversation,
        log_probs: &[TokenLogProb],
        top: usize,
    ) -> Result<LogProbLine, String> {
        let (answer, prompt) = conversation.messages.split_last().ok_or("no messages")?;
        if answer.role != Role::Assistant {
            return Err("the last message is no answer".into());
        }
        let text = self.template.render(prompt, GenerationPrompt::Append);
        let text = text.map_err(|error| error.to_string())?;
        let encoding = self.tokenizer.encode(&text, SpecialTokens::Omit);
        let mut token_ids = encoding.map_err(|error| error.to_string())?.ids;
        let mut top_ids = vec![None; token_ids.len()];
        let mut top_log_probs = vec![None; token_ids.len()];
        let mut written: Vec<u8> = Vec::new();
        for token in log_probs {
            let id = self.id(&token.token)?;
            // What ends the answer is no part of its text, but learned as well.
            if self.stands_for_text[id as usize] {
                written.extend(self.bytes(&token.token));
            }
            let entries: Vec<(u32, f64)> = token
                .top
                .iter()
                .map(|(token, log_prob)| Ok((self.id(token)?, *log_prob)))
                .collect::<Result<_, String>>()?;
            if entries.len() < top {
                return Err(format!("{} likely tokens, expected {top}", entries.len()));
            }
            token_ids.push(id);
            top_ids.push(Some(entries[..top].iter().map(|(id, _)| *id).collect()));
            top_log_probs.push(Some(
                entries[..top].iter().map(|(_, value)| *value).collect(),
            ));
        }
        match written == answer.content.as_bytes() {
            true => Ok(LogProbLine {
                token_ids,
                top_ids,
                top_log_probs,
            }),
            false => Err("the tokens are not the text of the answer".into()),
        }
    }

    fn id(&self, token: &ServedToken) -> Result<u32, String> {
        let by_bytes = self.ids.get(self.bytes(token));
        let by_name = || self.tokenizer.token_to_id(&token.text);
        let id = by_bytes.copied().or_else(by_name);
        id.ok_or_else(|| format!("no token {:?} in the tokenizer", token.text))
    }

    fn bytes<'t>(&self, token: &'t ServedToken) -> &'t [u8] {
        token.bytes.as_deref().unwrap_or(token.text.as_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use alambic_text::{Message, SpecialTokensInText};

    use super::*;
    use crate::prompt::Source;
    use crate::request::Sampling;

    const TEMPLATE: &str = "{% for m in messages %}<|turn|>{{ m.content }}{% endfor %}\
                            {% if add_generation_prompt %}<|turn|>{% endif %}";

    fn tokenizer() -> Tokenizer {
        let texts = ["it is four, it is five".to_owned()];
        Tokenizer::train_byte_level_bpe(texts, 300, &["<|turn|>", "<|end|>"]).unwrap()
    }

    fn conversation(answer: &str) -> SyntheticConversation {
        SyntheticConversation {
            id: "p/direct/0".into(),
            messages: vec![
                Message::new(Role::User, "2 + 2?"),
                Message::new(Role::Assistant, answer),
            ],
            teacher_system: Some("Only the answer.".into()),
            kind: "sums".into(),
            strategy: Some("direct".into()),
            source: Source {
                name: "mine".into(),
                licence: "MIT".into(),
            },
            teacher: "big".into(),
            sampling: Sampling {
                temperature: 1.0,
                top_p: None,
                top_k: None,
                max_new_tokens: 9,
                stop: Vec::new(),
                seed: 0,
            },
            verdicts: Vec::new(),
        }
    }

    /// What a server says about the tokens of a text: each the likelier of two.
    fn served(tokenizer: &Tokenizer, text: &str) -> Vec<TokenLogProb> {
        let bytes = tokenizer.token_bytes().unwrap();
        let token = |id: u32| ServedToken {
            text: tokenizer.decode(&[id], SpecialTokensInText::Show).unwrap(),
            bytes: bytes[id as usize].clone(),
        };
        let ids = tokenizer.encode(text, SpecialTokens::Omit).unwrap().ids;
        let log_prob = |id| TokenLogProb {
            token: token(id),
            log_prob: -0.25,
            top: vec![(token(id), -0.25), (token(40), -2.0)],
        };
        ids.into_iter().map(log_prob).collect()
    }

    #[test]
    fn the_students_prompt_is_followed_by_the_teachers_tokens() {
        let (tokenizer, template) = (tokenizer(), ChatTemplate::new(TEMPLATE, "", "").unwrap());
        let reader = ServedTokenReader::new(&tokenizer, &template).unwrap();
        let answer = "it is four\u{e9}";
        let log_probs = served(&tokenizer, &format!("{answer}<|end|>"));
        let line = reader.line(&conversation(answer), &log_probs, 2).unwrap();
        let text = tokenizer
            .decode(&line.token_ids, SpecialTokensInText::Show)
            .unwrap();
        assert_eq!(text, format!("<|turn|>2 + 2?<|turn|>{answer}<|end|>"));
        let prompt = line.token_ids.len() - log_probs.len();
        assert!(line.top_ids[..prompt].iter().all(Option::is_none));
        for place in prompt..line.token_ids.len() {
            let expected = vec![line.token_ids[place], 40];
            assert_eq!(line.top_ids[place].as_ref(), Some(&expected));
            assert_eq!(line.top_log_probs[place], Some(vec![-0.25, -2.0]));
        }
    }

    #[test]
    fn what_does_not_belong_together_is_refused_in_words() {
        let (tokenizer, template) = (tokenizer(), ChatTemplate::new(TEMPLATE, "", "").unwrap());
        let reader = ServedTokenReader::new(&tokenizer, &template).unwrap();
        let log_probs = served(&tokenizer, "it is four");
        let refused = |answer: &str, log_probs: &[TokenLogProb], top| {
            reader
                .line(&conversation(answer), log_probs, top)
                .unwrap_err()
        };
        assert!(refused("it is five", &log_probs, 2).contains("not the text"));
        assert!(refused("it is four", &log_probs, 3).contains("2 likely tokens, expected 3"));
        let mut foreign = log_probs;
        foreign[0].token = ServedToken {
            text: "Zebra!".into(),
            bytes: None,
        };
        assert!(refused("it is four", &foreign, 2).contains("no token \"Zebra!\""));
    }
}
