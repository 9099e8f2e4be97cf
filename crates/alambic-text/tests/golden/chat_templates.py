"""Renders every chat template of the shared data with Jinja2, set up as transformers does it.

Usage: python3 chat_templates.py SHARED_DIRECTORY > chat_templates.json
"""

import json
import pathlib
import sys

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """`{% generation %}` blocks, rendered as their content."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
)
environment.filters["tojson"] = lambda value, indent=None: json.dumps(
    value, ensure_ascii=False, indent=indent
)
environment.globals["raise_exception"] = refuse
environment.globals["strftime_now"] = lambda format: {
    "%Y-%m-%d": "2024-02-29",
    "%d %B %Y": "29 February 2024",
}[format]

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


def render(source, messages, add_generation_prompt):
    try:
        return environment.from_string(source).render(
            messages=messages,
            tools=None,
            documents=None,
            bos_token="<BOS>",
            eos_token="<EOS>",
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
