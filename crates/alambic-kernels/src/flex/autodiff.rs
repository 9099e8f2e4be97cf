//! Gradients of the fused operations.

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{
    Flex,
    tensor::{FloatTensor, IntTensor},
};

use super::attention::{self, Inputs, Visible};
use super::{
    FusedOps, Primitive, attend, elementwise, floats, indices, last, log_softmax, rotate, shape,
    sizes, tensor, visible,
};

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn causal_attention(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        first_visible: IntTensor<Flex>,
    ) -> FloatTensor<Self> {
        let nodes = [queries.node(), keys.node(), values.node()];
        match Attention.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => {
                let queries = queries.into_primitive().to_contiguous();
                let keys = keys.into_primitive().to_contiguous();
                let values = values.into_primitive().to_contiguous();
                let visible = visible(&first_visible);
                let mixed = attend(&queries, &keys, &values, &visible);
                let output = tensor(mixed.values, &shape(&queries));
                let state = AttentionState {
                    queries,
                    keys,
                    values,
                    visible: visible.into(),
                    output: output.clone(),
                    log_sum_exp: mixed.log_sum_exp.into(),
                };
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(Flex::causal_attention(
                queries.into_primitive(),
                keys.into_primitive(),
                values.into_primitive(),
                first_visible,
            )),
        }
    }

    fn rotate_halves(
        heads: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        // The tables are constants.
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        match Rotation
            .prepare::<C>([heads.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(preparation) => {
                let turned = Flex::rotate_halves(heads.into_primitive(), cos.clone(), sin.clone());
                preparation.finish((cos, sin), turned)
            }
            OpsKind::UnTracked(preparation) => {
                preparation.finish(Flex::rotate_halves(heads.into_primitive(), cos, sin))
            }
        }
    }

    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [gate.node(), up.node()];
        let preparation = SwiGlu.prepare::<C>(nodes).compute_bound().stateful();
        let gate = gate.into_primitive().to_contiguous();
        let up = up.into_primitive().to_contiguous();
        match preparation {
            OpsKind::Tracked(preparation) => {
                let output = Flex::swiglu(gate.clone(), up.clone());
                preparation.finish((gate, up), output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(Flex::swiglu(gate, up)),
        }
    }

    fn log_softmax(logits: FloatTensor<Self>) -> FloatTensor<Self> {
        let preparation = LogSoftmax
            .prepare::<C>([logits.node()])
            .compute_bound()
            .stateful();
        let log_probs = Flex::log_softmax(logits.into_primitive());
        match preparation {
            OpsKind::Tracked(preparation) => preparation.finish(log_probs.clone(), log_probs),
            OpsKind::UnTracked(preparation) => preparation.finish(log_probs),
        }
    }

    fn log_mass_outside(
        log_probs: FloatTensor<Self>,
        token_ids: IntTensor<Flex>,
    ) -> FloatTensor<Self> {
        let preparation = LogMassOutside
            .prepare::<C>([log_probs.node()])
            .compute_bound()
            .stateful();
        let log_probs = log_probs.into_primitive().to_contiguous();
        let masses = Flex::log_mass_outside(log_probs.clone(), token_ids.clone());
        match preparation {
            OpsKind::Tracked(preparation) => {
                preparation.finish((log_probs, token_ids, masses.clone()), masses)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(masses),
        }
    }
}

#[derive(Debug)]
struct Attention;

#[derive(Clone, Debug)]
struct AttentionState {
    queries: Primitive,
    keys: Primitive,
    values: Primitive,
    visible: std::sync::Arc<Visible>,
    output: Primitive,
    log_sum_exp: std::sync::Arc<[Vec<f32>]>,
}

impl Backward<Flex, 3> for Attention {
    type State = AttentionState;

    fn backward(
        self,
        ops: Ops<AttentionState, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let state = ops.state;
        let inputs = Inputs {
            queries: floats(&state.queries),
            keys: floats(&state.keys),
            values: floats(&state.values),
        };
        let result = attention::backward(
            inputs,
            &state.visible,
            floats(&state.output),
            &state.log_sum_exp,
            floats(&gradient),
            sizes(&state.queries, &state.keys),
        );
        let (query_shape, key_shape) = (shape(&state.queries), shape(&state.keys));
        let values = [
            (result.queries, &query_shape),
            (result.keys, &key_shape),
            (result.values, &key_shape),
        ];
        for (parent, (values, shape)) in ops.parents.into_iter().zip(values) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, tensor(values, shape));
            }
        }
    }
}

#[derive(Debug)]
struct Rotation;

impl Backward<Flex, 1> for Rotation {
    type State = (Primitive, Primitive);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let (cos, sin) = ops.state;
        if let [Some(parent)] = ops.parents {
            let turned = rotate(&gradient, &cos, &sin, elementwise::Turn::Backwards);
            gradients.register::<Flex>(parent.id, turned);
        }
    }
}

#[derive(Debug)]
struct SwiGlu;

impl Backward<Flex, 2> for SwiGlu {
    type State = (Primitive, Primitive);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (gate, up) = ops.state;
        let (of_gate, of_up) =
            elementwise::swiglu_backward(floats(&gate), floats(&up), floats(&gradient));
        for (parent, values) in ops.parents.into_iter().zip([of_gate, of_up]) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, tensor(values, &shape(&gate)));
            }
        }
    }
}

#[derive(Debug)]
struct LogSoftmax;

impl Backward<Flex, 1> for LogSoftmax {
    type State = Primitive;

    fn backward(
        self,
        ops: Ops<Primitive, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let log_probs = ops.state;
        if let [Some(parent)] = ops.parents {
            let shape = shape(&log_probs);
            let values = log_softmax::backward(floats(&log_probs), last(&shape), floats(&gradient));
            gradients.register::<Flex>(parent.id, tensor(values, &shape));
        }
    }
}

#[derive(Debug)]
struct LogMassOutside;

impl Backward<Flex, 1> for LogMassOutside {
    type State = (Primitive, IntTensor<Flex>, Primitive);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (log_probs, token_ids, masses) = ops.state;
        if let [Some(parent)] = ops.parents {
            let shape = shape(&log_probs);
            let values = log_softmax::log_mass_outside_backward(
                floats(&log_probs),
                last(&shape),
                &indices(&token_ids),
                floats(&masses),
                floats(&gradient),
            );
            gradients.register::<Flex>(parent.id, tensor(values, &shape));
        }
    }
}
