//! What a loaded recipe says when it is written out, and that it is read back the same.

use super::*;

#[test]
fn a_written_recipe_is_read_back_the_same_from_anywhere() {
    for text in [STORIES, CHAT] {
        let recipe = parse(
            text,
            &["cache.path=shared/cache", "data.max_train_documents=7"],
        )
        .unwrap()
        .recipe;
        let elsewhere = RecipeText {
            name: "resolved.toml",
            text: &recipe.to_toml().unwrap(),
            directory: Path::new("/elsewhere"),
        };
        assert_eq!(Recipe::parse(&elsewhere, &[]).unwrap().recipe, recipe);
    }
}

#[test]
fn a_loaded_recipe_shows_the_defaults_that_it_runs_with() {
    let resolved = |changes: &[&str]| parse(STORIES, changes).unwrap().recipe;
    let recipe = resolved(&[]);
    assert_eq!(
        recipe.training.head_pass(),
        alambic_distill::loss::HeadPass::default()
    );
    let text = recipe.to_toml().unwrap();
    for line in [
        "tail = \"tail_bucket\"",
        "temperature_factor = \"squared\"",
        "head_pass = \"chunked\"",
        "chunk_bytes = 33554432",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let whole = resolved(&["training.head_pass=whole"]);
    assert!(!whole.to_toml().unwrap().contains("chunk_bytes"));
    let both = ["training.head_pass=whole", "training.chunk_bytes=9"];
    assert_eq!(problem(STORIES, &both).key, "training.chunk_bytes");
}

#[test]
fn a_term_has_a_ramp_and_reads_it_back() {
    let ramp =
        "objective.terms.1.ramp={ kind = 'cosine', to = 0.5, first_step = 1, last_step = 500 }";
    let recipe = parse(STORIES, &[ramp]).unwrap().recipe;
    assert_eq!(recipe.objective.terms[1].weight_at(500), 0.5);
    assert_eq!(recipe.objective.terms[0].ramp, None);
    let written = recipe.to_toml().unwrap();
    assert_eq!(parse(&written, &[]).unwrap().recipe, recipe);
}

#[test]
fn layer_terms_are_written_with_all_their_keys_and_read_back() {
    let terms = "objective.layer_terms=[\
        { kind = 'attention_relations', weight = 2, layers = [{ student = 3, teacher = 5 }], \
          ramp = { kind = 'linear', to = 0, first_step = 1, last_step = 500 }, \
          relations = ['value_value', 'query_key'], relation_heads = 3 }, \
        { kind = 'hidden_cosine', weight = 1, layers = [{ student = 0, teacher = 0 }, { student = 1, teacher = 2 }] }]";
    let recipe = parse(STORIES, &[terms]).unwrap().recipe;
    assert_eq!(recipe.objective.layer_terms()[1].layers.len(), 2);
    let written = recipe.to_toml().unwrap();
    assert_eq!(parse(&written, &[]).unwrap().recipe, recipe);
}
