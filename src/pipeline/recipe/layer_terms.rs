//! `objective.layer_terms`: which layers of the teacher the student imitates.

use alambic_distill::loss::{
    AttentionRelation, LayerLossKind, LayerObjective, LayerTerm, LossError, ModelShapes,
};
use alambic_distill::trainer::model_shape;
use alambic_transformer::DecoderConfig;

use super::Recipe;
use super::check::Checker;
use super::data::PromptErasure;
use super::problem::Problem;
use super::student::StudentSection;

/// The key of the list.
const KEY: &str = "objective.layer_terms";

/// Reports what is wrong with losses between layers, as far as the recipe alone shows it.
pub(super) fn check(recipe: &Recipe, checker: &mut Checker) {
    let Some(terms) = &recipe.objective.layer_terms else {
        return;
    };
    checker.require(
        !terms.is_empty(),
        Problem::new(KEY, "at least one term", "an empty array").advise("or remove the key"),
    );
    for (index, term) in terms.iter().enumerate() {
        let key = format!("{KEY}.{index}");
        let weight = format!("{key}.weight");
        checker.not_negative(&weight, term.weight);
        let never = term.weight == 0.0 && term.ramp.is_none_or(|ramp| ramp.to == 0.0);
        checker.require(
            !never,
            Problem::new(weight, "a weight above 0 at some step", "0")
                .advise("a term without a weight costs the teacher's time for nothing: remove it"),
        );
        let ramp = term.ramp.as_ref();
        super::objective::check_ramp(checker, &key, ramp, recipe.training.total_steps);
        check_repetition(checker, &key, term, &terms[..index]);
        check_layers(checker, &key, term, &recipe.student);
        check_relations(checker, &key, term, &recipe.student);
    }
    if recipe.data.erase != PromptErasure::Keep {
        let problem = Problem::new(
            "data.erase",
            format!("\"keep\", because {KEY} are given"),
            recipe.data.erase.describe(),
        )
        .advise(
            "the layers are those of a live teacher, which reads what the student reads, and so would not see \
             the prompt that is erased; remove the layer terms or keep the prompt",
        );
        checker.require_all(&[KEY], false, problem);
    }
}

/// What only the teacher shows to be wrong with the layers that are named.
///
/// # Errors
/// [`LossError::LayerTerm`] with the term and the reason.
pub(in crate::pipeline) fn check_against_teacher(
    recipe: &Recipe,
    teacher: &DecoderConfig,
) -> Result<(), LossError> {
    let terms = recipe.objective.layer_terms();
    let student = recipe.student.student_of(teacher);
    let shapes = ModelShapes {
        student: model_shape(&student),
        teacher: model_shape(teacher),
    };
    LayerObjective::check(terms, shapes)
}

fn check_repetition(checker: &mut Checker, key: &str, term: &LayerTerm, before: &[LayerTerm]) {
    let Some(first) = before.iter().position(|other| other.kind == term.kind) else {
        return;
    };
    let first = format!("{KEY}.{first}");
    let problem = Problem::new(
        format!("{key}.kind"),
        format!("a kind other than that of {first}"),
        format!("{:?} again", term.kind.name()),
    )
    .advise("name each kind once, with all of its layers");
    checker.require_all(&[&format!("{first}.kind")], false, problem);
}

/// Reports layers that the student does not have, and those that no model has.
fn check_layers(checker: &mut Checker, key: &str, term: &LayerTerm, student: &StudentSection) {
    let (layers, kind) = (format!("{key}.layers"), format!("{key}.kind"));
    checker.require(
        !term.layers.is_empty(),
        Problem::new(&layers, "at least one pair", "an empty array")
            .advise("for example [{ student = 2, teacher = 4 }]"),
    );
    let last = student.num_hidden_layers;
    let relates = term.kind == LayerLossKind::AttentionRelations;
    let first = usize::from(relates); // hidden state 0 is the embedding's
    for (index, pair) in term.layers.iter().enumerate() {
        checker.require_all(
            &["student.num_hidden_layers", &kind],
            (first..=last).contains(&pair.student),
            Problem::new(
                format!("{layers}.{index}.student"),
                format!("a layer from {first} to student.num_hidden_layers ({last})"),
                pair.student,
            ),
        );
        checker.require_all(
            &[&kind],
            pair.teacher >= first,
            Problem::new(
                format!("{layers}.{index}.teacher"),
                format!("a layer from {first} on"),
                pair.teacher,
            ),
        );
        if let Some(again) = term.layers[..index].iter().position(|other| other == pair) {
            checker.report(Problem::new(
                format!("{layers}.{index}"),
                format!("a pair other than {layers}.{again}"),
                "the same again",
            ));
        }
    }
}

/// Reports relations that are not given, not read, or cannot be cut into heads.
fn check_relations(checker: &mut Checker, key: &str, term: &LayerTerm, student: &StudentSection) {
    let (name, kind) = (term.kind.name(), format!("{key}.kind"));
    let (relations, heads) = (format!("{key}.relations"), format!("{key}.relation_heads"));
    let reads = term.kind == LayerLossKind::AttentionRelations;
    for (key, is_given, expected) in [
        (
            &relations,
            term.relations.is_some(),
            "an array such as [\"value_value\"]",
        ),
        (&heads, term.relation_heads.is_some(), "a number of heads"),
    ] {
        let problem = match reads {
            true => Problem::new(key, format!("{expected}, which {name} reads"), "none"),
            false => Problem::new(key, format!("no such key, {name} does not read it"), "one")
                .advise("remove it"),
        };
        checker.require_all(&[&kind], is_given == reads, problem);
    }
    let named = term.relations.as_deref().unwrap_or_default();
    let is_empty = term.relations.is_some() && named.is_empty();
    checker.require(
        !is_empty,
        Problem::new(&relations, "at least one relation", "an empty array"),
    );
    for (index, relation) in named.iter().enumerate() {
        checker.require(
            !named[..index].contains(relation),
            Problem::new(
                format!("{relations}.{index}"),
                "each relation once",
                format!("{:?} again", relation.name()),
            ),
        );
    }
    let Some(count) = term.relation_heads else {
        return;
    };
    checker.at_least(1, &heads, count);
    for relation in named.iter().filter(|_| count > 0) {
        let (counted, of_model) = match relation {
            AttentionRelation::QueryKey | AttentionRelation::QueryQuery => {
                ("student.num_attention_heads", student.num_attention_heads)
            }
            AttentionRelation::KeyKey | AttentionRelation::ValueValue => {
                ("student.num_key_value_heads", student.num_key_value_heads)
            }
        };
        let width = of_model.saturating_mul(student.head_dim);
        let expected = format!(
            "a divisor of {width} ({counted} times student.head_dim), into which {} is cut",
            relation.name()
        );
        checker.require_all(
            &[counted, "student.head_dim", &kind],
            width.is_multiple_of(count),
            Problem::new(&heads, expected, count),
        );
    }
}
