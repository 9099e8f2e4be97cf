//! Fused operations on the CPU backend flex, with their gradients.

mod attention;
mod autodiff;
mod elementwise;
mod log_softmax;
mod matmul;
mod rows;

use burn::backend::{
    Backend, Dispatch, Flex, backend_extension,
    ops::FloatTensorOps,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use attention::{Inputs, Mixed, Sizes, Visible};

/// The operations, on primitives. Shapes and conventions are those of the crate's functions.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait FusedOps: Backend {
    fn causal_attention(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        first_visible: IntTensor<Self>,
    ) -> FloatTensor<Self>;

    fn rotate_halves(
        heads: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;

    fn log_softmax(logits: FloatTensor<Self>) -> FloatTensor<Self>;

    fn log_mass_outside(
        log_probs: FloatTensor<Self>,
        token_ids: IntTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Whether the fused operations serve this tensor: on flex, in f32.
pub(crate) fn serves<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.device() == Device::flex() && tensor.dtype() == DType::F32
}

pub(crate) fn causal_attention(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
    first_visible: Tensor<2, Int>,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as FusedOps>::causal_attention(
        queries.into_dispatch(),
        keys.into_dispatch(),
        values.into_dispatch(),
        first_visible.into_dispatch(),
    ))
}

pub(crate) fn rotate_halves(heads: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as FusedOps>::rotate_halves(
        heads.into_dispatch(),
        cos.into_dispatch(),
        sin.into_dispatch(),
    ))
}

pub(crate) fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as FusedOps>::swiglu(
        gate.into_dispatch(),
        up.into_dispatch(),
    ))
}

pub(crate) fn log_softmax<const D: usize>(logits: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as FusedOps>::log_softmax(logits.into_dispatch()))
}

pub(crate) fn log_mass_outside(log_probs: Tensor<3>, token_ids: Tensor<3, Int>) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as FusedOps>::log_mass_outside(
        log_probs.into_dispatch(),
        token_ids.into_dispatch(),
    ))
}

type Primitive = FloatTensor<Flex>;

impl FusedOps for Flex {
    fn causal_attention(
        queries: Primitive,
        keys: Primitive,
        values: Primitive,
        first_visible: IntTensor<Flex>,
    ) -> Primitive {
        let (queries, keys, values) = (
            queries.to_contiguous(),
            keys.to_contiguous(),
            values.to_contiguous(),
        );
        let visible = visible(&first_visible);
        let shape = shape(&queries);
        tensor(attend(&queries, &keys, &values, &visible).values, &shape)
    }

    fn rotate_halves(heads: Primitive, cos: Primitive, sin: Primitive) -> Primitive {
        rotate(&heads, &cos, &sin, elementwise::Turn::Forwards)
    }

    fn swiglu(gate: Primitive, up: Primitive) -> Primitive {
        let (gate, up) = (gate.to_contiguous(), up.to_contiguous());
        let values = elementwise::swiglu(floats(&gate), floats(&up));
        tensor(values, &shape(&gate))
    }

    fn log_softmax(logits: Primitive) -> Primitive {
        let logits = logits.to_contiguous();
        let shape = shape(&logits);
        tensor(log_softmax::forward(floats(&logits), last(&shape)), &shape)
    }

    fn log_mass_outside(log_probs: Primitive, token_ids: IntTensor<Flex>) -> Primitive {
        let log_probs = log_probs.to_contiguous();
        let mut shape = shape(&log_probs);
        let (ids, vocab) = (indices(&token_ids), last(&shape));
        let masses = log_softmax::log_mass_outside(floats(&log_probs), vocab, &ids);
        *shape.last_mut().expect("a tensor has dimensions") = 1;
        tensor(masses, &shape)
    }
}

/// Contiguous inputs to the forward pass of attention.
fn attend(queries: &Primitive, keys: &Primitive, values: &Primitive, visible: &Visible) -> Mixed {
    let inputs = Inputs {
        queries: floats(queries),
        keys: floats(keys),
        values: floats(values),
    };
    attention::forward(inputs, visible, sizes(queries, keys))
}

fn rotate(
    heads: &Primitive,
    cos: &Primitive,
    sin: &Primitive,
    turn: elementwise::Turn,
) -> Primitive {
    let (heads, cos, sin) = (
        heads.to_contiguous(),
        cos.to_contiguous(),
        sin.to_contiguous(),
    );
    let shape = shape(&heads);
    let heads_per_position = [shape[2], shape[3]];
    let values = elementwise::rotate(
        floats(&heads),
        floats(&cos),
        floats(&sin),
        heads_per_position,
        turn,
    );
    tensor(values, &shape)
}

fn sizes(queries: &Primitive, keys: &Primitive) -> Sizes {
    let (queries, keys) = (shape(queries), shape(keys));
    Sizes {
        batch: queries[0],
        seq: queries[1],
        heads: queries[2],
        groups: keys[2],
        head_dim: queries[3],
    }
}

fn visible(first: &IntTensor<Flex>) -> Visible {
    Visible {
        first: indices(first),
        seq: last(&shape(first)),
    }
}

fn shape(tensor: &Primitive) -> Vec<usize> {
    tensor.layout().shape().iter().copied().collect()
}

fn last(shape: &[usize]) -> usize {
    *shape.last().expect("a tensor has dimensions")
}

/// The numbers of a contiguous tensor.
fn floats(tensor: &Primitive) -> &[f32] {
    tensor.storage::<f32>()
}

/// Whole numbers of either width that flex stores.
fn indices(tensor: &IntTensor<Flex>) -> Vec<usize> {
    let tensor = tensor.to_contiguous();
    match tensor.dtype() {
        DType::I64 => tensor
            .storage::<i64>()
            .iter()
            .map(|x| *x as usize)
            .collect(),
        _ => tensor
            .storage::<i32>()
            .iter()
            .map(|x| *x as usize)
            .collect(),
    }
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> Primitive {
    Flex::float_from_data(TensorData::new(values, shape.to_vec()), &Default::default())
}
