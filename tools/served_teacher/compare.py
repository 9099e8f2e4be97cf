"""Compares the answers of two runs, prompt by prompt."""

import json
import sys


def answers(path):
    records = [json.loads(line)["delivery"] for line in open(path)]
    texts = {record["request"]["prompt"]: record["outcome"]["answer"]["text"] for record in records}
    assert len(texts) == len(records), "a prompt has two answers"
    return texts


served, local = map(answers, sys.argv[1:3])
assert served.keys() == local.keys(), "other prompts"
# The server ends an answer with the line break before the token that ends it; so do we.
differing = [prompt for prompt in served if served[prompt] != local[prompt]]
for prompt in differing[:5]:
    print(f"{prompt}:\n  served {served[prompt]!r}\n  local  {local[prompt]!r}")
print(f"{len(served)} answers, {len(differing)} of them differ")
sys.exit(len(differing) > len(served) // 100)
