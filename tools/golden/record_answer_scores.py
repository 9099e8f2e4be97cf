#!/usr/bin/env python3
"""Record what others say of pairs of texts: Rouge-L of rouge-score, exact match and F1 of lm-eval's DROP.

    python tools/golden/record_answer_scores.py --out crates/alambic-text/tests/golden/answer_scores.json

Needs rouge-score (recorded with 0.1.2) and lm-eval (recorded with 0.4.13). The texts are drawn from words, numbers and punctuation.
"""

import argparse
import json
import random
from pathlib import Path

from lm_eval.tasks.drop.utils import get_metrics
from rouge_score.rouge_scorer import RougeScorer

WORDS = (
    "the a an cat dog river Old old School ran runs sat on under tree's well-known Tom ANNA 12 12.0 7 1,000 3.50 $5 50% "
    "café naïve x2 no yes end."
).split()
MARKS = ["", "", "", "", ",", ".", "!", " -", ";", "\n", "  "]


def text(rng, most):
    return " ".join(rng.choice(WORDS) + rng.choice(MARKS) for _ in range(rng.randint(0, most))).strip()


def changed(rng, words):
    """Some of the words, with others between."""
    kept = [word for word in words.split(" ") if rng.random() < 0.7]
    for _ in range(rng.randint(0, 4)):
        kept.insert(rng.randint(0, len(kept)), rng.choice(WORDS))
    return " ".join(kept)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, required=True)
    arguments = arguments.parse_args()
    rng = random.Random(17)
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    rouge_l = []
    for _ in range(100):
        reference = text(rng, 40)
        candidate = changed(rng, reference)
        score = scorer.score(reference, candidate)["rougeL"]
        rouge_l.append([candidate, reference, score.precision, score.recall, score.fmeasure])
    drop = []
    for _ in range(100):
        spans = [text(rng, 5) for _ in range(rng.randint(1, 3))]
        given = changed(rng, rng.choice(spans)) if rng.random() < 0.7 else rng.choice(spans)
        exact_match, f1 = get_metrics([given], spans)
        drop.append([given, spans, exact_match, f1])
    recorded = {"rouge_l": rouge_l, "drop": drop}
    arguments.out.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
