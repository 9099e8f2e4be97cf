"""What DistillKit's two recommended settings weigh, and how exact they are.

usage: python benches/peers/distillkit_size.py DISTRIBUTIONS.safetensors VOCAB_SIZE
(needs numpy, safetensors and pyarrow)

Computed from the description of its format: ids in ceil(log2 V) bits each; the first `exact` log-probabilities
as bfloat16; the others by a least-squares polynomial of their rank, with float32 coefficients. Errors are those
of `cargo run --release -p alambic-cache --example size_and_speed`: the mean of the sum of p |d ln p|, and of the
KL divergence of the stored entries and one bucket for the rest. "All inclusive" is what the Parquet file takes
with the columns, types and pyarrow defaults that it is written with, token ids included, 512 tokens to a row.
"""

import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file

ROW_TOKENS = 512

# name, entries, exact ones, terms of the polynomial
SETTINGS = [
    ("budget", 50, 1, [0, 1, "sqrt"]),
    ("recommended", 128, 16, [0, 1, 2, 3, 4, "sqrt"]),
]


def as_bfloat16(values):
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32).astype(np.float64)


def packed_ids(ids, bits):
    """Rows of ids, most significant bit first, in `bits` bits each."""
    places = np.arange(bits - 1, -1, -1, dtype=np.uint32)
    flat = (ids.astype(np.uint32)[:, :, None] >> places) & 1
    return np.packbits(flat.reshape(len(ids), -1).astype(np.uint8), axis=1)


def parquet_bytes(token_ids, values, ids):
    """Bytes of the file per token."""
    whole = len(token_ids) // ROW_TOKENS * ROW_TOKENS
    assert whole, f"at least {ROW_TOKENS} positions are needed"
    split = lambda rows: rows[:whole].reshape(-1, ROW_TOKENS, *rows.shape[1:]).tolist()
    of_bytes = pa.list_(pa.list_(pa.uint8()))
    table = pa.table({
        "input_ids": pa.array(split(token_ids.astype(np.uint64)), pa.list_(pa.uint64())),
        "compressed_logprobs": pa.array(split(values), of_bytes),
        "bytepacked_indices": pa.array(split(ids), of_bytes),
    })
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "data_0.parquet"
        pq.write_table(table, path)
        return path.stat().st_size / whole


def stored(log_probs, exact, terms):
    """What is read, and the bytes that are written."""
    rank = np.arange(log_probs.shape[1] - exact, dtype=np.float64)
    columns = [np.sqrt(rank) if term == "sqrt" else rank**term for term in terms]
    basis = np.stack(columns, 1)
    coefficients, *_ = np.linalg.lstsq(basis, log_probs[:, exact:].T, rcond=1e-5)
    coefficients = coefficients.astype(np.float32)
    curve = basis @ coefficients.astype(np.float64)
    exact_ones = as_bfloat16(log_probs[:, :exact])
    high_halves = (exact_ones.astype(np.float32).view(np.uint32) >> 16).astype("<u2")
    of_curve = np.ascontiguousarray(coefficients.T.astype("<f4"))
    written = np.concatenate([np.ascontiguousarray(high_halves).view(np.uint8), of_curve.view(np.uint8)], 1)
    return np.concatenate([exact_ones, curve.T], 1), written


def main(path, vocab_size):
    given = load_file(path)
    all_log_probs = given["log_probs"].astype(np.float64)
    bits = math.ceil(math.log2(vocab_size))
    for name, k, exact, terms in SETTINGS:
        if k > all_log_probs.shape[1]:
            continue
        log_probs = all_log_probs[:, :k]
        kept, written = stored(log_probs, exact, terms)
        p, difference = np.exp(log_probs), log_probs - kept
        tail = np.clip(1 - p.sum(1), 1e-9, 1)
        kept_tail = np.clip(1 - np.exp(kept).sum(1), 1e-9, None)
        kl = (p * difference).sum(1) + tail * np.log(tail / kept_tail)
        ids = packed_ids(given["ids"][:, :k], bits)
        size, id_bytes = ids.shape[1] + written.shape[1], ids.shape[1]
        inclusive = parquet_bytes(given["sampled_ids"][:, 0], written, ids)
        print(f"{name}, top {k}: {size} bytes of which ids {id_bytes}, all inclusive {inclusive:.1f}, "
              f"p |d ln p| {(p * abs(difference)).sum(1).mean():.5f}, KL {kl.mean():.5f} nats")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
