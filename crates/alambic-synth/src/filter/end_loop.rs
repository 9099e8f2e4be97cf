//! Loops at the end of a text.

/// Times that a passage has to stand in a row to be a loop.
const ROUNDS: usize = 3;

/// Characters at the end of `text` that are the same as those one period before, for the period that gives most of them; 0 if
/// the passage does not stand three times in a row. White space at the end does not count.
///
/// One pass of the Z algorithm (Gusfield 1997, Algorithms on Strings, Trees and Sequences, section 1.4) over the reversed text.
///
/// # Memory
/// 12 bytes for each character.
pub(crate) fn end_loop_characters(text: &str) -> usize {
    let reversed: Vec<char> = text.trim_end().chars().rev().collect();
    let common = common_prefixes(&reversed);
    let loops = common.iter().enumerate().skip(1);
    loops
        .filter(|&(period, &length)| length >= (ROUNDS - 1) * period)
        .map(|(_, &length)| length)
        .max()
        .unwrap_or(0)
}

/// For each position the length of the longest common prefix of the whole and what begins there; 0 at the first.
fn common_prefixes(text: &[char]) -> Vec<usize> {
    let mut common = vec![0; text.len()];
    let (mut left, mut right) = (0, 0);
    for start in 1..text.len() {
        let mut length = match start < right {
            true => common[start - left].min(right - start),
            false => 0,
        };
        while start + length < text.len() && text[length] == text[start + length] {
            length += 1;
        }
        if start + length > right {
            (left, right) = (start, start + length);
        }
        common[start] = length;
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_that_stands_three_times_at_the_end_is_a_loop() {
        let text = "We think: I am sure. I am sure. I am sure.\n";
        assert_eq!(end_loop_characters(text), 2 * " I am sure.".len());
        assert_eq!(end_loop_characters("We think. I am sure. I am sure."), 0);
        assert_eq!(end_loop_characters("ha! no no no no"), 3 * " no".len());
    }

    #[test]
    fn a_loop_that_was_cut_in_its_last_round_is_found() {
        let text = format!("The answer is {}7 and 8 a", "7 and 8 and ".repeat(4));
        assert!(end_loop_characters(&text) > 3 * "7 and 8 and ".len());
    }

    #[test]
    fn repetition_elsewhere_is_no_loop_at_the_end() {
        assert_eq!(
            end_loop_characters(&format!("{}That was all.", "again ".repeat(9))),
            0
        );
        assert_eq!(end_loop_characters(""), 0);
        assert_eq!(end_loop_characters("…"), 0);
    }

    #[test]
    fn common_prefixes_are_those_of_a_direct_comparison() {
        let text: Vec<char> = "abaabaababaab".repeat(3).chars().collect();
        for (start, &length) in common_prefixes(&text).iter().enumerate().skip(1) {
            let direct = text
                .iter()
                .zip(&text[start..])
                .take_while(|(a, b)| a == b)
                .count();
            assert_eq!(length, direct);
        }
    }
}
