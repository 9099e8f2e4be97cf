//! Changes to JSON that leave it JSON, which changes to single bytes rarely do.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Map, Value, json};

/// Changes a text: one value of it if it is JSON, and every other time its bytes.
pub fn mutate_json(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let changed = (seed % 4 != 0)
        .then(|| changed_json(&data[..size], seed))
        .flatten();
    match changed {
        Some(text) => replaced(data, &text, max_size).unwrap_or(size),
        None => fuzzer_mutate(data, size, max_size),
    }
}

/// The same for the JSON that a safetensors file begins with, behind its length.
pub fn mutate_header(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let changed = (seed % 4 != 0)
        .then(|| changed_header(&data[..size], seed))
        .flatten();
    match changed {
        Some(file) => replaced(data, &file, max_size).unwrap_or(size),
        None => fuzzer_mutate(data, size, max_size),
    }
}

fn replaced(data: &mut [u8], with: &[u8], max_size: usize) -> Option<usize> {
    let fits = with.len() <= max_size.min(data.len());
    fits.then(|| data[..with.len()].copy_from_slice(with))?;
    Some(with.len())
}

fn changed_header(file: &[u8], seed: u32) -> Option<Vec<u8>> {
    let (length, rest) = file.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (header, tensors) = rest.split_at_checked(length)?;
    let header = changed_json(header, seed)?;
    Some([&(header.len() as u64).to_le_bytes()[..], &header, tensors].concat())
}

fn changed_json(text: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut root: Value = serde_json::from_slice(text).ok()?;
    let mut random = Random(u64::from(seed));
    for _ in 0..=random.below(2) {
        change(&mut root, &mut random);
    }
    serde_json::to_vec(&root).ok()
}

/// Changes one value somewhere below the root.
fn change(root: &mut Value, random: &mut Random) {
    let donor = picked(root, random).clone();
    let place = picked(root, random);
    match random.below(8) {
        0 => *place = donor,
        1 => leave_out(place, random),
        2 => repeat(place, random),
        3 => rename(place, random),
        4 => nudge(place, random),
        _ => *place = hostile(random),
    }
}

/// A value below this one, each level down with even odds.
fn picked<'a>(value: &'a mut Value, random: &mut Random) -> &'a mut Value {
    let has_parts = value.as_object().is_some_and(|fields| !fields.is_empty())
        || value.as_array().is_some_and(|items| !items.is_empty());
    if !has_parts || random.below(8) == 0 {
        return value;
    }
    match value {
        Value::Object(fields) => {
            let index = random.below(fields.len());
            let (_, part) = fields
                .iter_mut()
                .nth(index)
                .expect("below the number of fields");
            picked(part, random)
        }
        Value::Array(items) => {
            let index = random.below(items.len());
            picked(&mut items[index], random)
        }
        _ => unreachable!("only objects and lists have parts"),
    }
}

fn leave_out(value: &mut Value, random: &mut Random) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let index = random.below(fields.len());
            *fields = std::mem::take(fields)
                .into_iter()
                .enumerate()
                .filter(|(i, _)| *i != index)
                .map(|(_, f)| f)
                .collect();
        }
        Value::Array(items) if !items.is_empty() => {
            items.remove(random.below(items.len()));
        }
        other => *other = Value::Null,
    }
}

fn repeat(value: &mut Value, random: &mut Random) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            let item = items[random.below(items.len())].clone();
            items.extend(std::iter::repeat_n(item, 1 + random.below(4)));
        }
        Value::String(text) => *text = text.repeat(2),
        other => *other = json!([other.clone(), other.clone()]),
    }
}

/// Gives a value the name of another one, or a new name.
fn rename(value: &mut Value, random: &mut Random) {
    let Value::Object(fields) = value else {
        return nudge(value, random);
    };
    if fields.is_empty() {
        return;
    }
    let (from, to) = (random.below(fields.len()), random.below(fields.len()));
    let names: Vec<String> = fields.keys().cloned().collect();
    let new = if from == to {
        format!("{}x", names[to])
    } else {
        names[to].clone()
    };
    let mut renamed = Map::new();
    for (name, part) in std::mem::take(fields) {
        let name = if name == names[from] {
            new.clone()
        } else {
            name
        };
        renamed.insert(name, part);
    }
    *fields = renamed;
}

/// A neighbour of a value.
fn nudge(value: &mut Value, random: &mut Random) {
    let by = random.below(5) as i64 - 2;
    match value {
        Value::Number(number) => {
            *value = match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => json!(whole.wrapping_add(by)),
                (None, Some(real)) => json!(-real * by as f64),
                _ => json!(by),
            }
        }
        Value::Bool(holds) => *holds = !*holds,
        Value::String(text) => {
            text.pop();
        }
        other => *other = hostile(random),
    }
}

/// A value that programs tend to forget.
fn hostile(random: &mut Random) -> Value {
    let values = [
        json!(null),
        json!(0),
        json!(1),
        json!(2),
        json!(-1),
        json!(255),
        json!(65_536),
        json!(i32::MAX),
        json!(u32::MAX),
        json!(1u64 << 32),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.5),
        json!(-0.0),
        json!(1e-320),
        json!(1e308),
        json!(-1e308),
        json!(""),
        json!("."),
        json!(".."),
        json!("../model.safetensors"),
        json!("/dev/null"),
        json!("a\0b"),
        json!("\u{e9}\u{1f642}"),
        json!([]),
        json!({}),
        json!([[]]),
        json!(true),
        json!(false),
    ];
    let index = random.below(values.len());
    values[index].clone()
}

/// SplitMix64 (Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
