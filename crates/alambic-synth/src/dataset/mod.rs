//! The conversations that are kept, as files.

mod card;
mod jsonl;
mod parquet;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::SynthError;
use crate::synthetic_conversation::SyntheticConversation;

pub use card::{DatasetCard, KindCounts, LengthStatistics};

/// How conversations are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetFormat {
    /// A line of JSON for each.
    Jsonl,
    /// A row of a Parquet file for each; sampling settings and verdicts are JSON in it.
    Parquet,
}

impl DatasetFormat {
    /// The name of the file with the conversations.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Jsonl => "conversations.jsonl",
            Self::Parquet => "conversations.parquet",
        }
    }
}

/// Writes the conversations into a directory, as a whole or not at all; returns the file's path.
///
/// # Errors
/// [`SynthError::File`].
pub fn write_conversations(
    directory: &Path,
    format: DatasetFormat,
    conversations: &[SyntheticConversation],
) -> Result<PathBuf, SynthError> {
    let path = directory.join(format.file_name());
    let bytes = match format {
        DatasetFormat::Jsonl => jsonl::bytes(conversations),
        DatasetFormat::Parquet => parquet::bytes(conversations),
    };
    write_whole(&path, &bytes)?;
    Ok(path)
}

/// Reads conversations that were written as lines of JSON.
///
/// # Errors
/// [`SynthError::File`]; [`SynthError::Line`] for a line that is none.
pub fn read_conversations(path: &Path) -> Result<Vec<SyntheticConversation>, SynthError> {
    jsonl::read(path)
}

/// Writes next to the file and renames, so that nothing half-written has its name.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), SynthError> {
    let mut name = std::ffi::OsString::from(".tmp-");
    name.push(path.file_name().unwrap_or(path.as_os_str()));
    let temporary = path.with_file_name(name);
    let write = || {
        std::fs::write(&temporary, bytes)?;
        std::fs::File::open(&temporary)?.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|source| SynthError::file("write", path, source))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use alambic_text::{
        Corpus, CorpusConfig, CorpusFormat, Document, Message, PromptErasing, Role,
    };

    use super::*;
    use crate::check::{CheckKind, Verdict};
    use crate::plan::request;
    use crate::prompt::{Prompt, Source};
    use crate::request::Sampling;
    use crate::strategy::Strategy;

    fn conversations() -> Vec<SyntheticConversation> {
        let prompt = Prompt {
            id: "p1".into(),
            kind: "sums".into(),
            labels: Vec::new(),
            user: "7 + 5?".into(),
            accepted: None,
            source: Source {
                name: "mine".into(),
                licence: "MIT".into(),
            },
        };
        let strategy = Strategy {
            name: "backwards".into(),
            description: String::new(),
            suits: Vec::new(),
            system_prompt: "Work backwards.".into(),
        };
        let sampling = Sampling {
            temperature: 0.5,
            top_p: None,
            top_k: Some(3),
            max_new_tokens: 9,
            stop: vec!["\n".into()],
            seed: 1,
        };
        let verdicts = vec![Verdict::new(CheckKind::Finished, true, "stop")];
        let conversation = |strategy: Option<&Strategy>, erasing| {
            let request = request(&prompt, strategy, 0, &sampling);
            SyntheticConversation::new(&prompt, &request, "12", "big", &erasing, verdicts.clone())
        };
        vec![
            conversation(Some(&strategy), PromptErasing::RemoveSystem),
            conversation(
                Some(&strategy),
                PromptErasing::ReplaceSystem("Be brief.".into()),
            ),
            conversation(Some(&strategy), PromptErasing::Keep),
            conversation(None, PromptErasing::RemoveSystem),
        ]
    }

    #[test]
    fn the_students_messages_never_hold_an_erased_prompt() {
        let seen: Vec<Vec<String>> = conversations()
            .iter()
            .map(|it| {
                it.messages
                    .iter()
                    .map(|message| message.content.clone())
                    .collect()
            })
            .collect();
        let expected = [
            vec!["7 + 5?", "12"],
            vec!["Be brief.", "7 + 5?", "12"],
            vec!["Work backwards.", "7 + 5?", "12"],
            vec!["7 + 5?", "12"],
        ];
        assert_eq!(seen, expected);
        let erased = conversations().into_iter().map(|it| it.teacher_system);
        let expected = [Some("Work backwards."), Some("Work backwards."), None, None];
        assert_eq!(
            erased.collect::<Vec<_>>(),
            expected.map(|it| it.map(str::to_owned))
        );
    }

    #[test]
    fn both_formats_are_documents_of_a_corpus_with_both_views() {
        let dir = tempfile::tempdir().unwrap();
        for (format, corpus) in [
            (DatasetFormat::Jsonl, CorpusFormat::Jsonl),
            (DatasetFormat::Parquet, CorpusFormat::Parquet),
        ] {
            let path = write_conversations(dir.path(), format, &conversations()).unwrap();
            let corpus = Corpus::open(CorpusConfig {
                files: vec![path],
                format: corpus,
                erasing: PromptErasing::Keep,
            });
            let documents = corpus.unwrap().documents();
            for (document, expected) in documents.zip(conversations()) {
                let Document::Conversation(read) = document.unwrap().document else {
                    panic!("expected a conversation");
                };
                assert_eq!(read.student_view().messages(), expected.messages);
                let teacher = read.teacher_view();
                let system = teacher.messages().iter().find(|it| it.role == Role::System);
                let strategy = Message::new(Role::System, "Work backwards.");
                assert_eq!(system, expected.strategy.map(|_| strategy).as_ref());
            }
        }
        let read = read_conversations(&dir.path().join("conversations.jsonl")).unwrap();
        assert_eq!(read, conversations());
    }
}
