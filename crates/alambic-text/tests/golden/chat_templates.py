"""Renders every chat template of the shared data with `apply_chat_template` of transformers.

Recorded with transformers 5.23.0 on 29 February 2024, as far as the templates can tell.

Usage: python3 chat_templates.py SHARED_DIRECTORY > chat_templates.json
"""

import datetime
import json
import pathlib
import sys

import jinja2
import tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils


class LeapDay(datetime.datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz=None):
        return cls(2024, 2, 29, tzinfo=tz)


chat_template_utils.datetime = LeapDay

SYSTEM = {"role": "system", "content": "Be brief. <b>&'\""}
USER = {"role": "user", "content": "What is 7 + 5?"}
ASSISTANT = {"role": "assistant", "content": "It is 12.\nÇa va 🙂"}
USER_AGAIN = {"role": "user", "content": "  And 12 + 1?  "}
ASSISTANT_AGAIN = {"role": "assistant", "content": "13"}
CONVERSATIONS = {
    "single": [USER, ASSISTANT],
    "system": [SYSTEM, USER, ASSISTANT],
    "prompt": [SYSTEM, USER],
    "turns": [USER, ASSISTANT, USER_AGAIN, ASSISTANT_AGAIN],
    "system_turns": [SYSTEM, USER, ASSISTANT, USER_AGAIN, ASSISTANT_AGAIN, USER, ASSISTANT],
}


def sources(shared):
    for path in sorted((shared / "data" / "chat-templates").glob("*.jinja")):
        yield path.relative_to(shared), path.read_text()
    configs = shared / "data" / "tokenizers" / "chat-configs"
    for path in sorted(configs.glob("**/chat_template.jinja")):
        yield path.relative_to(shared), path.read_text()
    for path in sorted(configs.glob("**/tokenizer_config.json")):
        template = json.loads(path.read_text()).get("chat_template")
        if template is not None:
            yield path.relative_to(shared), template


# Only its special tokens are read: nothing is tokenized.
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), bos_token="<BOS>", eos_token="<EOS>"
)


def render(source, messages, add_generation_prompt):
    try:
        return tokenizer.apply_chat_template(
            messages,
            chat_template=source,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
    except jinja2.exceptions.TemplateError:
        return None


cases = [
    {
        "template": str(path),
        "conversation": name,
        "messages": messages,
        "text": render(source, messages, False),
        "with_generation_prompt": render(source, messages, True),
    }
    for path, source in sources(pathlib.Path(sys.argv[1]))
    for name, messages in CONVERSATIONS.items()
]
json.dump(cases, sys.stdout, ensure_ascii=False, indent=1)
print()
