//! The manifest: what a finished cache consists of, written last.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::layout;
use crate::spec::is_sha256_hex;
use crate::{CacheError, CacheSpec, FORMAT_VERSION};

/// One shard of a finished cache.
///
/// ```
/// use alambic_cache::ShardEntry;
/// let entry = ShardEntry {
///     file: "shard-00000.parquet".into(),
///     segments: 2, tokens: 7, targets: 5, bytes: 1_234, sha256: "0f".repeat(32),
/// };
/// let json = serde_json::to_value(&entry)?;
/// assert_eq!(json["tokens"], 7);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// File name, without a directory.
    pub file: String,
    /// Rows of the shard.
    pub segments: u64,
    /// Tokens of the student's view, summed over its segments.
    pub tokens: u64,
    /// Counted labels, summed over its segments.
    pub targets: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Lower-case hex SHA-256 of the file.
    pub sha256: String,
}

/// What a finished cache consists of: the content of `manifest.json`.
///
/// ```
/// use alambic_cache::{CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
/// # let dir = tempfile::tempdir()?;
/// # let spec = CacheSpec {
/// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
/// #     targets: TargetKind::TopK { k: 1, values: ValueType::F32 }, temperatures: vec![1.0],
/// #     segments_per_shard: 1,
/// # };
/// # let record = TargetRecord {
/// #     key: SegmentKey::of("t", &[1, 3], &[false, true]), token_ids: vec![1, 3], loss_mask: vec![false, true],
/// #     targets: TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.75f32.ln()], tail_mass: vec![0.25], entropy: vec![0.5623], tempered: vec![] }.into(),
/// # };
/// let mut writer = CacheWriter::open(dir.path(), spec)?;
/// writer.write_shard(0, std::slice::from_ref(&record))?;
/// let manifest = writer.finish(1)?;
/// assert_eq!((manifest.num_segments, manifest.num_tokens, manifest.num_targets), (1, 2, 1));
/// assert_eq!(manifest.shards[0].file, "shard-00000.parquet");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the build that wrote the cache.
    pub format_version: u32,
    /// What the cache was captured from and how it is stored.
    pub spec: CacheSpec,
    /// Segments in all shards.
    pub num_segments: u64,
    /// Tokens of the student's view in all shards.
    pub num_tokens: u64,
    /// Counted labels in all shards.
    pub num_targets: u64,
    /// The shards in order; entry `i` names shard `i`.
    pub shards: Vec<ShardEntry>,
}

/// The one field that every version of the manifest has.
#[derive(Deserialize)]
struct VersionOnly {
    format_version: serde_json::Value,
}

impl Manifest {
    /// The manifest of these shards; the totals are their sums.
    pub(crate) fn of(spec: CacheSpec, shards: Vec<ShardEntry>) -> Self {
        let total = |count: fn(&ShardEntry) -> u64| shards.iter().map(count).sum();
        Self {
            format_version: FORMAT_VERSION,
            spec,
            num_segments: total(|shard| shard.segments),
            num_tokens: total(|shard| shard.tokens),
            num_targets: total(|shard| shard.targets),
            shards,
        }
    }

    /// Pretty JSON with a final newline; equal manifests give equal text.
    pub(crate) fn to_json(&self) -> String {
        let mut json =
            serde_json::to_string_pretty(self).expect("a struct of numbers and strings is JSON");
        json.push('\n');
        json
    }

    /// Parses and checks everything that needs no other file.
    pub(crate) fn parse(json: &[u8], path: &Path) -> Result<Self, CacheError> {
        let refuse = |source| CacheError::ManifestJson {
            path: path.to_owned(),
            source,
        };
        // The version first: another version may have other fields.
        let version: VersionOnly = serde_json::from_slice(json).map_err(refuse)?;
        if version.format_version.as_u64() != Some(FORMAT_VERSION.into()) {
            return Err(CacheError::UnknownVersion {
                path: path.to_owned(),
                expected: FORMAT_VERSION,
                found: version.format_version.to_string(),
            });
        }
        let manifest: Self = serde_json::from_slice(json).map_err(refuse)?;
        manifest.spec.validate()?;
        manifest.check_entries(path)?;
        manifest.check_totals(path)?;
        Ok(manifest)
    }

    fn check_entries(&self, path: &Path) -> Result<(), CacheError> {
        if self.shards.is_empty() {
            return Err(invalid(
                path,
                "shards".into(),
                "at least 1".into(),
                "none".into(),
            ));
        }
        for (i, shard) in self.shards.iter().enumerate() {
            // The exact name leaves no room for separators, `..` or absolute paths.
            let expected = layout::shard_file_name(i);
            if shard.file != expected {
                let found = format!("{:?}", shard.file);
                return Err(invalid(path, format!("shards[{i}].file"), expected, found));
            }
            let most = self.spec.segments_per_shard as u64;
            if !(1..=most).contains(&shard.segments) {
                let (expected, found) = (format!("in 1..={most}"), shard.segments.to_string());
                return Err(invalid(
                    path,
                    format!("shards[{i}].segments"),
                    expected,
                    found,
                ));
            }
            if !is_sha256_hex(&shard.sha256) {
                let expected = "64 lower-case hex digits".into();
                let found = format!("{:?}", shard.sha256);
                return Err(invalid(
                    path,
                    format!("shards[{i}].sha256"),
                    expected,
                    found,
                ));
            }
        }
        Ok(())
    }

    fn check_totals(&self, path: &Path) -> Result<(), CacheError> {
        type Count = fn(&ShardEntry) -> u64;
        let totals: [(&str, u64, Count); 3] = [
            ("num_segments", self.num_segments, |shard| shard.segments),
            ("num_tokens", self.num_tokens, |shard| shard.tokens),
            ("num_targets", self.num_targets, |shard| shard.targets),
        ];
        for (field, found, count) in totals {
            let sum: u128 = self
                .shards
                .iter()
                .map(|shard| u128::from(count(shard)))
                .sum();
            if sum != u128::from(found) {
                let expected = format!("{sum}, the sum over the shards");
                return Err(invalid(path, field.into(), expected, found.to_string()));
            }
        }
        Ok(())
    }
}

/// Where the manifest of a cache stands.
#[cfg(test)]
pub(crate) fn manifest_path(dir: &Path) -> std::path::PathBuf {
    dir.join(layout::MANIFEST_FILE)
}

fn invalid(path: &Path, field: String, expected: String, found: String) -> CacheError {
    CacheError::InvalidManifest {
        path: path.to_owned(),
        field,
        expected,
        found,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{CacheReader, ValueType, sample};

    /// What opening a cache says after its manifest was edited.
    fn open_edited(edit: impl FnOnce(&mut Value)) -> CacheError {
        let dir = tempfile::tempdir().unwrap();
        let manifest = sample::write_cache(dir.path(), &sample::spec(ValueType::F16, 8));
        let mut json = serde_json::to_value(manifest).unwrap();
        edit(&mut json);
        std::fs::write(manifest_path(dir.path()), json.to_string()).unwrap();
        CacheReader::open(dir.path()).unwrap_err()
    }

    #[test]
    fn the_manifest_reads_back_equal() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = sample::write_cache(dir.path(), &sample::spec(ValueType::F16, 8));
        assert_eq!(*CacheReader::open(dir.path()).unwrap().manifest(), manifest);
        assert_eq!(manifest.num_segments, 6);
    }

    #[test]
    fn file_names_that_leave_the_directory_are_refused() {
        let tricks = [
            "../shard-00000.parquet",
            "/etc/passwd",
            "..",
            "",
            "sub/shard-00000.parquet",
            "..\\shard-00000.parquet",
            "C:\\shard-00000.parquet",
            "shard-00001.parquet",
            "./shard-00000.parquet",
            "shard-00000.parquet\0",
        ];
        for file in tricks {
            let error = open_edited(|json| json["shards"][0]["file"] = json!(file));
            assert!(
                matches!(error, CacheError::InvalidManifest { .. }),
                "{file:?}: {error}"
            );
            assert!(
                error
                    .to_string()
                    .contains("shards[0].file should be shard-00000.parquet")
            );
        }
    }

    #[test]
    fn another_format_version_is_refused_before_its_fields_are_read() {
        for version in [
            json!(1),
            json!(0),
            json!(-1),
            json!("2"),
            json!(1.5),
            json!(null),
        ] {
            let error = open_edited(|json| {
                json["format_version"] = version;
                json["a field of the future"] = json!(true);
            });
            assert!(
                matches!(error, CacheError::UnknownVersion { expected: 2, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        for path in ["", "/spec", "/spec/targets", "/shards/1"] {
            let error = open_edited(|json| json.pointer_mut(path).unwrap()["extra"] = json!(1));
            assert!(
                matches!(error, CacheError::ManifestJson { .. }),
                "{path}: {error}"
            );
        }
    }

    #[test]
    fn counts_that_contradict_each_other_are_refused() {
        for field in ["num_segments", "num_tokens", "num_targets"] {
            for wrong in [json!(0), json!(u64::MAX)] {
                let error = open_edited(|json| json[field] = wrong);
                assert!(
                    error.to_string().contains(&format!("{field} should be")),
                    "{error}"
                );
            }
        }
        let error = open_edited(|json| {
            // Sums that overflow 64 bits do not wrap around to the right total.
            json["shards"][0]["tokens"] = json!(u64::MAX);
            json["shards"][1]["tokens"] = json!(u64::MAX);
        });
        assert!(
            error
                .to_string()
                .contains("num_tokens should be 36893488147419103230"),
            "{error}"
        );
        let error = open_edited(|json| json["shards"][0]["segments"] = json!(5));
        assert!(
            error
                .to_string()
                .contains("shards[0].segments should be in 1..=4"),
            "{error}"
        );
        let error = open_edited(|json| json["shards"] = json!([]));
        assert!(
            error.to_string().contains("shards should be at least 1"),
            "{error}"
        );
    }

    #[test]
    fn counts_that_contradict_the_shard_are_found_when_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let manifest = sample::write_cache(dir.path(), &spec);
        type Change = fn(&mut ShardEntry);
        let changes: [(&str, Change); 3] = [
            ("segments", |shard| shard.segments += 1),
            ("tokens", |shard| shard.tokens += 1),
            ("targets", |shard| shard.targets += 1),
        ];
        for (what, change) in changes {
            let mut shards = manifest.shards.clone();
            change(&mut shards[1]);
            let edited = Manifest::of(spec.clone(), shards);
            std::fs::write(manifest_path(dir.path()), edited.to_json()).unwrap();
            let reader = CacheReader::open(dir.path()).unwrap();
            reader.read_shard(0).unwrap();
            let error = reader.read_shard(1).unwrap_err().to_string();
            assert!(error.contains("shard-00001.parquet holds"), "{error}");
            assert!(error.contains(what), "{error}");
            if what != "targets" {
                let error = reader.shard_lengths(1).unwrap_err();
                assert!(matches!(error, CacheError::CountMismatch { .. }), "{error}");
            }
        }
    }

    #[test]
    fn a_specification_outside_the_limits_is_refused() {
        type Edit = fn(&mut Value);
        let edits: [(&str, Edit); 12] = [
            ("teacher_fingerprint", |spec| {
                spec["teacher_fingerprint"] = json!("A1".repeat(32))
            }),
            ("tokenizer_fingerprint", |spec| {
                spec["tokenizer_fingerprint"] = json!("")
            }),
            ("vocab_size", |spec| spec["vocab_size"] = json!(u64::MAX)),
            ("targets.k", |spec| spec["targets"]["k"] = json!(0)),
            ("temperatures", |spec| spec["temperatures"] = json!([2.0])),
            ("temperatures", |spec| spec["temperatures"] = json!([])),
            ("temperatures", |spec| {
                spec["temperatures"] = json!([2.0, 1.0])
            }),
            ("temperatures", |spec| {
                spec["temperatures"] = json!([1.0, 2.0, 2.0])
            }),
            ("temperatures", |spec| {
                spec["temperatures"] = json!([1.0, 0.0])
            }),
            ("temperatures", |spec| {
                spec["temperatures"] = json!([1.0, -2.0])
            }),
            ("temperatures", |spec| {
                spec["temperatures"] = json!((1..=17).collect::<Vec<u8>>())
            }),
            ("segments_per_shard", |spec| {
                spec["segments_per_shard"] = json!(0)
            }),
        ];
        for (field, edit) in edits {
            let error = open_edited(|json| edit(&mut json["spec"]));
            assert!(
                error.to_string().contains(&format!("{field} should be")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_listed_file_must_exist_with_its_size() {
        let dir = tempfile::tempdir().unwrap();
        sample::write_cache(dir.path(), &sample::spec(ValueType::F16, 8));
        let shard = dir.path().join("shard-00001.parquet");
        let bytes = std::fs::read(&shard).unwrap();
        std::fs::write(&shard, &bytes[..bytes.len() - 1]).unwrap();
        let outcome = CacheReader::open(dir.path());
        assert!(
            matches!(outcome, Err(CacheError::ShardSize { .. })),
            "{outcome:?}"
        );
        std::fs::remove_file(&shard).unwrap();
        let outcome = CacheReader::open(dir.path());
        assert!(
            matches!(outcome, Err(CacheError::ShardAbsent { .. })),
            "{outcome:?}"
        );
        std::fs::create_dir(&shard).unwrap();
        let outcome = CacheReader::open(dir.path());
        assert!(
            matches!(outcome, Err(CacheError::ShardAbsent { .. })),
            "{outcome:?}"
        );
    }

    proptest! {
        #[test]
        fn a_truncated_manifest_is_an_error(cut in 0.0..1.0) {
            let spec = sample::spec(ValueType::F16, 8);
            let entry = ShardEntry {
                file: "shard-00000.parquet".into(),
                segments: 1, tokens: 2, targets: 1, bytes: 9, sha256: "0f".repeat(32),
            };
            let json = Manifest::of(spec, vec![entry]).to_json();
            let path = Path::new("manifest.json");
            prop_assert!(Manifest::parse(json.as_bytes(), path).is_ok());
            // The final newline is not part of the JSON.
            let cut = ((json.len() - 1) as f64 * cut) as usize;
            prop_assert!(Manifest::parse(&json.as_bytes()[..cut], path).is_err());
        }

        #[test]
        fn random_bytes_are_no_manifest(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Manifest::parse(&bytes, Path::new("manifest.json")).is_err());
        }
    }
}
