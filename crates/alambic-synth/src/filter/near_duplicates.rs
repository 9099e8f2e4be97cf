//! Texts that are almost the same: MinHash signatures, and buckets of bands.

use rayon::prelude::*;

use super::config_problems::checked;
use super::disjoint_sets::DisjointSets;
use super::duplicate_bucket::{Bucket, BucketMatches};
use super::min_hash::{MinHasher, estimated_jaccard};
use super::near_duplicates_config::{NearDuplicatesConfig, Verification};
use super::normalised_words::ngram_hashes;
use super::shingles::jaccard;
use crate::SynthError;

/// Texts whose signatures stand in one piece of memory.
const TEXTS_PER_BLOCK: usize = 4096;

/// Finds texts that resemble earlier ones, among millions, without comparing all pairs.
///
/// Texts are added in order and make signatures ([`MinHasher`]); [`NearDuplicates::clusters`] then goes through one band after
/// the other, sorts texts by it, and compares those that agree ([`NearDuplicatesConfig`] has the odds). Pairs that resemble
/// each other are joined, and what is joined over others too is one cluster, whose first text in the order of the input is the
/// one to keep. So a text may resemble the first of its cluster less than the threshold, by way of others.
///
/// The same texts and options give the same clusters, on any number of threads. Texts without words are one cluster.
///
/// # Memory
/// For each text `4 permutations` bytes (`8 bands` without verification; and 8 for each shingle with the exact one), then 20
/// while clusters are made: 500 MB for a million texts by default. Texts are not kept.
///
/// ```
/// use alambic_synth::{NearDuplicates, NearDuplicatesConfig};
/// let mut search = NearDuplicates::new(NearDuplicatesConfig::default())?;
/// let story = "One morning the fox and the hen went down to the river to look for the lost boat of the old miller";
/// search.add(&[story, "Something else.", &format!("{story} again")]);
/// let clusters = search.clusters();
/// assert_eq!(clusters.first_of(2), Some(0));
/// assert_eq!(clusters.first_of(1), None);
/// # Ok::<(), alambic_synth::SynthError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NearDuplicates {
    config: NearDuplicatesConfig,
    hasher: MinHasher,
    texts: usize,
    signatures: Vec<Vec<u32>>,
    band_hashes: Vec<Vec<u64>>,
    shingles: Vec<Box<[u64]>>,
}

impl NearDuplicates {
    /// Has no texts yet.
    ///
    /// # Errors
    /// [`SynthError::Settings`] lists what is wrong with the options.
    pub fn new(config: NearDuplicatesConfig) -> Result<Self, SynthError> {
        checked(|problems| config.check(problems))?;
        Ok(Self {
            hasher: MinHasher::new(config.permutations, config.seed),
            config,
            texts: 0,
            signatures: Vec::new(),
            band_hashes: Vec::new(),
            shingles: Vec::new(),
        })
    }

    /// Texts that were added.
    #[must_use]
    pub fn texts(&self) -> usize {
        self.texts
    }

    /// Adds texts behind those that were added before; signatures are computed in parallel.
    ///
    /// # Panics
    /// Behind 2³² − 1 texts, whose signatures would take terabytes.
    pub fn add(&mut self, texts: &[&str]) {
        assert!(
            u32::try_from(self.texts + texts.len()).is_ok(),
            "more texts than positions of 32 bits"
        );
        let made: Vec<(Vec<u64>, Vec<u32>)> = texts
            .par_iter()
            .map(|text| {
                let shingles = self.config.shingling.shingles(text);
                let signature = self.hasher.signature(&shingles);
                (shingles, signature)
            })
            .collect();
        for (shingles, signature) in made {
            match self.config.verification {
                Verification::None => {
                    let hashes: Vec<u64> = (0..self.config.bands)
                        .map(|band| self.band_hash(&signature, band))
                        .collect();
                    append(&mut self.band_hashes, self.texts, &hashes);
                }
                Verification::EstimatedJaccard => {
                    append(&mut self.signatures, self.texts, &signature);
                }
                Verification::ExactJaccard => {
                    append(&mut self.signatures, self.texts, &signature);
                    self.shingles.push(shingles.into_boxed_slice());
                }
            }
            self.texts += 1;
        }
    }

    /// The clusters of all texts that were added.
    #[must_use]
    pub fn clusters(&self) -> DuplicateClusters {
        let count = u32::try_from(self.texts).expect("add counts the texts");
        let mut sets = DisjointSets::new(count);
        let (mut comparisons, mut left_out) = (0, 0);
        for band in 0..self.config.bands {
            let mut entries: Vec<(u64, u32)> = (0..count)
                .into_par_iter()
                .map(|text| (self.hash_of(text, band), text))
                .collect();
            entries.par_sort_unstable();
            let buckets: Vec<BucketMatches> = entries
                .par_chunk_by(|a, b| a.0 == b.0)
                .filter(|bucket| bucket.len() > 1)
                .map(|bucket| self.matches(bucket, &sets))
                .collect();
            for matches in buckets {
                comparisons += matches.comparisons;
                left_out += matches.left_out;
                for (earlier, later) in matches.pairs {
                    sets.join(earlier, later);
                }
            }
            sets.flatten();
        }
        DuplicateClusters {
            similarities: (0..count)
                .into_par_iter()
                .map(|text| {
                    (sets.first(text) != text).then(|| self.similarity(sets.first(text), text))
                })
                .map(|similarity| similarity.unwrap_or(1.0) as f32)
                .collect(),
            sets,
            comparisons,
            left_out,
        }
    }

    fn matches(&self, entries: &[(u64, u32)], sets: &DisjointSets) -> BucketMatches {
        let resemble = |a, b| match self.config.verification {
            Verification::None => true,
            _ => self.similarity(a, b) >= self.config.jaccard_threshold,
        };
        let mut bucket = Bucket::new(self.config.max_comparisons, resemble);
        for &(_, text) in entries {
            bucket.add(text, sets.first(text));
        }
        bucket.into_matches()
    }

    fn similarity(&self, a: u32, b: u32) -> f64 {
        let (a, b) = (a as usize, b as usize);
        match self.config.verification {
            Verification::None => {
                let bands = self.config.bands;
                let (first, second) = (
                    row(&self.band_hashes, a, bands),
                    row(&self.band_hashes, b, bands),
                );
                let equal = first.iter().zip(second).filter(|(a, b)| a == b).count();
                // The share of equal bands is an estimate of sʳ.
                let rows = self.config.permutations as f64 / bands as f64;
                (equal as f64 / bands as f64).powf(1.0 / rows)
            }
            Verification::EstimatedJaccard => {
                let permutations = self.config.permutations;
                estimated_jaccard(
                    row(&self.signatures, a, permutations),
                    row(&self.signatures, b, permutations),
                )
            }
            Verification::ExactJaccard => jaccard(&self.shingles[a], &self.shingles[b]),
        }
    }

    fn hash_of(&self, text: u32, band: usize) -> u64 {
        let text = text as usize;
        match self.config.verification {
            Verification::None => row(&self.band_hashes, text, self.config.bands)[band],
            _ => self.band_hash(row(&self.signatures, text, self.config.permutations), band),
        }
    }

    fn band_hash(&self, signature: &[u32], band: usize) -> u64 {
        let rows = self.config.permutations / self.config.bands;
        let components = &signature[band * rows..(band + 1) * rows];
        let wide: Vec<u64> = components.iter().map(|&part| u64::from(part) + 1).collect();
        ngram_hashes(&wide, rows).fold(0, |_, hash| hash)
    }
}

/// Appends the row of text `index` to blocks of [`TEXTS_PER_BLOCK`] rows: no block ever moves.
fn append<T: Copy>(blocks: &mut Vec<Vec<T>>, index: usize, row: &[T]) {
    if index.is_multiple_of(TEXTS_PER_BLOCK) {
        blocks.push(Vec::with_capacity(TEXTS_PER_BLOCK * row.len()));
    }
    if let Some(block) = blocks.last_mut() {
        block.extend_from_slice(row);
    }
}

/// The row of text `index`.
fn row<T>(blocks: &[Vec<T>], index: usize, length: usize) -> &[T] {
    let start = index % TEXTS_PER_BLOCK * length;
    &blocks[index / TEXTS_PER_BLOCK][start..start + length]
}

/// Which texts are near-duplicates of which.
///
/// Made by [`NearDuplicates::clusters`].
#[derive(Clone, Debug)]
pub struct DuplicateClusters {
    sets: DisjointSets,
    similarities: Vec<f32>,
    comparisons: u64,
    left_out: u64,
}

impl DuplicateClusters {
    /// The first text of the cluster of the text at `position`; `None` if that is itself, and it is to be kept.
    ///
    /// # Panics
    /// If there is no text at `position`.
    #[must_use]
    pub fn first_of(&self, position: usize) -> Option<usize> {
        let text = u32::try_from(position).expect("positions have 32 bits");
        let first = self.sets.first(text);
        (first != text).then_some(first as usize)
    }

    /// How much the text at `position` resembles the first of its cluster: the quantity that was verified, and without
    /// verification an estimate from the share of equal bands.
    ///
    /// # Panics
    /// If there is no text at `position`.
    #[must_use]
    pub fn similarity_to_first(&self, position: usize) -> f64 {
        f64::from(self.similarities[position])
    }

    /// Pairs that were compared.
    #[must_use]
    pub fn comparisons(&self) -> u64 {
        self.comparisons
    }

    /// Pairs in one bucket that were not compared because of `max_comparisons`; some are pairs already known from other bands.
    #[must_use]
    pub fn comparisons_left_out(&self) -> u64 {
        self.left_out
    }
}
