#!/usr/bin/env bash
# What `make lint` runs: every rule, even where one before it failed.
# Changes nothing in the work tree.
# shellcheck disable=SC2317  # rule calls the functions, by name
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

golangci_version=2.15.0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

buf() { go tool -modfile=proto/tools.mod buf "$@"; }

# Tracked and new files that match, separated by NULs.
files() { git ls-files -z --cached --others --exclude-standard "$@"; }

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

contract_is_kept() {
  local base
  base=$(contract_base)
  [[ -n $base ]] && git cat-file -e "$base:buf.yaml" 2>/dev/null || return 0
  mkdir "$scratch/base" &&
    git archive "$base" buf.yaml proto | tar -x -C "$scratch/base" &&
    buf breaking --against "$scratch/base"
}

generated_code_is_current() {
  buf generate -o "$scratch" || return
  diff -rq -x '*.proto' proto/pgharbor "$scratch/proto/pgharbor" || { echo 'run: make generate'; return 1; }
}

formatted() {
  local unformatted
  unformatted=$(files '*.go' | xargs -0r gofmt -l)
  [[ -z $unformatted ]] || { printf 'run gofmt -w on:\n%s\n' "$unformatted"; return 1; }
}

golangci() {
  if ! .tools/golangci-lint version 2>/dev/null | grep -qF "version $golangci_version "; then
    GOBIN=$PWD/.tools go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$golangci_version" || return
  fi
  .tools/golangci-lint run
}

# Whether the relative links of the pages lead somewhere.
links() {
  local page link broken=0
  while IFS= read -r -d '' page; do
    while IFS= read -r link; do
      [[ -e $(dirname "$page")/$link ]] || { echo "$page: there is no $link"; broken=1; }
    done < <(grep -oE '\]\([^)#:]+' "$page" | cut -c3-)
  done < <(files '*.md')
  return $broken
}

# Checked where it is installed: not worth a package of its own elsewhere.
scripts() {
  command -v shellcheck >/dev/null || { echo 'no shellcheck here'; return 0; }
  files '*.sh' .ci/run | xargs -0 shellcheck -x
}

failed=()
rule() {
  printf '== %s\n' "$1"
  "${@:2}" || failed+=("$1")
}
rule 'buf lint' buf lint
rule 'buf breaking' contract_is_kept
rule 'generated code is current' generated_code_is_current
rule 'gofmt' formatted
rule 'go vet' go vet ./...
rule 'golangci-lint' golangci
rule 'shellcheck' scripts
rule 'links' links

((${#failed[@]})) || exit 0
printf 'lint: failed: %s\n' "${failed[*]}" >&2
exit 1
