//! Near-duplicates of a file of documents, one JSON string a line, beside `benches/peers/datasketch_duplicates.py`:
//! `cargo run --release -p alambic-synth --example near_duplicates_of -- documents.jsonl`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::read_to_string;
use std::time::Instant;

use alambic_synth::{NearDuplicates, NearDuplicatesConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("expected a file of JSON lines")?;
    let texts: Vec<String> = read_to_string(path)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let begun = Instant::now();
    let mut search = NearDuplicates::new(NearDuplicatesConfig::default())?;
    search.add(&texts);
    let clusters = search.clusters();
    let removed = (0..texts.len()).filter(|&text| clusters.first_of(text).is_some());
    println!(
        "{} documents, {} near-duplicates; {:.2} s",
        texts.len(),
        removed.count(),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}
