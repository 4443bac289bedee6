#!/usr/bin/env bash
# Copies Traefik and lego, puts the packages of slim/ in the place of their clients
# of clouds, which a gateway on one machine never calls, and prints the go.mod that
# builds from the copies: slim.sh DIR.
set -euo pipefail
mkdir -p "$1"
dir=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
export GOWORK=off
made=$dir/slim.mod
if [ -e "$made" ] && [ -z "$(find go.mod go.sum slim slim.sh -newer "$made")" ]; then
  echo "$made"
  exit
fi
copy() { # module, name: a fresh copy that can be written to
  go mod download "$1"
  rm -rf "${dir:?}/$2"
  cp -r "$(go list -m -f '{{.Dir}}' "$1")" "$dir/$2"
  chmod -R u+w "$dir/$2"
}
copy github.com/go-acme/lego/v4 lego
copy github.com/traefik/traefik/v3 traefik
cp slim/dns/dns.go "$dir/lego/providers/dns/zz_gen_dns_providers.go"
rm "$dir"/traefik/pkg/provider/ecs/*.go
cp slim/ecs/ecs.go "$dir/traefik/pkg/provider/ecs/ecs.go"
cp go.sum "$dir/slim.sum"
{
  cat go.mod
  echo "replace github.com/go-acme/lego/v4 => $dir/lego"
  echo "replace github.com/traefik/traefik/v3 => $dir/traefik"
} > "$made"
echo "$made"
