//! One bucket of a band: which of its texts resemble each other.

use std::collections::HashMap;

/// What was found in a bucket.
#[derive(Debug, Default)]
pub(crate) struct BucketMatches {
    /// Pairs that resemble each other, the earlier one first; enough of them to join whatever belongs together.
    pub(crate) pairs: Vec<(u32, u32)>,
    /// Pairs that were compared.
    pub(crate) comparisons: u64,
    /// Pairs that were not compared because the text had been compared often enough.
    pub(crate) left_out: u64,
}

/// Texts that belong together, and the sets that they were in before.
struct Group {
    roots: Vec<u32>,
    members: Vec<u32>,
}

/// Compares each text with those before it, group by group: one that resembles a member of a group is not compared with the
/// others, so that a bucket of equal texts takes one comparison for each.
pub(crate) struct Bucket<F> {
    max_comparisons: usize,
    resemble: F,
    groups: Vec<Group>,
    group_of_root: HashMap<u32, usize>,
    texts: usize,
    matches: BucketMatches,
}

impl<F: Fn(u32, u32) -> bool> Bucket<F> {
    /// An empty bucket whose texts are compared by `resemble`.
    pub(crate) fn new(max_comparisons: usize, resemble: F) -> Self {
        Self {
            max_comparisons,
            resemble,
            groups: Vec::new(),
            group_of_root: HashMap::new(),
            texts: 0,
            matches: BucketMatches::default(),
        }
    }

    /// Adds a text that belongs to the set of `root` already.
    pub(crate) fn add(&mut self, text: u32, root: u32) {
        let known = self.group_of_root.get(&root).copied();
        let home_members = known.map_or(0, |home| self.groups[home].members.len());
        let mut comparisons = 0;
        let mut compared_groups = Vec::new();
        let mut strangers = self.texts - home_members;
        'groups: for (index, group) in self.groups.iter().enumerate() {
            if Some(index) == known {
                continue;
            }
            for (position, &member) in group.members.iter().enumerate() {
                if comparisons == self.max_comparisons {
                    break 'groups;
                }
                comparisons += 1;
                if (self.resemble)(member, text) {
                    self.matches.pairs.push((member, text));
                    compared_groups.push(index);
                    strangers -= group.members.len() - position - 1;
                    break;
                }
            }
        }
        self.matches.comparisons += comparisons as u64;
        self.matches.left_out += (strangers - comparisons) as u64;
        compared_groups.extend(known);
        self.place(text, root, compared_groups);
        self.texts += 1;
    }

    /// Puts a text into the groups that it belongs to, which become one.
    fn place(&mut self, text: u32, root: u32, mut belongs_to: Vec<usize>) {
        belongs_to.sort_unstable();
        let mut indices = belongs_to.into_iter();
        let home = indices.next().unwrap_or(self.groups.len());
        if home == self.groups.len() {
            self.groups.push(Group {
                roots: Vec::new(),
                members: Vec::new(),
            });
        }
        // From the last: the group that takes a removed one's place is never one that is still to be joined.
        for index in indices.rev() {
            let joined = self.groups.swap_remove(index);
            if let Some(moved) = self.groups.get(index) {
                let roots = moved.roots.iter();
                self.group_of_root.extend(roots.map(|&root| (root, index)));
            }
            let roots = joined.roots.iter();
            self.group_of_root.extend(roots.map(|&root| (root, home)));
            self.groups[home].roots.extend(joined.roots);
            self.groups[home].members.extend(joined.members);
        }
        if self.group_of_root.insert(root, home).is_none() {
            self.groups[home].roots.push(root);
        }
        self.groups[home].members.push(text);
    }

    /// What was found.
    pub(crate) fn into_matches(self) -> BucketMatches {
        self.matches
    }
}

#[cfg(test)]
mod tests {
    use super::super::disjoint_sets::DisjointSets;
    use super::*;

    fn joined(
        count: u32,
        max_comparisons: usize,
        resemble: impl Fn(u32, u32) -> bool,
    ) -> (Vec<u32>, BucketMatches) {
        let mut bucket = Bucket::new(max_comparisons, resemble);
        for text in 0..count {
            bucket.add(text, text);
        }
        let matches = bucket.into_matches();
        let mut sets = DisjointSets::new(count);
        for &(a, b) in &matches.pairs {
            sets.join(a, b);
        }
        ((0..count).map(|text| sets.first(text)).collect(), matches)
    }

    #[test]
    fn what_resembles_through_others_is_joined() {
        let (firsts, _) = joined(8, 100, |a, b| {
            b - a == 4 || (a, b) == (0, 3) || (a, b) == (2, 7)
        });
        assert_eq!(firsts, [0, 1, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn equal_texts_take_one_comparison_each() {
        let (firsts, matches) = joined(1000, 100, |_, _| true);
        assert!(firsts.iter().all(|&first| first == 0));
        assert_eq!((matches.comparisons, matches.left_out), (999, 0));
    }

    #[test]
    fn comparisons_that_are_left_out_are_counted() {
        let (firsts, matches) = joined(5, 2, |_, _| false);
        assert_eq!(firsts, [0, 1, 2, 3, 4]);
        // 0, 1, 2, 3 and 4 earlier texts, of which two at most are looked at.
        assert_eq!((matches.comparisons, matches.left_out), (7, 3));
    }

    #[test]
    fn texts_of_one_set_are_not_compared_again() {
        let mut bucket = Bucket::new(10, |_, _| false);
        for text in 0..4 {
            bucket.add(text, text % 2);
        }
        let matches = bucket.into_matches();
        assert_eq!(matches.comparisons, 1 + 1 + 2);
        assert_eq!(matches.left_out, 0);
    }
}
