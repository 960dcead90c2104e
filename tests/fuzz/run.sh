#!/usr/bin/env bash
# run.sh [SECONDS] [CORES]: every fuzzer in this folder at once for SECONDS (600), sharing CORES (all). Into $OUT (./out): findings/NAME/,
# NAME.log, NAME.corpus.tar.gz (what was found on the way) and summary.txt. Goes on after a finding; fails at the end when there is one.
set -uo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
seconds=${1:-600}
cores=${2:-$(nproc)}
out=${OUT:-$PWD/out}
memory=/dev/shm
[[ -w $memory ]] || memory=${TMPDIR:-/tmp}
work=$(mktemp -d -p "$memory")
trap 'rm -rf "$work"' EXIT
export ASAN_OPTIONS=quarantine_size_mb=16:allocator_may_return_null=1 TMPDIR=$work

declare -A share=([yaml]=5 [pth]=2 [legacy_pth]=1 [safetensors]=1 [npz]=1 [images]=3 [hdf5]=3) # of 16 cores
for name in "${!share[@]}"; do
  mkdir -p "$out/findings/$name" "$work/$name"
  jobs=$((share[$name] * cores / 16))
  "$here/fuzz_$name" -fork=$((jobs > 0 ? jobs : 1)) -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 \
    -max_total_time="$seconds" -timeout=25 -rss_limit_mb=3000 -max_len=16384 -dict="$here/$name.dict" \
    -artifact_prefix="$out/findings/$name/" "$work/$name" "$here/seeds/$name" >"$out/$name.log" 2>&1 &
done
wait

{
  for name in "${!share[@]}"; do
    count=$(find "$out/findings/$name" -type f | wc -l)
    printf '%-10s %3d findings, %5d inputs kept; %s\n' "$name" "$count" "$(find "$work/$name" -type f | wc -l)" \
      "$(grep -a '^#[0-9]*: cov' "$out/$name.log" | tail -1)"
    tar -C "$work/$name" -czf "$out/$name.corpus.tar.gz" .
  done
} | tee "$out/summary.txt"
exit $(($(find "$out/findings" -type f | wc -l) > 0))
