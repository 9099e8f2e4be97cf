//! Prints items of the textbook: `cargo run -p alambic-text --example print_textbook -- [COUNT] [SEED] [SPLIT]`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use alambic_text::{Split, Textbook, TextbookConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().map_or(Ok(10), |count| count.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(17), |seed| seed.parse())?;
    let split = match arguments.next().as_deref() {
        None | Some("train") => Split::Train,
        Some("validation") => Split::Validation,
        Some("test") => Split::Test,
        Some(other) => {
            return Err(format!("expected train, validation or test, found {other}").into());
        }
    };
    let textbook = Textbook::new(TextbookConfig {
        seed,
        split,
        story_ratio: 0.2,
    })?;
    for item in textbook.items(0..count) {
        println!("{}", item.text());
    }
    Ok(())
}
