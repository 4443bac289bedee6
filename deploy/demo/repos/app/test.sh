#!/bin/sh
# The unit test of the app: its settings must be readable and sane.
set -eu
cd "$(dirname "$0")"
web --check --settings app/settings.json
echo "settings are good: $(cat app/settings.json)"
