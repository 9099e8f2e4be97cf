//! A teacher with a tokenizer of its own, which reads the text of the student's batches.

use alambic_transformer::{AttentionContext, Decoder};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::loss::{
    AlignedDocument, AlignedGroups, AlignedObjective, LogProbs, LossError, Objective, PlacedTokens,
    SharedVocabulary,
};
use crate::teacher::{DecoderTeacher, Teacher};
use crate::teacher_head::decoder_head;
use crate::{DistillError, Retokenized, Retokenizer, TargetSequence, TextTokenizer};

/// A teacher of another vocabulary, for the objective's [aligned terms](Objective::aligned_terms).
///
/// It answers while the student trains. Every segment of the student is [read again](Retokenizer) with the
/// teacher's tokenizer, as a text of its own.
#[derive(Clone, Debug)]
pub struct AlignedTeacher {
    teacher: DecoderTeacher,
    retokenizer: Retokenizer,
}

impl AlignedTeacher {
    /// A teacher with its tokenizer, for students of another one.
    ///
    /// # Errors
    /// [`DistillError::Setting`] for a tokenizer of another size than the teacher's vocabulary, and the errors
    /// of [`Retokenizer::try_new`].
    pub fn try_new(
        teacher: DecoderTeacher,
        of_teacher: TextTokenizer,
        of_student: TextTokenizer,
    ) -> Result<Self, DistillError> {
        let tokens = of_teacher.tokenizer.vocab_size();
        if tokens != teacher.vocab_size() {
            return Err(DistillError::Setting {
                key: "teacher",
                found: format!(
                    "{} tokens, with a tokenizer of {tokens}",
                    teacher.vocab_size()
                ),
                expected: "the tokenizer that belongs to the teacher",
            });
        }
        Ok(Self {
            retokenizer: Retokenizer::try_new(of_student, of_teacher)?,
            teacher,
        })
    }

    /// The tokens that both vocabularies have.
    ///
    /// # Errors
    /// Those of [`Retokenizer::shared_vocabulary`].
    pub fn shared_vocabulary(&self) -> Result<SharedVocabulary, DistillError> {
        self.retokenizer.shared_vocabulary()
    }

    /// Names model and tokenizers, so that a checkpoint is not continued beside others.
    pub(super) fn identity(&self) -> String {
        let of = |side: &TextTokenizer| side.tokenizer.fingerprint().to_owned();
        let (student, teacher) = (self.retokenizer.student(), self.retokenizer.teacher());
        [
            self.teacher.fingerprint().to_owned(),
            of(teacher),
            of(student),
        ]
        .join(" ")
    }
}

/// The losses between vocabularies of an objective with the teacher that they read, checked against the
/// student; `None` for an objective without any.
///
/// # Errors
/// [`DistillError::Setting`] for aligned terms without a teacher and for a student of another vocabulary than
/// that of the tokenizer; the errors of [`AlignedObjective::try_new`].
pub(super) fn aligned_objective(
    objective: &Objective,
    student: &Decoder,
    teacher: Option<&AlignedTeacher>,
) -> Result<Option<(AlignedObjective, AlignedReader)>, DistillError> {
    let terms = objective.aligned_terms();
    if terms.is_empty() {
        return Ok(None);
    }
    let Some(aligned) = teacher else {
        return Err(DistillError::Setting {
            key: "objective",
            found: format!("{}, without a teacher", terms[0].kind.name()),
            expected: "a live teacher with both tokenizers (Trainer::with_aligned_teacher): no cache keeps \
                       distributions over another vocabulary",
        });
    };
    let vocab = student.config().vocab_size;
    let tokens = aligned.retokenizer.student().tokenizer.vocab_size();
    if vocab != tokens {
        return Err(DistillError::Setting {
            key: "student.vocab_size",
            found: format!("{vocab}, with a tokenizer of {tokens} tokens"),
            expected: "the vocabulary size of the student's tokenizer",
        });
    }
    let device = student.device();
    let needs_shared = terms
        .iter()
        .any(|term| term.kind == crate::loss::LossKind::HybridLogit);
    let shared = needs_shared
        .then(|| aligned.shared_vocabulary())
        .transpose()?;
    let shared = || Ok(shared.expect("asked for by the same kinds"));
    let objective = AlignedObjective::try_new(terms, shared, &device)?;
    let reader = AlignedReader {
        decoder: aligned.teacher.decoder().clone().to_device(&device),
        limit: aligned.teacher.max_sequence_tokens(),
        retokenizer: aligned.retokenizer.clone(),
        student_vocab: vocab,
        device,
    };
    Ok(Some((objective, reader)))
}

/// The teacher on the student's device, reading batch after batch.
#[derive(Clone, Debug)]
pub(crate) struct AlignedReader {
    decoder: Decoder,
    /// Tokens that it can read at once.
    limit: usize,
    retokenizer: Retokenizer,
    student_vocab: usize,
    /// Without autodiff.
    device: Device,
}

/// A part of a window as the teacher reads it.
#[derive(Clone, Debug)]
pub(crate) struct AlignedReading {
    /// The teacher's tokens of every segment.
    texts: Vec<Vec<u32>>,
    /// Over the student's positions `[1, batch * seq]` and those of `texts` one after the other, `[1, tokens]`.
    groups: AlignedGroups,
}

impl AlignedReading {
    /// How many groups of tokens are compared.
    pub(crate) fn num_groups(&self) -> u64 {
        self.groups.mask().num_tokens()
    }

    pub(crate) fn groups(&self) -> &AlignedGroups {
        &self.groups
    }
}

impl AlignedReader {
    /// Reads the segments of some sequences of one length with the teacher's tokenizer.
    ///
    /// # Errors
    /// [`DistillError::SegmentTooLong`] for a segment of more tokens than the teacher reads, and those of
    /// [`Retokenizer::retokenize`].
    pub(crate) fn read(
        &self,
        sequences: &[TargetSequence],
    ) -> Result<AlignedReading, DistillError> {
        let mut segments = Vec::new();
        for (row, sequence) in sequences.iter().enumerate() {
            let packed = &sequence.packed;
            let first = row * packed.token_ids.len();
            for (placed, key) in packed.segments.iter().zip(&sequence.segment_keys) {
                let tokens = placed.start..placed.start + placed.tokens;
                let token_ids = &packed.token_ids[tokens.clone()];
                let again = self.retokenizer.retokenize(token_ids)?;
                self.check_length(&again, key)?;
                // A label's flag stands at the position before it.
                let of_later = packed.label_mask[tokens].iter().take(placed.tokens - 1);
                let loss_mask: Vec<bool> =
                    std::iter::once(false).chain(of_later.copied()).collect();
                segments.push((first + placed.start, token_ids, loss_mask, again));
            }
        }
        let mut tokens = 0;
        let documents = segments.iter().map(|(start, token_ids, loss_mask, again)| {
            let place = tokens;
            tokens += again.token_ids.len();
            AlignedDocument {
                alignment: &again.alignment,
                student: PlacedTokens {
                    row: 0,
                    start: *start,
                    token_ids,
                },
                teacher: PlacedTokens {
                    row: 0,
                    start: place,
                    token_ids: &again.token_ids,
                },
                loss_mask,
            }
        });
        let documents: Vec<_> = documents.collect();
        let positions = sequences
            .iter()
            .map(|sequence| sequence.packed.token_ids.len())
            .sum();
        let student = [1, positions, self.student_vocab];
        let teacher = [1, tokens, self.decoder.config().vocab_size];
        let groups = AlignedGroups::try_new(&documents, student, teacher, &self.device)
            .map_err(LossError::from)?;
        let texts = segments.into_iter().map(|(.., again)| again.token_ids);
        Ok(AlignedReading {
            texts: texts.collect(),
            groups,
        })
    }

    /// What the teacher says of the next token at every token of the texts, `[1, tokens, vocab]`.
    pub(crate) fn log_probs(&self, reading: &AlignedReading) -> LogProbs {
        let texts = &reading.texts;
        let longest = texts.iter().map(Vec::len).max().unwrap_or_default();
        let (mut ids, mut rows) = (vec![0; texts.len() * longest], Vec::new());
        for (index, text) in texts.iter().enumerate() {
            for (token, &id) in text.iter().enumerate() {
                let place = index * longest + token;
                ids[place] = id as i32;
                rows.push(place as i32);
            }
        }
        let shape = [texts.len(), longest];
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, shape), &self.device);
        let count = rows.len();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &self.device);
        // No token sees the padding behind it.
        let context = AttentionContext::causal(texts.len(), longest, &self.device);
        let states = self.decoder.hidden(ids, &context);
        let [.., width] = states.dims();
        let states = states
            .reshape([texts.len() * longest, width])
            .select(0, rows);
        decoder_head(&self.decoder).logits(states).into_log_probs()
    }

    fn check_length(&self, again: &Retokenized, key: &str) -> Result<(), DistillError> {
        let found = again.token_ids.len();
        if found <= self.limit {
            return Ok(());
        }
        Err(DistillError::SegmentTooLong {
            source_name: format!("segment {}", &key[..key.len().min(12)]),
            model: "teacher, with its own tokenizer,",
            expected: self.limit,
            found,
        })
    }
}
