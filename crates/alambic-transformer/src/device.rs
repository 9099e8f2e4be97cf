//! Which device to compute on.

use std::fmt;
use std::str::FromStr;

use alambic_kernels::Precision;
use burn::tensor::Device;

use crate::error::TransformerError;

/// A device by name: `auto`, `cpu`, `ndarray`, `wgpu`, `wgpu:N`, `cuda`, `cuda:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DeviceChoice {
    /// A real GPU if there is one, else the CPU; never a software adapter.
    #[default]
    Auto,
    /// The default CPU backend: flex, or ndarray in a program built with that alone.
    Cpu,
    /// The ndarray CPU backend, a second opinion on results.
    NdArray,
    /// The N-th GPU that wgpu finds, or the best one; a software adapter if that is all there is.
    Wgpu(Option<usize>),
    /// The N-th CUDA device, or the first.
    Cuda(Option<usize>),
}

impl FromStr for DeviceChoice {
    type Err = TransformerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || TransformerError::DeviceName {
            found: text.to_string(),
        };
        let (name, index) = match text.split_once(':') {
            Some((name, digits)) => {
                let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let index: usize = plain
                    .then(|| digits.parse().ok())
                    .flatten()
                    .ok_or_else(unknown)?;
                (name, Some(index))
            }
            None => (text, None),
        };
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("ndarray", None) => Ok(Self::NdArray),
            ("wgpu", index) => Ok(Self::Wgpu(index)),
            ("cuda", index) => Ok(Self::Cuda(index)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::NdArray => formatter.write_str("ndarray"),
            Self::Wgpu(None) => formatter.write_str("wgpu"),
            Self::Wgpu(Some(index)) => write!(formatter, "wgpu:{index}"),
            Self::Cuda(None) => formatter.write_str("cuda"),
            Self::Cuda(Some(index)) => write!(formatter, "cuda:{index}"),
        }
    }
}

impl DeviceChoice {
    /// Opens the device, without autodiff (call `.autodiff()` on it to train).
    ///
    /// # Errors
    /// [`TransformerError::DeviceFeature`] if the program was built without the device's feature;
    /// [`TransformerError::DeviceNotFound`] if the machine has no such device.
    pub fn open(&self) -> Result<Device, TransformerError> {
        match self {
            Self::Auto => match first_gpu() {
                Some(gpu) => Ok(gpu),
                None => self.open_cpu(),
            },
            Self::Cpu => self.open_cpu(),
            Self::NdArray => self.open_ndarray(),
            Self::Wgpu(index) => self.open_wgpu(*index),
            Self::Cuda(index) => self.open_cuda(*index),
        }
    }

    #[cfg(feature = "flex")]
    fn open_cpu(&self) -> Result<Device, TransformerError> {
        Ok(Device::flex())
    }

    #[cfg(all(not(feature = "flex"), feature = "ndarray"))]
    fn open_cpu(&self) -> Result<Device, TransformerError> {
        self.open_ndarray()
    }

    #[cfg(not(any(feature = "flex", feature = "ndarray")))]
    fn open_cpu(&self) -> Result<Device, TransformerError> {
        Err(self.lacks_feature("flex"))
    }

    #[cfg(feature = "ndarray")]
    #[allow(deprecated)] // kept on purpose: an independent implementation to compare with
    fn open_ndarray(&self) -> Result<Device, TransformerError> {
        Ok(Device::ndarray())
    }

    #[cfg(not(feature = "ndarray"))]
    fn open_ndarray(&self) -> Result<Device, TransformerError> {
        Err(self.lacks_feature("ndarray"))
    }

    #[cfg(feature = "wgpu")]
    fn open_wgpu(&self, index: Option<usize>) -> Result<Device, TransformerError> {
        let adapters = wgpu::Adapters::list();
        adapters
            .pick(index)
            .ok_or_else(|| self.not_found(adapters.describe()))
    }

    #[cfg(not(feature = "wgpu"))]
    fn open_wgpu(&self, _index: Option<usize>) -> Result<Device, TransformerError> {
        Err(self.lacks_feature("wgpu"))
    }

    #[cfg(feature = "cuda")]
    fn open_cuda(&self, index: Option<usize>) -> Result<Device, TransformerError> {
        let devices = cuda_devices();
        devices
            .get(index.unwrap_or(0))
            .cloned()
            .ok_or_else(|| self.not_found(format!("{} CUDA devices", devices.len())))
    }

    #[cfg(not(feature = "cuda"))]
    fn open_cuda(&self, _index: Option<usize>) -> Result<Device, TransformerError> {
        Err(self.lacks_feature("cuda"))
    }

    #[cfg(not(all(feature = "ndarray", feature = "wgpu", feature = "cuda")))]
    fn lacks_feature(&self, feature: &'static str) -> TransformerError {
        TransformerError::DeviceFeature {
            device: self.to_string(),
            feature,
        }
    }

    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    fn not_found(&self, found: String) -> TransformerError {
        TransformerError::DeviceNotFound {
            device: self.to_string(),
            found,
        }
    }
}

/// Whether a device computes with weights that are rounded to blocks of whole numbers: all but burn-ndarray.
#[cfg(feature = "ndarray")]
#[allow(deprecated)] // kept on purpose: an independent implementation to compare with
pub(crate) fn holds_quantised_blocks(device: &Device) -> bool {
    device.clone().without_autodiff() != Device::ndarray()
}

/// Whether a device computes with weights that are rounded to blocks of whole numbers: all that are compiled in.
#[cfg(not(feature = "ndarray"))]
pub(crate) fn holds_quantised_blocks(_device: &Device) -> bool {
    true
}

/// Checks that a device computes with numbers of a precision.
///
/// # Errors
/// [`TransformerError::PrecisionNotSupported`] naming the precisions that it has.
///
/// ```
/// use alambic_transformer::{DeviceChoice, Precision, check_precision};
/// check_precision(Precision::Bf16, &DeviceChoice::Cpu.open()?)?; // flex has all of them
/// # Ok::<(), alambic_transformer::TransformerError>(())
/// ```
pub fn check_precision(precision: Precision, device: &Device) -> Result<(), TransformerError> {
    if precision.is_supported(device) {
        return Ok(());
    }
    let supported = Precision::ALL.into_iter();
    let supported = supported.filter(|other| other.is_supported(device));
    Err(TransformerError::PrecisionNotSupported {
        device: describe(device),
        precision: precision.name(),
        supported: supported.map(Precision::name).collect(),
    })
}

/// Names a device for logs, such as `Flex` or the GPU's own name.
pub fn describe(device: &Device) -> String {
    let name = format!("{:?}", device.as_dispatch());
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(identity) = device.identity() {
        return format!("{} ({name})", identity.name);
    }
    name
}

/// The best real GPU: CUDA first, then wgpu.
fn first_gpu() -> Option<Device> {
    #[cfg(feature = "cuda")]
    if let Some(device) = cuda_devices().into_iter().next() {
        return Some(device);
    }
    #[cfg(feature = "wgpu")]
    if let Some(device) = wgpu::Adapters::list().gpus.into_iter().next() {
        return Some(device);
    }
    None
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> Vec<Device> {
    Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec()
}

#[cfg(feature = "wgpu")]
mod wgpu {
    use burn::tensor::{Device, DeviceKind, DeviceType};

    /// What wgpu finds on this machine, best first.
    pub(super) struct Adapters {
        /// Discrete, then integrated, then virtual GPUs.
        pub(super) gpus: Vec<Device>,
        /// A driver that computes on the CPU, such as Mesa's lavapipe.
        software: Option<Device>,
    }

    impl Adapters {
        pub(super) fn list() -> Self {
            let found = Device::enumerate(DeviceType::Wgpu).into_vec();
            let listed = |kind: DeviceKind| {
                let device = Device::wgpu(kind);
                found.contains(&device).then_some(device)
            };
            let of_kind = |kind: fn(usize) -> DeviceKind| {
                (0..found.len()).filter_map(move |index| listed(kind(index)))
            };
            let gpus = of_kind(DeviceKind::DiscreteGpu)
                .chain(of_kind(DeviceKind::IntegratedGpu))
                .chain(of_kind(DeviceKind::VirtualGpu))
                .collect();
            Self::new(gpus, listed(DeviceKind::Cpu))
        }

        pub(super) fn new(gpus: Vec<Device>, software: Option<Device>) -> Self {
            Self { gpus, software }
        }

        /// The GPU of that index, or the best; the software adapter only if there is no GPU.
        pub(super) fn pick(&self, index: Option<usize>) -> Option<Device> {
            let index = index.unwrap_or(0);
            match (&self.software, self.gpus.is_empty()) {
                (Some(software), true) => (index == 0).then(|| software.clone()),
                _ => self.gpus.get(index).cloned(),
            }
        }

        pub(super) fn describe(&self) -> String {
            let software = usize::from(self.software.is_some());
            format!(
                "wgpu finds {} GPUs and {software} software adapters",
                self.gpus.len()
            )
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for name in [
            "auto", "cpu", "ndarray", "wgpu", "wgpu:0", "cuda", "cuda:12",
        ] {
            let choice: DeviceChoice = name.parse().unwrap();
            assert_eq!(choice.to_string(), name);
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        for name in [
            "", "gpu", "CPU", "cpu:0", "auto:1", "wgpu:", "wgpu:-1", "cuda:+1", "cuda:x",
        ] {
            let error = name.parse::<DeviceChoice>().unwrap_err();
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_device_that_is_not_compiled_in_names_its_feature() {
        let error = DeviceChoice::Cuda(Some(1)).open().unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cuda:1 needs the cargo feature `cuda`")
        );
    }

    #[test]
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    fn the_cpu_can_be_opened_and_described() {
        let device = DeviceChoice::Cpu.open().unwrap();
        assert!(!device.is_autodiff());
        assert!(!describe(&device).is_empty());
    }

    /// On a machine whose only adapter is a software one, as where CI runs, this is the case that matters.
    #[test]
    #[cfg(all(feature = "flex", feature = "wgpu"))]
    fn auto_takes_a_real_gpu_or_the_cpu_and_never_a_software_adapter() {
        let adapters = wgpu::Adapters::list();
        let opened = DeviceChoice::Auto.open().unwrap();
        match adapters.gpus.first() {
            #[cfg(not(feature = "cuda"))]
            Some(gpu) => assert_eq!(&opened, gpu),
            #[cfg(feature = "cuda")]
            Some(_) => assert_ne!(opened, Device::flex()),
            None => assert_eq!(opened, Device::flex()),
        }
        let software = Device::wgpu(burn::tensor::DeviceKind::Cpu);
        assert!(!adapters.gpus.contains(&software));
        assert_ne!(opened, software);
    }

    #[test]
    #[cfg(all(feature = "flex", feature = "wgpu"))]
    fn a_software_adapter_is_taken_only_by_name_and_only_without_a_gpu() {
        use burn::tensor::DeviceKind;
        let software = Device::wgpu(DeviceKind::Cpu);
        let gpu = Device::wgpu(DeviceKind::DiscreteGpu(0));
        let alone = wgpu::Adapters::new(Vec::new(), Some(software.clone()));
        assert_eq!(alone.pick(None), Some(software.clone()));
        assert_eq!(alone.pick(Some(1)), None);
        let beside_a_gpu = wgpu::Adapters::new(vec![gpu.clone()], Some(software));
        assert_eq!(beside_a_gpu.pick(None), Some(gpu.clone()));
        assert_eq!(beside_a_gpu.pick(Some(0)), Some(gpu));
        assert_eq!(beside_a_gpu.pick(Some(1)), None);
        assert_eq!(wgpu::Adapters::new(Vec::new(), None).pick(None), None);
    }
}
