//! Which shards one of several writers captures.

use std::fmt;
use std::str::FromStr;

use crate::CacheError;

/// Part `I` of `N`: every shard `i` with `i mod N == I`; written `I/N`.
///
/// The whole contract between the writers of one cache. Together the parts `0/N` to `N-1/N` own
/// every shard, no shard has two owners, and parts differ by at most one shard however long the
/// corpus is: nobody has to know its length beforehand. A writer that is restarted takes its part
/// again.
///
/// ```
/// use alambic_cache::Part;
/// let part: Part = "3/8".parse()?;
/// assert_eq!(part.to_string(), "3/8");
/// assert_eq!((0..24).filter(|&shard| part.owns(shard)).collect::<Vec<_>>(), [3, 11, 19]);
/// # Ok::<(), alambic_cache::CacheError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    index: usize,
    count: usize,
}

impl Part {
    /// Part `index` of `count`.
    ///
    /// # Errors
    /// [`CacheError::InvalidPart`] unless `index < count`.
    ///
    /// ```
    /// use alambic_cache::Part;
    /// assert!(Part::try_new(7, 8)?.owns(15));
    /// let message = Part::try_new(8, 8).unwrap_err().to_string();
    /// assert_eq!(message, "part 8/8: expected I/N with 0 <= I < N, as 0/4 to 3/4 for four writers");
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn try_new(index: usize, count: usize) -> Result<Self, CacheError> {
        if index < count {
            return Ok(Self { index, count });
        }
        Err(CacheError::InvalidPart {
            found: format!("{index}/{count}"),
        })
    }

    /// The one part of a single writer, `0/1`.
    ///
    /// ```
    /// use alambic_cache::Part;
    /// assert!((0..100).all(|shard| Part::whole().owns(shard)));
    /// ```
    pub fn whole() -> Self {
        Self { index: 0, count: 1 }
    }

    /// Whether this part is all there is.
    ///
    /// ```
    /// use alambic_cache::Part;
    /// assert!(Part::whole().is_whole());
    /// assert!(!Part::try_new(0, 2)?.is_whole());
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Whether the writer of this part captures shard `index`.
    ///
    /// ```
    /// use alambic_cache::Part;
    /// let part = Part::try_new(1, 2)?;
    /// assert!(part.owns(7) && !part.owns(8));
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn owns(self, index: usize) -> bool {
        index % self.count == self.index
    }

    /// The shards of this part, of a cache of so many.
    pub(crate) fn shards(self, num_shards: usize) -> impl Iterator<Item = usize> {
        (self.index..num_shards).step_by(self.count)
    }

    /// The part of so many that captures shard `index`.
    pub(crate) fn owner_of(index: usize, count: usize) -> Self {
        Self {
            index: index % count,
            count,
        }
    }

    /// How many parts there are.
    pub(crate) fn count(self) -> usize {
        self.count
    }

    /// The part as it is written in file names: `3-of-8`.
    ///
    /// ```
    /// assert_eq!(alambic_cache::Part::try_new(3, 8)?.file_label(), "3-of-8");
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn file_label(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }

    /// The part of a [`file_label`](Self::file_label); `None` for every other spelling.
    pub(crate) fn from_file_label(label: &str) -> Option<Self> {
        let (index, count) = label.split_once("-of-")?;
        let part = Self::try_new(index.parse().ok()?, count.parse().ok()?).ok()?;
        (part.file_label() == label).then_some(part)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Part {
    type Err = CacheError;

    fn from_str(text: &str) -> Result<Self, CacheError> {
        let refuse = || CacheError::InvalidPart { found: text.into() };
        // Digits alone: `usize` would parse a sign as well.
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let (index, count) = text.split_once('/').ok_or_else(refuse)?;
        match (number(index), number(count)) {
            (Some(index), Some(count)) => Self::try_new(index, count),
            _ => Err(refuse()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_has_exactly_one_owner_and_parts_differ_by_at_most_one_shard() {
        for count in 1..=9 {
            let parts: Vec<Part> = (0..count)
                .map(|index| Part::try_new(index, count).unwrap())
                .collect();
            for num_shards in 0..40 {
                let shares: Vec<usize> = parts
                    .iter()
                    .map(|part| {
                        assert!(part.shards(num_shards).all(|shard| part.owns(shard)));
                        part.shards(num_shards).count()
                    })
                    .collect();
                assert_eq!(shares.iter().sum::<usize>(), num_shards);
                let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
                assert!(most - least <= 1, "{count} parts: {shares:?}");
            }
            for shard in 0..40 {
                assert_eq!(
                    Part::owner_of(shard, count),
                    *parts.iter().find(|part| part.owns(shard)).unwrap()
                );
            }
        }
    }

    #[test]
    fn a_part_reads_back_from_what_it_is_written_as() {
        for (index, count) in [(0, 1), (3, 8), (99, 100)] {
            let part = Part::try_new(index, count).unwrap();
            assert_eq!(part.to_string().parse::<Part>().unwrap(), part);
            assert_eq!(Part::from_file_label(&part.file_label()), Some(part));
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in [
            "", "/", "3", "8/8", "9/8", "0/0", "-1/8", "+1/8", "1/8/2", "1 /8", "a/b", "1/",
        ] {
            let message = text.parse::<Part>().unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("part {text}: expected I/N")),
                "{message}"
            );
        }
        for label in ["3-of-3", "03-of-8", "+3-of-8", "3-of-8-", "seal"] {
            assert_eq!(Part::from_file_label(label), None, "{label}");
        }
    }
}
