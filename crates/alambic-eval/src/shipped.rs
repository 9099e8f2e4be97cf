//! The tasks that come with the crate.

use crate::EvalError;
use crate::task::Task;

/// File names and contents of `tasks/`.
const TASKS: [(&str, &str); 24] = [
    ("agieval", include_str!("../tasks/agieval.toml")),
    (
        "agieval_answers",
        include_str!("../tasks/agieval_answers.toml"),
    ),
    ("arc", include_str!("../tasks/arc.toml")),
    (
        "arc_easy_foundry",
        include_str!("../tasks/arc_easy_foundry.toml"),
    ),
    ("bbh", include_str!("../tasks/bbh.toml")),
    ("bbh_direct", include_str!("../tasks/bbh_direct.toml")),
    ("boolq", include_str!("../tasks/boolq.toml")),
    ("copa_foundry", include_str!("../tasks/copa_foundry.toml")),
    ("crass", include_str!("../tasks/crass.toml")),
    ("dolly", include_str!("../tasks/dolly.toml")),
    ("drop", include_str!("../tasks/drop.toml")),
    ("gsm8k", include_str!("../tasks/gsm8k.toml")),
    ("hellaswag", include_str!("../tasks/hellaswag.toml")),
    (
        "hellaswag_foundry",
        include_str!("../tasks/hellaswag_foundry.toml"),
    ),
    ("lambada", include_str!("../tasks/lambada.toml")),
    ("mmlu", include_str!("../tasks/mmlu.toml")),
    ("mmlu_answers", include_str!("../tasks/mmlu_answers.toml")),
    ("openbook_qa", include_str!("../tasks/openbook_qa.toml")),
    (
        "openbook_qa_foundry",
        include_str!("../tasks/openbook_qa_foundry.toml"),
    ),
    ("piqa", include_str!("../tasks/piqa.toml")),
    ("piqa_foundry", include_str!("../tasks/piqa_foundry.toml")),
    ("race", include_str!("../tasks/race.toml")),
    ("self_instruct", include_str!("../tasks/self_instruct.toml")),
    ("winogrande", include_str!("../tasks/winogrande.toml")),
];

/// The names of all tasks that come with the crate.
///
/// ```
/// assert!(alambic_eval::shipped_tasks().any(|name| name == "mmlu"));
/// ```
pub fn shipped_tasks() -> impl Iterator<Item = &'static str> {
    TASKS.iter().map(|(name, _)| *name)
}

/// A task by its name.
///
/// # Errors
/// [`EvalError::Task`] naming all tasks, if there is none of the name.
pub fn shipped_task(name: &str) -> Result<Task, EvalError> {
    let found = TASKS.iter().find(|(known, _)| *known == name);
    let Some((_, text)) = found else {
        let names: Vec<&str> = shipped_tasks().collect();
        return Err(EvalError::Task {
            task: name.to_owned(),
            problem: format!("expected one of {}", names.join(", ")),
        });
    };
    text.parse()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_sound_and_named_as_its_file() {
        for name in shipped_tasks() {
            assert_eq!(shipped_task(name).unwrap().name, name);
        }
        let error = shipped_task("mmul").unwrap_err().to_string();
        assert!(error.contains("mmlu"), "{error}");
    }
}
