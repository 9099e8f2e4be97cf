//! A tiny model of every family.

use std::path::Path;

use alambic_transformer::{
    Architecture, AttentionContext, Biases, Decoder, DecoderConfig, Family, FeedForwardKind,
    LayerKind, NormKind, NormPlacement, QueryKeyNorm, RopeScaling, SaveOptions, WeightType,
    save_checkpoint,
};
use burn::tensor::{Device, Int, Tensor};

const SLIDING: LayerKind = LayerKind {
    slides: true,
    rotates: true,
};
const STANDING: LayerKind = LayerKind {
    slides: false,
    rotates: false,
};
const ORDINARY: LayerKind = LayerKind {
    slides: false,
    rotates: true,
};

/// A configuration and what to call it.
#[derive(Clone, Debug)]
pub struct TinyModel {
    /// The family, or the family and what is special.
    pub name: &'static str,
    /// Sizes and architecture.
    pub config: DecoderConfig,
}

/// One model of every family, the first one Llama, and then some with stretched rotary wavelengths.
pub fn tiny_models() -> Vec<TinyModel> {
    let scaled = |name, family, scaling| {
        let mut model = of_family(name, family);
        model.config.architecture.rope_scaling = scaling;
        model
    };
    let mut models: Vec<TinyModel> = Family::ALL.into_iter().map(tiny_model).collect();
    models.extend([
        scaled(
            "llama-linear",
            Family::Llama,
            RopeScaling::Linear { factor: 2.0 },
        ),
        scaled(
            "llama-dynamic",
            Family::Llama,
            RopeScaling::Dynamic { factor: 2.0 },
        ),
        scaled(
            "llama-llama3",
            Family::Llama,
            RopeScaling::Llama3 {
                factor: 8.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_position_embeddings: 8,
            },
        ),
        scaled(
            "llama-yarn",
            Family::Llama,
            RopeScaling::Yarn {
                factor: 4.0,
                beta_fast: 32.0,
                beta_slow: 1.0,
                original_max_position_embeddings: 8,
                attention_factor: 1.25,
                truncate: true,
            },
        ),
        scaled(
            "phi3-longrope",
            Family::Phi3,
            RopeScaling::LongRope {
                short_factor: vec![1.0, 1.5],
                long_factor: vec![2.0, 4.0],
                original_max_position_embeddings: 8,
                attention_factor: 1.25,
            },
        ),
    ]);
    models
}

/// The family whose tensors a file names: GPT-2 or Phi-3, which keep several weights in one, and otherwise Llama.
pub fn family_of_tensors(file: &[u8]) -> Family {
    let holds = |name: &str| file.windows(name.len()).any(|part| part == name.as_bytes());
    if holds("c_attn") {
        Family::Gpt2
    } else if holds("qkv_proj") {
        Family::Phi3
    } else {
        Family::Llama
    }
}

/// What [`family_of_tensors`] may say.
pub const FAMILIES_OF_TENSORS: [Family; 3] = [Family::Llama, Family::Phi3, Family::Gpt2];

/// The tiny model of a family.
pub fn tiny_model(family: Family) -> TinyModel {
    of_family(family.model_type(), family)
}

fn of_family(name: &'static str, family: Family) -> TinyModel {
    let mut architecture = Architecture {
        family,
        ..Architecture::default()
    };
    let (mut rope_theta, mut is_tied, mut key_value_heads) = (10_000.0, false, 1);
    match family {
        Family::Mistral => slide(&mut architecture, [SLIDING, SLIDING]),
        Family::Qwen2 => architecture.biases.query_key_value = true,
        Family::Qwen3 => architecture.query_key_norm = Some(QueryKeyNorm::PerHead),
        Family::SmolLm3 => {
            architecture.layer_kinds = vec![ORDINARY, STANDING];
            is_tied = true;
        }
        Family::Gemma2 | Family::Gemma3 => {
            slide(&mut architecture, [SLIDING, ORDINARY]);
            architecture.norm = NormKind::RmsAroundOne;
            architecture.norm_placement = NormPlacement::Around;
            architecture.feed_forward = FeedForwardKind::GatedGeluTanh;
            architecture.attention_scale = Some(0.5);
            is_tied = true;
            if family == Family::Gemma2 {
                architecture.attention_softcap = Some(50.0);
                architecture.logit_softcap = Some(30.0);
            } else {
                architecture.query_key_norm = Some(QueryKeyNorm::PerHead);
                architecture.sliding_rope_theta = Some(10_000.0);
                rope_theta = 1_000_000.0;
            }
        }
        Family::Olmo2 | Family::Olmo3 => {
            architecture.norm_placement = NormPlacement::After;
            architecture.query_key_norm = Some(QueryKeyNorm::AllHeads);
            if family == Family::Olmo3 {
                slide(&mut architecture, [SLIDING, ORDINARY]);
                architecture.sliding_rope_theta = Some(10_000.0);
            }
        }
        Family::Granite => {
            architecture.attention_scale = Some(0.25);
            architecture.embedding_scale = 12.0;
            architecture.residual_scale = 0.25;
            architecture.logit_scale = 0.125;
        }
        Family::Gpt2 => {
            architecture.norm = NormKind::Layer;
            architecture.biases = Biases {
                query_key_value: true,
                attention_output: true,
                feed_forward: true,
            };
            architecture.feed_forward = FeedForwardKind::GeluTanh;
            architecture.learned_positions = true;
            architecture.layer_kinds = vec![STANDING, STANDING];
            (is_tied, key_value_heads) = (true, 2);
        }
        _ => {}
    }
    let config = DecoderConfig {
        vocab_size: 8,
        hidden_size: 8,
        intermediate_size: 6,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: key_value_heads,
        head_dim: 4,
        max_position_embeddings: 16,
        rms_norm_eps: 1e-5,
        rope_theta,
        tie_word_embeddings: is_tied,
        initializer_range: 0.25,
        architecture: architecture.of_width(8),
    };
    TinyModel { name, config }
}

fn slide(architecture: &mut Architecture, layers: [LayerKind; 2]) {
    architecture.layer_kinds = layers.to_vec();
    architecture.sliding_window = Some(2);
}

/// A decoder with weights of this seed.
pub fn decoder(config: &DecoderConfig, seed: u64) -> Decoder {
    let device = Device::flex();
    device.seed(seed);
    config.init(&device)
}

/// Writes a decoder; of shards, if there are any, none is larger.
pub fn save(decoder: &Decoder, dir: &Path, max_shard_bytes: Option<u64>) {
    let options = SaveOptions {
        dtype: WeightType::F32,
        bos_token_id: Some(1),
        eos_token_ids: vec![2, 3],
        pad_token_id: None,
        max_shard_bytes,
    };
    save_checkpoint(decoder, dir, &options).expect("a tiny model can be written");
}

/// The logits of three tokens.
pub fn logits(decoder: &Decoder) -> Vec<f32> {
    let device = Device::flex();
    let token_ids = Tensor::<2, Int>::from_ints([[1, 5, 2]], &device);
    let context = AttentionContext::causal(1, 3, &device);
    let logits = decoder.forward(token_ids, &context);
    logits.try_into_vec_as().expect("the logits of a CPU")
}
