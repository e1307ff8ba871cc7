#!/usr/bin/env bash
# make bench: builds a database of BENCH_MIB (500), starts a control plane and an
# agent beside it, and lets deploy/bench measure them against the shell commands
# that they replace, in BENCH_ROUNDS (5) interleaved rounds. The tables go to
# standard output, everything else to standard error. Takes about 15 minutes;
# BENCH_MIB=50 BENCH_LARGE_MIB=100 BENCH_ROUNDS=2 is a quick try.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
cd "$repo"
data=$repo/bench-data
# shellcheck source=deploy/demo/stack.sh
source deploy/demo/stack.sh
exec 3>&1 >&2

run_sshd_made=
finish() {
  stop_stack
  rm -rf "$data"
  [[ -z $run_sshd_made ]] || rmdir /run/sshd
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# make_database NAME MIB
make_database() {
  echo "a database of $2 MiB: $1"
  createdb "$1"
  psql -X -q -v ON_ERROR_STOP=1 -v "mib=$2" -d "$1" -f deploy/bench/fill.sql
}

# The download's rival: scp, from an sshd of our own where one is installed.
start_sshd() {
  local sshd=/usr/sbin/sshd port
  [[ -x $sshd ]] || return 1
  # As root sshd wants its folder, which only the system's own service makes.
  if [[ $(id -u) == 0 && ! -d /run/sshd ]]; then
    mkdir -m 755 /run/sshd
    run_sshd_made=yes
  fi
  mkdir -m 700 "$data/ssh"
  ssh-keygen -q -t ed25519 -N '' -f "$data/ssh/host"
  ssh-keygen -q -t ed25519 -N '' -f "$data/ssh/user"
  port=$(free_port)
  start sshd "$sshd" -D -e -f /dev/null -p "$port" -h "$data/ssh/host" -o ListenAddress=127.0.0.1 \
    -o "AuthorizedKeysFile=$data/ssh/user.pub" -o StrictModes=no -o PasswordAuthentication=no \
    -o PidFile=none -o 'Subsystem=sftp internal-sftp'
  fetch_name=scp
  fetch="scp -q -B -P $port -i '$data/ssh/user' -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=ERROR $(id -un)@127.0.0.1:\"\$1\" \"\$2\""
  echo probe >"$data/ssh/probe"
  wait_for 10 'sshd' bash -c "$fetch" - "$data/ssh/probe" "$data/ssh/probed"
}

# Where there is no sshd: curl, from the TLS server that openssl brings.
start_tls_server() {
  local port
  port=$(free_port)
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
    -keyout "$data/tls.key" -out "$data/tls.crt" 2>/dev/null
  start tls env -C / openssl s_server -quiet -tls1_3 -WWW -accept "127.0.0.1:$port" -cert "$data/tls.crt" -key "$data/tls.key"
  fetch_name='curl (TLS 1.3)'
  fetch="curl -fsSk https://127.0.0.1:$port\"\$1\" -o \"\$2\""
  wait_for 10 'the TLS server' bash -c "$fetch" - "$data/tls.crt" "$data/tls.probe"
}

connected() { pgharbor agents list -o json | grep -qE '"state": *"connected"'; }

deploy/ci/need.sh initdb openssl curl
make -s build
rm -rf "$data"
mkdir "$data"
go build -o "$data/bench" ./deploy/bench
export PATH=$repo/bin:$PATH

start_postgres shared_buffers=512MB max_wal_size=8GB checkpoint_timeout=1h
make_database bench "${BENCH_MIB:-500}"
make_database bench_small 1
make_database bench_large "${BENCH_LARGE_MIB:-1024}"

(umask 077 && openssl rand -base64 24 >"$data/passphrase")
BENCH_PASSPHRASE=$(<"$data/passphrase")
export BENCH_PASSPHRASE BACKUP_ENCRYPT_PASSPHRASE_FILE=$data/passphrase BACKUP_DIR=$data/backups BACKUP_DATABASES=bench \
  PGHARBOR_STATE_DIR=$data/agent PGHARBOR_CONFIG=$data/config

grpc=127.0.0.1:$(free_port)
http=127.0.0.1:$(free_port)
invite=$(pgharbor-controlplane init --data-dir "$data/controlplane" --advertise "$grpc" -o json | json_field invite)
start controlplane pgharbor-controlplane serve --data-dir "$data/controlplane" --listen "$grpc" --http-listen "$http"
wait_for 30 'the control plane' curl -fsS "http://$http/readyz"
pgharbor login "$invite"
pgharbor-agent enroll "$(pgharbor agents invite bench -o json | json_field invite)"
start agent pgharbor-agent run
wait_for 30 'the agent' connected
agent=${pids[0]} controlplane=${pids[1]}
pgharbor backup bench --database bench
start_sshd || start_tls_server

# For the restore of the custom format: a backup of the agent's own, and the directories that pg_restore has jobs for.
env BACKUP_DIR="$data/custom" BACKUP_FORMAT=custom PGHARBOR_STATE_DIR="$data/alone-state" pgharbor-agent backup --database bench
pg_dump -Fd -f "$data/directory" bench
pg_dump -Fd -Z0 -f "$data/directory-plain" bench

{
  echo "$(date -u +%Y-%m-%d), $(git describe --tags --always --dirty): $(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
    "$(awk '/MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo), $(uname -sr), $(go env GOVERSION)," \
    "$(psql -XAtc "SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)" postgres), $(openssl version | cut -d ' ' -f 1-2)."
  echo "The database: $(psql -XAtc "SELECT pg_size_pretty(pg_database_size('bench'))" postgres); its sealed dump:" \
    "$(($(stat -c %s "$data"/backups/bench/*.enc) >> 20)) MiB. ${BENCH_ROUNDS:-5} rounds, medians."
  echo
  "$data/bench" -rounds "${BENCH_ROUNDS:-5}" -folder "$data" -backup "$(pgharbor list -o json | json_field id)" \
    -stored "$(echo "$data"/backups/bench/*.enc)" -custom "$(echo "$data"/custom/bench/*.enc)" -fetch "$fetch" -fetch-name "$fetch_name" \
    -agent "$agent" -controlplane "$controlplane"
} >&3
