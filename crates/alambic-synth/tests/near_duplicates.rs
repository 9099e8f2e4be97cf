//! Near-duplicates beside exact Jaccard similarities and the odds of banding.

#![allow(clippy::unwrap_used)]

use alambic_synth::{
    MinHasher, NearDuplicates, NearDuplicatesConfig, ShingleUnit, Shingling, Verification,
    estimated_jaccard,
};
use serde::Deserialize;

/// Single words as sets, so that similarities can be made to measure.
fn of_words(verification: Verification) -> NearDuplicatesConfig {
    NearDuplicatesConfig {
        shingling: Shingling {
            unit: ShingleUnit::Words,
            size: 1,
        },
        verification,
        ..Default::default()
    }
}

/// Two texts of `all` different words together, of which they share `shared`; other pairs have other words.
fn pair(number: usize, shared: usize, all: usize) -> [String; 2] {
    let words = |range: std::ops::Range<usize>| {
        let words: Vec<String> = range.map(|word| format!("w{number}x{word}")).collect();
        words.join(" ")
    };
    let alone = (all - shared) / 2;
    [words(0..alone + shared), words(alone..all)]
}

/// Share of pairs of Jaccard similarity `shared / all` that are joined.
fn joined_ratio(config: &NearDuplicatesConfig, shared: usize, all: usize) -> f64 {
    const PAIRS: usize = 800;
    let mut search = NearDuplicates::new(config.clone()).unwrap();
    for number in 0..PAIRS {
        let [first, second] = pair(number, shared, all);
        search.add(&[&first, &second]);
    }
    let clusters = search.clusters();
    let joined = (0..PAIRS).filter(|number| clusters.first_of(2 * number + 1) == Some(2 * number));
    joined.count() as f64 / PAIRS as f64
}

#[test]
fn candidates_follow_the_s_curve_of_the_bands() {
    for (permutations, bands) in [(120, 20), (128, 16), (60, 30)] {
        let config = NearDuplicatesConfig {
            permutations,
            bands,
            ..of_words(Verification::None)
        };
        for shared in [20, 40, 50, 60, 70, 80, 90, 100] {
            let expected = config.candidate_probability(shared as f64 / 100.0);
            let found = joined_ratio(&config, shared, 100);
            let four_deviations = 4.0 * (expected * (1.0 - expected) / 800.0).sqrt();
            assert!(
                (found - expected).abs() <= four_deviations + 1e-9,
                "{bands} bands, similarity 0.{shared}: expected {expected:.3}, found {found:.3}"
            );
        }
    }
}

#[test]
fn exact_verification_decides_at_the_threshold() {
    let config = of_words(Verification::ExactJaccard);
    assert!(joined_ratio(&config, 80, 100) > 0.98);
    assert_eq!(joined_ratio(&config, 79, 101), 0.0);
    assert_eq!(joined_ratio(&config, 100, 100), 1.0);
}

#[test]
fn estimated_verification_errs_by_the_deviation_of_the_estimate() {
    let config = of_words(Verification::EstimatedJaccard);
    // Two and a half standard deviations (0.0365 at 0.8) from the threshold on either side.
    assert!(joined_ratio(&config, 70, 100) < 0.03);
    assert!(joined_ratio(&config, 90, 100) > 0.99);
}

#[test]
fn clusters_keep_their_first_text_and_join_through_others() {
    let mut search = NearDuplicates::new(of_words(Verification::ExactJaccard)).unwrap();
    let text =
        |range: std::ops::Range<u32>| range.map(|word| format!("w{word} ")).collect::<String>();
    // Each resembles the next by 90 / 100, the first the last by 70 / 115.
    let texts = [
        text(900..999),
        text(5..100),
        text(15..110),
        text(0..95),
        text(10..105),
        String::new(),
    ];
    search.add(&texts.each_ref().map(String::as_str));
    let clusters = search.clusters();
    let firsts: Vec<Option<usize>> = (0..texts.len())
        .map(|text| clusters.first_of(text))
        .collect();
    assert_eq!(firsts, [None, None, Some(1), Some(1), Some(1), None]);
    // Kept in f32.
    assert!((clusters.similarity_to_first(4) - 0.9).abs() < 1e-7);
}

#[test]
fn neither_threads_nor_batches_change_the_clusters() {
    let texts: Vec<String> = (0..300)
        .flat_map(|number| pair(number / 2, 85, 100))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let firsts = |threads: usize, batch: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut search = NearDuplicates::new(of_words(Verification::EstimatedJaccard)).unwrap();
            texts.chunks(batch).for_each(|batch| search.add(batch));
            let clusters = search.clusters();
            (0..texts.len())
                .map(|text| clusters.first_of(text))
                .collect::<Vec<_>>()
        })
    };
    let expected = firsts(1, texts.len());
    assert_eq!(firsts(4, 7), expected);
    assert!(expected.iter().any(Option::is_some));
}

/// What `tools/golden/record_near_duplicates.py` recorded: texts, their similar pairs by exact Jaccard similarity, and what
/// datasketch estimates and finds.
#[derive(Deserialize)]
struct Recorded {
    shingle_words: usize,
    threshold: f64,
    texts: Vec<String>,
    /// First and second text, exact similarity, and datasketch's estimate by 128 permutations.
    pairs: Vec<(usize, usize, f64, f64)>,
    /// The first text of each text's cluster, by exact similarity.
    clusters: Vec<usize>,
}

fn recorded() -> Recorded {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/near_duplicates.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn clusters_are_those_of_exact_similarities_in_python() {
    let recorded = recorded();
    let config = NearDuplicatesConfig {
        shingling: Shingling {
            unit: ShingleUnit::Words,
            size: recorded.shingle_words,
        },
        jaccard_threshold: recorded.threshold,
        // Bands that miss a pair at the threshold once in a million times.
        permutations: 200,
        bands: 100,
        verification: Verification::ExactJaccard,
        ..Default::default()
    };
    let mut search = NearDuplicates::new(config).unwrap();
    let texts: Vec<&str> = recorded.texts.iter().map(String::as_str).collect();
    search.add(&texts);
    let clusters = search.clusters();
    for (text, &first) in recorded.clusters.iter().enumerate() {
        assert_eq!(
            clusters.first_of(text).unwrap_or(text),
            first,
            "text {text}"
        );
    }
}

#[test]
fn estimates_are_as_good_as_those_of_datasketch() {
    let recorded = recorded();
    let shingling = Shingling {
        unit: ShingleUnit::Words,
        size: recorded.shingle_words,
    };
    let hasher = MinHasher::new(128, 17);
    let signatures: Vec<Vec<u32>> = recorded
        .texts
        .iter()
        .map(|text| hasher.signature(&shingling.shingles(text)))
        .collect();
    let (mut ours, mut theirs) = (0.0, 0.0);
    for &(first, second, exact, estimate) in &recorded.pairs {
        ours += (estimated_jaccard(&signatures[first], &signatures[second]) - exact).powi(2);
        theirs += (estimate - exact).powi(2);
    }
    let pairs = recorded.pairs.len() as f64;
    let (ours, theirs) = ((ours / pairs).sqrt(), (theirs / pairs).sqrt());
    assert!(
        ours < 1.2 * theirs,
        "root mean squared errors {ours} and {theirs}"
    );
}
