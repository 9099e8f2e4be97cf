#!/usr/bin/env python3
"""Record tiny random checkpoints and what `transformers` computes of them, in float32 on the CPU.

    python tools/golden/record_families.py --out crates/alambic-transformer/tests/golden/families

Each case becomes a directory with `config.json`, `model.safetensors` and `golden.safetensors`:

    short.input_ids  i32 [2, 12], short.logits  f32 [2, 12, V]
    long.input_ids   i32 [2, 40], long.logits   f32 [2, 40, V]: longer than `original` lengths and windows
    greedy.prompt    i32 [1, 4],  greedy.output i32 [1, 40]: with a cache, past the original length

and a line of `index.json`: mean cross-entropy of the short rows, and the norm of its gradient.
Needs torch, transformers and safetensors.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

SEED = 5
VOCAB = 48
BASE = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": VOCAB,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}


def rope(kind, **settings):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0} | settings}


CASES = {
    "llama-dynamic": ("llama", {"max_position_embeddings": 16} | rope("dynamic", factor=4.0)),
    "llama-yarn-settings": (
        "llama",
        rope(
            "yarn",
            factor=4.0,
            original_max_position_embeddings=16,
            beta_fast=8.0,
            mscale=1.0,
            mscale_all_dim=0.5,
        ),
    ),
    "llama-biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "qwen2-sliding": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 2, "head_dim": None},
    ),
    "qwen3-biases": ("qwen3", {"attention_bias": True}),
    "phi3-partial-sliding": (
        "phi3",
        {
            "head_dim": None,
            "hidden_size": 32,
            "sliding_window": 6,
            "original_max_position_embeddings": 16,
        }
        | rope(
            "longrope",
            short_factor=[1.0, 1.5, 2.0],
            long_factor=[1.0, 3.0, 9.0],
            partial_rotary_factor=0.75,
        ),
    ),
    "smollm3-sliding": (
        "smollm3",
        {"use_sliding_window": True, "sliding_window": 6, "no_rope_layer_interval": 2},
    ),
    "olmo3": (
        "olmo3",
        {
            "head_dim": None,
            "hidden_size": 32,
            "sliding_window": 6,
            "rope_parameters": {
                "full_attention": {
                    "rope_type": "yarn",
                    "rope_theta": 20000.0,
                    "factor": 4.0,
                    "original_max_position_embeddings": 16,
                },
                "sliding_attention": {"rope_type": "default", "rope_theta": 20000.0},
            },
        },
    ),
    "gemma2-odd": (
        "gemma2",
        {
            "query_pre_attn_scalar": 12,
            "sliding_window": 6,
            "tie_word_embeddings": True,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0,
        },
    ),
    "gemma3-both-layers": (
        "gemma3_text",
        {
            "query_pre_attn_scalar": 12,
            "sliding_window": 6,
            "tie_word_embeddings": True,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
        },
    ),
}


def record(kind, settings, directory):
    settings = {name: value for name, value in (BASE | settings).items() if value is not None}
    config = CONFIG_MAPPING[kind](**settings)
    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval().float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.1)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(directory)
    load = lambda: AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager")
    model = load().eval().float()
    tensors = {}
    for name, length in {"short": 12, "long": 40}.items():
        ids = torch.randint(3, VOCAB, (2, length))
        with torch.no_grad():
            logits = model(ids, use_cache=False).logits
        tensors[f"{name}.input_ids"] = ids.to(torch.int32)
        tensors[f"{name}.logits"] = logits.float().contiguous()
    prompt = tensors["short.input_ids"][:1, :4].long()
    # What grew with the length of a text is forgotten.
    model = load().eval().float()
    with torch.no_grad():
        output = model.generate(prompt, max_new_tokens=36, do_sample=False, eos_token_id=None, pad_token_id=0)
    tensors["greedy.prompt"] = prompt.to(torch.int32)
    tensors["greedy.output"] = output.to(torch.int32)
    model = load().eval().float()
    ids = tensors["short.input_ids"].long()
    loss = model(ids, labels=ids, use_cache=False).loss
    loss.backward()
    squares = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
    save_file(tensors, directory / "golden.safetensors")
    return {"short_ce": loss.item(), "short_grad_norm": torch.sqrt(sum(squares)).item()}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, required=True)
    out = arguments.parse_args().out
    torch.set_num_threads(1)
    index = {"transformers": transformers.__version__, "torch": torch.__version__, "cases": {}}
    for name, (kind, settings) in CASES.items():
        index["cases"][name] = record(kind, settings, out / name)
        print(name, index["cases"][name])
    (out / "index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    main()
