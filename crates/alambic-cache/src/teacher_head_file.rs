//! The teacher's head as a file: safetensors, in one spelling.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::held_storage::HeldStorage;
use crate::layout::TEACHER_HEAD_FILE;
use crate::storage::Storage;
use crate::{CacheError, CacheSpec, HeadFingerprint, TargetKind, TeacherHead};

/// The header ends at a multiple of this, so that a reader can map the numbers.
const ALIGNMENT: usize = 8;
/// Bytes of the length before the header.
const LENGTH_BYTES: usize = 8;
/// No header is longer: two numbers, a shape and two offsets.
const MOST_HEADER_BYTES: usize = 1024;
/// How many numbers become bytes at a time.
const PIECE_NUMBERS: usize = 1 << 14;

/// The header of the file; its fields in this order, without spaces between them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: Metadata,
    weight: Tensor,
}

/// Safetensors has text here and no numbers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    logit_scale: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logit_softcap: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    dtype: String,
    shape: [usize; 2],
    data_offsets: [usize; 2],
}

/// Length and header, filled up with spaces.
fn prefix(head: &TeacherHead) -> Vec<u8> {
    let header = Header {
        metadata: Metadata {
            logit_scale: head.logit_scale().to_string(),
            logit_softcap: head.logit_softcap().map(|cap| cap.to_string()),
        },
        weight: Tensor {
            dtype: "F32".into(),
            shape: [head.vocab_size(), head.width()],
            data_offsets: [0, size_of_val(head.weight())],
        },
    };
    let mut json = serde_json::to_vec(&header).expect("a struct of numbers and strings is JSON");
    json.resize(json.len().next_multiple_of(ALIGNMENT), b' ');
    [&(json.len() as u64).to_le_bytes()[..], &json].concat()
}

/// Visits the bytes of the head's file in order.
pub(crate) fn for_each_piece<E>(
    head: &TeacherHead,
    mut visit: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    visit(&prefix(head))?;
    let mut bytes = Vec::new();
    head.weight().chunks(PIECE_NUMBERS).try_for_each(|numbers| {
        bytes.clear();
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        visit(&bytes)
    })
}

/// Puts the head of a cache if it is absent; one that is there must be the same.
pub(crate) fn put(
    held: &HeldStorage,
    spec: &CacheSpec,
    head: &TeacherHead,
) -> Result<(), CacheError> {
    let storage = held.storage();
    let Some((expected, _)) = expected(spec) else {
        return Err(CacheError::InvalidSpec {
            field: "targets",
            expected: "hidden states, to which a head belongs".into(),
            found: format!("{:?}", spec.targets),
        });
    };
    if head.fingerprint() != expected {
        return Err(CacheError::InvalidTeacherHead {
            field: "fingerprint",
            expected: format!(
                "{expected}, as in the specification of {}",
                storage.root().display()
            ),
            found: head.fingerprint().to_string(),
        });
    }
    let outcome = held.put_if_absent(TEACHER_HEAD_FILE, |sink| {
        for_each_piece(head, |piece| sink.write_all(piece))
            .map_err(storage.refused(TEACHER_HEAD_FILE, "write"))
    });
    match outcome {
        // An earlier capture put it, or another writer at the same time.
        Err(CacheError::AlreadyExists { .. }) => read(storage, spec).map(drop),
        outcome => outcome,
    }
}

/// The head of a cache, its bytes compared with the specification; `None` for targets
/// that need none.
pub(crate) fn read(storage: &Storage, spec: &CacheSpec) -> Result<Option<TeacherHead>, CacheError> {
    let Some((expected, width)) = expected(spec) else {
        return Ok(None);
    };
    let path = storage.path_of(TEACHER_HEAD_FILE);
    size(storage, spec)?; // before anything is read
    let bytes = storage
        .read(TEACHER_HEAD_FILE)?
        .ok_or_else(|| CacheError::TeacherHeadAbsent { path: path.clone() })?;
    let found = HeadFingerprint::from_bytes(Sha256::digest(&bytes).into());
    expect_fingerprint(expected, found, &path)?;
    parse(&bytes, [spec.vocab_size, width], &path).map(Some)
}

/// Bytes of the head's file, 0 for targets that need none; refuses one that is absent or of a size
/// that no such head has.
pub(crate) fn size(storage: &Storage, spec: &CacheSpec) -> Result<u64, CacheError> {
    let Some((_, width)) = expected(spec) else {
        return Ok(0);
    };
    let path = || storage.path_of(TEACHER_HEAD_FILE);
    let sizes = storage.sizes([TEACHER_HEAD_FILE].into_iter())?;
    let Some(found) = sizes.first().copied().flatten() else {
        return Err(CacheError::TeacherHeadAbsent { path: path() });
    };
    let weight = (spec.vocab_size as u128) * (width as u128) * size_of::<f32>() as u128;
    let most = weight + (LENGTH_BYTES + MOST_HEADER_BYTES) as u128;
    if !(weight..=most).contains(&u128::from(found)) {
        return Err(CacheError::TeacherHeadFile {
            path: path(),
            field: "size".into(),
            expected: format!("{weight} to {most} bytes"),
            found: found.to_string(),
        });
    }
    Ok(found)
}

/// The fingerprint and the width of the head that the targets need.
fn expected(spec: &CacheSpec) -> Option<(HeadFingerprint, usize)> {
    match spec.targets {
        TargetKind::Hidden { width, head, .. } => Some((head, width)),
        _ => None,
    }
}

fn expect_fingerprint(
    expected: HeadFingerprint,
    found: HeadFingerprint,
    path: &Path,
) -> Result<(), CacheError> {
    if expected == found {
        return Ok(());
    }
    Err(CacheError::TeacherHeadMismatch {
        path: path.to_owned(),
        expected,
        found,
    })
}

/// The head of these bytes, which may be hostile even where their SHA-256 is the expected one.
fn parse(bytes: &[u8], shape: [usize; 2], path: &Path) -> Result<TeacherHead, CacheError> {
    let refuse = |field: &str, expected: String, found: String| CacheError::TeacherHeadFile {
        path: path.to_owned(),
        field: field.into(),
        expected,
        found,
    };
    let (header, weight) = split(bytes).ok_or_else(|| {
        let expected = format!("a length and at most {MOST_HEADER_BYTES} bytes");
        refuse("header", expected, format!("{} bytes in all", bytes.len()))
    })?;
    let Header {
        metadata,
        weight: tensor,
    } = serde_json::from_slice(header)
        .map_err(|error| refuse("header", "that of a head".into(), error.to_string()))?;
    if tensor.shape != shape {
        let [expected, found] = [shape, tensor.shape].map(|shape| format!("{shape:?}"));
        return Err(refuse("shape", expected, found));
    }
    let number = |field: &str, text: &str| {
        let number = text.parse::<f64>();
        number.map_err(|_| refuse(field, "a number".into(), format!("{text:?}")))
    };
    let (numbers, _) = weight.as_chunks();
    let numbers = numbers.iter().map(|&number| f32::from_le_bytes(number));
    let mut head = TeacherHead::try_new(numbers.collect(), shape[0], shape[1])?
        .with_logit_scale(number("logit_scale", &metadata.logit_scale)?)?;
    if let Some(cap) = &metadata.logit_softcap {
        head = head.with_logit_softcap(number("logit_softcap", cap)?)?;
    }
    // Offsets, type, spelling and whatever else there is: equal heads have equal bytes.
    let expected = prefix(&head);
    if bytes.len() != expected.len() + size_of_val(head.weight()) || !bytes.starts_with(&expected) {
        let found = String::from_utf8_lossy(header).into_owned();
        let expected = String::from_utf8_lossy(&expected[LENGTH_BYTES..]).into_owned();
        return Err(refuse("header", expected, found));
    }
    Ok(head)
}

/// The header and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let length = Some(length).filter(|&length| length <= MOST_HEADER_BYTES)?;
    rest.split_at_checked(length)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;
    use safetensors::SafeTensors;

    use std::fs;

    use super::*;
    use crate::write_once_dir::Hold;
    use crate::{CacheReader, CacheWriter, Finished, StateType, ValueType, sample, seal};

    fn bytes_of(head: &TeacherHead) -> Vec<u8> {
        let mut bytes = Vec::new();
        for_each_piece(head, |piece| {
            bytes.extend_from_slice(piece);
            Ok::<_, std::convert::Infallible>(())
        })
        .unwrap();
        bytes
    }

    /// A head whose weight is more than one piece.
    fn large() -> TeacherHead {
        let weight = (0..3 * PIECE_NUMBERS).map(|i| i as f32 / 7.0).collect();
        TeacherHead::try_new(weight, 3, PIECE_NUMBERS).unwrap()
    }

    fn parsed(bytes: &[u8], head: &TeacherHead) -> Result<TeacherHead, CacheError> {
        parse(bytes, [head.vocab_size(), head.width()], Path::new("head"))
    }

    #[test]
    fn a_head_comes_back_and_any_reader_of_safetensors_reads_it() {
        let scaled = sample::head().with_logit_scale(0.0625).unwrap();
        for head in [sample::head(), scaled, large()] {
            let bytes = bytes_of(&head);
            assert_eq!(parsed(&bytes, &head).unwrap(), head);
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let weight = file.tensor("weight").unwrap();
            assert_eq!(weight.shape(), [head.vocab_size(), head.width()]);
            assert_eq!(weight.dtype(), safetensors::Dtype::F32);
            let numbers = head.weight().iter().flat_map(|number| number.to_le_bytes());
            assert_eq!(weight.data(), numbers.collect::<Vec<u8>>());
            let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
            let metadata = metadata.metadata().clone().unwrap();
            assert_eq!(metadata["logit_scale"], head.logit_scale().to_string());
        }
    }

    #[test]
    fn a_head_of_another_shape_length_or_spelling_is_refused() {
        let head = sample::head();
        let bytes = bytes_of(&head);
        let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        let header = str::from_utf8(&bytes[8..8 + length]).unwrap();
        let with_header = |header: &str| {
            let length = (header.len() as u64).to_le_bytes();
            [
                &length[..],
                header.as_bytes(),
                &bytes[8 + length_of(&bytes)..],
            ]
            .concat()
        };
        let refused = |bytes: &[u8]| parsed(bytes, &head).unwrap_err().to_string();
        assert_eq!(with_header(header), bytes);
        for (from, to, field) in [
            ("[50,70]", "[70,50]", "shape"),
            ("F32", "F16", "header"),
            (" ", "", "header"),
            ("\"30\"", "\"30.0\"", "header"),
            ("\"30\"", "\"-1\"", "logit_softcap"),
            ("\"30\"", "\"NaN\"", "logit_softcap"),
            ("\"30\"", "\"\"", "logit_softcap"),
            ("[0,14000]", "[0,13996]", "header"),
            ("weight", "heft", "header"),
            ("{", "[", "header"),
        ] {
            let changed = header.replace(from, to);
            assert_ne!(changed, header);
            let message = refused(&with_header(&changed));
            assert!(message.contains(&format!("{field} should be")), "{message}");
        }
        refused(&bytes[..bytes.len() - 1]);
        refused(&bytes[..7]);
        refused(&[]);
        refused(&[&bytes[..], &[0]].concat());
        refused(&[&u64::MAX.to_le_bytes()[..], &bytes[8..]].concat());
    }

    fn length_of(bytes: &[u8]) -> usize {
        u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn damaged_bytes_are_an_error_or_a_head_of_these_bytes(
            flips in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
            in_header: bool,
        ) {
            let head = sample::head();
            let mut bytes = bytes_of(&head);
            let end = if in_header { 8 + length_of(&bytes) } else { bytes.len() };
            for (position, value) in flips {
                bytes[position.index(end)] = value;
            }
            if let Ok(read) = parsed(&bytes, &head) {
                prop_assert_eq!(bytes_of(&read), bytes);
            }
        }
    }

    #[test]
    fn every_writer_puts_the_same_head_and_another_one_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let spec = sample::hidden_spec(StateType::Int4);
        let storage = Storage::open(temporary.path()).unwrap();
        let hold = |label: &str| storage.hold(Hold::Beside(label.into())).unwrap();
        let (first, second) = (hold("a"), hold("b"));
        put(&first, &spec, &sample::head()).unwrap();
        put(&second, &spec, &sample::head()).unwrap();
        assert_eq!(read(&storage, &spec).unwrap(), Some(sample::head()));

        let other = sample::head().with_logit_scale(2.0).unwrap();
        let outcome = put(&second, &spec, &other);
        assert!(
            matches!(
                outcome,
                Err(CacheError::InvalidTeacherHead {
                    field: "fingerprint",
                    ..
                })
            ),
            "{outcome:?}"
        );
        let mut bytes = bytes_of(&sample::head());
        bytes[400] ^= 1;
        fs::write(storage.path_of(TEACHER_HEAD_FILE), bytes).unwrap();
        let outcome = put(&first, &spec, &sample::head());
        assert!(
            matches!(outcome, Err(CacheError::TeacherHeadMismatch { .. })),
            "{outcome:?}"
        );
        let outcome = put(&first, &sample::spec(ValueType::F16, 8), &sample::head());
        assert!(
            matches!(
                outcome,
                Err(CacheError::InvalidSpec {
                    field: "targets",
                    ..
                })
            ),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_capture_with_another_head_is_not_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::hidden_spec(StateType::Int8);
        let mut writer = CacheWriter::open(dir.path(), spec.clone()).unwrap();
        writer
            .write_shard(0, &sample::records(&spec, 0, 3))
            .unwrap();
        drop(writer);
        let TargetKind::Hidden { width, values, .. } = spec.targets else {
            panic!("hidden states");
        };
        let head = HeadFingerprint::from_bytes([7; 32]);
        let targets = TargetKind::Hidden {
            width,
            values,
            head,
        };
        let outcome = CacheWriter::open(dir.path(), CacheSpec { targets, ..spec });
        assert!(
            matches!(
                outcome,
                Err(CacheError::SpecMismatch {
                    field: "targets",
                    ..
                })
            ),
            "{outcome:?}"
        );
    }

    #[test]
    fn hidden_states_are_not_sealed_or_opened_without_their_head() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::hidden_spec(StateType::Int8);
        let write = |part: &str| {
            let part = part.parse().unwrap();
            let mut writer = CacheWriter::open_part(dir.path(), spec.clone(), part).unwrap();
            let index = if part == "0/2".parse().unwrap() { 0 } else { 1 };
            if !dir
                .path()
                .join(crate::layout::shard_file_name(index))
                .exists()
            {
                let records = sample::records(&spec, 10 * index as u64, 3);
                writer.write_shard(index, &records).unwrap();
            }
            writer
        };
        let Finished::Waiting(_) = write("0/2").finish_part(2).unwrap() else {
            panic!("the other part is missing");
        };
        let is_absent = |outcome: Result<(), CacheError>| {
            assert!(
                matches!(outcome, Err(CacheError::TeacherHeadAbsent { .. })),
                "{outcome:?}"
            );
        };
        is_absent(write("1/2").finish_part(2).map(drop));
        is_absent(seal(dir.path()).map(drop));
        sample::put_head(&write("1/2"));
        seal(dir.path()).unwrap();

        let head = dir.path().join(TEACHER_HEAD_FILE);
        let bytes = fs::read(&head).unwrap();
        fs::remove_file(&head).unwrap();
        is_absent(CacheReader::open(dir.path()).map(drop));
        for wrong in [&bytes[..100], &[&bytes[..], &[0; 2000]].concat()] {
            fs::write(&head, wrong).unwrap();
            let outcome = CacheReader::open(dir.path());
            assert!(
                matches!(&outcome, Err(CacheError::TeacherHeadFile { field, .. }) if field == "size"),
                "{outcome:?}"
            );
        }
    }
}
