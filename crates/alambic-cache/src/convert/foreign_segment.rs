//! What all formats come to: tokens, and what was expected in place of each.

use std::fmt::Display;
use std::path::Path;

use crate::{CacheError, HeadOnlyTargets, SegmentKey, TargetRecord};

/// Where a segment comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    /// "line" or "row".
    pub(super) unit: &'static str,
    /// Counted from 0.
    pub(super) row: usize,
}

impl Place<'_> {
    /// That something here is not as expected.
    pub(super) fn refuse(
        self,
        field: impl Display,
        expected: impl Into<String>,
        found: String,
    ) -> CacheError {
        CacheError::Foreign {
            path: self.path.to_owned(),
            what: format!("{} {}: {field}", self.unit, self.row + 1),
            expected: expected.into(),
            found,
        }
    }
}

/// Ids and log-probabilities of likely tokens, in any order.
pub(super) type Entries = Vec<(u32, f32)>;

/// Which entries of a label are kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    /// All, and every label has so many.
    All(usize),
    /// The most probable ones, so many.
    MostProbable(usize),
}

impl Kept {
    /// How many.
    pub(super) fn count(self) -> usize {
        match self {
            Self::All(k) | Self::MostProbable(k) => k,
        }
    }
}

/// One segment of a source.
#[derive(Debug, PartialEq)]
pub(super) struct ForeignSegment {
    pub(super) token_ids: Vec<u32>,
    /// As long as `token_ids`: what was expected in place of each token, given those before;
    /// `None` where the token is no counted label.
    pub(super) expected: Vec<Option<Entries>>,
}

impl ForeignSegment {
    /// How many entries the first label has.
    pub(super) fn num_entries(&self) -> Option<usize> {
        let mut labels = self.expected.iter().flatten();
        labels.next().map(Vec::len)
    }

    /// The record with these entries of every label.
    pub(super) fn to_record(
        &self,
        kept: Kept,
        teacher_fingerprint: &str,
        place: Place<'_>,
    ) -> Result<TargetRecord, CacheError> {
        let (tokens, rows) = (self.token_ids.len(), self.expected.len());
        if tokens != rows {
            let expected = format!("{tokens}, one for each token");
            return Err(place.refuse("the number of targets", expected, rows.to_string()));
        }
        if let Some(Some(_)) = self.expected.first() {
            let expected = "none, since nothing comes before it";
            return Err(place.refuse("what is expected at token 0", expected, "some".into()));
        }
        let mut targets = HeadOnlyTargets::empty(kept.count());
        for (token, entries) in self.expected.iter().enumerate() {
            if let Some(entries) = entries {
                push_row(&mut targets, kept, entries, token, place)?;
            }
        }
        let loss_mask: Vec<bool> = self.expected.iter().map(Option::is_some).collect();
        Ok(TargetRecord {
            key: SegmentKey::of(teacher_fingerprint, &self.token_ids, &loss_mask),
            token_ids: self.token_ids.clone(),
            loss_mask,
            targets: targets.into(),
        })
    }
}

/// Adds the most probable entries, most probable first; equal ones by id.
fn push_row(
    targets: &mut HeadOnlyTargets,
    kept: Kept,
    entries: &[(u32, f32)],
    token: usize,
    place: Place<'_>,
) -> Result<(), CacheError> {
    let field = || format!("the entries at token {token}");
    if let Some((id, log_prob)) = entries.iter().find(|(_, log_prob)| !log_prob.is_finite()) {
        let expected = "finite log-probabilities; ask for fewer entries (top_k) if the source has \
                        filled rows up";
        return Err(place.refuse(field(), expected, format!("{log_prob} for id {id}")));
    }
    if entries.len() < targets.k {
        let expected = format!(
            "at least {}, as many as are kept at every label; ask for fewer (top_k)",
            targets.k
        );
        return Err(place.refuse(field(), expected, entries.len().to_string()));
    }
    if let Kept::All(k) = kept
        && entries.len() > k
    {
        let expected =
            format!("{k}, as many as the first label has; or say how many to keep (top_k)");
        return Err(place.refuse(field(), expected, entries.len().to_string()));
    }
    let mut sorted = entries.to_vec();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let kept = &sorted[..targets.k];
    targets.token_ids.extend(kept.iter().map(|&(id, _)| id));
    let log_probs = kept.iter().map(|&(_, log_prob)| log_prob);
    targets.log_probs.extend(log_probs);
    Ok(())
}
