//! Recorded results of the reference implementation, and the device under test.
#![allow(dead_code)] // each test binary uses its own part

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use alambic_transformer::{
    AttentionContext, Checkpoint, Decoder, DecoderConfig, DeviceChoice, LayerSizes, load_checkpoint,
};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

/// Largest difference between our f32 logits (of order 1) and those of the reference.
pub(crate) const LOGIT_TOLERANCE: f32 = 1e-4;

/// Small random checkpoints of every family in the shared data directory.
const SHARED_FAMILIES: [&str; 16] = [
    "llama",
    "llama-tied-gqa2",
    "llama3-rope",
    "llama-linear-rope",
    "llama-yarn",
    "mistral-sliding",
    "qwen2",
    "qwen3",
    "phi3",
    "phi3-longrope",
    "smollm3-nope",
    "gemma2",
    "gemma3",
    "olmo2",
    "granite",
    "gpt2",
];

/// Smaller ones beside this file, with settings that the shared ones lack.
pub(crate) const OWN_FAMILIES: [&str; 10] = [
    "llama-dynamic",
    "llama-yarn-settings",
    "llama-biases",
    "qwen2-sliding",
    "qwen3-biases",
    "phi3-partial-sliding",
    "smollm3-sliding",
    "olmo3",
    "gemma2-odd",
    "gemma3-both-layers",
];

/// A checkpoint and what the reference implementation computes of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) recording: Recording,
}

impl Case {
    /// A figure of the index beside the checkpoints.
    pub(crate) fn figure(&self, name: &str) -> f64 {
        let index = std::fs::read(self.dir.join("../index.json")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        index["cases"][&self.name][name].as_f64().unwrap()
    }
}

/// Checkpoints of every family; without the shared data directory, said loudly, only those beside this file.
pub(crate) fn family_cases() -> Vec<Case> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families");
    let of_root = |root: &Path, names: &[&str]| -> Vec<Case> {
        let case = |name: &&str| Case {
            name: (*name).to_owned(),
            dir: root.join(name),
            recording: Recording::open(&root.join(name).join("golden.safetensors")),
        };
        names.iter().map(case).collect()
    };
    let mut cases = of_root(&own, &OWN_FAMILIES);
    if let Some(root) = shared("golden/hf") {
        cases.extend(of_root(&root, &SHARED_FAMILIES));
    }
    cases
}

/// The device under test: `ALAMBIC_TEST_DEVICE`, or the CPU.
pub(crate) fn device() -> Device {
    let name = std::env::var("ALAMBIC_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_string());
    let choice: DeviceChoice = name.parse().unwrap();
    choice.open().unwrap()
}

/// A decoder with new weights that `seed` alone decides.
///
/// burn's random generator belongs to the process, and tests run in threads: one at a time draws.
pub(crate) fn new_decoder(config: &DecoderConfig, seed: u64, device: &Device) -> Decoder {
    static DRAWING: Mutex<()> = Mutex::new(());
    let _alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    config.init(device)
}

/// A path in the shared data directory; `None`, said loudly, if there is no such directory.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ALAMBIC_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    if root.is_dir() {
        return Some(root.join(path));
    }
    eprintln!("skipped: {path} needs the shared data directory (set ALAMBIC_SHARED)");
    None
}

/// A checkpoint in the shared data directory, on the device under test.
pub(crate) fn shared_checkpoint(path: &str) -> Option<Checkpoint> {
    Some(load_checkpoint(&shared(path)?, &device()).unwrap())
}

/// A safetensors file of recorded tensors.
pub(crate) struct Recording(Vec<u8>);

impl Recording {
    pub(crate) fn open(path: &Path) -> Self {
        Self(std::fs::read(path).unwrap())
    }

    pub(crate) fn holds(&self, name: &str) -> bool {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        file.names().contains(&name)
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::F32);
        let words = tensor.data().chunks_exact(4);
        words
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    /// Token ids as rows.
    pub(crate) fn tokens(&self, name: &str) -> Vec<Vec<u32>> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        let bytes = match tensor.dtype() {
            Dtype::I32 => 4,
            Dtype::I64 => 8,
            other => panic!("{name} is of type {other:?}"),
        };
        let words = tensor.data().chunks_exact(bytes);
        let ids: Vec<u32> = words
            .map(|b| u32::from_le_bytes(b[..4].try_into().unwrap()))
            .collect();
        let seq = *tensor.shape().last().unwrap();
        ids.chunks_exact(seq).map(<[u32]>::to_vec).collect()
    }
}

/// Rows of token ids, or of other small numbers, as a tensor.
pub(crate) fn int_tensor(rows: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
    let seq = rows[0].len();
    let flat: Vec<i32> = rows.iter().flatten().map(|&id| id as i32).collect();
    Tensor::from_data(TensorData::new(flat, [rows.len(), seq]), device)
}

/// Causal logits of rows of equal length, flattened.
pub(crate) fn logits(checkpoint: &Checkpoint, rows: &[Vec<u32>]) -> Vec<f32> {
    let device = device();
    let context = AttentionContext::causal(rows.len(), rows[0].len(), &device);
    let logits = checkpoint
        .decoder
        .forward(int_tensor(rows, &device), &context);
    logits.try_into_vec_as().unwrap()
}

pub(crate) fn max_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    let differences = left.iter().zip(right).map(|(l, r)| (l - r).abs());
    differences.fold(0.0, |worst, difference| {
        if difference.is_nan() {
            f32::NAN
        } else {
            worst.max(difference)
        }
    })
}

/// The same decoder with every matrix changed by its path.
pub(crate) fn with_weights(
    decoder: Decoder,
    change: impl FnMut(&str, Tensor<2>) -> Tensor<2>,
) -> Decoder {
    struct Changed<F> {
        path: Vec<String>,
        change: F,
    }
    impl<F: FnMut(&str, Tensor<2>) -> Tensor<2>> ModuleMapper for Changed<F> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let path = self.path.join(".");
            param.map(|values| {
                let shape = values.dims();
                if D != 2 {
                    return values;
                }
                let matrix = values.reshape([shape[0], shape[1]]);
                (self.change)(&path, matrix).reshape(shape)
            })
        }
    }
    decoder.map(&mut Changed {
        path: Vec::new(),
        change,
    })
}

/// A family's configuration with every other layer at half of its sizes.
pub(crate) fn halved_layers(config: &DecoderConfig) -> DecoderConfig {
    let halved = |(index, whole): (usize, LayerSizes)| match index % 2 {
        0 => whole,
        _ => {
            let groups = (whole.num_key_value_heads / 2).max(1);
            let shared = whole.num_attention_heads / whole.num_key_value_heads;
            LayerSizes {
                intermediate_size: whole.intermediate_size / 2,
                num_attention_heads: groups * shared,
                num_key_value_heads: groups,
            }
        }
    };
    let mut config = config.clone();
    let sizes = config.all_layer_sizes().enumerate();
    config.architecture.layer_sizes = sizes.map(halved).collect();
    config
}
