#!/usr/bin/env bash
# version_test.sh PROGRAMS VERSION: all programs that are built say the same of their build, and run_job names its LibTorch.
set -uo pipefail
failures=0 first=
fail() { echo "$1" && failures=$((failures + 1)); }

for name in run_sweep analyze make_checkpoint run_job; do
  [[ -x $1/$name ]] || { [[ $name == run_job ]] || fail "$name is not built"; continue; }
  said=$("$1/$name" --version) || fail "$name --version ends with status $?"
  [[ $(head -1 <<<"$said") == "$name $2 of tarflow-sampling" ]] || fail "$name says: $said"
  build=$(sed -n '2,3p' <<<"$said")
  [[ $build == "git revision: "*$'\n'"variant: "* ]] || fail "$name says of its build: $build"
  [[ ${first:=$build} == "$build" ]] || fail "$name is of another build: $build"
  [[ $name != run_job || $said == *$'\n'"LibTorch: "[0-9]* ]] || fail "run_job does not name its LibTorch: $said"
done
exit $((failures > 0))
