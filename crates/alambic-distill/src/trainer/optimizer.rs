//! AdamW with PyTorch's conventions, on burn's module optimizer.

use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::optim::{
    AdamW, AdamWConfig, DynOptimizer, DynState, LearningRate, ModuleOptimizer, StateSink,
    StateSource,
};
use burn::tensor::{Device, Tensor, kind::BridgeTensor};
use serde::{Deserialize, Serialize};

use crate::DistillError;

/// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101); every number is written out, because
/// burn's defaults are not PyTorch's.
///
/// Weight decay acts on tensors of two or more dimensions (projections and embeddings) and never
/// on norms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWSettings {
    /// Decay rates of the first and second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

impl AdamWSettings {
    /// Checks the ranges.
    pub(crate) fn validate(&self) -> Result<(), DistillError> {
        let setting = |key, found: f64, expected| {
            Err(DistillError::Setting {
                key,
                found: found.to_string(),
                expected,
            })
        };
        if let Some(&beta) = self.betas.iter().find(|beta| !(0.0..1.0).contains(*beta)) {
            return setting("betas", beta, "0 up to, but not including, 1");
        }
        if !self.epsilon.is_finite() || self.epsilon <= 0.0 {
            return setting("epsilon", self.epsilon, "a positive number");
        }
        if !self.weight_decay.is_finite() || self.weight_decay < 0.0 {
            return setting("weight_decay", self.weight_decay, "at least 0");
        }
        Ok(())
    }

    /// The optimizer for a module whose parameters live on `device`.
    pub(crate) fn init<M: Module>(&self, module: &M, device: &Device) -> ModuleOptimizer {
        let without_decay = self.adamw(0.0);
        let decayed = ParamGroup::from_paths(matrix_paths(module));
        ModuleOptimizer::from(without_decay.clone())
            .with_group(
                ParamGroup::all(),
                OnDevice::new(without_decay, device),
                None,
            )
            .with_group(
                decayed,
                OnDevice::new(self.adamw(self.weight_decay), device),
                None,
            )
    }

    fn adamw(&self, weight_decay: f64) -> AdamW {
        AdamWConfig::new()
            .with_beta_1(self.betas[0] as f32)
            .with_beta_2(self.betas[1] as f32)
            .with_epsilon(self.epsilon as f32)
            .with_weight_decay(weight_decay as f32)
            .build()
    }
}

/// Paths of the parameters with two or more dimensions.
fn matrix_paths<M: Module>(module: &M) -> Vec<String> {
    #[derive(Default)]
    struct Collector {
        path: Vec<String>,
        matrices: Vec<String>,
    }
    impl ModuleVisitor for Collector {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            if D >= 2 {
                self.matrices.push(self.path.join("."));
            }
        }
    }
    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.matrices
}

/// AdamW whose state is restored on the device of the run.
///
/// burn restores optimizer state on its default device, which is a GPU as soon as one backend for
/// GPUs is compiled in, whether or not the machine has one.
struct OnDevice {
    inner: AdamW,
    device: Device,
}

impl OnDevice {
    fn new(inner: AdamW, device: &Device) -> Self {
        Self {
            inner,
            device: device.clone(),
        }
    }
}

impl DynOptimizer for OnDevice {
    fn step_dyn(
        &self,
        rank: usize,
        lr: LearningRate,
        tensor: BridgeTensor,
        grad: BridgeTensor,
        state: Option<DynState>,
    ) -> (BridgeTensor, Option<DynState>) {
        self.inner.step_dyn(rank, lr, tensor, grad, state)
    }

    fn to_device_dyn(&self, state: DynState, device: &Device) -> DynState {
        self.inner.to_device_dyn(state, device)
    }

    fn state_flatten(&self, prefix: &str, state: &DynState, out: &mut StateSink) {
        self.inner.state_flatten(prefix, state, out);
    }

    fn state_unflatten(
        &self,
        rank: usize,
        prefix: &str,
        source: &mut StateSource,
        _default_device: &Device,
    ) -> Option<DynState> {
        self.inner
            .state_unflatten(rank, prefix, source, &self.device)
    }
}
