#!/usr/bin/env bash
# run_sweep_script_test.sh RUN_SWEEP: when ./run_sweep builds, with a setup.sh that only notes what it is asked.
set -uo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/third_party" "$folder/bin"
cp "$1" "$folder/run_sweep"
cat >"$folder/third_party/setup.sh" <<'SETUP'
choose_variant() { build=$(dirname "${BASH_SOURCE[0]}")/../; }
is_current() { return 1; }
build() { echo built && printf '#!/bin/sh\necho "ran $*"\n' >"$build/bin/run_sweep" && chmod +x "$build/bin/run_sweep"; }
SETUP
failures=0

# prints EXPECTED WORDS...: what ./run_sweep WORDS prints, lines joined by a blank.
prints() {
  local expected=$1 printed
  shift
  printed=$("$folder/run_sweep" "$@" | paste -sd ' ')
  [[ $printed == "$expected" ]] && return
  printf 'run_sweep %s: expected "%s", printed "%s"\n' "$*" "$expected" "$printed"
  failures=$((failures + 1))
}

prints "built ran status a.yaml" status a.yaml # there is no program yet
prints "ran status a.yaml" status a.yaml
prints "ran a.yaml --watch" a.yaml --watch
prints "ran log a.yaml 0123 --follow" log a.yaml 0123 --follow
prints "ran a.yaml --log=0123" a.yaml --log=0123
prints "ran cancel a.yaml" cancel a.yaml
prints "ran --version" --version
prints "built ran a.yaml" a.yaml
prints "built ran run status" run status
prints "built ran plan a.yaml" plan a.yaml
prints "built ran a.yaml --dry-run" a.yaml --dry-run

# The program is told how the user calls it, for the commands that it prints.
mkdir -p "$folder/build/bin" && cp "$folder/bin/run_sweep" "$folder/build/bin/analyze"
# shellcheck disable=SC2016 # the program expands them
printf '#!/bin/sh\necho "$TARFLOW_CALL_RUN_SWEEP $TARFLOW_CALL_ANALYZE"\n' >"$folder/bin/run_sweep"
called=$(cd "$folder" && ./run_sweep status a.yaml)
[[ $called == "./run_sweep build/bin/analyze" ]] || { echo "told of: $called" && failures=$((failures + 1)); }
exit $((failures > 0))
