#!/usr/bin/env python3
"""Record what scikit-learn's logistic regression fits to dense and sparse features.

    python tools/golden/record_logistic_regression.py --out crates/alambic-synth/tests/golden/logistic_regression.json

Needs scikit-learn (recorded with 1.9.1) and numpy. Dense features are scaled to mean 0 and variance 1 by StandardScaler, sparse
ones stay as they are; the penalty is l2 / 2 |w|^2, which is C = 1 / l2.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

EXAMPLES, DENSE, SPARSE, NONZERO = 120, 4, 12, 3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    rng = np.random.default_rng(17)
    dense = np.round(rng.normal(size=(EXAMPLES, DENSE)) * [1, 10, 0.1, 3] + [0, 50, 1, -2], 4)
    sparse = np.zeros((EXAMPLES, SPARSE))
    for row in sparse:
        row[rng.choice(SPARSE, NONZERO, replace=False)] = np.round(rng.uniform(0.1, 1, NONZERO), 4)
    truth = StandardScaler().fit_transform(dense) @ [1.0, -0.5, 0.0, 2.0] + sparse @ rng.normal(size=SPARSE) * 2
    labels = (rng.uniform(size=EXAMPLES) < 1 / (1 + np.exp(-truth))).astype(int)
    features = np.hstack([StandardScaler().fit_transform(dense), sparse])
    fits = []
    for l2 in (0.1, 1.0, 10.0):
        model = LogisticRegression(C=1 / l2, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(features, labels)
        probabilities = model.predict_proba(features)[:, 1]
        fits.append(
            {
                "l2": l2,
                "weights": model.coef_[0].tolist(),
                "bias": model.intercept_[0],
                "probabilities": probabilities.tolist(),
                "auc": roc_auc_score(labels, probabilities),
                "brier_score": brier_score_loss(labels, probabilities),
            }
        )
    recorded = {
        "dense": dense.tolist(),
        "sparse": [{str(i): value for i, value in enumerate(row) if value} for row in sparse.tolist()],
        "labels": labels.tolist(),
        "fits": fits,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(recorded) + "\n")


if __name__ == "__main__":
    main()
