//! A decoder-only transformer: checkpoints in and out, KV cache, generation.
//!
//! # Guide
//!
//! A [`Decoder`] is made from a [`DecoderConfig`] with new weights, or read from a directory in the
//! Hugging Face layout with [`load_checkpoint`]. It maps token ids to hidden states
//! ([`Decoder::hidden`]) and hidden states to logits ([`Decoder::lm_head`]); the two are apart so
//! that a loss can walk over the vocabulary in chunks. Who sees whom is said by an
//! [`AttentionContext`], made once per batch.
//!
//! Devices are chosen by name with [`DeviceChoice`]. A decoder made on `device.autodiff()` trains;
//! one made on the plain device is frozen, and both may meet in one computation.
//!
//! ```
//! use alambic_transformer::{
//!     Architecture, AttentionContext, DecoderConfig, DeviceChoice, GenerationConfig, SaveOptions, WeightType,
//!     generate_batch, load_checkpoint, save_checkpoint,
//! };
//! use burn::tensor::{Int, Tensor};
//!
//! let device = DeviceChoice::Cpu.open()?;
//! device.seed(17);
//! let decoder = DecoderConfig {
//!     vocab_size: 32,
//!     hidden_size: 16,
//!     intermediate_size: 40,
//!     num_hidden_layers: 2,
//!     num_attention_heads: 4,
//!     num_key_value_heads: 2,
//!     head_dim: 4,
//!     max_position_embeddings: 64,
//!     rms_norm_eps: 1e-5,
//!     rope_theta: 10_000.0,
//!     tie_word_embeddings: true,
//!     initializer_range: 0.02,
//!     architecture: Architecture::default(),
//! }
//! .init(&device);
//!
//! // Logits of a batch of two sequences.
//! let token_ids = Tensor::<2, Int>::from_ints([[1, 2, 3], [4, 5, 6]], &device);
//! let context = AttentionContext::causal(2, 3, &device);
//! assert_eq!(decoder.forward(token_ids, &context).dims(), [2, 3, 32]);
//!
//! // Out, in again, and on from two prompts.
//! let dir = std::env::temp_dir().join(format!("alambic-guide-{}", std::process::id()));
//! let options = SaveOptions {
//!     dtype: WeightType::F32,
//!     bos_token_id: Some(1),
//!     eos_token_ids: vec![2],
//!     pad_token_id: None,
//!     max_shard_bytes: None,
//! };
//! save_checkpoint(&decoder, &dir, &options)?;
//! let checkpoint = load_checkpoint(&dir, &device)?;
//! let texts = generate_batch(
//!     &checkpoint.decoder,
//!     &[vec![1, 9], vec![1]],
//!     &GenerationConfig::greedy(4),
//! )?;
//! assert_eq!(texts[1].token_ids.len(), 4);
//! # std::fs::remove_dir_all(&dir).ok();
//! # Ok::<(), alambic_transformer::TransformerError>(())
//! ```
//!
//! # Features
//! `flex` (default) and `ndarray` compute on the CPU, `wgpu` on any GPU, `cuda` on NVIDIA's.

mod architecture;
mod attention;
mod checkpoint;
mod config;
mod context;
mod decoder;
mod decoder_layer;
mod device;
mod error;
mod excerpt;
mod families;
mod feed_forward;
mod generation;
mod kv_cache;
mod layer_outputs;
mod linear;
mod lora;
mod norm;
mod random_weights;
mod recompute;
mod rope_scaling;
mod rotary;
mod weights;

pub use architecture::{
    Architecture, Biases, FeedForwardKind, LayerKind, LayerSizes, NormKind, NormPlacement,
    QueryKeyNorm,
};
pub use checkpoint::{
    Checkpoint, SaveOptions, WeightType, load_adapter, load_checkpoint, save_adapter,
    save_checkpoint,
};
pub use config::DecoderConfig;
pub use context::AttentionContext;
pub use decoder::Decoder;
pub use device::{DeviceChoice, check_precision, describe};
pub use error::TransformerError;
pub use families::Family;
pub use generation::{
    DecodeSession, FinishReason, Generated, GenerationConfig, GivenToken, Sampling, Slot,
    continuation_log_probs, continuation_log_probs_batch, continuation_scores_batch, generate,
    generate_batch,
};
pub use kv_cache::KvCache;
pub use layer_outputs::{AttentionProjections, LayerOutputs, WantedLayers};
pub use lora::{BaseType, LoraConfig, Projection};
pub use recompute::Recomputation;
pub use rope_scaling::RopeScaling;

pub use alambic_kernels::Precision;
