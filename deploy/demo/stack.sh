# shellcheck shell=bash
# A throwaway fleet of one on loopback, for the demo and the benchmark, which
# source this file: a Postgres of their own, a control plane and an agent.
# All of it lives in $data. stop_stack ends what was started here, and only that.
# Needs: $data (an existing folder), $repo, and bin/ built.

# The folder of the server, its pg_ctl, and how to act as the user who owns them:
# Postgres refuses to run as root, so root lends it an unprivileged user.
postgres_dir=
pg_ctl=
as_postgres=()
# Processes started here, the last one first.
pids=()

# typed COMMAND… prints it as a user would type it, after a prompt.
typed() {
  local word line=
  for word in "$@"; do
    case $word in
      *\'*) word="\"$word\"" ;;
      *[!a-zA-Z0-9_./:=,@%+-]* | '') word="'$word'" ;;
    esac
    line+=" $word"
  done
  printf '\n$%s' "$line"
}

# run COMMAND… prints it, then runs it.
run() {
  typed "$@"
  echo
  "$@"
}

# wait_for SECONDS WHAT COMMAND… polls until the command succeeds.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= deadline)); then
      echo "gave up waiting for $what" >&2
      return 1
    fi
    sleep 0.2
  done
}

# A port on which nobody listens now, below the range that the kernel hands out.
free_port() {
  local port
  while :; do
    port=$((RANDOM % 12000 + 20000))
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

# The value of the first field named so in JSON on standard input.
json_field() {
  tr -d '\n' | grep -oE "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4
}

# start_postgres [SETTING=VALUE…] leaves PGHOST, PGPORT, PGUSER and PGPASSFILE in
# the environment, as a superuser with a password would have them.
start_postgres() {
  local bin setting options password
  bin=$(dirname "$(command -v initdb || printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)")
  bin=$(dirname "$(readlink -f "$bin/initdb")")

  # shellcheck disable=SC2154  # whoever sources this sets data
  postgres_dir=$data/postgres
  if [[ $(id -u) == 0 ]]; then
    local user=postgres
    id -u "$user" >/dev/null 2>&1 || user=nobody
    as_postgres=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
    # A clone under /root can't be reached by anyone else.
    "${as_postgres[@]}" test -x "$data" || postgres_dir=$(mktemp -d /tmp/pgharbor-postgres.XXXXXX)
    mkdir -p "$postgres_dir"
    chown "$user" "$postgres_dir"
  fi
  mkdir -p "$postgres_dir"
  chmod 700 "$postgres_dir"

  password=$(openssl rand -hex 16)
  export PGHOST=127.0.0.1 PGUSER=postgres PGPASSFILE=$data/pgpass PGPORT
  PGPORT=$(free_port)
  (umask 077 && echo "127.0.0.1:$PGPORT:*:$PGUSER:$password" >"$PGPASSFILE")
  options="-c listen_addresses=127.0.0.1 -p $PGPORT -c unix_socket_directories=''"
  for setting in "$@"; do options+=" -c $setting"; done

  pg_ctl=$bin/pg_ctl
  # /: the unprivileged user may not be allowed to be where we are.
  "${as_postgres[@]}" env -C / tee "$postgres_dir/password" <<<"$password" >/dev/null
  "${as_postgres[@]}" env -C / "$bin/initdb" -D "$postgres_dir/data" -U "$PGUSER" -E UTF8 --locale=C.UTF-8 \
    --auth=scram-sha-256 --pwfile="$postgres_dir/password" --no-sync >/dev/null
  "${as_postgres[@]}" env -C / "$pg_ctl" start -s -w -t 300 -D "$postgres_dir/data" -l "$postgres_dir/log" -o "$options"
}

# start NAME COMMAND… runs a daemon in the background, its output in $data/NAME.log.
start() {
  local name=$1
  shift
  typed "$@"
  echo ' &'
  "$@" >"$data/$name.log" 2>&1 &
  pids=($! "${pids[@]}")
}

# stop_stack ends the daemons, then Postgres: politely, then for certain.
stop_stack() {
  local pid
  for pid in "${pids[@]}"; do
    kill -TERM "$pid" 2>/dev/null || continue
    wait_for 15 "process $pid to end" ended "$pid" || kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  pids=()
  if [[ -n $postgres_dir && -f $postgres_dir/data/postmaster.pid ]]; then
    "${as_postgres[@]}" env -C / "$pg_ctl" stop -s -w -m fast -D "$postgres_dir/data" || true
  fi
  if [[ -n $postgres_dir && $postgres_dir != "$data"/* ]]; then rm -rf "$postgres_dir"; fi
}

ended() { ! kill -0 "$1"; }
