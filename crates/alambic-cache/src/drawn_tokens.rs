//! Rows of drawn tokens with their counts.

/// Which tokens were drawn at every counted label of one segment, and how often, on the host.
///
/// ```
/// use alambic_cache::DrawnTokens;
/// let mut drawn = DrawnTokens::default();
/// drawn.push_row([(7, 3), (9, 1)]);
/// let row = drawn.rows().next().unwrap();
/// assert_eq!((row.token_ids, row.counts), (&[7, 9][..], &[3, 1][..]));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrawnTokens {
    /// `[rows]`, how many different ids were drawn.
    pub num_distinct: Vec<u16>,
    /// The ids of all rows, ascending within a row.
    pub token_ids: Vec<u32>,
    /// How often each of them was drawn, at least once.
    pub counts: Vec<u16>,
}

/// One row of [`DrawnTokens`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawnRow<'a> {
    /// The ids, ascending.
    pub token_ids: &'a [u32],
    /// How often each was drawn.
    pub counts: &'a [u16],
}

impl DrawnTokens {
    /// Number of rows, one per counted label.
    ///
    /// ```
    /// assert_eq!(alambic_cache::DrawnTokens::default().num_rows(), 0);
    /// ```
    pub fn num_rows(&self) -> usize {
        self.num_distinct.len()
    }

    /// Adds a row of ids, ascending, with their counts.
    ///
    /// ```
    /// let mut drawn = alambic_cache::DrawnTokens::default();
    /// drawn.push_row([]);
    /// drawn.push_row([(7, 4)]);
    /// assert_eq!(drawn.num_distinct, [0, 1]);
    /// ```
    pub fn push_row(&mut self, entries: impl IntoIterator<Item = (u32, u16)>) {
        let before = self.token_ids.len();
        for (token_id, count) in entries {
            self.token_ids.push(token_id);
            self.counts.push(count);
        }
        self.num_distinct
            .push((self.token_ids.len() - before) as u16);
    }

    /// The rows in order, as far as all parts are there.
    ///
    /// ```
    /// let mut drawn = alambic_cache::DrawnTokens::default();
    /// drawn.push_row([(7, 4)]);
    /// assert_eq!(drawn.rows().next().unwrap().token_ids, [7]);
    /// ```
    pub fn rows(&self) -> impl Iterator<Item = DrawnRow<'_>> {
        let (mut token_ids, mut counts) = (&self.token_ids[..], &self.counts[..]);
        self.num_distinct.iter().map_while(move |&distinct| {
            Some(DrawnRow {
                token_ids: token_ids.split_off(..usize::from(distinct))?,
                counts: counts.split_off(..usize::from(distinct))?,
            })
        })
    }
}
