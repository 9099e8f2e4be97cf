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
use crate::families::TensorPlace;
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
/// [`TransformerError::InvalidLora`] for a decoder without adapters. Where a family keeps several projections in one tensor
/// (Phi-3, GPT-2), PEFT's layout has one factor `A` for all of them: also for adapters of some of them only, and for factors
/// that differ, as they do once they were trained. If a file cannot be written, or a number does not fit
/// [`WeightType::F16`].
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
        let [a, b] = module.factors(decoder, lora.rank)?;
        let shapes = module.shapes(lora.rank).map(|shape| shape.to_vec());
        let [a_name, b_name] = module.names();
        let [a_shape, b_shape] = shapes;
        tensors.push((a_name, a_shape, a));
        tensors.push((b_name, b_shape, b));
    }
    tensors.sort_by(|one, other| one.0.cmp(&other.0));
    std::fs::create_dir_all(dir).map_err(|source| TransformerError::Io {
        action: "create",
        path: dir.to_path_buf(),
        source,
    })?;
    write_tensors(&dir.join(WEIGHTS_FILE), &tensors, dtype)?;
    let targets: BTreeSet<&str> = modules
        .iter()
        .map(|module| module.target(decoder))
        .collect();
    let turned = modules.iter().any(|module| module.inputs_first);
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "target_modules": targets,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": turned,
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
        let holds = |module: &&Module| module.layer == layer && module.part(projection).is_some();
        let module = modules.iter().find(holds);
        let module = module.expect("the same projections of the same layers");
        let member = module.part(projection).expect("it was found by it");
        let ([a, b], [a_shape, b_shape]) = (module.names(), module.shapes(lora.rank));
        let mut read = |name: &str, [rows, columns]: [usize; 2]| {
            let values = files.read(name, None, Layout::Transposed)?;
            Ok(Tensor::from_data(
                TensorData::new(values, [columns, rows]),
                &device,
            ))
        };
        let of_all = read(&b, b_shape)?;
        let of_member = of_all.narrow(1, member.start, member.outputs);
        Ok([read(&a, a_shape)?, of_member])
    })
}

/// A tensor of one layer with an adapter, as PEFT names it.
struct Module {
    layer: usize,
    /// Of the model, such as `model.layers.0.self_attn.q_proj`.
    name: String,
    /// The projections in it, in their order.
    members: Vec<Member>,
    inputs: usize,
    outputs: usize,
    /// Whether the family keeps it as `[inputs, outputs]`.
    inputs_first: bool,
}

/// A projection, and which outputs of a module are its own.
#[derive(Clone, Copy)]
struct Member {
    projection: Projection,
    start: usize,
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

    fn part(&self, projection: Projection) -> Option<Member> {
        let mut members = self.members.iter();
        let found = members.find(|member| member.projection == projection);
        found.copied()
    }

    fn invalid(&self, problem: &str) -> TransformerError {
        TransformerError::InvalidLora {
            problems: vec![format!("`{}` {problem}", self.name)],
        }
    }

    /// The numbers of both factors, outputs first.
    fn factors(&self, decoder: &Decoder, rank: usize) -> Result<[Vec<f32>; 2], TransformerError> {
        let mut common: Option<Vec<f32>> = None;
        let mut of_outputs = Vec::with_capacity(self.outputs * rank);
        for member in &self.members {
            let factors = decoder.adapter(self.layer, member.projection);
            let factors =
                factors.ok_or_else(|| self.invalid("has no adapter any more, expected one"))?;
            let [a, b] = factors.map(|factor| {
                // As files hold matrices: outputs first.
                let values = factor.transpose().try_into_vec_as::<f32>();
                values.map_err(|source| TransformerError::ReadTensor {
                    what: format!("an adapter of `{}`", self.name),
                    source,
                })
            });
            let a = a?;
            if common.as_ref().is_some_and(|common| *common != a) {
                let names: Vec<&str> = self.members.iter().map(|it| it.projection.name()).collect();
                return Err(self.invalid(&format!(
                    "has unlike factors A for {}, where PEFT has one for all of them; write the merged model instead",
                    names.join(", ")
                )));
            }
            common = Some(a);
            of_outputs.extend(b?);
        }
        Ok([common.unwrap_or_default(), of_outputs])
    }

    /// The end of the name that no module without an adapter has.
    fn target(&self, decoder: &Decoder) -> &str {
        let start_of_last = self.name.rfind('.').map_or(0, |dot| dot + 1);
        let last = &self.name[start_of_last..];
        let adapted = decoder.lora().map_or(&[][..], |lora| &lora.projections);
        let is_ambiguous = of_name(last, decoder.config()).any(|named| !adapted.contains(&named));
        match self.name[..start_of_last.saturating_sub(1)].rfind('.') {
            Some(dot) if is_ambiguous => &self.name[dot + 1..],
            _ => last,
        }
    }
}

/// The projections in modules whose name is this one, or ends with it.
fn of_name<'a>(
    target: &'a str,
    decoder: &'a DecoderConfig,
) -> impl Iterator<Item = Projection> + 'a {
    existing(decoder).filter(move |projection| {
        let place = place(*projection, decoder);
        // Names with a layer's number mean that layer alone.
        let name = module_name(&place.name);
        let in_layer = name
            .rsplit_once(".0.")
            .map_or(name, |(_, in_layer)| in_layer);
        let before = in_layer.strip_suffix(target);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

/// The projections that a layer of the decoder has.
fn existing(decoder: &DecoderConfig) -> impl Iterator<Item = Projection> {
    let gated = decoder.architecture.feed_forward.is_gated();
    let all = Projection::ALL.into_iter();
    all.filter(move |projection| *projection != Projection::Gate || gated)
}

/// Where the first layer's projection is stored.
fn place(projection: Projection, decoder: &DecoderConfig) -> TensorPlace {
    let (index, part) = (0, projection.weight());
    let family = decoder.architecture.family;
    family.place(Weight::Layer { index, part }, decoder)
}

fn module_name(tensor: &str) -> &str {
    tensor.strip_suffix(".weight").unwrap_or(tensor)
}

/// Every tensor with an adapter, layer by layer.
fn modules(decoder: &DecoderConfig, lora: &LoraConfig) -> Result<Vec<Module>, TransformerError> {
    lora.validate(decoder)?;
    let family = decoder.architecture.family;
    let mut modules: Vec<Module> = Vec::new();
    for layer in 0..decoder.num_hidden_layers {
        for &projection in &lora.projections {
            let weight = Weight::Layer {
                index: layer,
                part: projection.weight(),
            };
            let place = family.place(weight, decoder);
            let shape = weight.shape(decoder);
            let member = Member {
                projection,
                start: place.part.map_or(0, |part| part.start),
                outputs: shape[0],
            };
            let name = module_name(&place.name);
            if let Some(module) = modules.iter_mut().find(|module| module.name == name) {
                module.members.push(member);
                module.members.sort_by_key(|member| member.start);
                continue;
            }
            modules.push(Module {
                layer,
                name: name.to_owned(),
                members: vec![member],
                inputs: shape[1],
                outputs: place.part.map_or(shape[0], |part| part.total),
                inputs_first: place.inputs_first,
            });
        }
    }
    for module in &modules {
        let adapted: usize = module.members.iter().map(|member| member.outputs).sum();
        if adapted != module.outputs {
            return Err(module.invalid(
                "holds further projections, expected adapters for all of them: PEFT's layout has one for the tensor",
            ));
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

/// The last names of all modules that may have adapters.
fn module_names(decoder: &DecoderConfig) -> String {
    let names = existing(decoder).map(|projection| {
        let name = place(projection, decoder).name;
        let module = module_name(&name);
        module.rsplit('.').next().unwrap_or(module).to_owned()
    });
    let names: BTreeSet<String> = names.collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Refuses `fan_in_fan_out` of tensors that hold their outputs first. Where they hold their inputs first, PEFT takes it for
/// set in any case.
fn refuse_other_order(
    file: &ConfigFile,
    decoder: &DecoderConfig,
    projections: &[Projection],
) -> Result<(), TransformerError> {
    let mut projections = projections.iter();
    let outputs_first = projections.any(|&projection| !place(projection, decoder).inputs_first);
    match outputs_first {
        true => file.refuse_other_than("fan_in_fan_out", &json!(false)),
        false => Ok(()),
    }
}

/// The settings of adapters that are computed here.
fn read_config(file: &ConfigFile, decoder: &DecoderConfig) -> Result<LoraConfig, TransformerError> {
    for (setting, only) in [
        ("peft_type", json!("LORA")),
        ("bias", json!("none")),
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
    let mut projections = BTreeSet::new();
    for target in targets {
        let named: Vec<Projection> = of_name(target, decoder).collect();
        if named.is_empty() {
            return Err(file.unsupported("target_modules", &module_names(decoder)));
        }
        projections.extend(named);
    }
    let projections: Vec<Projection> = projections.into_iter().collect();
    refuse_other_order(file, decoder, &projections)?;
    Ok(LoraConfig {
        rank: file.required_usize("r")?,
        alpha: file.required_f64("lora_alpha")?,
        projections,
        base: None,
    })
}
