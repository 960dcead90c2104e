#!/usr/bin/env bash
# A real Grid Engine on this one machine for the tests: sge_qmaster and sge_execd on the loopback, everything in one folder and
# on ports that were free.
#   gridengine.sh missing         what this machine lacks for that, a line each; nothing when it can be had
#   gridengine.sh up DIR PID      start it in DIR (absolute, empty, private); it ends with the process PID at the latest
#   gridengine.sh down DIR        end every job and both daemons
# Afterwards the variables in DIR/environment make qsub, qstat and qdel speak to it. The queue main.q has four slots.
set -euo pipefail
verb=${1:?missing, up or down}
D=${2:-}
libraries=/usr/lib/gridengine shared=/usr/share/gridengine

missing() {
  local program package
  while read -r program package; do
    [[ -x $program ]] || echo "package $package ($program)"
  done <<<"$libraries/sge_qmaster gridengine-master
$libraries/sge_execd gridengine-exec
/usr/bin/qsub gridengine-client
$shared/scripts/init_cluster gridengine-common"
  ((EUID == 0)) || echo "root, as whom sge_execd starts jobs"
}

# A port below those the kernel hands out by itself, to which nothing listens.
free_port() {
  local port
  while :; do
    port=$((RANDOM % 12000 + 20000))
    grep -qi ":$(printf %04X $port) [0-9A-F]*:[0-9A-F]* 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null && continue
    echo "$port"
    return
  done
}

configure() {
  local common=$D/root/trial/common
  mkdir -p "$common" "$D/spool/qmaster/job_scripts" "$D/spool/db" "$D/execd"
  for part in bin lib util utilbin; do ln -s "/var/lib/gridengine/$part" "$D/root/$part"; done
  echo "export SGE_ROOT=$D/root SGE_CELL=trial SGE_QMASTER_PORT=$(free_port) SGE_EXECD_PORT=$(free_port)" >"$D/environment"
  hostname >"$common/act_qmaster"
  echo "$(hostname) localhost" >"$common/host_aliases"
  sed "s|^admin_user .*|admin_user root|; s|^qmaster_spool_dir .*|qmaster_spool_dir $D/spool/qmaster|
       s|^spooling_params .*|spooling_params $D/spool/db|" $shared/default-bootstrap >"$common/bootstrap"
  . "$D/environment"
  "$shared/scripts/init_cluster" "$D/root" trial "$D/spool/db" root
}

# change SHOW TAKE FILE "NAME VALUE"...: a configuration as it is, but for these keys.
change() {
  local show=$1 take=$2 file=$3 pair
  shift 3
  qconf "$show" | grep -v '^#' >"$file"
  for pair; do sed -i "s|^${pair%% *} .*|$pair|" "$file"; done
  qconf "$take" "$file"
}

queue() {
  local host key
  host=$(hostname)
  mkdir -p "$D/configuration"
  change -sconf -Mconf "$D/configuration/global" "execd_spool_dir $D/execd" "min_uid 0" "min_gid 0" "mailer /bin/true"
  change -ssconf -Msconf "$D/configuration/scheduler" "schedule_interval 0:0:1" "flush_submit_sec 1" "flush_finish_sec 1"
  qconf -as "$host"
  {
    echo "qname main.q
hostlist $host
slots 4
load_thresholds NONE
suspend_thresholds NONE
processors UNDEFINED
shell /bin/sh
shell_start_mode unix_behavior
tmpdir /tmp
qtype BATCH
seq_no 0
nsuspend 1
priority 0
rerun FALSE
initial_state default"
    for key in suspend_interval min_cpu_interval notify; do echo "$key 00:05:00"; done
    for key in ckpt_list pe_list prolog epilog starter_method suspend_method resume_method terminate_method owner_list \
      user_lists xuser_lists subordinate_list complex_values projects xprojects calendar; do echo "$key NONE"; done
    for key in rt cpu fsize data stack core rss vmem; do printf 's_%s INFINITY\nh_%s INFINITY\n' $key $key; done
  } >"$D/configuration/queue"
  qconf -Aq "$D/configuration/queue"
}

# Until the command succeeds.
wait_for() {
  local i
  for ((i = 0; i < 300; ++i)); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.2
  done
  echo "waited in vain: $*"
  return 1
}

has_execd() { compgen -G "$D/execd/*/execd.pid"; }

up() {
  configure
  "$libraries/sge_qmaster"
  wait_for qconf -sh
  queue
  "$libraries/sge_execd"
  wait_for has_execd
  # A test that is killed leaves nothing behind.
  setsid bash -c 'while kill -0 "$2" 2>/dev/null; do sleep 1; done; exec "$0" down "$1"' "$0" "$D" "$1" \
    </dev/null >/dev/null 2>&1 &
}

down() {
  local file
  [[ -e $D/environment ]] || return 0
  . "$D/environment"
  qdel -f -u '*' >/dev/null 2>&1 || true
  for file in "$D"/execd/*/execd.pid "$D"/spool/qmaster/qmaster.pid; do
    [[ -e $file ]] && kill "$(<"$file")" 2>/dev/null || true
  done
}

case $verb in
missing) missing ;;
up) up "${3:?the process with which it ends}" ;;
down) down ;;
*) exit 2 ;;
esac
