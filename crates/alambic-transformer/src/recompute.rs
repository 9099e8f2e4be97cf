//! Gradients with little memory: what a layer computes is made again when its gradients are.

use burn::module::Module;
use burn::tensor::{Gradients, Int, Tensor};

use crate::context::{AttentionContext, Sight};
use crate::decoder::Decoder;
use crate::layer_outputs::{LayerOutputs, WantedLayers};

/// A forward pass that keeps what enters each layer, and nothing that is inside of them.
///
/// Of a plain forward pass everything that a layer computes waits for the gradients; here a layer is computed once more
/// when its turn comes, so that the inside of one layer exists at a time (Chen et al. 2016, arXiv:1604.06174, section 4,
/// with a segment for each layer). Values and gradients are the same up to the order of sums and, where products are
/// rounded, one rounding more or less.
///
/// # Cost
/// One more forward pass of the layers. Memory: `layers · batch · seq · hidden` numbers, and the inside of one layer.
///
/// # Example
/// ```
/// use alambic_transformer::{Architecture, AttentionContext, DecoderConfig, Recomputation, WantedLayers};
/// use burn::tensor::{Device, Int, Tensor};
///
/// let device = Device::flex().autodiff();
/// let decoder = DecoderConfig {
///     vocab_size: 32,
///     hidden_size: 16,
///     intermediate_size: 40,
///     num_hidden_layers: 2,
///     num_attention_heads: 4,
///     num_key_value_heads: 2,
///     head_dim: 4,
///     max_position_embeddings: 64,
///     rms_norm_eps: 1e-5,
///     rope_theta: 10_000.0,
///     tie_word_embeddings: true,
///     initializer_range: 0.02,
///     architecture: Architecture::default(),
/// }
/// .init(&device);
/// let token_ids = Tensor::<2, Int>::from_ints([[1, 2, 3]], &device);
/// let context = AttentionContext::causal(1, 3, &device);
/// let wanted = WantedLayers { hidden_states: [2].into(), ..WantedLayers::default() };
///
/// let (outputs, pass) = Recomputation::forward(&decoder, token_ids, &context, &wanted);
/// let mut losses = outputs.hidden_states[&2].clone().square().mean().backward();
/// let mut graphs = 0;
/// pass.backward(&decoder, &mut losses, |_gradients| graphs += 1);
/// assert_eq!(graphs, 3); // of the second layer with the last norm, of the first, and of the embedding
/// ```
#[derive(Debug)]
pub struct Recomputation {
    token_ids: Tensor<2, Int>,
    sight: Sight,
    /// What enters each layer that was computed, on the plain device.
    inputs: Vec<Tensor<3>>,
    /// What the caller's losses read.
    outputs: LayerOutputs,
}

impl Recomputation {
    /// Computes the outputs of some layers, as [`Decoder::layer_outputs`] does.
    ///
    /// The outputs are the beginning of a graph of their own: gradients of the decoder's layers are to be had from
    /// [`backward`](Self::backward) alone.
    ///
    /// # Panics
    /// As [`Decoder::layer_outputs`].
    pub fn forward(
        decoder: &Decoder,
        token_ids: Tensor<2, Int>,
        context: &AttentionContext,
        wanted: &WantedLayers,
    ) -> (LayerOutputs, Self) {
        let last = wanted.last().unwrap_or(0);
        let mut kept = wanted.clone();
        kept.hidden_states.extend(0..last);
        let token_ids = token_ids.without_autodiff();
        let mut outputs = decoder
            .valid()
            .layer_outputs(token_ids.clone(), context, &kept);
        let inputs = (0..last).map(|index| outputs.hidden_states[&index].clone());
        let inputs = inputs.collect();
        let is_wanted = |index: &usize, _: &mut Tensor<3>| wanted.hidden_states.contains(index);
        outputs.hidden_states.retain(is_wanted);
        for states in outputs.hidden_states.values_mut() {
            *states = leaf(states.clone());
        }
        for projections in outputs.attention.values_mut() {
            *projections = projections.clone().map(leaf);
        }
        let pass = Self {
            token_ids,
            sight: context.sight(decoder.config()),
            inputs,
            outputs: outputs.clone(),
        };
        (outputs, pass)
    }

    /// Computes every layer once more, from the last to the first, and hands its gradients to `collect`; those of the
    /// embedding come last. Gradients of parameters that the losses read themselves, such as the head's, stay in
    /// `losses`, those of losses of the outputs.
    pub fn backward(
        mut self,
        decoder: &Decoder,
        losses: &mut Gradients,
        mut collect: impl FnMut(Gradients),
    ) {
        // What the losses, and the layers behind, say about what the layer at hand gives.
        let mut of_states = self.of_output(self.inputs.len(), losses);
        for index in (0..self.inputs.len()).rev() {
            let input = leaf(self.inputs.remove(index));
            let wanted = self.outputs.attention.remove(&(index + 1));
            let (states, projections) =
                decoder.layer(index, input.clone(), &self.sight, wanted.is_some());
            let mut product = Product::default();
            product.add(states, of_states);
            if let (Some(projections), Some(wanted)) = (projections, wanted) {
                for (again, once) in projections
                    .into_array()
                    .into_iter()
                    .zip(wanted.into_array())
                {
                    product.add(again, once.grad_remove(losses));
                }
            }
            let gradients = product.backward();
            let of_input = gradients.and_then(|mut gradients| {
                let of_input = input.grad_remove(&mut gradients);
                collect(gradients);
                of_input
            });
            of_states = match (of_input, self.of_output(index, losses)) {
                (Some(one), Some(other)) => Some(one + other),
                (one, other) => one.or(other),
            };
        }
        let mut product = Product::default();
        product.add(decoder.input_states(self.token_ids, &self.sight), of_states);
        if let Some(gradients) = product.backward() {
            collect(gradients);
        }
    }

    /// What the losses say about a hidden state.
    fn of_output(&mut self, index: usize, losses: &mut Gradients) -> Option<Tensor<3>> {
        let output = self.outputs.hidden_states.remove(&index)?;
        output.grad_remove(losses)
    }
}

/// The beginning of a graph.
fn leaf<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.autodiff().require_grad()
}

/// `Σ value · gradient`, whose gradients are those of the values' parameters.
#[derive(Default)]
struct Product(Option<Tensor<1>>);

impl Product {
    fn add<const D: usize>(&mut self, value: Tensor<D>, gradient: Option<Tensor<D>>) {
        let Some(gradient) = gradient else { return };
        let more = (value * gradient).sum();
        self.0 = Some(match self.0.take() {
            Some(sum) => sum + more,
            None => more,
        });
    }

    fn backward(self) -> Option<Gradients> {
        // Nothing in front of what is trained, such as adapters, has gradients.
        let tracked = self.0.filter(|sum| sum.is_tracked());
        tracked.map(|sum| sum.backward())
    }
}
