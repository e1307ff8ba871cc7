#!/usr/bin/env bash
# Sees to it that the commands named are there: need.sh initdb openssl …
# Installs a missing one by its Debian package, as root or with passwordless
# sudo; otherwise says what to install, and fails.
set -euo pipefail

# The command's Debian packages.
packages_of() {
  case $1 in
    initdb) echo postgresql ;;
    gcc) echo gcc libc6-dev ;;
    *) echo "$1" ;;
  esac
}

# Debian keeps initdb off the PATH.
present() {
  command -v "$1" >/dev/null ||
    { [[ $1 == initdb ]] && compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
}

install_packages() {
  local as_root=()
  if [[ $(id -u) != 0 ]]; then
    as_root=(sudo -n)
    sudo -n true 2>/dev/null || return 1
  fi
  command -v apt-get >/dev/null || return 1
  # Without this Debian's package would start a server of its own on port 5432.
  local drop_in=/etc/postgresql-common/createcluster.d/pgharbor-no-main-cluster.conf
  "${as_root[@]}" mkdir -p "${drop_in%/*}"
  echo 'create_main_cluster = false' | "${as_root[@]}" tee "$drop_in" >/dev/null
  local log
  log=$(mktemp)
  # shellcheck disable=SC2064  # expanded now: the variables are local
  trap "rm -f '$log'; ${as_root[*]} rm -f '$drop_in'" EXIT
  {
    "${as_root[@]}" apt-get update -q &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
  } >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}

missing=()
for command in "$@"; do
  # shellcheck disable=SC2207  # package names hold no spaces
  present "$command" || missing+=($(packages_of "$command"))
done
((${#missing[@]})) || exit 0

echo "installing: ${missing[*]} (takes a minute or more)" >&2
if ! install_packages "${missing[@]}"; then
  echo "missing here; as root run: apt-get install ${missing[*]}" >&2
  exit 1
fi
for command in "$@"; do
  present "$command" || { echo "$command is still missing after the installation of ${missing[*]}" >&2; exit 1; }
done
