#!/usr/bin/env python3
"""Record the losses between models of other widths, heads and vocabularies, in float64.

For random inputs rounded to f32, this script writes the value of each position and the
gradient of their sum with respect to the student's inputs:

    python tools/golden/record_unlike_models.py --out tests/golden/losses/unlike_models.json

Needs torch; runs on the CPU. The inputs stand in the file. The losses:

    logit_mse        mean over the vocabulary of (z - t)^2                      arXiv:1312.6184
    mean_squared     mean over the width of (s W - t)^2, W learned              arXiv:1909.10351
    cosine           1 - cos(s W, t)                                            arXiv:1910.01108
    relations        KL between softmax(A B^T / sqrt(d)) of teacher and student
                     over the keys that a query sees, mean over relation heads   arXiv:2012.15828
    universal_logit  sum over ranks of |p - q|, the smaller side filled with 0  arXiv:2402.12030
    hybrid_logit     w JSD_beta over matched tokens + (1 - w) universal over the others,
                     w = matched / teacher vocabulary (GOLD, Hugging Face TRL)

torch's own functions (cosine_similarity, scaled_dot_product_attention, kl_div) check what is
written by hand.
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F

from record_losses import assert_close, to_text

POSITIONS = 6
STUDENT_WIDTH, TEACHER_WIDTH = 5, 8
# Two documents of four and two tokens: a query sees its document up to itself.
DOCUMENT = torch.tensor([0, 0, 0, 0, 1, 1])
RELATION_HEADS = 2
# Attention heads, groups of keys and values, and the width of a head.
STUDENT_HEADS, TEACHER_HEADS = (4, 2, 3), (6, 3, 4)
STUDENT_VOCAB, TEACHER_VOCAB = 7, 10
# Ids (student, teacher) of the tokens that both vocabularies have.
MATCHED = [(0, 3), (2, 2), (3, 8), (6, 0)]
BETAS = [0.3, 0.5]


def draw(generator: torch.Generator, *shape: int, scale: float = 1.0) -> torch.Tensor:
    return (scale * torch.randn(*shape, generator=generator, dtype=torch.float32)).double()


def with_gradients(loss, *inputs: torch.Tensor) -> tuple[list, list]:
    """The value of every position, and the gradients of their sum with respect to the inputs."""
    leaves = [value.clone().requires_grad_() for value in inputs]
    per_position = loss(*leaves)
    gradients = torch.autograd.grad(per_position.sum(), leaves)
    return per_position.tolist(), [gradient.tolist() for gradient in gradients]


def logit_mse(generator: torch.Generator) -> dict:
    student = draw(generator, POSITIONS, STUDENT_VOCAB, scale=2.0)
    teacher = draw(generator, POSITIONS, STUDENT_VOCAB, scale=3.0)
    values, (gradient,) = with_gradients(lambda z: ((z - teacher) ** 2).mean(-1), student)
    assert_close(torch.tensor(gradient, dtype=torch.float64), 2 * (student - teacher) / STUDENT_VOCAB)
    return {
        "student_logits": student.tolist(),
        "teacher_logits": teacher.tolist(),
        "per_position": values,
        "gradient": gradient,
    }


def hidden_states(generator: torch.Generator) -> dict:
    student = draw(generator, POSITIONS, STUDENT_WIDTH)
    teacher = draw(generator, POSITIONS, TEACHER_WIDTH, scale=2.0)
    weight = draw(generator, STUDENT_WIDTH, TEACHER_WIDTH)

    def mean_squared(states, projection):
        return ((states @ projection - teacher) ** 2).sum(-1) / TEACHER_WIDTH

    def cosine(states, projection):
        projected = states @ projection
        product = (projected * teacher).sum(-1)
        norms = (projected**2).sum(-1).sqrt() * (teacher**2).sum(-1).sqrt()
        return 1 - product / norms

    assert_close(cosine(student, weight), 1 - F.cosine_similarity(student @ weight, teacher, dim=-1))
    cases = {}
    for name, loss in [("mean_squared", mean_squared), ("cosine", cosine)]:
        values, (of_states, of_weight) = with_gradients(loss, student, weight)
        cases[name] = {"per_position": values, "gradient": of_states, "projection_gradient": of_weight}
    return {
        "student_states": student.tolist(),
        "teacher_states": teacher.tolist(),
        "projection": weight.tolist(),
        **cases,
    }


def regroup(states: torch.Tensor) -> torch.Tensor:
    """[positions, heads, width] -> [relation heads, positions, joined width / relation heads]"""
    return states.reshape(POSITIONS, RELATION_HEADS, -1).transpose(0, 1)


def relation_weights(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """softmax(A B^T / sqrt(d)) over what each query sees, [relation heads, positions, positions]."""
    rows, columns = regroup(rows), regroup(columns)
    scores = rows @ columns.transpose(1, 2) / math.sqrt(rows.shape[-1])
    place = torch.arange(POSITIONS)
    sees = (place[:, None] >= place[None, :]) & (DOCUMENT[:, None] == DOCUMENT[None, :])
    exponents = torch.where(sees, scores.exp(), 0.0)
    weights = exponents / exponents.sum(-1, keepdim=True)
    # Attention with the identity as values gives its weights.
    identity = torch.eye(POSITIONS, dtype=torch.float64).expand(RELATION_HEADS, -1, -1)
    assert_close(weights, F.scaled_dot_product_attention(rows, columns, identity, attn_mask=sees))
    return weights


def relations(generator: torch.Generator) -> dict:
    def layer(heads: int, groups: int, width: int) -> list[torch.Tensor]:
        return [draw(generator, POSITIONS, n, width) for n in (heads, groups, groups)]

    student, teacher = layer(*STUDENT_HEADS), layer(*TEACHER_HEADS)

    def parts(name: str, queries, keys, values):
        repeated = keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)
        return {
            "query_key": (queries, repeated),
            "query_query": (queries, queries),
            "key_key": (keys, keys),
            "value_value": (values, values),
        }[name]

    def loss(name: str, *states: torch.Tensor) -> torch.Tensor:
        p, q = relation_weights(*parts(name, *teacher)), relation_weights(*parts(name, *states))
        ratio = torch.where(p > 0, p / torch.where(p > 0, q, 1.0), 1.0)
        return (p * ratio.log()).sum(-1).mean(0)

    names = ["queries", "keys", "values"]
    recording = {"relation_heads": RELATION_HEADS, "documents": DOCUMENT.tolist()}
    for side, states in [("student", student), ("teacher", teacher)]:
        recording[side] = {name: part.tolist() for name, part in zip(names, states)}
    for relation in ["query_key", "query_query", "key_key", "value_value"]:
        leaves = [part.clone().requires_grad_() for part in student]
        per_position = loss(relation, *leaves)
        gradients = torch.autograd.grad(per_position.sum(), leaves, allow_unused=True)
        recording[relation] = {
            "per_position": per_position.tolist(),
            "gradients": {name: None if g is None else g.tolist() for name, g in zip(names, gradients)},
        }
    return recording


def universal(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    most = max(p.shape[-1], q.shape[-1])
    p, q = (F.pad(side.sort(-1, descending=True).values, (0, most - side.shape[-1])) for side in (p, q))
    assert ((p - q).abs() > 1e-4).all(), "where p = q the gradient jumps: another seed is needed"
    return (p - q).abs().sum(-1)


def kl(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * (a / b).log()).sum(-1)


def unlike_vocabularies(generator: torch.Generator) -> dict:
    student = draw(generator, POSITIONS, STUDENT_VOCAB, scale=1.5)
    teacher_logits = draw(generator, POSITIONS, TEACHER_VOCAB, scale=2.0)
    teacher = F.softmax(teacher_logits, -1)
    recording = {
        "student_logits": student.tolist(),
        "teacher_logits": teacher_logits.tolist(),
        "matched": MATCHED,
    }
    values, (gradient,) = with_gradients(lambda z: universal(teacher, F.softmax(z, -1)), student)
    recording["universal_logit"] = {"per_position": values, "gradient": gradient}
    of_student, of_teacher = (torch.tensor(ids) for ids in zip(*MATCHED))
    student_rest = torch.tensor([i for i in range(STUDENT_VOCAB) if i not in of_student])
    teacher_rest = torch.tensor([i for i in range(TEACHER_VOCAB) if i not in of_teacher])
    share = len(MATCHED) / TEACHER_VOCAB
    cases = []
    for beta in BETAS:

        def hybrid(logits: torch.Tensor) -> torch.Tensor:
            q = F.softmax(logits, -1)
            matched_p, matched_q = teacher[:, of_teacher], q[:, of_student]
            m = beta * matched_p + (1 - beta) * matched_q
            divergence = beta * kl(matched_p, m) + (1 - beta) * kl(matched_q, m)
            return share * divergence + (1 - share) * universal(teacher[:, teacher_rest], q[:, student_rest])

        values, (gradient,) = with_gradients(hybrid, student)
        cases.append({"beta": beta, "per_position": values, "gradient": gradient})
    recording["hybrid_logit"] = cases
    return recording


def main() -> None:
    parser = argparse.ArgumentParser(description="Record losses between unlike models in float64.")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seed", type=int, default=37, help="decides all inputs (default: 37)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(args.seed)
    recording = {
        "description": "losses between unlike models at each position, and gradients of their sums, "
        "calculated in float64 from f32 inputs",
        "seed": args.seed,
        "torch": torch.__version__.split("+")[0],
        "logit_mse": logit_mse(generator),
        "hidden_states": hidden_states(generator),
        "relations": relations(generator),
        "vocabularies": unlike_vocabularies(generator),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(to_text(recording))
    print(f"{args.out}: {', '.join(list(recording)[3:])}")


if __name__ == "__main__":
    main()
