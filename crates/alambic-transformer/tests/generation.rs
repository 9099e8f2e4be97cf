//! Generation: recorded texts, the KV cache, batches, and how a generation ends.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;

use std::ops::ControlFlow;

use alambic_transformer::{
    Architecture, AttentionContext, Decoder, DecoderConfig, FinishReason, Generated,
    GenerationConfig, KvCache, RopeScaling, Sampling, TransformerError, continuation_log_probs,
    continuation_log_probs_batch, generate, generate_batch, load_checkpoint,
};
use burn::tensor::{Device, Tensor};
use golden::{
    Case, family_cases, int_tensor, max_difference, new_decoder, shared, shared_checkpoint,
};

/// Logits (of order 1) with and without a cache may differ by sums taken in another order.
const CACHE_TOLERANCE: f32 = 2e-5;

/// A decoder whose random weights are large enough that its choices vary.
fn random_decoder() -> Decoder {
    let config = DecoderConfig {
        vocab_size: 61,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        max_position_embeddings: 40,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: false,
        initializer_range: 0.3,
        architecture: Architecture::default(),
    };
    new_decoder(&config, 29, &golden::device())
}

fn generate_all(decoder: &Decoder, prompt: &[u32], config: &GenerationConfig) -> Vec<u32> {
    generate(decoder, prompt, config, |_| ControlFlow::Continue(()))
        .unwrap()
        .token_ids
}

fn sampled(seed: u64) -> GenerationConfig {
    GenerationConfig {
        sampling: Sampling::Sample {
            temperature: 0.9,
            top_k: Some(20),
            top_p: Some(0.95),
            min_p: Some(0.001),
        },
        repetition_penalty: Some(1.1),
        stop_tokens: vec![7],
        seed,
        ..GenerationConfig::greedy(25)
    }
}

/// Prompts of 1 to 12 tokens, in no order.
fn prompts(count: usize) -> Vec<Vec<u32>> {
    (0..count)
        .map(|row| {
            let len = 1 + (row * 7) % 12;
            (0..len)
                .map(|i| ((row * 31 + i * 17 + 3) % 61) as u32)
                .collect()
        })
        .collect()
}

#[test]
fn the_small_teacher_tells_the_recorded_story() {
    let Some(checkpoint) = shared_checkpoint("data/stories260K/hf") else {
        return;
    };
    let golden = std::fs::read(shared("data/stories260K/golden/greedy.json").unwrap()).unwrap();
    let golden: serde_json::Value = serde_json::from_slice(&golden).unwrap();
    let expected: Vec<u32> = serde_json::from_value(golden["greedy_ids"].clone()).unwrap();
    let config = GenerationConfig::greedy(expected.len() - 1);
    let found = generate_all(&checkpoint.decoder, &expected[..1], &config);
    assert_eq!(found, expected[1..]);
    assert_eq!(checkpoint.bos_token_id, Some(1));
    assert_eq!(checkpoint.eos_token_ids, [2]);
}

#[test]
fn every_family_goes_on_as_recorded() {
    for Case {
        name,
        dir,
        recording,
    } in family_cases()
    {
        let decoder = load_checkpoint(&dir, &golden::device()).unwrap().decoder;
        let prompt = &recording.tokens("greedy.prompt")[0];
        let output = &recording.tokens("greedy.output")[0];
        let recorded = &output[prompt.len()..];
        // A software GPU takes a second for a few tokens.
        let most = match golden::device() == Device::flex() {
            true => recorded.len(),
            false => 6,
        };
        let config = GenerationConfig::greedy(most);
        let found = generate_all(&decoder, prompt, &config);
        assert_eq!(found, recorded[..most], "{name}");
    }
}

#[test]
fn what_is_generated_beyond_the_original_length_is_what_whole_passes_choose() {
    let cases = family_cases().into_iter();
    for Case {
        name,
        dir,
        recording,
    } in cases.filter(|case| case.name.starts_with("phi3-"))
    {
        let decoder = load_checkpoint(&dir, &golden::device()).unwrap().decoder;
        let original = match decoder.config().architecture.rope_scaling {
            RopeScaling::LongRope {
                original_max_position_embeddings,
                ..
            } => original_max_position_embeddings,
            _ => panic!("{name}"),
        };
        // Of two rows in one batch, one crosses the original length and the other does not.
        let ids = recording.tokens("long.input_ids").remove(0);
        let prompts = [ids[..original.min(30) - 3].to_vec(), ids[..4].to_vec()];
        let more = original - prompts[0].len() + 4;
        let config = GenerationConfig::greedy(more);
        let found = generate_batch(&decoder, &prompts, &config).unwrap();
        for (prompt, found) in prompts.into_iter().zip(found) {
            let mut whole = prompt;
            for &chosen in &found.token_ids {
                let device = golden::device();
                let context = AttentionContext::causal(1, whole.len(), &device);
                let logits = decoder.forward(int_tensor(&[whole.clone()], &device), &context);
                let [_, _, vocab] = logits.dims();
                let last: Vec<f32> = logits
                    .narrow(1, whole.len() - 1, 1)
                    .try_into_vec_as()
                    .unwrap();
                let best = (0..vocab)
                    .max_by(|&x, &y| last[x].total_cmp(&last[y]))
                    .unwrap();
                assert_eq!(chosen as usize, best, "{name} at {}", whole.len());
                whole.push(chosen);
            }
        }
    }
}

#[test]
fn what_was_generated_is_as_probable_as_the_same_text_that_is_given() {
    let decoder = random_decoder();
    for sampling in [
        Sampling::Greedy,
        Sampling::Sample {
            temperature: 1.7,
            top_k: Some(30),
            top_p: None,
            min_p: Some(0.01),
        },
    ] {
        let config = GenerationConfig {
            sampling,
            repetition_penalty: Some(1.3),
            seed: 3,
            ..GenerationConfig::greedy(12)
        };
        let prompts = [vec![1, 5, 9], vec![7]];
        let generated = generate_batch(&decoder, &prompts, &config).unwrap();
        for (prompt, generated) in prompts.iter().zip(generated) {
            let given = continuation_log_probs(&decoder, prompt, &generated.token_ids).unwrap();
            assert_eq!(given.len(), 12);
            let worst = max_difference(&given, &generated.log_probs);
            assert!(worst < CACHE_TOLERANCE, "{worst}");
        }
    }
    // Texts of all lengths beside each other.
    let texts: Vec<(Vec<u32>, Vec<u32>)> = (0..40)
        .map(|index| {
            let ids =
                |count: usize, from: usize| (0..count).map(move |at| (from + 7 * at) as u32 % 61);
            let prompt = ids(1 + index % 9, index).collect();
            (prompt, ids(index * 5 % 14, index + 3).collect())
        })
        .collect();
    let pairs: Vec<(&[u32], &[u32])> = texts.iter().map(|(p, c)| (&p[..], &c[..])).collect();
    let together = continuation_log_probs_batch(&decoder, &pairs).unwrap();
    for ((prompt, continuation), found) in pairs.iter().zip(&together) {
        let alone = continuation_log_probs(&decoder, prompt, continuation).unwrap();
        assert!(max_difference(found, &alone) < CACHE_TOLERANCE);
    }
    let bad: [(&[u32], &[u32]); 2] = [(&[1], &[2]), (&[1], &[61])];
    let error = continuation_log_probs_batch(&decoder, &bad).unwrap_err();
    assert!(matches!(
        error,
        TransformerError::TokenOutOfRange { prompt: 1, .. }
    ));
    // A distribution over all that may follow.
    let vocab = decoder.config().vocab_size as u32;
    let probability =
        |token| continuation_log_probs(&decoder, &[1, 5, 9], &[token]).unwrap()[0].exp();
    let total: f32 = (0..vocab).map(probability).sum();
    assert!((total - 1.0).abs() < 1e-5, "{total}");
    let of_nothing = continuation_log_probs(&decoder, &[1], &[]).unwrap();
    assert!(of_nothing.is_empty());
    let error = continuation_log_probs(&decoder, &[], &[1]).unwrap_err();
    assert!(matches!(error, TransformerError::EmptyPrompt { .. }));
    let error = continuation_log_probs(&decoder, &[1], &[2, vocab]).unwrap_err();
    assert!(matches!(
        error,
        TransformerError::TokenOutOfRange { position: 2, .. }
    ));
}

#[test]
fn steps_with_a_cache_equal_one_forward_pass() {
    let decoder = random_decoder();
    let device = golden::device();
    let rows: Vec<Vec<u32>> = vec![(0..20).collect(), (20..40).collect()];
    let context = AttentionContext::causal(2, 20, &device);
    let whole = decoder.forward(int_tensor(&rows, &device), &context);
    let mut cache = KvCache::new(&decoder, 2);
    let mut parts = Vec::new();
    for (start, end) in [(0, 7), (7, 8), (8, 9), (9, 14), (14, 20)] {
        let part: Vec<Vec<u32>> = rows.iter().map(|row| row[start..end].to_vec()).collect();
        parts.push(decoder.step(int_tensor(&part, &device), &mut cache));
    }
    assert_eq!(cache.num_tokens(), 20);
    let parts: Vec<f32> = Tensor::cat(parts, 1).try_into_vec_as().unwrap();
    let worst = max_difference(&parts, &whole.try_into_vec_as::<f32>().unwrap());
    assert!(worst < CACHE_TOLERANCE, "the logits differ by {worst}");
}

#[test]
fn generation_with_a_cache_equals_repeated_forward_passes() {
    let decoder = random_decoder();
    let device = golden::device();
    let mut tokens = vec![5, 11, 2];
    let generated = generate_all(&decoder, &tokens, &GenerationConfig::greedy(15));
    for expected in generated {
        let context = AttentionContext::causal(1, tokens.len(), &device);
        let logits = decoder.forward(int_tensor(&[tokens.clone()], &device), &context);
        let logits: Vec<f32> = logits.try_into_vec_as().unwrap();
        let last = &logits[(tokens.len() - 1) * 61..];
        let best = (0..61)
            .max_by(|&a, &b| last[a].total_cmp(&last[b]).then(b.cmp(&a)))
            .unwrap();
        assert_eq!(best as u32, expected);
        tokens.push(expected);
    }
}

#[test]
fn a_batch_gives_what_each_prompt_gives_alone() {
    let decoder = random_decoder();
    let prompts = prompts(23);
    for config in [GenerationConfig::greedy(20), sampled(3)] {
        let together = generate_batch(&decoder, &prompts, &config).unwrap();
        for (prompt, found) in prompts.iter().zip(together) {
            let alone = generate(&decoder, prompt, &config, |_| ControlFlow::Continue(())).unwrap();
            let chosen = |generated: &Generated| (generated.token_ids.clone(), generated.finish);
            assert_eq!(chosen(&found), chosen(&alone), "for the prompt {prompt:?}");
            let worst = max_difference(&found.log_probs, &alone.log_probs);
            assert!(worst < CACHE_TOLERANCE, "{worst}");
        }
    }
}

#[test]
fn a_batch_of_stories_equals_the_single_ones() {
    let Some(checkpoint) = shared_checkpoint("data/stories260K/hf") else {
        return;
    };
    let prompts: Vec<Vec<u32>> = prompts(12)
        .into_iter()
        .map(|tail| {
            std::iter::once(1)
                .chain(tail.iter().map(|id| id + 260))
                .collect()
        })
        .collect();
    let config = GenerationConfig {
        stop_tokens: vec![1, 2],
        ..GenerationConfig::greedy(40)
    };
    let together = generate_batch(&checkpoint.decoder, &prompts, &config).unwrap();
    for (prompt, found) in prompts.iter().zip(together) {
        assert_eq!(
            found.token_ids,
            generate_all(&checkpoint.decoder, prompt, &config)
        );
    }
}

#[test]
fn the_seed_decides_the_draws() {
    let decoder = random_decoder();
    let texts: Vec<_> = (0..6)
        .map(|seed| generate_all(&decoder, &[4], &sampled(seed)))
        .collect();
    assert_eq!(texts[2], generate_all(&decoder, &[4], &sampled(2)));
    assert!(texts.iter().any(|text| *text != texts[0]));
}

#[test]
fn a_stop_token_ends_the_text_and_is_not_part_of_it() {
    let decoder = random_decoder();
    let free = generate_all(&decoder, &[9, 1], &GenerationConfig::greedy(10));
    let stop = free[4];
    let first = free.iter().position(|&token| token == stop).unwrap();
    let unused = (0..).find(|token| !free.contains(token)).unwrap();
    let config = GenerationConfig {
        stop_tokens: vec![unused, stop],
        ..GenerationConfig::greedy(10)
    };
    let ended = generate(&decoder, &[9, 1], &config, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(ended.token_ids, free[..first]);
    assert_eq!(ended.finish, FinishReason::Stop(stop));
}

#[test]
fn the_callback_can_end_the_generation() {
    let decoder = random_decoder();
    let mut seen = 0;
    let ended = generate(&decoder, &[9], &GenerationConfig::greedy(10), |_| {
        seen += 1;
        if seen == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    assert_eq!(ended.token_ids.len(), 3);
    assert_eq!(ended.finish, FinishReason::Interrupted);
}

#[test]
fn a_generation_ends_where_the_positions_end() {
    let decoder = random_decoder();
    let prompts = [vec![1; 38], vec![2; 40], vec![3; 3]];
    let ended = generate_batch(&decoder, &prompts, &GenerationConfig::greedy(100)).unwrap();
    for (found, new_tokens) in ended.iter().zip([2, 0, 37]) {
        assert_eq!(found.token_ids.len(), new_tokens);
        assert_eq!(found.finish, FinishReason::ContextFull);
    }
    let none = generate_batch(&decoder, &[vec![1]], &GenerationConfig::greedy(0)).unwrap();
    assert!(none[0].token_ids.is_empty());
    assert_eq!(none[0].finish, FinishReason::MaxNewTokens);
    assert!(
        generate_batch(&decoder, &[], &GenerationConfig::greedy(1))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_decoder_that_trains_generates_the_same() {
    use burn::module::Module;
    let decoder = random_decoder();
    let config = GenerationConfig::greedy(10);
    let expected = generate_all(&decoder, &[9, 8], &config);
    assert_eq!(generate_all(&decoder.train(), &[9, 8], &config), expected);
}

#[test]
fn bad_prompts_are_refused_by_index() {
    let decoder = random_decoder();
    let refuse = |prompt: Vec<u32>| {
        let prompts = [vec![1], prompt];
        generate_batch(&decoder, &prompts, &GenerationConfig::greedy(1)).unwrap_err()
    };
    assert!(matches!(
        refuse(vec![]),
        TransformerError::EmptyPrompt { prompt: 1 }
    ));
    assert!(matches!(
        refuse(vec![1; 41]),
        TransformerError::PromptTooLong {
            prompt: 1,
            found: 41,
            limit: 40
        }
    ));
    assert!(matches!(
        refuse(vec![3, 61]),
        TransformerError::TokenOutOfRange {
            prompt: 1,
            position: 1,
            token: 61,
            vocab_size: 61
        }
    ));
}

#[test]
fn bad_settings_are_listed_at_once() {
    let config = GenerationConfig {
        sampling: Sampling::Sample {
            temperature: 0.0,
            top_k: Some(0),
            top_p: Some(1.5),
            min_p: Some(-0.5),
        },
        repetition_penalty: Some(f64::NAN),
        stop_tokens: vec![2, 900],
        ..GenerationConfig::greedy(1)
    };
    let decoder = random_decoder();
    let error = generate_batch(&decoder, &[vec![1]], &config)
        .unwrap_err()
        .to_string();
    for part in [
        "temperature is 0",
        "top_k is 0",
        "top_p is 1.5",
        "min_p is -0.5",
        "penalty is NaN",
        "token 900",
    ] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}
