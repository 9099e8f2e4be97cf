#!/usr/bin/env python3
"""Record a short distillation run in PyTorch, every number of it.

Alambic's trainer is tested against what this script writes: from the same two
checkpoints, the same batches and the same recipe, the Rust trainer has to reach
the same losses, the same gradient norms and the same final weights.

Example (the recording under tests/golden/train):

    python tools/golden/record_training.py \\
        --checkpoints CHECKPOINTS --student llama-tied-gqa2 --teacher llama \\
        --loss forward_kl --seed 23 \\
        --out tests/golden/train/llama-tied-gqa2_from_llama_forward_kl

CHECKPOINTS holds one Hugging Face directory per model name. Needs torch,
transformers and safetensors; runs on the CPU, in f32, on one thread.

Files written to --out:

- batches.safetensors: `input_ids` (i32) and `loss_mask` (u8), both of shape
  [steps, accumulation, batch, sequence]; `loss_mask` true: this token is a counted label.
- run.json: the recipe, and for each optimizer step the counted tokens, both
  losses (nats per token), the weighted total, the gradient's global norm
  before clipping, and the learning rate.
- final_student/: the student after the last step, as a Hugging Face checkpoint.
"""

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

# Token ids below this one are the special tokens of the test checkpoints.
FIRST_ORDINARY_TOKEN_ID = 3
# A label is left out of the loss with this probability.
MASKED_RATIO = 0.35


def parse_arguments() -> argparse.Namespace:
    """Read the command line; the defaults are the recipe of the recorded runs."""
    parser = argparse.ArgumentParser(
        description="Record a short distillation run in PyTorch.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    files = parser.add_argument_group("files and models")
    files.add_argument("--checkpoints", type=Path, required=True, help="directory with one checkpoint per model name")
    files.add_argument("--student", required=True, help="name of the student's checkpoint")
    files.add_argument("--teacher", required=True, help="name of the teacher's checkpoint")
    files.add_argument("--out", type=Path, required=True, help="directory to write")
    files.add_argument("--seed", type=int, required=True, help="decides the batches")

    loss = parser.add_argument_group("objective")
    loss.add_argument("--loss", choices=["forward_kl", "reverse_kl", "jsd"], required=True)
    loss.add_argument("--beta", type=float, default=0.5, help="jsd: weight of the teacher in the mixture")
    loss.add_argument("--temperature", type=float, default=1.0,
                      help="divides both logits; its square multiplies the loss")
    loss.add_argument("--kd-weight", type=float, default=0.7, help="weight of the divergence")
    loss.add_argument("--ce-weight", type=float, default=0.3, help="weight of the hard labels' cross-entropy")

    batch = parser.add_argument_group("batches")
    batch.add_argument("--steps", type=int, default=20, help="optimizer steps")
    batch.add_argument("--accumulation-steps", type=int, default=2, help="micro-batches per optimizer step")
    batch.add_argument("--micro-batch", type=int, default=2, help="sequences per micro-batch")
    batch.add_argument("--sequence-tokens", type=int, default=32, help="tokens per sequence")

    optimizer = parser.add_argument_group("AdamW and the schedule")
    optimizer.add_argument("--learning-rate", type=float, default=3e-3)
    optimizer.add_argument("--betas", type=float, nargs=2, default=[0.9, 0.95])
    optimizer.add_argument("--epsilon", type=float, default=1e-8)
    optimizer.add_argument("--weight-decay", type=float, default=0.1, help="for tensors of 2 or more dimensions only")
    optimizer.add_argument("--max-gradient-norm", type=float, default=1.0, help="clip the global norm to this")
    optimizer.add_argument("--warmup-steps", type=int, default=4)
    optimizer.add_argument("--min-learning-rate-ratio", type=float, default=0.1)
    return parser.parse_args()


def load_model(directory: Path) -> torch.nn.Module:
    """Load a checkpoint in f32, with the plain attention (no fused kernel)."""
    return AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager").float()


def make_batches(args: argparse.Namespace, vocab_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw random token ids and a random loss mask; the first token is never a label."""
    shape = (args.steps, args.accumulation_steps, args.micro_batch, args.sequence_tokens)
    input_ids = torch.randint(FIRST_ORDINARY_TOKEN_ID, vocab_size, shape)
    loss_mask = torch.rand(shape) > MASKED_RATIO
    loss_mask[..., 0] = False
    return input_ids, loss_mask


def make_optimizer(student: torch.nn.Module, args: argparse.Namespace) -> torch.optim.AdamW:
    """AdamW that decays matrices (embeddings included) and leaves norms and biases alone."""
    parameters = list(student.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": args.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=args.learning_rate, betas=tuple(args.betas), eps=args.epsilon)


def learning_rate_at(step: int, args: argparse.Namespace) -> float:
    """Linear warm-up, then a cosine from the peak to its floor; `step` is 0-based."""
    if step < args.warmup_steps:
        return args.learning_rate * (step + 1) / args.warmup_steps
    progress = (step - args.warmup_steps) / max(1, args.steps - args.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    floor = args.min_learning_rate_ratio
    return args.learning_rate * (floor + (1 - floor) * cosine)


def divergence(student_logits: torch.Tensor, teacher_logits: torch.Tensor, args: argparse.Namespace) -> torch.Tensor:
    """The divergence of each token in nats, times temperature squared: [batch, sequence]."""
    temperature = args.temperature
    if temperature != 1.0:
        student_logits, teacher_logits = student_logits / temperature, teacher_logits / temperature
    student = F.log_softmax(student_logits, -1)
    teacher = F.log_softmax(teacher_logits, -1)
    if args.loss == "forward_kl":
        per_token = (teacher.exp() * (teacher - student)).sum(-1)
    elif args.loss == "reverse_kl":
        per_token = (student.exp() * (student - teacher)).sum(-1)
    else:
        beta = args.beta
        mixture = torch.logaddexp(teacher + math.log(beta), student + math.log(1 - beta))
        from_teacher = (teacher.exp() * (teacher - mixture)).sum(-1)
        from_student = (student.exp() * (student - mixture)).sum(-1)
        per_token = beta * from_teacher + (1 - beta) * from_student
    return per_token * temperature * temperature


def train_step(step, student, teacher, optimizer, input_ids, loss_mask, args) -> dict:
    """One optimizer step over its window of micro-batches; returns what happened.

    Both losses are sums over the counted labels, divided by the number of counted
    labels of the whole window: splitting the window differently changes nothing.
    """
    num_tokens = int(loss_mask[:, :, 1:].sum())
    optimizer.zero_grad()
    kd = ce = 0.0
    for ids, mask in zip(input_ids, loss_mask):
        labels, counted = ids[:, 1:], mask[:, 1:]
        student_logits = student(ids, use_cache=False).logits[:, :-1]
        with torch.no_grad():
            teacher_logits = teacher(ids, use_cache=False).logits[:, :-1]
        kd_sum = divergence(student_logits, teacher_logits, args)[counted].sum()
        ce_sum = F.cross_entropy(student_logits[counted], labels[counted], reduction="sum")
        ((args.kd_weight * kd_sum + args.ce_weight * ce_sum) / num_tokens).backward()
        kd += kd_sum.item() / num_tokens
        ce += ce_sum.item() / num_tokens

    grad_norm = torch.nn.utils.clip_grad_norm_(student.parameters(), args.max_gradient_norm).item()
    learning_rate = learning_rate_at(step, args)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.step()
    return {
        "step": step + 1,
        "tokens": num_tokens,
        "kd": kd,
        "ce": ce,
        "loss": args.kd_weight * kd + args.ce_weight * ce,
        "grad_norm": grad_norm,
        "lr": learning_rate,
    }


def describe_run(args: argparse.Namespace, steps: list[dict]) -> dict:
    """The content of run.json: the recipe in words and numbers, then the steps."""
    return {
        "student": args.student,
        "teacher": args.teacher,
        "loss": args.loss,
        "beta": args.beta,
        "temperature": args.temperature,
        "temperature_squared_factor": True,
        "kd_weight": args.kd_weight,
        "ce_weight": args.ce_weight,
        "accumulation_steps": args.accumulation_steps,
        "micro_batch": args.micro_batch,
        "seq_len": args.sequence_tokens,
        "optimizer": {
            "kind": "adamw",
            "lr": args.learning_rate,
            "betas": args.betas,
            "eps": args.epsilon,
            "weight_decay": args.weight_decay,
            "decay": "tensors with 2 or more dimensions (embeddings included); norms and biases: none",
        },
        "schedule": {
            "kind": "linear warm-up then cosine",
            "warmup_steps": args.warmup_steps,
            "total_steps": args.steps,
            "min_lr_ratio": args.min_learning_rate_ratio,
            "formula": "0-based step s: s<warmup: lr*(s+1)/warmup; "
            "else lr*(min+(1-min)*0.5*(1+cos(pi*(s-warmup)/(total-warmup))))",
        },
        "clip_global_norm": args.max_gradient_norm,
        "normalisation": "sum over masked target tokens / their count over the whole accumulation window; "
        "position t predicts token t+1, counted when loss_mask[t+1]",
        "steps": steps,
    }


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    student = load_model(args.checkpoints / args.student).train()
    teacher = load_model(args.checkpoints / args.teacher).eval()
    if student.config.vocab_size != teacher.config.vocab_size:
        raise SystemExit("the student and the teacher must have the same vocabulary size")
    optimizer = make_optimizer(student, args)
    input_ids, loss_mask = make_batches(args, student.config.vocab_size)
    steps = [
        train_step(step, student, teacher, optimizer, input_ids[step], loss_mask[step], args)
        for step in range(args.steps)
    ]

    args.out.mkdir(parents=True, exist_ok=True)
    batches = {"input_ids": input_ids.to(torch.int32), "loss_mask": loss_mask.to(torch.uint8)}
    save_file(batches, args.out / "batches.safetensors")
    student.save_pretrained(args.out / "final_student", safe_serialization=True)
    (args.out / "run.json").write_text(json.dumps(describe_run(args, steps), indent=1))
    for path in args.out.rglob("*.safetensors"):
        path.chmod(0o644)  # safetensors writes files that only their owner can read
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, seed {args.seed}")
    print(f"{args.out}: loss {steps[0]['loss']:.6f} -> {steps[-1]['loss']:.6f} in {len(steps)} steps")


if __name__ == "__main__":
    main()
