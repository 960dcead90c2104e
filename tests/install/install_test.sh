#!/usr/bin/env bash
# install_test.sh BUILD: installs, moves the tree, and runs the demo from there with nothing on $PATH.
set -euo pipefail
build=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cmake --install "$build" --prefix "$folder/before" >"$folder/install.log" || { cat "$folder/install.log"; exit 1; }
mkdir "$folder/moved here" "$folder/elsewhere"
mv "$folder/before" "$folder/moved here/tarflow"
tree="$folder/moved here/tarflow"
cd "$folder/elsewhere"

# Every library but glibc's and the system's loader comes from the tree.
for program in "$tree"/bin/*; do
  if outside=$(ldd "$program" | awk -v tree="$tree/" '$2 == "=>" && index($0, tree) == 0' |
    grep -vE '^\s*(lib(c|m|dl|rt|pthread|resolv|util|anl|mvec|nsl)\.so|libcuda\.so|libnvidia-|/)'); then
    printf '%s needs what is not in the tree:\n%s\n' "$program" "$outside"
    exit 1
  fi
done

run() { env -i PATH=/nonexistent OMP_NUM_THREADS=1 "$@"; }
run "$tree/bin/run_sweep" "$tree/share/tarflow/sweeps/demo.yaml" --smoke --tables --results results >"$folder/tables"
for table in 'CRM' 'Speed' 'For' '[7-8-4-4]'; do
  grep -qiF -- "$table" "$folder/tables" || { cat "$folder/tables"; printf 'no `%s` in the tables\n' "$table"; exit 1; }
done
record=$(find results -maxdepth 1 -name '*.h5' | head -1)
run "$tree/bin/analyze" digest "$record" | grep -E '^[0-9a-f]{64}' >/dev/null
run "$tree/bin/make_checkpoint" --help >/dev/null
for file in experiments.json published.yaml README.md docs/limits.md sweeps/afhq.yaml sweeps/schema.json; do
  [[ -s $tree/share/tarflow/$file ]] || { printf 'share/tarflow/%s is not installed\n' "$file"; exit 1; }
done
[[ -s $tree/share/bash-completion/completions/run_sweep && -s $tree/share/zsh/site-functions/_run_sweep ]]
