"""Read an Alambic cache with pyarrow and check what docs/cache-format.md promises.

usage: python tools/read_cache.py DIRECTORY        (needs pyarrow and numpy)
"""

import base64
import hashlib
import json
import math
import pathlib
import sys

import numpy as np
import pyarrow.parquet as pq

STATES_PER_GROUP = 32
LEVEL_STEPS = {"fine": (1 / 32, 0.25), "coarse": (1 / 16, 1.25)}


class Bits:
    """A stream of bits, the most significant one of each byte first."""

    def __init__(self, data):
        self.bits = np.unpackbits(np.frombuffer(data, np.uint8))
        self.at = 0

    def read(self, width):
        """The next bits as a number."""
        taken = self.bits[self.at : self.at + width]
        assert len(taken) == width, "too few bits"
        self.at += width
        return int(taken.dot(1 << np.arange(width)[::-1])) if width else 0

    def symbol(self, words):
        """The next symbol of a prefix code."""
        if len(words) == 1:  # a word of one bit, for a code needs two to be whole
            self.read(1)
            return next(iter(words.values()))
        length, word = 0, 0
        while (length, word) not in words:
            length, word = length + 1, word << 1 | self.read(1)
        return words[length, word]

    def end(self):
        assert len(self.bits) - self.at < 8 and not self.bits[self.at :].any()


# How many header numbers the kinds of rows have that take turns in the column `targets`.
HEADERS = {"top_k": [3], "sampled": [2], "head_plus_sampled_tail": [3, 1]}
# Where heads beside draws are numbers: the type of `-ln p`, and its lower bits, which have no code.
NUMBERS = {"f16": (np.uint16, np.float16, 8), "f32": (np.uint32, np.float32, 21)}


class Codes:
    """The codes of one kind of rows of the column `targets`, from the footer."""

    def __init__(self, data, num_header_numbers):
        self.data, self.at = data, 0
        self.header = [self.code() for _ in range(num_header_numbers)]
        self.offset_bits = np.frombuffer(self.take(self.number()), np.uint8).astype(int)
        self.starts = np.concatenate([[0], np.cumsum(1 << self.offset_bits)])[:-1]
        self.steps = [self.code() for _ in range(16)]
        self.numbers = self.code()

    def take(self, length):
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self):
        return int.from_bytes(self.take(2), "little")

    def code(self):
        """Symbols by the length and the bits of their words: canonical, by length, then symbol."""
        count = self.number()
        halves = [half for byte in self.take((count + 1) // 2) for half in (byte >> 4, byte & 15)]
        words, word, length = {}, 0, 0
        for bits, symbol in sorted((bits, s) for s, bits in enumerate(halves[:count]) if bits):
            word, length = word << (bits - length), bits
            words[length, word] = symbol
            word += 1
        return words

    def entries(self, bits, size):
        """The ids of a row in ascending order, and a number for each."""
        bucket, ids, numbers = 0, [], []
        for _ in range(size):
            bucket += bits.symbol(self.steps[bucket * 16 // len(self.starts)])
            ids.append(int(self.starts[bucket]) + bits.read(self.offset_bits[bucket]))
            numbers.append(bits.symbol(self.numbers))
        return ids, numbers


def nats_of_level(level, finest, largest):
    """-ln p of a level: even in the square root of p, then in nats."""
    bend_nats = 2 * math.log(largest / finest)
    bend_level = 2 / finest * (1 - finest / largest)
    if level <= bend_level:
        return -2 * math.log(1 - level * finest / 2)
    return bend_nats + (level - bend_level) * largest


def tail_of_number(number, steps):
    """The tail mass at a further temperature: by its own level or by that of the head."""
    if number == 0:
        return 0.0
    if number <= 1024:
        return math.exp(-nats_of_level(number - 1, *steps))
    return 1 - math.exp(-nats_of_level(number - 1025, *steps))


def read_codes(data, headers):
    """The codes of all kinds of rows, one after the other."""
    codes = []
    for num_header_numbers in headers:
        codes.append(Codes(data, num_header_numbers))
        data = data[codes[-1].at :]
    assert not data
    return codes


def read_heads(bits, kinds, num_rows, k, temperatures, steps):
    """The most probable tokens, stored as levels, each row followed by its draws, if there are any."""
    rows = {"target_ids": [], "log_probs": [], "tail_mass": [], "entropy": []}
    rows["tempered"] = [{"tail_mass": [], "entropy": []} for _ in temperatures]
    if len(kinds) == 2:
        rows |= {"tail_ids": [], "tail_counts": []}
    codes = kinds[0]
    for _ in range(num_rows):
        entropy, tail, lowest, *further = (bits.symbol(code) for code in codes.header)
        ids, above = codes.entries(bits, k)
        levels = [lowest - number for number in above]
        order = sorted(range(k), key=lambda i: (levels[i], ids[i]))
        log_probs = np.array([-nats_of_level(levels[i], *steps) for i in order])
        tail = math.exp(-nats_of_level(tail - 1, *steps)) if tail else 0.0
        total = np.exp(log_probs).sum() + tail
        rows["target_ids"].append([ids[i] for i in order])
        rows["log_probs"].append(log_probs - math.log(total))
        rows["tail_mass"].append(tail / total)
        rows["entropy"].append(entropy / 64)
        for tail_codes in kinds[1:]:
            (distinct,) = (bits.symbol(code) for code in tail_codes.header)
            ids, counts = tail_codes.entries(bits, distinct)
            rows["tail_ids"].append(ids)
            rows["tail_counts"].append(counts)
        for tempered, entropy, tail in zip(rows["tempered"], further[::2], further[1::2]):
            tempered["tail_mass"].append(tail_of_number(tail, steps))
            tempered["entropy"].append(entropy / 64)
    return rows


def read_number_heads(bits, kinds, num_rows, k, values):
    """The most probable tokens, stored as numbers, each row followed by its draws."""
    names = ["target_ids", "log_probs", "tail_mass", "entropy", "tail_ids", "tail_counts"]
    rows = {name: [] for name in names}
    head_codes, tail_codes = kinds
    integer, number, lower_bits = NUMBERS[values]
    for _ in range(num_rows):
        (entropy,) = (bits.symbol(code) for code in head_codes.header)
        ids, upper = head_codes.entries(bits, k)
        tail = np.uint32(bits.read(32)).view(np.float32)
        nats = [integer(top << lower_bits | bits.read(lower_bits)).view(number) for top in upper]
        order = sorted(range(k), key=lambda i: (nats[i], ids[i]))
        rows["target_ids"].append([ids[i] for i in order])
        rows["log_probs"].append(np.array([-np.float32(nats[i]) for i in order]))
        rows["tail_mass"].append(tail)
        rows["entropy"].append(entropy / 64)
        (distinct,) = (bits.symbol(code) for code in tail_codes.header)
        ids, counts = tail_codes.entries(bits, distinct)
        rows["tail_ids"].append(ids)
        rows["tail_counts"].append(counts)
    return rows


def read_draws(bits, kinds, num_rows):
    """Drawn tokens and how often each was drawn."""
    (codes,) = kinds
    rows = {"target_ids": [], "counts": [], "entropy": []}
    for _ in range(num_rows):
        entropy, distinct = (bits.symbol(code) for code in codes.header)
        ids, counts = codes.entries(bits, distinct)
        rows["target_ids"].append(ids)
        rows["counts"].append(counts)
        rows["entropy"].append(entropy / 64)
    return rows


def read_states(data, num_rows, width, values):
    """The teacher's last hidden states, as numbers or as integers with a scale for each group."""
    if values in ("f32", "f16"):
        value_type = {"f32": "<f4", "f16": "<f2"}[values]
        return np.frombuffer(data, value_type).astype(np.float32).reshape(num_rows, width)
    size = int(values.removeprefix("int"))
    most = (1 << size - 1) - 1
    bits, rows = Bits(data), np.empty((num_rows, width), np.float32)
    for row in rows:
        for start in range(0, width, STATES_PER_GROUP):
            group = row[start : start + STATES_PER_GROUP]
            scale = np.uint16(bits.read(16)).view(np.float16)
            fields = bits.bits[bits.at : bits.at + size * len(group)].reshape(len(group), size)
            bits.at += fields.size
            integers = fields.dot(1 << np.arange(size)[::-1]) - most
            assert np.isfinite(scale) and scale >= 2**-14 and abs(integers).max() <= most
            assert scale == 2**-14 or abs(integers).max() == most
            group[:] = integers * np.float32(scale)
    bits.end()
    return rows


def read_head(path, spec):
    """The teacher's head: a safetensors file of one tensor."""
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == spec["targets"]["head"], path
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    shape = [spec["vocab_size"], spec["targets"]["width"]]
    assert header["weight"]["dtype"] == "F32" and header["weight"]["shape"] == shape
    cap = header["__metadata__"].get("logit_softcap")
    return {
        "weight": np.frombuffer(content[end:], "<f4").reshape(shape),
        "logit_scale": float(header["__metadata__"]["logit_scale"]),
        "logit_softcap": None if cap is None else float(cap),
    }


def log_probs_of_states(states, head, temperature=1.0):
    """The teacher's whole distributions, `[rows, vocab_size]`."""
    logits = states.astype(np.float64) @ head["weight"].T * head["logit_scale"]
    if head["logit_softcap"] is not None:
        logits = np.tanh(logits / head["logit_softcap"]) * head["logit_softcap"]
    logits = logits / temperature
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def plain_head(row, k, value_type):
    """Ids and log-probabilities, stored as numbers."""
    return {
        "target_ids": np.frombuffer(row["target_ids"].as_buffer(), "<u4").reshape(-1, k),
        "log_probs": np.frombuffer(row["target_log_probs"].as_buffer(), value_type).reshape(-1, k),
    }


def plain_targets(row, k, values, temperatures):
    """The most probable tokens, stored as numbers."""
    value_type = {"f16": "<f2", "f32": "<f4"}[values]
    tempered = []
    if temperatures:
        names = ["tail_mass", "entropy"]
        columns = [np.frombuffer(row["tempered_" + name].as_buffer(), "<f4") for name in names]
        columns = [column.reshape(len(temperatures), -1) for column in columns]
        tempered = [dict(zip(names, rows)) for rows in zip(*columns)]
    if "tail_mass" not in row:  # targets of other formats
        return plain_head(row, k, value_type)
    return plain_head(row, k, value_type) | {
        "tempered": tempered,
        "tail_mass": np.frombuffer(row["tail_mass"].as_buffer(), "<f4"),
        "entropy": np.frombuffer(row["entropy"].as_buffer(), "<f4"),
    }


def targets(row, spec, codes):
    """The targets of one segment."""
    kind, num_rows = spec["targets"], row["num_targets"].as_py()
    if kind["kind"] == "hidden":
        data = row["targets"].as_py()
        return {"states": read_states(data, num_rows, kind["width"], kind["values"])}
    further = spec["temperatures"][1:]
    if codes is None:
        return plain_targets(row, kind["k"], kind["values"], further)
    bits = Bits(row["targets"].as_py())
    if kind["kind"] == "sampled":
        rows = read_draws(bits, codes, num_rows)
    elif kind["values"] in NUMBERS:
        rows = read_number_heads(bits, codes, num_rows, kind["k"], kind["values"])
    else:
        steps = LEVEL_STEPS[kind["values"]]
        rows = read_heads(bits, codes, num_rows, kind["k"], further, steps)
    bits.end()
    return rows


def read_shard(path, spec):
    """Yield the segments of one shard as dictionaries."""
    table = pq.read_table(path)
    footer = pq.read_metadata(path).metadata
    codes = None
    if "targets" in table.column_names and spec["targets"]["kind"] != "hidden":
        headers = HEADERS[spec["targets"]["kind"]]
        if len(headers) == 2 and spec["targets"]["values"] in NUMBERS:
            headers = [1, headers[1]]
        if spec["targets"]["kind"] == "top_k":
            headers = [headers[0] + 2 * len(spec["temperatures"][1:])]
        codes = read_codes(base64.b64decode(footer[b"alambic.codes"]), headers)
    for index in range(table.num_rows):
        row = {name: table[name][index] for name in table.column_names}
        segment = {
            "key": row["key"].as_py().hex(),
            "token_ids": row["token_ids"].values.to_numpy(),
            "loss_mask": row["loss_mask"].values.to_numpy(zero_copy_only=False),
        }
        yield segment | targets(row, spec, codes)


def at_temperature(log_probs, tail_mass, temperature):
    """Log-probabilities of the head at a temperature, from those at 1 and the tail there."""
    head = np.asarray(log_probs, np.float64) / temperature
    return head - np.log(np.exp(head - head.max()).sum()) - head.max() + math.log1p(-tail_mass)


def check_segment(segment, spec, head):
    """Assert the promises of a record."""
    vocab_size, kind = spec["vocab_size"], spec["targets"]
    mask = segment["loss_mask"]
    assert len(mask) == len(segment["token_ids"]) > 0 and not mask[0]
    assert (segment["token_ids"] < vocab_size).all()
    if head is not None:
        states = segment["states"]
        assert states.shape == (mask.sum(), kind["width"]) and np.isfinite(states).all()
        log_probs = log_probs_of_states(states, head)
        assert np.isfinite(log_probs).all() and (log_probs <= 0).all()
        return
    ids = segment["target_ids"]
    assert mask.sum() == len(ids)
    assert all(len(set(row)) == len(row) and max(row) < vocab_size for row in map(list, ids))
    if kind["kind"] == "head_only":
        for log_probs in segment["log_probs"]:
            assert np.isfinite(log_probs).all() and (log_probs <= 1e-4).all()
            assert (np.diff(log_probs) <= 0).all()
        return
    assert len(ids) == len(segment["entropy"])
    for entropy in segment["entropy"]:
        assert -1e-3 <= entropy <= math.log(vocab_size) + 1e-2
    if kind["kind"] == "sampled":
        assert all(min(row) > 0 and sum(row) == kind["draws"] for row in segment["counts"])
        return
    for log_probs, tail in zip(segment["log_probs"], segment["tail_mass"]):
        log_probs = np.asarray(log_probs, np.float64)
        assert np.isfinite(log_probs).all() and (log_probs <= 1e-4).all()
        assert (np.diff(log_probs) <= 0).all()
        assert 0 <= tail <= (kind["k"] < vocab_size)
        assert abs(np.exp(log_probs).sum() + tail - 1) <= 1e-2
    if kind["kind"] == "head_plus_sampled_tail":
        tails = zip(segment["tail_ids"], segment["tail_counts"])
        for head, mass, (drawn, counts) in zip(ids, segment["tail_mass"], tails):
            assert sorted(set(drawn)) == drawn and not set(drawn) & set(head)
            assert all(0 <= token < vocab_size for token in drawn)
            assert sum(counts) == (kind["draws"] if mass > 0 else 0) and all(n > 0 for n in counts)
        return
    assert len(segment["tempered"]) == len(spec["temperatures"][1:])
    for temperature, tempered in zip(spec["temperatures"][1:], segment["tempered"]):
        assert len(tempered["tail_mass"]) == len(tempered["entropy"]) == len(ids)
        for log_probs, tail in zip(segment["log_probs"], tempered["tail_mass"]):
            assert 0 <= tail < 1 and (tail == 0 or kind["k"] < vocab_size)
            head = at_temperature(log_probs, tail, temperature)
            assert abs(np.exp(head).sum() + tail - 1) <= 1e-6
        for entropy, entropy_at_1 in zip(tempered["entropy"], segment["entropy"]):
            assert (entropy - entropy_at_1) * (temperature - 1) >= -2e-2 * abs(temperature - 1)
            assert -1e-3 <= entropy <= math.log(vocab_size) + 1e-2


def main(directory):
    directory = pathlib.Path(directory)
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["format_version"] == 2
    spec, head = manifest["spec"], None
    if spec["targets"]["kind"] == "hidden":
        head = read_head(directory / "teacher-head.safetensors", spec)
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
            check_segment(segment, spec, head)
        counts = {
            "segments": len(segments),
            "tokens": sum(len(segment["token_ids"]) for segment in segments),
            "targets": sum(int(segment["loss_mask"].sum()) for segment in segments),
        }
        for what, count in counts.items():
            assert count == shard[what], (path, what)
            totals[what] += count
    for what, count in totals.items():
        assert count == manifest["num_" + what], what
    first = next(read_shard(directory / manifest["shards"][0]["file"], spec))
    print("first segment:", first)
    print("ok:", totals)


if __name__ == "__main__":
    main(sys.argv[1])
