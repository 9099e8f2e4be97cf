#!/usr/bin/env python3
"""Record values and gradients of the losses in float64.

For random logits rounded to f32, this script writes the forward KL divergence with
a tail bucket, the cross-entropy, their gradients with respect to the student's logits,
the teacher's entropy and the tail mass. Alambic's losses, computed in f32 from the same
inputs, are tested against it.

    python tools/golden/record_losses.py --out tests/golden/losses/forward_kl_top_k.json

Needs torch; runs on the CPU. The inputs stand in the file, so that the numbers can be
checked without drawing them again.

The divergence of one token, for the teacher p, the student q and the k token ids of the
teacher's largest probabilities (temperature 1; probabilities of the full softmax, not
renormalised over the k):

    KL = sum_k p_k (ln p_k - ln q_k) + p_tail (ln p_tail - ln q_tail)
    p_tail = 1 - sum_k p_k        q_tail = 1 - sum_k q_k

With k equal to the vocabulary there is no tail term and KL is the exact divergence.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F

NUM_TOKENS = 6
VOCAB_SIZE = 40
TOP_K = [1, 4, 16, 40]
TEMPERATURE = 1.0
# Standard deviations of the logits, one per token: from nearly flat to peaked.
TEACHER_SCALES = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0]
STUDENT_SCALES = [1.0, 0.5, 2.0, 1.5, 4.0, 3.0]
# Rounding of the f64 calculations, with room to spare.
F64_TOLERANCE = 1e-12


def assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=F64_TOLERANCE, atol=F64_TOLERANCE)


def draw_inputs(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Student logits and teacher logits [tokens, vocab] rounded to f32, and labels [tokens]."""
    generator = torch.Generator().manual_seed(seed)

    def logits(scales: list[float]) -> torch.Tensor:
        noise = torch.randn(NUM_TOKENS, VOCAB_SIZE, generator=generator, dtype=torch.float32)
        return noise * torch.tensor(scales, dtype=torch.float32)[:, None]

    student, teacher = logits(STUDENT_SCALES), logits(TEACHER_SCALES)
    labels = torch.randint(0, VOCAB_SIZE, (NUM_TOKENS,), generator=generator)
    return student, teacher, labels


def value_and_gradient(loss, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss per token, and the gradient of its sum over tokens."""
    logits = logits.clone().requires_grad_()
    per_token = loss(logits)
    (gradient,) = torch.autograd.grad(per_token.sum(), logits)
    return per_token.detach(), gradient


def forward_kl(student_logits: torch.Tensor, teacher: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Forward KL with a tail bucket, per token; `kept` marks the teacher's top k."""
    student = F.log_softmax(student_logits, -1)
    terms = teacher.exp() * (teacher - student)
    divergence = terms.masked_fill(~kept, 0.0).sum(-1)
    if kept.all():
        return divergence
    student_tail = student.masked_fill(kept, -torch.inf).logsumexp(-1)
    teacher_tail = teacher.masked_fill(kept, -torch.inf).logsumexp(-1)
    return divergence + teacher_tail.exp() * (teacher_tail - student_tail)


def forward_kl_case(k: int, student_logits: torch.Tensor, teacher: torch.Tensor) -> dict:
    """One value of k: targets, divergence and gradient, checked against closed forms."""
    log_probs, token_ids = teacher.topk(k, dim=-1)
    kept = torch.zeros_like(teacher, dtype=torch.bool).scatter(-1, token_ids, True)
    per_token, gradient = value_and_gradient(lambda logits: forward_kl(logits, teacher, kept), student_logits)

    if k == VOCAB_SIZE:
        tail_mass = torch.zeros(NUM_TOKENS, dtype=torch.float64)
    else:
        tail_mass = 1.0 - log_probs.exp().sum(-1)
    student = F.log_softmax(student_logits, -1).exp()
    student_tail = student.masked_fill(kept, 0.0).sum(-1)
    ratio = torch.where(student_tail > 0, tail_mass / student_tail, 0.0)[:, None]
    assert_close(gradient, student - torch.where(kept, teacher.exp(), student * ratio))
    assert (per_token >= 0).all()
    return {
        "k": k,
        "target_ids": token_ids.tolist(),
        "target_log_probs": log_probs.tolist(),
        "tail_mass": tail_mass.tolist(),
        "sum": per_token.sum().item(),
        "per_token": per_token.tolist(),
        "gradient": gradient.tolist(),
    }


def record(seed: int) -> dict:
    """The content of the file."""
    student_f32, teacher_f32, labels = draw_inputs(seed)
    student_logits, teacher_logits = student_f32.double(), teacher_f32.double()
    teacher = F.log_softmax(teacher_logits, -1)
    entropy = -(teacher.exp() * teacher).sum(-1)

    cross_entropy, ce_gradient = value_and_gradient(
        lambda logits: F.cross_entropy(logits, labels, reduction="none"), student_logits
    )
    assert_close(ce_gradient, F.softmax(student_logits, -1) - F.one_hot(labels, VOCAB_SIZE))

    cases = [forward_kl_case(k, student_logits, teacher) for k in TOP_K]
    for coarse, fine in zip(cases, cases[1:]):
        assert all(a <= b for a, b in zip(coarse["per_token"], fine["per_token"])), "top k is a lower bound"
    full = F.kl_div(F.log_softmax(student_logits, -1), teacher, log_target=True, reduction="none").sum(-1)
    assert_close(torch.tensor(cases[-1]["per_token"], dtype=torch.float64), full)

    return {
        "description": "forward KL(teacher || student) with a tail bucket, and cross-entropy; sums over tokens, "
        "in nats, calculated in float64 from f32 logits; gradients are with respect to student_logits",
        "seed": seed,
        "torch": torch.__version__.split("+")[0],
        "num_tokens": NUM_TOKENS,
        "vocab_size": VOCAB_SIZE,
        "temperature": TEMPERATURE,
        "student_logits": student_f32.tolist(),
        "teacher_logits": teacher_f32.tolist(),
        "labels": labels.tolist(),
        "teacher_entropy": entropy.tolist(),
        "cross_entropy": {
            "sum": cross_entropy.sum().item(),
            "per_token": cross_entropy.tolist(),
            "gradient": ce_gradient.tolist(),
        },
        "forward_kl": cases,
    }


def to_text(recording: dict) -> str:
    """JSON with one line per row of numbers, so that a difference can be read."""

    def write(value, depth: int) -> str:
        if isinstance(value, dict):
            items = [f"{json.dumps(key)}: {write(item, depth + 1)}" for key, item in value.items()]
            opening, closing = "{", "}"
        elif isinstance(value, list) and value and isinstance(value[0], (list, dict)):
            items = [write(item, depth + 1) for item in value]
            opening, closing = "[", "]"
        else:
            return json.dumps(value)
        indent = " " * (depth + 1)
        return opening + "\n" + ",\n".join(indent + item for item in items) + "\n" + " " * depth + closing

    return write(recording, 0) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Record values and gradients of the losses in float64.")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seed", type=int, default=29, help="decides the logits and the labels (default: 29)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    recording = record(args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(to_text(recording))
    for case in recording["forward_kl"]:
        tail = case["tail_mass"]
        print(f"k = {case['k']}: KL {case['sum']:.6f} nats, tail mass {min(tail):.2e} .. {max(tail):.2e}")


if __name__ == "__main__":
    main()
