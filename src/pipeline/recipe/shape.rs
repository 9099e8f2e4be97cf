//! Reads typed sections out of a source tree and reports every misfit, not only the first.
//!
//! Derived deserializers stop at their first error. This one never gives them a reason to: where a
//! value is missing or has another type it reports a [`Problem`] and hands over a placeholder of
//! the type that was asked for. The result counts only if nothing was reported.

mod compound;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{self, Deserialize, Visitor};
use serde::forward_to_deserialize_any;

use self::compound::{Fields, Items, Variant};
use super::nearest_key::nearest_key;
use super::problem::Problem;
use super::source_tree::{Entry, Node, NodeValue};

/// What came out of reading a tree as a `T`.
pub(super) struct Shaped<T> {
    /// The value, with placeholders at the broken keys; absent if the type asked for the unforeseen.
    pub(super) value: Option<T>,
    /// Every misfit between tree and type.
    pub(super) problems: Vec<Problem>,
    /// Keys whose value is a placeholder.
    pub(super) broken: BTreeSet<String>,
}

/// Reads `tree` as a `T`.
pub(super) fn read<'de, T: Deserialize<'de>>(tree: &Node) -> Shaped<T> {
    let findings = RefCell::new(Findings::default());
    let reader = Reader {
        slot: Slot::Present(tree),
        key: String::new(),
        findings: &findings,
    };
    let value = T::deserialize(reader);
    let mut findings = findings.into_inner();
    findings.name_homes_of_unknown_keys();
    let value = match value {
        Ok(value) => Some(value),
        Err(misfit) => {
            findings
                .problems
                .push(Problem::new(misfit.key, misfit.message, "another value"));
            None
        }
    };
    Shaped {
        value,
        problems: findings.problems,
        broken: findings.broken,
    }
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    problems: Vec<Problem>,
    broken: BTreeSet<String>,
    known_keys: Vec<String>,
    /// Problems about unknown keys that resemble no neighbour: their index, and the key's last word.
    homeless: Vec<(usize, String)>,
}

impl Findings {
    /// Tells the author of a key in the wrong section which section knows it.
    fn name_homes_of_unknown_keys(&mut self) {
        for (index, word) in std::mem::take(&mut self.homeless) {
            let home = self
                .known_keys
                .iter()
                .find(|key| key.rsplit('.').next() == Some(word.as_str()));
            if let Some(home) = home {
                self.problems[index].advice = Some(format!("did you mean {home}?"));
            }
        }
    }
}

/// What stands at a key.
#[derive(Clone, Copy)]
enum Slot<'a> {
    /// A value.
    Present(&'a Node),
    /// Nothing, in the section written at this node; a problem unless the type is optional.
    Missing(&'a Node),
    /// Nothing, and that has been reported.
    Placeholder,
}

/// Reads one value.
struct Reader<'a> {
    slot: Slot<'a>,
    key: String,
    findings: &'a RefCell<Findings>,
}

/// A failure that no placeholder could avoid.
#[derive(Debug)]
pub(super) struct Misfit {
    key: String,
    message: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            key: String::new(),
            message: message.to_string(),
        }
    }
}

impl Misfit {
    fn within(mut self, key: &str) -> Self {
        if self.key.is_empty() {
            self.key = key.into();
        }
        self
    }
}

impl<'a> Reader<'a> {
    fn below(&self, word: &str, slot: Slot<'a>) -> Self {
        let key = match self.key.as_str() {
            "" => word.into(),
            outer => format!("{outer}.{word}"),
        };
        Self {
            slot,
            key,
            findings: self.findings,
        }
    }

    /// The value, or `placeholder` after reporting that `expected` does not stand here.
    fn take<T>(
        &self,
        expected: &str,
        placeholder: T,
        read: impl FnOnce(&'a Node) -> Option<T>,
    ) -> T {
        match self.slot {
            Slot::Placeholder => placeholder,
            Slot::Missing(section) => {
                self.report(
                    Problem::new(&self.key, expected, "nothing").at(section.location.clone()),
                );
                placeholder
            }
            Slot::Present(node) => read(node).unwrap_or_else(|| {
                self.misfit(expected, node);
                placeholder
            }),
        }
    }

    fn misfit(&self, expected: &str, node: &Node) {
        let mut problem =
            Problem::new(&self.key, expected, node.describe()).at(node.location.clone());
        if node.value == NodeValue::Nothing {
            problem = problem.advise(UNSET_ADVICE);
        }
        self.report(problem);
    }

    /// Hands over an integer from 0 to `most`.
    fn whole_number<'de, V: Visitor<'de>>(self, most: u64, visitor: V) -> Result<V::Value, Misfit> {
        let value = self.take(&format!("a whole number from 0 to {most}"), 0, |node| {
            whole_number(node).filter(|value| *value <= most)
        });
        visitor
            .visit_u64(value)
            .map_err(|misfit: Misfit| misfit.within(&self.key))
    }

    fn report(&self, problem: Problem) {
        let mut findings = self.findings.borrow_mut();
        findings.broken.insert(problem.key.clone());
        findings.problems.push(problem);
    }

    /// Reports the keys of a table that the type does not have; returns the fields they stand for.
    fn report_unknown_keys(
        &self,
        table: &BTreeMap<String, Entry>,
        fields: &[&'static str],
    ) -> Vec<&'static str> {
        let mut meant = Vec::new();
        for (word, entry) in table
            .iter()
            .filter(|(word, _)| !fields.contains(&word.as_str()))
        {
            let absent = fields
                .iter()
                .copied()
                .filter(|field| !table.contains_key(*field));
            let near =
                nearest_key(word, absent).or_else(|| nearest_key(word, fields.iter().copied()));
            let key = self.below(word, Slot::Placeholder).key;
            let known = format!("one of the keys {}", fields.join(", "));
            let mut problem = Problem::new(key, known, format!("the unknown key {word}"));
            problem.location = Some(entry.key_location.clone());
            let mut findings = self.findings.borrow_mut();
            match near {
                Some(near) => {
                    problem = problem.advise(format!("did you mean {near}?"));
                    meant.push(near);
                }
                None => {
                    let index = findings.problems.len();
                    findings.homeless.push((index, word.clone()));
                }
            }
            findings.problems.push(problem);
        }
        meant
    }
}

/// The largest integer that both TOML and the recipe's types can hold.
const LARGEST_INTEGER: u64 = i64::MAX as u64;
/// What is said about an override that unsets a key that must be there.
const UNSET_ADVICE: &str =
    "only an optional key can be unset; to mean the word itself, write it in quotes";

fn whole_number(node: &Node) -> Option<u64> {
    match &node.value {
        NodeValue::Integer { value, .. } => u64::try_from((*value)?).ok(),
        _ => None,
    }
}

/// Reads a float, or an integer that a float holds exactly.
fn number(node: &Node) -> Option<f64> {
    match &node.value {
        NodeValue::Float { value, text } => {
            (value.is_finite() || text.contains(['i', 'n'])).then_some(*value)
        }
        NodeValue::Integer { value, .. } => {
            let integer = (*value)?;
            let float = integer as f64;
            (float as i128 == i128::from(integer)).then_some(float)
        }
        _ => None,
    }
}

impl<'de, 'a> de::Deserializer<'de> for Reader<'a> {
    type Error = Misfit;

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let value = self.take("true or false", false, |node| match &node.value {
            NodeValue::Boolean(value) => Some(*value),
            _ => None,
        });
        visitor
            .visit_bool(value)
            .map_err(|misfit: Misfit| misfit.within(&self.key))
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.whole_number(LARGEST_INTEGER, visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let value = self.take("a number", 0.0, number);
        visitor
            .visit_f64(value)
            .map_err(|misfit: Misfit| misfit.within(&self.key))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let value = self.take("a string in quotes", String::new(), |node| {
            match &node.value {
                NodeValue::String(text) => Some(text.clone()),
                _ => None,
            }
        });
        visitor
            .visit_string(value)
            .map_err(|misfit: Misfit| misfit.within(&self.key))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.slot {
            Slot::Present(node) if node.value != NodeValue::Nothing => visitor.visit_some(self),
            Slot::Present(_) | Slot::Missing(_) | Slot::Placeholder => visitor.visit_none(),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let items: &[Node] = self.take("an array", &[], array);
        let slots = items.iter().map(Slot::Present).collect();
        visitor.visit_seq(Items::new(self, slots))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let expected = format!("an array of {count} values");
        let placeholders = vec![Slot::Placeholder; count];
        let slots = self.take(&expected, placeholders, |node| {
            let items = array(node).filter(|items| items.len() == count)?;
            Some(items.iter().map(Slot::Present).collect())
        });
        visitor.visit_seq(Items::new(self, slots))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        for field in fields {
            let known = self.below(field, Slot::Placeholder).key;
            self.findings.borrow_mut().known_keys.push(known);
        }
        let expected = format!("a table with the keys {}", fields.join(", "));
        let table = self.take(&expected, None, |node| match &node.value {
            NodeValue::Table(table) => Some(Some((node, table))),
            _ => None,
        });
        let Some((section, table)) = table else {
            let slots = fields.iter().map(|_| Slot::Placeholder).collect();
            return visitor.visit_map(Fields::new(self, fields, slots));
        };
        let meant = self.report_unknown_keys(table, fields);
        let slot = |field: &&'static str| match table.get(*field) {
            Some(entry) => Slot::Present(&entry.value),
            None if meant.contains(field) => {
                let key = self.below(field, Slot::Placeholder).key;
                self.findings.borrow_mut().broken.insert(key);
                Slot::Placeholder
            }
            None => Slot::Missing(section),
        };
        let slots = fields.iter().map(slot).collect();
        visitor.visit_map(Fields::new(self, fields, slots))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let names: Vec<String> = variants.iter().map(|name| format!("{name:?}")).collect();
        let expected = match names.as_slice() {
            [only] => only.clone(),
            names => format!("one of {}", names.join(", ")),
        };
        let placeholder = (variants[0], Slot::Placeholder);
        let (name, payload) = match self.slot {
            Slot::Present(Node {
                value: NodeValue::String(text),
                location,
            }) if !variants.contains(&text.as_str()) => {
                let mut problem =
                    Problem::new(&self.key, expected, format!("{text:?}")).at(location.clone());
                problem.advice = nearest_key(text, variants.iter().copied())
                    .map(|near| format!("did you mean {near:?}?"));
                self.report(problem);
                placeholder
            }
            _ => self.take(&expected, placeholder, |node| variant(node, variants)),
        };
        visitor.visit_enum(Variant {
            name,
            reader: Reader {
                slot: payload,
                ..self
            },
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.whole_number(u8::MAX.into(), visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.whole_number(u16::MAX.into(), visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.whole_number(u32::MAX.into(), visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_string(visitor)
    }

    /// Every type of a recipe says what it is; without that there is no placeholder.
    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Misfit> {
        Err(Misfit {
            key: self.key,
            message: "a type that names its shape".into(),
        })
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 char bytes byte_buf unit unit_struct tuple_struct map identifier ignored_any
    }
}

fn array(node: &Node) -> Option<&[Node]> {
    match &node.value {
        NodeValue::Array(items) => Some(items),
        _ => None,
    }
}

/// The variant a value names: a string alone, or a table of one key that holds the payload.
fn variant<'a>(
    node: &'a Node,
    variants: &'static [&'static str],
) -> Option<(&'static str, Slot<'a>)> {
    let find = |word: &str| variants.iter().copied().find(|name| *name == word);
    match &node.value {
        NodeValue::String(text) => Some((find(text)?, Slot::Missing(node))),
        NodeValue::Table(table) => {
            let (word, entry) = table.iter().next().filter(|_| table.len() == 1)?;
            Some((find(word)?, Slot::Present(&entry.value)))
        }
        _ => None,
    }
}
