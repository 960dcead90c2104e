# shellcheck shell=bash
# Sourced by bundle.sh and run.sh's neighbours: seed_folders NAME prints where the seeds of a target lie, one folder a line.
fuzz_targets=(yaml pth legacy_pth safetensors npz images hdf5)
seed_folders() {
  local here=$1 name=$2
  printf '%s\n' "$here/seeds/$name" "$here/findings/$name"
  case $name in
    yaml) printf '%s\n' "$here/../../sweeps" "$here/../../sweeps/presets" ;;
    pth | legacy_pth | safetensors) printf '%s\n' "$here/../checkpoint/fixtures" ;;
    npz) printf '%s\n' "$here/../checkpoint/fixtures" "$here/../images/fixtures/batches" ;;
    images) printf '%s\n' "$here/../images/fixtures/good" "$here/../images/fixtures/bad" ;;
  esac
}
