"""Peak memory of a forward and backward pass by depth, beside PyTorch's, with layers kept and computed again.

Usage: python3 benches/recompute_memory.py STEP_MEMORY [DEPTH ...]     (needs torch and transformers)

STEP_MEMORY is the program of crates/alambic-transformer/examples/step_memory.rs. Both sides compute the same shapes in
f32: a Llama of 256 dimensions, 4 heads, 704 inside, vocabulary 4,096, 4 x 512 tokens, the gradients of the mean square
of the logits. PyTorch computes layers again with `gradient_checkpointing_enable`. Each figure is a process of its own:
megabytes at its peak beyond those before the pass; seconds of a second pass.
"""

import json
import resource
import subprocess
import sys
import time


def of_torch(layers, mode):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(17)
    config = LlamaConfig(
        vocab_size=4096, hidden_size=256, intermediate_size=704, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=512, tie_word_embeddings=True, use_cache=False,
    )
    model = LlamaForCausalLM(config).train()
    if mode == "again":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    ids = torch.arange(4 * 512).reshape(4, 512)

    def step():
        model.zero_grad(set_to_none=True)
        model(ids).logits.square().mean().backward()

    with open("/proc/self/statm") as statm:
        before = int(statm.read().split()[1]) * resource.getpagesize() / 1e6
    step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    started = time.monotonic()
    step()
    return {"layers": layers, "mode": mode, "megabytes": peak - before, "seconds": time.monotonic() - started}


def main():
    if sys.argv[1] == "--torch":
        print(json.dumps(of_torch(int(sys.argv[2]), sys.argv[3])))
        return
    depths = [int(depth) for depth in sys.argv[2:]] or [4, 8, 16, 32]
    print("| layers | kept | again | PyTorch kept | PyTorch again |\n|---|---|---|---|---|")
    for layers in depths:
        cells = []
        for command in ([sys.argv[1]], [sys.executable, __file__, "--torch"]):
            for mode in ("kept", "again"):
                found = subprocess.run([*command, str(layers), mode], check=True, capture_output=True, text=True)
                found = json.loads(found.stdout.strip().splitlines()[-1])
                cells.append(f"{found['megabytes']:.0f} MB, {found['seconds']:.2f} s")
        print(f"| {layers} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
