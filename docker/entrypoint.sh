#!/bin/sh
# Runs one command of the toolkit as the container's only process tree:
#   supervise [flags]   train, started again when it fails (docs/protocol/docker.md section 4.4)
#   <command> [flags]   scripts/<command>.ts
# A word that begins with a dash means: these are flags of supervise.
set -eu
case "${1-}" in
  -*) set -- supervise "$@" ;;
  "") set -- supervise ;;
esac
name=$1
shift
if [ ! -f "/app/scripts/$name.ts" ]; then
  echo "error[COMMAND_UNKNOWN]: There is no command \"$name\"; the image has: $(cd /app/scripts && echo *.ts | sed 's/\.ts//g')." >&2
  exit 2
fi
mkdir -p /data/keys /data/peers /data/runs
exec deno run --quiet --cached-only --no-prompt --allow-net --allow-env --allow-read --allow-write \
  --allow-sys --allow-run=/usr/local/bin/deno --allow-ffi=/app/node_modules \
  "/app/scripts/$name.ts" "$@"
