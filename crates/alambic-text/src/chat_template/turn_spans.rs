//! Where the turns of an assistant stand in a rendered conversation.

use std::ops::Range;

use super::{ChatTemplate, GenerationPrompt};
use crate::conversation::Message;
use crate::error::TextError;

/// Contents that differ from their first byte to their last, and that no template strips.
const PROBES: [&str; 2] = ["\u{E000}", "\u{F8FF}"];

impl ChatTemplate {
    /// The bytes of `text`, the rendering of all messages, that are the turn of the assistant's message `index`.
    pub(super) fn turn_span(
        &self,
        messages: &[Message],
        index: usize,
        text: &str,
    ) -> Result<Range<usize>, TextError> {
        let inconsistent = |boundary| TextError::TemplateNotPrefixConsistent {
            message: index,
            boundary,
        };
        let content = self.content_span(messages, index, text);
        let before = self.render(&messages[..index], GenerationPrompt::Append)?;
        let start = match (text.starts_with(&before), &content) {
            (true, None) => before.len(),
            // The content may begin as the opening of a turn that is to be written ends.
            (true, Some(content)) => before.len().min(content.start),
            // The template opens an earlier turn in another way than one that is to be written, such as
            // without the reasoning: the two are one up to the content.
            (false, Some(content)) if content.start <= common_start(&before, text) => content.start,
            (false, _) => return Err(inconsistent("start")),
        };
        let through = self.render(&messages[..=index], GenerationPrompt::Omit)?;
        let end = match text.starts_with(&through) {
            true => through.len(),
            // It writes the last turn otherwise than an earlier one; what follows the content is the same.
            false => {
                let as_last = self.content_span(&messages[..=index], index, &through);
                let ends = content.zip(as_last);
                let ends = ends.map(|(in_text, as_last)| (in_text.end, &through[as_last.end..]));
                ends.filter(|&(end, behind)| text[end..].starts_with(behind))
                    .map(|(end, behind)| end + behind.len())
                    .ok_or(inconsistent("end"))?
            }
        };
        match start <= end {
            true => Ok(start..end),
            false => Err(inconsistent("end")),
        }
    }

    /// The bytes of `text` that are the content of a message, as the template writes it.
    ///
    /// Two renderings with other contents differ there and nowhere else. `None` where the template writes the
    /// content several times, or writes other messages otherwise because of it.
    fn content_span(&self, messages: &[Message], index: usize, text: &str) -> Option<Range<usize>> {
        let [one, other] = PROBES.map(|probe| {
            let mut messages = messages.to_vec();
            messages[index].content = probe.to_owned();
            self.render(&messages, GenerationPrompt::Omit).ok()
        });
        let (one, other) = (one?, other?);
        let before = common_start(&one, &other);
        let (_, rest) = one.split_at_checked(before)?;
        let behind = rest.strip_prefix(PROBES[0])?;
        let is_there_alone = other[before..].strip_prefix(PROBES[1]) == Some(behind);
        let is_around_text = text.len() >= before + behind.len()
            && text.starts_with(&one[..before])
            && text.ends_with(behind);
        (is_there_alone && is_around_text).then(|| before..text.len() - behind.len())
    }
}

/// How many bytes two texts have in common at their start.
fn common_start(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    pairs.take_while(|(one, other)| one == other).count()
}
