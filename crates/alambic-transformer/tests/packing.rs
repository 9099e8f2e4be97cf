//! Packed sequences, and the reproducibility of new weights.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;

use alambic_transformer::{Architecture, AttentionContext, Decoder, DecoderConfig, KvCache};
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use golden::{int_tensor, max_difference, new_decoder};

/// Logits (of order 1) of packed and separate documents may differ by the order of sums.
const PACKING_TOLERANCE: f32 = 2e-5;

fn config() -> DecoderConfig {
    DecoderConfig {
        vocab_size: 50,
        hidden_size: 24,
        intermediate_size: 40,
        num_hidden_layers: 2,
        num_attention_heads: 6,
        num_key_value_heads: 2,
        head_dim: 4,
        max_position_embeddings: 32,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        initializer_range: 0.3,
        architecture: Architecture::default(),
    }
}

fn decoder(seed: u64) -> Decoder {
    new_decoder(&config(), seed, &golden::device())
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

fn causal(decoder: &Decoder, tokens: &[u32]) -> Vec<f32> {
    let device = golden::device();
    let context = AttentionContext::causal(1, tokens.len(), &device);
    floats(decoder.forward(int_tensor(&[tokens.to_vec()], &device), &context))
}

/// Two rows: documents of 5 and 3 tokens and 2 of padding; one document of 10.
fn packed_batch() -> (Tensor<2, Int>, AttentionContext, Vec<Vec<u32>>) {
    let device = golden::device();
    let rows = vec![vec![3, 1, 4, 1, 5, 9, 2, 6, 0, 0], (20..30).collect()];
    let positions = [vec![0, 1, 2, 3, 4, 0, 1, 2, 0, 1], (0..10).collect()];
    let context = AttentionContext::packed(int_tensor(&positions, &device));
    (int_tensor(&rows, &device), context, rows)
}

#[test]
fn packed_documents_do_not_see_each_other() {
    let decoder = decoder(1);
    let (token_ids, context, rows) = packed_batch();
    let packed = floats(decoder.forward(token_ids, &context));
    let row = |index: usize, columns: std::ops::Range<usize>| {
        packed[(index * 10 + columns.start) * 50..(index * 10 + columns.end) * 50].to_vec()
    };
    for (found, tokens) in [
        (row(0, 0..5), &rows[0][0..5]),
        (row(0, 5..8), &rows[0][5..8]),
        (row(1, 0..10), &rows[1][..]),
    ] {
        let worst = max_difference(&found, &causal(&decoder, tokens));
        assert!(worst < PACKING_TOLERANCE, "the logits differ by {worst}");
    }
    assert!(
        packed.iter().all(|logit| logit.is_finite()),
        "padding stays finite"
    );
}

#[test]
fn a_token_does_not_see_what_follows() {
    let decoder = decoder(2);
    let long = causal(&decoder, &[8, 7, 6, 5, 4]);
    let other = causal(&decoder, &[8, 7, 6, 49, 48]);
    assert!(max_difference(&long[..150], &other[..150]) < PACKING_TOLERANCE);
    assert!(max_difference(&long[150..], &other[150..]) > PACKING_TOLERANCE);
}

#[test]
fn one_context_serves_a_plain_teacher_and_a_student_that_trains() {
    let teacher = decoder(3);
    let student = decoder(3).train();
    let (token_ids, context, _) = packed_batch();
    let learned = student.forward(token_ids.clone().autodiff(), &context);
    let taught = teacher.forward(token_ids.autodiff(), &context);
    assert!(!taught.is_autodiff(), "a plain decoder needs no gradients");
    let gradients = learned.clone().square().mean().backward();
    let worst = max_difference(&floats(taught), &floats(learned));
    assert!(worst < PACKING_TOLERANCE, "the logits differ by {worst}");
    struct AllHaveGradients<'a>(&'a burn::tensor::Gradients, usize);
    impl burn::module::ModuleVisitor for AllHaveGradients<'_> {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            assert!(param.val().grad(self.0).is_some());
            self.1 += param.val().shape().num_elements();
        }
    }
    let mut visitor = AllHaveGradients(&gradients, 0);
    student.visit(&mut visitor);
    assert_eq!(visitor.1, config().num_parameters());
}

#[test]
fn the_seed_decides_every_new_weight() {
    let weights = |seed| causal(&decoder(seed), &[1, 2, 3]);
    assert_eq!(weights(5), weights(5));
    assert_ne!(weights(5), weights(6));
    let training = new_decoder(&config(), 5, &golden::device().autodiff()).valid();
    assert_eq!(causal(&training, &[1, 2, 3]), weights(5));
}

#[test]
fn the_parts_of_a_decoder_make_the_whole() {
    let decoder = decoder(8);
    let (token_ids, context, _) = packed_batch();
    let hidden = decoder.hidden(token_ids.clone(), &context);
    assert_eq!(hidden.dims(), [2, 10, 24]);
    assert_eq!(decoder.embed(token_ids.clone()).dims(), [2, 10, 24]);
    assert_eq!(decoder.head_weight().dims(), [24, 50]);
    assert_eq!(decoder.num_params(), config().num_parameters());
    let logits = decoder.lm_head(hidden);
    assert_eq!(floats(logits), floats(decoder.forward(token_ids, &context)));
}

#[test]
#[should_panic(expected = "the attention context must be made for the batch's shape")]
fn a_context_of_another_shape_is_a_mistake() {
    let device = golden::device();
    let context = AttentionContext::causal(1, 4, &device);
    decoder(1).hidden(int_tensor(&[vec![1, 2, 3]], &device), &context);
}

#[test]
#[should_panic(expected = "the cache has room for 32 tokens, 33 are needed")]
fn a_full_cache_takes_no_more() {
    let device = golden::device();
    let decoder = decoder(1);
    let mut cache = KvCache::new(&decoder, 1);
    decoder.step(int_tensor(&[vec![1; 33]], &device), &mut cache);
}
