//! Conversations, and what teacher and student see of them.

use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that set the scene.
    System,
    /// The person who asks.
    User,
    /// The model that answers; its turns are what a student learns.
    Assistant,
    /// The result of a tool.
    Tool,
}

impl Role {
    /// The role's name as data files and chat templates write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::System, Self::User, Self::Assistant, Self::Tool]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

/// One turn of a conversation.
///
/// Read from JSON, a message has exactly these two keys: another key (`tool_calls`, `name`) is an
/// error, because dropping it would change what the teacher is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of `role` that says `content`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// What the student does not see of the teacher's prompt.
///
/// A teacher answers better under a strategy prompt ("think step by step, then ..."). Removing that
/// prompt from the student's side makes the student learn the strategy itself: *prompt erasing*
/// (Mitra et al. 2023, Orca 2, arXiv:2311.11045, section 3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptErasing {
    /// Both see the same.
    #[default]
    Keep,
    /// The student sees no system message.
    RemoveSystem,
    /// The student sees this one system message, first, in place of all system messages.
    ///
    /// A conversation without a system message gets it as well: the student always sees it.
    ReplaceSystem(String),
}

/// Messages, and how much of them the student sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// The turns, as the teacher sees them.
    pub messages: Vec<Message>,
    /// What the student does not see.
    pub erasing: PromptErasing,
}

impl Conversation {
    /// A conversation that the student sees as it is, and whose teacher saw this system message in place of the student's.
    ///
    /// None if the student sees a system message elsewhere than at the beginning.
    ///
    /// ```
    /// use alambic_text::{Conversation, Message, Role};
    ///
    /// let seen = vec![Message::new(Role::User, "7 + 5?"), Message::new(Role::Assistant, "12")];
    /// let conversation = Conversation::with_teacher_system(seen.clone(), "Work backwards.").unwrap();
    /// assert_eq!(conversation.student_view().messages(), seen);
    /// assert_eq!(conversation.teacher_view().messages()[0].content, "Work backwards.");
    /// ```
    #[must_use]
    pub fn with_teacher_system(mut seen: Vec<Message>, teacher_system: &str) -> Option<Self> {
        let teacher_system = Message::new(Role::System, teacher_system);
        let erasing = match seen.first_mut() {
            Some(first) if first.role == Role::System => {
                PromptErasing::ReplaceSystem(std::mem::replace(first, teacher_system).content)
            }
            _ => {
                seen.insert(0, teacher_system);
                PromptErasing::RemoveSystem
            }
        };
        let further = seen[1..].iter().any(|message| message.role == Role::System);
        (!further).then_some(Self {
            messages: seen,
            erasing,
        })
    }

    /// What the teacher is asked: every message.
    ///
    /// ```
    /// use alambic_text::{Conversation, Message, PromptErasing, Role};
    ///
    /// let conversation = Conversation {
    ///     messages: vec![
    ///         Message::new(Role::System, "Work backwards from the answer."),
    ///         Message::new(Role::User, "7 + 5?"),
    ///         Message::new(Role::Assistant, "12"),
    ///     ],
    ///     erasing: PromptErasing::RemoveSystem,
    /// };
    /// assert_eq!(conversation.teacher_view().messages().len(), 3);
    /// assert_eq!(conversation.student_view().messages().len(), 2);
    /// ```
    #[must_use]
    pub fn teacher_view(&self) -> TeacherView {
        TeacherView(self.messages.clone())
    }

    /// What the student is trained on: the messages after [`PromptErasing`].
    #[must_use]
    pub fn student_view(&self) -> StudentView {
        let without_system = || {
            self.messages
                .iter()
                .filter(|message| message.role != Role::System)
                .cloned()
        };
        StudentView(match &self.erasing {
            PromptErasing::Keep => self.messages.clone(),
            PromptErasing::RemoveSystem => without_system().collect(),
            PromptErasing::ReplaceSystem(prompt) => {
                std::iter::once(Message::new(Role::System, prompt.clone()))
                    .chain(without_system())
                    .collect()
            }
        })
    }
}

/// The messages that the teacher sees; only a [`Conversation`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeacherView(Vec<Message>);

impl TeacherView {
    /// The messages, in order.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.0
    }
}

/// The messages that the student sees; only a [`Conversation`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudentView(Vec<Message>);

impl StudentView {
    /// The messages, in order.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn conversation(erasing: PromptErasing) -> Conversation {
        Conversation {
            messages: vec![
                Message::new(Role::System, "strategy"),
                Message::new(Role::User, "question"),
                Message::new(Role::System, "reminder"),
                Message::new(Role::Assistant, "answer"),
            ],
            erasing,
        }
    }

    #[test]
    fn the_teacher_always_sees_every_message() {
        for erasing in [
            PromptErasing::Keep,
            PromptErasing::RemoveSystem,
            PromptErasing::ReplaceSystem("generic".into()),
        ] {
            let conversation = conversation(erasing);
            assert_eq!(
                conversation.teacher_view().messages(),
                conversation.messages
            );
        }
    }

    #[test]
    fn keeping_shows_the_student_everything() {
        let conversation = conversation(PromptErasing::Keep);
        assert_eq!(
            conversation.student_view().messages(),
            conversation.messages
        );
    }

    #[test]
    fn removing_the_system_prompt_leaves_no_system_message() {
        let view = conversation(PromptErasing::RemoveSystem).student_view();
        let roles: Vec<Role> = view.messages().iter().map(|m| m.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant]);
    }

    #[test]
    fn replacing_the_system_prompt_leaves_exactly_that_one_and_puts_it_first() {
        let view = conversation(PromptErasing::ReplaceSystem("generic".into())).student_view();
        assert_eq!(view.messages().len(), 3);
        assert_eq!(view.messages()[0], Message::new(Role::System, "generic"));
        assert!(view.messages()[1..].iter().all(|m| m.role != Role::System));
    }

    #[test]
    fn the_teachers_system_message_takes_the_place_of_the_students() {
        let seen = |roles: &[Role]| -> Vec<Message> {
            roles
                .iter()
                .map(|role| Message::new(*role, role.as_str()))
                .collect()
        };
        for roles in [
            &[Role::System, Role::User][..],
            &[Role::User, Role::Assistant],
            &[],
        ] {
            let conversation = Conversation::with_teacher_system(seen(roles), "strategy").unwrap();
            assert_eq!(conversation.student_view().messages(), seen(roles));
            let teacher = conversation.teacher_view();
            assert_eq!(
                teacher.messages()[0],
                Message::new(Role::System, "strategy")
            );
            let rest: Vec<_> = seen(roles)
                .into_iter()
                .filter(|it| it.role != Role::System)
                .collect();
            assert_eq!(teacher.messages()[1..], rest);
        }
        for roles in [[Role::User, Role::System], [Role::System, Role::System]] {
            assert_eq!(
                Conversation::with_teacher_system(seen(&roles), "strategy"),
                None
            );
        }
    }

    #[test]
    fn messages_with_other_keys_or_roles_are_refused() {
        let with_calls = r#"{"role": "assistant", "content": "", "tool_calls": []}"#;
        assert!(serde_json::from_str::<Message>(with_calls).is_err());
        assert!(serde_json::from_str::<Message>(r#"{"role": "human", "content": ""}"#).is_err());
        let message: Message = serde_json::from_str(r#"{"role": "tool", "content": "4"}"#).unwrap();
        assert_eq!(message.role, Role::Tool);
    }

    #[test]
    fn role_names_are_the_serialised_names() {
        for role in [Role::System, Role::User, Role::Assistant, Role::Tool] {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_name("System"), None);
    }
}
