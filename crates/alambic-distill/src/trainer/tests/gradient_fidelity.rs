//! Gradients of one student under two ways to teach it.

use std::sync::Arc;

use super::small_run::{cache, config, student};
use crate::loss::{LossKind, Objective, ObjectiveTerm, TailTreatment};
use crate::{Teaching, gradient_fidelity};

fn teaching(terms: Vec<ObjectiveTerm>, tail: TailTreatment, dir: &std::path::Path) -> Teaching {
    Teaching {
        objective: Objective::try_new(terms, tail).unwrap(),
        source: cache(dir),
    }
}

#[test]
fn the_same_teaching_gives_the_same_gradient_and_a_weight_scales_it() {
    let dir = tempfile::tempdir().unwrap();
    let forward = |weight| vec![ObjectiveTerm::new(LossKind::ForwardKl, weight)];
    let bucket = TailTreatment::TailBucket;
    let reference = teaching(forward(1.0), bucket, &dir.path().join("a"));
    let doubled = teaching(forward(2.0), bucket, &dir.path().join("b"));
    let windows = config(1).windows;
    for (judged, ratio) in [(&reference, 1.0), (&doubled, 2.0)] {
        let found = gradient_fidelity(&student(), judged, &reference, &windows, 3).unwrap();
        assert_eq!(found.len(), 3);
        for fidelity in found {
            assert!((fidelity.cosine - 1.0).abs() < 1e-5, "{fidelity:?}");
            assert!((fidelity.norm_ratio - ratio).abs() < 1e-5, "{fidelity:?}");
            assert!(fidelity.labels > 0);
        }
    }
}

#[test]
fn what_a_renormalised_teacher_says_points_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let terms = vec![ObjectiveTerm::new(LossKind::ForwardKl, 1.0)];
    let reference = teaching(
        terms.clone(),
        TailTreatment::TailBucket,
        &dir.path().join("a"),
    );
    let judged = teaching(
        terms,
        TailTreatment::RenormaliseTeacher,
        &dir.path().join("b"),
    );
    let windows = config(1).windows;
    let found = gradient_fidelity(&student(), &judged, &reference, &windows, 2).unwrap();
    for fidelity in found {
        assert!(1.0 - fidelity.cosine > 1e-5, "{fidelity:?}");
        // The head's probabilities grow by the sixteenth that was the tail's.
        assert!((1.05..1.1).contains(&fidelity.norm_ratio), "{fidelity:?}");
    }
}

#[test]
fn windows_of_other_text_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let terms = vec![ObjectiveTerm::new(LossKind::ForwardKl, 1.0)];
    let reference = teaching(terms, TailTreatment::TailBucket, &dir.path().join("a"));
    let part = dir.path().join("part");
    let whole = alambic_cache::CacheReader::open(&dir.path().join("a")).unwrap();
    alambic_cache::filter(&whole, &part, |record| record.num_tokens() > 6).unwrap();
    let judged = Teaching {
        source: Arc::new(alambic_cache::CacheReader::open(&part).unwrap()),
        ..reference.clone()
    };
    let windows = config(1).windows;
    let outcome = gradient_fidelity(&student(), &judged, &reference, &windows, 2);
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("segments other than those"), "{message}");
}
