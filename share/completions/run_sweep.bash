# bash completion of run_sweep and analyze: source share/completions/run_sweep.bash
# The words come from the programs' own --help, so that they are always those of the program at hand.
# shellcheck shell=bash disable=SC2207

# The program behind a command word; ./run_sweep of a clone would build, so its last build answers.
_tarflow_program() {
  local word=${1/#\~/$HOME} folder
  word=$(type -P -- "$word") || return
  if [[ $(head -c 2 -- "$word" 2>/dev/null) == '#!' ]]; then
    folder=$(cd -- "$(dirname -- "$(readlink -f -- "$word")")" && pwd)
    word=$folder/build/bin/$(basename -- "$word")
  fi
  [[ -x $word ]] && printf '%s' "$word"
}

# The options of a program or of its subcommand.
_tarflow_options() { "$@" --help 2>/dev/null | awk '/^ +-/ { n = split($1, names, ","); for (i = 1; i <= n; ++i) print names[i] }'; }

# The values that an option is limited to: --format TEXT:{text,markdown}.
_tarflow_values() {
  local option=$1
  shift
  "$@" --help 2>/dev/null | awk -v option="$option" '$1 == option && match($2, /\{[^}]*\}/) {
    gsub(",", "\n", $2); print substr($2, index($2, "{") + 1, index($2, "}") - index($2, "{") - 1) }'
}

# "name: title", one a line.
_tarflow_topics() { "$1" --help topics 2>/dev/null | awk -F: '/^[a-z][a-z_-]*:/ { print $1 }'; }

# Keys that sweep files give: every setting of every experiment.
_tarflow_keys() {
  local program=$1 share
  for share in "$(dirname -- "$program")"/../share/{tarflow/,}experiments.json; do
    [[ -r $share ]] || continue
    # Names of fields are the ones that have an identity; pretty-printed, one member a line.
    awk -F'"' '/"identity":/ { field = 1 } /"name":/ { if (field) print $4; field = 0 }' "$share" | sort -u
    return
  done
}

_tarflow_files() {
  local word=$1 suffix
  shift
  compopt -o filenames 2>/dev/null
  COMPREPLY+=($(compgen -d -- "$word"))
  for suffix in "$@"; do
    COMPREPLY+=($(compgen -f -X "!*.$suffix" -- "$word"))
  done
}

# The subcommands of a program.
_tarflow_subcommands() { "$1" --help 2>/dev/null | awk '/^Subcommands/ { on = 1; next } /^[^ ]/ || /^$/ { on = 0 } on && /^  [a-z]/ { print $1 }'; }

_tarflow_sweep() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program subcommands subcommand=
  COMPREPLY=()
  program=$(_tarflow_program "${COMP_WORDS[0]}") || { _tarflow_files "$word" yaml yml; return; }
  subcommands=$(_tarflow_subcommands "$program")
  ((COMP_CWORD > 1)) && grep -qxF -- "${COMP_WORDS[1]}" <<<"$subcommands" && subcommand=${COMP_WORDS[1]}
  case $before in
    --help | -h) COMPREPLY=($(compgen -W "$(_tarflow_topics "$program")" -- "$word")) ;;
    --set | --only)
      compopt -o nospace 2>/dev/null
      COMPREPLY=($(compgen -S = -W "$(_tarflow_keys "$program")" -- "$word")) ;;
    --results | --programs) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$word")) ;;
    --log) ;;
    *)
      if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$(_tarflow_options "$program" ${subcommand:+"$subcommand"})" -- "$word"))
      else
        ((COMP_CWORD == 1)) && COMPREPLY=($(compgen -W "$subcommands" -- "$word"))
        _tarflow_files "$word" yaml yml
      fi ;;
  esac
}

_tarflow_analyze() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program subcommand=
  COMPREPLY=()
  program=$(_tarflow_program "${COMP_WORDS[0]}") || { _tarflow_files "$word" h5; return; }
  local subcommands
  subcommands=$(_tarflow_subcommands "$program")
  ((COMP_CWORD > 1)) && grep -qxF -- "${COMP_WORDS[1]}" <<<"$subcommands" && subcommand=${COMP_WORDS[1]}
  if [[ $before == --* ]]; then
    COMPREPLY=($(compgen -W "$(_tarflow_values "$before" "$program" ${subcommand:+"$subcommand"})" -- "$word"))
    ((${#COMPREPLY[@]})) && return
  fi
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$(_tarflow_options "$program" ${subcommand:+"$subcommand"})" -- "$word"))
  elif [[ $before == --published ]]; then
    _tarflow_files "$word" yaml
  else
    ((COMP_CWORD == 1)) && COMPREPLY=($(compgen -W "$subcommands" -- "$word"))
    _tarflow_files "$word" h5
  fi
}

complete -F _tarflow_sweep run_sweep ./run_sweep
complete -F _tarflow_analyze analyze
