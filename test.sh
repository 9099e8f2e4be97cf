#!/usr/bin/env bash
# Checks everything: format, lints, tests on every backend, documentation, examples.
# Usage: ./test.sh            (about half an hour on 2 cores; the same script runs in CI)
#        ./test.sh --quick    (the CPU backend only, a few minutes)
set -euo pipefail
cd "$(dirname "$0")"

quick=false
case "${1:-}" in
  "") ;;
  --quick) quick=true ;;
  *) echo "usage: ./test.sh [--quick]" >&2; exit 2 ;;
esac

export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
# wgpu looks for displays too, and complains about a machine without any.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"
step() { printf '\n== %s (%s)\n' "$1" "$(date +%H:%M:%S)"; }

# One feature set for every command, so that dependencies are compiled once.
if $quick; then
  features=(--no-default-features --features alambic/flex,alambic-cli/flex,alambic-cli/endpoint,alambic-distill/flex,alambic-transformer/flex)
else
  features=(--features alambic/wgpu,alambic/ndarray,alambic-cli/ndarray,alambic-cli/object-store,alambic-cli/hub,alambic-cli/endpoint)
fi

# Debian and Ubuntu packages of a software Vulkan driver, for the wgpu tests.
install_vulkan() {
  if ls /usr/share/vulkan/icd.d/lvp_icd*.json >/dev/null 2>&1 && ldconfig -p | grep -q libvulkan.so.1; then
    return
  fi
  if ! command -v apt-get >/dev/null; then
    echo "the wgpu tests need a Vulkan driver such as Mesa's lavapipe; install one, or run ./test.sh --quick" >&2
    exit 1
  fi
  local sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mesa-vulkan-drivers libvulkan1
}

if ! $quick; then
  step "software Vulkan"
  install_vulkan
fi

step "format"
cargo fmt --all --check

step "lints"
cargo clippy --workspace --all-targets "${features[@]}" -- -D warnings

step "tests on the CPU (flex)"
if ! [ -d "${ALAMBIC_SHARED:-../shared}" ]; then
  echo "skipped: the tests that compare with recorded models need the shared data directory (CONTRIBUTING.md)"
fi
cargo test --workspace "${features[@]}"

# The test programs of the crates that compute with tensors, as cargo built them above.
tensor_tests() {
  cargo test --workspace "${features[@]}" --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p' |
    grep -E '/(alambic_transformer|alambic_distill|adapters|checkpoints|decode_session|generation|layer_sizes|packing|parity|precision|recompute)-[0-9a-f]+$'
}

if ! $quick; then
  mapfile -t programs < <(tensor_tests)
  # transformer and distill by themselves, and the transformer's nine test files
  if [ "${#programs[@]}" -ne 11 ]; then
    echo "expected 11 programs of tensor tests, found ${#programs[@]}: ${programs[*]}" >&2
    exit 1
  fi
  for device in ndarray wgpu; do
    step "tensor tests on $device"
    for program in "${programs[@]}"; do
      echo "$program"
      case "$program" in
        *alambic_distill-*) directory=crates/alambic-distill ;;
        *) directory=crates/alambic-transformer ;;
      esac
      (root="$PWD" && cd "$directory" && ALAMBIC_TEST_DEVICE="$device" "$(realpath -q "$root/$program" || realpath "$program")")
    done
  done
fi

step "examples"
for example in 01_capture 02_train 03_evaluate 04_generate 05_own_loss 06_own_teacher 07_unlike_tokenizers; do
  echo "-- $example"
  "${CARGO_TARGET_DIR:-target}/debug/examples/$example"
done

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps "${features[@]}"

step "all checks passed"
