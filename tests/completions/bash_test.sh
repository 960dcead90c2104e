#!/usr/bin/env bash
# bash_test.sh COMPLETIONS PROGRAMS: what bash offers after some words, with the programs that were built.
set -uo pipefail
# shellcheck source=share/completions/run_sweep.bash
source "$1/run_sweep.bash"
programs=$2
failures=0

# offers FUNCTION WORDS... -- EXPECTED...: every EXPECTED must be offered for the last of WORDS; one that begins with ! must not.
offers() {
  local function=$1 expected
  shift
  COMP_WORDS=()
  while [[ $1 != -- ]]; do COMP_WORDS+=("$1") && shift; done
  shift
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  "$function"
  for expected in "$@"; do
    local found=no wanted=yes
    [[ $expected == !* ]] && wanted=no
    printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | grep -qxF -- "${expected#!}" && found=yes
    if [[ $found != "$wanted" ]]; then
      printf 'after `%s`: expected %s; offered: %s\n' "${COMP_WORDS[*]}" "$expected" "${COMPREPLY[*]}"
      failures=$((failures + 1))
    fi
  done
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
mkdir sweeps && touch sweeps/a.yaml sweeps/b.txt c.yml d.h5

offers _tarflow_sweep "$programs/run_sweep" --d -- --dry-run !--smoke
offers _tarflow_sweep "$programs/run_sweep" - -- --set --only --smoke --status --help -h
offers _tarflow_sweep "$programs/run_sweep" "" -- sweeps c.yml run plan status watch log cancel clean check schema !d.h5 !cluster-task
offers _tarflow_sweep "$programs/run_sweep" p -- plan !status
offers _tarflow_sweep "$programs/run_sweep" status "" -- sweeps c.yml !plan
offers _tarflow_sweep "$programs/run_sweep" status - -- --json --only --help !--force !--dry-run
offers _tarflow_sweep "$programs/run_sweep" plan c.yml --f -- --force !--follow
offers _tarflow_sweep "$programs/run_sweep" log c.yml --f -- --follow !--force
offers _tarflow_sweep "$programs/run_sweep" sweeps/ -- sweeps/a.yaml !sweeps/b.txt
offers _tarflow_sweep "$programs/run_sweep" c.yml --results s -- sweeps !c.yml
if compgen -G "$programs/../share/experiments.json" >/dev/null; then # of a build with the worker
  offers _tarflow_sweep "$programs/run_sweep" --help t -- topics
  offers _tarflow_sweep "$programs/run_sweep" c.yml --set num_ -- num_images= !cfg=
  offers _tarflow_sweep "$programs/run_sweep" c.yml --only c -- cfg=
fi
offers _tarflow_analyze "$programs/analyze" d -- d.h5 digest
offers _tarflow_analyze "$programs/analyze" d.h5 --f -- --format
offers _tarflow_analyze "$programs/analyze" d.h5 --format m -- markdown !text

exit $((failures > 0))
