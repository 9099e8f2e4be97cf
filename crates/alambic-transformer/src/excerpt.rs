//! A smaller decoder made of some layers of a larger one.

use burn::tensor::Tensor;

use crate::architecture::{Architecture, LayerSizes};
use crate::checkpoint::check_family;
use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::error::TransformerError;
use crate::weights::{Weight, WeightSource, WeightValue};

impl Decoder {
    /// A decoder of another depth and width whose weights are those of this one's: of the given layers, counted
    /// from 1 and in this order, and of every matrix the first rows and columns.
    ///
    /// The usual start of a student: layers at even distances, the first and the last among them (Sanh et al. 2019,
    /// arXiv:1910.01108, section 3; Shleifer & Rush 2020, arXiv:2010.13002, table 2). The weights are copies, and compute in f32.
    ///
    /// # Errors
    /// [`TransformerError::NotAnExcerpt`] if there is not one layer for each of `config`, if a layer does not exist, if a
    /// size is larger than this decoder's, if heads have another width or share keys and values in another way, if norms or
    /// wavelengths have other constants, or if the architecture is not [`Architecture::of_excerpt`](crate::Architecture::of_excerpt) of this one's.
    ///
    /// ```
    /// use alambic_transformer::{Architecture, DecoderConfig};
    /// use burn::tensor::Device;
    ///
    /// let teacher = DecoderConfig {
    ///     vocab_size: 32, hidden_size: 16, intermediate_size: 40, num_hidden_layers: 4,
    ///     num_attention_heads: 4, num_key_value_heads: 2, head_dim: 4, max_position_embeddings: 64,
    ///     rms_norm_eps: 1e-5, rope_theta: 10_000.0, tie_word_embeddings: true,
    ///     initializer_range: 0.02, architecture: Architecture::default(),
    /// };
    /// let student = DecoderConfig {
    ///     num_hidden_layers: 2,
    ///     hidden_size: 8,
    ///     num_attention_heads: 2,
    ///     num_key_value_heads: 1,
    ///     ..teacher.clone()
    /// };
    /// let decoder = teacher.init(&Device::flex()).excerpt(&student, &[1, 4])?;
    /// assert_eq!(decoder.config(), &student);
    /// # Ok::<(), alambic_transformer::TransformerError>(())
    /// ```
    pub fn excerpt(
        &self,
        config: &DecoderConfig,
        layers: &[usize],
    ) -> Result<Self, TransformerError> {
        self.config().check_excerpt(config, layers)?;
        let mut source = Excerpt {
            whole: self,
            config,
            layers,
        };
        match Self::assemble(config, &mut source) {
            Ok(decoder) => Ok(decoder),
            Err(never) => match never {},
        }
    }
}

impl DecoderConfig {
    /// Whether [`Decoder::excerpt`] makes a decoder of `part` out of these layers of one of this configuration.
    ///
    /// # Errors
    /// Those of [`Decoder::excerpt`].
    pub fn check_excerpt(&self, part: &Self, layers: &[usize]) -> Result<(), TransformerError> {
        part.validate()?;
        let problems = problems(self, part, layers);
        match problems.is_empty() {
            // What is trained can be written.
            true => check_family(part),
            false => Err(TransformerError::NotAnExcerpt { problems }),
        }
    }
}

/// Everything that keeps `part` from being an excerpt of `whole`.
fn problems(whole: &DecoderConfig, part: &DecoderConfig, layers: &[usize]) -> Vec<String> {
    let mut problems = Vec::new();
    if layers.len() != part.num_hidden_layers {
        problems.push(format!(
            "{} layers are taken, expected num_hidden_layers ({})",
            layers.len(),
            part.num_hidden_layers
        ));
    }
    let last = whole.num_hidden_layers;
    for layer in layers.iter().filter(|layer| !(1..=last).contains(*layer)) {
        problems.push(format!(
            "layer {layer} is taken, expected one of 1 to {last}"
        ));
    }
    let mut constants = vec![("rms_norm_eps", whole.rms_norm_eps, part.rms_norm_eps)];
    if whole.architecture.rotates() {
        constants.push(("rope_theta", whole.rope_theta, part.rope_theta));
    }
    for (name, expected, found) in constants {
        if found != expected {
            problems.push(format!("{name} is {found}, expected {expected}"));
        }
    }
    if part.tie_word_embeddings && !whole.tie_word_embeddings {
        problems.push(
            "tie_word_embeddings is true, expected false: the head is not the embedding".to_owned(),
        );
    }
    let positions = (whole.max_position_embeddings, part.max_position_embeddings);
    if whole.architecture.rope_scaling.depends_on_length() && positions.0 != positions.1 {
        problems.push(format!(
            "max_position_embeddings is {}, expected {}, on which the wavelengths depend",
            positions.1, positions.0
        ));
    }
    for (name, most, found) in [
        ("vocab_size", whole.vocab_size, part.vocab_size),
        ("hidden_size", whole.hidden_size, part.hidden_size),
    ] {
        if found > most {
            problems.push(format!("{name} is {found}, expected at most {most}"));
        }
    }
    if part.head_dim != whole.head_dim {
        let (found, expected) = (part.head_dim, whole.head_dim);
        problems.push(format!("head_dim is {found}, expected {expected}"));
    }
    // Layers of one size have one problem.
    let unlike = !whole.architecture.layer_sizes.is_empty();
    for (sizes, &layer) in part.all_layer_sizes().zip(layers) {
        for problem in problems_of_sizes(whole.layer_sizes(layer.wrapping_sub(1)), sizes) {
            let problem = match unlike {
                true => format!("of layer {layer}, {problem}"),
                false => problem,
            };
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    let learns = whole.architecture.learned_positions;
    if learns && part.max_position_embeddings > whole.max_position_embeddings {
        problems.push(format!(
            "max_position_embeddings is {}, expected at most {}, since positions are learned",
            part.max_position_embeddings, whole.max_position_embeddings
        ));
    }
    let architecture = Architecture {
        layer_sizes: part.architecture.layer_sizes.clone(),
        ..whole.architecture.of_excerpt(part.hidden_size, layers)
    };
    if part.architecture != architecture {
        problems.push("its architecture is not that of the layers that are taken".to_owned());
    }
    problems
}

/// Everything that keeps a layer from being made of the first rows and columns of another.
fn problems_of_sizes(whole: LayerSizes, part: LayerSizes) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, most, found) in [
        (
            "intermediate_size",
            whole.intermediate_size,
            part.intermediate_size,
        ),
        (
            "num_attention_heads",
            whole.num_attention_heads,
            part.num_attention_heads,
        ),
        (
            "num_key_value_heads",
            whole.num_key_value_heads,
            part.num_key_value_heads,
        ),
    ] {
        if found > most {
            problems.push(format!("{name} is {found}, expected at most {most}"));
        }
    }
    let (expected, found) = (whole.queries_per_key_value(), part.queries_per_key_value());
    if found != expected {
        problems.push(format!(
            "num_attention_heads / num_key_value_heads is {found}, expected {expected}"
        ));
    }
    problems
}

/// The weights of an excerpt.
struct Excerpt<'a> {
    whole: &'a Decoder,
    config: &'a DecoderConfig,
    layers: &'a [usize],
}

impl Excerpt<'_> {
    fn of_whole(&self, weight: Weight) -> WeightValue {
        self.whole.weight(match weight {
            Weight::Layer { index, part } => Weight::Layer {
                index: self.layers[index] - 1,
                part,
            },
            other => other,
        })
    }

    /// The first rows and columns, and their number as `[outputs, inputs]`.
    fn matrix(&self, weight: Weight) -> (Tensor<2>, [usize; 2]) {
        let (WeightValue::Projection(matrix) | WeightValue::Table(matrix)) = self.of_whole(weight)
        else {
            unreachable!("projections and tables are matrices");
        };
        let shape = weight.shape(self.config);
        (matrix, [shape[0], shape[1]])
    }
}

impl WeightSource for Excerpt<'_> {
    type Error = std::convert::Infallible;

    fn vector(&mut self, weight: Weight) -> Result<Tensor<1>, Self::Error> {
        let WeightValue::Vector(vector) = self.of_whole(weight) else {
            unreachable!("norms and biases are vectors");
        };
        Ok(vector.narrow(0, 0, weight.shape(self.config)[0]).detach())
    }

    fn projection(&mut self, weight: Weight) -> Result<Tensor<2>, Self::Error> {
        let (matrix, [outputs, inputs]) = self.matrix(weight);
        Ok(matrix.narrow(0, 0, inputs).narrow(1, 0, outputs).detach())
    }

    fn table(&mut self, weight: Weight) -> Result<Tensor<2>, Self::Error> {
        let (matrix, [rows, width]) = self.matrix(weight);
        Ok(matrix.narrow(0, 0, rows).narrow(1, 0, width).detach())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::{Device, Int};

    use super::*;
    use crate::architecture::{Biases, LayerKind};
    use crate::context::AttentionContext;
    use crate::families::Family;
    use crate::weights::LayerWeight;

    fn whole() -> DecoderConfig {
        DecoderConfig {
            vocab_size: 20,
            hidden_size: 16,
            intermediate_size: 24,
            num_hidden_layers: 3,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 4,
            max_position_embeddings: 32,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            tie_word_embeddings: false,
            initializer_range: 0.3,
            architecture: Architecture {
                family: Family::Qwen2,
                biases: Biases {
                    query_key_value: true,
                    ..Biases::default()
                },
                sliding_window: Some(4),
                layer_kinds: [false, true, false]
                    .map(|slides| LayerKind {
                        slides,
                        ..LayerKind::default()
                    })
                    .to_vec(),
                ..Architecture::default()
            },
        }
    }

    fn logits(decoder: &Decoder) -> Vec<f32> {
        let device = Device::flex();
        let ids = Tensor::<2, Int>::from_ints([[1, 5, 9, 2, 19, 0, 3, 7]], &device);
        let context = AttentionContext::causal(1, 8, &device);
        decoder.forward(ids, &context).try_into_vec_as().unwrap()
    }

    #[test]
    fn all_layers_in_their_widths_are_the_whole() {
        let whole = whole().init(&Device::flex());
        let part = whole.excerpt(whole.config(), &[1, 2, 3]).unwrap();
        assert_eq!(logits(&part), logits(&whole));
    }

    #[test]
    fn layers_come_with_what_they_do_and_matrices_with_their_first_rows_and_columns() {
        let whole = whole().init(&Device::flex());
        let config = DecoderConfig {
            num_hidden_layers: 2,
            hidden_size: 8,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            architecture: whole.config().architecture.of_excerpt(8, &[3, 2]),
            ..whole.config().clone()
        };
        let slides = config
            .architecture
            .layer_kinds
            .iter()
            .map(|kind| kind.slides);
        assert_eq!(slides.collect::<Vec<_>>(), [false, true]);
        let part = whole.excerpt(&config, &[3, 2]).unwrap();
        assert_eq!(logits(&part).len(), 8 * 20);
        let value = |decoder: &Decoder, index, part| -> Vec<f32> {
            match decoder.weight(Weight::Layer { index, part }) {
                WeightValue::Projection(matrix) => matrix.try_into_vec_as().unwrap(),
                WeightValue::Vector(vector) => vector.try_into_vec_as().unwrap(),
                WeightValue::Table(_) => unreachable!(),
            }
        };
        let (large, small) = (
            value(&whole, 1, LayerWeight::Output),
            value(&part, 1, LayerWeight::Output),
        );
        // [inputs, outputs]: 16 by 16, of which 8 by 8.
        for (row, small) in small.chunks_exact(8).enumerate() {
            assert_eq!(small, &large[16 * row..16 * row + 8]);
        }
        let (large, small) = (
            value(&whole, 2, LayerWeight::QueryBias),
            value(&part, 0, LayerWeight::QueryBias),
        );
        assert_eq!(small, &large[..8]);
    }

    #[test]
    fn what_is_no_excerpt_is_refused_with_every_reason() {
        let whole = whole().init(&Device::flex());
        let config = DecoderConfig {
            num_hidden_layers: 2,
            hidden_size: 20,
            head_dim: 6,
            num_key_value_heads: 4,
            rope_theta: 500.0,
            architecture: Architecture::default(),
            ..whole.config().clone()
        };
        let error = whole.excerpt(&config, &[0, 4, 1]).unwrap_err().to_string();
        for told in [
            "3 layers are taken, expected num_hidden_layers (2)",
            "layer 0 is taken, expected one of 1 to 3",
            "layer 4 is taken",
            "hidden_size is 20, expected at most 16",
            "num_key_value_heads is 4, expected at most 2",
            "head_dim is 6, expected 4",
            "num_attention_heads / num_key_value_heads is 1, expected 2",
            "rope_theta is 500, expected 10000",
            "its architecture is not that of the layers that are taken",
        ] {
            assert!(error.contains(told), "{told:?} is not in {error:?}");
        }
    }
}
