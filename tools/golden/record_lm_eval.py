#!/usr/bin/env python3
"""Record what EleutherAI's lm-eval gets of some questions, in float32 on the CPU: log-likelihoods, generated texts, scores.

    python tools/golden/record_lm_eval.py --model data/quickstart_teacher --data SHARED/data \\
        --records crates/alambic-eval/tests/records --out crates/alambic-eval/tests/lm_eval.json

Needs lm-eval (recorded with 0.4.13), torch, transformers and accelerate. The tasks are written for lm-eval in its own YAML, over the same
files; prompts are spelled here once more, so that the TOML files of Alambic are checked and not only their reader. The functions
of HellaSwag and Winogrande are lm-eval's own. Texts that are longer than the model reads are left out (`too_long`), since lm-eval
would cut them.
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
# The most new tokens of an answer.
NEW_TOKENS = 40
# A chat template for the runs with a chat; the token that begins texts stands in it.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
SYSTEM = "One day Tom was happy."


def choice(prompt, choices, answer, **more):
    return {
        "output_type": "multiple_choice",
        "doc_to_text": prompt,
        "doc_to_choice": choices,
        "doc_to_target": answer,
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
        **more,
    }


class Function(str):
    """The name of a function beside the task's file."""


yaml.SafeDumper.add_representer(Function, lambda dumper, name: dumper.represent_scalar("!function", name))

# name: root of the file, file, builder, task
TASKS = {
    "arc_easy_foundry": ("data", FOUNDRY + "world_knowledge/arc_easy.jsonl", "json", choice("{{query}}\nAnswer:", "{{choices}}", "{{gold}}")),
    "openbook_qa_foundry": ("data", FOUNDRY + "commonsense_reasoning/openbook_qa.jsonl", "json", choice("{{query}}", "{{choices}}", "{{gold}}")),
    "copa_foundry": ("data", FOUNDRY + "commonsense_reasoning/copa.jsonl", "json", choice("{{query}}", "{{choices}}", "{{gold}}")),
    "piqa_foundry": ("data", SMALL + "piqa_small.jsonl", "json", choice("{{query}}", "{{choices}}", "{{gold}}")),
    "hellaswag_foundry": ("data", SMALL + "hellaswag_small.jsonl", "json", choice("{{query}}", "{{choices}}", "{{gold}}")),
    "mmlu": (
        "data",
        "mmlu-dev/dev/high_school_geography_dev.csv",
        "csv",
        choice(
            "{{question.strip()}}\nA. {{choice0}}\nB. {{choice1}}\nC. {{choice2}}\nD. {{choice3}}\nAnswer:",
            ["A", "B", "C", "D"],
            "{{answer}}",
        ),
    ),
    "agieval": (
        "data",
        "agieval-dev/sat-math.jsonl",
        "json",
        choice(
            "{% if passage %}{{passage}}\n{% endif %}Q: {{question}} Answer Choices: {{options|join(' ')}}\n"
            "A: Among A through {{'ABCDE'[(options|length) - 1]}}, the answer is",
            LETTERS,
            "{{'ABCDE'.find(label)}}",
        ),
    ),
    "boolq": (
        "records",
        "boolq.jsonl",
        "json",
        choice("{{passage}}\nQuestion: {{question}}?\nAnswer:", ["no", "yes"], "{{answer|int}}"),
    ),
    "hellaswag": (
        "records",
        "hellaswag.jsonl",
        "json",
        choice("{{query}}", "choices", "{{gold}}", process_docs=Function("functions.process_docs")),
    ),
    "winogrande": (
        "records",
        "winogrande.jsonl",
        "json",
        {
            "output_type": "multiple_choice",
            "doc_to_text": Function("functions.doc_to_text"),
            "doc_to_choice": Function("functions.doc_to_choice"),
            "doc_to_target": Function("functions.doc_to_target"),
            "metric_list": [{"metric": "acc"}],
        },
    ),
    "lambada": (
        "records",
        "lambada.jsonl",
        "json",
        {
            "output_type": "loglikelihood",
            "doc_to_text": "{{text.split(' ')[:-1]|join(' ')}}",
            "doc_to_target": "{{' '+text.split(' ')[-1]}}",
            "metric_list": [{"metric": "perplexity"}, {"metric": "acc"}],
        },
    ),
    "gsm8k": (
        "records",
        "gsm8k.jsonl",
        "json",
        {
            "output_type": "generate_until",
            "doc_to_text": "Question: {{question}}\nAnswer:",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {"until": ["Question:"], "do_sample": False, "max_gen_toks": NEW_TOKENS},
            "filter_list": [
                {
                    "name": "flexible-extract",
                    "filter": [
                        {
                            "function": "regex",
                            "group_select": -1,
                            "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)",
                        },
                        {"function": "take_first"},
                    ],
                }
            ],
            "metric_list": [
                {
                    "metric": "exact_match",
                    "ignore_case": True,
                    "ignore_punctuation": False,
                    "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"],
                }
            ],
        },
    ),
}
FUNCTIONS = (
    "from lm_eval.tasks.hellaswag.utils import process_docs\n"
    "from lm_eval.tasks.winogrande.preprocess_winogrande import doc_to_choice, doc_to_target, doc_to_text\n"
)
FEW = ["copa_foundry", "boolq", "winogrande", "gsm8k"]
# What stands before and around the questions.
RUNS = [
    {"begin": False, "shots": 0, "chat": None, "tasks": list(TASKS)},
    {"begin": True, "shots": 0, "chat": None, "tasks": list(TASKS)},
    {"begin": False, "shots": 2, "chat": None, "tasks": FEW},
    {"begin": True, "shots": 0, "chat": "joined", "tasks": FEW},
    {"begin": True, "shots": 1, "chat": "joined", "tasks": FEW},
    {"begin": True, "shots": 1, "chat": "separate", "tasks": FEW},
]


def load(model, begin):
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.bos_token = tokenizer.eos_token = tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    tokenizer.chat_template = CHAT_TEMPLATE
    if begin:
        single, special = f"{tokenizer.bos_token} $A", [(tokenizer.bos_token, 0)]
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=special)
    return HFLM(
        pretrained=str(model), tokenizer=tokenizer, dtype="float32", device="cpu", batch_size=8, add_bos_token=begin,
    )


def question(model, sample):
    """What lm-eval got of a question."""
    arguments = sample["arguments"]
    if isinstance(arguments[0][1], dict):
        tokens = len(model.tok_encode(arguments[0][0])) + NEW_TOKENS
        if tokens > model.max_length:
            return {"too_long": tokens}
        return {"text": sample["resps"][0][0], "score": sample["exact_match"]}
    longest = max(len(model.tok_encode(context + choice)) for context, choice in arguments)
    if longest > model.max_length:
        return {"too_long": longest}
    answers = sample["filtered_resps"]
    scores = {key: float(sample[key]) for key in ("acc", "acc_norm") if key in sample}
    return {"log_likelihoods": [float(answer[0]) for answer in answers], **scores}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--records", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--limit", type=int, default=25)
    arguments = arguments.parse_args()
    roots = {"data": arguments.data, "records": arguments.records}
    recorded = {
        "lm_eval": lm_eval.__version__,
        "new_tokens": NEW_TOKENS,
        "chat_template": CHAT_TEMPLATE,
        "system": SYSTEM,
        "runs": [],
    }
    for run in RUNS:
        model = load(arguments.model, run["begin"])
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "functions.py").write_text(FUNCTIONS)
            for name in run["tasks"]:
                root, path, builder, task = TASKS[name]
                task = {
                    "task": f"recorded_{name}",
                    "dataset_path": builder,
                    "dataset_kwargs": {"data_files": {"test": str((roots[root] / path).resolve())}},
                    "test_split": "test",
                    "fewshot_split": "test",
                    "fewshot_config": {"sampler": "first_n"},
                    **task,
                }
                (Path(directory) / f"{name}.yaml").write_text(yaml.safe_dump(task))
            results = lm_eval.simple_evaluate(
                model=model,
                tasks=[f"recorded_{name}" for name in run["tasks"]],
                task_manager=TaskManager(include_path=directory, include_defaults=False),
                num_fewshot=run["shots"],
                limit=arguments.limit,
                log_samples=True,
                bootstrap_iters=0,
                apply_chat_template=run["chat"] is not None,
                fewshot_as_multiturn=run["chat"] == "separate",
                system_instruction=SYSTEM if run["chat"] else None,
            )
        tasks = {}
        for name in run["tasks"]:
            samples = sorted(results["samples"][f"recorded_{name}"], key=lambda sample: sample["doc_id"])
            questions = [question(model, sample) for sample in samples]
            tasks[name] = {"root": TASKS[name][0], "file": TASKS[name][1], "questions": questions}
            kept = sum("too_long" not in question for question in questions)
            print(run["begin"], run["shots"], run["chat"], name, len(questions), "questions,", kept, "short enough")
        recorded["runs"].append({**run, "tasks": tasks})
    arguments.out.write_text(json.dumps(recorded, separators=(",", ":"), allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
