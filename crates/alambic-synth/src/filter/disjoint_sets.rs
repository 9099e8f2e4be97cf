//! Disjoint sets of documents, each known by its first member.

/// Union-find over positions; the root of a set is its smallest member.
///
/// 4 bytes for each position.
#[derive(Clone, Debug, Default)]
pub(crate) struct DisjointSets {
    parents: Vec<u32>,
}

impl DisjointSets {
    /// `count` sets of one member each.
    pub(crate) fn new(count: u32) -> Self {
        Self {
            parents: (0..count).collect(),
        }
    }

    /// The smallest member of the set of `member`.
    pub(crate) fn first(&self, mut member: u32) -> u32 {
        while self.parents[member as usize] != member {
            member = self.parents[member as usize];
        }
        member
    }

    /// Joins the sets of two members; paths are halved on the way.
    pub(crate) fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.halve(a), self.halve(b));
        self.parents[a.max(b) as usize] = a.min(b);
    }

    fn halve(&mut self, mut member: u32) -> u32 {
        while self.parents[member as usize] != member {
            let grandparent = self.parents[self.parents[member as usize] as usize];
            self.parents[member as usize] = grandparent;
            member = grandparent;
        }
        member
    }

    /// Lets every member point at the first of its set.
    pub(crate) fn flatten(&mut self) {
        for member in 0..self.parents.len() {
            // Parents are smaller than their children, so the parent is flat already.
            self.parents[member] = self.parents[self.parents[member] as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_member_stands_for_a_set_however_it_was_joined() {
        let mut sets = DisjointSets::new(6);
        sets.join(5, 3);
        sets.join(3, 4);
        sets.join(4, 1);
        sets.flatten();
        let firsts: Vec<u32> = (0..6).map(|member| sets.first(member)).collect();
        assert_eq!(firsts, [0, 1, 2, 1, 1, 1]);
    }
}
