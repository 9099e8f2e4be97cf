//! What a recipe is read as: paths, overrides, and values with several spellings.

use super::*;

#[test]
fn every_recipe_of_the_repository_loads() {
    // How the embedded teacher was made; it has its own type, and a test beside that.
    const NOT_A_RECIPE: &str = "quickstart_teacher.toml";
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut loaded = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with(NOT_A_RECIPE) || path.is_dir() {
            continue;
        }
        let recipe = Recipe::load(&path, &[])
            .unwrap_or_else(|error| panic!("{error}"))
            .recipe;
        assert_eq!(recipe.validate(), Ok(()));
        loaded += 1;
    }
    assert!(loaded >= 2);
}

#[test]
fn the_stories_student_has_at_most_90_000_parameters() {
    const TEACHER_VOCABULARY: usize = 512;
    const RECIPE: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/configs/stories260k_to_stories90k.toml"
    ));
    let student = parse(RECIPE, &[]).unwrap().recipe.student;
    let parameters = student.decoder_config(TEACHER_VOCABULARY).num_parameters();
    assert!(parameters <= 90_000, "{parameters}");
}

#[test]
fn erasure_is_a_word_or_a_table() {
    for (assignment, erase) in [
        ("data.erase=keep", PromptErasure::Keep),
        ("data.erase=remove_system", PromptErasure::RemoveSystem),
        (
            "data.erase={ replace_system = 'Hi' }",
            PromptErasure::ReplaceSystem("Hi".into()),
        ),
        (
            "data.erase.replace_system=Hi",
            PromptErasure::ReplaceSystem("Hi".into()),
        ),
    ] {
        assert_eq!(parse(CHAT, &[assignment]).unwrap().recipe.data.erase, erase);
    }
    for (assignment, expected) in [
        (
            "data.erase=replace_system",
            "a table { replace_system = ... }",
        ),
        ("data.erase={ keep = 1 }", "\"keep\" alone, as a string"),
        (
            "data.erase={}",
            "one of \"keep\", \"remove_system\", \"replace_system\"",
        ),
        (
            "data.erase=kep",
            "one of \"keep\", \"remove_system\", \"replace_system\"",
        ),
    ] {
        let problem = problem(CHAT, &[assignment]);
        assert_eq!(
            (problem.key.as_str(), problem.expected.as_str()),
            ("data.erase", expected),
            "{assignment}"
        );
    }
}

#[test]
fn a_cache_in_object_storage_is_named_by_its_url() {
    let with = |path: &str| [format!("cache.path={path}")];
    let recipe = |path| {
        let change = with(path);
        parse(CHAT, &[change[0].as_str()]).unwrap().recipe
    };
    let objects = recipe("s3://corpus/first");
    assert_eq!(
        objects.cache.as_ref().unwrap().path,
        Some(PathBuf::from("s3://corpus/first"))
    );
    let location = objects.cache.unwrap().location().unwrap();
    assert_eq!(
        location.join("train").to_string(),
        "s3://corpus/first/train"
    );
    let directory = recipe("file:///data/first")
        .cache
        .unwrap()
        .location()
        .unwrap();
    assert_eq!(directory.as_directory(), Some(Path::new("/data/first")));
    for wrong in ["s3://key:hunter22@corpus/first", "ftp://corpus/first"] {
        let change = with(wrong);
        let problem = problem(CHAT, &[change[0].as_str()]);
        assert_eq!(problem.key, "cache.path");
        assert!(!format!("{problem:?}").contains("hunter22"), "{problem:?}");
    }
}

#[test]
fn a_teacher_on_the_hub_is_no_path() {
    let recipe = parse(CHAT, &["teacher.path=hub:org/name@v1.0"])
        .unwrap()
        .recipe;
    assert_eq!(recipe.teacher.path, PathBuf::from("hub:org/name@v1.0"));
    let problem = problem(CHAT, &["teacher.path=hub:org/name/file"]);
    assert_eq!(problem.key, "teacher.path");
    assert!(
        problem.expected.contains("hub:ORG/NAME"),
        "{}",
        problem.expected
    );
}

#[test]
fn relative_paths_start_where_they_were_written() {
    let here = std::env::current_dir().unwrap();
    let recipe = parse(
        CHAT,
        &[
            "teacher.path=chat",
            "data.chat_template=chat.jinja",
            "cache.path=/absolute",
            "cache.reuse=['/first', 'second']",
        ],
    )
    .unwrap()
    .recipe;
    assert_eq!(
        recipe.data.files,
        [PathBuf::from("/recipes/conversations.jsonl")]
    );
    assert_eq!(recipe.teacher.path, here.join("chat"));
    assert_eq!(
        recipe.data.chat_template,
        Some(ChatTemplateSource::File(here.join("chat.jinja")))
    );
    assert_eq!(
        recipe.cache.as_ref().unwrap().path,
        Some(PathBuf::from("/absolute"))
    );
    assert_eq!(
        recipe.cache.as_ref().unwrap().reuse,
        Some(vec![PathBuf::from("/first"), here.join("second")])
    );

    let files = ["data.files=['a', 'b']", "data.files.1=c"];
    assert_eq!(
        parse(CHAT, &files).unwrap().recipe.data.files,
        [here.join("a"), here.join("c")]
    );
    assert_eq!(
        parse(CHAT, &[]).unwrap().recipe.data.chat_template,
        Some(ChatTemplateSource::Teacher)
    );
}

#[test]
fn a_relative_recipe_directory_starts_at_the_current_directory() {
    let source = RecipeText {
        name: "recipe.toml",
        text: STORIES,
        directory: Path::new(""),
    };
    let loaded = Recipe::parse(&source, &[]).unwrap();
    assert!(loaded.recipe.teacher.path.is_absolute());
    assert_eq!(
        loaded.recipe.teacher.path,
        std::env::current_dir().unwrap().join("stories260K")
    );
}

#[test]
fn the_later_of_two_overrides_counts() {
    let loaded = parse(STORIES, &["seed=1", "seed=2", "objective.terms.1.weight=1"]).unwrap();
    assert_eq!(loaded.recipe.seed, 2);
    assert_eq!(loaded.recipe.objective.terms[1].weight, 1.0);
    assert_eq!(loaded.overrides.len(), 3);
}
