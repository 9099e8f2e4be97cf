//! The distance between hidden states of chosen layers.

use burn::module::Module;
use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    HiddenDistance, LabelMask, LayerPair, LayerPairs, LayerProjection, LayerStates, LossError,
    TokenLoss,
};

/// The distance between hidden states of student and teacher, summed over pairs of layers.
///
/// `Σ over pairs of d(s W, t)`
///
/// with one learned [`LayerProjection`] `W` for each pair where the widths of the models differ,
/// and none where they are equal. A module: an optimizer trains the projections with the student.
///
/// # Example
/// ```
/// use alambic_distill::loss::{
///     HiddenDistance, HiddenStateLoss, LabelMask, LayerCounts, LayerPairs, LayerStates,
/// };
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let pairs = LayerPairs::evenly_spaced(LayerCounts { student: 1, teacher: 2 }).unwrap();
/// let loss = HiddenStateLoss::init(HiddenDistance::Cosine, pairs, [2, 2], 0, &device);
/// let states = |layer, x, y| {
///     LayerStates::try_new([(layer, Tensor::from_floats([[[x, y]]], &device))].into()).unwrap()
/// };
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let opposite = loss.forward(&states(1, 1.0, 2.0), &states(2, -1.0, -2.0), &mask).unwrap();
/// assert!((opposite.sum.into_scalar::<f32>() - 2.0).abs() < 1e-6);
/// ```
///
/// # References
/// Romero et al. 2015 (FitNets), arXiv:1412.6550, eq. 3; Jiao et al. 2020 (TinyBERT),
/// arXiv:1909.10351, eq. 8.
#[derive(Module, Debug)]
pub struct HiddenStateLoss {
    /// One for each pair, or none.
    projections: Vec<LayerProjection>,
    #[module(skip)]
    pairs: LayerPairs,
    #[module(skip)]
    distance: HiddenDistance,
}

impl HiddenStateLoss {
    /// A loss between models of the widths `[student, teacher]`.
    ///
    /// The projections follow from `seed` alone, on every device; models of one width have none.
    ///
    /// # Panics
    /// If a width is 0.
    pub fn init(
        distance: HiddenDistance,
        pairs: LayerPairs,
        widths: [usize; 2],
        seed: u64,
        device: &Device,
    ) -> Self {
        let [student_width, teacher_width] = widths;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let projections = if student_width == teacher_width {
            Vec::new()
        } else {
            let of_pair = |_| LayerProjection::draw(widths, &mut random, device);
            pairs.as_slice().iter().map(of_pair).collect()
        };
        Self {
            projections,
            pairs,
            distance,
        }
    }

    /// The pairs of layers that are compared.
    pub fn pairs(&self) -> &LayerPairs {
        &self.pairs
    }

    /// The projections, one for each pair; none between models of one width.
    pub fn projections(&self) -> &[LayerProjection] {
        &self.projections
    }

    /// The loss of every pair, in their order: sums over the counted positions.
    ///
    /// # Errors
    /// [`LossError::MissingLayer`] when a pair's layer is not among the states;
    /// [`LossError::StateWidth`] and [`LossError::Shape`] when states or mask do not fit.
    pub fn per_pair(
        &self,
        student: &LayerStates,
        teacher: &LayerStates,
        mask: &LabelMask,
    ) -> Result<Vec<TokenLoss>, LossError> {
        let of_pair = |(index, pair): (usize, &LayerPair)| {
            let states = student.layer(pair.student, "student")?;
            let states = match self.projections.get(index) {
                Some(projection) => projection.forward(states)?,
                None => states,
            };
            let targets = teacher.layer(pair.teacher, "teacher")?;
            self.distance.forward(states, targets, mask)
        };
        self.pairs
            .as_slice()
            .iter()
            .enumerate()
            .map(of_pair)
            .collect()
    }

    /// The sum over all pairs and the counted positions; each position counts once.
    ///
    /// # Errors
    /// As [`per_pair`](Self::per_pair).
    pub fn forward(
        &self,
        student: &LayerStates,
        teacher: &LayerStates,
        mask: &LabelMask,
    ) -> Result<TokenLoss, LossError> {
        let losses = self.per_pair(student, teacher, mask)?;
        let sums = losses.into_iter().map(|loss| loss.sum);
        Ok(TokenLoss {
            sum: sums
                .reduce(|total, sum| total + sum)
                .expect("there is a pair"),
            num_tokens: mask.num_tokens(),
        })
    }
}
