#!/usr/bin/env bash
# bundle.sh FOLDER [BUILD]: puts the fuzzers of BUILD (build/fuzz), their seeds and the libraries they need into a new FOLDER, which
# runs on any Linux with a glibc as new as here: FOLDER/run.sh. Build first: cmake --preset fuzz && cmake --build --preset fuzz.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
folder=${1:?usage: bundle.sh FOLDER [BUILD]}
build=${2:-$here/../../build/fuzz}
# shellcheck source=tests/fuzz/seeds.sh
source "$here/seeds.sh"

mkdir "$folder" "$folder/lib"
cp "$here/run.sh" "$here/experiments.json" "$folder"
for name in "${fuzz_targets[@]}"; do
  strip --strip-debug -o "$folder/fuzz_$name" "$build/bin/fuzz_$name"
  cp "$here/$name.dict" "$folder"
  mkdir -p "$folder/seeds/$name"
  while read -r source; do
    [[ -d $source ]] || continue
    # Flat, and small enough to be worth changing.
    find "$source" -maxdepth 1 -type f -size -64k ! -name '*.py' ! -name '*.md' ! -name '*.json' ! -name '*.rgb' \
      -exec cp {} "$folder/seeds/$name" \;
  done < <(seed_folders "$here" "$name")
  # All but glibc's own.
  ldd "$build/bin/fuzz_$name" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' |
    grep -vE '/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util)\.so\.[0-9]+)$' | xargs cp -Lut "$folder/lib"
done
du -sh "$folder"
