#!/usr/bin/env python3
"""Join stories, worked questions and instructions into one text for examples/06_own_teacher.rs and its study.

    python3 tools/study_corpus.py --stories tinystories_sample.txt --questions flan-cot/*_train.tsv \\
        --instructions dolly_hhrlhf_train_small.jsonl --out text.txt

- stories: plain text, documents separated by <|endoftext|> (TinyStories)
- questions: tab-separated question, answer, reasoning (the chain-of-thought files of FLAN)
- instructions: JSON lines with `prompt` and `response` (Dolly)

Documents that occur twice are kept once; the order is shuffled with a fixed seed. Needs nothing but Python.
"""

import argparse
import json
import random
from pathlib import Path

END_OF_TEXT = "<|endoftext|>"


def stories(path):
    documents = path.read_text(encoding="utf-8", errors="replace").split(END_OF_TEXT)
    return [document.strip() for document in documents if document.strip()]


def questions(path):
    for line in path.open(encoding="utf-8"):
        fields = [field.replace("\\n", "\n").strip() for field in line.rstrip("\n").split("\t")]
        if len(fields) == 3:
            question, answer, reasoning = fields
            yield f"Question: {question}\nReasoning: {reasoning}\nAnswer: {answer}"


def instructions(path):
    for line in path.open(encoding="utf-8"):
        example = json.loads(line)
        yield example["prompt"].strip() + "\n" + example["response"].strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stories", type=Path, required=True)
    parser.add_argument("--questions", type=Path, nargs="+", required=True)
    parser.add_argument("--instructions", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    documents = stories(arguments.stories)
    for path in sorted(arguments.questions):
        documents += questions(path)
    documents += instructions(arguments.instructions)
    distinct = [text for text in dict.fromkeys(documents) if END_OF_TEXT not in text]
    random.Random(0).shuffle(distinct)
    arguments.out.write_text(f"\n{END_OF_TEXT}\n".join(distinct), encoding="utf-8")
    print(f"{len(distinct)} documents in {arguments.out}")


if __name__ == "__main__":
    main()
