//! Layers that are computed again give the values and gradients of layers that are kept.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;

use std::collections::BTreeMap;

use golden::{family_cases, int_tensor};

use alambic_transformer::{
    AttentionContext, Decoder, LayerOutputs, LoraConfig, Precision, Projection, Recomputation,
    WantedLayers, load_checkpoint,
};
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor};

/// Largest difference of a loss of order 1: without a graph some operations, such as the softmax, are made in one.
const VALUE_TOLERANCE: f32 = 5e-6;
/// Largest relative difference of a gradient: the same sums, added in another order.
const GRADIENT_TOLERANCE: f32 = 2e-5;

/// The same where products are rounded: a gradient that arrives by another way is rounded once more or less.
const ROUNDED_GRADIENT_TOLERANCE: f32 = 3e-2;

/// Every gradient by its parameter; those of several graphs add up.
#[derive(Default)]
struct Sum(BTreeMap<ParamId, Vec<f32>>);

impl Sum {
    fn add(&mut self, decoder: &Decoder, gradients: &Gradients) {
        struct Collector<'a>(&'a Gradients, &'a mut BTreeMap<ParamId, Vec<f32>>);
        impl ModuleVisitor for Collector<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if !param.is_require_grad() {
                    return;
                }
                let Some(gradient) = param.val().grad(self.0) else {
                    return;
                };
                let numbers: Vec<f32> = gradient.try_into_vec_as().unwrap();
                let sum = self.1.entry(param.id).or_default();
                sum.resize(numbers.len(), 0.0);
                for (sum, number) in sum.iter_mut().zip(numbers) {
                    *sum += number;
                }
            }
        }
        decoder.visit(&mut Collector(gradients, &mut self.0));
    }

    fn assert_near(&self, expected: &Self, tolerance: f32, what: &str) {
        assert!(self.0.keys().eq(expected.0.keys()), "{what}: parameters");
        for (id, numbers) in &self.0 {
            let expected = &expected.0[id];
            let largest = expected.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
            let worst = golden::max_difference(numbers, expected) / largest;
            assert!(worst < tolerance, "{what}: a gradient differs by {worst}");
        }
    }
}

/// A loss of everything that was wanted, and of the head.
fn loss(decoder: &Decoder, outputs: &LayerOutputs, last: usize) -> Tensor<1> {
    let logits = decoder.lm_head(outputs.hidden_states[&last].clone());
    let mut sum = logits.sin().mean();
    for states in outputs.hidden_states.values() {
        sum = sum + states.clone().cos().mean();
    }
    for projections in outputs.attention.values() {
        for projected in [&projections.queries, &projections.keys, &projections.values] {
            sum = sum + projected.clone().cos().mean();
        }
    }
    sum
}

fn assert_agree(decoder: &Decoder, rows: &[Vec<u32>], wanted: &WantedLayers, what: &str) {
    let device = golden::device().autodiff();
    let last = decoder.config().num_hidden_layers;
    let context = AttentionContext::causal(rows.len(), rows[0].len(), &device);
    let token_ids = int_tensor(rows, &device);

    let outputs = decoder.layer_outputs(token_ids.clone(), &context, wanted);
    let kept = loss(decoder, &outputs, last);
    let mut of_kept = Sum::default();
    of_kept.add(decoder, &kept.backward());

    let (outputs, pass) = Recomputation::forward(decoder, token_ids, &context, wanted);
    let again = loss(decoder, &outputs, last);
    let mut losses = again.backward();
    let mut of_again = Sum::default();
    pass.backward(decoder, &mut losses, |gradients| {
        of_again.add(decoder, &gradients);
    });
    of_again.add(decoder, &losses);

    let (kept, again) = (kept.into_scalar::<f32>(), again.into_scalar::<f32>());
    let difference = (kept - again).abs();
    assert!(difference < VALUE_TOLERANCE, "{what}: {kept} and {again}");
    let tolerance = match decoder.precision() {
        Precision::F32 => GRADIENT_TOLERANCE,
        _ => ROUNDED_GRADIENT_TOLERANCE,
    };
    of_again.assert_near(&of_kept, tolerance, what);
}

fn of_last(decoder: &Decoder) -> WantedLayers {
    WantedLayers {
        hidden_states: [decoder.config().num_hidden_layers].into(),
        ..WantedLayers::default()
    }
}

#[test]
fn values_and_gradients_of_every_family_are_the_same() {
    for case in family_cases() {
        let device = golden::device().autodiff();
        let decoder = load_checkpoint(&case.dir, &device).unwrap().decoder;
        let rows = case.recording.tokens("short.input_ids");
        assert_agree(&decoder, &rows, &of_last(&decoder), &case.name);
        let layers = decoder.config().num_hidden_layers;
        let all = WantedLayers {
            hidden_states: (0..=layers).collect(),
            attention: (1..=layers).collect(),
        };
        assert_agree(&decoder, &rows, &all, &case.name);
    }
}

#[test]
fn adapters_and_rounded_products_are_computed_again_too() {
    let device = golden::device().autodiff();
    let cases = family_cases();
    let case = cases.iter().find(|case| case.name == "qwen3-biases");
    let case = case.unwrap();
    let rows = case.recording.tokens("short.input_ids");
    let decoder = || load_checkpoint(&case.dir, &device).unwrap().decoder;
    let lora = LoraConfig {
        rank: 2,
        alpha: 4.0,
        projections: vec![Projection::Query, Projection::Down],
        base: None,
    };
    let adapted = decoder().with_lora(&lora, 5).unwrap();
    assert_agree(&adapted, &rows, &of_last(&adapted), "adapters");
    if Precision::Bf16.is_supported(&device) {
        let rounded = decoder().computing_in(Precision::Bf16).unwrap();
        assert_agree(&rounded, &rows, &of_last(&rounded), "bf16");
    }
}

#[test]
fn layers_of_unlike_sizes_are_computed_again_too() {
    let device = golden::device().autodiff();
    for case in family_cases() {
        let checkpoint = load_checkpoint(&case.dir, &device).unwrap();
        let config = golden::halved_layers(checkpoint.decoder.config());
        let decoder = golden::new_decoder(&config, 5, &device);
        let rows = case.recording.tokens("short.input_ids");
        assert_agree(&decoder, &rows, &of_last(&decoder), &case.name);
    }
}

/// What a loss reads may end before the last layer: nothing behind it is computed, and nothing behind it has gradients.
#[test]
fn layers_that_no_loss_reads_have_no_gradients() {
    let device = golden::device().autodiff();
    let cases = family_cases();
    let case = cases.iter().find(|case| case.name == "llama-biases");
    let decoder = load_checkpoint(&case.unwrap().dir, &device)
        .unwrap()
        .decoder;
    let context = AttentionContext::causal(1, 4, &device);
    let token_ids = int_tensor(&[vec![1, 2, 3, 4]], &device);
    let wanted = WantedLayers {
        attention: [2].into(),
        ..WantedLayers::default()
    };
    let compare = |gradients: &mut dyn FnMut(&mut Sum)| {
        let mut sum = Sum::default();
        gradients(&mut sum);
        sum
    };
    let of_loss = |outputs: &LayerOutputs| outputs.attention[&2].keys.clone().sin().sum();
    let kept = compare(&mut |sum| {
        let outputs = decoder.layer_outputs(token_ids.clone(), &context, &wanted);
        sum.add(&decoder, &of_loss(&outputs).backward());
    });
    let again = compare(&mut |sum| {
        let (outputs, pass) =
            Recomputation::forward(&decoder, token_ids.clone(), &context, &wanted);
        let mut losses = of_loss(&outputs).backward();
        pass.backward(&decoder, &mut losses, |gradients| {
            sum.add(&decoder, &gradients);
        });
    });
    assert!(!again.0.is_empty());
    again.assert_near(&kept, GRADIENT_TOLERANCE, "the keys of a layer");
}
