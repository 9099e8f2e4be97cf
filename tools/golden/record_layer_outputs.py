#!/usr/bin/env python3
"""Record what every layer of the embedded teacher gives, as `transformers` computes it in float32.

    python tools/golden/record_layer_outputs.py --model data/quickstart_teacher \\
        --out crates/alambic-transformer/tests/golden/layer_outputs.safetensors

Needs torch, transformers and safetensors; runs on the CPU. The file holds

    input_ids        i32 [1, T]
    hidden.I         f32 [1, T, H]: `hidden_states[I]`, 0 the embedding's, the last behind the final norm
    attention.I      f32 [1, heads, T, T]: the attention weights of layer I, counted from 1
    values.I         f32 [1, T, groups, head_dim]: what its value projection gives
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

TOKENS = [0, 17, 300, 2, 41, 900, 943]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(
        arguments.model, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    values = {}
    for index, layer in enumerate(model.model.layers):
        keep = lambda module, inputs, output, index=index: values.update({index + 1: output})
        layer.self_attn.v_proj.register_forward_hook(keep)
    ids = torch.tensor([TOKENS])
    with torch.no_grad():
        found = model(ids, output_hidden_states=True, output_attentions=True)
    groups, head_dim = model.config.num_key_value_heads, model.config.head_dim
    tensors = {"input_ids": ids.to(torch.int32)}
    for index, states in enumerate(found.hidden_states):
        tensors[f"hidden.{index}"] = states.contiguous().clone()
    for index, weights in enumerate(found.attentions):
        tensors[f"attention.{index + 1}"] = weights.contiguous().clone()
    for index, projected in values.items():
        split = projected.reshape(*projected.shape[:2], groups, head_dim)
        tensors[f"values.{index}"] = split.contiguous().clone()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, arguments.out)


if __name__ == "__main__":
    main()
