#!/usr/bin/env python3
"""Record how far PyTorch's autocast takes small checkpoints from what they compute in float32.

    python tools/golden/record_precision.py --out crates/alambic-transformer/tests/golden/precision.json \\
        --models SHARED/golden/hf crates/alambic-transformer/tests/golden/families

Needs torch, transformers and safetensors; runs on the CPU. For every checkpoint, and for bf16 and f16:

    logit_error       root mean square of the differences of the logits of `short.input_ids`
    gradient_error    |g - g32| / |g32| over all parameters, of the mean cross-entropy of the next tokens

The loss is multiplied with 1,024 before the gradients are made, and they are divided by it.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

SCALE = 1024.0
TYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


def compute(model, ids, dtype):
    """Logits and the gradient of the loss, one long vector, in float64."""
    model.zero_grad()
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        logits = model(ids).logits
    logits = logits.float()
    predictions = logits[:, :-1].flatten(0, 1)
    loss = torch.nn.functional.cross_entropy(predictions, ids[:, 1:].flatten())
    (loss * SCALE).backward()
    gradients = [p.grad.double().flatten() / SCALE for p in model.parameters() if p.grad is not None]
    return logits.detach().double(), torch.cat(gradients)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--models", type=Path, nargs="+", required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    cases = {}
    directories = [path.parent for root in arguments.models for path in root.glob("*/golden.safetensors")]
    for directory in sorted(directories, key=lambda directory: directory.name):
        model = AutoModelForCausalLM.from_pretrained(
            directory, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        ids = load_file(directory / "golden.safetensors")["short.input_ids"].long()
        logits, gradient = compute(model, ids, None)
        case = cases[directory.name] = {}
        for name, dtype in TYPES.items():
            rounded_logits, rounded_gradient = compute(model, ids, dtype)
            case[name] = {
                "logit_error": (rounded_logits - logits).square().mean().sqrt().item(),
                "gradient_error": ((rounded_gradient - gradient).norm() / gradient.norm()).item(),
            }
        print(directory.name, json.dumps(case))
    recorded = {"torch": torch.__version__, "cases": cases}
    arguments.out.write_text(json.dumps(recorded, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
