//! A task's TOML file.

use alambic_text::{RecordExpression, RecordFormat};
use serde::{Deserialize, Serialize};

use crate::choice_question::ChoiceTemplates;
use crate::continuation_question::ContinuationTemplates;
use crate::generation_question::GenerationTemplates;
use crate::prefix_templates::PrefixTemplates;
use crate::task::{FewShotTemplates, QuestionTemplates, Task};
use crate::task_records::AnswersFile;

/// A task as it stands in a file: each kind of question has a table of its own, and one of them is there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskFile {
    name: String,
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    each: Option<RecordExpression>,
    records: RecordFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answers: Option<AnswersFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    choice: Option<ChoiceTemplates>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefixes: Option<PrefixTemplates>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    continuation: Option<ContinuationTemplates>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<GenerationTemplates>,
    #[serde(default)]
    few_shot: FewShotTemplates,
}

impl TryFrom<TaskFile> for Task {
    type Error = String;

    fn try_from(file: TaskFile) -> Result<Self, String> {
        let kinds = [
            file.choice.map(QuestionTemplates::Choice),
            file.prefixes.map(QuestionTemplates::Prefixes),
            file.continuation.map(QuestionTemplates::Continuation),
            file.generation.map(QuestionTemplates::Generation),
        ];
        let mut kinds: Vec<QuestionTemplates> = kinds.into_iter().flatten().collect();
        let found = kinds.len();
        let question = kinds.pop().filter(|_| found == 1).ok_or_else(|| {
            format!(
                "expected one of the tables choice, prefixes, continuation and generation, found {found} of them"
            )
        })?;
        if let Some(answers) = &file.answers {
            answers.check()?;
        }
        if let QuestionTemplates::Generation(templates) = &question {
            templates.check()?;
        }
        Ok(Self {
            name: file.name,
            description: file.description,
            records: file.records,
            each: file.each,
            answers: file.answers,
            question,
            few_shot: file.few_shot,
        })
    }
}

impl From<Task> for TaskFile {
    fn from(task: Task) -> Self {
        let mut file = Self {
            name: task.name,
            description: task.description,
            each: task.each,
            records: task.records,
            answers: task.answers,
            choice: None,
            prefixes: None,
            continuation: None,
            generation: None,
            few_shot: task.few_shot,
        };
        match task.question {
            QuestionTemplates::Choice(templates) => file.choice = Some(templates),
            QuestionTemplates::Prefixes(templates) => file.prefixes = Some(templates),
            QuestionTemplates::Continuation(templates) => file.continuation = Some(templates),
            QuestionTemplates::Generation(templates) => file.generation = Some(templates),
        }
        file
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TASK: &str = r#"
        name = "letters"
        description = "Letters for answers"
        [records]
        format = "json_lines"
        [choice]
        prompt = "{{ question }}\nAnswer:"
        choices = "['A', 'B', 'C']"
        answer = "'ABC'.find(label)"
    "#;

    #[test]
    fn a_task_survives_its_file() {
        let task: Task = TASK.parse().unwrap();
        let written = toml::to_string(&task).unwrap();
        assert_eq!(written.parse::<Task>().unwrap(), task);
    }

    #[test]
    fn a_task_that_cannot_work_is_refused_when_it_is_read() {
        for (from, to, told) in [
            ("{{ question }}", "{{ question", "prompt"),
            ("'ABC'.find(label)", "'ABC'.find(", "answer"),
            ("json_lines", "xml", "xml"),
            ("answer =", "anser =", "anser"),
            ("[choice]", "[choices]", "choices"),
            ("[choice]", "[few_shot]\n[choice]\n", ""),
            (
                "[choice]",
                "[continuation]\nprompt = ''\ncontinuation = ''\n[choice]",
                "found 2 of them",
            ),
            (
                "[records]",
                "[answers]\nfile = \"labels.lst\"\nfield = \"label\"\n[records]",
                "{stem}",
            ),
        ] {
            let result = TASK.replacen(from, to, 1).parse::<Task>();
            match told {
                "" => assert!(result.is_ok(), "{result:?}"),
                told => {
                    let error = result.unwrap_err().to_string();
                    assert!(error.contains(told), "{error}");
                }
            }
        }
        for (stop, new_tokens, told) in [("'a', ''", 5, "stop"), ("'a'", 0, "max_new_tokens")] {
            let generation = format!(
                "name = 'x'\ndescription = ''\nrecords = {{ format = 'json_lines' }}\n[generation]\nprompt = ''\n\
                 answers = 'a'\nextraction = {{ find = 'whole' }}\ncomparison = {{ by = 'number' }}\n\
                 stop = [{stop}]\nmax_new_tokens = {new_tokens}"
            );
            let error = generation.parse::<Task>().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        let none = "name = 'x'\ndescription = ''\n[records]\nformat = 'json_lines'";
        let error = none.parse::<Task>().unwrap_err().to_string();
        assert!(error.contains("found 0 of them"), "{error}");
    }
}
