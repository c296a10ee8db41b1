# shellcheck shell=bash
# Sourced by the scripts beside it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# need NAME WHAT: ends with one line where the variable NAME is not set.
need() {
  [[ -n "${!1:-}" ]] || { echo "${0##*/}: set $1, $2" >&2; exit 2; }
}

# run COMMAND...: runs it; with DRY_RUN=1 prints it instead.
run() {
  if [[ "${DRY_RUN:-0}" == 1 ]]; then printf '%q ' "$@"; echo; else "$@"; fi
}

# render FILE COMMAND...: FILE with ${NAME} replaced by exported variables, ${COMMAND} by the command
# as a JSON list.
render() {
  COMMAND=$(python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "${@:2}") \
    python3 -c 'import os, string, sys
print(string.Template(open(sys.argv[1]).read()).substitute(os.environ), end="")' "$1"
}

# write FILE: standard input to FILE; with DRY_RUN=1 prints it instead.
write() {
  if [[ "${DRY_RUN:-0}" == 1 ]]; then cat; else cat > "$1"; fi
}
