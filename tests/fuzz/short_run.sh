#!/usr/bin/env bash
# short_run.sh NAME BUILD: one fuzzer from its seeds and findings for 12 s and 500,000 inputs at most. 77 (skipped) where it is not built.
set -uo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
name=$1 program=$2/bin/fuzz_$1
[[ -x $program ]] || { echo "skipped: $program is not built; ./run_tests --all builds it where clang is installed"; exit 77; }
# shellcheck source=tests/fuzz/seeds.sh
source "$here/seeds.sh"
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
mapfile -t seeds < <(seed_folders "$here" "$name" | while read -r folder; do [[ -d $folder ]] && echo "$folder"; done)
export ASAN_OPTIONS=quarantine_size_mb=16:allocator_may_return_null=1
mkdir -p "$2/findings"
"$program" -max_total_time=12 -runs=500000 -timeout=60 -rss_limit_mb=3000 -max_len=16384 -print_final_stats=1 -verbosity=1 \
  -dict="$here/$name.dict" -artifact_prefix="$2/findings/$name-" "$corpus" "${seeds[@]}" >"$corpus.log" 2>&1
code=$?
tail -n $((code ? 60 : 8)) "$corpus.log"
rm -f "$corpus.log"
((code == 0)) || echo "The input that did it is named above; it belongs into tests/fuzz/findings/$name once it is repaired."
exit $((code > 0))
