//! The teacher's last hidden state at every counted label.

use crate::{StateType, compact};

/// The teacher's last hidden state at each counted label of one segment, on the host.
///
/// Row `j` belongs to the `j`-th `true` of the record's loss mask: it is what the teacher's head
/// makes logits of, behind the final norm. With the [`TeacherHead`](crate::TeacherHead) of the
/// cache it is the teacher's whole distribution, at any temperature.
///
/// ```
/// use alambic_cache::HiddenTargets;
/// let targets = HiddenTargets { width: 2, states: vec![0.5, -1.0, 0.25, 2.0] };
/// assert_eq!(targets.num_rows(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct HiddenTargets {
    /// Numbers per row, at least 1.
    pub width: usize,
    /// `[rows * width]`, finite.
    pub states: Vec<f32>,
}

impl HiddenTargets {
    /// Number of targets, one per counted label.
    ///
    /// ```
    /// assert_eq!(alambic_cache::HiddenTargets { width: 3, states: vec![] }.num_rows(), 0);
    /// ```
    pub fn num_rows(&self) -> usize {
        self.states.len() / self.width.max(1)
    }

    /// The states in order.
    ///
    /// # Panics
    /// If the width is 0.
    ///
    /// ```
    /// # use alambic_cache::HiddenTargets;
    /// let targets = HiddenTargets { width: 2, states: vec![0.5, -1.0, 0.25, 2.0] };
    /// assert_eq!(targets.rows().last().unwrap(), [0.25, 2.0]);
    /// ```
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.states.chunks_exact(self.width)
    }

    /// What a reader gets of these targets once they are stored as `values`.
    ///
    /// What was rounded stays as it is when it is rounded again. `None` for what a writer refuses:
    /// a number that is not finite, or above [`StateType::largest_magnitude`].
    ///
    /// ```
    /// use alambic_cache::{HiddenTargets, StateType};
    /// let targets = HiddenTargets { width: 2, states: vec![7.0, -3.25] };
    /// assert_eq!(targets.rounded(StateType::F32).as_ref(), Some(&targets));
    /// assert_eq!(targets.rounded(StateType::Int4).unwrap().states, [7.0, -3.0]);
    /// ```
    pub fn rounded(&self, values: StateType) -> Option<Self> {
        let most = values.largest_magnitude();
        // What is no number is not at most anything.
        let is_storable = self.states.iter().all(|state| state.abs() <= most);
        if !is_storable {
            return None;
        }
        let bytes = compact::encode_states(&self.states, self.width, values);
        Some(Self {
            width: self.width,
            states: compact::decode_states(&bytes, self.num_rows(), self.width, values)?,
        })
    }
}
