#!/usr/bin/env bash
# A server that nobody here wrote: `transformers serve` answers problems of the textbook, `alambic synthesize` asks it, is killed once,
# goes on, and gets what the same model says in its own process. Needs Python; installs PyTorch into a virtual environment of its own.
# Usage: tools/served_teacher/run.sh ALAMBIC    (a binary with the feature `endpoint`); its output is kept in recorded.txt.
set -euo pipefail
alambic="$(realpath "${1:?the binary alambic}")"
here="$(cd "$(dirname "$0")" && pwd)"
work="${WORK:-$(mktemp -d)}"
cd "$work"

python="${PYTHON:-$work/venv/bin/python}"
if ! [ -x "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet torch 'transformers[serving]==5.23.0'
fi

rm -rf teacher served local
cp -r "$here/../../data/quickstart_teacher" teacher
cp "$here/chat_template.jinja" teacher/
echo '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}' > teacher/tokenizer_config.json

HF_HUB_OFFLINE=1 "$(dirname "$python")/transformers" serve teacher --device cpu --dtype float32 --port 8123 > serve.log 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
until curl --silent --fail --output /dev/null http://127.0.0.1:8123/health; do
  kill -0 $server
  sleep 1
done

echo "== asked over HTTP, and killed behind 60 answers"
"$alambic" synthesize "$here/recipe.toml" --out served > killed.log 2>&1 &
asking=$!
until [ "$(cat served/answers/answers.jsonl 2>/dev/null | wc -l)" -ge 60 ]; do sleep 0.2; done
kill -KILL $asking
wait $asking 2>/dev/null || true

echo "== the same command again"
"$alambic" synthesize "$here/recipe.toml" --out served

echo "== the same model in this process"
"$alambic" synthesize "$here/recipe.toml" --out local --device cpu \
  --set teacher.endpoint=unset --set teacher.checkpoint.path=teacher --set teacher.checkpoint.batch_requests=32

python3 "$here/compare.py" served/answers/answers.jsonl local/answers/answers.jsonl
