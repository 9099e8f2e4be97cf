//! The learned map from a student's hidden states to the teacher's width.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::LossError;
use super::widened::widened;

/// A linear map without bias from the student's width to the teacher's.
///
/// It belongs to the loss: it is trained with the student and left behind at the end. The weight
/// is `[student_width, teacher_width]`.
///
/// # Example
/// ```
/// use alambic_distill::loss::LayerProjection;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let projection = LayerProjection::init([4, 6], 17, &device);
/// let states = Tensor::<3>::ones([1, 2, 4], &device);
/// assert_eq!(projection.forward(states).unwrap().dims(), [1, 2, 6]);
/// ```
///
/// # References
/// Jiao et al. 2020 (TinyBERT), arXiv:1909.10351, eq. 8.
#[derive(Module, Debug)]
pub struct LayerProjection {
    weight: Param<Tensor<2>>,
}

impl LayerProjection {
    /// A projection with the weight `[student_width, teacher_width]`.
    pub fn new(weight: Tensor<2>) -> Self {
        Self {
            weight: Param::from_tensor(weight),
        }
    }

    /// A new projection `[student_width, teacher_width]`: uniform within `±1 ÷ √student_width`.
    ///
    /// The numbers follow from `seed` alone, on every device.
    ///
    /// # Panics
    /// If a width is 0.
    pub fn init(widths: [usize; 2], seed: u64, device: &Device) -> Self {
        Self::draw(widths, &mut ChaCha8Rng::seed_from_u64(seed), device)
    }

    /// [`init`](Self::init) from a stream that other projections draw from as well.
    pub(super) fn draw(
        [student_width, teacher_width]: [usize; 2],
        random: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let size = student_width * teacher_width;
        assert!(size > 0, "hidden states have a width");
        let bound = (student_width as f32).powf(-0.5);
        let values: Vec<f32> = (0..size)
            .map(|_| random.random_range(-bound..bound))
            .collect();
        let data = TensorData::new(values, [student_width, teacher_width]);
        Self::new(Tensor::from_data(data, device))
    }

    /// `[batch, seq, student_width]` → `[batch, seq, teacher_width]`, in at least `f32`.
    ///
    /// # Errors
    /// [`LossError::StateWidth`] when the states have another width.
    pub fn forward(&self, states: Tensor<3>) -> Result<Tensor<3>, LossError> {
        let [_, _, width] = states.dims();
        let [student_width, _] = self.widths();
        LossError::check_width("the student's hidden states", width, student_width)?;
        let states = widened(states);
        let weight = self.weight.val().cast(states.dtype());
        Ok(states.matmul(weight.unsqueeze::<3>()))
    }

    /// The weight, `[student_width, teacher_width]`.
    pub fn weight(&self) -> Tensor<2> {
        self.weight.val()
    }

    /// `[student_width, teacher_width]`
    pub fn widths(&self) -> [usize; 2] {
        self.weight.val().dims()
    }
}
