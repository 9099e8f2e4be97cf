#!/usr/bin/env python3
"""Record adapters that PEFT writes for the recorded checkpoints, and what it computes with them, in float32 on the CPU.

    python tools/golden/record_adapters.py --families crates/alambic-transformer/tests/golden/families SHARED/golden/hf \
        --out crates/alambic-transformer/tests/golden/adapters

Each case becomes a directory with `adapter_config.json`, `adapter_model.safetensors` and `golden.safetensors`:
`input_ids` i32 [2, 12], `logits` f32 [2, 12, V]; and a line of `index.json`: mean cross-entropy of the rows, the norm of its
gradient for the adapters, and the base model. Recorded with peft 0.21 and transformers 5.23.
Needs torch, transformers, peft and safetensors.
"""

import argparse
import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

SEED = 11
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CASES = {
    "qwen2-all": ("qwen2-sliding", {"r": 3, "lora_alpha": 7.5, "target_modules": ALL}),
    "gemma2-two": ("gemma2-odd", {"r": 4, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]}),
    # One tensor, and one adapter, for several projections.
    "phi3-joined": (
        "phi3-partial-sliding", {"r": 3, "lora_alpha": 6, "target_modules": ["qkv_proj", "gate_up_proj", "down_proj"]}
    ),
    # Inputs first, and a name that two tensors of a layer end with.
    "gpt2-joined": ("gpt2", {"r": 2, "lora_alpha": 5, "target_modules": ["c_attn", "c_proj"]}),
    "olmo3-down": ("olmo3", {"r": 1, "lora_alpha": 16, "target_modules": ["down_proj"], "lora_dropout": 0.1}),
}

parser = argparse.ArgumentParser()
parser.add_argument("--families", type=Path, nargs="+", required=True)
parser.add_argument("--out", type=Path, required=True)
arguments = parser.parse_args()

index = {}
for name, (base, settings) in CASES.items():
    torch.manual_seed(SEED)
    directory = arguments.out / name
    model_directory = next(root / base for root in arguments.families if (root / base).exists())
    model = AutoModelForCausalLM.from_pretrained(
        model_directory, dtype=torch.float32, attn_implementation="eager"
    )
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **settings))
    model.eval()
    # Large enough to matter.
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                parameter.normal_(0.0, 0.3)
    ids = load_file(model_directory / "golden.safetensors")["short.input_ids"].long()
    logits = model(ids).logits
    labels = ids[:, 1:].reshape(-1)
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].reshape(len(labels), -1), labels)
    loss.backward()
    squares = [p.grad.double().square().sum() for _, p in model.named_parameters() if p.requires_grad]
    model.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    config = json.loads((directory / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = base
    config["target_modules"] = sorted(config["target_modules"])
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_file({"input_ids": ids.int(), "logits": logits.detach().contiguous()}, directory / "golden.safetensors")
    index[name] = {
        "base": base,
        "cross_entropy": loss.item(),
        "gradient_norm": torch.stack(squares).sum().sqrt().item(),
    }
(arguments.out / "index.json").write_text(json.dumps(index, indent=2) + "\n")
