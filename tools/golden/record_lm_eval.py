#!/usr/bin/env python3
"""Record the log-likelihoods that EleutherAI's lm-eval gives every choice of some questions, in float32 on the CPU.

    python tools/golden/record_lm_eval.py --model data/quickstart_teacher --data SHARED/data \\
        --out crates/alambic-eval/tests/lm_eval.json

Needs lm-eval (recorded with 0.4.13), torch and transformers. The tasks are written for lm-eval in its own YAML, over the same
files; prompts are spelled here once more, so that the TOML files of Alambic are checked and not only their reader. Texts that
are longer than the model reads are left out (`too_long`), since lm-eval would cut them.
"""

import argparse
import json
import tempfile
from pathlib import Path

import lm_eval
import yaml
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

FOUNDRY = "evals-foundry-dev/"
SMALL = FOUNDRY + "tests/eval/local_data/"
LETTERS = '{{["A", "B", "C", "D", "E"][:(options|length)]}}'
# name: file, builder, prompt, choices, answer
TASKS = {
    "arc_easy": (FOUNDRY + "world_knowledge/arc_easy.jsonl", "json", "{{query}}\nAnswer:", "{{choices}}", "{{gold}}"),
    "openbook_qa": (FOUNDRY + "commonsense_reasoning/openbook_qa.jsonl", "json", "{{query}}", "{{choices}}", "{{gold}}"),
    "copa": (FOUNDRY + "commonsense_reasoning/copa.jsonl", "json", "{{query}}", "{{choices}}", "{{gold}}"),
    "piqa": (SMALL + "piqa_small.jsonl", "json", "{{query}}", "{{choices}}", "{{gold}}"),
    "hellaswag": (SMALL + "hellaswag_small.jsonl", "json", "{{query}}", "{{choices}}", "{{gold}}"),
    "mmlu": (
        "mmlu-dev/dev/high_school_geography_dev.csv",
        "csv",
        "{{question.strip()}}\nA. {{choice0}}\nB. {{choice1}}\nC. {{choice2}}\nD. {{choice3}}\nAnswer:",
        ["A", "B", "C", "D"],
        "{{answer}}",
    ),
    "agieval": (
        "agieval-dev/sat-math.jsonl",
        "json",
        "{% if passage %}{{passage}}\n{% endif %}Q: {{question}} Answer Choices: {{options|join(' ')}}\n"
        "A: Among A through {{'ABCDE'[(options|length) - 1]}}, the answer is",
        LETTERS,
        "{{'ABCDE'.find(label)}}",
    ),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--limit", type=int, default=25)
    arguments = arguments.parse_args()
    recorded = {"lm_eval": lm_eval.__version__, "begin": {}}
    for begin in (False, True):
        tokenizer = AutoTokenizer.from_pretrained(arguments.model)
        tokenizer.bos_token = tokenizer.eos_token = tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
        if begin:
            single, special = f"{tokenizer.bos_token} $A", [(tokenizer.bos_token, 0)]
            tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=special)
        model = HFLM(
            pretrained=str(arguments.model), tokenizer=tokenizer, dtype="float32", device="cpu", batch_size=8,
            add_bos_token=begin,
        )
        with tempfile.TemporaryDirectory() as directory:
            for name, (path, builder, prompt, choices, answer) in TASKS.items():
                task = {
                    "task": f"recorded_{name}",
                    "dataset_path": builder,
                    "dataset_kwargs": {"data_files": {"test": str((arguments.data / path).resolve())}},
                    "test_split": "test",
                    "output_type": "multiple_choice",
                    "doc_to_text": prompt,
                    "doc_to_choice": choices,
                    "doc_to_target": answer,
                    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
                }
                (Path(directory) / f"{name}.yaml").write_text(yaml.safe_dump(task))
            manager = TaskManager(include_path=directory, include_defaults=False)
            results = lm_eval.simple_evaluate(
                model=model,
                tasks=[f"recorded_{name}" for name in TASKS],
                task_manager=manager,
                limit=arguments.limit,
                log_samples=True,
                bootstrap_iters=0,
            )
        tasks = {}
        for name, (path, *_) in TASKS.items():
            questions = []
            for sample in sorted(results["samples"][f"recorded_{name}"], key=lambda sample: sample["doc_id"]):
                pairs = sample["arguments"]
                longest = max(len(model.tok_encode(context + choice)) for context, choice in pairs)
                if longest > model.max_length:
                    questions.append({"too_long": longest})
                    continue
                answers = sample["filtered_resps"]
                questions.append({
                    "log_likelihoods": [float(answer[0]) for answer in answers],
                    "acc": sample["acc"],
                    "acc_norm": sample["acc_norm"],
                })
            tasks[name] = {"file": path, "questions": questions}
            kept = sum("acc" in question for question in questions)
            print(begin, name, len(questions), "questions,", kept, "short enough")
        recorded["begin"]["bos" if begin else "none"] = tasks
    arguments.out.write_text(json.dumps(recorded, separators=(",", ":"), allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
