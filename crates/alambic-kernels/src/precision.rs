//! The number type of matrix products.

use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

/// The number type in which the operands and results of matrix products are held.
///
/// This is the division of labour of mixed-precision training (Micikevicius et al. 2018, arXiv:1710.03740) and of
/// PyTorch's autocast: what is multiplied is rounded to the type just before, and weights, norms, rotations, activations,
/// softmax, the residual stream, losses and the optimizer stay in `f32`. In which type a product adds up is the device's
/// choice, mostly `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision; nothing is rounded.
    #[default]
    F32,
    /// The range of `f32` with 8 bits of precision.
    Bf16,
    /// 11 bits of precision, from 6e-8 to 65,504: small gradients vanish unless the loss is scaled.
    F16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// The name in recipes and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Whether a device stores and multiplies such numbers.
    pub fn is_supported(self, device: &Device) -> bool {
        device.supports_dtype(self.dtype())
    }

    /// Rounds an operand; a tensor of the type is returned as it is. Gradients come back in the operand's own type.
    ///
    /// ```
    /// use alambic_kernels::Precision;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let third = Tensor::<1>::from_floats([1.0 / 3.0], &Device::flex());
    /// let rounded = Precision::Bf16.round(third).into_data().convert::<f32>();
    /// assert_eq!(rounded.try_to_vec::<f32>().unwrap(), [0.333_984_38]); // 171 / 512
    /// ```
    pub fn round<const D: usize>(self, tensor: Tensor<D>) -> Tensor<D> {
        tensor.cast(self.dtype())
    }

    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}

/// The type of sums and exponentials of numbers of a type.
pub(crate) fn widened(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        wide => wide,
    }
}
