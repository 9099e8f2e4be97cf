"""Peak memory of loading a checkpoint, beside the size of the model in f32.

Usage: python3 benches/loading_memory.py ALAMBIC DIRECTORY     (needs numpy and safetensors)

Writes models of about 200 million random weights to DIRECTORY, as f32 and as f16, and lets the program ALAMBIC
score three tokens with each.
"""

import json
import pathlib
import subprocess
import sys

import numpy
from safetensors.numpy import save_file

HIDDEN, LAYERS = 1024, 12


def llama():
    wide, vocab = 2816, 32_000
    shapes = {"model.embed_tokens.weight": (vocab, HIDDEN), "model.norm.weight": (HIDDEN,), "lm_head.weight": (vocab, HIDDEN)}
    for layer in range(LAYERS):
        of_layer = {
            "self_attn.q_proj": (HIDDEN, HIDDEN),
            "self_attn.k_proj": (HIDDEN // 4, HIDDEN),
            "self_attn.v_proj": (HIDDEN // 4, HIDDEN),
            "self_attn.o_proj": (HIDDEN, HIDDEN),
            "mlp.gate_proj": (wide, HIDDEN),
            "mlp.up_proj": (wide, HIDDEN),
            "mlp.down_proj": (HIDDEN, wide),
            "input_layernorm": (HIDDEN,),
            "post_attention_layernorm": (HIDDEN,),
        }
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in of_layer.items()}
    config = dict(
        model_type="llama", hidden_size=HIDDEN, intermediate_size=wide, num_hidden_layers=LAYERS,
        num_attention_heads=16, num_key_value_heads=4, head_dim=64, vocab_size=vocab, max_position_embeddings=2048,
        rms_norm_eps=1e-5, rope_theta=10_000.0, tie_word_embeddings=False, hidden_act="silu",
    )
    return shapes, config


def gpt2():
    vocab, positions = 50_257, 1024
    shapes = {"wte.weight": (vocab, HIDDEN), "wpe.weight": (positions, HIDDEN)}
    shapes |= {f"ln_f.{part}": (HIDDEN,) for part in ("weight", "bias")}
    for layer in range(LAYERS):
        for name, (rows, columns) in {
            "attn.c_attn": (HIDDEN, 3 * HIDDEN),
            "attn.c_proj": (HIDDEN, HIDDEN),
            "mlp.c_fc": (HIDDEN, 4 * HIDDEN),
            "mlp.c_proj": (4 * HIDDEN, HIDDEN),
        }.items():
            shapes |= {f"h.{layer}.{name}.weight": (rows, columns), f"h.{layer}.{name}.bias": (columns,)}
        shapes |= {f"h.{layer}.ln_{n}.{part}": (HIDDEN,) for n in (1, 2) for part in ("weight", "bias")}
    shapes = {f"transformer.{name}": shape for name, shape in shapes.items()}
    config = dict(
        model_type="gpt2", n_embd=HIDDEN, n_layer=LAYERS, n_head=16, n_positions=positions, vocab_size=vocab,
        layer_norm_epsilon=1e-5, activation_function="gelu_new",
    )
    return shapes, config


def peak_bytes(program, directory):
    command = [program, "score", "--model", directory, "--tokens", directory / "ids.safetensors"]
    command += ["--out", directory / "logits.safetensors", "--device", "cpu"]
    # A child of its own for each, whose peak is then that of this program's children.
    script = f"import subprocess, resource\nsubprocess.run({[str(part) for part in command]!r}, check=True, stdout=2)\n"
    script += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    result = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True)
    return int(result.stdout)


program, root = sys.argv[1], pathlib.Path(sys.argv[2])
print(f"{'model':8} {'file':4} {'in f32':>10} {'peak':>10} {'ratio':>6}")
for make in (llama, gpt2):
    for dtype in (numpy.float32, numpy.float16):
        shapes, config = make()
        random = numpy.random.default_rng(0)
        weights = {
            name: (0.02 * random.standard_normal(shape, dtype=numpy.float32)).astype(dtype)
            for name, shape in shapes.items()
        }
        directory = root / f"{make.__name__}-{dtype.__name__}"
        directory.mkdir(parents=True, exist_ok=True)
        save_file(weights, directory / "model.safetensors")
        (directory / "config.json").write_text(json.dumps(config))
        save_file({"input_ids": numpy.array([[1, 2, 3]], dtype=numpy.int32)}, directory / "ids.safetensors")
        size = 4 * sum(weight.size for weight in weights.values())
        del weights
        peak = peak_bytes(program, directory)
        name = {"float32": "f32", "float16": "f16"}[dtype.__name__]
        print(f"{make.__name__:8} {name:4} {size / 1e6:7.0f} MB {peak / 1e6:7.0f} MB {peak / size:6.2f}")
