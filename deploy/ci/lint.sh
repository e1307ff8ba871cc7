#!/usr/bin/env bash
# What `make lint` runs. Changes nothing in the work tree.
set -euo pipefail
cd "$(dirname "$0")/../.."

buf() { go tool -modfile=proto/tools.mod buf "$@"; }
golangci_version=2.15.0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

step() { printf '== %s\n' "$*"; }

# The commit whose contract this one must not break: where this branch left
# main or, on main itself, the commit before. Nothing where there is no such
# commit (a first commit, a shallow clone, an unpacked archive).
contract_base() {
  local base head main
  head=$(git rev-parse -q --verify HEAD) || return 0
  for main in origin/main main; do
    base=$(git merge-base HEAD "$main" 2>/dev/null) || continue
    [[ $base == "$head" ]] || { echo "$base"; return 0; }
  done
  git rev-parse -q --verify HEAD^ || true
}

step 'buf lint'
buf lint

base=$(contract_base)
if [[ -n $base ]] && git cat-file -e "$base:buf.yaml" 2>/dev/null; then
  step "buf breaking, against $(git log -1 --format='%h %s' "$base")"
  mkdir "$scratch/base"
  git archive "$base" buf.yaml proto | tar -x -C "$scratch/base"
  buf breaking --against "$scratch/base"
fi

step 'generated code is current'
buf generate -o "$scratch"
stale=$(diff -rq -x '*.proto' -x 'tools.*' proto "$scratch/proto") || {
  printf '%s\nrun: make generate\n' "$stale" >&2
  exit 1
}

step 'gofmt'
unformatted=$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0r gofmt -l)
[[ -z $unformatted ]] || { printf 'not formatted:\n%s\n' "$unformatted" >&2; exit 1; }

step 'go vet'
go vet ./...

step "golangci-lint $golangci_version"
if ! .tools/golangci-lint version 2>/dev/null | grep -qF "version $golangci_version "; then
  GOBIN=$PWD/.tools go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$golangci_version"
fi
.tools/golangci-lint run

if command -v shellcheck >/dev/null; then
  step 'shellcheck'
  git ls-files -z --cached --others --exclude-standard '*.sh' .ci/run | xargs -0 shellcheck -x
fi
