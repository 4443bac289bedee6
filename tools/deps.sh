#!/usr/bin/env bash
# Installs the Debian packages that are missing; quiet when none is.
set -euo pipefail
need=(mosquitto redis-server rabbitmq-server git containerd runc containernetworking-plugins iptables conntrack iproute2 procps ca-certificates gpg gpg-agent)
missing=()
for p in "${need[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
if [ "$(id -u)" != 0 ]; then
  echo "these Debian packages are missing: ${missing[*]}; install them, or run this as root" >&2
  exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
