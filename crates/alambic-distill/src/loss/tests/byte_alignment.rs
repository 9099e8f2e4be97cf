//! Aligning two tokenizations of one text.

use std::collections::BTreeSet;
use std::ops::Range;

use alambic_text::{SpecialTokens, Tokenizer};
use proptest::prelude::*;

use super::*;

type Ranges = Vec<(usize, usize)>;

fn align(student: &[(usize, usize)], teacher: &[(usize, usize)]) -> Vec<ByteGroup> {
    let alignment = ByteAlignment::try_new(student, teacher).unwrap();
    assert_eq!(alignment.student_tokens(), student.len());
    assert_eq!(alignment.teacher_tokens(), teacher.len());
    alignment.groups().to_vec()
}

fn group(bytes: Range<usize>, student: Range<usize>, teacher: Range<usize>) -> ByteGroup {
    ByteGroup {
        bytes,
        student,
        teacher,
    }
}

/// Every token is in exactly one group, in order.
fn assert_partition(groups: &[ByteGroup], student: usize, teacher: usize) {
    let (mut next_student, mut next_teacher) = (0, 0);
    for group in groups {
        assert_eq!(
            (group.student.start, group.teacher.start),
            (next_student, next_teacher)
        );
        (next_student, next_teacher) = (group.student.end, group.teacher.end);
        assert!(
            !(group.student.is_empty() && group.teacher.is_empty()),
            "{group:?}"
        );
    }
    assert_eq!((next_student, next_teacher), (student, teacher));
}

/// A text of `bytes` cut at some places.
fn tokens(cuts: &BTreeSet<usize>, bytes: usize) -> Ranges {
    let ends = cuts.iter().copied().chain([bytes]);
    let mut start = 0;
    let ranges = ends.map(|end| (std::mem::replace(&mut start, end), end));
    ranges.filter(|(start, end)| start < end).collect()
}

fn cuts() -> impl Strategy<Value = BTreeSet<usize>> {
    proptest::collection::btree_set(1usize..30, 0..25)
}

proptest! {
    #[test]
    fn groups_end_where_both_sides_have_an_end(student in cuts(), teacher in cuts()) {
        let (student_tokens, teacher_tokens) = (tokens(&student, 30), tokens(&teacher, 30));
        let groups = align(&student_tokens, &teacher_tokens);
        assert_partition(&groups, student_tokens.len(), teacher_tokens.len());
        let ends: Vec<usize> = groups.iter().map(|group| group.bytes.end).collect();
        let both: Vec<usize> = student.intersection(&teacher).copied().chain([30]).collect();
        prop_assert_eq!(ends, both);
        for group in groups {
            let bytes = |tokens: &Ranges, range: Range<usize>| tokens[range.start].0..tokens[range.end - 1].1;
            prop_assert_eq!(&group.bytes, &bytes(&student_tokens, group.student.clone()));
            prop_assert_eq!(&group.bytes, &bytes(&teacher_tokens, group.teacher.clone()));
            prop_assert!(group.is_comparable());
        }
    }

    #[test]
    fn special_tokens_of_one_side_move_nothing(
        student in cuts(), teacher in cuts(), at in 0usize..=30, place in 0usize..30, where_added in 0usize..3,
    ) {
        let (plain, teacher) = (tokens(&student, 30), tokens(&teacher, 30));
        let expected = align(&plain, &teacher);
        let mut added = plain.clone();
        // At the front, at the end, or between two groups; a tokenizer may say any empty range.
        let index = match where_added {
            0 => 0,
            1 => plain.len(),
            _ => expected[at % expected.len()].student.start,
        };
        added.insert(index, (place, place));
        let groups = align(&added, &teacher);
        assert_partition(&groups, added.len(), teacher.len());
        let text: Vec<_> = groups.iter().filter(|group| !group.bytes.is_empty()).collect();
        prop_assert_eq!(text.len(), expected.len());
        for (found, expected) in text.iter().zip(&expected) {
            let moved = usize::from(found.student.start > index || (found.student.start == index + 1));
            prop_assert_eq!(&found.bytes, &expected.bytes);
            prop_assert_eq!(&found.teacher, &expected.teacher);
            prop_assert_eq!(found.student.start - moved, expected.student.start);
            prop_assert_eq!(found.student.len(), expected.student.len());
        }
        prop_assert_eq!(groups.iter().filter(|group| !group.is_comparable()).count(), 1);
    }
}

#[test]
fn tokens_that_share_a_character_stay_together() {
    // "aéb": the student has the two bytes of é as tokens, the teacher "aé" and "b".
    let groups = align(&[(0, 1), (1, 3), (1, 3), (3, 4)], &[(0, 3), (3, 4)]);
    assert_eq!(groups, [group(0..3, 0..3, 0..1), group(3..4, 3..4, 1..2)]);
    let both = [(0, 1), (1, 3), (1, 3), (3, 4)];
    let groups = align(&both, &both);
    assert_eq!(groups[1], group(1..3, 1..3, 1..3));
}

#[test]
fn ends_of_text_on_both_sides_are_compared_and_a_lone_beginning_is_not() {
    let student = [(0, 0), (0, 2), (2, 5), (5, 5)];
    let teacher = [(0, 5), (0, 0)];
    let groups = align(&student, &teacher);
    assert_eq!(
        groups,
        [
            group(0..0, 0..1, 0..0),
            group(0..5, 1..3, 0..1),
            group(5..5, 3..4, 1..2),
        ]
    );
    let comparable: Vec<bool> = groups.iter().map(ByteGroup::is_comparable).collect();
    assert_eq!(comparable, [false, true, true]);
    let two = align(&[(0, 5), (5, 5), (5, 5)], &[(0, 5), (5, 5)]);
    assert_eq!(two[1], group(5..5, 1..3, 1..2));
    assert!(!two[1].is_comparable());
}

#[test]
fn spaces_that_one_side_trims_join_the_token_behind_them() {
    // "the cat sat": the student's ranges leave the spaces out.
    let groups = align(&[(0, 3), (4, 7), (8, 11)], &[(0, 3), (3, 7), (7, 11)]);
    assert_eq!(
        groups,
        [
            group(0..3, 0..1, 0..1),
            group(3..7, 1..2, 1..2),
            group(7..11, 2..3, 2..3),
        ]
    );
    // A space that is a token of the teacher alone has no partner.
    let groups = align(&[(0, 3), (4, 7)], &[(0, 3), (3, 4), (4, 7)]);
    assert_eq!(groups[1], group(3..4, 1..1, 1..2));
    assert!(!groups[1].is_comparable());
    assert_eq!(groups[2], group(4..7, 1..2, 2..3));
}

#[test]
fn a_side_without_text_has_nothing_to_compare() {
    assert_eq!(align(&[], &[]), []);
    let groups = align(&[(0, 0)], &[(0, 2), (2, 3)]);
    assert_partition(&groups, 1, 2);
    assert!(
        groups.iter().all(|group| !group.is_comparable()),
        "{groups:?}"
    );
    let groups = align(&[], &[(0, 2), (2, 3), (3, 3)]);
    assert_partition(&groups, 0, 3);
}

#[test]
fn ranges_out_of_order_are_refused() {
    let refused = |student: &[(usize, usize)], teacher: &[(usize, usize)]| {
        ByteAlignment::try_new(student, teacher).unwrap_err()
    };
    assert_eq!(
        refused(&[(0, 2), (2, 4), (1, 3)], &[(0, 4)]).to_string(),
        "token 2 of the student stands for the bytes (1, 3) after a token of the bytes (2, 4); expected ranges `start..end` in the order of the text"
    );
    assert!(matches!(
        refused(&[(0, 4)], &[(3, 1)]),
        AlignmentError::TokenRange {
            side: "teacher",
            token: 0,
            ..
        }
    ));
    assert!(matches!(
        refused(&[(0, 2), (2, 2), (2, 4)], &[(0, 4)]),
        AlignmentError::SpecialInsideGroup {
            side: "student",
            token: 1,
            bytes: (0, 4)
        }
    ));
}

#[test]
fn two_tokenizers_of_different_sizes_align_on_real_text() {
    let text =
        "Once upon a time a caf\u{e9} in \u{1f600} Z\u{fc}rich sold the best coffee in the town.";
    let train = |size| {
        let texts = ["once upon a time the cat sat in the best coffee town of a time"; 3];
        Tokenizer::train_byte_level_bpe(texts.map(String::from), size, &[]).unwrap()
    };
    let encode = |size| {
        train(size)
            .encode(text, SpecialTokens::Omit)
            .unwrap()
            .byte_offsets
    };
    let (student, teacher) = (encode(258), encode(300));
    assert_ne!(student, teacher);
    let groups = align(&student, &teacher);
    assert_partition(&groups, student.len(), teacher.len());
    let joined: String = groups
        .iter()
        .map(|group| &text[group.bytes.clone()])
        .collect();
    assert_eq!(joined, text);
    assert!(groups.iter().all(ByteGroup::is_comparable));
    assert!(
        groups
            .iter()
            .any(|group| group.student.len() > group.teacher.len())
    );
}
