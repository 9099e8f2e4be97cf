//! How good a classifier is on texts that it was not trained on.

use serde::{Deserialize, Serialize};

/// Bins of equal width that calibration is measured in.
const CALIBRATION_BINS: usize = 10;
/// Labels from here on count as good where a label has to be one or the other.
const GOOD: f64 = 0.5;

/// Texts that the classifier gave similar probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Texts in the bin.
    pub texts: usize,
    /// Mean probability that the classifier gave them.
    pub mean_probability: f64,
    /// Mean of their labels.
    pub mean_label: f64,
}

/// How a classifier does on held-out texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassifierReport {
    /// Texts that it was trained on.
    pub training_texts: usize,
    /// Texts that it was measured on.
    pub held_out_texts: usize,
    /// Probability that a good text gets a higher score than a bad one, ties counting half; `None` if all are of one kind.
    pub auc: Option<f64>,
    /// Share of texts on whose side of 0.5 the probability is.
    pub accuracy: f64,
    /// Mean squared difference of probability and label (Brier 1950).
    pub brier_score: f64,
    /// Mean difference of probability and label over the bins, weighted by texts (Guo et al. 2017, arXiv:1706.04599, equation 3).
    pub expected_calibration_error: f64,
    /// Ten bins of equal width.
    pub calibration: Vec<CalibrationBin>,
}

impl ClassifierReport {
    /// The report on pairs of probability and label. Labels of 0.5 and more count as good for AUC and accuracy.
    #[must_use]
    pub fn new(training_texts: usize, held_out: &[(f64, f64)]) -> Self {
        let count = held_out.len().max(1) as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| held_out.iter().map(of).sum::<f64>() / count;
        let calibration = calibration(held_out);
        let gaps = calibration
            .iter()
            .map(|bin| bin.texts as f64 * (bin.mean_probability - bin.mean_label).abs());
        Self {
            training_texts,
            held_out_texts: held_out.len(),
            auc: auc(held_out),
            accuracy: mean(|(p, label)| f64::from(u8::from((*p >= GOOD) == (*label >= GOOD)))),
            brier_score: mean(|(p, label)| (p - label).powi(2)),
            expected_calibration_error: gaps.sum::<f64>() / count,
            calibration,
        }
    }
}

fn calibration(held_out: &[(f64, f64)]) -> Vec<CalibrationBin> {
    let mut bins = vec![CalibrationBin::default(); CALIBRATION_BINS];
    for &(probability, label) in held_out {
        let bin = (probability * CALIBRATION_BINS as f64) as usize;
        let bin = &mut bins[bin.min(CALIBRATION_BINS - 1)];
        bin.texts += 1;
        bin.mean_probability += probability;
        bin.mean_label += label;
    }
    for bin in bins.iter_mut().filter(|bin| bin.texts > 0) {
        bin.mean_probability /= bin.texts as f64;
        bin.mean_label /= bin.texts as f64;
    }
    bins
}

/// Area under the curve by ranks (Mann, Whitney 1947).
fn auc(held_out: &[(f64, f64)]) -> Option<f64> {
    let mut sorted = held_out.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut good, mut bad, mut wins) = (0.0, 0.0, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let good_here = ties.iter().filter(|(_, label)| *label >= GOOD).count() as f64;
        let bad_here = ties.len() as f64 - good_here;
        wins += good_here * (bad + 0.5 * bad_here);
        good += good_here;
        bad += bad_here;
    }
    (good > 0.0 && bad > 0.0).then(|| wins / (good * bad))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn auc_is_the_share_of_pairs_in_the_right_order() {
        assert_eq!(auc(&[(0.9, 1.0), (0.1, 0.0)]), Some(1.0));
        assert_eq!(auc(&[(0.5, 1.0), (0.5, 0.0)]), Some(0.5));
        // Of the six pairs of a good and a bad text, four are in order and one is a tie.
        let found = auc(&[(0.9, 1.0), (0.4, 1.0), (0.4, 0.0), (0.5, 0.0), (0.1, 0.0)]);
        assert_eq!(found, Some(4.5 / 6.0));
        assert_eq!(auc(&[(0.5, 1.0)]), None);
    }

    #[test]
    fn a_calibrated_classifier_has_no_calibration_error() {
        let texts: Vec<(f64, f64)> = (0..10).map(|i| (0.3, f64::from(u8::from(i < 3)))).collect();
        let report = ClassifierReport::new(0, &texts);
        assert!(report.expected_calibration_error < 1e-12);
        assert!((report.brier_score - 0.21).abs() < 1e-12);
        assert_eq!(report.accuracy, 0.7);
        let certain: Vec<(f64, f64)> = texts.iter().map(|(_, label)| (1.0, *label)).collect();
        assert!(
            (ClassifierReport::new(0, &certain).expected_calibration_error - 0.7).abs() < 1e-12
        );
    }

    #[test]
    fn nothing_held_out_gives_no_figure_that_is_not_a_number() {
        let report = ClassifierReport::new(5, &[]);
        assert_eq!(
            (report.auc, report.accuracy, report.brier_score),
            (None, 0.0, 0.0)
        );
    }
}
