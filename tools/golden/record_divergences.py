#!/usr/bin/env python3
"""Record every divergence between teacher and student, with gradients, in float64.

For random logits rounded to f32, this script writes the value of each token and the
gradient of their sum with respect to the student's logits, one file for each way to
represent the teacher:

    python tools/golden/record_divergences.py --out tests/golden/losses

Needs torch; runs on the CPU. The inputs stand in every file. The divergences are written
down here as their papers define them, in probabilities, and differentiated by autograd;
Alambic computes them in logarithms. `torch.nn.functional.kl_div` and closed forms of the
gradient check what is written.

The divergences of a teacher p and a student q, where KL(a, b) = sum a ln(a / b):

    forward_kl        KL(p, q)
    reverse_kl        KL(q, p)
    symmetric_kl      (KL(p, q) + KL(q, p)) / 2
    jensen_shannon    b KL(p, m) + (1 - b) KL(q, m), m = b p + (1 - b) q      arXiv:2306.13649
                      at b = 0 and b = 1 defined as KL(p, q) and KL(q, p)
    skew_kl           KL(p, a p + (1 - a) q)                                  arXiv:2402.03898
    skew_reverse_kl   KL(q, a q + (1 - a) p)                                  arXiv:2402.03898
    adaptive_kl       (g_head KL(p, q) + g_tail KL(q, p)) / (g_head + g_tail)  arXiv:2404.02657
                      g is the sum of |p - q|, a constant to the gradient; the head is the
                      smallest set of the teacher's likeliest outcomes with a mass of mu
    total_variation   sum |p - q| / 2

What the teacher is, where only its k likeliest tokens are known:

    tail_bucket           k + 1 outcomes on both sides, the last one "any other token"
    zero_fill             p = 0 for the other tokens, and p does not add up to 1
    renormalise_teacher   the same, divided by its sum
    renormalise_both      p and q over the k tokens alone, divided by their sums

Where p is 0 and q is not, a divergence that holds KL(q, p) is infinite and not recorded.
"""

import argparse
import math
from pathlib import Path
from typing import Callable

import torch
import torch.nn.functional as F

from record_losses import assert_close, to_text, value_and_gradient

Probs = torch.Tensor
Divergence = Callable[[Probs, Probs], torch.Tensor]
# The teacher's and the student's probabilities over the same outcomes, [tokens, outcomes].
Pair = tuple[Probs, Probs]

VOCAB_SIZE = 20
TOP_K = 6
TEMPERATURES = [1.0, 2.0]
# Standard deviations of the logits, one per token: from nearly flat to peaked.
TEACHER_SCALES = [0.5, 1.0, 2.0, 3.0, 4.0]
STUDENT_SCALES = [1.0, 2.0, 0.5, 3.0, 2.0]
# Where an f32 calculation could take another branch than this one: at |p - q| = 0, and where
# the mass of the adaptive divergence's head is mu. The inputs stay away from both.
LEAST_DISTANCE_TO_A_BRANCH = 1e-4


def kl(a: Probs, b: Probs) -> torch.Tensor:
    """sum a ln(a / b), with 0 ln 0 = 0."""
    ratio = torch.where(a > 0, a / b, 1.0)
    return (a * ratio.log()).sum(-1)


def jensen_shannon(beta: float) -> Divergence:
    def divergence(p: Probs, q: Probs) -> torch.Tensor:
        m = beta * p + (1 - beta) * q
        return beta * kl(p, m) + (1 - beta) * kl(q, m)

    return {0.0: kl, 1.0: lambda p, q: kl(q, p)}.get(beta, divergence)


def skew_kl(alpha: float) -> Divergence:
    return lambda p, q: kl(p, alpha * p + (1 - alpha) * q)


def skew_reverse_kl(alpha: float) -> Divergence:
    return lambda p, q: kl(q, alpha * q + (1 - alpha) * p)


def adaptive_kl(head_mass: float) -> Divergence:
    def divergence(p: Probs, q: Probs) -> torch.Tensor:
        ordered, order = p.sort(-1, descending=True)
        mass = ordered.cumsum(-1)
        assert ((mass - head_mass).abs() > LEAST_DISTANCE_TO_A_BRANCH).all(), "another seed is needed"
        head_size = (mass < head_mass).sum(-1, keepdim=True) + 1
        is_head = torch.arange(p.shape[-1]) < head_size
        gap = (p - q).abs().detach().gather(-1, order)
        g_head, g_tail = (gap * is_head).sum(-1), (gap * ~is_head).sum(-1)
        return (g_head * kl(p, q) + g_tail * kl(q, p)) / (g_head + g_tail)

    return divergence


def total_variation(p: Probs, q: Probs) -> torch.Tensor:
    assert ((p - q).abs() > LEAST_DISTANCE_TO_A_BRANCH * p.maximum(q)).all(), "another seed is needed"
    return (p - q).abs().sum(-1) / 2


# Every divergence as a recipe names it, and its formula.
DIVERGENCES: list[tuple[dict, Divergence]] = [
    ({"kind": "forward_kl"}, kl),
    ({"kind": "reverse_kl"}, lambda p, q: kl(q, p)),
    ({"kind": "symmetric_kl"}, lambda p, q: (kl(p, q) + kl(q, p)) / 2),
    *(({"kind": "jensen_shannon", "beta": beta}, jensen_shannon(beta)) for beta in [0.0, 0.1, 0.5, 0.9, 1.0]),
    *(({"kind": "skew_kl", "alpha": alpha}, skew_kl(alpha)) for alpha in [0.1, 0.5]),
    *(({"kind": "skew_reverse_kl", "alpha": alpha}, skew_reverse_kl(alpha)) for alpha in [0.1, 0.5]),
    ({"kind": "adaptive_kl", "head_mass": 0.5}, adaptive_kl(0.5)),
    ({"kind": "total_variation"}, total_variation),
]


def tail_bucket(p: Probs, q: Probs, kept: torch.Tensor) -> Pair:
    def coarse(probs: Probs) -> Probs:
        others = torch.ones_like(probs).scatter(-1, kept, 0.0)
        return torch.cat([probs.gather(-1, kept), (probs * others).sum(-1, keepdim=True)], -1)

    return coarse(p), coarse(q)


def zero_fill(p: Probs, q: Probs, kept: torch.Tensor) -> Pair:
    return torch.zeros_like(p).scatter(-1, kept, p.gather(-1, kept)), q


def renormalise_teacher(p: Probs, q: Probs, kept: torch.Tensor) -> Pair:
    filled, q = zero_fill(p, q, kept)
    return filled / filled.sum(-1, keepdim=True), q


def renormalise_both(p: Probs, q: Probs, kept: torch.Tensor) -> Pair:
    p, q = p.gather(-1, kept), q.gather(-1, kept)
    return p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)


TAIL_TREATMENTS = [tail_bucket, zero_fill, renormalise_teacher, renormalise_both]


def draw_logits(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The student's and the teacher's logits [tokens, vocab], rounded to f32."""
    generator = torch.Generator().manual_seed(seed)

    def logits(scales: list[float]) -> torch.Tensor:
        noise = torch.randn(len(scales), VOCAB_SIZE, generator=generator, dtype=torch.float32)
        return noise * torch.tensor(scales, dtype=torch.float32)[:, None]

    return logits(STUDENT_SCALES), logits(TEACHER_SCALES)


def divergence_cases(student_logits: torch.Tensor, pair: Callable[[torch.Tensor], Pair]) -> list[dict]:
    """Values and gradients of all divergences that are finite on a pair made of the student's logits."""
    cases = []
    for term, divergence in DIVERGENCES:
        per_token, gradient = value_and_gradient(lambda logits: divergence(*pair(logits)), student_logits)
        if per_token.isinf().any():
            continue
        assert gradient.isfinite().all()
        case = {"term": {**term, "weight": 1.0}, "per_token": per_token.tolist(), "gradient": gradient.tolist()}
        cases.append(case)
    return cases


def check_dense(cases: list[dict], student_logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float):
    """Compare with torch's divergence, in logarithms, and with closed forms of the gradients."""
    p, q = (F.log_softmax(logits / temperature, -1) for logits in (teacher_logits, student_logits))

    def torch_kl(of: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        return F.kl_div(to, of, log_target=True, reduction="none").sum(-1)

    def of_case(kind: str, field: str, **setting: float) -> torch.Tensor:
        term = {"kind": kind, **setting, "weight": 1.0}
        (case,) = [case for case in cases if case["term"] == term]
        return torch.tensor(case[field], dtype=torch.float64)

    forward, reverse = torch_kl(p, q), torch_kl(q, p)
    assert_close(of_case("forward_kl", "per_token"), forward)
    assert_close(of_case("reverse_kl", "per_token"), reverse)
    assert_close(of_case("symmetric_kl", "per_token"), (forward + reverse) / 2)
    assert_close(of_case("jensen_shannon", "per_token", beta=0.0), forward)
    assert_close(of_case("jensen_shannon", "per_token", beta=1.0), reverse)
    for beta in [0.1, 0.5, 0.9]:
        m = torch.logaddexp(p + math.log(beta), q + math.log(1 - beta))
        expected = beta * torch_kl(p, m) + (1 - beta) * torch_kl(q, m)
        assert_close(of_case("jensen_shannon", "per_token", beta=beta), expected)
    for alpha in [0.1, 0.5]:
        with_teacher = torch.logaddexp(p + math.log(alpha), q + math.log(1 - alpha))
        with_student = torch.logaddexp(q + math.log(alpha), p + math.log(1 - alpha))
        assert_close(of_case("skew_kl", "per_token", alpha=alpha), torch_kl(p, with_teacher))
        assert_close(of_case("skew_reverse_kl", "per_token", alpha=alpha), torch_kl(q, with_student))
    assert_close(of_case("forward_kl", "gradient"), (q.exp() - p.exp()) / temperature)
    reverse_gradient = q.exp() * (q - p - reverse[:, None]) / temperature
    assert_close(of_case("reverse_kl", "gradient"), reverse_gradient)


def recordings(seed: int) -> dict[str, dict]:
    """The content of every file by its name."""
    student_f32, teacher_f32 = draw_logits(seed)
    student_logits, teacher_logits = student_f32.double(), teacher_f32.double()
    inputs = {
        "description": "divergences of each token in nats, and the gradient of their sum with respect to "
        "student_logits, calculated in float64 from f32 logits",
        "seed": seed,
        "torch": torch.__version__.split("+")[0],
        "student_logits": student_f32.tolist(),
        "teacher_logits": teacher_f32.tolist(),
    }
    files = {}
    for temperature in TEMPERATURES:
        teacher = F.softmax(teacher_logits / temperature, -1)
        cases = divergence_cases(student_logits, lambda logits: (teacher, F.softmax(logits / temperature, -1)))
        check_dense(cases, student_logits, teacher_logits, temperature)
        name = f"divergences_dense_temperature_{temperature:.0f}"
        files[name] = {**inputs, "temperature": temperature, "divergences": cases}

    teacher = F.softmax(teacher_logits, -1)
    stored, kept = teacher.topk(TOP_K, dim=-1)
    targets = {
        "target_ids": kept.tolist(),
        "target_log_probs": stored.log().tolist(),
        "tail_mass": (1.0 - stored.sum(-1)).tolist(),
    }
    for treatment in TAIL_TREATMENTS:
        cases = divergence_cases(student_logits, lambda logits: treatment(teacher, F.softmax(logits, -1), kept))
        name = treatment.__name__
        truncation = {"tail_treatment": name, "k": TOP_K, **targets}
        files[f"divergences_{name}"] = {**inputs, "temperature": 1.0, **truncation, "divergences": cases}
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description="Record every divergence in float64.")
    parser.add_argument("--out", type=Path, required=True, help="directory to write the JSON files to")
    parser.add_argument("--seed", type=int, default=31, help="decides the logits (default: 31)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, recording in recordings(args.seed).items():
        path = args.out / f"{name}.json"
        path.write_text(to_text(recording))
        print(f"{path}: {len(recording['divergences'])} divergences")


if __name__ == "__main__":
    main()
