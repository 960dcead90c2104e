#!/usr/bin/env bash
# A real Slurm on this one machine for the tests: munged, slurmctld and N slurmd on the loopback, everything in one folder and
# on ports that were free, so that several can live side by side.
#   slurm.sh missing              what this machine lacks for that, a line each; nothing when it can be had
#   slurm.sh up DIR [N]           start it in DIR (absolute, empty, private); returns when N nodes are idle
#   slurm.sh guard DIR            `up` was called or will be: waits until its standard input ends, then `down`, and removes DIR
#   slurm.sh down DIR             end every job and every daemon
#   slurm.sh kill-controller DIR  as a crash of its machine does; its saved state stays
#   slurm.sh start-controller DIR
#   slurm.sh kill-node DIR NODE   slurmd and all that ran on the node are gone at once, as when its power fails
#   slurm.sh start-node DIR NODE
# Afterwards SLURM_CONF=DIR/slurm.conf makes sbatch, squeue, scontrol, scancel and srun speak to it.
# A node has 2 CPUs and 2 make-believe GPUs (character devices), so that --gres=gpu:1 sets CUDA_VISIBLE_DEVICES.
# Partitions: main (the default), low, whose jobs the partition high may preempt with 20 s notice.
# accounting.sh beside it starts the same Slurm with more: it replaces the functions under "Extensions".
set -euo pipefail
verb=${1:?missing, up, guard, down, kill-controller, start-controller, kill-node or start-node}
D=${2:-}
export SLURM_CONF=$D/slurm.conf PATH=$PATH:/usr/sbin:/sbin

# --- Extensions: what another script adds ---
further_programs() { :; }      # lines "PROGRAM PACKAGE"
further_ports() { echo 0; }    # how many; their numbers are the arguments of further_configuration
further_configuration() { :; } # lines of slurm.conf, which replace those of the same name
before_controller() { :; }     # starts what slurmctld needs
after_nodes() { :; }           # every node is idle
after_down() { :; }            # ends what before_controller started

missing() {
  local program package scratch
  while read -r program package; do
    [[ -z $program ]] || command -v "$program" >/dev/null || echo "package $package ($program)"
  done <<<"slurmctld slurm-wlm
slurmd slurm-wlm
sbatch slurm-wlm
munged munge
$(further_programs)"
  ((EUID == 0)) || { echo "root, as whom slurmd starts jobs"; return; }
  scratch=$(mktemp -d)
  mknod "$scratch/gpu" c 1 3 2>/dev/null || echo "the right to make device files (mknod)"
  rm -r "$scratch"
}

# Ports below those the kernel hands out by itself, to which nothing listens.
free_ports() {
  local port count=0
  while ((count < $1)); do
    port=$((RANDOM % 12000 + 20000))
    # The port in hexadecimal, as a listener's local address.
    grep -qi ":$(printf %04X $port) [0-9A-F]*:[0-9A-F]* 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null && continue
    echo "$port"
    count=$((count + 1))
  done
}

configure() {
  local nodes=$1 i ports line count
  count=$((nodes + 1 + $(further_ports)))
  mapfile -t ports < <(free_ports "$count" | sort -u)
  ((${#ports[@]} == count)) || return 1 # one came twice
  cat >"$D/slurm.conf" <<C
ClusterName=trial
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$D/run/munge.sock,cred_expire=10
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmctldParameters=preempt_send_user_signal
MailProg=/bin/true
SwitchType=switch/none
ReturnToService=2
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool/%n
SlurmctldPidFile=$D/run/slurmctld.pid
SlurmdPidFile=$D/run/slurmd-%n.pid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdLogFile=$D/log/slurmd-%n.log
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
DefMemPerCPU=100
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MinJobAge=300
MaxArraySize=10001
KillWait=5
SlurmdTimeout=120
InactiveLimit=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
JobCompType=jobcomp/filetxt
JobCompLoc=$D/log/jobcomp.txt
SlurmdParameters=config_overrides
GresTypes=gpu
C
  for ((i = 1; i <= nodes; ++i)); do
    echo "NodeName=n$i NodeHostname=localhost NodeAddr=127.0.0.1 Port=${ports[i]} CPUs=2 RealMemory=8000 Gres=gpu:2 State=UNKNOWN"
  done >>"$D/slurm.conf"
  cat >>"$D/slurm.conf" <<C
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=10 OverSubscribe=NO GraceTime=0
PartitionName=low Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=100 PreemptMode=OFF
C
  echo "Name=gpu File=$D/gpu[0-1]" >"$D/gres.conf"
  while read -r line; do
    [[ -n $line ]] || continue
    sed -i "/^${line%%=*}=/d" "$D/slurm.conf"
    sed -i "1i $line" "$D/slurm.conf"
  done < <(further_configuration "${ports[@]:nodes + 1}")
}

start-controller() { slurmctld -f "$D/slurm.conf"; }
start-node() { slurmd -f "$D/slurm.conf" -N "$1"; }

start_daemons() {
  local nodes=$1 i
  munged --force --key-file="$D/run/munge.key" --socket="$D/run/munge.sock" --pid-file="$D/run/munged.pid" \
    --log-file="$D/log/munged.log" --seed-file="$D/run/munge.seed"
  before_controller || return
  start-controller
  for ((i = 1; i <= nodes; ++i)); do start-node "n$i"; done
  for ((i = 0; i < 600; ++i)); do
    [[ $(sinfo -h -N -p main -t idle -o %N 2>/dev/null | wc -l) == "$nodes" ]] && return
    ((i < 40)) || pid_of slurmctld >/dev/null || return 1 # it found its port taken
    sleep 0.1
  done
  return 1
}

up() {
  local nodes=${1:-2} i attempt
  chmod 755 "$D"
  mkdir -p "$D"/{state,log,run}
  for ((i = 1; i <= nodes; ++i)); do mkdir -p "$D/spool/n$i"; done
  for i in 0 1; do mknod "$D/gpu$i" c 1 3; done
  head -c 1024 /dev/urandom >"$D/run/munge.key"
  chmod 400 "$D/run/munge.key"
  # Between the choice of a port and its use another program may take it.
  for attempt in 1 2 3; do
    configure "$nodes" && start_daemons "$nodes" && after_nodes && return
    echo "slurm.sh: attempt $attempt did not bring the nodes up" >&2
    down
    rm -rf "$D"/state/*
  done
  tail -n 20 "$D"/log/*.log >&2
  return 1
}

# The number of a daemon that is alive; a number that another program has by now does not count.
pid_of() {
  local pid
  [[ -s $D/run/$1.pid ]] && pid=$(<"$D/run/$1.pid") && is_alive "$pid" && [[ $(<"/proc/$pid/comm") == "${1%%-*}" ]] &&
    echo "$pid"
}

# A zombie is not: whoever has to bury it may be slow.
is_alive() { [[ -r /proc/$1/stat && $(<"/proc/$1/stat") != *") Z "* ]]; } 2>/dev/null

kill_daemon() {
  local pid
  pid=$(pid_of "$1") || return 0
  kill -KILL "$pid" 2>/dev/null || return 0
  while is_alive "$pid"; do sleep 0.02; done
}

# Whatever was started inside this Slurm's jobs, on NODE or on all; the slurmstepd that looks after it comes first, so that it
# cannot report its end.
processes_of_jobs() {
  local folder pid parent pattern="SLURMD_NODENAME=${1:-}"
  local -a steps=() others=()
  for folder in /proc/[0-9]*; do
    pid=${folder#/proc/}
    grep -qzxF "SLURM_CONF=$D/slurm.conf" "$folder/environ" 2>/dev/null || continue
    grep -qz "^$pattern${1:+$}" "$folder/environ" 2>/dev/null || continue
    others+=("$pid")
    parent=$(awk '$1 == "PPid:" { print $2 }' "$folder/status" 2>/dev/null) || continue
    [[ $(cat "/proc/$parent/comm" 2>/dev/null) == slurmstepd ]] && steps+=("$parent")
  done
  echo "${steps[*]:-} ${others[*]:-}"
}

kill_jobs() {
  local processes
  processes=$(processes_of_jobs "${1:-}")
  # shellcheck disable=SC2086  # a list
  kill -KILL $processes 2>/dev/null || true
}

# A slurmstepd whose processes have ended tries to report that, to a slurmd that is gone.
kill_steps() {
  local folder
  for folder in /proc/[0-9]*; do
    [[ $(cat "$folder/comm" 2>/dev/null) == slurmstepd ]] || continue
    grep -qzxF "SLURM_CONF=$D/slurm.conf" "$folder/environ" 2>/dev/null || continue
    kill -KILL "${folder#/proc/}" 2>/dev/null || true
  done
}

kill-controller() { kill_daemon slurmctld; }

kill-node() {
  kill_daemon "slurmd-$1"
  kill_jobs "$1"
}

# Nothing of it is needed any more, so nothing is asked to end by itself; what was frozen is reached as well.
down() {
  local pid_file
  for pid_file in "$D"/run/slurm*.pid; do
    [[ -e $pid_file ]] && kill_daemon "$(basename "$pid_file" .pid)"
  done
  kill_jobs
  kill_steps
  after_down
  kill_daemon munged
}

guard() {
  cat >/dev/null
  [[ -d $D/run ]] && down
  rm -rf "$D"
}

[[ $verb == missing || $D == /* ]] || { echo "$(basename "$0") $verb needs an absolute folder" >&2; exit 2; }
[[ ${BASH_SOURCE[0]} != "$0" ]] || "$verb" "${@:3}"
