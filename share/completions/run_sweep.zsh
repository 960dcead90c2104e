#compdef run_sweep analyze
# zsh completion: as _run_sweep in a folder of $fpath. The words come from the programs' own --help.

_run_sweep() {
  local program=${words[1]} before=${words[CURRENT - 1]} share
  program=${~program}
  program=${commands[$program]:-$program}
  # ./run_sweep of a clone would build; its last build answers.
  [[ $(head -c 2 -- $program 2>/dev/null) == '#!' ]] && program=${program:A:h}/build/bin/${program:t}
  [[ -x $program ]] || { _files -g '*.(yaml|yml|h5)'; return }
  case $before in
    --help | -h)
      compadd -- ${(f)"$($program --help topics 2>/dev/null | awk -F: '/^[a-z][a-z_-]*:/ { print $1 }')"}
      return ;;
    --set | --only)
      for share in ${program:A:h}/../share/{tarflow/,}experiments.json; do
        [[ -r $share ]] || continue
        compadd -S = -- ${(f)"$(awk -F'"' '/"identity":/ { field = 1 } /"name":/ { if (field) print $4; field = 0 }' $share | sort -u)"}
        return
      done ;;
    --results | --programs) _files -/; return ;;
    --log) return ;;
    --published) _files -g '*.yaml'; return ;;
  esac
  local -a subcommands subcommand
  subcommands=(${(f)"$($program --help 2>/dev/null | awk '/^Subcommands/ { on = 1; next } /^[^ ]/ || /^$/ { on = 0 } on && /^  [a-z]/ { print $1 }')"})
  (( CURRENT > 2 && ${subcommands[(Ie)${words[2]}]} )) && subcommand=(${words[2]})
  if [[ ${words[CURRENT]} == -* ]]; then
    compadd -- ${(f)"$($program $subcommand --help 2>/dev/null | awk '/^ +-/ { n = split($1, names, ","); for (i = 1; i <= n; ++i) print names[i] }')"}
  elif [[ ${program:t} == analyze ]]; then
    compadd -- $subcommands
    _files -g '*.h5'
  else
    (( CURRENT == 2 )) && compadd -- $subcommands
    _files -g '*.(yaml|yml)'
  fi
}

_run_sweep "$@"
