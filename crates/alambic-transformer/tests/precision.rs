//! Rounded matrix products: as exact as PyTorch's autocast (`tools/golden/record_precision.py`).
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;

use std::collections::BTreeMap;
use std::path::Path;

use golden::{Case, OWN_FAMILIES, family_cases, int_tensor};

use alambic_transformer::{
    AttentionContext, Decoder, GenerationConfig, KvCache, Precision, TransformerError,
    check_precision, generate_batch, load_checkpoint,
};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Gradients, Tensor};

/// How many times the error of PyTorch's autocast ours may be, in the geometric mean over all models. Both are sums of
/// some thousand roundings, made in other places.
const OF_AUTOCAST: f64 = 1.1;
/// The same for one model: on one they scatter around each other.
const OF_AUTOCAST_ONCE: f64 = 4.0;
/// How small the mean may be: products are really rounded.
const AT_LEAST: f64 = 0.5;
/// Largest difference between logits of order 1 of a cached step and of the whole text.
const CACHED: [(Precision, f32); 2] = [(Precision::Bf16, 1e-1), (Precision::F16, 2e-2)];
/// What the loss is multiplied with before gradients are made, as in the recording.
const LOSS_SCALE: f64 = 1024.0;

/// The precisions other than f32 that the device under test computes in.
fn narrow_precisions() -> Vec<Precision> {
    let device = golden::device();
    let narrow = [Precision::Bf16, Precision::F16].into_iter();
    let narrow: Vec<Precision> = narrow
        .filter(|precision| precision.is_supported(&device))
        .collect();
    if narrow.len() < 2 {
        eprintln!("{device:?} computes in {narrow:?}, besides f32");
    }
    narrow
}

/// Logits of the short input, and the gradient of its cross-entropy as one vector.
fn compute(case: &Case, precision: Precision) -> (Vec<f64>, Vec<f64>) {
    let device = golden::device().autodiff();
    let decoder = load_checkpoint(&case.dir, &device).unwrap().decoder;
    let decoder = decoder.computing_in(precision).unwrap();
    let rows = case.recording.tokens("short.input_ids");
    let (batch, seq) = (rows.len(), rows[0].len());
    let token_ids = int_tensor(&rows, &device);
    let context = AttentionContext::causal(batch, seq, &device);
    let logits = decoder.forward(token_ids.clone(), &context);
    let [_, _, vocab] = logits.dims();
    let predictions = logits.clone().narrow(1, 0, seq - 1);
    let predictions = predictions.reshape([batch * (seq - 1), vocab]);
    let labels = token_ids.narrow(1, 1, seq - 1).reshape([batch * (seq - 1)]);
    let loss = CrossEntropyLossConfig::new().init(&device);
    let loss = loss.forward(predictions, labels) * LOSS_SCALE;
    let gradients = loss.backward();
    let logits: Vec<f32> = logits.without_autodiff().try_into_vec_as().unwrap();
    let logits = logits.into_iter().map(f64::from).collect();
    (logits, whole_gradient(&decoder, &gradients))
}

fn whole_gradient(decoder: &Decoder, gradients: &Gradients) -> Vec<f64> {
    struct Collector<'a>(&'a Gradients, Vec<f64>);
    impl ModuleVisitor for Collector<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = param.val().grad(self.0).expect("a gradient for each");
            let numbers: Vec<f32> = gradient.try_into_vec_as().unwrap();
            self.1
                .extend(numbers.into_iter().map(|x| f64::from(x) / LOSS_SCALE));
        }
    }
    let mut collector = Collector(gradients, Vec::new());
    decoder.visit(&mut collector);
    collector.1
}

/// `|a - b|` and `|b|`.
fn distance(left: &[f64], right: &[f64]) -> (f64, f64) {
    assert_eq!(left.len(), right.len());
    let squares = left.iter().zip(right).map(|(l, r)| (l - r).powi(2));
    let norm: f64 = right.iter().map(|x| x * x).sum();
    (squares.sum::<f64>().sqrt(), norm.sqrt())
}

#[test]
fn logits_and_gradients_are_as_exact_as_those_of_autocast() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/precision.json");
    let recorded: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut ratios: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for case in family_cases() {
        let (exact_logits, exact_gradient) = compute(&case, Precision::F32);
        for precision in narrow_precisions() {
            let (logits, gradient) = compute(&case, precision);
            let (logit_error, _) = distance(&logits, &exact_logits);
            let (gradient_error, gradient_norm) = distance(&gradient, &exact_gradient);
            let name = &case.name;
            let of_autocast = &recorded["cases"][name][precision.name()];
            for (quantity, found) in [
                ("logit_error", logit_error / (logits.len() as f64).sqrt()),
                ("gradient_error", gradient_error / gradient_norm),
            ] {
                let expected = of_autocast[quantity].as_f64().unwrap();
                let ratio = found / expected;
                assert!(
                    ratio < OF_AUTOCAST_ONCE,
                    "{name} in {precision:?}: the {quantity} is {found}, {ratio} times autocast's {expected}"
                );
                let kind = (precision.name(), quantity);
                ratios.entry(kind).or_default().push(ratio);
            }
        }
    }
    for (kind, ratios) in ratios {
        let logarithms = ratios.iter().map(|ratio| ratio.ln());
        let mean = (logarithms.sum::<f64>() / ratios.len() as f64).exp();
        eprintln!(
            "{kind:?}: {mean:.3} times that of autocast, over {} models",
            ratios.len()
        );
        assert!((AT_LEAST..OF_AUTOCAST).contains(&mean), "{kind:?}: {mean}");
    }
}

fn own_case(name: &str) -> Decoder {
    let cases = family_cases();
    let case = cases.iter().find(|case| case.name == name).unwrap();
    let checkpoint = load_checkpoint(&case.dir, &golden::device()).unwrap();
    checkpoint.decoder
}

/// A cached step multiplies the same rounded numbers, in sums of another order.
#[test]
fn a_cache_of_rounded_keys_and_values_gives_what_the_whole_text_gives() {
    let narrow = narrow_precisions();
    for (precision, tolerance) in CACHED.into_iter().filter(|(it, _)| narrow.contains(it)) {
        for name in OWN_FAMILIES {
            let decoder = own_case(name).computing_in(precision).unwrap();
            let device = golden::device();
            let rows = vec![vec![3, 1, 4, 1, 5, 9, 2, 6], vec![2, 7, 1, 8, 2, 8, 1, 8]];
            let context = AttentionContext::causal(2, 8, &device);
            let whole = decoder.forward(int_tensor(&rows, &device), &context);
            let mut cache = KvCache::new(&decoder, 2);
            let parts = (0..8).map(|index| {
                let column: Vec<Vec<u32>> = rows.iter().map(|row| vec![row[index]]).collect();
                decoder.step(int_tensor(&column, &device), &mut cache)
            });
            let stepped = Tensor::cat(parts.collect(), 1);
            let difference = (whole - stepped).abs().max().into_scalar::<f32>();
            assert!(difference < tolerance, "{name} {precision:?}: {difference}");
        }
    }
}

#[test]
fn texts_of_unequal_length_are_generated_together() {
    for precision in narrow_precisions() {
        let decoder = own_case("smollm3-sliding").computing_in(precision).unwrap();
        let prompts = [vec![1, 2, 3, 4, 5, 6, 7], vec![9], vec![4, 4]];
        let texts = generate_batch(&decoder, &prompts, &GenerationConfig::greedy(12)).unwrap();
        assert!(texts.iter().all(|text| text.token_ids.len() == 12));
    }
}

#[test]
fn a_precision_that_the_device_lacks_is_refused_by_name() {
    let device = golden::device();
    for precision in Precision::ALL {
        match check_precision(precision, &device) {
            Ok(()) => assert!(precision.is_supported(&device)),
            Err(error) => {
                assert!(!precision.is_supported(&device));
                let message = error.to_string();
                assert!(message.contains(precision.name()), "{message}");
                assert!(message.contains("only in f32"), "{message}");
                let refused = own_case("llama-biases").computing_in(precision);
                assert!(matches!(
                    refused,
                    Err(TransformerError::PrecisionNotSupported { .. })
                ));
            }
        }
    }
    let flex = Device::flex();
    if device == flex {
        assert!(Precision::ALL.into_iter().all(|p| p.is_supported(&flex)));
    }
}
