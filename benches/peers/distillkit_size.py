"""What DistillKit's two recommended settings weigh, and how exact they are.

usage: python benches/peers/distillkit_size.py DISTRIBUTIONS.safetensors VOCAB_SIZE     (needs numpy and safetensors)

Computed from the description of its format: ids in ceil(log2 V) bits each; the first `exact` log-probabilities
as bfloat16; the others by a least-squares polynomial of their rank, with float32 coefficients. Errors are those
of `cargo run --release -p alambic-cache --example size_and_speed`: the mean of the sum of p |d ln p|, and of the
KL divergence of the stored entries and one bucket for the rest.
"""

import math
import sys

import numpy as np
from safetensors.numpy import load_file

# name, entries, exact ones, terms of the polynomial
SETTINGS = [
    ("budget", 50, 1, [0, 1, "sqrt"]),
    ("recommended", 128, 16, [0, 1, 2, 3, 4, "sqrt"]),
]


def as_bfloat16(values):
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32).astype(np.float64)


def stored(log_probs, exact, terms):
    rank = np.arange(log_probs.shape[1] - exact, dtype=np.float64)
    columns = [np.sqrt(rank) if term == "sqrt" else rank**term for term in terms]
    basis = np.stack(columns, 1)
    coefficients, *_ = np.linalg.lstsq(basis, log_probs[:, exact:].T, rcond=1e-5)
    curve = basis @ coefficients.astype(np.float32).astype(np.float64)
    return np.concatenate([as_bfloat16(log_probs[:, :exact]), curve.T], 1)


def main(path, vocab_size):
    all_log_probs = load_file(path)["log_probs"].astype(np.float64)
    for name, k, exact, terms in SETTINGS:
        if k > all_log_probs.shape[1]:
            continue
        log_probs = all_log_probs[:, :k]
        kept = stored(log_probs, exact, terms)
        p, difference = np.exp(log_probs), log_probs - kept
        tail = np.clip(1 - p.sum(1), 1e-9, 1)
        kept_tail = np.clip(1 - np.exp(kept).sum(1), 1e-9, None)
        kl = (p * difference).sum(1) + tail * np.log(tail / kept_tail)
        id_bytes = math.ceil(k * math.ceil(math.log2(vocab_size)) / 8)
        size = id_bytes + 2 * exact + 4 * len(terms)
        print(f"{name}, top {k}: {size} bytes of which ids {id_bytes}, "
              f"p |d ln p| {(p * abs(difference)).sum(1).mean():.5f}, KL {kl.mean():.5f} nats")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
