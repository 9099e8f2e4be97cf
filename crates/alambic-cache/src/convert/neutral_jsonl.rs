//! A JSON object on each line: tokens, and the likely ones in place of each.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::Take;
use super::foreign_segment::{Entries, ForeignSegment, Place};
use crate::CacheError;
use crate::write_once_dir::io_error;

/// One line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    token_ids: Vec<u32>,
    top_ids: Vec<Option<Vec<u32>>>,
    top_log_probs: Vec<Option<Vec<f32>>>,
}

/// Reads line by line; empty lines say nothing.
pub(super) fn read(source: &Path, take: &mut Take<'_>) -> Result<(), CacheError> {
    let file = File::open(source).map_err(io_error(source, "open"))?;
    for (row, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(io_error(source, "read"))?;
        if line.trim().is_empty() {
            continue;
        }
        let place = Place {
            path: source,
            unit: "line",
            row,
        };
        let line: Line = serde_json::from_str(&line).map_err(|error| {
            let expected = "an object with token_ids, top_ids and top_log_probs";
            place.refuse("it", expected, error.to_string())
        })?;
        let expected = zip_labels(line.top_ids, line.top_log_probs, place)?;
        let token_ids = line.token_ids;
        take(
            ForeignSegment {
                token_ids,
                expected,
            },
            place,
        )?;
    }
    Ok(())
}

/// Ids and log-probabilities of all tokens of a segment, which have the same shape.
pub(super) fn zip_labels(
    ids: Vec<Option<Vec<u32>>>,
    log_probs: Vec<Option<Vec<f32>>>,
    place: Place<'_>,
) -> Result<Vec<Option<Entries>>, CacheError> {
    let lengths = (ids.len(), log_probs.len());
    if lengths.0 != lengths.1 {
        let expected = format!("{}, as top_ids has", lengths.0);
        return Err(place.refuse(
            "the length of top_log_probs",
            expected,
            lengths.1.to_string(),
        ));
    }
    let labels = ids.into_iter().zip(log_probs).enumerate();
    labels
        .map(|(token, label)| match label {
            (None, None) => Ok(None),
            (Some(ids), Some(log_probs)) if ids.len() == log_probs.len() => {
                Ok(Some(ids.into_iter().zip(log_probs).collect()))
            }
            (ids, log_probs) => {
                let count = |values: Option<usize>| match values {
                    Some(count) => format!("{count} values"),
                    None => "null".into(),
                };
                let expected = format!("{}, as top_ids has", count(ids.map(|ids| ids.len())));
                let found = count(log_probs.map(|values| values.len()));
                Err(place.refuse(format!("top_log_probs[{token}]"), expected, found))
            }
        })
        .collect()
}
