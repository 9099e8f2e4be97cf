//! Properties of damaged recipes and arbitrary overrides: no panic, and a message that names its key.

use proptest::prelude::*;

use super::*;
use crate::pipeline::recipe::source_tree::{Node, NodeValue};

/// Paths of all values of a tree that are not tables.
fn leaves(node: &Node, path: &str, found: &mut Vec<String>) {
    let below = |word: &str| {
        if path.is_empty() {
            word.into()
        } else {
            format!("{path}.{word}")
        }
    };
    match &node.value {
        NodeValue::Table(table) => {
            for (word, entry) in table {
                leaves(&entry.value, &below(word), found);
            }
        }
        NodeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &below(&index.to_string()), found);
            }
            found.push(path.into());
        }
        _ => found.push(path.into()),
    }
}

fn any_leaf() -> impl Strategy<Value = String> {
    let mut found = Vec::new();
    leaves(&Node::parse_document(STORIES).unwrap(), "", &mut found);
    prop::sample::select(found)
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|value| value.to_string()),
        (0..3000_i64).prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| format!("{value:?}").replace("NaN", "nan")),
        any::<bool>().prop_map(|value| value.to_string()),
        Just("unset".into()),
        "[a-z_]{0,12}",
        ".{0,12}",
        Just("[]".into()),
        Just("[1, [2], 'x']".into()),
        Just("{}".into()),
        Just("{ a = 1 }".into()),
        Just("1979-05-27".into()),
        Just("99999999999999999999".into()),
    ]
}

/// A line of the stories recipe with its characters shuffled about.
fn damaged_recipe() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((0..STORIES.len(), any::<u8>(), 0..3_u8), 1..8);
    edits.prop_map(|edits| {
        let mut bytes = STORIES.as_bytes().to_vec();
        for (position, byte, edit) in edits {
            let position = position.min(bytes.len() - 1);
            match edit {
                0 => bytes[position] = byte,
                1 => bytes.insert(position, byte),
                _ => drop(bytes.remove(position)),
            }
        }
        bytes
    })
}

fn load_bytes(bytes: &[u8]) -> Result<LoadedRecipe, RecipeError> {
    let text = load::decode("recipe.toml", bytes.to_vec())?;
    parse(&text, &[])
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(load_bytes(&bytes).is_err());
    }

    #[test]
    fn a_damaged_recipe_never_panics_and_every_message_can_be_printed(bytes in damaged_recipe()) {
        if let Err(error) = load_bytes(&bytes) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn arbitrary_toml_never_panics(
        lines in prop::collection::vec((prop_oneof![any_leaf(), "[a-z.]{1,9}"], any_value()), 0..12),
    ) {
        let text: String = lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        prop_assert!(parse(&text, &[]).is_err());
    }

    #[test]
    fn arbitrary_overrides_never_panic(overrides in prop::collection::vec(".{0,30}", 0..4)) {
        let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
        let _ = parse(STORIES, &overrides);
    }

    #[test]
    fn a_refused_override_names_its_key(key in any_leaf(), value in any_value()) {
        let assignment = format!("{key}={value}");
        match parse(STORIES, &[&assignment]) {
            Ok(loaded) => prop_assert_eq!(loaded.recipe.validate(), Ok(())),
            Err(RecipeError::Invalid { problems, .. }) => prop_assert!(
                problems.iter().any(|problem| problem.to_string().contains(&key)),
                "{}: {:#?}", assignment, problems
            ),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn an_accepted_recipe_is_read_back_the_same(key in any_leaf(), value in any_value()) {
        if let Ok(loaded) = parse(STORIES, &[&format!("{key}={value}")]) {
            let text = loaded.recipe.to_toml().unwrap();
            prop_assert_eq!(parse(&text, &[]).unwrap().recipe, loaded.recipe, "{}", text);
        }
    }
}
