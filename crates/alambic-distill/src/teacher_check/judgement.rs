//! From differences at labels to a verdict.

use alambic_cache::SegmentKey;

use super::report::{Deviation, Measure, Quantity, QuantityCheck, Spread, TeacherCheck};

/// How many times the control a difference may be: a capture is one run more, in batches of yet
/// another shape, and perhaps on another machine.
pub(super) const CONTROL_MULTIPLE: f64 = 4.0;
/// What may differ at a label beyond rounding and control, nats or probability: two devices add up
/// in other orders, which a control on one of them need not show.
pub(super) const LABEL_TOLERANCE: f64 = 1e-3;
/// The same for the mean over all labels, where such differences are smaller.
pub(super) const MEAN_TOLERANCE: f64 = 1e-4;
/// Deviating labels that are listed; all are counted.
pub(super) const MAX_LISTED_LABELS: usize = 10;

/// One quantity at one label.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// Between cache and teacher.
    pub(super) difference: f64,
    /// What the cache's rounding explains at most.
    pub(super) rounding: f64,
    /// Between the teacher's two runs.
    pub(super) control: f64,
}

/// Everything that was compared at one label: the same quantities in the same order at all labels.
pub(super) type LabelComparison = Vec<(Quantity, Measured)>;

/// Which label that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) key: SegmentKey,
    pub(super) label: usize,
    pub(super) token: usize,
}

impl Place {
    fn deviation(
        self,
        quantity: Quantity,
        measure: Measure,
        difference: f64,
        allowed: f64,
    ) -> Deviation {
        Deviation {
            segment: self.segment,
            key: self.key.to_string(),
            label: self.label,
            token: self.token,
            quantity,
            measure,
            difference,
            allowed,
        }
    }
}

/// A label and what was compared there.
pub(super) type Compared = (Place, LabelComparison);

/// Applies the rule to all labels of a sample of so many segments.
pub(super) fn judge(
    num_sampled: u64,
    num_not_comparable: u64,
    labels: &[Compared],
) -> TeacherCheck {
    let quantities: Vec<QuantityCheck> = labels
        .first()
        .map(|(_, first)| first.as_slice())
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(column, &(quantity, _))| check_quantity(quantity, column, labels))
        .collect();
    let (num_deviating_labels, mut deviations) = deviations_of_labels(labels, &quantities);
    deviations.extend(deviations_of_means(labels, &quantities));
    TeacherCheck {
        num_sampled,
        num_compared: num_sampled - num_not_comparable,
        num_not_comparable,
        num_labels: labels.len() as u64,
        quantities,
        num_deviating_labels,
        deviations,
    }
}

fn check_quantity(quantity: Quantity, column: usize, labels: &[Compared]) -> QuantityCheck {
    let spread = |pick: fn(&Measured) -> f64| {
        let values = labels.iter().map(|(_, label)| pick(&label[column].1));
        Spread {
            largest: values.clone().fold(0.0, larger),
            mean: values.sum::<f64>() / labels.len() as f64,
        }
    };
    let control = spread(|measured| measured.control);
    let rounding = spread(|measured| measured.rounding);
    let explained_mean = match quantity {
        // Both sides are rounded, alike but for a few labels. These are as many as make the mean
        // difference that of what was rounded: only chance is left to explain, a label's worth of it.
        Quantity::Levels | Quantity::RoundedStates => rounding.largest / labels.len() as f64,
        _ => rounding.mean,
    };
    QuantityCheck {
        quantity,
        difference: spread(|measured| measured.difference),
        control,
        rounding,
        allowed_mean: explained_mean + CONTROL_MULTIPLE * control.mean + MEAN_TOLERANCE,
    }
}

/// The larger number; what is no number is larger than any.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// Whether a difference passes; what is no number does not.
fn is_within(difference: f64, allowed: f64) -> bool {
    difference <= allowed
}

/// How many labels deviate, and the first deviations.
fn deviations_of_labels(
    labels: &[Compared],
    quantities: &[QuantityCheck],
) -> (u64, Vec<Deviation>) {
    let (mut count, mut listed) = (0, Vec::new());
    for (place, label) in labels {
        let deviating: Vec<Deviation> = label
            .iter()
            .zip(quantities)
            .filter_map(|((quantity, measured), check)| {
                let control = CONTROL_MULTIPLE * check.control.largest;
                let allowed = measured.rounding + control + LABEL_TOLERANCE;
                let deviation =
                    place.deviation(*quantity, Measure::Label, measured.difference, allowed);
                (!is_within(measured.difference, allowed)).then_some(deviation)
            })
            .collect();
        if deviating.is_empty() {
            continue;
        }
        count += 1;
        if count <= MAX_LISTED_LABELS {
            listed.extend(deviating);
        }
    }
    (count as u64, listed)
}

fn deviations_of_means(labels: &[Compared], quantities: &[QuantityCheck]) -> Vec<Deviation> {
    let too_large = quantities
        .iter()
        .enumerate()
        .filter(|(_, check)| !is_within(check.difference.mean, check.allowed_mean));
    too_large
        .filter_map(|(column, check)| {
            let of_label = |label: &Compared| label.1[column].1.difference;
            let (place, _) = labels
                .iter()
                .max_by(|a, b| of_label(a).total_cmp(&of_label(b)))?;
            let mean = check.difference.mean;
            Some(place.deviation(check.quantity, Measure::Mean, mean, check.allowed_mean))
        })
        .collect()
}
