//! The exact value of an arithmetic expression.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};

use super::number::decimal;
use super::rational::Rational;

/// Longer texts are no expressions: a bound on the work.
const MOST_BYTES: usize = 1_000;
/// The most parentheses and signs inside each other.
const MOST_DEPTH: usize = 64;
/// The largest power, in bits: a bound on the work.
const MOST_BITS: u64 = 1 << 16;

/// The exact value of an arithmetic expression; none if the text is not one, or its value is undefined or very large.
///
/// Numbers are whole or decimal, with commas between groups of three digits if at all. Operators are `+`, `-`, `*` (also `×`
/// and `·`), `/` (also `÷`) and `^` (also `**`), which binds closer than a sign before it, is read from the right, and takes
/// whole exponents. White space does not count; nothing is multiplied without an operator.
///
/// ```
/// use alambic_text::evaluate_expression;
/// assert_eq!(evaluate_expression("2 * (3 + 4) / 4"), evaluate_expression("3.5"));
/// assert_eq!(evaluate_expression("-2^2"), evaluate_expression("0 - 4"));
/// assert_eq!(evaluate_expression("0.1 + 0.2"), evaluate_expression("3/10"));
/// assert_eq!(evaluate_expression("1 / (2 - 2)"), None);
/// assert_eq!(evaluate_expression("2 x"), None);
/// ```
#[must_use]
pub fn evaluate_expression(text: &str) -> Option<Rational> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let mut reader = Reader {
        rest: text,
        depth: 0,
    };
    let value = reader.sum()?;
    reader.skip_space();
    reader.rest.is_empty().then_some(Rational(value))
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether one of some signs stands next, which is then read.
    fn takes(&mut self, signs: &[&str]) -> bool {
        self.skip_space();
        let found = signs.iter().find_map(|sign| self.rest.strip_prefix(sign));
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn sum(&mut self) -> Option<BigRational> {
        let mut value = self.product()?;
        loop {
            if self.takes(&["+"]) {
                value += self.product()?;
            } else if self.takes(&["-", "−"]) {
                value -= self.product()?;
            } else {
                return Some(value);
            }
        }
    }

    fn product(&mut self) -> Option<BigRational> {
        let mut value = self.signed()?;
        loop {
            if self.takes(&["*", "×", "·"]) {
                value *= self.signed()?;
            } else if self.takes(&["/", "÷"]) {
                let divisor = self.signed()?;
                if divisor.is_zero() {
                    return None;
                }
                value /= divisor;
            } else {
                return Some(value);
            }
        }
    }

    fn signed(&mut self) -> Option<BigRational> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return None;
        }
        let value = if self.takes(&["-", "−"]) {
            self.signed().map(|value| -value)
        } else if self.takes(&["+"]) {
            self.signed()
        } else {
            self.power()
        };
        self.depth -= 1;
        value
    }

    fn power(&mut self) -> Option<BigRational> {
        let base = self.operand()?;
        match self.takes(&["^", "**"]) {
            false => Some(base),
            true => {
                let exponent = self.signed()?;
                power(&base, &exponent)
            }
        }
    }

    fn operand(&mut self) -> Option<BigRational> {
        if self.takes(&["("]) {
            let value = self.sum()?;
            return self.takes(&[")"]).then_some(value);
        }
        self.skip_space();
        let belongs = |character: char| character.is_ascii_digit() || ",.".contains(character);
        let end = self.rest.find(|character| !belongs(character));
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        decimal(digits)
    }
}

fn power(base: &BigRational, exponent: &BigRational) -> Option<BigRational> {
    let exponent = exponent.is_integer().then(|| exponent.to_integer())?;
    let unsigned = exponent.magnitude().to_u32()?;
    if base.is_zero() && exponent < BigInt::zero() {
        return None;
    }
    // Powers of 0, 1 and -1 do not grow.
    let bits = base.numer().bits().max(base.denom().bits());
    if bits > 1 && bits.saturating_mul(u64::from(unsigned)) > MOST_BITS {
        return None;
    }
    let unsigned = match bits {
        0 | 1 => unsigned.min(2 + unsigned % 2),
        _ => unsigned,
    };
    let value = num_traits::pow(base.clone(), usize::try_from(unsigned).ok()?);
    match exponent < BigInt::zero() {
        true => Some(BigRational::one() / value),
        false => Some(value),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_exact_and_operators_bind_as_usual() {
        for (text, expected) in [
            ("1 + 2 * 3", "7"),
            ("(1 + 2) × 3", "9"),
            ("8 - 3 - 2", "3"),
            ("8 ÷ 4 / 2", "1"),
            ("2^3^2", "512"),
            ("2 ** -1", "1/2"),
            ("-3^2", "-9"),
            ("(-3)^2", "9"),
            ("--4", "4"),
            ("1,000.5 * 2", "2001"),
            ("0^0", "1"),
            ("(-1)^4294967295", "-1"),
            ("1^4000000000", "1"),
            (" 3/10 ", "0.3"),
        ] {
            let found = evaluate_expression(text);
            assert_eq!(found, Some(expected.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_or_undefined_or_very_large_has_no_value() {
        for text in [
            "",
            "()",
            "1 +",
            "(1",
            "1)",
            "2(3)",
            "a",
            "1/0",
            "0^-1",
            "2^0.5",
            "9^9^9^9",
            "2^99999999",
            "1..2",
            "1,2",
            "4 4",
            "*3",
        ] {
            assert_eq!(evaluate_expression(text), None, "{text}");
        }
        assert_eq!(evaluate_expression(&"(".repeat(900)), None);
        assert_eq!(evaluate_expression(&"-".repeat(900)), None);
        assert_eq!(evaluate_expression(&"1+".repeat(900)), None);
    }

    proptest! {
        #[test]
        fn whole_numbers_are_added_and_multiplied_as_by_the_processor(
            a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000, c in 1i64..1_000,
        ) {
            let text = format!("({a}) * {c} - {b}");
            let expected = (a * c - b).to_string().parse().unwrap();
            prop_assert_eq!(evaluate_expression(&text), Some(expected));
        }

        #[test]
        fn no_text_brings_the_evaluator_down(text in r"[-+*/^() 0-9.,x]{0,80}") {
            let _ = evaluate_expression(&text);
        }
    }
}
