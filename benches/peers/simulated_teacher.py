"""Simulate the distributions of a large teacher over 151,936 tokens.

usage: python benches/peers/simulated_teacher.py OUT.safetensors POSITIONS SEED [independent | systematic]
(needs numpy and safetensors)

Each position has about 1,500 candidates drawn from a Zipf-Mandelbrot curve, so that ids are as skewed as in
text, with probabilities that fall as a power of their rank; the power is mixed over positions so that the
mass of the top entries is near what was measured on a model of 30 B parameters (top 32: 0.94, top 128:
0.97). Ids follow the order of frequency with jitter, as the merges of byte-pair encoding do.

Writes `ids` and `log_probs` of the top 128, `entropy`, and `sampled_ids`, 50 draws,
independent ones unless told otherwise.
"""

import sys

import numpy as np
from safetensors.numpy import save_file

VOCAB_SIZE, TOP_K, DRAWS, CANDIDATES = 151_936, 128, 50, 1_500
POWERS, SHARES = [1.2, 1.5, 1.8, 3.0], [0.05, 0.30, 0.35, 0.30]
CANDIDATE_MASS = 0.99


def unigrams():
    """Frequencies by rank, and the token id of every rank."""
    frequency = (np.arange(VOCAB_SIZE) + 2.7) ** -1.05
    jitter = np.exp(0.5 * np.random.default_rng(1).standard_normal(VOCAB_SIZE))
    ids = np.argsort(np.argsort((np.arange(VOCAB_SIZE) + 1) * jitter)).astype(np.int32)
    return frequency / frequency.sum(), ids


def simulate(positions, seed, method):
    random = np.random.default_rng(seed)
    frequency, ids = unigrams()
    cumulative = np.cumsum(frequency)
    out = {
        "ids": np.zeros((positions, TOP_K), np.int32),
        "log_probs": np.zeros((positions, TOP_K), np.float32),
        "entropy": np.zeros(positions, np.float32),
        "sampled_ids": np.zeros((positions, DRAWS), np.int32),
    }
    for i in range(positions):
        power = random.choice(POWERS, p=SHARES)
        drawn = np.searchsorted(cumulative, random.random(CANDIDATES)).clip(0, VOCAB_SIZE - 1)
        candidates = np.unique(drawn)
        random.shuffle(candidates)
        falling = (np.arange(len(candidates)) + 1.0) ** -power
        p = (1 - CANDIDATE_MASS) * frequency
        p[candidates] += CANDIDATE_MASS * falling / falling.sum()
        log_p = np.log(p)
        top = np.argpartition(-p, TOP_K)[:TOP_K]
        top = top[np.argsort(-p[top])]
        out["ids"][i], out["log_probs"][i] = ids[top], log_p[top]
        out["entropy"][i] = -(p * log_p).sum()
        if method == "systematic":
            places = (np.arange(DRAWS) + random.random()) / DRAWS
        else:
            places = random.random(DRAWS)
        draws = np.searchsorted(np.cumsum(p), places).clip(0, VOCAB_SIZE - 1)
        out["sampled_ids"][i] = ids[draws]
    return out


if __name__ == "__main__":
    method = sys.argv[4] if len(sys.argv) > 4 else "independent"
    assert method in ("independent", "systematic"), method
    save_file(simulate(int(sys.argv[2]), int(sys.argv[3]), method), sys.argv[1])
