//! `tokenizer.json`: the input is the file.
//!
//! Checks that a tokenizer that loads encodes and decodes, at once and token by token, and says which bytes its
//! tokens stand for. The library's panics have to be contained.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use alambic_fuzz::{Scratch, expect_words, mutate_json, only_escaping_panics, within_memory};
use alambic_text::{SpecialTokens, SpecialTokensInText, TextError, Tokenizer};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const TEXT: &str = "The cat's 12 \u{e9}\u{1f642}\n<s> a\u{301}";

static SCRATCH: LazyLock<Scratch> = LazyLock::new(Scratch::new);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(data, size, max_size, seed)
});

fuzz_target!(init: { LazyLock::force(&SCRATCH); }, |data| {
    let path = SCRATCH.inside().join("tokenizer.json");
    fs::write(&path, data).expect("a file in memory");
    only_escaping_panics(|| {
        within_memory(data.len(), || {
            if let Err(error) = Tokenizer::from_file(&path).and_then(|tokenizer| use_loaded(&tokenizer)) {
                expect_words(&error);
            }
        });
    });
});

fn use_loaded(tokenizer: &Tokenizer) -> Result<(), TextError> {
    for bytes in [tokenizer.token_bytes(), tokenizer.distinct_token_bytes()] {
        match bytes {
            Ok(bytes) => assert_eq!(bytes.len(), tokenizer.vocab_size()),
            Err(error) => expect_words(&error),
        }
    }
    for (added, shown) in [
        (SpecialTokens::Add, SpecialTokensInText::Skip),
        (SpecialTokens::Omit, SpecialTokensInText::Show),
    ] {
        let encoding = tokenizer.encode(TEXT, added)?;
        assert_eq!(encoding.ids.len(), encoding.byte_offsets.len());
        tokenizer.decode(&encoding.ids, shown)?;
        let mut stream = tokenizer.decode_stream(shown);
        for &id in &encoding.ids {
            stream.push(id)?;
        }
        stream.finish()?;
    }
    Ok(())
}
