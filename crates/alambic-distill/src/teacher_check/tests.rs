//! Caches of a small decoder: fresh ones pass, and each kind of damage is found and named.

use std::path::Path;

use alambic_cache::{
    CacheReader, CacheSpec, CacheWriter, DrawMethod, DrawnTokens, HiddenTargets, Part, StateType,
    TargetKind, TargetRecord, Targets, TopKTargets, ValueType,
};
use alambic_text::{DocumentSource, Segment, StudentTokens, TeacherTokens};
use alambic_transformer::{Architecture, DecoderConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;

use super::*;
use crate::loss::{Head, LogProbs};
use crate::teacher::{DecoderTeacher, TeacherCapabilities};
use crate::test_device::test_device;
use crate::{CaptureConfig, StopHandle, capture, hidden_targets, seeding};

const VOCAB: usize = 40;
const NUM_SEGMENTS: u64 = 12;
const TOP_K: [TargetKind; 4] = [
    top_k(ValueType::F32),
    top_k(ValueType::F16),
    top_k(ValueType::Fine),
    top_k(ValueType::Coarse),
];
const DRAWN: TargetKind = TargetKind::Sampled {
    draws: 30,
    seed: 5,
    method: DrawMethod::Independent,
};
const BOTH: TargetKind = both(ValueType::Coarse);
const EVERYTHING: TeacherCheckConfig = TeacherCheckConfig {
    num_segments: 100,
    seed: 1,
    batch_segments: 4,
};

const fn both(values: ValueType) -> TargetKind {
    TargetKind::HeadPlusSampledTail {
        k: 8,
        values,
        draws: 30,
        seed: 5,
        method: DrawMethod::Systematic,
    }
}

const fn top_k(values: ValueType) -> TargetKind {
    TargetKind::TopK { k: 8, values }
}

/// A decoder, and what is added to its logits.
struct SmallTeacher {
    decoder: DecoderTeacher,
    fingerprint: String,
    offsets: Vec<f32>,
    /// Multiplies the head's logits.
    logit_scale: f64,
    gives_states: bool,
}

impl SmallTeacher {
    /// A random one; its distributions have 1 to 3 nats of entropy.
    fn new() -> Self {
        let device = test_device();
        let decoder = DecoderConfig {
            vocab_size: VOCAB,
            hidden_size: 16,
            intermediate_size: 24,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 8,
            max_position_embeddings: 32,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            tie_word_embeddings: false,
            initializer_range: 0.4,
            architecture: Architecture::default(),
        }
        .init(&device);
        let fingerprint = "ab".repeat(32);
        Self {
            decoder: DecoderTeacher::new(decoder, fingerprint.clone(), &device),
            fingerprint,
            offsets: vec![0.0; VOCAB],
            logit_scale: 1.0,
            gives_states: true,
        }
    }

    /// Moves every logit by up to 0.02 nats; the fingerprint stays.
    fn perturb(&mut self) {
        for (id, offset) in self.offsets.iter_mut().enumerate() {
            *offset = 0.02 * (id as f32).sin();
        }
    }
}

impl Teacher for SmallTeacher {
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn num_parameters(&self) -> usize {
        self.decoder.num_parameters()
    }

    fn vocab_size(&self) -> usize {
        VOCAB
    }

    fn max_sequence_tokens(&self) -> usize {
        self.decoder.max_sequence_tokens()
    }

    fn device(&self) -> &Device {
        self.decoder.device()
    }

    fn capabilities(&self) -> TeacherCapabilities {
        match self.gives_states {
            true => TeacherCapabilities::dense_and_hidden_states(),
            false => TeacherCapabilities::dense(),
        }
    }

    fn log_probs(&self, token_ids: Tensor<2, Int>) -> LogProbs {
        let offsets = TensorData::new(self.offsets.clone(), [1, 1, VOCAB]);
        let offsets = Tensor::<3>::from_data(offsets, self.device());
        LogProbs::from_logits(self.decoder.log_probs(token_ids).tensor().clone() + offsets)
    }

    fn hidden_states(&self, token_ids: Tensor<2, Int>) -> Option<Tensor<3>> {
        let states = self.decoder.hidden_states(token_ids)?;
        self.gives_states.then_some(states)
    }

    fn head(&self) -> Option<Head> {
        let head = self.decoder.head()?.with_logit_scale(self.logit_scale);
        self.gives_states.then(|| head.unwrap())
    }
}

/// A segment of 5 to 20 tokens; the teacher reads `prompt` before it.
fn segment(index: u64, prompt: &[u32]) -> Segment {
    let mut random = seeding::stream(3, &format!("segment {index}"));
    let num_tokens = random.random_range(5..20usize);
    let ids: Vec<u32> = (0..num_tokens)
        .map(|_| random.random_range(0..VOCAB as u32))
        .collect();
    let mask: Vec<bool> = (0..num_tokens).map(|token| token > 1).collect();
    let view = |prompt: &[u32]| {
        let ids = [prompt, &ids].concat();
        let mask = [vec![false; prompt.len()], mask.clone()].concat();
        (ids, mask)
    };
    let ((seen, scored), (ids, mask)) = (view(prompt), view(&[]));
    let source = DocumentSource {
        path: "sample.jsonl".into(),
        record: index,
    };
    Segment::try_new(
        TeacherTokens::try_new(seen, scored).unwrap(),
        StudentTokens::try_new(ids, mask).unwrap(),
        source,
    )
    .unwrap()
}

/// Captures the sample into `directory`; the teacher reads a prompt before some segments.
fn captured_with_prompts(
    teacher: &SmallTeacher,
    targets: TargetKind,
    directory: &Path,
    has_prompt: impl Fn(u64) -> bool,
) -> CacheReader {
    captured_at(teacher, (targets, &[1.0]), directory, has_prompt)
}

/// The same, with targets that answer for these temperatures.
fn captured_at(
    teacher: &SmallTeacher,
    (targets, temperatures): (TargetKind, &[f32]),
    directory: &Path,
    has_prompt: impl Fn(u64) -> bool,
) -> CacheReader {
    let config = CaptureConfig {
        targets,
        temperatures: temperatures.to_vec(),
        segments_per_shard: 5,
        batch_segments: 3,
        tokenizer_fingerprint: "cd".repeat(32),
        reuse: Vec::new(),
        part: Part::whole(),
    };
    let segments = (0..NUM_SEGMENTS).map(|index| {
        let prompt: &[u32] = if has_prompt(index) { &[7, 9] } else { &[] };
        Ok::<_, DistillError>(segment(index, prompt))
    });
    let stop = StopHandle::new();
    capture(teacher, segments, directory, &config, &stop, |_| {}).unwrap();
    CacheReader::open(directory).unwrap()
}

fn captured(teacher: &SmallTeacher, targets: TargetKind, directory: &Path) -> CacheReader {
    captured_with_prompts(teacher, targets, directory, |_| false)
}

/// The same cache after a change of its records, whole by every checksum.
fn altered(
    cache: &CacheReader,
    spec: CacheSpec,
    directory: &Path,
    mut change: impl FnMut(u64, &mut TargetRecord),
) -> CacheReader {
    let num_shards = cache.manifest().shards.len();
    let mut writer = CacheWriter::open(directory, spec).unwrap();
    if let Some(head) = cache.teacher_head().unwrap() {
        writer.put_teacher_head(&head).unwrap();
    }
    let mut index = 0;
    for shard in 0..num_shards {
        let mut records = cache.read_shard(shard).unwrap();
        for record in &mut records {
            change(index, record);
            index += 1;
        }
        writer.write_shard(shard, &records).unwrap();
    }
    writer.finish(num_shards).unwrap();
    alambic_cache::verify(directory).unwrap();
    CacheReader::open(directory).unwrap()
}

fn check(cache: CacheReader, teacher: &SmallTeacher) -> TeacherCheck {
    verify_against_teacher(cache, teacher, &EVERYTHING, |_| {}).unwrap()
}

fn top_k_of(record: &mut TargetRecord) -> &mut TopKTargets {
    match &mut record.targets {
        Targets::TopK(targets) => targets,
        other => panic!("{other:?}"),
    }
}

/// Multiplies the log-probabilities of some labels by 1.01; the tail takes what that leaves.
fn shift(targets: &mut TopKTargets, labels: std::ops::Range<usize>) {
    for label in labels {
        let row = &mut targets.log_probs[label * targets.k..(label + 1) * targets.k];
        row.iter_mut().for_each(|log_prob| *log_prob *= 1.01);
        let head: f32 = row.iter().map(|log_prob| log_prob.exp()).sum();
        targets.tail_mass[label] = (1.0 - head).max(0.0);
    }
}

/// Hidden states in every way to store them.
fn states(teacher: &SmallTeacher) -> [TargetKind; 5] {
    StateType::ALL.map(|values| hidden_targets(teacher, values).unwrap())
}

/// Gives every label the targets of the next one, and the last those of the first.
fn move_by_one(targets: &mut Targets) {
    match targets {
        Targets::TopK(targets) => move_head(targets),
        Targets::Sampled(targets) => {
            move_drawn(&mut targets.drawn);
            targets.entropy.rotate_left(1);
        }
        Targets::HeadPlusSampledTail(targets) => {
            move_head(&mut targets.head);
            move_drawn(&mut targets.tail);
        }
        Targets::Hidden(HiddenTargets { width, states }) => states.rotate_left(*width),
        other => panic!("{other:?}"),
    }
}

fn move_head(targets: &mut TopKTargets) {
    targets.token_ids.rotate_left(targets.k);
    targets.log_probs.rotate_left(targets.k);
    targets.tail_mass.rotate_left(1);
    targets.entropy.rotate_left(1);
    for tempered in &mut targets.tempered {
        tempered.tail_mass.rotate_left(1);
        tempered.entropy.rotate_left(1);
    }
}

fn move_drawn(drawn: &mut DrawnTokens) {
    let first = usize::from(drawn.num_distinct[0]);
    drawn.token_ids.rotate_left(first);
    drawn.counts.rotate_left(first);
    drawn.num_distinct.rotate_left(1);
}

#[test]
fn a_fresh_cache_passes_whatever_it_stores() {
    let teacher = SmallTeacher::new();
    for targets in TOP_K
        .into_iter()
        .chain([DRAWN, BOTH, both(ValueType::F16), both(ValueType::F32)])
        .chain(states(&teacher))
    {
        let directory = tempfile::tempdir().unwrap();
        let cache = captured(&teacher, targets, directory.path());
        let num_labels = cache.manifest().num_targets;
        let check = check(cache, &teacher);
        assert!(check.passed(), "{targets:?}: {check:#?}");
        assert_eq!(
            (check.num_compared, check.num_labels),
            (NUM_SEGMENTS, num_labels)
        );
        assert_eq!(
            (check.num_not_comparable, check.num_deviating_labels),
            (0, 0)
        );
    }
}

#[test]
fn tails_and_entropies_at_further_temperatures_are_compared() {
    let teacher = SmallTeacher::new();
    for targets in TOP_K {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fresh");
        let temperatures = &[1.0, 2.0, 0.5];
        captured_at(&teacher, (targets, temperatures), &path, |_| false);
        let fresh = check(CacheReader::open(&path).unwrap(), &teacher);
        assert!(fresh.passed(), "{targets:?}: {fresh:#?}");
        let keys = fresh.quantities.iter().map(|check| check.quantity.key());
        let keys: Vec<String> = keys.collect();
        let further = [
            "tail_mass_at_2",
            "entropy_at_2",
            "tail_mass_at_0.5",
            "entropy_at_0.5",
        ];
        assert_eq!(keys[keys.len() - 4..], further);

        // What is said at temperature 2 is another teacher's.
        let cache = CacheReader::open(&path).unwrap();
        let spec = cache.manifest().spec.clone();
        let altered = altered(
            &cache,
            spec,
            &directory.path().join("altered"),
            |_, record| {
                let tempered = &mut top_k_of(record).tempered[0];
                tempered.tail_mass.iter_mut().for_each(|mass| *mass *= 0.7);
            },
        );
        let moved = check(altered, &teacher);
        let deviations = moved.deviations.iter();
        let found: Vec<Quantity> = deviations.map(|deviation| deviation.quantity).collect();
        assert!(!moved.passed() && found.contains(&Quantity::TailMassAt(2.0)));
        assert!(!found.contains(&Quantity::TailMassAt(0.5)), "{found:?}");
        let json = serde_json::to_value(&moved).unwrap();
        assert_eq!(json["deviations"][0]["quantity"], "tail_mass_at_2");
    }
}

#[test]
fn what_is_not_rounded_differs_no_more_than_the_teacher_from_itself() {
    const F32_NOISE: f64 = 1e-4;
    let teacher = SmallTeacher::new();
    let directory = tempfile::tempdir().unwrap();
    let check = check(captured(&teacher, TOP_K[0], directory.path()), &teacher);
    for of_quantity in &check.quantities {
        assert_eq!(of_quantity.rounding, Spread::default());
        assert!(
            of_quantity.difference.largest < F32_NOISE,
            "{of_quantity:?}"
        );
        assert!(of_quantity.control.largest < F32_NOISE, "{of_quantity:?}");
    }
}

#[test]
fn log_probabilities_that_are_shifted_by_one_percent_are_found() {
    let teacher = SmallTeacher::new();
    for targets in TOP_K {
        let directory = tempfile::tempdir().unwrap();
        let cache = captured(&teacher, targets, &directory.path().join("fresh"));
        let spec = cache.manifest().spec.clone();
        let shifted = altered(
            &cache,
            spec,
            &directory.path().join("shifted"),
            |_, record| {
                let num_labels = record.num_targets();
                shift(top_k_of(record), 0..num_labels);
            },
        );
        let check = check(shifted, &teacher);
        let found = |deviation: &Deviation| {
            [Quantity::LogProbs, Quantity::Levels].contains(&deviation.quantity)
        };
        assert!(
            check.deviations.iter().any(found),
            "{targets:?}: {check:#?}"
        );
    }
}

#[test]
fn a_teacher_that_changed_slightly_under_its_name_is_found() {
    for targets in TOP_K.into_iter().chain([DRAWN, BOTH]) {
        let directory = tempfile::tempdir().unwrap();
        let mut teacher = SmallTeacher::new();
        let cache = captured(&teacher, targets, directory.path());
        teacher.perturb();
        let check = check(cache, &teacher);
        assert!(!check.passed(), "{targets:?}: {check:#?}");
    }
}

#[test]
fn targets_that_are_moved_by_one_label_are_found_and_their_segment_is_named() {
    const MOVED: u64 = 7;
    let teacher = SmallTeacher::new();
    for targets in TOP_K.into_iter().chain([DRAWN, BOTH]) {
        let directory = tempfile::tempdir().unwrap();
        let cache = captured(&teacher, targets, &directory.path().join("fresh"));
        let spec = cache.manifest().spec.clone();
        let mut key = String::new();
        let moved = altered(
            &cache,
            spec,
            &directory.path().join("moved"),
            |index, record| {
                if index == MOVED {
                    key = record.key.to_string();
                    move_by_one(&mut record.targets);
                }
            },
        );
        let check = check(moved, &teacher);
        assert!(!check.passed(), "{targets:?}");
        for deviation in &check.deviations {
            let of_label = deviation.measure == Measure::Label;
            assert!(of_label || check.num_deviating_labels > 0, "{deviation}");
            assert_eq!(
                (deviation.segment, &deviation.key),
                (MOVED, &key),
                "{deviation}"
            );
        }
    }
}

#[test]
fn a_single_shifted_label_is_named() {
    let teacher = SmallTeacher::new();
    let directory = tempfile::tempdir().unwrap();
    let cache = captured(&teacher, TOP_K[0], &directory.path().join("fresh"));
    let spec = cache.manifest().spec.clone();
    let shifted = altered(
        &cache,
        spec,
        &directory.path().join("shifted"),
        |index, record| {
            if index == 9 {
                shift(top_k_of(record), 2..3);
            }
        },
    );
    let check = check(shifted, &teacher);
    let first = &check.deviations[0];
    assert_eq!((first.segment, first.label, first.token), (9, 2, 4));
    assert_eq!(
        (first.quantity, first.measure),
        (Quantity::LogProbs, Measure::Label)
    );
    assert_eq!(check.num_deviating_labels, 1);
    let message = first.to_string();
    assert!(message.starts_with("segment 9 (key "), "{message}");
    assert!(
        message.contains("label 2 (token 4): log-probabilities off by"),
        "{message}"
    );
    let document = serde_json::to_value(&check).unwrap();
    assert_eq!(document["quantities"][0]["quantity"], "log_probs");
    assert_eq!(document["deviations"][0]["measure"], "label");
}

#[test]
fn draws_of_another_seed_are_found() {
    let teacher = SmallTeacher::new();
    let directory = tempfile::tempdir().unwrap();
    for (name, mut targets) in [("draws", DRAWN), ("both", BOTH)] {
        let directory = directory.path().join(name);
        let cache = captured(&teacher, targets, &directory.join("fresh"));
        let (TargetKind::Sampled { seed, .. } | TargetKind::HeadPlusSampledTail { seed, .. }) =
            &mut targets
        else {
            panic!("drawn tokens");
        };
        *seed = 6;
        let spec = CacheSpec {
            targets,
            ..cache.manifest().spec.clone()
        };
        let renamed = altered(&cache, spec, &directory.join("renamed"), |_, _| {});
        let check = check(renamed, &teacher);
        assert_eq!(check.deviations[0].quantity, Quantity::Draws);
    }
}

#[test]
fn segments_whose_teacher_read_a_prompt_are_counted_and_not_compared() {
    let teacher = SmallTeacher::new();
    let directory = tempfile::tempdir().unwrap();
    let some = captured_with_prompts(
        &teacher,
        TOP_K[0],
        &directory.path().join("some"),
        |index| index % 3 == 0,
    );
    let check = check(some, &teacher);
    assert!(check.passed(), "{check:#?}");
    assert_eq!(
        (
            check.num_sampled,
            check.num_compared,
            check.num_not_comparable
        ),
        (12, 8, 4)
    );

    let all = captured_with_prompts(&teacher, TOP_K[0], &directory.path().join("all"), |_| true);
    let error = verify_against_teacher(all, &teacher, &EVERYTHING, |_| {}).unwrap_err();
    assert!(
        matches!(error, DistillError::NotComparable { num_segments: 12 }),
        "{error}"
    );
}

#[test]
fn another_teacher_is_refused() {
    let mut teacher = SmallTeacher::new();
    let directory = tempfile::tempdir().unwrap();
    let cache = captured(&teacher, TOP_K[0], &directory.path().join("fresh"));
    let spec = CacheSpec {
        vocab_size: VOCAB + 1,
        ..cache.manifest().spec.clone()
    };
    let wider = altered(&cache, spec, &directory.path().join("wider"), |_, _| {});
    let refused = |cache, teacher: &SmallTeacher| {
        verify_against_teacher(cache, teacher, &EVERYTHING, |_| {}).unwrap_err()
    };
    let error = refused(wider, &teacher);
    let field = "vocabulary";
    assert!(
        matches!(error, DistillError::TeacherMismatch { field: found, .. } if found == field),
        "{error}"
    );
    teacher.fingerprint = "ef".repeat(32);
    let error = refused(cache, &teacher);
    let field = "fingerprint";
    assert!(
        matches!(error, DistillError::TeacherMismatch { field: found, .. } if found == field),
        "{error}"
    );
}

#[test]
fn the_sample_follows_from_the_seed_and_its_size() {
    let teacher = SmallTeacher::new();
    let directory = tempfile::tempdir().unwrap();
    captured(&teacher, TOP_K[1], directory.path());
    let check = |num_segments, batch_segments| {
        let config = TeacherCheckConfig {
            num_segments,
            batch_segments,
            ..EVERYTHING
        };
        let cache = CacheReader::open(directory.path()).unwrap();
        let mut steps = Vec::new();
        verify_against_teacher(cache, &teacher, &config, |done| steps.push(done))
            .map(|check| (check, steps))
    };
    let (five, steps) = check(5, 2).unwrap();
    assert_eq!((five.num_sampled, steps), (5, vec![2, 4, 5]));
    assert!(five.passed());
    // A sample of one is its own company.
    assert!(check(1, 2).unwrap().0.passed());
    for (num_segments, batch_segments, key) in [(0, 2, "num_segments"), (1, 1, "batch_segments")] {
        let error = check(num_segments, batch_segments).unwrap_err();
        assert!(
            matches!(error, DistillError::Setting { key: found, .. } if found == key),
            "{error}"
        );
    }
}

#[test]
fn a_teacher_that_gives_no_numbers_does_not_pass() {
    let directory = tempfile::tempdir().unwrap();
    let mut teacher = SmallTeacher::new();
    for targets in [TOP_K[0], TOP_K[3], DRAWN] {
        let directory = directory.path().join(format!("{targets:?}"));
        teacher.offsets = vec![0.0; VOCAB];
        let cache = captured(&teacher, targets, &directory);
        teacher.offsets = vec![f32::NAN; VOCAB];
        let check = check(cache, &teacher);
        assert_eq!(check.num_deviating_labels, check.num_labels, "{targets:?}");
    }
}

#[test]
fn hidden_states_that_moved_are_found_and_so_is_another_head() {
    let mut teacher = SmallTeacher::new();
    let directory = tempfile::tempdir().unwrap();
    for targets in states(&teacher) {
        let TargetKind::Hidden { values, .. } = targets else {
            panic!("hidden states");
        };
        let path = |name: &str| directory.path().join(format!("{name}-{values:?}"));
        let cache = captured(&teacher, targets, &path("fresh"));
        let spec = cache.manifest().spec.clone();
        let moved = altered(&cache, spec.clone(), &path("moved"), |_, record| {
            move_by_one(&mut record.targets);
        });
        let moved = check(moved, &teacher);
        assert!(!moved.passed(), "{values:?}");
        assert_eq!(moved.deviations[0].quantity, Quantity::States);

        // By a hundredth of the largest number, in all labels: less than the steps of int6.
        let slightly = altered(&cache, spec, &path("slightly"), |_, record| {
            let Targets::Hidden(HiddenTargets { states, .. }) = &mut record.targets else {
                panic!("hidden states");
            };
            let most = states
                .iter()
                .fold(0f32, |most, state| state.abs().max(most));
            states.iter_mut().for_each(|state| *state += 0.01 * most);
        });
        assert!(!check(slightly, &teacher).passed(), "{values:?}");

        teacher.logit_scale = 1.5;
        let error = verify_against_teacher(cache, &teacher, &EVERYTHING, |_| {}).unwrap_err();
        teacher.logit_scale = 1.0;
        assert!(
            matches!(error, DistillError::TeacherMismatch { field: "head", .. }),
            "{error}"
        );
    }
}

#[test]
fn a_teacher_without_hidden_states_is_refused() {
    let mut teacher = SmallTeacher::new();
    let directory = tempfile::tempdir().unwrap();
    let targets = states(&teacher)[2];
    let cache = captured(&teacher, targets, &directory.path().join("fresh"));
    teacher.gives_states = false;
    let config = CaptureConfig {
        targets,
        temperatures: vec![1.0],
        segments_per_shard: 5,
        batch_segments: 3,
        tokenizer_fingerprint: "cd".repeat(32),
        reuse: Vec::new(),
        part: Part::whole(),
    };
    let path = directory.path().join("refused");
    let segments = (0..3).map(|index| Ok::<_, DistillError>(segment(index, &[])));
    let stop = StopHandle::new();
    let outcomes = [
        hidden_targets(&teacher, StateType::Int8).map(drop),
        capture(&teacher, segments, &path, &config, &stop, |_| {}).map(drop),
        verify_against_teacher(cache, &teacher, &EVERYTHING, |_| {}).map(drop),
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err().to_string();
        assert!(
            error.contains("the teacher cannot give hidden states"),
            "{error}"
        );
    }
    assert!(!path.exists());
}
