//! Weights that change with the steps.

use super::*;

fn ramp(kind: RampKind) -> WeightRamp {
    WeightRamp {
        kind,
        to: 0.2,
        first_step: 10,
        last_step: 20,
    }
}

#[test]
fn a_weight_holds_before_and_behind_its_ramp_and_is_exact_at_both_ends() {
    for kind in [RampKind::Linear, RampKind::Cosine] {
        for (step, expected) in [(1, 0.7), (10, 0.7), (20, 0.2), (1_000, 0.2)] {
            assert_eq!(ramp(kind).weight(0.7, step), expected, "{kind:?}, {step}");
        }
        let middle = ramp(kind).weight(0.7, 15);
        assert!((middle - 0.45).abs() < 1e-12, "{kind:?}: {middle}");
    }
    let quarter = ramp(RampKind::Linear).weight(0.7, 12);
    assert!((quarter - 0.6).abs() < 1e-12, "{quarter}");
    let quarter = ramp(RampKind::Cosine).weight(0.7, 12);
    let expected = 0.7 - 0.25 * (1.0 - (0.2 * std::f64::consts::PI).cos());
    assert!((quarter - expected).abs() < 1e-12, "{quarter}");
}

#[test]
fn a_ramp_goes_one_way() {
    for kind in [RampKind::Linear, RampKind::Cosine] {
        let weights: Vec<f64> = (9..=21).map(|step| ramp(kind).weight(0.7, step)).collect();
        assert!(
            weights.windows(2).all(|pair| pair[0] >= pair[1]),
            "{weights:?}"
        );
        let upwards: Vec<f64> = (9..=21).map(|step| ramp(kind).weight(0.0, step)).collect();
        assert!(
            upwards.windows(2).all(|pair| pair[0] <= pair[1]),
            "{upwards:?}"
        );
    }
}

#[test]
fn factors_follow_the_ramps_of_their_terms() {
    let ramped = ObjectiveTerm::new(LossKind::CrossEntropy, 0.7).with_ramp(ramp(RampKind::Linear));
    let terms = vec![ObjectiveTerm::new(LossKind::ForwardKl, 0.5), ramped];
    let objective = Objective::try_new(terms, TailTreatment::TailBucket).unwrap();
    assert_eq!(objective.factors(10), [0.5, 0.7]);
    assert_eq!(objective.factors(20), [0.5, 0.2]);
}

#[test]
fn ramps_that_end_before_they_begin_and_weights_that_are_none_are_refused() {
    let objective = |from: f64, ramp: WeightRamp| {
        let term = ObjectiveTerm::new(LossKind::CrossEntropy, from).with_ramp(ramp);
        Objective::try_new(vec![term], TailTreatment::TailBucket)
    };
    let linear = ramp(RampKind::Linear);
    let standing = WeightRamp {
        last_step: 10,
        ..linear
    };
    let error = objective(1.0, standing).unwrap_err();
    assert!(error.to_string().contains("last_step 10"), "{error}");
    let negative = WeightRamp { to: -1.0, ..linear };
    assert!(matches!(
        objective(1.0, negative),
        Err(LossError::BadWeight { weight: -1.0, .. })
    ));
}

#[test]
fn an_objective_has_a_weight_at_every_step() {
    let linear = ramp(RampKind::Linear);
    let falling = WeightRamp { to: 0.0, ..linear };
    let of = |terms: &[(LossKind, f64, Option<WeightRamp>)]| {
        let terms = terms.iter().map(|&(kind, weight, ramp)| ObjectiveTerm {
            ramp,
            ..ObjectiveTerm::new(kind, weight)
        });
        Objective::try_new(terms.collect(), TailTreatment::TailBucket)
    };
    let (soft, hard) = (LossKind::ForwardKl, LossKind::CrossEntropy);
    assert!(matches!(
        of(&[(soft, 1.0, Some(falling))]),
        Err(LossError::EmptyObjective { step: 20 })
    ));
    assert!(matches!(
        of(&[(soft, 0.0, Some(linear))]),
        Err(LossError::EmptyObjective { step: 1 })
    ));
    let from_the_start = WeightRamp {
        first_step: 0,
        ..linear
    };
    assert!(of(&[(soft, 0.0, Some(from_the_start))]).is_ok());
    assert!(of(&[(soft, 1.0, Some(falling)), (hard, 0.0, Some(linear))]).is_ok());
    let later = WeightRamp {
        first_step: 30,
        last_step: 40,
        ..linear
    };
    assert!(matches!(
        of(&[(soft, 1.0, Some(falling)), (hard, 0.0, Some(later))]),
        Err(LossError::EmptyObjective { step: 20 })
    ));
}
