//! The places at which a tokenization cuts its text.

use std::ops::Range;

use super::AlignmentError;

/// A place between two tokens of one side at which no token of that side is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// How many tokens with bytes stand before it.
    text_tokens: usize,
    /// Where the bytes before it end.
    first_byte: usize,
    /// Where the bytes after it begin: later than `first_byte` where no token has the bytes between.
    pub(super) last_byte: usize,
}

impl Cut {
    pub(super) fn meets(self, other: Self) -> bool {
        self.first_byte.max(other.first_byte) <= self.last_byte.min(other.last_byte)
    }

    /// Where two cuts meet, as a range without bytes.
    pub(super) fn place(self, other: Self) -> Range<usize> {
        let byte = self.first_byte.max(other.first_byte);
        byte..byte
    }
}

/// The tokens of one side, and which of them have bytes.
pub(super) struct TextTokens<'a> {
    name: &'static str,
    pub(super) ranges: &'a [(usize, usize)],
    /// Indices of the tokens that have bytes.
    text: Vec<usize>,
}

impl<'a> TextTokens<'a> {
    pub(super) fn try_new(
        name: &'static str,
        ranges: &'a [(usize, usize)],
    ) -> Result<Self, AlignmentError> {
        let mut text = Vec::new();
        let mut before = (0, 0);
        for (token, &found) in ranges.iter().enumerate() {
            if found.0 == found.1 {
                continue;
            }
            if found.0 > found.1 || found.0 < before.0 || found.1 < before.1 {
                return Err(AlignmentError::TokenRange {
                    side: name,
                    token,
                    found,
                    before,
                });
            }
            before = found;
            text.push(token);
        }
        Ok(Self { name, ranges, text })
    }

    pub(super) fn cuts(&self) -> Vec<Cut> {
        let end = |token: &usize| self.ranges[*token].1;
        let start = |token: &usize| self.ranges[*token].0;
        let cut = |text_tokens: usize| Cut {
            text_tokens,
            first_byte: match text_tokens.checked_sub(1) {
                Some(before) => end(&self.text[before]),
                None => 0,
            },
            last_byte: self.text.get(text_tokens).map_or(usize::MAX, start),
        };
        let cuts = (0..=self.text.len()).map(cut);
        cuts.filter(|cut| cut.first_byte <= cut.last_byte).collect()
    }

    /// The first token with bytes behind a cut, or the end.
    pub(super) fn behind(&self, cut: Cut) -> usize {
        let token = self.text.get(cut.text_tokens);
        token.copied().unwrap_or(self.ranges.len())
    }

    /// The tokens without bytes at a cut.
    pub(super) fn special(&self, cut: Cut) -> Range<usize> {
        let start = cut.text_tokens.checked_sub(1);
        start.map_or(0, |before| self.text[before] + 1)..self.behind(cut)
    }

    /// The bytes between two cuts, if any.
    pub(super) fn bytes(&self, from: Cut, to: Cut) -> Option<Range<usize>> {
        let between = &self.text[from.text_tokens..to.text_tokens];
        let (first, last) = (between.first()?, between.last()?);
        Some(self.ranges[*first].0..self.ranges[*last].1)
    }

    /// The tokens between two cuts.
    pub(super) fn text(&self, from: Cut, to: Cut) -> Result<Range<usize>, AlignmentError> {
        let start = self.behind(from);
        let between = &self.text[from.text_tokens..to.text_tokens];
        let end = between.last().map_or(start, |last| last + 1);
        let special = (start..end).find(|token| !between.contains(token));
        match special {
            None => Ok(start..end),
            Some(token) => Err(AlignmentError::SpecialInsideGroup {
                side: self.name,
                token,
                bytes: (self.ranges[start].0, self.ranges[end - 1].1),
            }),
        }
    }
}
