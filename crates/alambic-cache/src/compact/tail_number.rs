//! The mass of the rest at a further temperature as a small integer.

use super::quantiser::{MAX_LEVEL, Quantiser};

/// No mass at all.
const NO_TAIL: u16 = 0;
/// The numbers from here on are levels of the rest.
const FIRST_OF_TAIL: u16 = 1;
/// The numbers from here on are levels of the head.
const FIRST_OF_HEAD: u16 = FIRST_OF_TAIL + MAX_LEVEL + 1;

/// The number that stands for the mass nearest to this one.
///
/// Levels are fine in nats where a probability is large, and what is left of one beside a tail of
/// almost 1 needs nats as well: a tail is told by its own level or by that of the head, whichever is
/// nearer.
///
/// # Panics
/// If the mass is not in `[0, 1)`; that was checked.
pub(super) fn number_of_tail(tail_mass: f32, quantiser: &Quantiser) -> u16 {
    if tail_mass == 0.0 {
        return NO_TAIL;
    }
    let tail = f64::from(tail_mass);
    // The least mass above 0 that an `f32` can be is e^-104, that of the lowest level less.
    let level = |mass: f64| quantiser.level(mass.ln()).expect("a mass above 0");
    let (of_tail, of_head) = (level(tail), level(1.0 - tail));
    let error_of_tail = (quantiser.mass(of_tail) - tail).abs();
    let error_of_head = (1.0 - quantiser.mass(of_head) - tail).abs();
    match error_of_tail <= error_of_head {
        true => FIRST_OF_TAIL + of_tail,
        false => FIRST_OF_HEAD + of_head,
    }
}

/// The mass of a number; `None` if it stands for none.
pub(super) fn tail_of_number(number: u16, quantiser: &Quantiser) -> Option<f32> {
    let mass = |level: u16| quantiser.masses().get(usize::from(level)).copied();
    let tail = match number {
        NO_TAIL => 0.0,
        FIRST_OF_TAIL..FIRST_OF_HEAD => mass(number - FIRST_OF_TAIL)?,
        _ => 1.0 - mass(number - FIRST_OF_HEAD)?,
    };
    Some(tail as f32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ValueType;

    const LEVELS: [ValueType; 2] = [ValueType::Fine, ValueType::Coarse];

    fn quantisers() -> [Quantiser; 2] {
        LEVELS.map(|values| values.quantiser().unwrap())
    }

    #[test]
    fn what_was_read_is_written_as_the_same_number() {
        for quantiser in quantisers() {
            for number in 0..FIRST_OF_HEAD + MAX_LEVEL + 1 {
                let tail = tail_of_number(number, &quantiser).unwrap();
                if tail == 1.0 {
                    continue; // no head: a writer refuses it
                }
                let again = number_of_tail(tail, &quantiser);
                assert_eq!(tail_of_number(again, &quantiser), Some(tail), "{number}");
            }
            assert_eq!(
                tail_of_number(FIRST_OF_HEAD + MAX_LEVEL + 1, &quantiser),
                None
            );
            assert_eq!(tail_of_number(u16::MAX, &quantiser), None);
        }
    }

    #[test]
    fn head_and_tail_are_off_by_a_level_of_the_smaller_one() {
        for values in LEVELS {
            let (finest, largest) = values.level_steps().unwrap();
            let quantiser = values.quantiser().unwrap();
            for i in -2000..=1000 {
                let odds = (f64::from(i) / 100.0).exp();
                let tail = (odds / (1.0 + odds)) as f32;
                let read = tail_of_number(number_of_tail(tail, &quantiser), &quantiser).unwrap();
                let (tail, read) = (f64::from(tail), f64::from(read));
                let smaller = tail.min(1.0 - tail);
                let step = (finest / smaller.sqrt()).min(largest);
                assert!(
                    (read - tail).abs() <= smaller * (0.63 * step).exp_m1() + 1e-7,
                    "{tail} {read}"
                );
            }
        }
    }

    #[test]
    fn the_least_masses_have_numbers() {
        for quantiser in quantisers() {
            for tail in [
                f32::from_bits(1),
                f32::MIN_POSITIVE,
                1.0 - f32::EPSILON / 2.0,
            ] {
                let read = tail_of_number(number_of_tail(tail, &quantiser), &quantiser).unwrap();
                assert!((0.0..1.0).contains(&read), "{tail} {read}");
            }
            assert_eq!(tail_of_number(NO_TAIL, &quantiser), Some(0.0));
        }
    }
}
