//! Corpora: the first byte says in which format, and the rest is the file.
//!
//! Checks that reading every document gives it or an error with words.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use alambic_fuzz::{Scratch, expect_words, only_escaping_panics, within_memory};
use alambic_text::{Corpus, CorpusConfig, CorpusFormat, PromptErasing, TextError, Trim};
use libfuzzer_sys::fuzz_target;

static SCRATCH: LazyLock<Scratch> = LazyLock::new(Scratch::new);

fuzz_target!(init: { LazyLock::force(&SCRATCH); }, |data| {
    let Some((&format, file)) = data.split_first() else {
        return;
    };
    let path = SCRATCH.inside().join("corpus");
    fs::write(&path, file).expect("a file in memory");
    let format = match format % 3 {
        0 => CorpusFormat::Jsonl,
        1 => CorpusFormat::Text { separator: "<|end|>".into(), trim: Trim::Whitespace },
        _ => CorpusFormat::Parquet,
    };
    let config = CorpusConfig { files: vec![path], format, erasing: PromptErasing::RemoveSystem };
    only_escaping_panics(|| {
        within_memory(file.len(), || {
            if let Err(error) = read(config) {
                expect_words(&error);
            }
        });
    });
});

fn read(config: CorpusConfig) -> Result<(), TextError> {
    for document in Corpus::open(config)?.documents() {
        document?;
    }
    Ok(())
}
