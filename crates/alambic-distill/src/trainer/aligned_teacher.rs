//! A teacher with a tokenizer of its own, which reads the text of the student's batches.

use alambic_text::Packer;
use alambic_transformer::{AttentionContext, Decoder};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::loss::{
    AlignedDocument, AlignedGroups, AlignedObjective, LogProbs, LossError, Objective,
    ObjectiveTerm, PlacedTokens,
};
use crate::teacher::{DecoderTeacher, Teacher};
use crate::teacher_head::decoder_head;
use crate::{DistillError, Retokenized, Retokenizer, TargetSequence, TextTokenizer, TokenizerPair};

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
    /// A teacher, for students of another tokenizer than its own.
    ///
    /// # Errors
    /// [`DistillError::Setting`] for a tokenizer of another size than the teacher's vocabulary.
    pub fn try_new(
        teacher: DecoderTeacher,
        retokenizer: Retokenizer,
    ) -> Result<Self, DistillError> {
        let tokens = retokenizer.tokenizers().teacher.tokenizer.vocab_size();
        if tokens != teacher.vocab_size() {
            return Err(DistillError::Setting {
                key: "teacher",
                found: format!(
                    "{} tokens, with a tokenizer of {tokens}",
                    teacher.vocab_size()
                ),
                expected: "the tokenizer that belongs to the teacher, which has no rows beyond it \
                           (Decoder::within_vocabulary)",
            });
        }
        Ok(Self {
            retokenizer,
            teacher,
        })
    }

    /// The losses between both vocabularies.
    ///
    /// # Errors
    /// Those of [`AlignedObjective::try_new`] and of [`Retokenizer::shared_vocabulary`].
    pub fn objective(
        &self,
        terms: &[ObjectiveTerm],
        device: &Device,
    ) -> Result<AlignedObjective, DistillError> {
        let vocabulary = || self.retokenizer.shared_vocabulary();
        AlignedObjective::try_new(terms, vocabulary, device)
    }

    /// How many tokens the text of a student's tokens has for the teacher.
    ///
    /// # Errors
    /// [`DistillError::SegmentTooLong`], with `place`, for more than it reads at once; the errors of
    /// [`Retokenizer::retokenize`].
    pub fn count_tokens(&self, student_ids: &[u32], place: &str) -> Result<usize, DistillError> {
        let again = self.retokenizer.retokenize(student_ids)?;
        check_length(&again, place, self.teacher.max_sequence_tokens())?;
        Ok(again.token_ids.len())
    }

    /// Names model and tokenizers, so that a checkpoint is not continued beside others.
    pub(super) fn identity(&self) -> String {
        let of = |side: &TextTokenizer| {
            let end = side.end_of_text.map(|id| id.to_string());
            format!(
                "{}/{}",
                side.tokenizer.fingerprint(),
                end.unwrap_or_default()
            )
        };
        let TokenizerPair { student, teacher } = self.retokenizer.tokenizers();
        let model = self.teacher.fingerprint();
        format!("{model} {} {}", of(teacher), of(student))
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
    let of_student = &aligned.retokenizer.tokenizers().student;
    let tokens = of_student.tokenizer.vocab_size();
    if vocab != tokens {
        return Err(DistillError::Setting {
            key: "student.vocab_size",
            found: format!("{vocab}, with a tokenizer of {tokens} tokens"),
            expected: "the vocabulary size of the student's tokenizer",
        });
    }
    let device = student.device();
    let objective = aligned.objective(terms, &device)?;
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
                let place = format!("segment {}", &key[..key.len().min(12)]);
                check_length(&again, &place, self.limit)?;
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
        // Texts of no token have no group, but a batch has a position.
        let teacher = [1, tokens.max(1), self.decoder.config().vocab_size];
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
        let Some(packed) = PackedTexts::of(&reading.texts) else {
            let vocab = self.decoder.config().vocab_size;
            return LogProbs::from_logits(Tensor::zeros([1, 1, vocab], &self.device));
        };
        let table = |values: Vec<i32>| {
            let data = TensorData::new(values, packed.shape);
            Tensor::<2, Int>::from_data(data, &self.device)
        };
        let context = AttentionContext::packed(table(packed.positions));
        let states = self.decoder.hidden(table(packed.ids), &context);
        let ([rows, seq, width], count) = (states.dims(), packed.places.len());
        let places = TensorData::new(packed.places, [count]);
        let places = Tensor::<1, Int>::from_data(places, &self.device);
        let states = states.reshape([rows * seq, width]).select(0, places);
        decoder_head(&self.decoder).logits(states).into_log_probs()
    }
}

/// Texts side by side in rows as long as the longest of them, each of which sees itself alone.
struct PackedTexts {
    /// Rows and tokens of a row.
    shape: [usize; 2],
    ids: Vec<i32>,
    /// From 0 in every text.
    positions: Vec<i32>,
    /// Where in the rows the tokens of the texts are, one after the other.
    places: Vec<i32>,
}

impl PackedTexts {
    /// `None` for texts without a token.
    fn of(texts: &[Vec<u32>]) -> Option<Self> {
        let (indices, lengths): (Vec<usize>, Vec<usize>) = texts
            .iter()
            .map(Vec::len)
            .enumerate()
            .filter(|(_, length)| *length > 0)
            .unzip();
        let packer = Packer {
            sequence_tokens: lengths.iter().copied().max()?,
            pad_id: 0,
        };
        let plan = packer
            .plan(&lengths)
            .expect("no text is longer than the longest");
        let shape = [plan.len(), packer.sequence_tokens];
        let mut packed = Self {
            shape,
            ids: vec![0; shape[0] * shape[1]],
            positions: vec![0; shape[0] * shape[1]],
            places: Vec::new(),
        };
        let mut starts = vec![0; texts.len()];
        for (row, texts_of_row) in plan.into_iter().enumerate() {
            let mut start = row * shape[1];
            for index in texts_of_row {
                starts[indices[index]] = start;
                start += lengths[index];
            }
        }
        for (text, start) in texts.iter().zip(starts) {
            for (position, &id) in text.iter().enumerate() {
                packed.ids[start + position] = id as i32;
                packed.positions[start + position] = position as i32;
                packed.places.push((start + position) as i32);
            }
        }
        Some(packed)
    }
}

/// Refuses a text of more tokens than a teacher reads at once.
fn check_length(again: &Retokenized, place: &str, limit: usize) -> Result<(), DistillError> {
    let found = again.token_ids.len();
    if found <= limit {
        return Ok(());
    }
    Err(DistillError::SegmentTooLong {
        source_name: format!("{place}, read with the teacher's own tokenizer"),
        model: "teacher",
        expected: limit,
        found,
    })
}
