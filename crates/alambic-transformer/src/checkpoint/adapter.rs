//! Adapters in the layout of PEFT: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use serde_json::{Value, json};

use super::ConfigFile;
use super::save::{WeightType, as_object, write_json, write_tensors};
use super::tensor_reader::Layout;
use super::weight_files::WeightFiles;
use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::error::TransformerError;
use crate::lora::{LoraConfig, Projection};
use crate::weights::Weight;

/// Name of the adapters' settings.
const CONFIG_FILE: &str = "adapter_config.json";
/// Name of the adapters' factors.
const WEIGHTS_FILE: &str = "adapter_model.safetensors";
/// What PEFT puts before the name of a module of the model.
const PREFIX: &str = "base_model.model.";

/// Writes the adapters of a decoder as PEFT does, for the model that `base_model` names.
///
/// # Errors
/// [`TransformerError::InvalidLora`] for a decoder without adapters, and for a projection that the family keeps in
/// one tensor with others, or turned, to which PEFT's layout does not apply one by one. If a file cannot be written, or
/// a number does not fit [`WeightType::F16`].
pub fn save_adapter(
    decoder: &Decoder,
    dir: &Path,
    base_model: &str,
    dtype: WeightType,
) -> Result<(), TransformerError> {
    let Some(lora) = decoder.lora() else {
        let problems =
            vec!["the decoder has no adapters, expected some (Decoder::with_lora)".to_owned()];
        return Err(TransformerError::InvalidLora { problems });
    };
    let modules = modules(decoder.config(), lora)?;
    let mut tensors = Vec::new();
    for module in &modules {
        let factors = decoder.adapter(module.layer, module.projection);
        let factors = factors.ok_or_else(|| TransformerError::InvalidLora {
            problems: vec![format!(
                "`{}` has no adapter any more, expected one",
                module.name
            )],
        })?;
        for (name, factor) in module.names().into_iter().zip(factors) {
            // As files hold matrices: outputs first.
            let factor = factor.transpose();
            let shape = factor.dims().to_vec();
            let values = factor.try_into_vec_as::<f32>();
            let values = values.map_err(|source| TransformerError::ReadTensor {
                what: format!("adapter `{name}`"),
                source,
            })?;
            tensors.push((name, shape, values));
        }
    }
    tensors.sort_by(|one, other| one.0.cmp(&other.0));
    std::fs::create_dir_all(dir).map_err(|source| TransformerError::Io {
        action: "create",
        path: dir.to_path_buf(),
        source,
    })?;
    write_tensors(&dir.join(WEIGHTS_FILE), &tensors, dtype)?;
    let targets: BTreeSet<&str> = modules.iter().map(Module::last_name).collect();
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "target_modules": targets,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": false,
        "init_lora_weights": true,
        "inference_mode": true,
        "use_rslora": false,
        "use_dora": false,
        "modules_to_save": null,
    });
    write_json(&dir.join(CONFIG_FILE), as_object(config))
}

/// Attaches the adapters that PEFT, or [`save_adapter`], wrote for a model to that model.
///
/// Everything of the adapters' settings that would be computed otherwise is refused by name; a dropout is not, since it
/// only acts in training, where there is none here.
///
/// # Errors
/// As [`load_checkpoint`](super::load_checkpoint) for files that are missing or damaged and tensors that do not fit;
/// [`TransformerError::InvalidLora`] as [`Decoder::with_lora`] and [`save_adapter`].
pub fn load_adapter(decoder: Decoder, dir: &Path) -> Result<Decoder, TransformerError> {
    let file = ConfigFile::read(&dir.join(CONFIG_FILE))?;
    let lora = read_config(&file, decoder.config())?;
    let modules = modules(decoder.config(), &lora)?;
    let mut files = WeightFiles::open_file(dir, WEIGHTS_FILE)?;
    let mut problems = Vec::new();
    let mut known = BTreeSet::new();
    for module in &modules {
        let shapes = module.shapes(lora.rank);
        for (name, shape) in module.names().into_iter().zip(shapes) {
            problems.extend(files.mismatch(&name, &shape));
            known.insert(name);
        }
    }
    let unknown = files.tensor_names().filter(|name| !known.contains(*name));
    let unknown = unknown.map(|name| format!("unknown tensor `{name}`, expected no such tensor"));
    problems.extend(unknown);
    if !problems.is_empty() {
        return Err(TransformerError::WeightMismatch {
            path: dir.to_path_buf(),
            problems,
        });
    }
    let device = decoder.device();
    decoder.with_adapters(&lora, |layer, projection, _| {
        let is_it = |module: &&Module| module.layer == layer && module.projection == projection;
        let module = modules
            .iter()
            .find(is_it)
            .expect("the same projections of the same layers");
        let ([a, b], [a_shape, b_shape]) = (module.names(), module.shapes(lora.rank));
        let mut read = |name: &str, [rows, columns]: [usize; 2]| {
            let values = files.read(name, None, Layout::Transposed)?;
            Ok(Tensor::from_data(
                TensorData::new(values, [columns, rows]),
                &device,
            ))
        };
        Ok([read(&a, a_shape)?, read(&b, b_shape)?])
    })
}

/// A projection of one layer, as PEFT names it.
struct Module {
    layer: usize,
    projection: Projection,
    /// Of the model, such as `model.layers.0.self_attn.q_proj`.
    name: String,
    inputs: usize,
    outputs: usize,
}

impl Module {
    /// The tensors of `A` and `B`.
    fn names(&self) -> [String; 2] {
        ["lora_A", "lora_B"].map(|factor| format!("{PREFIX}{}.{factor}.weight", self.name))
    }

    /// Their shapes, outputs first.
    fn shapes(&self, rank: usize) -> [[usize; 2]; 2] {
        [[rank, self.inputs], [self.outputs, rank]]
    }

    fn last_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

/// Every projection with an adapter, layer by layer.
fn modules(decoder: &DecoderConfig, lora: &LoraConfig) -> Result<Vec<Module>, TransformerError> {
    lora.validate(decoder)?;
    let family = decoder.architecture.family;
    let mut modules = Vec::new();
    for layer in 0..decoder.num_hidden_layers {
        for &projection in &lora.projections {
            let weight = Weight::Layer {
                index: layer,
                part: projection.weight(),
            };
            let place = family.place(weight, decoder);
            let name = place.name.strip_suffix(".weight").unwrap_or(&place.name);
            if place.part.is_some() || place.inputs_first {
                let problems = vec![format!(
                    "{} is stored in `{name}` in the family {}, which holds other weights too or is turned; expected \
                     projections that have a tensor of their own",
                    projection.name(),
                    family.model_type()
                )];
                return Err(TransformerError::InvalidLora { problems });
            }
            let shape = weight.shape(decoder);
            modules.push(Module {
                layer,
                projection,
                name: name.to_owned(),
                inputs: shape[1],
                outputs: shape[0],
            });
        }
    }
    Ok(modules)
}

/// Refuses adapters of a base model that their first factors were subtracted from.
fn refuse_changed_base(file: &ConfigFile) -> Result<(), TransformerError> {
    const SETTING: &str = "init_lora_weights";
    let leaves_base = match file.get(SETTING) {
        None | Some(Value::Null | Value::Bool(_)) => true,
        Some(value) => ["gaussian", "orthogonal", "eva"]
            .iter()
            .any(|name| value == name),
    };
    match leaves_base {
        true => Ok(()),
        false => Err(file.unsupported(
            SETTING,
            "true, false, \"gaussian\", \"orthogonal\", \"eva\"",
        )),
    }
}

/// The settings of adapters that are computed here.
fn read_config(file: &ConfigFile, decoder: &DecoderConfig) -> Result<LoraConfig, TransformerError> {
    for (setting, only) in [
        ("peft_type", json!("LORA")),
        ("bias", json!("none")),
        ("fan_in_fan_out", json!(false)),
        ("use_rslora", json!(false)),
        ("use_dora", json!(false)),
        ("use_qalora", json!(false)),
        ("use_bdlora", json!(false)),
        ("ensure_weight_tying", json!(false)),
        ("lora_bias", json!(false)),
        ("rank_pattern", json!({})),
        ("alpha_pattern", json!({})),
        ("modules_to_save", Value::Null),
        ("layers_to_transform", Value::Null),
        ("layer_replication", Value::Null),
        ("target_parameters", Value::Null),
        ("trainable_token_indices", Value::Null),
        ("alora_invocation_tokens", Value::Null),
        ("exclude_modules", Value::Null),
        ("arrow_config", Value::Null),
        ("kasa_config", Value::Null),
        ("monteclora_config", Value::Null),
        ("velora_config", Value::Null),
    ] {
        file.refuse_other_than(setting, &only)?;
    }
    refuse_changed_base(file)?;
    let targets = file.get("target_modules").and_then(Value::as_array);
    let targets = targets.map(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let targets = targets.flatten();
    let targets = targets.ok_or_else(|| file.wrong_field("target_modules", "a list of names"))?;
    let every = |projection: &Projection| {
        let gated = decoder.architecture.feed_forward.is_gated();
        *projection != Projection::Gate || gated
    };
    let named = |target: &&str| {
        let mut all = Projection::ALL.into_iter().filter(every);
        let found = all.find(|projection| *target == projection.name());
        found.ok_or_else(|| {
            let names = Projection::ALL.map(Projection::name).join(", ");
            file.unsupported("target_modules", &names)
        })
    };
    let mut projections = targets.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    projections.sort_unstable();
    Ok(LoraConfig {
        rank: file.required_usize("r")?,
        alpha: file.required_f64("lora_alpha")?,
        projections,
        base: None,
    })
}
