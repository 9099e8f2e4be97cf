//! `student.tokenizer`: what a student with a tokenizer of its own can learn from, and what it cannot.

use alambic_distill::loss::LossKind;

use super::Recipe;
use super::check::Checker;
use super::data::OverLength;
use super::problem::Problem;
use super::student::STUDENT_TOKENIZER;

/// Reports keys that contradict a tokenizer of the student's own, or the lack of one.
pub(super) fn check(recipe: &Recipe, checker: &mut Checker) {
    check_terms(recipe, checker);
    match recipe.student.tokenizer {
        Some(_) => check_with_tokenizer(recipe, checker),
        None => checker.require_all(
            &[STUDENT_TOKENIZER],
            recipe.cache.is_some(),
            Problem::new(
                "cache",
                "a section: what is kept of the teacher's answers",
                "nothing",
            )
            .advise("for example top_k = 32, values = \"f16\", segments_per_shard = 128"),
        ),
    }
}

/// Losses between two vocabularies belong to a tokenizer of the student's own, and with it no others do but
/// cross-entropy.
fn check_terms(recipe: &Recipe, checker: &mut Checker) {
    let own = recipe.student.tokenizer.is_some();
    for (index, term) in recipe.objective.terms.iter().enumerate() {
        let (expected, advice) = match (own, term.kind.compares_vocabularies()) {
            (true, true) | (false, false) => continue,
            (true, false) if term.kind == LossKind::CrossEntropy => continue,
            (true, false) => (
                format!(
                    "\"universal_logit\", \"hybrid_logit\" or \"cross_entropy\", because {STUDENT_TOKENIZER} is given"
                ),
                "it compares probabilities of the same tokens, which two tokenizers do not have",
            ),
            (false, true) => (
                format!("a kind between the same tokens, because {STUDENT_TOKENIZER} is not given"),
                "student and teacher have one vocabulary: use a divergence such as \"forward_kl\", or give the \
                 student a tokenizer of its own",
            ),
        };
        let found = format!("{:?}", term.kind.name());
        let key = format!("objective.terms.{index}.kind");
        let problem = Problem::new(key, expected, found).advise(advice);
        checker.require_all(&[STUDENT_TOKENIZER], false, problem);
    }
}

fn check_with_tokenizer(recipe: &Recipe, checker: &mut Checker) {
    let none = format!("no such key, because {STUDENT_TOKENIZER} is given");
    let superfluous = [
        (
            "cache",
            recipe.cache.is_some(),
            "no cache keeps distributions over another vocabulary: the teacher answers while the student trains; \
             remove the section",
        ),
        (
            "objective.tail",
            recipe.objective.tail.is_some(),
            "a live teacher leaves no token out, so there is no tail to treat: remove it",
        ),
        (
            "objective.layer_terms",
            recipe.objective.layer_terms.is_some(),
            "states of layers are compared token by token, and two tokenizers cut elsewhere: remove it",
        ),
        (
            "student.teacher_layers",
            recipe.student.teacher_layers.is_some(),
            "the teacher's embedding and head belong to its own tokens: remove it",
        ),
        (
            "data.chat_template",
            recipe.data.chat_template.is_some(),
            "only plain text is aligned so far: each model has a template of its own for conversations",
        ),
    ];
    for (key, is_given, advice) in superfluous {
        let problem = Problem::new(key, &none, "one").advise(advice);
        checker.require_all(&[STUDENT_TOKENIZER], !is_given, problem);
    }
    let over_length = recipe.data.over_length;
    let reads_all = matches!(over_length, OverLength::Error | OverLength::Split);
    let problem = Problem::new(
        "data.over_length",
        format!("\"error\" or \"split\", because {STUDENT_TOKENIZER} is given"),
        match over_length {
            OverLength::Truncate => "\"truncate\"",
            _ => "\"skip\"",
        },
    )
    .advise("each tokenizer has another length of a text, so that the models would be measured on unlike text");
    checker.require_all(&[STUDENT_TOKENIZER], reads_all, problem);
}
