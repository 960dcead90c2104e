#!/usr/bin/env bash
# looking_test.sh SOURCE: ./run_sweep takes the programs that are there to look at a sweep or to stop it, whatever changed in the
# sources, and builds for anything else.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/third_party" "$folder/build/cpu/bin" "$folder/framework"
cp "$1/run_sweep" "$folder/"
# The real choice of a variant; a build that only says that it was asked for.
{ cat "$1/third_party/setup.sh"; echo 'build() { echo BUILT; }'; } >"$folder/third_party/setup.sh"
printf '#!/bin/sh\necho "RAN $*"\n' >"$folder/build/cpu/bin/run_sweep"
chmod +x "$folder/build/cpu/bin/run_sweep"
export TARFLOW_VARIANT=cpu
expect() {
  local wanted=$1 said
  shift
  said=$("$folder/run_sweep" "$@" 2>&1 | tr '\n' ' ')
  [[ $said == "$wanted" ]] || { echo "run_sweep $*: '$said' instead of '$wanted'" && exit 1; }
}
for words in "a.yaml --status" "--watch a.yaml" "a.yaml --log 0123" "a.yaml --log=0123" "a.yaml --cancel" \
  "--version" "status a.yaml" "watch a.yaml" "log a.yaml 0123" "cancel a.yaml"; do
  # shellcheck disable=SC2086
  expect "RAN $words " $words
done
for words in "a.yaml" "a.yaml --wait" "a.yaml --set name=--status-of-mine" "run status.yaml" "plan a.yaml" "clean a.yaml --status"; do
  # shellcheck disable=SC2086
  expect "BUILT RAN $words " $words
done
rm "$folder/build/cpu/bin/run_sweep"
echo 'project(tarflow_sampling VERSION 1.2.3 LANGUAGES CXX)' >"$folder/CMakeLists.txt"
expect "tarflow-sampling 1.2.3, not built yet (./run_sweep FILE builds the variant cpu) git revision: unknown " --version
[[ $("$folder/run_sweep" a.yaml --status 2>/dev/null) == BUILT ]] || { echo "no program, and nothing was built" && exit 1; }
