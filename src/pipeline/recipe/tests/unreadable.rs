//! Text that is no recipe yet: not a file, not UTF-8, not TOML, or nested without end.

use super::*;

#[test]
fn text_that_is_not_toml_names_every_line() {
    let error = parse("seed = \n[data]\nfiles = [\"a\n", &[]).unwrap_err();
    let RecipeError::Syntax { faults, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (faults[0].line, faults.last().unwrap().line),
        (1, 3),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("recipe.toml is not valid TOML:\n  line 1, column "),
        "{error}"
    );
    assert!(
        parse("seed = 1\nseed = 2", &[])
            .unwrap_err()
            .to_string()
            .contains("line 2")
    );
}

#[test]
fn deeply_nested_text_is_refused_and_overflows_no_stack() {
    let path = vec!["a"; 79].join(".");
    let inline = format!(
        "{}{path} = 1{}",
        format!("{path} = {{ ").repeat(78),
        " }".repeat(78)
    );
    for text in [
        inline,
        format!("a = {}", "[".repeat(9999)),
        format!("{path}.{path} = 1"),
    ] {
        assert!(parse(&text, &[]).is_err());
        assert!(parse(STORIES, &[&format!("data.files={text}")]).is_err());
    }
}

#[test]
fn a_file_that_is_missing_or_not_text_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recipe.toml");
    assert!(matches!(
        Recipe::load(&path, &[]),
        Err(RecipeError::Read { .. })
    ));
    std::fs::write(&path, b"seed = 1\n\xff = 2").unwrap();
    assert!(matches!(
        Recipe::load(&path, &[]),
        Err(RecipeError::NotUtf8 { line: 2, .. })
    ));
}
