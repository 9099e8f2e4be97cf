//! Rotary positions (Su et al. 2021, arXiv:2104.09864).

use burn::tensor::Tensor;

use crate::Computation;

/// Turns every pair `(i, i + head_dim / 2)` of a head by the angle of its position.
///
/// This is the half-split pairing of Hugging Face checkpoints. The tables are constants: no
/// gradient flows into them.
///
/// # Shapes
/// Heads `[batch, seq, heads, head_dim]`, tables `[batch or 1, seq, 1, head_dim / 2]`; the result has
/// the heads' shape.
///
/// # Panics
/// If the shapes do not fit each other.
pub fn rotate_halves(
    heads: Tensor<4>,
    cos: Tensor<4>,
    sin: Tensor<4>,
    computation: Computation,
) -> Tensor<4> {
    let [batch, seq, _, head_dim] = heads.dims();
    let [rows, positions, ..] = cos.dims();
    let half = head_dim / 2;
    assert_eq!(cos.dims(), [rows, positions, 1, half], "the cosines");
    assert_eq!(sin.dims(), cos.dims(), "sines are shaped like cosines");
    assert!(
        (rows == 1 || rows == batch) && positions == seq,
        "tables of [{rows}, {positions}] for a batch of [{batch}, {seq}]"
    );
    #[cfg(feature = "flex")]
    if computation.is_fused(&heads) {
        return crate::flex::rotate_halves(heads, cos, sin);
    }
    let _ = computation;
    let first = heads.clone().narrow(3, 0, half);
    let second = heads.narrow(3, half, half);
    let turned_first = first.clone() * cos.clone() - second.clone() * sin.clone();
    let turned_second = second * cos + first * sin;
    Tensor::cat(vec![turned_first, turned_second], 3)
}
