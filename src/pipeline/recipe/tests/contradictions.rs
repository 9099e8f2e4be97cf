//! Keys that are right alone and wrong together.

use super::*;

#[test]
fn what_a_decaying_schedule_needs_is_checked_together() {
    let wsd = "schedule.kind=wsd";
    assert!(parse(STORIES, &[wsd, "schedule.decay_steps=180"]).is_ok());
    assert_eq!(
        problem(STORIES, &[wsd, "schedule.decay_steps=181"]).key,
        "experiment.search_steps"
    );
    assert_eq!(
        problem(STORIES, &[wsd, "schedule.decay_steps=481"]).key,
        "schedule.decay_steps"
    );
    assert_eq!(
        problem(CHAT, &["schedule.decay_steps=0"]).key,
        "schedule.decay_steps"
    );
}

#[test]
fn early_stopping_needs_something_to_watch() {
    let early = problem(CHAT, &["data.validation_fraction=0"]);
    assert_eq!(early.key, "training.early_stopping_patience");
    assert_eq!(
        problem(CHAT, &["training.evaluate_every_steps=2001"]).key,
        "training.evaluate_every_steps"
    );
}

#[test]
fn conversations_seen_differently_are_not_split() {
    assert_eq!(
        problem(CHAT, &["data.over_length=split"]).key,
        "data.over_length"
    );
    assert_eq!(
        problem(CHAT, &["data.erase.replace_system="]).key,
        "data.erase.replace_system"
    );
}

#[test]
fn layers_are_imitated_only_where_both_models_read_the_same() {
    let layers = "objective.layer_terms=[{ kind = 'hidden_cosine', weight = 1, layers = [{ student = 1, teacher = 1 }] }]";
    let recipe = parse(STORIES, &[layers]).unwrap().recipe;
    assert_eq!(recipe.objective.layer_terms().len(), 1);
    let found = problem(CHAT, &[layers]);
    assert_eq!(found.key, "data.erase");
    assert!(found.to_string().contains("live teacher"), "{found}");
    assert!(parse(CHAT, &[layers, "data.erase=keep"]).is_ok());
}

#[test]
fn the_textbook_takes_no_files_and_counts_its_splits_in_items() {
    let textbook = |section: &str| {
        let recipe = STORIES
            .replace("files = [\"TinyStories.txt\"]", "files = []")
            .replace("format = \"text\"", "format = \"textbook\"")
            .replace("separator = \"<|endoftext|>\"\n", "")
            .replace("validation_fraction = 0.05", "validation_fraction = 0.0")
            .replace("test_fraction = 0.1", "test_fraction = 0.0");
        recipe.replace("[teacher]", &format!("{section}\n[teacher]"))
    };
    let section = "[data.textbook]\nseed = 1\nstory_ratio = 0.2\ntrain_items = 9\nvalidation_items = 2\ntest_items = 2";
    let recipe = textbook(section);
    assert_eq!(
        parse(&recipe, &[])
            .unwrap()
            .recipe
            .data
            .textbook
            .unwrap()
            .train_items,
        9
    );
    assert_eq!(problem(&textbook(""), &[]).key, "data.textbook");
    for (assignment, key) in [
        ("data.files=['a']", "data.files"),
        ("data.separator=x", "data.separator"),
        ("data.test_fraction=0.1", "data.test_fraction"),
        ("data.max_train_documents=7", "data.max_train_documents"),
        ("data.chat_template=teacher", "data.chat_template"),
        ("data.textbook.train_items=0", "data.textbook.train_items"),
        ("data.textbook.story_ratio=1.5", "data.textbook.story_ratio"),
        (
            "data.textbook.validation_items=0",
            "experiment.learning_rates",
        ),
    ] {
        assert_eq!(problem(&recipe, &[assignment]).key, key, "{assignment}");
    }
    let with_files = STORIES.replace("[teacher]", &format!("{section}\n[teacher]"));
    assert_eq!(problem(&with_files, &[]).key, "data.textbook");
}
