#!/usr/bin/env bash
# make demo: the main job from start to end, on this machine, with every command
# printed as a person would type it. Everything lives in ./demo-data; nothing is
# left running, unless KEEP=1 asks for it. Exits 0 only if all of it held.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
cd "$repo"
data=$repo/demo-data
# shellcheck source=deploy/demo/stack.sh
source deploy/demo/stack.sh

finished=
finish() {
  local code=$?
  trap - EXIT INT TERM
  if [[ -n $finished && ${KEEP:-} == 1 ]]; then
    keep_running
    exit 0
  fi
  stop_stack
  if [[ -n $finished ]]; then
    echo "demo: passed. Nothing is left running; the files are in ./demo-data."
    exit 0
  fi
  ((code)) || code=1
  echo "demo: FAILED (exit code $code). The logs are in ./demo-data/*.log." >&2
  exit "$code"
}

# keep_running writes how to use what runs, and how to stop it.
keep_running() {
  cat >demo-data/env <<EOF
export PATH="$repo/bin:\$PATH" PGHARBOR_CONFIG="$PGHARBOR_CONFIG"
export PGHOST="$PGHOST" PGPORT="$PGPORT" PGUSER="$PGUSER" PGPASSFILE="$PGPASSFILE"
EOF
  cat >demo-data/stop <<EOF
#!/usr/bin/env bash
# Ends the demo that KEEP=1 left running, and nothing else.
source "$repo/deploy/demo/stack.sh"
data="$data" postgres_dir="$postgres_dir" pg_ctl="$pg_ctl" as_postgres=(${as_postgres[*]})
for pid in ${pids[*]}; do
  # After a restart of the machine the number may be another's.
  [[ \$(readlink "/proc/\$pid/exe") == "$repo/bin/"* ]] && pids+=("\$pid")
done
stop_stack
rm -f "$data/stop"
EOF
  chmod +x demo-data/stop
  cat <<EOF
demo: passed, and left running as KEEP=1 asks.
  use it:   . demo-data/env && pgharbor list
  health:   http://$http/v1/health
  stop it:  demo-data/stop
EOF
}

fail() {
  echo "demo: $*" >&2
  exit 1
}

chapter() { printf '\n\n### %s\n' "$*"; }

# set_env NAME=VALUE… exports, and prints it.
set_env() {
  local pair
  for pair in "$@"; do printf '\n$ export %s' "$pair"; done
  echo
  export "${@?}"
}

# Every table of a database: its rows, and a hash over all that is in them.
table_contents() {
  local table
  psql -XAtq -d "$1" -c "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1" |
    while IFS= read -r table; do
      psql -XAtq -F $'\t' -d "$1" -c "SELECT '$table', count(*),
          coalesce(md5(string_agg(t::text, E'\n' ORDER BY t::text)), '-') FROM $table AS t" </dev/null
    done
}

# same_tables DATABASE compares it with shop, table by table.
same_tables() {
  local table rows hash other_rows other_hash same=yes
  table_contents shop >demo-data/shop.tables
  table_contents "$1" >"demo-data/$1.tables"
  [[ -s demo-data/shop.tables ]] || fail 'shop has no tables'
  printf '%-28s %10s %16s  %s\n' TABLE shop "$1" CONTENT
  while IFS=$'\t' read -r table rows hash; do
    IFS=$'\t' read -r _ other_rows other_hash < <(grep -F "$table"$'\t' "demo-data/$1.tables") || other_rows=none
    if [[ $rows == "$other_rows" && $hash == "$other_hash" ]]; then
      printf '%-28s %10s %16s  same\n' "$table" "$rows" "$other_rows"
    else
      printf '%-28s %10s %16s  DIFFERENT\n' "$table" "$rows" "$other_rows"
      same=no
    fi
  done <demo-data/shop.tables
  # The comparison of the files sees a table too many, too.
  if [[ $same == no ]] || ! cmp -s demo-data/shop.tables "demo-data/$1.tables"; then
    fail "$1 is not what shop is"
  fi
}

# compile builds the programs, and says how far it is: on a slow machine without
# Go's cache it takes many minutes. What isn't the name of a package is passed on.
compile() {
  local line packages=0
  typed make -s build
  printf '\nCompiling; the first time, this takes minutes.\n'
  GOFLAGS="${GOFLAGS:-} -v" make -s build 2>&1 | while IFS= read -r line; do
    if [[ $line =~ ^[a-zA-Z0-9./_~-]+$ ]]; then
      ((++packages % 25)) || echo "  $packages packages compiled"
    else
      printf '%s\n' "$line"
    fi
  done
}

agent_connected() { pgharbor agents list -o json | grep -qE '"state": *"connected"'; }
ready() { curl -fsS "http://$http/readyz"; }

# ------------------------------------------------------------------------------

if [[ -x demo-data/stop ]]; then demo-data/stop; fi
rm -rf demo-data
echo 'demo: looks for what it needs, and installs what is missing'
deploy/ci/need.sh initdb openssl curl
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

chapter 'Build'
compile
mkdir demo-data
export PATH=$repo/bin:$PATH
run pgharbor --version

chapter 'A throwaway Postgres with a shop in it'
echo 'initdb and pg_ctl start, in a folder of the demo'
start_postgres fsync=off
echo "PostgreSQL $(psql -XAtc 'SHOW server_version') on $PGHOST:$PGPORT"
run createdb shop
run psql -X -q -v ON_ERROR_STOP=1 -d shop -f deploy/demo/shop.sql
run psql -X -d shop -c "SELECT 'customers' AS table, count(*) FROM customers
  UNION ALL SELECT 'products', count(*) FROM products
  UNION ALL SELECT 'orders', count(*) FROM orders
  UNION ALL SELECT 'order_items', count(*) FROM order_items"

chapter 'The control plane'
grpc=127.0.0.1:$(free_port)
http=127.0.0.1:$(free_port)
run pgharbor-controlplane init --data-dir demo-data/controlplane --advertise "$grpc" -o json | tee demo-data/init.json
start controlplane pgharbor-controlplane serve --data-dir demo-data/controlplane --listen "$grpc" --http-listen "$http"
wait_for 300 'the control plane' ready || { cat demo-data/controlplane.log >&2; exit 1; }

chapter 'You, as its first OWNER'
set_env PGHARBOR_CONFIG="$data/config"
run pgharbor login "$(json_field invite <demo-data/init.json)"

chapter 'The agent beside the Postgres'
(umask 077 && openssl rand -base64 24 >demo-data/passphrase)
set_env PGHARBOR_STATE_DIR="$data/agent" BACKUP_DIR="$data/backups" BACKUP_DATABASES=shop \
  ENABLE_BACKUPS=true BACKUP_ENCRYPT_PASSPHRASE_FILE="$data/passphrase"
run pgharbor agents invite shop-db -o json | tee demo-data/invite.json
run pgharbor-agent enroll "$(json_field invite <demo-data/invite.json)"
run pgharbor-agent check
start agent pgharbor-agent run
wait_for 300 'the agent' agent_connected || { cat demo-data/agent.log >&2; exit 1; }
run pgharbor agents list

chapter 'Back up'
run pgharbor backup shop-db --database shop
run pgharbor list
pgharbor list -o json >demo-data/list.json
id=$(json_field id <demo-data/list.json)
filename=$(json_field filename <demo-data/list.json)
sha256=$(json_field sha256 <demo-data/list.json)
[[ -n $id ]] || fail 'the list is empty'
run pgharbor show "$id"
run ls -l demo-data/backups/shop
[[ -f demo-data/backups/shop/$filename.manifest.json ]] || fail 'the backup has no manifest beside it'

chapter 'Download, and open it with nothing but openssl and psql'
run pgharbor download "$id" --output "demo-data/$filename"
run sha256sum "demo-data/$filename"
[[ $(sha256sum <"demo-data/$filename") == "$sha256 "* ]] || fail 'the download has another hash than the list says'
run openssl enc -d -aes-256-cbc -pbkdf2 -pass file:demo-data/passphrase \
  -in "demo-data/$filename" -out demo-data/restore.sql
# The schedule covers shop alone, so health would call this one unprotected as soon as the agent sees it.
run pgharbor thresholds set shop-db/shop_by_hand --ignore
run createdb shop_by_hand
run psql -X -q -v ON_ERROR_STOP=1 -d shop_by_hand -o /dev/null -f demo-data/restore.sql
same_tables shop_by_hand

chapter 'Restore into a new database'
run pgharbor restore "$id" --to-database shop_restored --confirm shop_restored --reason 'the demo'
same_tables shop_restored

chapter 'What the fleet says'
run pgharbor runs
run pgharbor retention
run pgharbor health --exit-code
run curl -fsS "http://$http/healthz"
run curl -fsS "http://$http/v1/health"

printf '\n\n'
finished=yes
