//! A recipe's values before they are typed, each with the place where it was written.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::SyntaxFault;
use super::problem::Location;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: NodeValue,
    pub(super) location: Location,
}

/// A TOML value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NodeValue {
    String(String),
    /// Holds the digits as well, for numbers that no integer type can.
    Integer {
        value: Option<i64>,
        text: String,
    },
    Float {
        value: f64,
        text: String,
    },
    Boolean(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(BTreeMap<String, Entry>),
    /// What an override that unsets its key leaves there; no text of TOML says this.
    Nothing,
}

/// One key of a table: where the key stands, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key_location: Location,
    pub(super) value: Node,
}

/// Finds the location of a byte of the text.
type Locate<'a> = &'a dyn Fn(usize) -> Location;

/// Tables and arrays inside each other that are read; the recipe itself needs four.
///
/// The tree is walked by recursion: without a limit, a hostile text could exhaust the stack.
const MAX_DEPTH: usize = 64;

/// What is said about a text beyond [`MAX_DEPTH`].
const TOO_DEEP: &str = "tables and arrays are nested more than 64 deep";

/// The place where [`MAX_DEPTH`] was passed.
struct TooDeep {
    offset: usize,
}

impl Node {
    /// Reads a whole TOML document; on failure every fault the parser found.
    pub(super) fn parse_document(text: &str) -> Result<Self, Vec<SyntaxFault>> {
        let lines = LineIndex::new(text);
        let (table, faults) = DeTable::parse_recoverable(text);
        if !faults.is_empty() {
            let mut faults: Vec<SyntaxFault> =
                faults.iter().map(|fault| lines.fault(fault)).collect();
            faults.sort_by_key(|fault| (fault.line, fault.column));
            return Err(faults);
        }
        let too_deep = |TooDeep { offset }| {
            let (line, column) = lines.position(offset);
            let message = TOO_DEEP.into();
            vec![SyntaxFault {
                line,
                column,
                message,
            }]
        };
        let locate = |offset| lines.location(offset);
        let location = locate(0);
        let value = table_value(table.into_inner(), &locate, 0).map_err(too_deep)?;
        Ok(Self { value, location })
    }

    /// Reads one TOML value, all of it from one override.
    pub(super) fn parse_value(text: &str, location: &Location) -> Result<Self, String> {
        let value = DeValue::parse(text).map_err(|fault| fault.message().to_string())?;
        Self::from_spanned(value, &|_| location.clone(), 0).map_err(|_| TOO_DEEP.into())
    }

    fn from_spanned(
        spanned: Spanned<DeValue<'_>>,
        locate: Locate<'_>,
        depth: usize,
    ) -> Result<Self, TooDeep> {
        let offset = spanned.span().start;
        if depth > MAX_DEPTH {
            return Err(TooDeep { offset });
        }
        let value = match spanned.into_inner() {
            DeValue::String(text) => NodeValue::String(text.into_owned()),
            DeValue::Integer(integer) => NodeValue::Integer {
                value: i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
                text: integer.to_string(),
            },
            DeValue::Float(float) => NodeValue::Float {
                value: float.as_str().parse().unwrap_or(f64::NAN),
                text: float.as_str().to_string(),
            },
            DeValue::Boolean(value) => NodeValue::Boolean(value),
            DeValue::Datetime(value) => NodeValue::Datetime(value.to_string()),
            DeValue::Array(items) => {
                let items = items
                    .into_iter()
                    .map(|item| Self::from_spanned(item, locate, depth + 1));
                NodeValue::Array(items.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => table_value(table, locate, depth)?,
        };
        Ok(Self {
            value,
            location: locate(offset),
        })
    }

    /// The value at a key path, array indices included.
    pub(super) fn get(&self, key_path: &str) -> Option<&Self> {
        let mut node = self;
        for segment in key_path.split('.') {
            node = match &node.value {
                NodeValue::Table(table) => &table.get(segment)?.value,
                NodeValue::Array(items) => items.get(segment.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(node)
    }

    /// Names the value for a message: its type, and the value itself where it is short.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            NodeValue::String(text) => format!("the string {}", shorten(&format!("{text:?}"))),
            NodeValue::Integer { text, .. } => format!("the integer {}", shorten(text)),
            NodeValue::Float { text, .. } => format!("the float {}", shorten(text)),
            NodeValue::Boolean(value) => format!("the boolean {value}"),
            NodeValue::Datetime(text) => format!("the date {text}"),
            NodeValue::Array(items) => match items.len() {
                1 => "an array of 1 value".into(),
                count => format!("an array of {count} values"),
            },
            NodeValue::Table(_) => "a table".into(),
            NodeValue::Nothing => "nothing".into(),
        }
    }
}

fn table_value(table: DeTable<'_>, locate: Locate<'_>, depth: usize) -> Result<NodeValue, TooDeep> {
    let entries = table.into_iter().map(|(key, value)| {
        let entry = Entry {
            key_location: locate(key.span().start),
            value: Node::from_spanned(value, locate, depth + 1)?,
        };
        Ok((key.into_inner().into_owned(), entry))
    });
    Ok(NodeValue::Table(entries.collect::<Result<_, _>>()?))
}

/// Longest quotation of a value in a message.
const MAX_QUOTED_CHARACTERS: usize = 60;

/// Cuts a quotation, visibly, to what fits on a line.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARACTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into(),
    }
}

/// Where the lines of a text start.
struct LineIndex<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    fn new(text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// Line and column of a byte, both from 1.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    fn location(&self, offset: usize) -> Location {
        let (line, column) = self.position(offset);
        Location::Text { line, column }
    }

    fn fault(&self, fault: &toml::de::Error) -> SyntaxFault {
        let (line, column) = self.position(fault.span().map_or(self.text.len(), |span| span.start));
        SyntaxFault {
            line,
            column,
            message: fault.message().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_value_knows_its_line_and_column() {
        let tree =
            Node::parse_document("a = 1\n[b]\n'ü' = 'é'\nlist = [ 1, { c = 2.5 } ]\n").unwrap();
        for (key, line, column) in [("a", 1, 5), ("b.ü", 3, 7), ("b.list.1.c", 4, 19)] {
            assert_eq!(
                tree.get(key).unwrap().location,
                Location::Text { line, column },
                "{key}"
            );
        }
        assert_eq!(tree.get("b.list.2"), None);
        assert_eq!(tree.get("a.b"), None);
    }

    #[test]
    fn all_syntax_faults_are_reported_with_their_places() {
        let faults = Node::parse_document("a = \nb = 1\nc = [1, \n").unwrap_err();
        assert!(faults.len() >= 2, "{faults:?}");
        assert!(
            faults.is_sorted_by_key(|fault| (fault.line, fault.column)),
            "{faults:?}"
        );
        assert_eq!(faults[0].line, 1);
    }

    #[test]
    fn numbers_beyond_64_bits_keep_their_digits() {
        let tree = Node::parse_document("a = 99999999999999999999").unwrap();
        assert_eq!(
            tree.get("a").unwrap().describe(),
            "the integer 99999999999999999999"
        );
    }
}
