//! A date that does not move.

use std::str::FromStr;

use minijinja::{Error, ErrorKind};

use crate::error::TextError;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A day of the Gregorian calendar, for templates that ask for today's date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FixedDate {
    year: u16,
    month: u8,
    day: u8,
}

impl FromStr for FixedDate {
    type Err = TextError;

    /// Reads `2024-02-29`.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().and_then(|part| part.parse::<u16>().ok());
        let (year, month, day) = (part(), part(), part());
        let small = |part: Option<u16>| part.and_then(|part| u8::try_from(part).ok());
        let (Some(year), Some(month), Some(day)) = (year, small(month), small(day)) else {
            return Err(TextError::InvalidOption {
                option: "date",
                expected: "a day such as 2024-02-29",
                found: text.to_owned(),
            });
        };
        Self::try_new(year, month, day)
    }
}

impl FixedDate {
    /// The day `day` (from 1) of the month `month` (1 to 12).
    ///
    /// # Errors
    /// [`TextError::InvalidOption`] if there is no such day in the years 1583 to 9999.
    pub fn try_new(year: u16, month: u8, day: u8) -> Result<Self, TextError> {
        let is_leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let exists =
            (1583..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days).contains(&day);
        if !exists {
            return Err(TextError::InvalidOption {
                option: "date",
                expected: "a day of the years 1583 to 9999",
                found: format!("{year:04}-{month:02}-{day:02}"),
            });
        }
        Ok(Self { year, month, day })
    }

    /// Formats as Python's `strftime`, for the codes `%Y %y %m %d %B %b %A %a %%`.
    pub(super) fn format(self, format: &str) -> Result<String, Error> {
        let month = MONTHS[usize::from(self.month) - 1];
        let weekday = self.weekday();
        let mut text = String::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            match characters.next() {
                Some('Y') => text.push_str(&format!("{:04}", self.year)),
                Some('y') => text.push_str(&format!("{:02}", self.year % 100)),
                Some('m') => text.push_str(&format!("{:02}", self.month)),
                Some('d') => text.push_str(&format!("{:02}", self.day)),
                Some('B') => text.push_str(month),
                Some('b') => text.push_str(&month[..3]),
                Some('A') => text.push_str(weekday),
                Some('a') => text.push_str(&weekday[..3]),
                Some('%') => text.push('%'),
                _ => {
                    return Err(Error::new(
                        ErrorKind::InvalidOperation,
                        format!("strftime_now knows only days, not the format {format:?}"),
                    ));
                }
            }
        }
        Ok(text)
    }

    /// Zeller's congruence, with January and February as months 13 and 14 of the year before.
    fn weekday(self) -> &'static str {
        let (year, month) = match self.month {
            1 | 2 => (self.year - 1, self.month + 12),
            month => (self.year, month),
        };
        let (year, month) = (usize::from(year), usize::from(month));
        let from_saturday = usize::from(self.day) + 13 * (month + 1) / 5 + year + year / 4
            - year / 100
            + year / 400;
        WEEKDAYS[(from_saturday + 6) % 7]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_python_does() {
        let date = FixedDate::try_new(2024, 2, 29).unwrap();
        let text = date.format("%A %a %d %B %b %Y %y %m %%").unwrap();
        assert_eq!(text, "Thursday Thu 29 February Feb 2024 24 02 %");
    }

    #[test]
    fn weekdays_are_right_across_centuries() {
        for (year, month, day, expected) in [
            (1789, 7, 14, "Tuesday"),
            (1969, 7, 20, "Sunday"),
            (2000, 1, 1, "Saturday"),
            (2100, 3, 1, "Monday"),
        ] {
            let date = FixedDate::try_new(year, month, day).unwrap();
            assert_eq!(date.format("%A").unwrap(), expected, "{date:?}");
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for (year, month, day) in [(2023, 2, 29), (1900, 2, 29), (2024, 4, 31), (2024, 13, 1)] {
            assert!(FixedDate::try_new(year, month, day).is_err());
        }
        assert!(FixedDate::try_new(2000, 2, 29).is_ok());
    }

    #[test]
    fn a_day_is_read_as_it_is_written() {
        let day: FixedDate = "2024-02-29".parse().unwrap();
        assert_eq!(day, FixedDate::try_new(2024, 2, 29).unwrap());
        for text in [
            "",
            "2024",
            "2024-02",
            "2024-02-30",
            "2024-2-300",
            "a-b-c",
            "2024-02-29-1",
        ] {
            assert!(text.parse::<FixedDate>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_time_of_day_is_refused() {
        let date = FixedDate::try_new(2024, 1, 1).unwrap();
        assert!(date.format("%H:%M").is_err());
        assert!(date.format("%").is_err());
    }
}
