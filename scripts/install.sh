#!/bin/sh
# Installs the exact dependencies of package-lock.json when they are missing or older than the lockfile.
# --ignore-scripts: `npm ci` would compile better-sqlite3, which ships prebuilt binaries; only `node` (Node 24 for
# `npm run`, whatever the machine has) needs its install script.
set -eu
cd "$(dirname "$0")/.."
stamp=node_modules/.opsctl-installed
if [ -f "$stamp" ] && cmp -s package-lock.json "$stamp" && node_modules/.bin/node --version >/dev/null 2>&1; then
  exit 0
fi
echo "installing dependencies" >&2
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
npm rebuild node --foreground-scripts=false --loglevel=error >&2
cp package-lock.json "$stamp"
