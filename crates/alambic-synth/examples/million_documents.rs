//! How long deduplication and decontamination take, and how much memory:
//! `cargo run --release -p alambic-synth --example million_documents -- [DOCUMENTS] [ITEMS] [JSON_LINES]`.
//!
//! Documents hold ITEMS stories or problems of the textbook each, made while they are read. Of a hundred documents five are
//! copies of earlier ones, and five copies with one word changed; a thousand of all hold one of 10,000 questions of the test
//! split, every other one with a number (or, without one, its first word) changed. With a path the documents are also written there, for a peer to read.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::{File, read_to_string};
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use alambic_synth::{EvaluationQuestion, Filter, FilterConfig, FilterDocument, FilterStage};
use alambic_text::{Split, Textbook, TextbookConfig, TextbookItem};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 17;
const QUESTIONS: u64 = 10_000;
const PLANTED_QUESTIONS: u64 = 1000;
const BATCH: u64 = 8192;
const CONFIG: &str = "[decontamination]\n[exact_duplicates]\nsame = \"words\"\n[near_duplicates]\n";

/// What a document is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fresh,
    Copy,
    EditedCopy,
    Question,
    EditedQuestion,
}

/// Documents by position.
struct Documents {
    textbook: Textbook,
    questions: Vec<String>,
    count: u64,
    items: u64,
}

impl Documents {
    fn fresh(&self, position: u64) -> String {
        let items = self
            .textbook
            .items(position * self.items..(position + 1) * self.items);
        items.map(|item| item.text()).collect()
    }

    fn rng(position: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(SEED ^ position.rotate_left(32))
    }

    fn kind(&self, position: u64) -> Kind {
        let every = (self.count / PLANTED_QUESTIONS).max(1);
        if position % every == every / 2 {
            return match position / every % 2 {
                0 => Kind::Question,
                _ => Kind::EditedQuestion,
            };
        }
        match Self::rng(position).random_range(0..100) {
            0..5 if position > 0 => Kind::Copy,
            5..10 if position > 0 => Kind::EditedCopy,
            _ => Kind::Fresh,
        }
    }

    /// A fresh document before `position`, which is one that begins with fresh ones.
    fn earlier(&self, position: u64, rng: &mut ChaCha8Rng) -> String {
        loop {
            let earlier = rng.random_range(0..position);
            if self.kind(earlier) == Kind::Fresh {
                return self.fresh(earlier);
            }
        }
    }

    fn document(&self, position: u64) -> (Kind, String) {
        let mut rng = Self::rng(position);
        let _kind: u64 = rng.random_range(0..100);
        let every = (self.count / PLANTED_QUESTIONS).max(1);
        let question = &self.questions[(position / every % QUESTIONS) as usize];
        let kind = self.kind(position);
        let text = match kind {
            Kind::Fresh => self.fresh(position),
            Kind::Copy => self.earlier(position, &mut rng),
            Kind::EditedCopy => {
                let text = self.earlier(position, &mut rng);
                let mut words: Vec<&str> = text.split(' ').collect();
                let changed = rng.random_range(0..words.len());
                words[changed] = "otherwise";
                words.join(" ")
            }
            Kind::Question => format!("{}{question}\n", self.fresh(position)),
            Kind::EditedQuestion => {
                format!(
                    "{}{}\n",
                    self.fresh(position),
                    with_number_changed(question)
                )
            }
        };
        (kind, text)
    }
}

/// The text with its first number, or else its first word, replaced.
fn with_number_changed(text: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    let number = words
        .iter()
        .position(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    words[number.unwrap_or(0)] = "23";
    words.join(" ")
}

/// Peak resident memory, in MB; Linux only.
fn peak_megabytes() -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024 / 1_000_000)
}

fn textbook(split: Split, story_ratio: f64) -> Result<Textbook, Box<dyn Error>> {
    Ok(Textbook::new(TextbookConfig {
        seed: SEED,
        split,
        story_ratio,
    })?)
}

fn questions() -> Result<Vec<String>, Box<dyn Error>> {
    let items = textbook(Split::Test, 0.0)?.items(0..QUESTIONS);
    let question = |item| match item {
        TextbookItem::Problem(problem) => Some(problem.question),
        TextbookItem::Story(_) => None,
    };
    Ok(items.filter_map(question).collect())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments
        .next()
        .map_or(Ok(1_000_000), |count| count.parse())?;
    let items: u64 = arguments.next().map_or(Ok(1), |items| items.parse())?;
    let mut written = arguments
        .next()
        .map(File::create)
        .transpose()?
        .map(BufWriter::new);
    let questions = questions()?;
    let evaluated = questions
        .iter()
        .enumerate()
        .map(|(number, text)| EvaluationQuestion {
            set: "test split".into(),
            question: number.to_string(),
            text: text.clone(),
        });
    let config: FilterConfig = CONFIG.parse()?;
    let begun = Instant::now();
    let filter = Filter::new(config, evaluated.collect())?;
    println!(
        "index of {QUESTIONS} questions: {:.1} s",
        begun.elapsed().as_secs_f64()
    );

    let documents = Documents {
        textbook: textbook(Split::Train, 0.3)?,
        questions,
        count,
        items,
    };
    let mut run = filter.start()?;
    let (mut reading, mut bytes) = (Duration::ZERO, 0);
    let mut kinds = Vec::new();
    for start in (0..count).step_by(BATCH as usize) {
        let batch: Vec<(String, Kind, String)> = (start..count.min(start + BATCH))
            .map(|position| {
                let (kind, text) = documents.document(position);
                (position.to_string(), kind, text)
            })
            .collect();
        kinds.extend(batch.iter().map(|(_, kind, _)| *kind));
        bytes += batch.iter().map(|(_, _, text)| text.len()).sum::<usize>();
        if let Some(file) = &mut written {
            for (_, _, text) in &batch {
                writeln!(file, "{}", serde_json::to_string(text)?)?;
            }
        }
        let seen: Vec<FilterDocument<'_>> = batch
            .iter()
            .map(|(id, _, text)| FilterDocument { id, text })
            .collect();
        let begun = Instant::now();
        run.read(&seen)?;
        reading += begun.elapsed();
    }
    println!(
        "{count} documents, {} MB; read in {:.1} s",
        bytes / 1_000_000,
        reading.as_secs_f64()
    );
    let begun = Instant::now();
    let outcome = run.finish();
    println!(
        "near-duplicates compared in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    println!(
        "together {:.2} min; peak memory {} MB",
        (reading + begun.elapsed()).as_secs_f64() / 60.0,
        peak_megabytes().map_or("unknown".into(), |megabytes| megabytes.to_string())
    );
    if let Some(near) = outcome.report.near_duplicates {
        println!(
            "{} pairs compared, {} left out",
            near.comparisons, near.left_out
        );
    }
    if let Some(decontamination) = &outcome.report.decontamination {
        for (name, set) in &decontamination.sets {
            let (ngrams, whole, not) = (set.by_ngrams, set.by_all_words, set.not_looked_for.len());
            println!(
                "{name}: {ngrams} questions looked for by n-grams, {whole} as a whole, {not} not"
            );
        }
    }
    for stage in &outcome.report.stages {
        println!(
            "{}: {} of {} removed",
            stage.filter.name(),
            stage.removed,
            stage.documents
        );
    }
    for (kind, name) in [
        (
            Kind::Question,
            "planted questions removed by decontamination",
        ),
        (
            Kind::EditedQuestion,
            "planted questions with a word changed removed by decontamination",
        ),
        (Kind::Copy, "copies removed"),
        (Kind::EditedCopy, "edited copies removed"),
        (Kind::Fresh, "fresh documents removed"),
    ] {
        let of_kind = || (0..count).filter(|&position| kinds[position as usize] == kind);
        let removed = of_kind().filter(|&position| match outcome.removal(position) {
            None => false,
            Some(removal) if matches!(kind, Kind::Question | Kind::EditedQuestion) => {
                removal.filter == FilterStage::Decontamination
            }
            Some(_) => true,
        });
        println!("{name}: {} of {}", removed.count(), of_kind().count());
    }
    Ok(())
}
