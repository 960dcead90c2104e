# shellcheck shell=bash
# Sourced by ./run_sweep and ./run_tests: chooses a variant, installs what is missing, builds. Everything it prints goes to stderr.
#
#   TARFLOW_VARIANT      cpu, cuda (an installed CUDA 13 toolkit) or cuda-wheels (the toolkit's PyPI wheels); chosen when unset
#   TARFLOW_TORCH_ROOT   folder that holds torch/ and nvidia/, instead of .deps/VARIANT
#   CMAKE_PREFIX_PATH    where CMake looks for libraries first: modules, conda, spack

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "== $*" >&2; }
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  (($#)) && printf '  %s\n' "$@" >&2
  exit 1
}

# Sets `toolkit` to the folder of an installed CUDA 13 toolkit, or to nothing.
find_toolkit() {
  local candidate
  toolkit=
  for candidate in "${CUDACXX:-}" "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" "$(command -v nvcc)" /usr/local/cuda/bin/nvcc; do
    if [[ -x $candidate && $("$candidate" --version) == *"release 13."* ]]; then
      toolkit=$(dirname "$(dirname "$(readlink -f "$candidate")")")
      return
    fi
  done
}

# Sets `variant`, `why` and `toolkit`.
choose_variant() {
  find_toolkit
  variant=${TARFLOW_VARIANT:-}
  why="TARFLOW_VARIANT asks for it"
  if [[ -z $variant ]]; then
    if [[ -n $toolkit ]]; then
      variant=cuda why="nvcc 13 is in $toolkit; TARFLOW_VARIANT=cpu or cuda-wheels forces another"
    elif compgen -G '/dev/nvidia[0-9]*' >/dev/null; then
      variant=cuda-wheels why="there is a GPU but no nvcc 13; TARFLOW_VARIANT=cpu forces another"
    else
      variant=cpu why="there is neither nvcc 13 nor a GPU; TARFLOW_VARIANT=cuda-wheels forces another"
    fi
  fi
  case $variant in
    cpu | cuda-wheels) toolkit= ;;
    cuda) [[ -n $toolkit ]] || die "the variant cuda needs nvcc 13, which is neither in \$CUDA_HOME nor on \$PATH" \
      "Load its module or set CUDA_HOME, or let it be fetched: TARFLOW_VARIANT=cuda-wheels" ;;
    *) die "TARFLOW_VARIANT is '$variant'; it can be cpu, cuda or cuda-wheels" ;;
  esac
  build=$root/build/$variant
}

# What the build folder was made from; a build made from something else is configured again.
configuration() {
  printf '%s' "$variant|$toolkit|${TARFLOW_TORCH_ROOT:-}|${CMAKE_PREFIX_PATH:-}|${CXX:-}|${TORCH_CUDA_ARCH_LIST:-}"
}

# is_current TARGET: whether TARGET was built after the last change of its sources.
is_current() {
  local stamp=$build/.built-$1
  [[ -f $stamp && $(<"$stamp") == "$(configuration)" ]] || return
  [[ -z $(find "$root"/{framework,experiments,analysis,cmake,third_party,CMakeLists.txt,CMakePresets.json} \
    -newer "$stamp" -print -quit 2>&1) ]]
}

# --- Debian packages ---------------------------------------------------------------------------------------------
missing_packages() {
  local package check installed
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' 2>/dev/null | awk '$2 == "installed" { print $1 }')
  while read -r package check _; do
    [[ $package == \#* || -z $package || $package == *^ ]] && continue
    [[ $package == *! && -z ${all:-} ]] && continue
    package=${package%!}
    grep -qxF -- "${package%\?}" <<<"$installed" && continue
    [[ $check == pip ]] && python3 -m pip --version &>/dev/null && continue
    command -v "$check" >/dev/null && continue
    [[ $package == *\? ]] && ! apt-cache show "${package%\?}" &>/dev/null && continue
    printf '%s\n' "${package%\?}"
  done <"$root/third_party/debian.txt"
}

may_sudo() { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo true; }; }

# Installs what is missing; without root, leaves the command that would in `apt_hint` and lets CMake decide.
install_packages() {
  local -a missing apt=(env DEBIAN_FRONTEND=noninteractive apt-get)
  mapfile -t missing < <(missing_packages)
  apt_hint=
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    apt=(sudo "${apt[@]}")
  fi
  if ! command -v apt-get >/dev/null || { ((EUID != 0)) && ! may_sudo; }; then
    apt_hint="Or ask an administrator for: apt-get install ${missing[*]}"
    say "These Debian packages are missing and cannot be installed without root: ${missing[*]}"
    say "Going on with what CMake finds; modules, conda or spack can provide them through CMAKE_PREFIX_PATH."
    return
  fi
  say "Installing Debian packages: ${missing[*]}"
  local install=(install -y --no-install-recommends "${missing[@]}")
  "${apt[@]}" -s "${install[@]}" &>/dev/null || "${apt[@]}" update >&2
  "${apt[@]}" "${install[@]}" >&2 || { "${apt[@]}" update >&2 && "${apt[@]}" "${install[@]}" >&2; } ||
    die "apt-get could not install them; its reason is above" "Once that is repaired: apt-get install ${missing[*]}"
}

# Headers of packages whose dependencies are many and not wanted: unpacked into .deps/headers, which needs no root. What
# cannot be had is left out, with the tests that need it.
unpack_headers() {
  local package
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 0
  while read -r package _; do
    [[ $package == *^ ]] || continue
    package=${package%^}
    [[ -e $root/.deps/headers/.$package ]] && continue
    say "Unpacking the headers of $package"
    mkdir -p "$root/.deps/headers" &&
      (cd "$root/.deps/headers" && apt-get download "$package" &>/dev/null && dpkg-deb -x "$package"_*.deb . &&
        rm "$package"_*.deb && touch ".$package") || say "It cannot be had here; tests that need it are left out."
  done <"$root/third_party/debian.txt"
}

# --- build -------------------------------------------------------------------------------------------------------
fetch_libraries() {
  [[ -n ${TARFLOW_TORCH_ROOT:-} ]] && return
  [[ $(uname -sm) == "Linux x86_64" ]] || die "the pinned LibTorch is for Linux on x86-64, and this is $(uname -sm)" \
    "Set TARFLOW_TORCH_ROOT to a folder that holds LibTorch 2.11 as torch/, and repeat the command."
  command -v python3 >/dev/null || die "python3 is needed to fetch LibTorch" "apt-get install python3 python3-pip"
  python3 "$root/third_party/fetch.py" "$variant" ${toolkit:+--toolkit "$toolkit"} >&2 || exit 1
}

configure() {
  local prefix=${TARFLOW_TORCH_ROOT:-$root/.deps/$variant}
  local -a options=(-DTARFLOW_TORCH_ROOT="$prefix")
  [[ $variant == cuda ]] && options+=(-DCMAKE_CUDA_COMPILER="$toolkit/bin/nvcc")
  command -v cmake >/dev/null || die "cmake 3.25 or newer is needed" "apt-get install cmake, or load its module"
  [[ -f $build/.configured && $(<"$build/.configured") == "$(configuration)" ]] && return
  say "Configuring build/$variant"
  # A folder configured otherwise remembers compilers and paths; its objects come back from ccache.
  [[ -f $build/CMakeCache.txt ]] && rm -r "$build"
  (cd "$root" && cmake --preset "$variant" "${options[@]}") >&2 ||
    die "CMake could not configure the build; what it lacks is named above" \
      "Install that, or name the folder it lies in: CMAKE_PREFIX_PATH=/prefix $0 ..." ${apt_hint:+"$apt_hint"}
  configuration >"$build/.configured"
}

# As many compilers as there are cores and 2 GB of free memory for each: LibTorch's headers are large.
compilers() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable/ { print int($2 / 2e6) }' /proc/meminfo)
  ((memory < cores)) && cores=$((memory > 1 ? memory : 1))
  printf '%s' "$cores"
}

# build TARGET...: sets up and builds for the chosen variant; TARGET all is everything, tests included.
build() {
  mkdir -p "$root/.deps" "$root/build"
  (
    flock -n 9 || { say "Waiting for another run_sweep or run_tests that is building here" && flock 9; }
    say "Build: $variant ($why)"
    install_packages
    [[ $1 == all ]] && unpack_headers
    fetch_libraries
    configure
    configuration >"$build/.building"
    say "Building ($(compilers) compilers at a time)"
    NINJA_STATUS='[%f/%t, %es] ' cmake --build "$build" -j "$(compilers)" --target "$@" >&2 ||
      die "the build failed; the first error is above" "Repair it and repeat the command, or start over: rm -r $build"
    cp -p "$build/.building" "$build/.built-$1"
    [[ $(readlink "$root/build/bin") == "$variant/bin" ]] || ln -sfn "$variant/bin" "$root/build/bin"
  ) 9>"$root/.deps/lock" || exit 1
}

# Python packages that only tests of --all need, into .deps/trackers. Without them those tests skip.
fetch_trackers() {
  local list=$root/third_party/trackers.txt folder=$root/.deps/trackers
  cmp -s "$list" "$folder/.list" && return
  say "Fetching Python packages for the tests of docs/python.md"
  rm -rf "$folder"
  python3 -m pip install --quiet --disable-pip-version-check --target "$folder" --requirement "$list" >&2 &&
    cp "$list" "$folder/.list" || say "They cannot be had here; tests that need them are left out."
}

# The fuzzers, where clang is installed; their tests skip elsewhere.
build_fuzzers() {
  command -v clang++ >/dev/null || { say "clang++ is not installed, so the fuzzers are not run"; return; }
  (
    flock 9
    say "Building the fuzzers"
    (cd "$root" && cmake --preset fuzz >/dev/null && cmake --build --preset fuzz -j "$(compilers)") >&2 ||
      die "the fuzzers could not be built; the first error is above" "Repair it, or start over: rm -r $root/build/fuzz"
  ) 9>"$root/.deps/lock" || exit 1
}
