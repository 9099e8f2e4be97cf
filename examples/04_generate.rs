//! Generate: text as it comes, sampled or greedy.
//!
//! `cargo run --release --example 04_generate -- "Once upon a time"`

use std::error::Error;
use std::io::Write;
use std::path::Path;

use alambic::pipeline::{ContinuationOptions, continue_text};
use alambic::transformer::{DeviceChoice, Sampling};

#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
fn main() -> Result<(), Box<dyn Error>> {
    let prompt = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "Once upon a time".into());
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher");
    let device = DeviceChoice::Auto.open()?;
    for (name, sampling) in [
        ("greedy", Sampling::Greedy),
        (
            "sampled",
            Sampling::Sample {
                temperature: 0.8,
                top_k: Some(40),
                top_p: Some(0.95),
                min_p: None,
            },
        ),
    ] {
        let options = ContinuationOptions {
            max_new_tokens: 60,
            sampling,
            repetition_penalty: None,
            seed: 17,
            stop_texts: Vec::new(),
        };
        print!("{name}: {prompt}");
        let continuation = continue_text(&model, &device, &prompt, &options, |piece| {
            print!("{piece}");
            // A terminal that cannot be flushed shows the text a little later.
            let _ = std::io::stdout().flush();
        })?;
        println!(
            "\n({} tokens, {:?})\n",
            continuation.num_tokens, continuation.finish
        );
    }
    Ok(())
}
