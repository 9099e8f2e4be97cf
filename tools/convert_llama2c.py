#!/usr/bin/env python3
"""Convert a model of llama2.c (.bin) to a Hugging Face directory that Alambic reads.

    python3 tools/convert_llama2c.py stories260K.bin tok512.bin downloads/stories260K

Both files of stories260K are at https://huggingface.co/karpathy/tinyllamas (directory stories260K).
Needs nothing but Python. The format is the legacy one: seven 32-bit integers, then f32 weights.
"""

import array
import json
import struct
import sys
from pathlib import Path

SPECIAL = ["<unk>", "<s>", "</s>"]
FIRST_PIECE = len(SPECIAL) + 256  # behind the special tokens and the bytes


def read_weights(path):
    """The configuration and the tensors by their Hugging Face names, as (shape, floats)."""
    data = Path(path).read_bytes()
    dim, hidden, layers, heads, kv_heads, vocab, seq = struct.unpack_from("<7i", data)
    tied, vocab = vocab > 0, abs(vocab)
    head_dim = dim // heads
    floats = array.array("f")
    floats.frombytes(data[28:])
    position = 0

    def take(*shape):
        nonlocal position
        size = 1
        for extent in shape:
            size *= extent
        values = floats[position : position + size]
        if len(values) != size:
            sys.exit(f"{path} ends early: expected {size} more numbers, found {len(values)}")
        position += size
        return list(shape), values

    def per_layer(*shape):
        return [take(*shape) for _ in range(layers)]

    tensors = {"model.embed_tokens.weight": take(vocab, dim)}
    # The file holds each kind of weight for all layers before the next kind.
    kinds = [
        ("input_layernorm.weight", per_layer(dim)),
        ("self_attn.q_proj.weight", per_layer(heads * head_dim, dim)),
        ("self_attn.k_proj.weight", per_layer(kv_heads * head_dim, dim)),
        ("self_attn.v_proj.weight", per_layer(kv_heads * head_dim, dim)),
        ("self_attn.o_proj.weight", per_layer(dim, heads * head_dim)),
        ("post_attention_layernorm.weight", per_layer(dim)),
        ("mlp.gate_proj.weight", per_layer(hidden, dim)),
        ("mlp.down_proj.weight", per_layer(dim, hidden)),
        ("mlp.up_proj.weight", per_layer(hidden, dim)),
    ]
    for name, values in kinds:
        for layer, (shape, weight) in enumerate(values):
            if name.startswith(("self_attn.q", "self_attn.k")):
                weight = half_split(weight, shape, head_dim)
            tensors[f"model.layers.{layer}.{name}"] = (shape, weight)
    tensors["model.norm.weight"] = take(dim)
    take(seq, head_dim // 2), take(seq, head_dim // 2)  # rotary tables, which are computed
    if not tied:
        tensors["lm_head.weight"] = take(vocab, dim)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocab,
        "hidden_size": dim, "intermediate_size": hidden, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim,
        "max_position_embeddings": seq, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
        "tie_word_embeddings": tied, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32",
    }
    return config, tensors


def half_split(weight, shape, head_dim):
    """Rows of a projection from neighbouring pairs to pairs half a head apart."""
    rows, columns = shape
    half = head_dim // 2
    turned = array.array("f")
    for head in range(0, rows, head_dim):
        for part in (0, 1):
            for pair in range(half):
                row = head + 2 * pair + part
                turned.extend(weight[row * columns : (row + 1) * columns])
    return turned


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (shape, values) in tensors.items():
        end = offset + 4 * len(values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, values in tensors.values():
            file.write(values.tobytes())


def read_pieces(path, vocab):
    """The pieces of tokenizer.bin in the order of their ids, and their scores."""
    data = Path(path).read_bytes()
    pieces, position = [], 4
    for _ in range(vocab):
        score, length = struct.unpack_from("<fi", data, position)
        position += 8
        text = data[position : position + length].decode("utf-8")
        pieces.append((text.replace(" ", "\u2581"), score))
        position += length
    names = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)]
    return [(name, 0.0) for name in names] + pieces[FIRST_PIECE:]


def tokenizer(pieces):
    vocab = {piece: index for index, (piece, _) in enumerate(pieces)}
    merges = []
    for piece, score in pieces[FIRST_PIECE:]:
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocab and right in vocab:
                merges.append((-score, -cut, [left, right]))
    merges.sort(key=lambda merge: merge[:2])
    special = [
        {"id": index, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for index, name in enumerate(SPECIAL)
    ]
    begin, text = {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None,
        "post_processor": {"type": "TemplateProcessing", "single": [begin, text],
            "pair": [begin, text, {"SpecialToken": {"id": "<s>", "type_id": 1}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
            "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
            "byte_fallback": True, "ignore_merges": False, "vocab": vocab,
            "merges": [pair for *_, pair in merges]},
    }


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    weights, words, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    config, tensors = read_weights(weights)
    out.mkdir(parents=True, exist_ok=True)
    write_safetensors(out / "model.safetensors", tensors)
    (out / "config.json").write_text(json.dumps(config, indent=2))
    pieces = read_pieces(words, config["vocab_size"])
    (out / "tokenizer.json").write_text(json.dumps(tokenizer(pieces), ensure_ascii=False), "utf-8")
    count = sum(len(values) for _, values in tensors.values())
    print(f"{out}: {count:,} parameters, {len(pieces)} tokens")


if __name__ == "__main__":
    main()
