//! Low-rank adapters: decoders of which a few numbers beside the weights are trained.

use std::collections::HashMap;

use burn::module::{LoraAdapter, Module, ModuleMapper, Param, ParamId, Quantizer, Reparameterizer};
use burn::tensor::quantization::{Calibration, QuantScheme, QuantValue, ScaleDtype};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::device::{describe, holds_quantised_blocks};
use crate::error::TransformerError;
use crate::linear::Linear;
use crate::weights::{LayerWeight, Weight};

/// A projection of every layer, by the name that most families give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Projection {
    /// To the queries.
    #[serde(rename = "q_proj")]
    Query,
    /// To the keys.
    #[serde(rename = "k_proj")]
    Key,
    /// To the values.
    #[serde(rename = "v_proj")]
    Value,
    /// From the mixed values.
    #[serde(rename = "o_proj")]
    Output,
    /// To the gate of the feed-forward layer, where it has one.
    #[serde(rename = "gate_proj")]
    Gate,
    /// Into the feed-forward layer.
    #[serde(rename = "up_proj")]
    Up,
    /// Out of the feed-forward layer.
    #[serde(rename = "down_proj")]
    Down,
}

impl Projection {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// The name in recipes, and in the files of most families.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "q_proj",
            Self::Key => "k_proj",
            Self::Value => "v_proj",
            Self::Output => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    pub(crate) fn weight(self) -> LayerWeight {
        match self {
            Self::Query => LayerWeight::Query,
            Self::Key => LayerWeight::Key,
            Self::Value => LayerWeight::Value,
            Self::Output => LayerWeight::Output,
            Self::Gate => LayerWeight::Gate,
            Self::Up => LayerWeight::Up,
            Self::Down => LayerWeight::Down,
        }
    }
}

/// Which projections have adapters, and of which rank.
///
/// A projection of the weight `W` computes with `W + (alpha ÷ rank) · A B` (Hu et al. 2021, arXiv:2106.09685).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Columns of `A` and rows of `B`.
    pub rank: usize,
    /// What the adapter's product is multiplied with, times the rank.
    pub alpha: f64,
    /// The projections, each once.
    pub projections: Vec<Projection>,
    /// How the weights of these projections are held, which are not trained; as they are if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseType>,
}

/// How weights that are not trained are rounded to save memory (QLoRA, Dettmers et al. 2023, arXiv:2305.14314).
///
/// Blocks of 32 weights of one input have a scale of their own, so that the largest of a block is exact. How many bytes
/// a number takes is the device's: on the CPU (flex) one, of either type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseType {
    /// Whole numbers from -127 to 127 times the scale.
    Int8,
    /// Whole numbers from -7 to 7 times the scale.
    Int4,
}

/// Weights that share a scale.
const BLOCK: usize = 32;

impl BaseType {
    fn scheme(self) -> QuantScheme {
        let value = match self {
            Self::Int8 => QuantValue::Q8S,
            Self::Int4 => QuantValue::Q4S,
        };
        let scheme = QuantScheme::default().per_block([BLOCK as u8], ScaleDtype::F32);
        scheme.with_value(value)
    }
}

impl LoraConfig {
    /// Checks the settings for a decoder.
    ///
    /// # Errors
    /// [`TransformerError::InvalidLora`] lists every problem at once.
    pub fn validate(&self, decoder: &DecoderConfig) -> Result<(), TransformerError> {
        let mut problems = Vec::new();
        if self.rank == 0 {
            problems.push("rank is 0, expected at least 1".to_owned());
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            problems.push(format!(
                "alpha is {}, expected a positive number",
                self.alpha
            ));
        }
        if self.projections.is_empty() {
            problems
                .push("there are no projections, expected at least one such as q_proj".to_owned());
        }
        for (index, projection) in self.projections.iter().enumerate() {
            let name = projection.name();
            if self.projections[..index].contains(projection) {
                problems.push(format!(
                    "{name} is named twice, expected each projection once"
                ));
            }
            let is_gate = *projection == Projection::Gate;
            if is_gate && !decoder.architecture.feed_forward.is_gated() {
                problems.push(format!(
                    "{name} is named, but the decoder's feed-forward layers have no gate"
                ));
            }
        }
        let blocks = self.projections.iter().filter(|_| self.base.is_some());
        for projection in blocks {
            let outputs = |index| {
                let part = projection.weight();
                Weight::Layer { index, part }.shape(decoder)[0]
            };
            let mut outputs = (0..decoder.num_hidden_layers).map(outputs);
            if let Some(outputs) = outputs.find(|outputs| !outputs.is_multiple_of(BLOCK)) {
                problems.push(format!(
                    "base is given, and {} has {outputs} outputs, expected a multiple of {BLOCK}, the size of a block",
                    projection.name()
                ));
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(TransformerError::InvalidLora { problems }),
        }
    }
}

impl LoraConfig {
    /// Numbers in the adapters of a decoder: what is trained.
    pub fn num_parameters(&self, decoder: &DecoderConfig) -> usize {
        let layers = 0..decoder.num_hidden_layers;
        let weights = layers.flat_map(|index| {
            let parts = self
                .projections
                .iter()
                .map(|projection| projection.weight());
            parts.map(move |part| Weight::Layer { index, part })
        });
        let of_weight = |weight: Weight| self.rank * weight.shape(decoder).iter().sum::<usize>();
        weights.map(of_weight).sum()
    }
}

impl Decoder {
    /// The same decoder with adapters that change nothing yet; they are trained, and nothing else is.
    ///
    /// As PEFT does: `A` is uniform between `±1 ÷ √inputs`, from `seed` on every device alike, and `B` is 0.
    ///
    /// # Errors
    /// [`TransformerError::InvalidLora`] for settings that do not fit the decoder or its device (burn-ndarray computes with
    /// no rounded weights), or if it has adapters already.
    ///
    /// # Memory
    /// Each pass composes the adapted weights anew, and training holds a gradient of the size of each: a quantised base
    /// saves the memory of what is at rest.
    ///
    /// ```
    /// use alambic_transformer::{Architecture, DecoderConfig, DeviceChoice, LoraConfig, Projection};
    ///
    /// # let config = DecoderConfig {
    /// #     vocab_size: 32, hidden_size: 16, intermediate_size: 40, num_hidden_layers: 2,
    /// #     num_attention_heads: 4, num_key_value_heads: 2, head_dim: 4, max_position_embeddings: 64,
    /// #     rms_norm_eps: 1e-5, rope_theta: 10_000.0, tie_word_embeddings: true,
    /// #     initializer_range: 0.02,
    /// #     architecture: Architecture::default(),
    /// # };
    /// let lora = LoraConfig { rank: 4, alpha: 8.0, projections: vec![Projection::Query, Projection::Value], base: None };
    /// let adapted = config.init(&DeviceChoice::Cpu.open()?).with_lora(&lora, 17)?;
    /// assert_eq!(adapted.lora(), Some(&lora));
    /// let whole = adapted.merged();
    /// assert_eq!(whole.lora(), None);
    /// # Ok::<(), alambic_transformer::TransformerError>(())
    /// ```
    pub fn with_lora(self, config: &LoraConfig, seed: u64) -> Result<Self, TransformerError> {
        let device = self.device();
        let factors = |[inputs, outputs]: [usize; 2], stream: u64| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(stream);
            let most = 1.0 / (inputs as f32).sqrt();
            let values: Vec<f32> = (0..inputs * config.rank)
                .map(|_| random.random_range(-most..most))
                .collect();
            let a = Tensor::from_data(TensorData::new(values, [inputs, config.rank]), &device);
            Ok([a, Tensor::zeros([config.rank, outputs], &device)])
        };
        self.with_adapters(config, |index, projection, shape| {
            let stream = index * Projection::ALL.len() + projection as usize;
            factors(shape, stream as u64)
        })
    }

    /// Attaches adapters whose factors `A` and `B`, `[inputs, rank]` and `[rank, outputs]`, are those of a layer's
    /// projection of a shape `[inputs, outputs]`.
    pub(crate) fn with_adapters(
        self,
        config: &LoraConfig,
        mut factors: impl FnMut(
            usize,
            Projection,
            [usize; 2],
        ) -> Result<[Tensor<2>; 2], TransformerError>,
    ) -> Result<Self, TransformerError> {
        config.validate(self.config())?;
        if self.lora().is_some() {
            let problems = vec![
                "the decoder has adapters already, expected one without: merge them first"
                    .to_owned(),
            ];
            return Err(TransformerError::InvalidLora { problems });
        }
        if config.base.is_some() && !holds_quantised_blocks(&self.device()) {
            let problems = vec![format!(
                "base is given, which {} cannot compute with, expected another device or no base",
                describe(&self.device())
            )];
            return Err(TransformerError::InvalidLora { problems });
        }
        let mut adapters = HashMap::new();
        for index in 0..self.config().num_hidden_layers {
            for &projection in &config.projections {
                let linear = self.projection(index, projection);
                let [a, b] = factors(index, projection, linear.weight.val().dims())?;
                let adapter = LoraAdapter {
                    a: Param::from_tensor(a),
                    b: Param::from_tensor(b),
                    scale: config.alpha / config.rank as f64,
                };
                adapters.insert(linear.weight.id, adapter);
            }
        }
        let quantizer = config
            .base
            .map(|base| Quantizer::new(Calibration::MinMax, base.scheme()));
        let mut adapted = self.apply_reparameterization(Attached {
            adapters,
            quantizer,
        });
        adapted.set_lora(Some(config.clone()));
        Ok(adapted)
    }

    /// The same decoder with its adapters added to its weights, which are not trained as they were not before.
    pub fn merged(self) -> Self {
        let mut whole = self.materialize();
        whole.set_lora(None);
        whole
    }

    /// Both factors of a layer's projection, if it has an adapter.
    pub(crate) fn adapter(&self, index: usize, projection: Projection) -> Option<[Tensor<2>; 2]> {
        let adapter = self.projection(index, projection).weight.adapter()?;
        Some([adapter.a.val(), adapter.b.val()])
    }

    fn projection(&self, index: usize, projection: Projection) -> &Linear {
        self.layers()[index].projection(projection)
    }
}

/// Freezes every weight, and attaches adapters to some.
struct Attached {
    adapters: HashMap<ParamId, LoraAdapter>,
    /// For the weights that have adapters.
    quantizer: Option<Quantizer>,
}

impl Reparameterizer for Attached {
    type Reparam = LoraAdapter;

    fn reparameterize<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<LoraAdapter>) {
        let adapter = self.adapters.remove(&param.id);
        let param = match (&adapter, &mut self.quantizer) {
            (Some(_), Some(quantizer)) => quantizer.map_float(param),
            _ => param,
        };
        (param.set_require_grad(false), adapter)
    }
}
