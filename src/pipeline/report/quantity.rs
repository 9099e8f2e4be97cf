//! Numbers as people read them: counts, fractions, nats, bytes and times.

/// What stands where a figure was not measured.
pub(crate) const NOT_MEASURED: &str = "–";

/// A count with a decimal prefix and three significant digits: `1.93 M`.
pub(crate) fn count(value: f64) -> String {
    prefixed(value, &["", " k", " M", " G", " T"])
}

/// A size with a decimal prefix: `1.24 GB`.
pub(crate) fn bytes(value: f64) -> String {
    prefixed(value, &[" B", " kB", " MB", " GB", " TB"])
}

fn prefixed(value: f64, units: &[&str]) -> String {
    let mut scaled = value;
    let mut unit = 0;
    // 999.5 rounds to four digits and belongs to the next unit.
    while scaled.abs() >= 999.5 && unit + 1 < units.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    let whole = unit == 0 && scaled.fract() == 0.0;
    let decimals = match scaled.abs() {
        _ if whole => 0,
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        _ => 2,
    };
    format!("{scaled:.decimals$}{}", units[unit])
}

/// A count in full with separators: `1,234,567`.
pub(crate) fn whole(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A fraction in percent: `84.2%`.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.1}%", 100.0 * fraction)
}

/// A small quantity with three decimals, as nats and bits are given: `1.416`.
pub(crate) fn thousandths(value: f64) -> String {
    format!("{value:.3}")
}

/// A quantity with two decimals: `4.12`.
pub(crate) fn hundredths(value: f64) -> String {
    format!("{value:.2}")
}

/// A ratio: `8.4×`.
pub(crate) fn ratio(value: f64) -> String {
    if value >= 99.5 {
        format!("{value:.0}×")
    } else {
        format!("{value:.1}×")
    }
}

/// A time: `120 ms`, `42.1 s`, `3 min 12 s`, `1 h 04 min`.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.9995 => format!("{:.0} ms", 1000.0 * s),
        s if s < 59.95 => format!("{s:.1} s"),
        s if s < 3599.5 => {
            let rounded = s.round();
            format!(
                "{:.0} min {:02.0} s",
                (rounded / 60.0).floor(),
                rounded % 60.0
            )
        }
        s => {
            let minutes = (s / 60.0).round();
            format!(
                "{:.0} h {:02.0} min",
                (minutes / 60.0).floor(),
                minutes % 60.0
            )
        }
    }
}

/// Shows control characters as pictures (U+2400 ff.), so that they cannot steer a terminal.
///
/// Line feeds and tabs stay when `keep_lines` allows them.
pub(crate) fn visible(text: &str, keep_lines: KeepLines) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' if keep_lines == KeepLines::Yes => c,
            '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
            '\u{7f}' => '\u{2421}',
            // C1 controls and the characters that reorder what follows them.
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// Whether [`visible`] leaves line feeds and tabs as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeepLines {
    /// Text in a block of its own.
    Yes,
    /// Text within a line.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_carry_three_digits_and_a_prefix() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(640.0), "640");
        assert_eq!(count(1_930_240.0), "1.93 M");
        assert_eq!(count(16_400_000.0), "16.4 M");
        assert_eq!(count(999_600.0), "1.00 M");
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(214_000_000.0), "214 MB");
        assert_eq!(whole(1_234_567), "1,234,567");
        assert_eq!(whole(12), "12");
    }

    #[test]
    fn durations_choose_their_unit() {
        assert_eq!(duration(0.12), "120 ms");
        assert_eq!(duration(42.12), "42.1 s");
        assert_eq!(duration(59.96), "1 min 00 s");
        assert_eq!(duration(192.0), "3 min 12 s");
        assert_eq!(duration(3599.6), "1 h 00 min");
        assert_eq!(duration(3840.0), "1 h 04 min");
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(visible("a\u{1b}[31m\u{0}", KeepLines::No), "a␛[31m␀");
        assert_eq!(visible("a\nb", KeepLines::Yes), "a\nb");
        assert_eq!(visible("a\nb", KeepLines::No), "a␊b");
    }
}
