#!/usr/bin/env python3
"""Record texts that resemble each other: exact Jaccard similarities, clusters, and the estimates of datasketch.

    python tools/golden/record_near_duplicates.py --out crates/alambic-synth/tests/golden/near_duplicates.json

Needs datasketch (recorded with 2.0.0) and numpy.
"""

import argparse
import itertools
import json
import random
from pathlib import Path

from datasketch import MinHash

SHINGLE_WORDS = 3
THRESHOLD = 0.6
PERMUTATIONS = 128
WORDS = (
    "river boat miller hen fox market donkey bread morning evening house road bridge lamp wheel stone apple garden winter summer "
    "bird song child teacher letter window door key table chair field horse cloud rain wind star moon fire water wood"
).split()


def shingles(text):
    words = text.split()
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(max(1, len(words) - SHINGLE_WORDS + 1))}


def jaccard(first, second):
    return len(first & second) / len(first | second)


def texts(rng):
    """Texts and edited copies of them, shuffled."""
    made = []
    for _ in range(45):
        words = rng.choices(WORDS, k=rng.randint(20, 50))
        for edits in [0, *rng.choices(range(7), k=rng.randint(0, 3))]:
            copy = list(words)
            for _ in range(edits):
                copy[rng.randrange(len(copy))] = rng.choice(WORDS)
            made.append(" ".join(copy))
    rng.shuffle(made)
    return made


def clusters(count, similar):
    """The first text of each one's connected component."""
    first = list(range(count))
    for _ in range(count):
        for a, b in similar:
            first[a] = first[b] = min(first[a], first[b])
    return first


def signature(found):
    minhash = MinHash(num_perm=PERMUTATIONS, seed=1)
    for shingle in found:
        minhash.update(" ".join(shingle).encode())
    return minhash


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    all_texts = texts(random.Random(17))
    sets = [shingles(text) for text in all_texts]
    signatures = [signature(found) for found in sets]
    pairs = []
    for a, b in itertools.combinations(range(len(sets)), 2):
        exact = jaccard(sets[a], sets[b])
        if exact > 0.1:
            pairs.append((a, b, exact, signatures[a].jaccard(signatures[b])))
    recorded = {
        "shingle_words": SHINGLE_WORDS,
        "threshold": THRESHOLD,
        "texts": all_texts,
        "pairs": pairs,
        "clusters": clusters(len(sets), [(a, b) for a, b, exact, _ in pairs if exact >= THRESHOLD]),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
