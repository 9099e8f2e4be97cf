#!/usr/bin/env python3
"""Load what Alambic wrote in `transformers`, and compare logits with Alambic's own.

    cargo build -p alambic-transformer --example rewrite_checkpoint -p alambic-cli
    python tools/compare_with_transformers.py --rewrite target/debug/examples/rewrite_checkpoint \\
        --alambic target/debug/alambic --models crates/alambic-transformer/tests/golden/families/*/ \\
        --out docs/experiments/written_checkpoints.json

Every model is read and written again by Alambic, once in one file and once in shards. `transformers` loads both, and must
find all weights that it expects and no others. Compared are, on 2 rows of 40 random tokens, the largest differences of
logits: of `transformers` on the original and on what was written, and of `alambic score` on the latter. Needs torch,
transformers and safetensors; float32, on the CPU.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

SHARD_BYTES = "10000"
# Sums in another order.
TOLERANCE = 1e-4


def logits(directory, ids):
    model, info = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[what], (directory, what, info[what])
    with torch.no_grad():
        return model.eval()(ids, use_cache=False).logits


def compare(model, arguments, scratch):
    config = AutoConfig.from_pretrained(model)
    torch.manual_seed(0)
    ids = torch.randint(3, config.vocab_size, (2, 40))
    original = logits(model, ids)
    found = {"model": model.name, "model_type": config.model_type}
    for name, options in {"one_file": [], "shards": [SHARD_BYTES]}.items():
        written = scratch / f"{model.name}-{name}"
        subprocess.run([arguments.rewrite, model, written, *options], check=True)
        found[name] = (logits(written, ids) - original).abs().max().item()
        if options:
            assert len(list(written.glob("model-*.safetensors"))) > 1
    tokens, out = scratch / "tokens.safetensors", scratch / "logits.safetensors"
    save_file({"input_ids": ids.to(torch.int32)}, tokens)
    score = ["score", "--model", written, "--tokens", tokens, "--out", out, "--device", "cpu"]
    subprocess.run([arguments.alambic, *score], check=True, capture_output=True)
    found["alambic"] = (load_file(out)["logits"] - original).abs().max().item()
    for name in ("one_file", "shards", "alambic"):
        assert found[name] < TOLERANCE, found
    return found


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rewrite", required=True)
    arguments.add_argument("--alambic", required=True)
    arguments.add_argument("--models", type=Path, nargs="+", required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as scratch:
        found = [compare(model, arguments, Path(scratch)) for model in sorted(arguments.models)]
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    arguments.out.write_text(json.dumps(versions | {"largest_differences": found}, indent=1) + "\n")
    for line in found:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
