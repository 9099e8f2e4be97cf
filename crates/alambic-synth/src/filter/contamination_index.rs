//! An index of evaluation questions, and which of them a document contains.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use rayon::prelude::*;

use super::config_problems::checked;
use super::contamination::Contamination;
use super::densest_window::{Hit, Window, densest_window};
use super::evaluation_questions::{DecontaminationConfig, EvaluationQuestion, SearchedBy};
use super::normalised_words::{ngram_hashes, normalised_words, word_hashes};
use crate::SynthError;

/// Matched n-grams count together if they stand within this many times the question's words.
const WINDOW_QUESTIONS: usize = 2;

/// Where each hash of an n-gram belongs: searched question, and number of its n-gram.
type Places = HashMap<u64, Vec<(usize, u32)>, BuildHasherDefault<AsItIs>>;

/// Takes hashes of n-grams, which are mixed already, as they are.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Questions with the same words, looked for once.
#[derive(Clone, Debug)]
struct Searched {
    /// Positions in `questions`; the first stands for all.
    questions: Vec<usize>,
    words: Vec<u64>,
    searched_by: SearchedBy,
    own_ngrams: usize,
}

/// An index of evaluation questions, by hashes of n-grams of words.
///
/// Words are runs of letters and digits in lower case after NFKC, and operators of formulas: case, punctuation and white space do
/// not matter. An n-gram that more
/// than `max_questions_of_ngram` questions have belongs to a template, and tells nothing about which question a document
/// contains; only the others count as a question's own. So problems that a program made of few templates are told apart by what
/// the program filled in, and a document made of the same template is no contamination. A question that has too few n-grams of
/// its own is looked for as a whole.
///
/// # Memory
/// About 100 bytes for each n-gram of the questions; nothing for documents.
///
/// ```
/// use alambic_synth::{ContaminationIndex, DecontaminationConfig, EvaluationQuestion};
/// let question = EvaluationQuestion {
///     set: "riddles".into(),
///     question: "12".into(),
///     text: "A farmer has 17 sheep and all but 9 run away. How many sheep are left?".into(),
/// };
/// let index = ContaminationIndex::new(DecontaminationConfig::default(), vec![question])?;
/// let found = index.find("Solve: a farmer has 23 sheep, and all but 9 run away! How many sheep are left? 9").unwrap();
/// assert_eq!((found.set.as_str(), found.question.as_str()), ("riddles", "12"));
/// assert!(index.find("A farmer has 9 sheep. How many are left when all run away?").is_none());
/// # Ok::<(), alambic_synth::SynthError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ContaminationIndex {
    config: DecontaminationConfig,
    questions: Vec<EvaluationQuestion>,
    searched: Vec<Searched>,
    /// For each length of n-grams, where each hash belongs: searched question and number of its n-gram.
    sizes: Vec<(usize, Places)>,
}

impl ContaminationIndex {
    /// Indexes `questions`.
    ///
    /// # Errors
    /// [`SynthError::Settings`] lists what is wrong with the options.
    pub fn new(
        config: DecontaminationConfig,
        questions: Vec<EvaluationQuestion>,
    ) -> Result<Self, SynthError> {
        checked(|problems| config.check(problems))?;
        let mut index = Self {
            searched: distinct(&questions),
            config,
            questions,
            sizes: Vec::new(),
        };
        index.choose_searches();
        index.fill();
        Ok(index)
    }

    /// The questions, as they were given.
    #[must_use]
    pub fn questions(&self) -> &[EvaluationQuestion] {
        &self.questions
    }

    /// How each question is looked for, in the order of [`questions`](Self::questions).
    #[must_use]
    pub fn searches(&self) -> Vec<SearchedBy> {
        let mut all = vec![SearchedBy::Nothing; self.questions.len()];
        for searched in &self.searched {
            for &question in &searched.questions {
                all[question] = searched.searched_by;
            }
        }
        all
    }

    /// Goes from the longest n-grams to the shortest; each question takes the first with which it is found when edited.
    fn choose_searches(&mut self) {
        let shortest = self.config.min_question_words;
        for searched in &mut self.searched {
            if searched.words.len() >= shortest {
                searched.searched_by = SearchedBy::AllWords;
            }
        }
        for size in (self.config.min_ngram_words..=self.config.max_ngram_words).rev() {
            let open = |searched: &Searched| searched.searched_by == SearchedBy::AllWords;
            if !self.searched.iter().any(open) {
                return;
            }
            let questions_with = self.questions_with(size);
            for searched in self.searched.iter_mut().filter(|searched| open(searched)) {
                let own = distinct_ngrams(&searched.words, size)
                    .iter()
                    .filter(|hash| questions_with[hash] <= self.config.max_questions_of_ngram)
                    .count();
                if self.config.is_found_when_edited(own, size) {
                    searched.searched_by = SearchedBy::Ngrams(size);
                }
            }
        }
    }

    /// How many questions have each n-gram of `size` words.
    fn questions_with(&self, size: usize) -> HashMap<u64, usize> {
        let mut counts = HashMap::new();
        for searched in &self.searched {
            for hash in distinct_ngrams(&searched.words, size) {
                *counts.entry(hash).or_insert(0) += 1;
            }
        }
        counts
    }

    fn fill(&mut self) {
        let length = |searched: &Searched| match searched.searched_by {
            SearchedBy::Ngrams(size) => Some(size),
            SearchedBy::AllWords => Some(searched.words.len()),
            SearchedBy::Nothing => None,
        };
        let mut sizes: Vec<usize> = self.searched.iter().filter_map(length).collect();
        sizes.sort_unstable();
        sizes.dedup();
        for size in sizes {
            let questions_with = self.questions_with(size);
            let mut places = Places::default();
            let here = self.searched.iter_mut().enumerate();
            for (number, searched) in here.filter(|(_, searched)| length(searched) == Some(size)) {
                let is_own = |hash: &u64| {
                    searched.searched_by == SearchedBy::AllWords
                        || questions_with[hash] <= self.config.max_questions_of_ngram
                };
                let own = distinct_ngrams(&searched.words, size)
                    .into_iter()
                    .filter(is_own);
                let own: Vec<u64> = own.collect();
                searched.own_ngrams = own.len();
                for (ngram, hash) in own.into_iter().enumerate() {
                    places.entry(hash).or_default().push((number, ngram as u32));
                }
            }
            self.sizes.push((size, places));
        }
    }

    /// The question that a document contains, if it contains one: of several the one with the largest overlap, then of the most
    /// n-grams, then the first.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Contamination> {
        let words = word_hashes(text);
        let mut hits = Vec::new();
        for (size, places) in &self.sizes {
            for (position, hash) in ngram_hashes(&words, *size).enumerate() {
                for &(searched, ngram) in places.get(&hash).into_iter().flatten() {
                    hits.push(Hit {
                        searched,
                        position,
                        ngram,
                    });
                }
            }
        }
        hits.sort_unstable();
        let best = hits
            .chunk_by(|a, b| a.searched == b.searched)
            .filter_map(|hits| self.contaminated(hits))
            .max_by(|a, b| {
                self.rank(a)
                    .total_cmp(&self.rank(b))
                    .then(a.matched.cmp(&b.matched))
                    .then(b.searched.cmp(&a.searched))
            })?;
        Some(self.contamination(&best, text))
    }

    /// [`find`](Self::find) for many documents, in parallel; in their order.
    #[must_use]
    pub fn find_all(&self, texts: &[&str]) -> Vec<Option<Contamination>> {
        texts.par_iter().map(|text| self.find(text)).collect()
    }

    fn rank(&self, window: &Window) -> f64 {
        window.matched as f64 / self.searched[window.searched].own_ngrams as f64
    }

    /// The stretch of the document with the most n-grams of one question, if they are enough.
    fn contaminated(&self, hits: &[Hit]) -> Option<Window> {
        let searched = &self.searched[hits.first()?.searched];
        let needed = self.config.min_overlap * searched.own_ngrams as f64;
        if (hits.len() as f64) < needed {
            return None;
        }
        let width = WINDOW_QUESTIONS * searched.words.len();
        densest_window(hits, width).filter(|window| window.matched as f64 >= needed)
    }

    fn contamination(&self, window: &Window, text: &str) -> Contamination {
        let searched = &self.searched[window.searched];
        let question = &self.questions[searched.questions[0]];
        let ngram_words = match searched.searched_by {
            SearchedBy::Ngrams(size) => size,
            SearchedBy::AllWords | SearchedBy::Nothing => searched.words.len(),
        };
        let words = normalised_words(text);
        Contamination {
            set: question.set.clone(),
            question: question.question.clone(),
            same_questions: searched.questions.len() - 1,
            searched_by: searched.searched_by,
            matched_ngrams: window.matched,
            own_ngrams: searched.own_ngrams,
            passage: words[window.first..window.last + ngram_words].join(" "),
        }
    }
}

/// Questions with the same words as one.
fn distinct(questions: &[EvaluationQuestion]) -> Vec<Searched> {
    let mut numbers: HashMap<Vec<u64>, usize> = HashMap::new();
    let mut all: Vec<Searched> = Vec::new();
    for (position, question) in questions.iter().enumerate() {
        let words = word_hashes(&question.text);
        match numbers.entry(words) {
            Entry::Occupied(number) => all[*number.get()].questions.push(position),
            Entry::Vacant(vacant) => {
                all.push(Searched {
                    questions: vec![position],
                    words: vacant.key().clone(),
                    searched_by: SearchedBy::Nothing,
                    own_ngrams: 0,
                });
                vacant.insert(all.len() - 1);
            }
        }
    }
    all
}

/// The n-grams of a question, each once, in order of their hashes.
fn distinct_ngrams(words: &[u64], size: usize) -> Vec<u64> {
    let mut hashes: Vec<u64> = ngram_hashes(words, size).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}
