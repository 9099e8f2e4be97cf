//! Rotary positions in `config.json`, in the older and the newer spelling.
//!
//! The newer one has everything in `rope_parameters`; the older one has `rope_theta` beside the sizes, and in
//! `rope_scaling` what stretches the wavelengths. A file may have both, if they agree.

use serde_json::{Map, Value, json};

use super::standard::Expected;
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;
use crate::rope_scaling::RopeScaling;

/// The objects that say how wavelengths are stretched.
const OBJECTS: [&str; 2] = ["rope_parameters", "rope_scaling"];

/// Where the newer spelling has the rotary positions of layers that slide and of those that do not, if they have
/// wavelengths of their own.
pub(super) const OF_ALL: &str = "rope_parameters.full_attention";
pub(super) const OF_SLIDING: &str = "rope_parameters.sliding_attention";

/// The share of a head's dimensions that turn.
const PARTIAL: &str = "partial_rotary_factor";

/// What `config.json` says about rotary positions.
#[derive(Debug)]
pub(super) struct Rope {
    pub(super) theta: f64,
    pub(super) scaling: RopeScaling,
}

impl Rope {
    /// Reads both spellings.
    pub(super) fn read(
        config: &ConfigFile,
        max_positions: usize,
        expected: &Expected<'_>,
    ) -> Result<Self, TransformerError> {
        let original = expected.original_positions;
        Ok(Self {
            theta: theta(config, "rope_theta", &OBJECTS, expected.rope_theta)?,
            scaling: agreed_scaling(config, &OBJECTS, max_positions, original)?,
        })
    }
}

/// The dimensions of a head that turn, if they are not all.
pub(super) fn rotary_dim(
    config: &ConfigFile,
    head_dim: usize,
) -> Result<Option<usize>, TransformerError> {
    let share = agreed_number(config, PARTIAL, PARTIAL, &OBJECTS)?;
    let share = share.filter(|share| *share != 1.0);
    Ok(share.map(|share| (head_dim as f64 * share) as usize))
}

/// Refuses heads of which a part turns, beside the sizes or in `objects`.
pub(super) fn refuse_partial(
    config: &ConfigFile,
    objects: &[&str],
) -> Result<(), TransformerError> {
    config.refuse_other_than(PARTIAL, &json!(1.0))?;
    for object in objects {
        config.refuse_other_than(&format!("{object}.{PARTIAL}"), &json!(1.0))?;
    }
    Ok(())
}

/// The base of the wavelengths, beside the sizes as `field` or in `objects`.
pub(super) fn theta(
    config: &ConfigFile,
    field: &str,
    objects: &[&str],
    default: Option<f64>,
) -> Result<f64, TransformerError> {
    let found = agreed_number(config, field, "rope_theta", objects)?;
    found
        .or(default)
        .ok_or_else(|| config.wrong_field(field, "a number"))
}

/// The base of the wavelengths in sliding layers, which the older spelling has beside the sizes.
pub(super) struct SlidingBase {
    pub(super) field: &'static str,
}

impl SlidingBase {
    /// What either spelling says.
    pub(super) fn read(&self, config: &ConfigFile) -> Result<Option<f64>, TransformerError> {
        agreed_number(config, self.field, "rope_theta", &[OF_SLIDING])
    }
}

/// A number that stands beside the sizes as `field`, or as `name` in `objects`; the same one, wherever it stands.
fn agreed_number(
    config: &ConfigFile,
    field: &str,
    name: &str,
    objects: &[&str],
) -> Result<Option<f64>, TransformerError> {
    let nested = objects.iter().map(|object| format!("{object}.{name}"));
    let mut agreed: Option<(String, f64)> = None;
    for place in nested.chain([field.to_owned()]) {
        match (config.optional_f64(&place)?, &agreed) {
            (Some(found), Some((other, first))) if found != *first => {
                return Err(config.wrong_field(&place, &format!("{first}, as `{other}` says")));
            }
            (Some(found), None) => agreed = Some((place, found)),
            _ => {}
        }
    }
    Ok(agreed.map(|(_, number)| number))
}

/// What the objects that are there say, which must be the same.
pub(super) fn agreed_scaling(
    config: &ConfigFile,
    objects: &[&str],
    max_positions: usize,
    original: Option<usize>,
) -> Result<RopeScaling, TransformerError> {
    let mut found: Option<(&str, RopeScaling)> = None;
    for &object in objects.iter().filter(|object| config.has_object(object)) {
        let scaling = scaling(config, object, max_positions, original)?;
        match &found {
            Some((first, agreed)) if *agreed != scaling => {
                let expected = format!("the same as `{first}`, or nothing");
                return Err(config.wrong_field(object, &expected));
            }
            _ => found = Some((object, scaling)),
        }
    }
    Ok(found.map_or(RopeScaling::None, |(_, scaling)| scaling))
}

/// How wavelengths are stretched, as `object` says; `default_original` is the original length where a family
/// reads it beside the sizes only.
fn scaling(
    config: &ConfigFile,
    object: &str,
    max_positions: usize,
    default_original: Option<usize>,
) -> Result<RopeScaling, TransformerError> {
    let field = |name: &str| format!("{object}.{name}");
    let rope_type = match config.optional_str(&field("rope_type"))? {
        Some(rope_type) => Some(rope_type),
        None => config.optional_str(&field("type"))?,
    };
    let number = |name: &str| config.required_f64(&field(name));
    // The field beside the sizes goes before.
    let original = || -> Result<usize, TransformerError> {
        let name = "original_max_position_embeddings";
        match (config.optional_usize(name)?, default_original) {
            (Some(found), _) | (None, Some(found)) => Ok(found),
            (None, None) => Ok(config
                .optional_usize(&field(name))?
                .unwrap_or(max_positions)),
        }
    };
    let factor_or_growth = || -> Result<f64, TransformerError> {
        let factor = config.optional_f64(&field("factor"))?;
        Ok(factor.unwrap_or(max_positions as f64 / original()? as f64))
    };
    Ok(match rope_type.unwrap_or("default") {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear {
            factor: number("factor")?,
        },
        "dynamic" => RopeScaling::Dynamic {
            factor: number("factor")?,
        },
        "llama3" => RopeScaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: original()?,
        },
        "yarn" => {
            let factor = factor_or_growth()?;
            RopeScaling::Yarn {
                factor,
                beta_fast: config.optional_f64(&field("beta_fast"))?.unwrap_or(32.0),
                beta_slow: config.optional_f64(&field("beta_slow"))?.unwrap_or(1.0),
                original_max_position_embeddings: original()?,
                attention_factor: match config.optional_f64(&field("attention_factor"))? {
                    Some(given) => given,
                    None => yarn_attention_factor(
                        factor,
                        config.optional_f64(&field("mscale"))?,
                        config.optional_f64(&field("mscale_all_dim"))?,
                    ),
                },
                truncate: config.optional_bool(&field("truncate"))?.unwrap_or(true),
            }
        }
        "longrope" | "su" => {
            let (factor, original) = (factor_or_growth()?, original()?);
            let given = config.optional_f64(&field("attention_factor"))?;
            let factors = |name: &str| -> Result<Vec<f64>, TransformerError> {
                let numbers = config.get(&field(name)).and_then(Value::as_array);
                let numbers: Option<Vec<f64>> =
                    numbers.and_then(|numbers| numbers.iter().map(Value::as_f64).collect());
                numbers.ok_or_else(|| config.wrong_field(&field(name), "a list of numbers"))
            };
            RopeScaling::LongRope {
                short_factor: factors("short_factor")?,
                long_factor: factors("long_factor")?,
                original_max_position_embeddings: original,
                attention_factor: given
                    .unwrap_or_else(|| longrope_attention_factor(factor, original)),
            }
        }
        _ => {
            let known = "\"default\", \"linear\", \"dynamic\", \"llama3\", \"yarn\", \"longrope\"";
            return Err(config.unsupported(&field("rope_type"), known));
        }
    })
}

/// Peng et al. 2023, arXiv:2309.00071, eq. 22; with `mscale` as DeepSeek has it.
fn yarn_attention_factor(factor: f64, mscale: Option<f64>, mscale_all_dim: Option<f64>) -> f64 {
    let sharpened = |mscale: f64| match factor > 1.0 {
        true => 0.1 * mscale * factor.ln() + 1.0,
        false => 1.0,
    };
    match (mscale, mscale_all_dim) {
        (Some(mscale), Some(all_dim)) if mscale != 0.0 && all_dim != 0.0 => {
            sharpened(mscale) / sharpened(all_dim)
        }
        _ => sharpened(1.0),
    }
}

/// Ding et al. 2024, arXiv:2402.13753, as Phi-3 has it.
pub(super) fn longrope_attention_factor(factor: f64, original: usize) -> f64 {
    match factor > 1.0 {
        true => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
        false => 1.0,
    }
}

/// The share of which a reader, who cuts, makes so many dimensions.
fn share_of(dim: usize, head_dim: usize) -> f64 {
    let share = dim as f64 / head_dim as f64;
    match ((head_dim as f64 * share) as usize) < dim {
        true => share.next_up(),
        false => share,
    }
}

/// Both spellings of a decoder's rotary positions.
pub(super) fn fields(config: &DecoderConfig) -> Map<String, Value> {
    let architecture = &config.architecture;
    let scaling = serde_json::to_value(&architecture.rope_scaling);
    let Ok(Value::Object(mut parameters)) = scaling else {
        unreachable!("a rope scaling is an object");
    };
    // Some readers take its presence for a length that the factor already covers.
    let original = "original_max_position_embeddings";
    if parameters.get(original) == Some(&json!(config.max_position_embeddings)) {
        parameters.remove(original);
    }
    let mut fields = Map::new();
    fields.insert("rope_theta".to_owned(), json!(config.rope_theta));
    let stretched = match architecture.rope_scaling {
        RopeScaling::None => Value::Null,
        _ => Value::Object(parameters.clone()),
    };
    fields.insert("rope_scaling".to_owned(), stretched);
    parameters.insert("rope_theta".to_owned(), json!(config.rope_theta));
    if let Some(dim) = architecture.rotary_dim {
        let share = json!(share_of(dim, config.head_dim));
        fields.insert("partial_rotary_factor".to_owned(), share.clone());
        parameters.insert("partial_rotary_factor".to_owned(), share);
    }
    fields.insert("rope_parameters".to_owned(), Value::Object(parameters));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_heads_survive_being_cut() {
        for head_dim in (2..=1024).step_by(2) {
            for dim in (2..=head_dim).step_by(2) {
                assert_eq!((head_dim as f64 * share_of(dim, head_dim)) as usize, dim);
            }
        }
    }
}
