#!/usr/bin/env bash
# Puts prometheus and promtool into .tools, where they are neither there nor on PATH. They
# are taken out of Debian's package, which as a whole would start a Prometheus of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."

[[ ! -x .tools/promtool || ! -x .tools/prometheus ]] || exit 0
mkdir -p .tools
if command -v promtool >/dev/null && command -v prometheus >/dev/null; then
  ln -sf "$(command -v promtool)" .tools/promtool
  ln -sf "$(command -v prometheus)" .tools/prometheus
  exit 0
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
download() { (cd "$scratch" && apt-get download -q prometheus) >"$scratch/log" 2>&1; }
update() {
  if [[ $(id -u) == 0 ]]; then apt-get update -q; else sudo -n apt-get update -q; fi >"$scratch/log" 2>&1
}

echo 'installing: prometheus and promtool' >&2
if ! command -v apt-get >/dev/null || ! { download || { update && download; }; }; then
  cat "$scratch/log" >&2 2>/dev/null || true
  echo 'prometheus and promtool are missing here: install Prometheus, or put them on PATH' >&2
  exit 1
fi
dpkg-deb -x "$scratch"/prometheus_*.deb "$scratch/package"
mv "$scratch/package/usr/bin/promtool" "$scratch/package/usr/bin/prometheus" .tools/
