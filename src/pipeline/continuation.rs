//! Text continued by a model directory.

use std::ops::ControlFlow;
use std::path::Path;

use alambic_distill::teacher::Teacher;
use alambic_text::{SpecialTokens, SpecialTokensInText};
use alambic_transformer::{FinishReason, GenerationConfig, Sampling, generate};
use burn::tensor::Device;

use super::{LanguageModel, PipelineError};

/// How a text is continued.
#[derive(Clone, Debug, PartialEq)]
pub struct ContinuationOptions {
    /// Most tokens to add.
    pub max_new_tokens: usize,
    /// How each token is chosen.
    pub sampling: Sampling,
    /// Makes tokens that stand in the text already less likely.
    pub repetition_penalty: Option<f64>,
    /// Decides the random numbers.
    pub seed: u64,
    /// Texts that end the continuation; they are not part of it. None may be empty.
    pub stop_texts: Vec<String>,
}

/// A continued text.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// What the model added.
    pub text: String,
    /// How many tokens that is.
    pub num_tokens: usize,
    /// Why it ended; [`FinishReason::Interrupted`] at one of the stop texts.
    pub finish: FinishReason,
}

/// A text that grows, and of which no more is shown than surely stands before a stop text.
struct HeldText<'a> {
    text: String,
    shown: usize,
    stops: &'a [String],
}

impl<'a> HeldText<'a> {
    fn new(stops: &'a [String]) -> Self {
        Self {
            text: String::new(),
            shown: 0,
            stops,
        }
    }

    /// Appends a piece and shows what is sure; whether a stop text has ended the text.
    fn push(&mut self, piece: &str, on_text: &mut impl FnMut(&str)) -> bool {
        self.text += piece;
        let unseen = &self.text[self.shown..];
        let first = self
            .stops
            .iter()
            .filter_map(|stop| unseen.find(stop.as_str()));
        if let Some(end) = first.min() {
            self.text.truncate(self.shown + end);
            self.show(self.text.len(), on_text);
            return true;
        }
        // What begins a stop text is held back until it is known how it goes on.
        let begun = |at: &usize| {
            self.stops
                .iter()
                .any(|stop| stop.starts_with(&self.text[*at..]))
        };
        let places = self.text[self.shown..].char_indices();
        let places = places.map(|(place, _)| self.shown + place);
        let sure = places.into_iter().find(begun).unwrap_or(self.text.len());
        self.show(sure, on_text);
        false
    }

    fn show(&mut self, end: usize, on_text: &mut impl FnMut(&str)) {
        if end > self.shown {
            on_text(&self.text[self.shown..end]);
            self.shown = end;
        }
    }

    /// Shows what was held back.
    fn finish(mut self, on_text: &mut impl FnMut(&str)) -> String {
        self.show(self.text.len(), on_text);
        self.text
    }
}

/// Continues `prompt` with the model of `directory`, handing over text as it comes.
///
/// # Errors
/// Those of loading the directory; a prompt longer than the model's context.
pub fn continue_text(
    directory: &Path,
    device: &Device,
    prompt: &str,
    options: &ContinuationOptions,
    mut on_text: impl FnMut(&str),
) -> Result<Continuation, PipelineError> {
    if options.stop_texts.iter().any(String::is_empty) {
        return Err(PipelineError::Input {
            what: "the stop texts".into(),
            expected: "texts of at least one character".into(),
            found: "an empty one".into(),
            advice: "leave it out".into(),
        });
    }
    let model = LanguageModel::load(directory, device)?;
    let ids = model.tokenizer.encode(prompt, SpecialTokens::Add)?.ids;
    if ids.is_empty() {
        return Err(PipelineError::Input {
            what: "the prompt".into(),
            expected: "at least one token".into(),
            found: "none".into(),
            advice: "give a text to continue: this model has no beginning token".into(),
        });
    }
    if ids.len() >= model.teacher.max_sequence_tokens() {
        return Err(PipelineError::Input {
            what: "the prompt".into(),
            expected: format!(
                "fewer than {} tokens, the model's context",
                model.teacher.max_sequence_tokens()
            ),
            found: format!("{} tokens", ids.len()),
            advice: "give a shorter text".into(),
        });
    }
    let config = GenerationConfig {
        max_new_tokens: options.max_new_tokens,
        sampling: options.sampling,
        repetition_penalty: options.repetition_penalty,
        stop_tokens: model.eos_token_ids.clone(),
        seed: options.seed,
    };
    let mut stream = model.tokenizer.decode_stream(SpecialTokensInText::Skip);
    let mut text = HeldText::new(&options.stop_texts);
    let mut failure = None;
    let generated = generate(model.teacher.decoder(), &ids, &config, |id| {
        match stream.push(id) {
            Ok(piece) => match text.push(&piece.unwrap_or_default(), &mut on_text) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            },
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failure {
        return Err(error.into());
    }
    let rest = stream
        .finish()?
        .filter(|_| generated.finish != FinishReason::Interrupted);
    let is_stopped = text.push(&rest.unwrap_or_default(), &mut on_text);
    Ok(Continuation {
        text: text.finish(&mut on_text),
        num_tokens: generated.token_ids.len(),
        finish: match is_stopped {
            true => FinishReason::Interrupted,
            false => generated.finish,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces that are shown, and the whole text.
    fn shown(pieces: &[&str], stops: &[&str]) -> (Vec<String>, String) {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut seen = Vec::new();
        let mut on_text = |piece: &str| seen.push(piece.to_owned());
        let mut text = HeldText::new(&stops);
        let _ended = pieces.iter().any(|piece| text.push(piece, &mut on_text));
        let text = text.finish(&mut on_text);
        (seen, text)
    }

    #[test]
    fn a_stop_text_over_several_pieces_ends_the_text_and_is_never_seen() {
        let (seen, text) = shown(&["one\n", "\nQ", "uestion", ": two"], &["\n\nQuestion:"]);
        assert_eq!((seen.concat().as_str(), text.as_str()), ("one", "one"));
        assert_eq!(seen[0], "one");
    }

    #[test]
    fn what_only_began_like_a_stop_text_is_shown_in_the_end() {
        let (seen, text) = shown(&["a\n", "\n", "b\n"], &["\n\nQuestion:"]);
        assert_eq!(
            (seen.concat().as_str(), text.as_str()),
            ("a\n\nb\n", "a\n\nb\n")
        );
    }

    #[test]
    fn the_first_of_several_stop_texts_ends_and_letters_stay_whole() {
        let (_, text) = shown(&["é", "èxyé", "z"], &["y", "x"]);
        assert_eq!(text, "éè");
        let (seen, text) = shown(&["ééé"], &["éa"]);
        assert_eq!(
            (seen.as_slice(), text.as_str()),
            (&["éé".to_owned(), "é".to_owned()][..], "ééé")
        );
        let (seen, _) = shown(&["ab", "c"], &[]);
        assert_eq!(seen, ["ab", "c"]);
    }
}
