#!/usr/bin/env bash
# deploy/slurm/llmload.sbatch on a real Slurm: a controller and three nodes of its own on this machine, in namespaces. By hand,
# as root, with Debian's packages slurm-wlm and munge. run.py has the same script with stand-ins for Slurm's programs.
# usage: tests/deploy/slurm.sh BINARY
set -euo pipefail
binary=$(realpath "${1:?usage: tests/deploy/slurm.sh BINARY}")
script=$(realpath "$(dirname "$0")/../../deploy/slurm/llmload.sbatch")
if [ -z "${LLMLOAD_SLURM:-}" ]; then
  LLMLOAD_SLURM=$(mktemp -d) exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$binary"
fi
folder=$LLMLOAD_SLURM
trap 'rm -rf "$folder"' EXIT
# Each node has a name of its own, and all are this machine, by an address that is not loopback's: names of those are not
# looked for where there are no others.
ip link set lo up
ip link add slurm type bridge
ip addr add 10.0.0.1/24 dev slurm
ip link set slurm up
printf '127.0.0.1 localhost\n10.0.0.1 n0 n1 n2 n3\n' > "$folder/hosts"
mount --bind "$folder/hosts" /etc/hosts
mount -t tmpfs none /run
install -d -o munge -g munge /run/munge
setpriv --reuid=munge --regid=munge --clear-groups munged
mkdir "$folder/state" "$folder/job"
{
  cat << CONF
ClusterName=test
SlurmctldHost=n0
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldLogFile=$folder/ctld.log
SlurmdLogFile=$folder/d-%n.log
SlurmctldPidFile=$folder/ctld.pid
SlurmdPidFile=$folder/d-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  for node in 1 2 3; do
    echo "NodeName=n$node NodeHostname=n$node NodeAddr=10.0.0.1 Port=$((17000 + node)) CPUs=1 RealMemory=500 State=UNKNOWN"
  done
} > "$folder/slurm.conf"
export SLURM_CONF=$folder/slurm.conf
# A node as it calls itself.
as() { unshare --uts sh -c 'echo "$0" > /proc/sys/kernel/hostname; exec "$@"' "$@"; }
as n0 slurmctld
for node in n1 n2 n3; do as "$node" slurmd; done
for _ in {1..100}; do
  [ "$(sinfo --noheader --Node --states=idle | wc -l)" != 3 ] || break
  sleep 0.2
done

"$binary" mock-server --port 8000 > "$folder/mock.log" &
cd "$folder/job"
job=$(LLMLOAD=$binary API_KEY=sk-slurm sbatch --parsable --nodes=3 "$script" -H http://127.0.0.1:8000 -u 8 -r 8 -t 4s --allow-invalid)
while [ -n "$(squeue --noheader)" ]; do sleep 0.5; done
scontrol show job "$job" | grep -E 'JobState|NodeList=n'
python3 - "$job" << 'PYTHON'
import json, sys, urllib.request

result = json.load(open(f"llmload-{sys.argv[1]}/result.json"))
seen = json.load(urllib.request.urlopen("http://127.0.0.1:8000/stats"))["requests"]["numbered"]
workers = {each["name"].split(":")[0]: each["requests"] for each in result["workers"]}
print(f"sent {result['totals']['sent']}, the server saw {seen}: {workers}")
sys.exit(not (result["totals"]["sent"] == seen > 20 and set(workers) == {"n2", "n3"} and all(workers.values())))
PYTHON
! grep -q sk-slurm "llmload-$job.log"
