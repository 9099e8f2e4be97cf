//! Exact numbers.

use std::fmt;
use std::str::FromStr;

use num_rational::BigRational;
use serde::{Deserialize, Serialize};

use super::number::{PercentMeaning, parse_number};
use crate::error::TextError;

/// An exact number: a fraction of whole numbers of any size. In a file it is a text, such as `"0.01"` or `"2/3"`.
///
/// ```
/// use alambic_text::Rational;
/// let tenth: Rational = "0.1".parse()?;
/// assert_eq!(tenth, "1/10".parse()?);
/// assert_eq!(tenth.to_string(), "1/10");
/// # Ok::<(), alambic_text::TextError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rational(pub(super) BigRational);

impl FromStr for Rational {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let parsed = parse_number(text, PercentMeaning::Hundredths).map(Self);
        parsed.ok_or_else(|| TextError::Answer {
            what: "a number",
            problem: format!("expected a number such as 0.01 or 2/3, found {text:?}"),
        })
    }
}

impl TryFrom<String> for Rational {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        text.parse()
    }
}

impl From<Rational> for String {
    fn from(number: Rational) -> Self {
        number.to_string()
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
