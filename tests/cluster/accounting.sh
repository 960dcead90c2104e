#!/usr/bin/env bash
# The Slurm of slurm.sh with accounting, as clusters have it: slurmdbd and its MariaDB, limits that are enforced, and a controller
# that forgets ended jobs at once. Where this machine allows it, control groups limit the memory of jobs. The verbs are slurm.sh's.
# Root has the account `lab` and may use these qualities of service (QOS):
#   normal  no limits; the default
#   few     at most 3 jobs submitted and not over
#   narrow  at most 1 CPU a job; a larger job waits for ever
#   strict  the same, but sbatch refuses a larger job (DenyOnLimit)
#   gpus    at most 1 GPU for all running jobs of a user; a job of 2 GPUs waits for ever
# Job numbers begin anywhere, since the control groups of all Slurms on this machine are in one folder.
# DIR/groups has "yes", or why memory is not limited.
# shellcheck source=tests/cluster/slurm.sh
source "$(dirname "${BASH_SOURCE[0]}")/slurm.sh"
export MYSQL_UNIX_PORT=$D/run/db.sock
# In memory where there is room: making a database waits for the disk often.
db=$D/db
(($(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) < 500000)) || db=/dev/shm/$(basename "$D").db

further_programs() {
  echo "slurmdbd slurmdbd"
  echo "mariadbd mariadb-server-core"
  echo "mariadb-install-db mariadb-server-core"
  echo "my_print_defaults mariadb-client-core"
}

further_ports() { echo 1; }

# The folder of control groups with a memory controller: of version 2, or of version 1.
memory_groups() {
  local folder
  if grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
    folder=/sys/fs/cgroup
  elif [[ -d /sys/fs/cgroup/memory ]]; then
    folder=/sys/fs/cgroup/memory
  else
    echo "there is no memory controller below /sys/fs/cgroup"
    return 1
  fi
  mkdir "$folder/tarflow_trial_$$" 2>/dev/null || { echo "no control group can be made in $folder"; return 1; }
  rmdir "$folder/tarflow_trial_$$"
}

further_configuration() {
  cat <<C
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$1
AccountingStoragePass=$D/run/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=limits,qos
MinJobAge=2
DefMemPerCPU=2000
FirstJobId=$((RANDOM * 100 + 1))
C
  cat >"$D/slurmdbd.conf" <<C
DbdHost=localhost
DbdPort=$1
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$D/run/munge.sock
PidFile=$D/run/slurmdbd.pid
LogFile=$D/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounting
C
  chmod 600 "$D/slurmdbd.conf"
  if memory_groups >"$D/groups"; then
    echo yes >"$D/groups"
    echo "TaskPlugin=task/cgroup"
    echo "SelectTypeParameters=CR_Core_Memory"
    cat >"$D/cgroup.conf" <<C
ConstrainRAMSpace=yes
ConstrainSwapSpace=yes
AllowedSwapSpace=0
C
    [[ ! -f /sys/fs/cgroup/cgroup.controllers ]] || echo "IgnoreSystemd=yes" >>"$D/cgroup.conf"
  fi
}

# Its table of users lets root in by the socket alone, so that it needs neither a port nor a password.
start_database() {
  local i
  local -a fast=(--innodb-flush-method=nosync --innodb-flush-log-at-trx-commit=0 --innodb-log-file-size=8M)
  mkdir "$db"
  mariadb-install-db --no-defaults --datadir="$db" --user=root --skip-test-db --skip-name-resolve \
    --auth-root-authentication-method=socket "${fast[@]}" >"$D/log/install-db.log" 2>&1 || return
  mariadbd --no-defaults --datadir="$db" --user=root --socket="$MYSQL_UNIX_PORT" --pid-file="$D/run/mariadbd.pid" \
    --skip-networking "${fast[@]}" --log-error="$D/log/mariadbd.log" \
    </dev/null >/dev/null 2>&1 &
  for ((i = 0; i < 300; ++i)); do
    [[ -S $MYSQL_UNIX_PORT ]] && return
    sleep 0.1
  done
  return 1
}

before_controller() {
  local i
  start_database && slurmdbd || return
  for ((i = 0; i < 300; ++i)); do
    sacctmgr -n show cluster &>/dev/null && break
    sleep 0.1
  done
  sacctmgr -i >"$D/log/accounts.log" 2>&1 <<C
add cluster trial
add account lab Cluster=trial
add qos few MaxSubmitJobsPerUser=3
add qos narrow MaxTRESPerJob=cpu=1
add qos strict MaxTRESPerJob=cpu=1 Flags=DenyOnLimit
add qos gpus
add user root Account=lab DefaultAccount=lab
modify user root set QOS=normal,few,narrow,strict,gpus DefaultQOS=normal
C
  # sacctmgr ends well although it refused a line.
  [[ $(sacctmgr -n -P show assoc user=root account=lab format=qos) == few,gpus,narrow,normal,strict ]]
}

# GPUs can be limited once the controller has made them known.
after_nodes() { sacctmgr -i -Q modify qos gpus set MaxTRESPerUser=gres/gpu=1 >>"$D/log/accounts.log" 2>&1; }

after_down() {
  kill_daemon slurmdbd
  kill_daemon mariadbd
  rm -rf "$db"
  # The groups of a node are called by its name, which other tests' Slurms have as well.
  pgrep -x slurmd >/dev/null ||
    find /sys/fs/cgroup -depth -type d -path "*/slurm_n[1-9]*" -exec rmdir {} \; 2>/dev/null || true
}

"${verb:?}" "${@:3}"
