//! From documents to tokens with a loss mask.

use std::ops::Range;
use std::sync::Arc;

use crate::chat_template::ChatTemplate;
use crate::conversation::{Conversation, Message, Role};
use crate::document::{Document, DocumentSource, SourcedDocument};
use crate::error::TextError;
use crate::example::{StudentExample, TeacherExample, TokenizedExample, TokenizedPair};
use crate::tokenizer::{SpecialTokens, Tokenizer};

/// What is put behind a plain text.
///
/// Conversations are not affected: their template ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// This token, as a counted label: the student learns to stop.
    EndOfText(u32),
    /// Nothing.
    None,
}

/// Turns documents into pairs of tokenised examples.
///
/// # Which tokens are labels
/// - Plain text: every token but the first. The tokenizer adds its beginning token, if it has one.
/// - Conversation: the tokens that overlap an assistant turn, which ends with the template's
///   end-of-turn marker. The template writes all special tokens; the tokenizer adds none.
///
/// Special tokens that are spelled out in a document (`<|endoftext|>` inside a story) become those
/// tokens, as with other tools; documents from strangers should be checked for them.
#[derive(Debug, Clone)]
pub struct ExampleTokenizer {
    tokenizer: Arc<Tokenizer>,
    template: Option<ChatTemplate>,
    ending: Ending,
}

impl ExampleTokenizer {
    /// Combines a tokenizer with the template for conversations, which plain text does not need.
    #[must_use]
    pub fn new(tokenizer: Arc<Tokenizer>, template: Option<ChatTemplate>, ending: Ending) -> Self {
        Self {
            tokenizer,
            template,
            ending,
        }
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// Tokenises both views of a document.
    ///
    /// # Errors
    /// [`TextError::Tokenise`] with the document and the reason if encoding or rendering fails;
    /// [`TextError::NoChatTemplate`] and [`TextError::NoAssistantTurn`] for conversations that
    /// cannot be rendered or learned; [`TextError::LabelsDiffer`] if the views do not have the
    /// same labels, for example because the template moves text from a system prompt into an
    /// assistant turn.
    pub fn tokenize(&self, document: &SourcedDocument) -> Result<TokenizedPair, TextError> {
        let place = &document.source;
        match &document.document {
            Document::Text(text) => {
                let example = self
                    .text_example(text, place)
                    .map_err(|source| at(place, source))?;
                Ok(TokenizedPair {
                    teacher: TeacherExample(example.clone()),
                    student: StudentExample(example),
                })
            }
            Document::Conversation(conversation) => self.conversation_pair(conversation, place),
        }
    }

    fn text_example(
        &self,
        text: &str,
        place: &DocumentSource,
    ) -> Result<TokenizedExample, TextError> {
        let mut encoding = self.tokenizer.encode(text, SpecialTokens::Add)?;
        if let Ending::EndOfText(token_id) = self.ending {
            if self.tokenizer.id_to_token(token_id).is_none() {
                return Err(TextError::UnknownToken {
                    token_id,
                    vocab_size: self.tokenizer.vocab_size(),
                });
            }
            encoding.ids.push(token_id);
            encoding.byte_offsets.push((text.len(), text.len()));
        }
        let loss_mask = (0..encoding.ids.len()).map(|i| i > 0).collect();
        Ok(TokenizedExample {
            token_ids: encoding.ids,
            loss_mask,
            byte_offsets: encoding.byte_offsets,
            source: place.clone(),
        })
    }

    fn conversation_pair(
        &self,
        conversation: &Conversation,
        place: &DocumentSource,
    ) -> Result<TokenizedPair, TextError> {
        let Some(template) = &self.template else {
            return Err(TextError::NoChatTemplate {
                place: place.clone(),
            });
        };
        let teacher_view = conversation.teacher_view();
        let student_view = conversation.student_view();
        let teacher =
            TeacherExample(self.chat_example(template, teacher_view.messages(), place)?);
        let student =
            StudentExample(self.chat_example(template, student_view.messages(), place)?);
        check_labels(&teacher.0, &student.0)?;
        Ok(TokenizedPair { teacher, student })
    }

    fn chat_example(
        &self,
        template: &ChatTemplate,
        messages: &[Message],
        place: &DocumentSource,
    ) -> Result<TokenizedExample, TextError> {
        if messages
            .iter()
            .all(|message| message.role != Role::Assistant)
        {
            return Err(TextError::NoAssistantTurn {
                place: place.clone(),
                messages: messages.len(),
            });
        }
        let chat = template
            .render_spans(messages)
            .map_err(|source| at(place, source))?;
        let encoding = self
            .tokenizer
            .encode(&chat.text, SpecialTokens::Omit)
            .map_err(|source| at(place, source))?;
        let spans = &chat.assistant_spans;
        let mut loss_mask: Vec<bool> = encoding
            .byte_offsets
            .iter()
            .map(|&token| spans.iter().any(|span| overlaps(token, span)))
            .collect();
        if let Some(first) = loss_mask.first_mut() {
            // Nothing stands before the first token from which it could be predicted.
            *first = false;
        }
        Ok(TokenizedExample {
            token_ids: encoding.ids,
            loss_mask,
            byte_offsets: encoding.byte_offsets,
            source: place.clone(),
        })
    }
}

/// Whether a token has a byte in a span; a token without bytes counts by its place.
fn overlaps((start, end): (usize, usize), span: &Range<usize>) -> bool {
    start < span.end && (end > span.start || start >= span.start)
}

fn check_labels(teacher: &TokenizedExample, student: &TokenizedExample) -> Result<(), TextError> {
    let teacher_labels: Vec<u32> = teacher.labels().collect();
    let student_labels: Vec<u32> = student.labels().collect();
    if teacher_labels == student_labels {
        return Ok(());
    }
    let same = teacher_labels.iter().zip(&student_labels);
    Err(TextError::LabelsDiffer {
        place: teacher.source.clone(),
        teacher_labels: teacher_labels.len(),
        student_labels: student_labels.len(),
        first_difference: same
            .take_while(|(teacher, student)| teacher == student)
            .count(),
    })
}

fn at(place: &DocumentSource, source: TextError) -> TextError {
    TextError::Tokenise {
        place: place.clone(),
        source: Box::new(source),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::conversation::PromptErasing;
    use crate::tokenizer::SpecialTokensInText;

    const TEMPLATE: &str = "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|end|>\
        {% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}";

    fn tokenizer() -> Arc<Tokenizer> {
        let texts = ["the answer is twelve", "the question"].map(String::from);
        let special = ["<|turn|>", "<|end|>"];
        Arc::new(Tokenizer::train_byte_level_bpe(texts, 280, &special).unwrap())
    }

    fn with_template(source: &str) -> ExampleTokenizer {
        let template = ChatTemplate::new(source, "", "").unwrap();
        ExampleTokenizer::new(tokenizer(), Some(template), Ending::None)
    }

    fn sourced(document: Document) -> SourcedDocument {
        SourcedDocument {
            document,
            source: DocumentSource {
                path: "a.jsonl".into(),
                record: 3,
            },
        }
    }

    fn conversation(erasing: PromptErasing, turns: &[(Role, &str)]) -> SourcedDocument {
        let messages = turns
            .iter()
            .map(|(role, content)| Message::new(*role, *content))
            .collect();
        sourced(Document::Conversation(Conversation { messages, erasing }))
    }

    const STRATEGY: [(Role, &str); 5] = [
        (Role::System, "think twice"),
        (Role::User, "the question"),
        (Role::Assistant, "the answer is caf\u{e9}"),
        (Role::User, "sure?"),
        (Role::Assistant, "yes"),
    ];

    fn learned(example: &TokenizedExample) -> String {
        let labels: Vec<u32> = example.labels().collect();
        tokenizer()
            .decode(&labels, SpecialTokensInText::Show)
            .unwrap()
    }

    #[test]
    fn every_token_of_a_text_but_the_first_is_a_label() {
        let tokenise = ExampleTokenizer::new(tokenizer(), None, Ending::EndOfText(1));
        let pair = tokenise
            .tokenize(&sourced(Document::Text("the answer".into())))
            .unwrap();
        let example = pair.student().example();
        assert_eq!(example, pair.teacher().example());
        assert_eq!(example.token_ids.last(), Some(&1));
        assert_eq!(example.byte_offsets.last(), Some(&(10, 10)));
        assert!(!example.loss_mask[0]);
        assert!(example.loss_mask[1..].iter().all(|&counts| counts));
    }

    #[test]
    fn an_end_token_that_does_not_exist_is_an_error_with_the_place() {
        let tokenise = ExampleTokenizer::new(tokenizer(), None, Ending::EndOfText(9_999));
        let error = tokenise
            .tokenize(&sourced(Document::Text("a".into())))
            .unwrap_err();
        assert_eq!(error.to_string(), "cannot tokenise a.jsonl, record 3");
    }

    #[test]
    fn labels_of_a_conversation_are_its_assistant_turns_with_their_end() {
        let tokenise = with_template(TEMPLATE);
        let document = conversation(PromptErasing::Keep, &STRATEGY);
        let pair = tokenise.tokenize(&document).unwrap();
        assert_eq!(
            learned(pair.teacher().example()),
            "the answer is caf\u{e9}<|end|>yes<|end|>"
        );
        assert_eq!(pair.teacher().example(), pair.student().example());
    }

    #[test]
    fn erasing_the_prompt_changes_the_context_but_no_label() {
        let tokenise = with_template(TEMPLATE);
        for erasing in [
            PromptErasing::RemoveSystem,
            PromptErasing::ReplaceSystem("help".into()),
        ] {
            let pair = tokenise
                .tokenize(&conversation(erasing, &STRATEGY))
                .unwrap();
            let (teacher, student) = (pair.teacher().example(), pair.student().example());
            assert_ne!(teacher.token_ids, student.token_ids);
            assert_eq!(learned(teacher), learned(student));
            let seen = tokenizer()
                .decode(&student.token_ids, SpecialTokensInText::Show)
                .unwrap();
            assert!(!seen.contains("think twice"), "{seen}");
        }
    }

    #[test]
    fn a_template_that_lets_the_prompt_into_the_answer_is_caught() {
        let source = "{% set system = messages | selectattr('role', 'equalto', 'system') | list %}\
            {% for m in messages %}{{ m.role }}:{{ m.content }}\
            {% if m.role == 'assistant' %}{{ system | length }}{% endif %}|{% endfor %}\
            {% if add_generation_prompt %}assistant:{% endif %}";
        let tokenise = with_template(source);
        let document = conversation(PromptErasing::RemoveSystem, &STRATEGY[..3]);
        let error = tokenise.tokenize(&document).unwrap_err();
        assert!(matches!(error, TextError::LabelsDiffer { .. }), "{error}");
        assert!(
            error.to_string().starts_with("a.jsonl, record 3"),
            "{error}"
        );
    }

    #[test]
    fn conversations_without_an_answer_or_a_template_are_refused() {
        let unanswered = conversation(PromptErasing::Keep, &STRATEGY[..2]);
        let error = with_template(TEMPLATE).tokenize(&unanswered).unwrap_err();
        assert!(
            matches!(error, TextError::NoAssistantTurn { messages: 2, .. }),
            "{error}"
        );
        let empty = conversation(PromptErasing::Keep, &[]);
        assert!(
            with_template("{{ messages[0].role }}")
                .tokenize(&empty)
                .is_err()
        );

        let plain = ExampleTokenizer::new(tokenizer(), None, Ending::None);
        let error = plain
            .tokenize(&conversation(PromptErasing::Keep, &STRATEGY))
            .unwrap_err();
        assert!(matches!(error, TextError::NoChatTemplate { .. }), "{error}");
    }

    #[test]
    fn a_token_overlaps_a_span_if_they_share_a_byte() {
        let span = 3..6;
        assert!(overlaps((2, 4), &span) && overlaps((5, 9), &span) && overlaps((0, 9), &span));
        assert!(!overlaps((0, 3), &span) && !overlaps((6, 7), &span));
        assert!(overlaps((3, 3), &span) && overlaps((5, 5), &span));
        assert!(!overlaps((2, 2), &span) && !overlaps((6, 6), &span));
    }
}
