#!/usr/bin/env bash
# Makes modules ask for the same versions of what they share: align.sh MODULE...
# The highest version that the workspace uses wins. Run it at the root.
set -euo pipefail
list=$(mktemp)
trap 'rm -f "$list"' EXIT
go work sync
go list -m -f '{{if not .Main}}{{.Path}} {{.Version}}{{end}}' all | sort > "$list"
for module in "$@"; do
  (
    cd "$module"
    export GOWORK=off
    go mod tidy
    raise=()
    while read -r path version; do
      wanted=$(awk -v p="$path" '$1 == p {print $2}' "$list")
      if [ -n "$wanted" ] && [ "$wanted" != "$version" ] && [ "$(printf '%s\n' "$wanted" "$version" | sort -V | tail -1)" = "$wanted" ]; then
        raise+=("$path@$wanted")
      fi
    done < <(awk '/^\t[^ ]+ v[0-9]/ && !/=>/ {print $1, $2}' go.mod)
    if [ ${#raise[@]} -gt 0 ]; then
      echo "$module: ${raise[*]}"
      go get "${raise[@]}"
      go mod tidy
    fi
  )
done
