//! The weighted sum, and what it refuses.

use super::*;

fn refused(term: ObjectiveTerm, tail: TailTreatment) -> LossError {
    Objective::try_new(vec![term], tail).unwrap_err()
}

#[test]
fn an_objective_without_positive_weight_is_refused() {
    let bucket = TailTreatment::TailBucket;
    let term = |weight| ObjectiveTerm::new(LossKind::CrossEntropy, weight);
    assert!(matches!(
        refused(term(0.0), bucket),
        LossError::EmptyObjective { step: 1 }
    ));
    assert!(matches!(
        refused(term(f64::NAN), bucket),
        LossError::BadWeight { .. }
    ));
    assert!(matches!(
        refused(term(-1.0), bucket),
        LossError::BadWeight { .. }
    ));
}

#[test]
fn a_term_takes_its_own_setting_and_no_other() {
    let bucket = TailTreatment::TailBucket;
    let bare = ObjectiveTerm::new(LossKind::JensenShannon, 1.0);
    assert!(matches!(
        refused(bare, bucket),
        LossError::SettingMissing {
            setting: "beta",
            ..
        }
    ));
    assert!(matches!(
        refused(bare.with(LossSetting::Beta, 2.0), bucket),
        LossError::OutOfRange {
            setting: "beta",
            ..
        }
    ));
    let superfluous = bare
        .with(LossSetting::Beta, 0.5)
        .with(LossSetting::Alpha, 0.1);
    assert!(matches!(
        refused(superfluous, bucket),
        LossError::SettingUnread {
            setting: "alpha",
            ..
        }
    ));
    assert!(Objective::try_new(vec![bare.with(LossSetting::Beta, 0.5)], bucket).is_ok());
}

#[test]
fn a_term_that_is_infinite_under_the_treatment_is_refused() {
    let reverse = ObjectiveTerm::new(LossKind::ReverseKl, 1.0);
    let error = refused(reverse, TailTreatment::ZeroFill);
    assert!(error.to_string().contains("use `tail_bucket`"), "{error}");
    assert!(Objective::try_new(vec![reverse], TailTreatment::RenormaliseBoth).is_ok());
}

#[test]
fn every_kind_of_loss_is_the_divergence_of_its_name() {
    let all = LossKind::OF_LABELS
        .into_iter()
        .chain(LossKind::OF_VOCABULARIES);
    for kind in all {
        let divergence = ObjectiveTerm::published(kind, 1.0).divergence().unwrap();
        assert_eq!(divergence.is_some(), kind.compares_distributions());
        if let Some(divergence) = divergence {
            assert_eq!(divergence.name(), kind.name());
        }
    }
}
