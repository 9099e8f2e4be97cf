//! A made-up report with the shape of a real one, from a seed, for the tests of this module.
//!
//! To look at the pages: `ALAMBIC_REPORT_PREVIEW=DIR cargo test -p alambic --lib preview`.

use std::collections::BTreeMap;

use super::model::*;

/// A uniform number in `[0, 1)` from SplitMix64 (Steele et al. 2014).
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0, standard deviation about 1: the sum of twelve uniforms.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Eight decimals, which JSON carries exactly.
fn rounded(value: f64) -> f64 {
    (value * 1e8).round() / 1e8
}

const STEPS: u64 = 600;
const TOKENS_PER_STEP: u64 = 8192;

/// A report with every section filled.
pub(crate) fn realistic_report(seed: u64) -> Report {
    let mut noise = Noise(seed);
    let mut jitter = |value: f64, spread: f64| rounded(value + spread * noise.normal());
    let student = student(
        jitter(1.284, 0.006),
        jitter(0.171, 0.004),
        jitter(0.873, 0.003),
        jitter(0.647, 0.01),
    );
    let baseline = student_without_teacher(
        jitter(1.391, 0.006),
        jitter(0.338, 0.006),
        jitter(0.811, 0.003),
        jitter(0.527, 0.012),
    );
    Report {
        schema_version: SCHEMA_VERSION,
        title: "Textbook, 16 M to 1.9 M, forward KL on a top-64 cache".into(),
        created_by: concat!("alambic ", env!("CARGO_PKG_VERSION")).into(),
        seed,
        device: "CPU, flex, 8 threads".into(),
        teacher: teacher(),
        curves: vec![
            curve(Arm::Distilled, student.nll, &mut noise),
            curve(Arm::HardLabels, baseline.nll, &mut noise),
        ],
        student,
        baseline: Some(baseline),
        chance_accuracy: Some(0.214),
        accuracy_by_family: families(&mut noise),
        train: training(312.4, 1_240_000_000),
        baseline_train: Some(training(287.9, 1_130_000_000)),
        cache: Some(CacheSummary {
            tokens: 4_915_200,
            bytes: 1_140_326_400,
            bytes_per_token: 232.0,
            capture_seconds: 418.0,
            kept: "top 64".into(),
            mean_tail_mass: Some(0.0041),
        }),
        evaluation: EvaluationSummary {
            tokens: 262_144,
            segments: 1_184,
            seconds: 21.7,
        },
        calibration: calibration(&mut noise),
        samples: samples(),
        stages: stages(),
    }
}

/// A report with every optional section left out.
pub(crate) fn bare_report() -> Report {
    let mut report = realistic_report(3);
    report.title = "Student alone".into();
    report.teacher.answer_accuracy = None;
    report.student.answer_accuracy = None;
    report.student.expected_calibration_error = None;
    report.baseline = None;
    report.baseline_train = None;
    report.chance_accuracy = None;
    report.accuracy_by_family.clear();
    report.curves.clear();
    report.calibration.clear();
    report.samples.clear();
    report.stages.clear();
    report
}

fn teacher() -> TeacherMetrics {
    TeacherMetrics {
        name: "textbook-16m".into(),
        parameters: 16_412_160,
        nll: 1.162,
        perplexity: rounded(1.162f64.exp()),
        bits_per_byte: 0.527,
        nll_unseen_templates: Some(2.31),
        answer_accuracy: Some(0.783),
    }
}

fn student(nll: f64, kl: f64, agreement: f64, accuracy: f64) -> StudentMetrics {
    StudentMetrics {
        parameters: 1_934_720,
        nll,
        perplexity: rounded(nll.exp()),
        bits_per_byte: rounded(nll / 1.162 * 0.527),
        kl_to_teacher: Some(kl),
        top1_agreement: Some(agreement),
        expected_calibration_error: Some(0.021),
        nll_unseen_templates: Some(rounded(nll + 1.2)),
        answer_accuracy: Some(accuracy),
    }
}

fn student_without_teacher(nll: f64, kl: f64, agreement: f64, accuracy: f64) -> StudentMetrics {
    StudentMetrics {
        expected_calibration_error: Some(0.058),
        ..student(nll, kl, agreement, accuracy)
    }
}

fn training(seconds: f64, peak_rss_bytes: u64) -> TrainingCost {
    let tokens = STEPS * TOKENS_PER_STEP;
    TrainingCost {
        tokens,
        steps: STEPS,
        seconds,
        tokens_per_second: rounded(tokens as f64 / seconds),
        peak_rss_bytes,
    }
}

fn curve(arm: Arm, final_nll: f64, noise: &mut Noise) -> Curve {
    let nll_at = |step: u64| final_nll + 6.9 * (-(step as f64 / 22.0).powf(0.62)).exp();
    let is_distilled = arm == Arm::Distilled;
    let train = (1..=STEPS).map(|step| {
        let nll = rounded(nll_at(step) * (1.0 + 0.05 * noise.normal()));
        let kl = rounded((nll - 1.13).max(0.02));
        let mut terms = BTreeMap::from([("cross_entropy".to_owned(), nll)]);
        if is_distilled {
            terms.insert("forward_kl".to_owned(), kl);
        }
        let progress = step as f64 / STEPS as f64;
        TrainPoint {
            step,
            tokens: step * TOKENS_PER_STEP,
            loss: if is_distilled {
                rounded(0.9 * kl + 0.1 * nll)
            } else {
                nll
            },
            learning_rate: rounded(1.5e-3 * (1.0 + (std::f64::consts::PI * progress).cos())),
            gradient_norm: rounded(0.4 + 3.0 * (-progress * 9.0).exp() + 0.05 * noise.uniform()),
            terms,
        }
    });
    let train = train.collect();
    let validation = (0..=12).map(|i| i * STEPS / 12).map(|step| {
        let nll = rounded(nll_at(step) + 0.006 * noise.normal());
        let gap = nll - 1.162;
        ValidationPoint {
            step,
            tokens: step * TOKENS_PER_STEP,
            nll,
            kl_to_teacher: Some(rounded(gap * if is_distilled { 1.38 } else { 1.47 })),
            top1_agreement: Some(rounded(
                0.93 * (-gap * if is_distilled { 0.55 } else { 0.6 }).exp(),
            )),
        }
    });
    Curve {
        arm,
        train,
        validation: validation.collect(),
    }
}

fn families(noise: &mut Noise) -> Vec<FamilyAccuracy> {
    let rows = [
        ("arithmetic word problems", 0.05, 0.74, 0.58, 0.41),
        ("boolean expressions", 0.5, 0.97, 0.91, 0.86),
        ("date arithmetic", 0.04, 0.66, 0.47, 0.33),
        ("object tracking", 0.25, 0.81, 0.69, 0.51),
        ("ordering", 0.2, 0.78, 0.66, 0.55),
        ("counting", 0.1, 0.88, 0.79, 0.69),
    ];
    let family =
        |(family, chance, teacher, student, baseline): (&str, f64, f64, f64, f64)| FamilyAccuracy {
            family: family.to_owned(),
            problems: 200,
            chance,
            teacher,
            student: rounded(student + 0.01 * noise.normal()),
            baseline: Some(rounded(baseline + 0.01 * noise.normal())),
        };
    rows.map(family).to_vec()
}

fn calibration(noise: &mut Noise) -> Vec<Calibration> {
    let models = [
        (ModelArm::Teacher, 0.0),
        (ModelArm::Distilled, 0.03),
        (ModelArm::HardLabels, 0.11),
    ];
    let calibration = |(arm, overconfidence): (ModelArm, f64)| {
        let bin = |i: u32| {
            let confidence = (f64::from(i) + 0.5) / 10.0;
            let bend = overconfidence * 4.0 * confidence * (1.0 - confidence);
            CalibrationBin {
                confidence,
                accuracy: rounded(confidence - bend + 0.012 * noise.normal()).clamp(0.0, 1.0),
                count: 3_000 + 900 * u64::from(i * i),
            }
        };
        Calibration {
            arm,
            bins: (0..10).map(bin).collect(),
        }
    };
    models.map(calibration).to_vec()
}

fn samples() -> Vec<Sample> {
    let sample =
        |prompt: &str, teacher: &str, student: &str, baseline: &str, expected: Option<&str>| {
            Sample {
                prompt: prompt.into(),
                teacher: teacher.into(),
                student: student.into(),
                baseline: Some(baseline.into()),
                expected: expected.map(str::to_owned),
            }
        };
    vec![
        sample(
            "Mara has 14 pears. She gives 5 to Tom and buys 8 more.\nHow many pears has Mara now?",
            "She starts with 14. After giving 5 away she has 14 - 5 = 9. After buying 8 she has 9 + 8 = 17.\nAnswer: 17",
            "She starts with 14. After giving 5 away she has 9. After buying 8 she has 9 + 8 = 17.\nAnswer: 17",
            "She starts with 14. After giving 5 away she has 14 - 5 = 8. After buying 8 she has 16.\nAnswer: 16",
            Some("17"),
        ),
        sample(
            "The coin lies under the left cup. Swap left and middle, then middle and right. Where is the coin?",
            "Left and middle swap: the coin is in the middle. Middle and right swap: the coin is on the right.\nAnswer: right",
            "The coin is in the middle. Then middle and right swap: the coin is on the right.\nAnswer: right",
            "The coin is in the middle. Then the coin is in the left.\nAnswer: left",
            Some("right"),
        ),
        sample(
            "Once upon a time a small boat",
            " lay on the shore and waited for the tide. Every evening the wind told it a story about the sea.",
            " lay on the sand and waited for the sea. Every evening the wind told it a story.",
            " was a little boat. The boat was happy and the boat said hello to the boat.",
            None,
        ),
    ]
}

fn stages() -> Vec<Stage> {
    let stage = |name: &str, seconds: f64, detail: &str| Stage {
        name: name.into(),
        seconds,
        detail: detail.into(),
    };
    vec![
        stage("tokenize", 9.3, "22,140 examples into 19,870 segments"),
        stage("capture", 418.0, "top 64 of 8,192 entries, 232 bytes/token"),
        stage(
            "train",
            312.4,
            "600 steps of 8,192 tokens, forward KL 0.9, cross-entropy 0.1",
        ),
        stage(
            "train baseline",
            287.9,
            "600 steps of 8,192 tokens, cross-entropy",
        ),
        stage(
            "evaluate",
            21.7,
            "262,144 tokens, 1,200 problems, three models",
        ),
        stage("report", 0.4, "report.json and report.html"),
    ]
}
