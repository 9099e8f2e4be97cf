#!/usr/bin/env python3
"""Near-duplicates of a file of documents by datasketch, as `million_documents` writes it: one JSON string a line.

    python benches/peers/datasketch_duplicates.py documents.jsonl

Needs datasketch (measured with 2.0.0) and numpy. The same shingles (five words in a row), permutations, bands and threshold as
the default of `NearDuplicatesConfig`; pairs that share a band are verified by estimated similarity, and joined. One process.
"""

import argparse
import json
import re
import resource
import time
from pathlib import Path

from datasketch import MinHash, MinHashLSH

# Words, and operators of formulas, as the documents of `million_documents` have them.
WORDS = re.compile(
    r"[a-z0-9]+|(?:(?<=[0-9)])|(?<=[0-9)] ))(?:[+=<>^%]|[-*/](?= ?[0-9(]))|[+=<>^%](?= ?[0-9(])"
)
SHINGLE_WORDS, PERMUTATIONS, BANDS, THRESHOLD = 5, 120, 20, 0.8


def shingles(text):
    words = WORDS.findall(text.lower())
    size = min(SHINGLE_WORDS, len(words))
    return {" ".join(words[i : i + size]).encode() for i in range(len(words) - size + 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path)
    texts = [json.loads(line) for line in parser.parse_args().documents.open()]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, begun_cpu = time.perf_counter(), time.process_time()
    lsh = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, PERMUTATIONS // BANDS))
    first, signatures = list(range(len(texts))), []

    def root(text):
        while first[text] != text:
            text = first[text]
        return text

    for number, text in enumerate(texts):
        signature = MinHash(num_perm=PERMUTATIONS, seed=1)
        signature.update_batch(shingles(text))
        for other in lsh.query(signature):
            if signature.jaccard(signatures[other]) >= THRESHOLD:
                a, b = sorted((root(other), root(number)))
                first[b] = a
        lsh.insert(number, signature)
        signatures.append(signature)
    removed = sum(root(text) != text for text in range(len(texts)))
    wall, cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6
    print(f"{len(texts)} documents, {removed} near-duplicates; {wall:.1f} s, of the CPU {cpu:.1f} s; {memory:.0f} MB beside the texts")


if __name__ == "__main__":
    main()
