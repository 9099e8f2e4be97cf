//! Rotary wavelengths for texts that are longer than those of the first training.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// How rotary wavelengths are stretched, as `rope_type` of a `config.json` names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rope_type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RopeScaling {
    /// Not at all.
    #[default]
    #[serde(rename = "default")]
    None,
    /// All by one factor (Chen et al. 2023, arXiv:2306.15595).
    Linear {
        /// Stretches the wavelengths.
        factor: f64,
    },
    /// By a larger base, the longer the text is beyond `max_position_embeddings`.
    Dynamic {
        /// How fast the base grows.
        factor: f64,
    },
    /// The long ones by a factor, the short ones not (Llama 3.1).
    Llama3 {
        /// Stretches long wavelengths.
        factor: f64,
        /// Those that turn less often than this over the original length are long.
        low_freq_factor: f64,
        /// Those that turn more often than this over the original length are short.
        high_freq_factor: f64,
        /// Tokens of the first training's texts.
        original_max_position_embeddings: usize,
    },
    /// The long ones by a factor, the short ones not, and sharper attention (Peng et al. 2023, arXiv:2309.00071).
    Yarn {
        /// Stretches long wavelengths.
        factor: f64,
        /// Those that turn more often than this over the original length are short.
        beta_fast: f64,
        /// Those that turn less often than this over the original length are long.
        beta_slow: f64,
        /// Tokens of the first training's texts.
        original_max_position_embeddings: usize,
        /// Cosines and sines are multiplied by it.
        attention_factor: f64,
        /// Whether the bounds between long and short are whole numbers of pairs.
        truncate: bool,
    },
    /// Each by a factor of its own, of two sets for short and for long texts (Ding et al. 2024, arXiv:2402.13753).
    #[serde(rename = "longrope")]
    LongRope {
        /// For texts of up to `original_max_position_embeddings` tokens, one for each pair.
        short_factor: Vec<f64>,
        /// For longer texts.
        long_factor: Vec<f64>,
        /// Tokens of the first training's texts.
        original_max_position_embeddings: usize,
        /// Cosines and sines are multiplied by it.
        attention_factor: f64,
    },
}

/// Angles per position of every pair, and what cosines and sines are multiplied by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frequencies {
    pub(crate) of_pairs: Vec<f32>,
    pub(crate) attention_factor: f32,
}

/// The rotary part of a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RotaryShape {
    /// Base of the wavelengths.
    pub(crate) theta: f64,
    /// Dimensions that turn.
    pub(crate) dim: usize,
    /// Tokens that the decoder is declared for.
    pub(crate) max_positions: usize,
}

impl RopeScaling {
    /// Whether the wavelengths depend on how long the text is.
    pub(crate) fn depends_on_length(&self) -> bool {
        matches!(self, Self::Dynamic { .. } | Self::LongRope { .. })
    }

    /// The frequencies for a text of `length` tokens.
    pub(crate) fn frequencies(&self, shape: RotaryShape, length: usize) -> Frequencies {
        let pairs = shape.dim / 2;
        let plain = |theta: f64| {
            let dim = shape.dim as f64;
            move |pair: usize| theta.powf(-((2 * pair) as f64) / dim)
        };
        let (of_pairs, attention_factor): (Vec<f64>, f64) = match self {
            Self::None => ((0..pairs).map(plain(shape.theta)).collect(), 1.0),
            Self::Linear { factor } => {
                let stretched = (0..pairs).map(plain(shape.theta)).map(|f| f / factor);
                (stretched.collect(), 1.0)
            }
            Self::Dynamic { factor } => {
                let longest = shape.max_positions.max(length) as f64;
                let growth = factor * longest / shape.max_positions as f64 - (factor - 1.0);
                let dim = shape.dim as f64;
                let theta = shape.theta * growth.powf(dim / (dim - 2.0));
                ((0..pairs).map(plain(theta)).collect(), 1.0)
            }
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                let original = *original_max_position_embeddings as f64;
                let stretch = |frequency: f64| {
                    let turns = original * frequency / TAU;
                    if turns > *high_freq_factor {
                        return frequency;
                    }
                    if turns < *low_freq_factor {
                        return frequency / factor;
                    }
                    let smooth = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    (1.0 - smooth) * frequency / factor + smooth * frequency
                };
                (
                    (0..pairs).map(plain(shape.theta)).map(stretch).collect(),
                    1.0,
                )
            }
            Self::Yarn {
                factor,
                beta_fast,
                beta_slow,
                original_max_position_embeddings,
                attention_factor,
                truncate,
            } => {
                let original = *original_max_position_embeddings as f64;
                // The pair that turns so often over the original length.
                let pair_of = |turns: f64| {
                    shape.dim as f64 * (original / (turns * TAU)).ln() / (2.0 * shape.theta.ln())
                };
                let (low, high) = (pair_of(*beta_fast), pair_of(*beta_slow));
                let (low, high) = match truncate {
                    true => (low.floor(), high.ceil()),
                    false => (low, high),
                };
                let (low, high) = (low.max(0.0), high.min(shape.dim as f64 - 1.0));
                // Without a division by zero.
                let width = if high == low { 0.001 } else { high - low };
                let stretched = (0..pairs).map(|pair| {
                    let frequency = plain(shape.theta)(pair);
                    let is_long = ((pair as f64 - low) / width).clamp(0.0, 1.0);
                    frequency / factor * is_long + frequency * (1.0 - is_long)
                });
                (stretched.collect(), *attention_factor)
            }
            Self::LongRope {
                short_factor,
                long_factor,
                original_max_position_embeddings,
                attention_factor,
            } => {
                let factors = match length > *original_max_position_embeddings {
                    true => long_factor,
                    false => short_factor,
                };
                let stretched = factors.iter().enumerate();
                let stretched = stretched.map(|(pair, factor)| plain(shape.theta)(pair) / factor);
                (stretched.collect(), *attention_factor)
            }
        };
        Frequencies {
            of_pairs: of_pairs
                .into_iter()
                .map(|frequency| frequency as f32)
                .collect(),
            attention_factor: attention_factor as f32,
        }
    }

    /// Everything that does not fit together, for `dim` dimensions that turn.
    pub(crate) fn problems(&self, dim: usize) -> Vec<String> {
        let numbers: Vec<(&str, f64)> = match self {
            Self::None => vec![],
            Self::Linear { factor } | Self::Dynamic { factor } => vec![("factor", *factor)],
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => vec![
                ("factor", *factor),
                ("low_freq_factor", *low_freq_factor),
                (
                    "high_freq_factor - low_freq_factor",
                    high_freq_factor - low_freq_factor,
                ),
                (
                    "original_max_position_embeddings",
                    *original_max_position_embeddings as f64,
                ),
            ],
            Self::Yarn {
                factor,
                beta_fast,
                beta_slow,
                original_max_position_embeddings,
                attention_factor,
                ..
            } => vec![
                ("factor", *factor),
                ("beta_fast", *beta_fast),
                ("beta_slow", *beta_slow),
                (
                    "original_max_position_embeddings",
                    *original_max_position_embeddings as f64,
                ),
                ("attention_factor", *attention_factor),
            ],
            Self::LongRope {
                short_factor,
                long_factor,
                original_max_position_embeddings,
                attention_factor,
            } => {
                let factors = short_factor.iter().chain(long_factor);
                let least = factors.copied().fold(f64::INFINITY, f64::min);
                vec![
                    ("the least of short_factor and long_factor", least),
                    (
                        "original_max_position_embeddings",
                        *original_max_position_embeddings as f64,
                    ),
                    ("attention_factor", *attention_factor),
                ]
            }
        };
        let wrong = numbers
            .into_iter()
            .filter(|(_, value)| !(value.is_finite() && *value > 0.0));
        let mut problems: Vec<String> = wrong
            .map(|(name, value)| {
                format!("{name} of the rope scaling is {value}, expected a positive number")
            })
            .collect();
        if let Self::LongRope {
            short_factor,
            long_factor,
            ..
        } = self
        {
            for (name, found) in [("short_factor", short_factor), ("long_factor", long_factor)] {
                if found.len() != dim / 2 {
                    problems.push(format!(
                        "{name} has {} numbers, expected one for each of {} pairs",
                        found.len(),
                        dim / 2
                    ));
                }
            }
        }
        if matches!(self, Self::Dynamic { .. }) && dim < 4 {
            problems.push(format!(
                "dynamic rope scaling of {dim} dimensions, expected at least 4"
            ));
        }
        problems
    }
}
