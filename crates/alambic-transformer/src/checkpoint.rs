//! Checkpoints in the Hugging Face layout: a directory of `config.json` and safetensors files.

mod adapter;
mod atomic_file;
mod config_file;
mod fingerprint;
mod header;
mod save;
mod tensor_reader;
mod weight_files;

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

pub use adapter::{load_adapter, save_adapter};
pub(crate) use save::check_family;
pub use save::{SaveOptions, WeightType, save_checkpoint};

pub(crate) use config_file::ConfigFile;

use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::error::TransformerError;
use crate::families::{Family, TensorPlace};
use crate::weights::{Weight, WeightSource};
use tensor_reader::Layout;
use weight_files::WeightFiles;

/// Name of the configuration inside a checkpoint's directory.
pub(crate) const CONFIG_FILE: &str = "config.json";

/// A decoder read from a directory, and what its configuration says besides.
#[derive(Debug)]
pub struct Checkpoint {
    /// The decoder, on the device asked for, with f32 weights.
    pub decoder: Decoder,
    /// Its sizes and constants.
    pub config: DecoderConfig,
    /// SHA-256 over `config.json` and the weight files: two equal ones compute the same.
    pub fingerprint: String,
    /// The token that begins a sequence.
    pub bos_token_id: Option<u32>,
    /// The tokens that end a sequence; empty if the configuration names none.
    pub eos_token_ids: Vec<u32>,
    /// The token that fills up a batch.
    pub pad_token_id: Option<u32>,
}

/// Reads a decoder from a directory in the Hugging Face layout.
///
/// Reads `config.json` and either `model.safetensors` or the shards that
/// `model.safetensors.index.json` names. Weights in f32, f16 or bf16 become f32 parameters, one
/// tensor at a time. What old files store besides and the decoder computes is ignored: `*rotary_emb.inv_freq`, and
/// GPT-2's masks.
/// A `lm_head.weight` beside tied embeddings must equal the embedding.
///
/// # Errors
/// A family or setting that is not computed is refused by name; missing, unknown and misshapen
/// tensors are all listed in one error; a damaged file is named. Nothing is allocated on the word
/// of a file before that word is checked against the file's length.
pub fn load_checkpoint(dir: &Path, device: &Device) -> Result<Checkpoint, TransformerError> {
    let config_file = ConfigFile::read(&dir.join(CONFIG_FILE))?;
    let family = Family::of(&config_file)?;
    let config = family.decoder_config(&config_file)?;
    let files = WeightFiles::open(dir)?;
    let fingerprint = fingerprint::fingerprint(dir, files.file_names())?;
    let mut source = CheckpointWeights::new(dir, family, &config, files, device)?;
    let decoder = Decoder::assemble(&config, &mut source)?;
    Ok(Checkpoint {
        decoder,
        bos_token_id: config_file.optional_token("bos_token_id")?,
        eos_token_ids: config_file.tokens("eos_token_id", config.vocab_size)?,
        pad_token_id: config_file.optional_token("pad_token_id")?,
        config,
        fingerprint,
    })
}

/// The weights of one family's checkpoint, checked against its configuration.
struct CheckpointWeights<'a> {
    family: Family,
    config: &'a DecoderConfig,
    files: WeightFiles,
    device: &'a Device,
}

impl<'a> CheckpointWeights<'a> {
    fn new(
        dir: &Path,
        family: Family,
        config: &'a DecoderConfig,
        files: WeightFiles,
        device: &'a Device,
    ) -> Result<Self, TransformerError> {
        let mut source = Self {
            family,
            config,
            files,
            device,
        };
        let problems = source.mismatches();
        if !problems.is_empty() {
            return Err(TransformerError::WeightMismatch {
                path: dir.to_path_buf(),
                problems,
            });
        }
        source.refuse_contradicting_head(dir)?;
        Ok(source)
    }

    /// The name of a tensor in these files, which may leave out a prefix.
    fn stored_name(&self, name: String) -> String {
        let prefix = self.family.optional_prefix();
        let short = prefix.and_then(|prefix| name.strip_prefix(prefix));
        match short {
            Some(short) if !self.files.contains(&name) && self.files.contains(short) => {
                short.to_owned()
            }
            _ => name,
        }
    }

    /// The tensor that holds a weight, by the name that it has in these files.
    fn place(&self, weight: Weight) -> TensorPlace {
        let place = self.family.place(weight, self.config);
        TensorPlace {
            name: self.stored_name(place.name.clone()),
            ..place
        }
    }

    /// Every missing, misshapen and unknown tensor.
    fn mismatches(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut known = BTreeSet::new();
        let mut weights = Weight::all(self.config);
        let head = self.place(Weight::Head);
        if self.config.tie_word_embeddings && self.files.contains(&head.name) {
            weights.push(Weight::Head);
        }
        for weight in weights {
            let place = self.place(weight);
            let shape = place.tensor_shape(&weight.shape(self.config));
            // Several weights may share a tensor.
            if known.insert(place.name.clone()) {
                problems.extend(self.files.mismatch(&place.name, &shape));
            }
        }
        let unknown = self
            .files
            .tensor_names()
            .filter(|name| !known.contains(*name))
            .filter(|name| !self.family.ignores(name))
            .map(|name| format!("unknown tensor `{name}`, expected no such tensor"));
        problems.extend(unknown);
        problems
    }

    /// A head stored beside tied embeddings must be the embedding; else one of the two is wrong.
    fn refuse_contradicting_head(&mut self, dir: &Path) -> Result<(), TransformerError> {
        let head = self.place(Weight::Head).name;
        if !self.config.tie_word_embeddings || !self.files.contains(&head) {
            return Ok(());
        }
        let embedding = self.place(Weight::Embedding).name;
        if self.files.read(&head, None, Layout::AsStored)?
            == self.files.read(&embedding, None, Layout::AsStored)?
        {
            return Ok(());
        }
        Err(TransformerError::WeightMismatch {
            path: dir.to_path_buf(),
            problems: vec![format!(
                "`{head}` differs from `{embedding}`, expected equal tensors because config.json has tie_word_embeddings = true"
            )],
        })
    }

    fn load<const D: usize>(
        &mut self,
        weight: Weight,
        layout: Layout,
        shape: [usize; D],
    ) -> Result<Tensor<D>, TransformerError> {
        let place = self.place(weight);
        let outputs = weight.shape(self.config)[0];
        let part = place.part.map(|part| part.start..part.start + outputs);
        let values = match (place.inputs_first, part) {
            (false, rows) => self.files.read(&place.name, rows, layout)?,
            (true, None) => self.files.read(&place.name, None, Layout::AsStored)?,
            (true, Some(columns)) => {
                let all = self.files.read(&place.name, None, Layout::AsStored)?;
                let total = place.tensor_shape(&weight.shape(self.config))[1];
                let rows = all.chunks_exact(total);
                rows.flat_map(|row| &row[columns.clone()])
                    .copied()
                    .collect()
            }
        };
        let data = TensorData::new(values, shape);
        Ok(Tensor::from_data(data, self.device))
    }

    fn matrix_shape(&self, weight: Weight) -> [usize; 2] {
        weight
            .shape(self.config)
            .try_into()
            .expect("projections and tables are matrices")
    }
}

impl WeightSource for CheckpointWeights<'_> {
    type Error = TransformerError;

    fn vector(&mut self, weight: Weight) -> Result<Tensor<1>, TransformerError> {
        let size = weight.shape(self.config)[0];
        self.load(weight, Layout::AsStored, [size])
    }

    fn projection(&mut self, weight: Weight) -> Result<Tensor<2>, TransformerError> {
        let [outputs, inputs] = self.matrix_shape(weight);
        self.load(weight, Layout::Transposed, [inputs, outputs])
    }

    fn table(&mut self, weight: Weight) -> Result<Tensor<2>, TransformerError> {
        self.load(weight, Layout::AsStored, self.matrix_shape(weight))
    }
}
