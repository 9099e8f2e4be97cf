//! Finds the first number of a report that JSON could not hold.
//!
//! JSON has no NaN and no infinity; `serde_json` would write `null` in their place, and an
//! optional field would then read back as "not measured".

use super::ReportError;
use super::model::{
    CacheSummary, Calibration, CalibrationBin, Curve, EvaluationSummary, FamilyAccuracy, Report,
    Stage, StudentMetrics, TeacherMetrics, TrainPoint, TrainingCost, ValidationPoint,
};

/// Shows each floating-point field of one object to `visit`, with its name.
trait Numbers {
    fn visit_numbers(&self, visit: &mut dyn FnMut(&str, f64));
}

/// The destructuring names every field, so that a new one cannot be forgotten.
macro_rules! numbers_of {
    ($type:ident { $($number:ident),* } optional { $($optional:ident),* } others { $($other:ident),* }) => {
        impl Numbers for $type {
            fn visit_numbers(&self, visit: &mut dyn FnMut(&str, f64)) {
                let Self { $($number,)* $($optional,)* $($other: _,)* } = self;
                $( visit(stringify!($number), *$number); )*
                $( if let Some(number) = $optional { visit(stringify!($optional), *number); } )*
            }
        }
    };
}

numbers_of!(TeacherMetrics { nll, perplexity, bits_per_byte } optional { nll_unseen_templates, answer_accuracy } others { name, parameters });
numbers_of!(StudentMetrics { nll, perplexity, bits_per_byte }
    optional { kl_to_teacher, top1_agreement, expected_calibration_error, nll_unseen_templates, answer_accuracy } others { parameters });
numbers_of!(FamilyAccuracy { chance, teacher, student } optional { baseline } others { family, problems });
numbers_of!(TrainingCost { seconds, tokens_per_second } optional {} others { tokens, steps, peak_rss_bytes });
numbers_of!(CacheSummary { bytes_per_token, capture_seconds } optional { mean_tail_mass } others { tokens, bytes, kept });
numbers_of!(EvaluationSummary { seconds } optional {} others { tokens, segments });
numbers_of!(ValidationPoint { nll } optional { kl_to_teacher, top1_agreement } others { step, tokens });
numbers_of!(CalibrationBin { confidence, accuracy } optional {} others { count });
numbers_of!(Stage { seconds } optional {} others { name, detail });

impl Numbers for TrainPoint {
    fn visit_numbers(&self, visit: &mut dyn FnMut(&str, f64)) {
        let Self {
            step: _,
            tokens: _,
            loss,
            learning_rate,
            gradient_norm,
            terms,
        } = self;
        visit("loss", *loss);
        visit("learning_rate", *learning_rate);
        visit("gradient_norm", *gradient_norm);
        for (term, value) in terms {
            visit(&format!("terms.{term}"), *value);
        }
    }
}

/// Refuses a report that holds a number that is not finite.
///
/// # Errors
/// [`ReportError::NonFinite`] with the path of the first such field.
pub(crate) fn check_finite(report: &Report) -> Result<(), ReportError> {
    let Report {
        schema_version: _,
        title: _,
        created_by: _,
        seed: _,
        device: _,
        teacher,
        student,
        baseline,
        chance_accuracy,
        accuracy_by_family,
        train,
        baseline_train,
        cache,
        evaluation,
        curves,
        calibration,
        samples: _,
        stages,
    } = report;
    check("teacher", teacher)?;
    check("student", student)?;
    check_all("baseline", baseline.as_ref(), |_| String::new())?;
    if let Some(chance) = chance_accuracy {
        check_number("chance_accuracy", *chance)?;
    }
    check_all("accuracy_by_family", accuracy_by_family, index)?;
    check("train", train)?;
    check_all("baseline_train", baseline_train.as_ref(), |_| String::new())?;
    check_all("cache", cache.as_ref(), |_| String::new())?;
    check("evaluation", evaluation)?;
    for (
        i,
        Curve {
            arm: _,
            train,
            validation,
        },
    ) in curves.iter().enumerate()
    {
        check_all(&format!("curves[{i}].train"), train, index)?;
        check_all(&format!("curves[{i}].validation"), validation, index)?;
    }
    for (i, Calibration { arm: _, bins }) in calibration.iter().enumerate() {
        check_all(&format!("calibration[{i}].bins"), bins, index)?;
    }
    check_all("stages", stages, index)
}

fn index(i: usize) -> String {
    format!("[{i}]")
}

fn check_all<'a, N: Numbers + 'a>(
    path: &str,
    values: impl IntoIterator<Item = &'a N>,
    suffix: fn(usize) -> String,
) -> Result<(), ReportError> {
    for (i, value) in values.into_iter().enumerate() {
        check(&format!("{path}{}", suffix(i)), value)?;
    }
    Ok(())
}

fn check(path: &str, value: &impl Numbers) -> Result<(), ReportError> {
    let mut result = Ok(());
    value.visit_numbers(&mut |name, number| {
        if result.is_ok() && !number.is_finite() {
            result = check_number(&format!("{path}.{name}"), number);
        }
    });
    result
}

fn check_number(field: &str, value: f64) -> Result<(), ReportError> {
    if value.is_finite() {
        return Ok(());
    }
    Err(ReportError::NonFinite {
        field: field.to_owned(),
        value,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixture::realistic_report;
    use super::*;

    fn path_of_refusal(spoil: impl FnOnce(&mut Report)) -> String {
        let mut report = realistic_report(7);
        spoil(&mut report);
        match check_finite(&report) {
            Err(ReportError::NonFinite { field, .. }) => field,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn a_realistic_report_is_finite() {
        check_finite(&realistic_report(7)).unwrap();
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_with_its_path() {
        let loss = path_of_refusal(|r| r.curves[0].train[12].loss = f64::NAN);
        assert_eq!(loss, "curves[0].train[12].loss");
        let term = path_of_refusal(|r| {
            r.curves[0].train[3]
                .terms
                .insert("forward_kl".into(), f64::INFINITY);
        });
        assert_eq!(term, "curves[0].train[3].terms.forward_kl");
        let perplexity = path_of_refusal(|r| r.student.perplexity = f64::INFINITY);
        assert_eq!(perplexity, "student.perplexity");
        let seconds = path_of_refusal(|r| r.stages[1].seconds = f64::NEG_INFINITY);
        assert_eq!(seconds, "stages[1].seconds");
    }

    #[test]
    fn an_optional_number_that_is_not_finite_is_refused_too() {
        let baseline = path_of_refusal(|r| {
            r.baseline.as_mut().unwrap().expected_calibration_error = Some(f64::NAN);
        });
        assert_eq!(baseline, "baseline.expected_calibration_error");
        let chance = path_of_refusal(|r| r.chance_accuracy = Some(f64::NAN));
        assert_eq!(chance, "chance_accuracy");
        let family = path_of_refusal(|r| r.accuracy_by_family[0].baseline = Some(f64::NAN));
        assert_eq!(family, "accuracy_by_family[0].baseline");
    }
}
