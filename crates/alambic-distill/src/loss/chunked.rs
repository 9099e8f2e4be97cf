//! Head and objective in one pass, a chunk of labels at a time.

use alambic_kernels::attach_gradients;
use burn::tensor::{Int, Tensor};

use super::{Head, HeadPass, LabelLosses, LabelTargets, Logits, LossError, Objective, TargetBatch};

/// Size of the logits that exist at one time, unless another one is asked for.
pub const DEFAULT_CHUNK_BYTES: usize = 32 << 20;

/// Bytes of one logit; losses are computed in `f32`.
const LOGIT_BYTES: usize = 4;

/// An objective that goes from hidden states to losses and gradients without whole logits.
///
/// The plain path holds several tables of `labels · vocab` numbers until the backward pass. This
/// one walks over the labels, makes the logits of one chunk, the losses of all terms and their
/// gradient with respect to the logits, and multiplies that back into the gradients of hidden
/// states and weight before the next chunk. One pass over the head serves all terms; any
/// divergence and any kind of target goes through it, since only the logits are differentiated.
///
/// The gradients are made in the forward pass, so the weights of terms and labels are inputs: the
/// total cannot be re-weighted later, except by one factor for all of it.
///
/// # Memory
/// About eight times `chunk_bytes`, the gradient of the hidden states, and, unless the head is
/// frozen, twice that of the weight. A chunk is one label at least, so `4 · vocab` bytes: 0.6 MB for
/// 152,064 tokens. Graphics interfaces bind 128 MiB and more at a time, which one label's logits
/// exceed beyond 33 million tokens; so the vocabulary is never cut.
///
/// # Example
/// ```
/// use alambic_distill::loss::{Chunked, DEFAULT_CHUNK_BYTES, Head, Objective};
/// use burn::tensor::{Device, Int, Tensor};
///
/// let device = Device::flex();
/// let hidden = Tensor::<2>::zeros([3, 2], &device).autodiff().require_grad();
/// let head = Head::new(Tensor::<2>::zeros([2, 5], &device));
/// let labels = Tensor::<1, Int>::from_ints([4, 0, 2], &device);
/// let weights = Tensor::<2>::full([1, 3], 1.0 / 3.0, &device);
/// let losses = Chunked::new(Objective::hard_labels(), DEFAULT_CHUNK_BYTES)
///     .losses(&hidden, &head, &labels, None, &weights)
///     .unwrap();
/// // All logits are 0, so every label has a probability of one fifth.
/// assert!((losses.total.clone().into_scalar::<f32>() - 5f32.ln()).abs() < 1e-6);
/// assert!(hidden.grad(&losses.total.backward()).is_some());
/// ```
///
/// # References
/// Hsu et al. 2024 (Liger Kernel), arXiv:2410.10989, section 3.2.
#[derive(Clone, Debug)]
pub struct Chunked {
    objective: Objective,
    chunk_bytes: usize,
}

impl Chunked {
    /// Walks over the objective with logits of at most `chunk_bytes` at one time, or of one label
    /// if that is more.
    pub fn new(objective: Objective, chunk_bytes: usize) -> Self {
        Self {
            objective,
            chunk_bytes,
        }
    }

    /// The losses of a list of labels, with their gradients; shapes and errors as of
    /// [`HeadPass::losses`].
    pub fn losses(
        &self,
        hidden: &Tensor<2>,
        head: &Head,
        labels: &Tensor<1, Int>,
        targets: Option<&LabelTargets>,
        weights: &Tensor<2>,
    ) -> Result<LabelLosses, LossError> {
        let count = check_labels(&self.objective, hidden, labels, targets, weights)?;
        let states = hidden.clone().without_autodiff();
        let projection = head.rounded(head.weight().clone().without_autodiff());
        let [_, vocab] = projection.dims();
        let pass = HeadPass::Chunked {
            chunk_bytes: self.chunk_bytes,
        };

        let mut sums = Sums::default();
        for range in pass.ranges(count, vocab) {
            let from = range.start;
            let chunk = states.clone().narrow(0, from, range.len());
            let gradient = self.differentiate(
                head,
                head.product(chunk.clone(), projection.clone()),
                &labels.clone().narrow(0, from, range.len()),
                targets.map(|targets| targets.range(range.clone())),
                weights.clone().narrow(1, from, range.len()),
                &mut sums,
            )?;
            if head.weight().is_autodiff() {
                let of_chunk = head.product(chunk.transpose(), gradient.clone());
                accumulate(&mut sums.weight_gradient, of_chunk);
            }
            let of_states = head.product(gradient, projection.clone().transpose());
            sums.state_gradients.push(of_states);
        }
        sums.into_losses(hidden, head)
    }

    /// Adds up the losses of one chunk, and gives the gradient of its logits `[labels, vocab]`.
    fn differentiate(
        &self,
        head: &Head,
        product: Tensor<2>,
        labels: &Tensor<1, Int>,
        targets: Option<TargetBatch>,
        weights: Tensor<2>,
        sums: &mut Sums,
    ) -> Result<Tensor<2>, LossError> {
        let leaf = product.autodiff().require_grad();
        let student = Logits::new(head.shape(leaf.clone().unsqueeze::<3>()));
        let labels = labels.clone().without_autodiff().unsqueeze::<2>();
        let per_token = self
            .objective
            .per_token(student, &labels, targets.as_ref())?;
        let terms = Tensor::cat(per_token, 0);
        let weights = weights.without_autodiff().cast(terms.dtype());
        let total = (terms.clone() * weights.autodiff()).sum();
        let gradient = leaf
            .grad(&total.backward())
            .expect("the losses depend on the logits");
        let of_terms = terms.without_autodiff().sum_dim(1).squeeze_dim::<1>(1);
        accumulate(&mut sums.total, total.without_autodiff());
        accumulate(&mut sums.terms, of_terms);
        Ok(gradient.without_autodiff())
    }
}

/// How many labels have at most `chunk_bytes` of logits; at least one.
pub(super) fn labels_per_chunk(chunk_bytes: usize, vocab: usize) -> usize {
    (chunk_bytes / (vocab * LOGIT_BYTES)).max(1)
}

/// That a list of labels, its targets and its weights belong together; their number.
pub(super) fn check_labels(
    objective: &Objective,
    hidden: &Tensor<2>,
    labels: &Tensor<1, Int>,
    targets: Option<&LabelTargets>,
    weights: &Tensor<2>,
) -> Result<usize, LossError> {
    let [count, _] = hidden.dims();
    let num_terms = objective.terms().len();
    LossError::check_shape("the weights", weights.dims(), [num_terms, count])?;
    LossError::check_shape("the labels", [1, labels.dims()[0]], [1, count])?;
    if let Some(targets) = targets {
        LossError::check_shape("the targets", [1, targets.num_labels()], [1, count])?;
    }
    if count == 0 {
        return Err(LossError::NoLabels);
    }
    Ok(count)
}

/// What the chunks so far add up to.
#[derive(Default)]
struct Sums {
    /// `[1]`
    total: Option<Tensor<1>>,
    /// `[terms]`
    terms: Option<Tensor<1>>,
    /// `[hidden, vocab]`
    weight_gradient: Option<Tensor<2>>,
    /// `[labels, hidden]` of each chunk
    state_gradients: Vec<Tensor<2>>,
}

impl Sums {
    fn into_losses(self, hidden: &Tensor<2>, head: &Head) -> Result<LabelLosses, LossError> {
        let (Some(total), Some(term_sums)) = (self.total, self.terms) else {
            return Err(LossError::NoLabels);
        };
        let of_weight = self.weight_gradient;
        let mut gradients = vec![(hidden.clone(), Tensor::cat(self.state_gradients, 0))];
        gradients.extend(of_weight.map(|gradient| (head.weight().clone(), gradient)));
        Ok(LabelLosses {
            total: attach_gradients(total, gradients),
            term_sums,
        })
    }
}

fn accumulate<const D: usize>(sum: &mut Option<Tensor<D>>, more: Tensor<D>) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + more,
        None => more,
    });
}
