//! What stands before and around a question.

use alambic_text::{ChatTemplate, GenerationPrompt, Message, Role};

use crate::EvalError;
use crate::shots::Shots;

/// What stands before and around every question; by default nothing does.
#[derive(Clone, Debug, Default)]
pub struct Prompting {
    /// A text before everything, such as published examples ([`Task::preamble_of_file`](crate::Task::preamble_of_file)), with
    /// what separates it from what follows.
    pub preamble: String,
    /// Examples, if some are shown.
    pub shots: Option<Shots>,
    /// The chat in which the question is asked, if it is one.
    pub chat: Option<ChatPrompting>,
}

/// How a question is asked in a chat: as the user's turn, before the opening of the assistant's.
#[derive(Clone, Debug)]
pub struct ChatPrompting {
    /// The model's template.
    pub template: ChatTemplate,
    /// The system's message, if there is one.
    pub system: Option<String>,
    /// Where examples stand.
    pub shot_turns: ShotTurns,
}

/// Where examples stand in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShotTurns {
    /// In the one turn of the user, before the question, as without a chat.
    Joined,
    /// Each in two turns of its own, the user's and the assistant's.
    Separate,
}

/// An example: what is asked, and what is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shot {
    pub(crate) prompt: String,
    pub(crate) delimiter: String,
    pub(crate) answer: String,
}

impl Prompting {
    /// The whole text of a question with some examples; `separator` stands behind each.
    pub(crate) fn prompt(
        &self,
        shots: &[&Shot],
        separator: &str,
        question: String,
    ) -> Result<String, EvalError> {
        let joined = |question: &str| {
            let mut text = self.preamble.clone();
            for shot in shots {
                for part in [&shot.prompt, &shot.delimiter, &shot.answer, separator] {
                    text += part;
                }
            }
            text + question
        };
        let Some(chat) = &self.chat else {
            return Ok(joined(&question));
        };
        let mut messages = Vec::new();
        if let Some(system) = &chat.system {
            messages.push(Message::new(Role::System, system));
        }
        match chat.shot_turns {
            ShotTurns::Joined => messages.push(Message::new(Role::User, joined(&question))),
            ShotTurns::Separate => {
                for shot in shots {
                    messages.push(Message::new(Role::User, &shot.prompt));
                    messages.push(Message::new(Role::Assistant, &shot.answer));
                }
                messages.push(Message::new(Role::User, question));
                if let Some(first) = messages.iter_mut().find(|it| it.role == Role::User) {
                    first.content.insert_str(0, &self.preamble);
                }
            }
        }
        let text = chat.template.render(&messages, GenerationPrompt::Append);
        Ok(text?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}\
        {% if add_generation_prompt %}<assistant>{% endif %}";

    fn text(prompting: &Prompting) -> String {
        let shot = Shot {
            prompt: "1?".into(),
            delimiter: " ".into(),
            answer: "one".into(),
        };
        let shots = [&shot, &shot];
        prompting.prompt(&shots, "\n\n", "2?".into()).unwrap()
    }

    #[test]
    fn examples_stand_before_the_question_and_the_preamble_before_them() {
        let prompting = Prompting {
            preamble: "Numbers.\n\n".into(),
            ..Prompting::default()
        };
        assert_eq!(text(&prompting), "Numbers.\n\n1? one\n\n1? one\n\n2?");
    }

    #[test]
    fn in_a_chat_examples_are_joined_or_turns_of_their_own() {
        let chat = |shot_turns| Prompting {
            preamble: "Numbers. ".into(),
            shots: None,
            chat: Some(ChatPrompting {
                template: ChatTemplate::new(TEMPLATE, "", "").unwrap(),
                system: Some("Be brief.".into()),
                shot_turns,
            }),
        };
        assert_eq!(
            text(&chat(ShotTurns::Joined)),
            "<system>Be brief.\n<user>Numbers. 1? one\n\n1? one\n\n2?\n<assistant>"
        );
        assert_eq!(
            text(&chat(ShotTurns::Separate)),
            "<system>Be brief.\n<user>Numbers. 1?\n<assistant>one\n<user>1?\n<assistant>one\n<user>2?\n<assistant>"
        );
    }
}
