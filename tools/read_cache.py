"""Read an Alambic cache with pyarrow and check what docs/cache-format.md promises.

usage: python tools/read_cache.py DIRECTORY        (needs pyarrow and numpy)
"""

import hashlib
import json
import math
import pathlib
import sys

import numpy as np
import pyarrow.parquet as pq


def read_shard(path, spec):
    """Yield the segments of one shard as dictionaries of numpy arrays."""
    k = spec["truncation"]["k"]
    value_type = {"f16": "<f2", "f32": "<f4"}[spec["values"]]
    for row in zip(*pq.read_table(path).columns):
        key, _, _, token_ids, loss_mask, target_ids, log_probs, tail_mass, entropy = row
        yield {
            "key": key.as_py().hex(),
            "token_ids": token_ids.values.to_numpy(),
            "loss_mask": loss_mask.values.to_numpy(zero_copy_only=False),
            "target_ids": np.frombuffer(target_ids.as_buffer(), "<u4").reshape(-1, k),
            "log_probs": np.frombuffer(log_probs.as_buffer(), value_type).reshape(-1, k),
            "tail_mass": np.frombuffer(tail_mass.as_buffer(), "<f4"),
            "entropy": np.frombuffer(entropy.as_buffer(), "<f4"),
        }


def check_segment(segment, spec):
    """Assert the promises of a record."""
    vocab_size = spec["vocab_size"]
    mask, ids = segment["loss_mask"], segment["target_ids"]
    assert len(mask) == len(segment["token_ids"]) > 0 and not mask[0]
    assert mask.sum() == len(ids) == len(segment["tail_mass"]) == len(segment["entropy"])
    assert (segment["token_ids"] < vocab_size).all() and (ids < vocab_size).all()
    assert all(len(set(row)) == len(row) for row in ids.tolist())
    log_probs = segment["log_probs"].astype(np.float64)
    assert np.isfinite(log_probs).all() and (log_probs <= 1e-4).all()
    assert (np.diff(log_probs, axis=1) <= 0).all()
    tail = segment["tail_mass"].astype(np.float64)
    assert ((tail >= 0) & (tail <= (spec["truncation"]["k"] < vocab_size))).all()
    assert (np.abs(np.exp(log_probs).sum(axis=1) + tail - 1) <= 1e-2).all()
    entropy = segment["entropy"]
    assert ((entropy >= -1e-3) & (entropy <= math.log(vocab_size) + 1e-3)).all()


def main(directory):
    directory = pathlib.Path(directory)
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["format_version"] == 1
    spec = manifest["spec"]
    totals = {"segments": 0, "tokens": 0, "targets": 0}
    for index, shard in enumerate(manifest["shards"]):
        path = directory / shard["file"]
        content = path.read_bytes()
        assert len(content) == shard["bytes"], path
        assert hashlib.sha256(content).hexdigest() == shard["sha256"], path
        footer = pq.read_metadata(path).metadata
        assert json.loads(footer[b"alambic.spec"]) == spec, path
        assert int(footer[b"alambic.shard_index"]) == index, path
        segments = list(read_shard(path, spec))
        for segment in segments:
            check_segment(segment, spec)
        counts = {
            "segments": len(segments),
            "tokens": sum(len(segment["token_ids"]) for segment in segments),
            "targets": sum(len(segment["target_ids"]) for segment in segments),
        }
        for what, count in counts.items():
            assert count == shard[what], (path, what)
            totals[what] += count
    for what, count in totals.items():
        assert count == manifest["num_" + what], what
    first = next(read_shard(directory / manifest["shards"][0]["file"], spec))
    print("first segment:", {name: getattr(value, "shape", value) for name, value in first.items()})
    print("ok:", totals)


if __name__ == "__main__":
    main(sys.argv[1])
