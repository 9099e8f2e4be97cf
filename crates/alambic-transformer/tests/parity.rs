//! The decoder computes what the reference implementation recorded.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;

use std::path::Path;

use golden::{
    Case, LOGIT_TOLERANCE, Recording, family_cases, int_tensor, logits, max_difference, shared,
    shared_checkpoint,
};

use alambic_transformer::{AttentionContext, WantedLayers, load_checkpoint};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Gradients, Tensor};

/// Largest relative difference between our gradient norm and that of the reference.
const GRADIENT_NORM_TOLERANCE: f64 = 1e-4;
/// Largest difference between our cross-entropy and that of the reference, in nats.
const CROSS_ENTROPY_TOLERANCE: f64 = 1e-5;

/// How much more both may be on other devices than the CPU backend flex.
const OTHER_DEVICES: f64 = 10.0;

fn allowance() -> f64 {
    match golden::device() == Device::flex() {
        true => 1.0,
        false => OTHER_DEVICES,
    }
}

/// Largest difference between the outputs of a layer, of up to 17, and those of the reference.
const LAYER_TOLERANCE: f32 = 2e-4;

#[test]
fn logits_of_the_small_teacher_match_the_recorded_ones() {
    let Some(checkpoint) = shared_checkpoint("data/stories260K/hf") else {
        return;
    };
    let recording = Recording::open(&shared("data/stories260K/golden/logits.safetensors").unwrap());
    let found = logits(&checkpoint, &recording.tokens("input_ids"));
    let worst = max_difference(&found, &recording.floats("logits"));
    assert!(worst < LOGIT_TOLERANCE, "the logits differ by {worst}");
}

#[test]
fn logits_of_every_family_match_the_recorded_ones() {
    for Case {
        name: case,
        dir,
        recording,
    } in family_cases()
    {
        let checkpoint = load_checkpoint(&dir, &golden::device()).unwrap();
        for length in ["short", "long"] {
            let found = logits(
                &checkpoint,
                &recording.tokens(&format!("{length}.input_ids")),
            );
            let expected = recording.floats(&format!("{length}.logits"));
            let worst = max_difference(&found, &expected);
            assert!(
                worst < LOGIT_TOLERANCE,
                "{case} {length}: the logits differ by {worst}"
            );
        }
    }
}

#[test]
fn hidden_states_of_every_family_match_the_recorded_ones() {
    for Case {
        name: case,
        dir,
        recording,
    } in family_cases()
    {
        if !recording.holds("short.hidden_last") {
            continue;
        }
        let device = golden::device();
        let checkpoint = load_checkpoint(&dir, &device).unwrap();
        let rows = recording.tokens("short.input_ids");
        let context = AttentionContext::causal(rows.len(), rows[0].len(), &device);
        let hidden = checkpoint
            .decoder
            .hidden(int_tensor(&rows, &device), &context);
        let found: Vec<f32> = hidden.try_into_vec_as().unwrap();
        let worst = max_difference(&found, &recording.floats("short.hidden_last"));
        assert!(
            worst < LOGIT_TOLERANCE,
            "{case}: the hidden states differ by {worst}"
        );
    }
}

#[test]
fn what_every_layer_gives_matches_the_recorded_outputs() {
    let device = golden::device();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let decoder = load_checkpoint(&root.join("../../data/quickstart_teacher"), &device)
        .unwrap()
        .decoder;
    let recording = Recording::open(&root.join("tests/golden/layer_outputs.safetensors"));
    let rows = recording.tokens("input_ids");
    let (seq, layers) = (rows[0].len(), decoder.config().num_hidden_layers);
    let context = AttentionContext::causal(1, seq, &device);
    let wanted = WantedLayers {
        hidden_states: (0..=layers).collect(),
        attention: (1..=layers).collect(),
    };
    let outputs = decoder.layer_outputs(int_tensor(&rows, &device), &context, &wanted);
    let compare = |name: String, found: Vec<f32>| {
        let worst = max_difference(&found, &recording.floats(&name));
        assert!(worst < LAYER_TOLERANCE, "{name} differs by {worst}");
    };
    assert_eq!(outputs.hidden_states.len(), layers + 1);
    for (layer, states) in outputs.hidden_states {
        compare(format!("hidden.{layer}"), states.try_into_vec_as().unwrap());
        // Alone, and without the layers behind it.
        let wanted = WantedLayers {
            hidden_states: [layer].into(),
            ..WantedLayers::default()
        };
        let mut alone = decoder.layer_outputs(int_tensor(&rows, &device), &context, &wanted);
        let states = alone.hidden_states.remove(&layer).unwrap();
        compare(format!("hidden.{layer}"), states.try_into_vec_as().unwrap());
    }
    for (layer, projections) in outputs.attention {
        let weights = attention_weights(projections.queries, projections.keys);
        compare(format!("attention.{layer}"), weights);
        let values = projections.values.try_into_vec_as().unwrap();
        compare(format!("values.{layer}"), values);
    }
}

/// `softmax(Q Kᵀ ÷ √head_dim)` over the keys up to the query, as `[1, heads, seq, seq]`.
fn attention_weights(queries: Tensor<4>, keys: Tensor<4>) -> Vec<f32> {
    let [_, seq, heads, head_dim] = queries.dims();
    let [_, _, groups, _] = keys.dims();
    let queries: Vec<f32> = queries.try_into_vec_as().unwrap();
    let keys: Vec<f32> = keys.try_into_vec_as().unwrap();
    let mut weights = Vec::new();
    for head in 0..heads {
        for query in 0..seq {
            let row = &queries[(query * heads + head) * head_dim..][..head_dim];
            let score = |key: usize| {
                let group = head / (heads / groups);
                let column = &keys[(key * groups + group) * head_dim..][..head_dim];
                let product: f32 = row.iter().zip(column).map(|(x, y)| x * y).sum();
                (product / (head_dim as f32).sqrt()).exp()
            };
            let scores: Vec<f32> = (0..=query).map(score).collect();
            let sum: f32 = scores.iter().sum();
            weights.extend(scores.iter().map(|score| score / sum));
            weights.resize(weights.len() + seq - query - 1, 0.0);
        }
    }
    weights
}

#[test]
fn loss_and_gradient_norm_of_every_family_match_the_recorded_ones() {
    for case in family_cases() {
        let (name, recording) = (&case.name, &case.recording);
        let device = golden::device().autodiff();
        let decoder = load_checkpoint(&case.dir, &device).unwrap().decoder;
        let rows = recording.tokens("short.input_ids");
        let (batch, seq) = (rows.len(), rows[0].len());
        let token_ids = int_tensor(&rows, &device);
        let context = AttentionContext::causal(batch, seq, &device);
        let logits = decoder.forward(token_ids.clone(), &context);
        let [_, _, vocab] = logits.dims();
        let predictions = logits
            .narrow(1, 0, seq - 1)
            .reshape([batch * (seq - 1), vocab]);
        let labels = token_ids.narrow(1, 1, seq - 1).reshape([batch * (seq - 1)]);
        let loss = CrossEntropyLossConfig::new()
            .init(&device)
            .forward(predictions, labels);
        let gradients = loss.backward();
        let mut norm = SquaredNorm {
            gradients: &gradients,
            sum: 0.0,
        };
        decoder.visit(&mut norm);

        let loss = loss.into_scalar::<f64>();
        let difference = (loss - case.figure("short_ce")).abs();
        assert!(
            difference < CROSS_ENTROPY_TOLERANCE * allowance(),
            "{name}: the loss differs by {difference}"
        );
        let ratio = norm.sum.sqrt() / case.figure("short_grad_norm");
        assert!(
            (ratio - 1.0).abs() < GRADIENT_NORM_TOLERANCE * allowance(),
            "{name}: the gradient norm is {ratio} times the recorded one"
        );
    }
}

struct SquaredNorm<'a> {
    gradients: &'a Gradients,
    sum: f64,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param
            .val()
            .grad(self.gradients)
            .expect("every parameter has a gradient");
        self.sum += gradient.square().sum().into_scalar::<f64>();
    }
}
