//! Training of a byte-level byte-pair tokenizer, with one possible result.
//!
//! The trainer of the `tokenizers` crate visits pairs in the order of a randomly seeded hash map
//! and counts in 32 bits. This one depends on nothing but the texts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use crate::error::TextError;

const NUM_BYTES: usize = 256;

type Pair = (u32, u32);

/// Trains on texts; the result is the content of a `tokenizer.json`.
pub(super) fn train(
    texts: impl IntoIterator<Item = String>,
    vocab_size: usize,
    special_tokens: &[&str],
) -> Result<Value, TextError> {
    check(vocab_size, special_tokens)?;
    let words = count_words(texts, special_tokens)?;
    let num_merges = vocab_size - special_tokens.len() - NUM_BYTES;
    let (tokens, merges) = Merger::new(words).run(num_merges);
    tokenizer_json(special_tokens, &tokens, &merges)
}

fn check(vocab_size: usize, special_tokens: &[&str]) -> Result<(), TextError> {
    let failed =
        |expected: String, found: String| Err(TextError::TrainTokenizer { expected, found });
    let distinct: BTreeSet<&&str> = special_tokens.iter().collect();
    if distinct.len() < special_tokens.len() || distinct.contains(&"") {
        return failed(
            "special tokens that are different and not empty".to_owned(),
            format!("{special_tokens:?}"),
        );
    }
    let least = NUM_BYTES + special_tokens.len();
    if vocab_size < least || u32::try_from(vocab_size).is_err() {
        return failed(
            format!("a vocabulary of {least} (the bytes and special tokens) to 2^32 - 1 tokens"),
            vocab_size.to_string(),
        );
    }
    Ok(())
}

/// Counts the words of the texts, as bytes.
fn count_words(
    texts: impl IntoIterator<Item = String>,
    special_tokens: &[&str],
) -> Result<BTreeMap<Vec<u8>, u64>, TextError> {
    let alphabet = byte_alphabet();
    let bytes: HashMap<char, u8> = (0..=u8::MAX)
        .map(|byte| (alphabet[usize::from(byte)], byte))
        .collect();
    let words_of = ByteLevel::new(false, false, true);
    let mut counts = BTreeMap::new();
    for text in texts {
        for part in split_at_any(&text, special_tokens) {
            let mut words = PreTokenizedString::from(part);
            words_of
                .pre_tokenize(&mut words)
                .map_err(|error| TextError::TrainTokenizer {
                    expected: "text that can be cut into words".to_owned(),
                    found: error.to_string(),
                })?;
            for (word, ..) in words.get_splits(OffsetReferential::Normalized, OffsetType::None) {
                let word: Vec<u8> = word
                    .chars()
                    .filter_map(|c| bytes.get(&c).copied())
                    .collect();
                *counts.entry(word).or_insert(0) += 1;
            }
        }
    }
    Ok(counts)
}

/// Cuts a text at every special token; where two start at one place, the longer one counts.
fn split_at_any<'a>(text: &'a str, special_tokens: &[&str]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let next = special_tokens
            .iter()
            .filter_map(|token| Some((rest.find(token)?, Reverse(token.len()))))
            .min();
        let Some((start, Reverse(length))) = next else {
            parts.push(rest);
            return parts;
        };
        parts.push(&rest[..start]);
        rest = &rest[start + length..];
    }
}

/// Words as sequences of tokens, and the pairs of neighbours in them.
struct Merger {
    /// Bytes of each token; the first 256 tokens are the bytes.
    tokens: Vec<Vec<u8>>,
    words: Vec<(Vec<u32>, u64)>,
    pair_counts: HashMap<Pair, u64>,
    /// Words that hold a pair, or held it once.
    words_with: HashMap<Pair, BTreeSet<usize>>,
    /// Pairs by count, then by bytes: the last one is merged next.
    queue: BTreeSet<(u64, Vec<u8>, Vec<u8>, Pair)>,
}

impl Merger {
    fn new(word_counts: BTreeMap<Vec<u8>, u64>) -> Self {
        let mut merger = Self {
            tokens: (0..=u8::MAX).map(|byte| vec![byte]).collect(),
            words: Vec::with_capacity(word_counts.len()),
            pair_counts: HashMap::new(),
            words_with: HashMap::new(),
            queue: BTreeSet::new(),
        };
        for (bytes, count) in word_counts {
            let word: Vec<u32> = bytes.into_iter().map(u32::from).collect();
            for pair in pairs(&word) {
                *merger.pair_counts.entry(pair).or_insert(0) += count;
                let index = merger.words.len();
                merger.words_with.entry(pair).or_default().insert(index);
            }
            merger.words.push((word, count));
        }
        merger.queue = merger
            .pair_counts
            .iter()
            .map(|(&pair, &count)| merger.queue_entry(pair, count))
            .collect();
        merger
    }

    /// Merges up to `num_merges` pairs; returns the bytes of all tokens, and the pairs.
    fn run(mut self, num_merges: usize) -> (Vec<Vec<u8>>, Vec<Pair>) {
        let mut merges = Vec::new();
        // Two pairs can make the same bytes; the second one adds no token.
        let mut known: HashMap<Vec<u8>, u32> = HashMap::new();
        let num_tokens = self.tokens.len() + num_merges;
        while self.tokens.len() < num_tokens {
            let Some((_, left, right, pair)) = self.queue.pop_last() else {
                break;
            };
            let bytes = [left, right].concat();
            let next_id = self.tokens.len() as u32;
            let merged = *known.entry(bytes.clone()).or_insert(next_id);
            if merged == next_id {
                self.tokens.push(bytes);
            }
            merges.push(pair);
            self.merge(pair, merged);
        }
        (self.tokens, merges)
    }

    fn merge(&mut self, pair: Pair, merged: u32) {
        let mut changes: BTreeMap<Pair, i64> = BTreeMap::new();
        for index in self.words_with.remove(&pair).unwrap_or_default() {
            let (word, count) = &mut self.words[index];
            let count = *count as i64;
            for old in pairs(word) {
                *changes.entry(old).or_insert(0) -= count;
            }
            merge_in_word(word, pair, merged);
            for new in pairs(word) {
                *changes.entry(new).or_insert(0) += count;
                self.words_with.entry(new).or_default().insert(index);
            }
        }
        changes.retain(|_, change| *change != 0);
        for (changed, change) in changes {
            let old = self.pair_counts.get(&changed).copied().unwrap_or(0);
            let new = old.saturating_add_signed(change);
            if old > 0 {
                self.queue.remove(&self.queue_entry(changed, old));
            }
            if new > 0 {
                self.queue.insert(self.queue_entry(changed, new));
                self.pair_counts.insert(changed, new);
            } else {
                self.pair_counts.remove(&changed);
                self.words_with.remove(&changed);
            }
        }
    }

    fn queue_entry(&self, pair: Pair, count: u64) -> (u64, Vec<u8>, Vec<u8>, Pair) {
        let bytes = |id: u32| self.tokens[id as usize].clone();
        (count, bytes(pair.0), bytes(pair.1), pair)
    }
}

fn pairs(word: &[u32]) -> impl Iterator<Item = Pair> {
    word.windows(2).map(|window| (window[0], window[1]))
}

fn merge_in_word(word: &mut Vec<u32>, pair: Pair, merged: u32) {
    let mut kept = 0;
    let mut next = 0;
    while next < word.len() {
        let is_pair = word[next] == pair.0 && word.get(next + 1) == Some(&pair.1);
        word[kept] = if is_pair { merged } else { word[next] };
        kept += 1;
        next += if is_pair { 2 } else { 1 };
    }
    word.truncate(kept);
}

/// The character that stands for each byte in the vocabulary: itself where it is printable in
/// Latin-1, otherwise the next free one from U+0100 on (Radford et al. 2019).
pub(super) fn byte_alphabet() -> [char; NUM_BYTES] {
    let mut next_free = 0x100;
    std::array::from_fn(|byte| {
        let byte = byte as u8;
        if matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF) {
            return char::from(byte);
        }
        let stand_in = char::from_u32(next_free);
        next_free += 1;
        stand_in.expect("U+0100 to U+0143 are characters")
    })
}

fn tokenizer_json(
    special_tokens: &[&str],
    tokens: &[Vec<u8>],
    merges: &[Pair],
) -> Result<Value, TextError> {
    let alphabet = byte_alphabet();
    let written = |id: u32| -> String {
        let bytes = &tokens[id as usize];
        bytes
            .iter()
            .map(|&byte| alphabet[usize::from(byte)])
            .collect()
    };
    let added_tokens: Vec<Value> = special_tokens
        .iter()
        .enumerate()
        .map(|(id, token)| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let mut byte_ids: Vec<u32> = (0..NUM_BYTES as u32).collect();
    byte_ids.sort_unstable_by_key(|&id| alphabet[id as usize]);
    let merged_ids = NUM_BYTES as u32..tokens.len() as u32;
    let mut vocab = serde_json::Map::new();
    let special = special_tokens.iter().map(|&token| token.to_owned());
    let learned = byte_ids.into_iter().chain(merged_ids).map(written);
    for (id, token) in special.chain(learned).enumerate() {
        if vocab.contains_key(&token) {
            return Err(TextError::TrainTokenizer {
                expected: "special tokens that no learned token is written like".to_owned(),
                found: token,
            });
        }
        vocab.insert(token, Value::from(id));
    }
    let merges: Vec<[String; 2]> = merges
        .iter()
        .map(|&(left, right)| [written(left), written(right)])
        .collect();
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true,
    });
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocab, "merges": merges,
        },
    }))
}
