//! Texts that start and end on their own, beside each other, and what a cache keeps of them.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use alambic_transformer::{
    Architecture, DecodeSession, Decoder, DecoderConfig, FinishReason, Generated, GenerationConfig,
    KvCache, LayerKind, Sampling, Slot, TransformerError, generate,
};
use golden::{int_tensor, max_difference, new_decoder};

/// Logits (of order 1) in a batch and alone may differ by sums taken in another order.
const BATCH_TOLERANCE: f32 = 2e-5;
const VOCAB: usize = 61;
const WINDOW: usize = 6;

/// Layers that see everything and layers that see a window, in turn, or all alike.
fn decoder(slides: &[bool]) -> Decoder {
    let kind = |&slides: &bool| LayerKind {
        slides,
        ..LayerKind::default()
    };
    let any = slides.contains(&true);
    let config = DecoderConfig {
        vocab_size: VOCAB,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        max_position_embeddings: 60,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: false,
        initializer_range: 0.3,
        architecture: Architecture {
            sliding_window: any.then_some(WINDOW),
            layer_kinds: match any {
                true => slides.iter().map(kind).collect(),
                false => Vec::new(),
            },
            ..Architecture::default()
        },
    };
    new_decoder(&config, 29, &golden::device())
}

fn decoders() -> [Decoder; 3] {
    [[false; 3], [true, false, true], [true; 3]].map(|slides| decoder(&slides))
}

/// A prompt of 1 to 14 tokens and settings of its own for each text.
fn text(index: usize) -> (Vec<u32>, GenerationConfig) {
    let tokens = 1 + (index * 5) % 14;
    let prompt = (0..tokens).map(|i| ((index * 31 + i * 17 + 3) % VOCAB) as u32);
    let sampling = match index % 3 {
        0 => Sampling::Greedy,
        _ => Sampling::Sample {
            temperature: 0.9,
            top_k: Some(20),
            top_p: None,
            min_p: None,
        },
    };
    let config = GenerationConfig {
        sampling,
        seed: index as u64,
        repetition_penalty: (index % 2 == 1).then_some(1.2),
        stop_tokens: vec![7],
        ..GenerationConfig::greedy(3 + (index * 7) % 23)
    };
    (prompt.collect(), config)
}

fn alone(decoder: &Decoder, index: usize) -> Generated {
    let (prompt, config) = text(index);
    generate(decoder, &prompt, &config, |_| ControlFlow::Continue(())).unwrap()
}

fn go_on(_: Slot, _: u32) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn texts_that_come_and_go_are_what_each_is_alone() {
    const TEXTS: usize = 14;
    for (number, decoder) in decoders().iter().enumerate() {
        let mut session = DecodeSession::new(decoder);
        let mut slots = BTreeMap::new();
        let mut found = BTreeMap::new();
        let mut streamed: BTreeMap<Slot, Vec<u32>> = BTreeMap::new();
        let (mut next, mut step) = (0, 0);
        while found.len() < TEXTS {
            // Two at first, and then one every few steps, whatever has ended.
            while next < TEXTS && (next < 2 || step >= 3 * (next - 1)) {
                let (prompt, config) = text(next);
                slots.insert(session.start(&prompt, &config).unwrap(), next);
                next += 1;
            }
            session
                .step(|slot, token| {
                    streamed.entry(slot).or_default().push(token);
                    ControlFlow::Continue(())
                })
                .unwrap();
            found.extend(session.take_finished());
            step += 1;
        }
        assert_eq!(session.num_running(), 0);
        for (slot, generated) in found {
            let expected = alone(decoder, slots[&slot]);
            assert_eq!(
                generated.token_ids, expected.token_ids,
                "decoder {number}, {slot:?}"
            );
            assert_eq!(generated.finish, expected.finish);
            let worst = max_difference(&generated.log_probs, &expected.log_probs);
            assert!(worst < BATCH_TOLERANCE, "{worst}");
            assert_eq!(
                streamed.remove(&slot).unwrap_or_default(),
                expected.token_ids
            );
        }
    }
}

#[test]
fn a_text_can_be_ended_before_and_after_it_was_begun() {
    let decoder = decoder(&[false; 3]);
    let mut session = DecodeSession::new(&decoder);
    let endless = GenerationConfig::greedy(40);
    let slots = [[1, 2], [3, 4], [5, 6]].map(|prompt| session.start(&prompt, &endless).unwrap());
    assert!(session.stop(slots[1]));
    session.step(go_on).unwrap();
    session
        .step(|slot, _| match slot == slots[2] {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
        .unwrap();
    assert_eq!(session.num_running(), 1);
    assert!(session.stop(slots[0]) && !session.stop(slots[0]));
    let finished = session.take_finished();
    let found: Vec<_> = finished
        .iter()
        .map(|(slot, generated)| (*slot, generated.token_ids.len(), generated.finish))
        .collect();
    let interrupted = FinishReason::Interrupted;
    assert_eq!(
        found,
        [
            (slots[1], 0, interrupted),
            (slots[2], 2, interrupted),
            (slots[0], 2, interrupted)
        ]
    );
    session.step(go_on).unwrap();
    assert!(session.take_finished().is_empty());
    // Nothing to write, and a prompt that is none.
    let empty = session.start(&[1], &GenerationConfig::greedy(0)).unwrap();
    let finished = session.take_finished();
    assert_eq!(
        (finished[0].0, finished[0].1.finish),
        (empty, FinishReason::MaxNewTokens)
    );
    let error = session.start(&[99], &endless).unwrap_err();
    assert!(
        matches!(error, TransformerError::TokenOutOfRange { prompt: 4, .. }),
        "{error}"
    );
}

#[test]
fn layers_that_see_a_window_keep_no_more_than_the_window() {
    let [all, some, none] = decoders();
    let device = golden::device();
    let held = |decoder: &Decoder, tokens: usize| {
        let mut cache = KvCache::new(decoder, 1);
        for token in 0..tokens {
            decoder.step(int_tensor(&[vec![token as u32]], &device), &mut cache);
        }
        assert_eq!(cache.num_tokens(), tokens);
        cache.num_values()
    };
    // Keys and values of two heads of eight.
    let of_columns = |columns: usize| 2 * 2 * 8 * columns;
    for tokens in [1, WINDOW - 1, WINDOW, 30] {
        let within = tokens.min(WINDOW - 1);
        assert_eq!(held(&all, tokens), of_columns(3 * tokens));
        assert_eq!(held(&some, tokens), of_columns(tokens + 2 * within));
        assert_eq!(held(&none, tokens), of_columns(3 * within));
    }
    // A prompt that is longer than the window is read as a whole all the same.
    let prompt: Vec<u32> = (0..30).collect();
    let mut cache = KvCache::new(&some, 1);
    let whole = some.step(
        int_tensor(std::slice::from_ref(&prompt), &device),
        &mut cache,
    );
    assert_eq!(cache.num_values(), of_columns(30 + 2 * (WINDOW - 1)));
    let mut cache = KvCache::new(&some, 1);
    let mut last = Vec::new();
    for part in prompt.chunks(7) {
        let logits = some.step(int_tensor(&[part.to_vec()], &device), &mut cache);
        last = logits
            .narrow(1, part.len() - 1, 1)
            .try_into_vec_as::<f32>()
            .unwrap();
    }
    let expected: Vec<f32> = whole.narrow(1, 29, 1).try_into_vec_as().unwrap();
    let worst = max_difference(&last, &expected);
    assert!(worst < BATCH_TOLERANCE, "{worst}");
}
