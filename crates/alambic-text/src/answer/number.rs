//! Numbers as people write them.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Zero;
use serde::{Deserialize, Serialize};

/// Longer texts are no numbers: a bound on the work.
const MOST_BYTES: usize = 400;
/// The largest power of ten of a number such as `1e9`.
const MOST_EXPONENT: i32 = 400;
const CURRENCIES: [char; 4] = ['$', '€', '£', '¥'];

/// What a percent sign says in the comparison of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PercentMeaning {
    /// The unit of an answer, which may be left out: 50 % is 50.
    #[default]
    Unit,
    /// A hundredth: 50 % is 1/2.
    Hundredths,
}

/// The number that a whole text spells.
///
/// White space and punctuation at the end do not count, nor do a currency sign, LaTeX's backslash before a sign, and commas
/// between groups of three digits. Whole numbers, decimals (`.5`, `7.`), powers of ten (`1.5e3`), fractions (`3/4`,
/// `\frac{3}{4}`) and mixed numbers (`1 3/4`) are known.
pub(super) fn parse_number(text: &str, percent: PercentMeaning) -> Option<BigRational> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let text = text.trim().trim_end_matches(['.', ',', ';', ':', '!', '?']);
    let text = text.replace("\\$", "$").replace("\\%", "%");
    let mut text = text.trim();
    let is_percent = text.ends_with('%');
    if is_percent {
        text = text[..text.len() - 1].trim_end();
    }
    text = text.trim_end_matches(CURRENCIES).trim_end();
    text = text.strip_prefix(CURRENCIES).unwrap_or(text).trim_start();
    let is_negative = text.starts_with(['-', '−']);
    text = text.strip_prefix(['-', '−', '+']).unwrap_or(text);
    text = text.strip_prefix(CURRENCIES).unwrap_or(text).trim_start();
    let mut number = latex_fraction(text)
        .or_else(|| mixed(text))
        .or_else(|| fraction(text))
        .or_else(|| decimal(text))?;
    if is_negative {
        number = -number;
    }
    if is_percent && percent == PercentMeaning::Hundredths {
        number /= BigInt::from(100);
    }
    Some(number)
}

/// `\frac{3}{4}`, of any of LaTeX's sizes.
fn latex_fraction(text: &str) -> Option<BigRational> {
    let commands = ["\\frac{", "\\dfrac{", "\\tfrac{"];
    let inner = commands
        .iter()
        .find_map(|command| text.strip_prefix(command))?;
    let (above, below) = inner.strip_suffix('}')?.split_once("}{")?;
    quotient(above, below)
}

fn fraction(text: &str) -> Option<BigRational> {
    let (above, below) = text.split_once(['/', '⁄'])?;
    quotient(above.trim_end(), below.trim_start())
}

fn mixed(text: &str) -> Option<BigRational> {
    let (whole, part) = text.split_once(' ')?;
    let part = fraction(part.trim_start())?;
    Some(BigRational::from(whole_number(whole)?) + part)
}

fn quotient(above: &str, below: &str) -> Option<BigRational> {
    let (above, below) = (whole_number(above)?, whole_number(below)?);
    (!below.is_zero()).then(|| BigRational::new(above, below))
}

/// `12`, `1,234`, `12.5`, `.5`, `7.`, `1.5e-3`.
pub(super) fn decimal(text: &str) -> Option<BigRational> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0),
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
    };
    if exponent.abs() > MOST_EXPONENT {
        return None;
    }
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if !part.bytes().all(|byte| byte.is_ascii_digit()) || (whole.is_empty() && part.is_empty()) {
        return None;
    }
    let whole = match whole.is_empty() {
        true => String::new(),
        false => ungrouped(whole)?,
    };
    let all: BigInt = format!("{whole}{part}").parse().ok()?;
    let shift = exponent - i32::try_from(part.len()).ok()?;
    let power = BigInt::from(10).pow(shift.unsigned_abs());
    Some(match shift < 0 {
        true => BigRational::new(all, power),
        false => BigRational::from(all * power),
    })
}

fn whole_number(text: &str) -> Option<BigInt> {
    ungrouped(text)?.parse().ok()
}

/// The digits of a whole number, without the commas between groups of three.
fn ungrouped(text: &str) -> Option<String> {
    let mut groups = text.split(',');
    let first = groups.next()?;
    let digits = |group: &str| !group.is_empty() && group.bytes().all(|it| it.is_ascii_digit());
    let is_grouped = text.contains(',');
    let sound = digits(first)
        && (!is_grouped || first.len() <= 3)
        && groups.all(|group| group.len() == 3 && digits(group));
    sound.then(|| text.replace(',', ""))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<BigRational> {
        parse_number(text, PercentMeaning::Unit)
    }

    fn ratio(above: i64, below: i64) -> BigRational {
        BigRational::new(above.into(), below.into())
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (text, above, below) in [
            ("72", 72, 1),
            (" 1,234.50. ", 2469, 2),
            ("-$1,000", -1000, 1),
            ("$-3", -3, 1),
            ("\\$20", 20, 1),
            ("18 €", 18, 1),
            ("50%", 50, 1),
            (".5", 1, 2),
            ("7.", 7, 1),
            ("−3/4", -3, 4),
            ("1 3/4", 7, 4),
            ("-1 3/4", -7, 4),
            ("\\frac{6}{8}", 3, 4),
            ("1.5e3", 1500, 1),
            ("2E-1", 1, 5),
            ("007", 7, 1),
        ] {
            assert_eq!(number(text), Some(ratio(above, below)), "{text}");
        }
        let half = parse_number("50 %", PercentMeaning::Hundredths);
        assert_eq!(half, Some(ratio(1, 2)));
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in [
            "",
            ".",
            "-",
            "1,23",
            "1,2345",
            "12a",
            "1/0",
            "one",
            "1e9999999999",
            "1 2",
            "$",
            "%",
            "1.2.3",
            "1/2/3",
            "٣",
            "--1",
            "0x10",
            ",123",
            "1e",
            "e5",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number(&"9".repeat(1000)), None);
    }
}
