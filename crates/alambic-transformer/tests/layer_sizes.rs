//! Layers of unlike sizes: computed, cached, trained, written and read.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;

use golden::{family_cases, int_tensor, max_difference, new_decoder};

use alambic_transformer::{
    AttentionContext, Decoder, DecoderConfig, KvCache, LayerSizes, LoraConfig, Projection,
    SaveOptions, WeightType, load_adapter, load_checkpoint, save_adapter, save_checkpoint,
};
use burn::tensor::Tensor;

fn rows() -> Vec<Vec<u32>> {
    vec![vec![3, 1, 4, 1, 5, 9], vec![2, 7, 1, 8, 2, 8]]
}

fn logits(decoder: &Decoder) -> Vec<f32> {
    let device = golden::device();
    let context = AttentionContext::causal(2, 6, &device);
    let logits = decoder.forward(int_tensor(&rows(), &device), &context);
    logits.try_into_vec_as().unwrap()
}

fn configs() -> Vec<(String, DecoderConfig)> {
    let device = golden::device();
    let cases = family_cases().into_iter().map(|case| {
        let checkpoint = load_checkpoint(&case.dir, &device).unwrap();
        (
            case.name,
            golden::halved_layers(checkpoint.decoder.config()),
        )
    });
    cases.collect()
}

#[test]
fn every_family_computes_writes_and_reads_layers_of_unlike_sizes() {
    let device = golden::device();
    let dir = tempfile::tempdir().unwrap();
    let options = SaveOptions {
        dtype: WeightType::F32,
        bos_token_id: None,
        eos_token_ids: vec![],
        pad_token_id: None,
        max_shard_bytes: None,
    };
    for (name, config) in configs() {
        config.validate().unwrap();
        let decoder = new_decoder(&config, 7, &device);
        let whole = logits(&decoder);
        let written = dir.path().join(&name);
        save_checkpoint(&decoder, &written, &options).unwrap();
        let read = load_checkpoint(&written, &device).unwrap().decoder;
        assert_eq!(read.config(), &config, "{name}");
        assert_eq!(logits(&read), whole, "{name}");

        let mut cache = KvCache::new(&decoder, 2);
        let steps = (0..6).map(|index| {
            let column: Vec<Vec<u32>> = rows().iter().map(|row| vec![row[index]]).collect();
            decoder.step(int_tensor(&column, &device), &mut cache)
        });
        let stepped: Vec<f32> = Tensor::cat(steps.collect(), 1).try_into_vec_as().unwrap();
        let worst = max_difference(&stepped, &whole);
        assert!(worst < golden::LOGIT_TOLERANCE, "{name}: {worst}");
    }
}

/// What is zero in a wide layer and what is not there in a narrow one adds the same.
#[test]
fn a_narrow_layer_computes_what_a_wide_one_with_zeros_does() {
    let device = golden::device();
    let wide = DecoderConfig {
        vocab_size: 20,
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 4,
        max_position_embeddings: 32,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: false,
        initializer_range: 0.3,
        architecture: Default::default(),
    };
    let decoder = new_decoder(&wide, 3, &device);
    let mut narrow = wide.clone();
    let whole = wide.layer_sizes(0);
    let half = LayerSizes {
        intermediate_size: 10,
        num_attention_heads: 2,
        num_key_value_heads: 1,
    };
    narrow.architecture.layer_sizes = vec![whole, half];
    let excerpt = decoder.excerpt(&narrow, &[1, 2]).unwrap();
    let parameters = |config: &DecoderConfig| config.num_parameters();
    let (hidden, dim) = (16, 4);
    let fewer = 2 * (2 * dim * hidden) + 2 * (dim * hidden) + 3 * 14 * hidden;
    assert_eq!(parameters(&wide) - parameters(&narrow), fewer);

    // The columns behind the first of what leaves attention and the feed-forward layer are zero.
    let zeroed = golden::with_weights(decoder, |name, values: Tensor<2>| {
        let kept = match name {
            "layers.1.self_attn.o_proj.weight" => 2 * dim,
            "layers.1.mlp.down_proj.weight" => 10,
            _ => return values,
        };
        let [inputs, outputs] = values.dims();
        let zeros = Tensor::zeros([inputs - kept, outputs], &values.device());
        Tensor::cat(vec![values.narrow(0, 0, kept), zeros], 0)
    });
    let worst = max_difference(&logits(&excerpt), &logits(&zeroed));
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn adapters_of_layers_of_unlike_sizes_are_written_and_read() {
    let device = golden::device();
    let dir = tempfile::tempdir().unwrap();
    let lora = LoraConfig {
        rank: 3,
        alpha: 6.0,
        projections: vec![Projection::Key, Projection::Down],
        base: None,
    };
    let (_, config) = configs().swap_remove(0);
    let sizes = config.all_layer_sizes();
    let numbers = sizes.map(|sizes| {
        let keys = sizes.num_key_value_heads * config.head_dim;
        3 * (2 * config.hidden_size + keys + sizes.intermediate_size)
    });
    assert_eq!(lora.num_parameters(&config), numbers.sum::<usize>());
    let decoder = new_decoder(&config, 4, &device);
    let adapted = decoder.clone().with_lora(&lora, 9).unwrap();
    save_adapter(&adapted, dir.path(), "unlike", WeightType::F32).unwrap();
    let read = load_adapter(decoder, dir.path()).unwrap();
    assert_eq!(logits(&read), logits(&adapted));
}

#[test]
fn sizes_that_do_not_fit_are_refused_by_their_layer() {
    let (_, config) = configs().swap_remove(0);
    let mut broken = config.clone();
    broken.architecture.layer_sizes[1].num_key_value_heads = 0;
    broken.architecture.layer_sizes[0].num_attention_heads = usize::MAX;
    broken.architecture.layer_sizes.push(config.layer_sizes(0));
    let message = broken.validate().unwrap_err().to_string();
    for part in [
        "layer_sizes[1].num_key_value_heads is 0",
        "layer_sizes[0].num_attention_heads is",
        "layer_sizes has",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}
