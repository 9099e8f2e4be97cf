//! Overrides: `key.path=value` assignments put over a recipe's file.

use std::collections::BTreeMap;

use super::problem::{Location, Problem};
use super::source_tree::{Entry, Node, NodeValue};

/// Keys in the longest key path that is read; the recipe itself needs four.
const MAX_KEY_SEGMENTS: usize = 16;
/// The bare word that leaves a key out, as if it were written nowhere; in quotes it is a string.
const UNSET: &str = "unset";

/// One override, read but not yet applied.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Assignment {
    segments: Vec<String>,
    value: Node,
    location: Location,
}

impl Assignment {
    /// Reads `key.path=value`.
    ///
    /// The value is TOML; what is not TOML is taken as a bare string, so that paths and words need
    /// no quotes. A value that starts like a TOML string, array or table must be one. The bare word
    /// `unset` takes away what the file or an earlier override says.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let location = Location::Override {
            assignment: text.into(),
        };
        let Some((key, value)) = text.split_once('=') else {
            return Err(Problem::new(
                text.trim(),
                "an override of the form key.path=value",
                "no equals sign",
            )
            .at(location));
        };
        let key = key.trim();
        let segments: Vec<String> = key
            .split('.')
            .map(|segment| segment.trim().to_string())
            .collect();
        if segments.iter().any(String::is_empty) {
            return Err(
                Problem::new(key, "keys joined by single dots", format!("{key:?}")).at(location),
            );
        }
        if segments.len() > MAX_KEY_SEGMENTS {
            let expected = format!("a key path of at most {MAX_KEY_SEGMENTS} keys");
            return Err(Problem::new(key, expected, segments.len()).at(location));
        }
        let value = read_value(value.trim(), &location).map_err(|message| {
            Problem::new(
                key,
                "a TOML value",
                format!("{:?}: {message}", value.trim()),
            )
            .at(location.clone())
        })?;
        Ok(Self {
            segments,
            value,
            location,
        })
    }

    /// Puts the value into the tree, making tables on the way where there are none.
    pub(super) fn apply(self, tree: &mut Node) -> Result<(), Problem> {
        let Self {
            segments,
            value,
            location,
        } = self;
        let mut node = tree;
        for (depth, segment) in segments.iter().enumerate() {
            let found = node.describe();
            node = match &mut node.value {
                NodeValue::Table(table) => {
                    let entry = table
                        .entry(segment.clone())
                        .or_insert_with(|| empty_table(&location));
                    &mut entry.value
                }
                NodeValue::Array(items) => {
                    let count = items.len();
                    let index = segment.parse::<usize>().ok();
                    match index.and_then(|index| items.get_mut(index)) {
                        Some(item) => item,
                        None => return Err(no_such_item(&segments, depth, count).at(location)),
                    }
                }
                _ => {
                    let outer = segments[..depth].join(".");
                    let problem =
                        Problem::new(segments.join("."), format!("a table at {outer}"), found);
                    return Err(problem.at(location));
                }
            };
        }
        *node = value;
        Ok(())
    }
}

fn empty_table(location: &Location) -> Entry {
    Entry {
        key_location: location.clone(),
        value: Node {
            value: NodeValue::Table(BTreeMap::new()),
            location: location.clone(),
        },
    }
}

fn no_such_item(segments: &[String], depth: usize, count: usize) -> Problem {
    let array = segments[..depth].join(".");
    let expected = match count {
        0 => format!("no index, because {array} is empty"),
        1 => format!("the index 0 after {array}"),
        _ => format!("an index from 0 to {} after {array}", count - 1),
    };
    Problem::new(
        segments.join("."),
        expected,
        format!("{:?}", segments[depth]),
    )
    .advise(format!(
        "to add an entry, set the whole array {array}=[...]"
    ))
}

fn read_value(text: &str, location: &Location) -> Result<Node, String> {
    match Node::parse_value(text, location) {
        Ok(value) => Ok(value),
        Err(message) if text.starts_with(['"', '\'', '[', '{']) => Err(message),
        Err(_) => Ok(Node {
            value: match text {
                UNSET => NodeValue::Nothing,
                text => NodeValue::String(text.into()),
            },
            location: location.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(text: &str, assignment: &str) -> Result<Node, Problem> {
        let mut tree = Node::parse_document(text).unwrap();
        Assignment::parse(assignment)?.apply(&mut tree)?;
        Ok(tree)
    }

    #[test]
    fn values_are_toml_and_anything_else_is_a_bare_string() {
        for (assignment, described) in [
            ("a=1", "the integer 1"),
            ("a = 2.5", "the float 2.5"),
            ("a=true", "the boolean true"),
            ("a=\"1\"", "the string \"1\""),
            ("a=[1, 2]", "an array of 2 values"),
            ("a={ b = 1 }", "a table"),
            ("a=runs/first=best", "the string \"runs/first=best\""),
            ("a=", "the string \"\""),
            ("a=unset", "nothing"),
            ("a='unset'", "the string \"unset\""),
            ("a=['unset']", "an array of 1 value"),
            ("a=Unset", "the string \"Unset\""),
        ] {
            let tree = set("", assignment).unwrap();
            assert_eq!(tree.get("a").unwrap().describe(), described, "{assignment}");
        }
    }

    #[test]
    fn an_array_entry_is_set_by_its_index() {
        let tree = set(
            "terms = [{ weight = 1 }, { weight = 2 }]",
            "terms.1.weight=3",
        )
        .unwrap();
        assert_eq!(
            tree.get("terms.0.weight").unwrap().describe(),
            "the integer 1"
        );
        assert_eq!(
            tree.get("terms.1.weight").unwrap().describe(),
            "the integer 3"
        );
    }

    #[test]
    fn what_cannot_be_set_is_refused_with_its_key() {
        for (assignment, key) in [
            ("a", "a"),
            ("=1", ""),
            ("a..b=1", "a..b"),
            ("list.2=1", "list.2"),
            ("list.x=1", "list.x"),
            ("list.-1=1", "list.-1"),
            ("word.a=1", "word.a"),
            ("list.2=unset", "list.2"),
            ("word.a=unset", "word.a"),
            ("word=[1", "word"),
            ("word=\"open", "word"),
        ] {
            let problem = set("list = [0, 1]\nword = 'x'", assignment).unwrap_err();
            assert_eq!(problem.key, key, "{assignment}");
            assert!(matches!(problem.location, Some(Location::Override { .. })));
        }
    }
}
