#!/usr/bin/env bash
# Puts promtool into .tools, where it is neither there nor on PATH. It is taken
# out of Debian's package, which as a whole would start a Prometheus of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."

[[ ! -x .tools/promtool ]] || exit 0
if command -v promtool >/dev/null; then
  mkdir -p .tools
  ln -sf "$(command -v promtool)" .tools/promtool
  exit 0
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
download() { (cd "$scratch" && apt-get download -q prometheus) >"$scratch/log" 2>&1; }
update() {
  if [[ $(id -u) == 0 ]]; then apt-get update -q; else sudo -n apt-get update -q; fi >"$scratch/log" 2>&1
}

echo 'installing: promtool' >&2
if ! command -v apt-get >/dev/null || ! { download || { update && download; }; }; then
  cat "$scratch/log" >&2 2>/dev/null || true
  echo 'promtool is missing here: install Prometheus, or put its promtool on PATH' >&2
  exit 1
fi
dpkg-deb -x "$scratch"/prometheus_*.deb "$scratch/package"
mkdir -p .tools
mv "$scratch/package/usr/bin/promtool" .tools/promtool
