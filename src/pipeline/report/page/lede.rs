//! The result in two or three sentences.

use super::super::model::{Report, StudentMetrics};
use super::super::quantity;

/// What the run found, as HTML; every sentence follows from the figures of the report.
pub(super) fn lede(report: &Report) -> String {
    let mut sentences = vec![size_sentence(report)];
    if let Some(baseline) = &report.baseline {
        sentences.push(gain_sentence(report, baseline));
    }
    sentences.extend(accuracy_sentence(report));
    sentences.join(" ")
}

fn size_sentence(report: &Report) -> String {
    let (teacher, student) = (&report.teacher, &report.student);
    let ratio = teacher.parameters as f64 / student.parameters.max(1) as f64;
    let result = match student.top1_agreement {
        Some(agreement) => format!(
            "the student agrees with it on <b>{}</b> of the most probable tokens",
            quantity::percent(agreement)
        ),
        None => format!(
            "the student, with a tokenizer of its own, needs <b>{} bits</b> for a byte of text and the teacher {}",
            quantity::thousandths(student.bits_per_byte),
            quantity::thousandths(teacher.bits_per_byte)
        ),
    };
    format!(
        "With {} of the teacher’s {} parameters ({} fewer), {result}.",
        quantity::count(student.parameters as f64),
        quantity::count(teacher.parameters as f64),
        quantity::ratio(ratio),
    )
}

/// How distillation compares with hard labels, and how much of the way to the teacher it made.
fn gain_sentence(report: &Report, baseline: &StudentMetrics) -> String {
    let difference = report.student.nll - baseline.nll;
    let direction = if difference <= 0.0 { "below" } else { "above" };
    let tokens = match &report.baseline_train {
        Some(train) if train.tokens == report.train.tokens => "on the same number of tokens",
        _ => "alone",
    };
    let mut sentence = format!(
        "Its NLL ends <b>{} nats per token {direction}</b> the same student trained on hard \
         labels {tokens}",
        quantity::thousandths(difference.abs()),
    );
    // Tokens of two tokenizers are not of one length; bytes are.
    let per_byte = report.student.top1_agreement.is_none();
    let [teacher, student, baseline] = match per_byte {
        true => [
            report.teacher.bits_per_byte,
            report.student.bits_per_byte,
            baseline.bits_per_byte,
        ],
        false => [report.teacher.nll, report.student.nll, baseline.nll],
    };
    if difference < 0.0 && baseline > teacher {
        let share = (baseline - student) / (baseline - teacher);
        sentence.push_str(&format!(
            ": {:.0}% of the gap between hard labels and the teacher",
            100.0 * share
        ));
    }
    sentence.push('.');
    sentence
}

fn accuracy_sentence(report: &Report) -> Option<String> {
    let student = report.student.answer_accuracy?;
    let others = [
        report.teacher.answer_accuracy.map(|a| ("the teacher", a)),
        report
            .baseline
            .as_ref()
            .and_then(|b| b.answer_accuracy)
            .map(|a| ("the baseline", a)),
        report.chance_accuracy.map(|a| ("guessing", a)),
    ];
    let others: Vec<String> = others
        .into_iter()
        .flatten()
        .map(|(name, accuracy)| format!("{name} {}", quantity::percent(accuracy)))
        .collect();
    let against = if others.is_empty() {
        String::new()
    } else {
        format!(" ({})", others.join(", "))
    };
    Some(format!(
        "It answers <b>{}</b> of the problems{against}.",
        quantity::percent(student)
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::super::fixture::{bare_report, realistic_report};
    use super::*;

    #[test]
    fn a_worse_student_is_called_worse() {
        let mut report = realistic_report(5);
        report.student.nll = report.baseline.as_ref().unwrap().nll + 0.25;
        let text = lede(&report);
        assert!(text.contains("0.250 nats per token above"), "{text}");
        assert!(!text.contains("of the gap"), "{text}");
    }

    #[test]
    fn the_share_of_the_gap_follows_from_the_three_figures() {
        let mut report = realistic_report(5);
        report.teacher.nll = 1.0;
        report.student.nll = 1.1;
        report.baseline.as_mut().unwrap().nll = 1.4;
        assert!(
            lede(&report).contains("75% of the gap"),
            "{}",
            lede(&report)
        );
    }

    #[test]
    fn different_token_counts_are_not_called_the_same() {
        let mut report = realistic_report(5);
        assert!(lede(&report).contains("same number of tokens"));
        report.train.tokens += 1;
        assert!(!lede(&report).contains("same number of tokens"));
    }

    #[test]
    fn without_baseline_and_answers_one_sentence_remains() {
        let text = lede(&bare_report());
        assert!(text.starts_with("With 1.93 M"), "{text}");
        assert!(
            !text.contains("NLL") && !text.contains("problems"),
            "{text}"
        );
    }
}
