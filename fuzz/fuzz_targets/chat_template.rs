//! Chat templates: the input is `tokenizer_config.json` if it is JSON, and otherwise `chat_template.jinja`.
//!
//! Checks that a template that loads renders a conversation, or says why not, and that the turns it finds lie in
//! the text one after the other.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use alambic_fuzz::{Scratch, expect_words, mutate_json, within_memory};
use alambic_text::{ChatTemplate, FixedDate, GenerationPrompt, Message, Role, TextError};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::Value;

const CONFIG: &str = r#"{"bos_token": "<s>", "eos_token": {"content": "</s>"}}"#;

static SCRATCH: LazyLock<Scratch> = LazyLock::new(Scratch::new);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(data, size, max_size, seed)
});

fuzz_target!(init: { LazyLock::force(&SCRATCH); }, |data| {
    let dir = SCRATCH.inside();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.join(name), bytes).expect("a file in memory");
    if serde_json::from_slice::<Value>(data).is_ok() {
        write("tokenizer_config.json", data);
        fs::remove_file(dir.join("chat_template.jinja")).ok();
    } else {
        write("tokenizer_config.json", CONFIG.as_bytes());
        write("chat_template.jinja", data);
    }
    within_memory(data.len(), || {
        if let Err(error) = render(dir) {
            expect_words(&error);
        }
    });
});

fn render(dir: &Path) -> Result<(), TextError> {
    let Some(template) = ChatTemplate::from_directory(dir)? else {
        return Ok(());
    };
    let template = template.with_date(FixedDate::try_new(2024, 2, 29)?);
    let messages = [
        Message::new(Role::System, "Be brief."),
        Message::new(Role::User, "7 + 5?"),
        Message::new(Role::Assistant, "\u{e9}: 12</s>"),
        Message::new(Role::User, ""),
        Message::new(Role::Assistant, " {{ 1 }} "),
    ];
    template.render(&messages[..2], GenerationPrompt::Append)?;
    let chat = template.render_spans(&messages)?;
    let mut end = 0;
    for span in chat.assistant_spans {
        assert!(
            span.start <= span.end && chat.text.get(span.clone()).is_some(),
            "a turn outside of the text"
        );
        assert!(span.start >= end, "turns that overlap");
        end = span.end;
    }
    Ok(())
}
