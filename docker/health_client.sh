#!/bin/sh
# Healthy: a training process is there and accepts peers. In the host's network others listen too, so
# the socket has to be its own.
program=${1:-scripts/train\.ts}
# 0A is LISTEN; the tenth field is the socket's inode.
listening=$(awk 'FNR > 1 && $4 == "0A" { print "socket:[" $10 "]" }' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
found=
for process in /proc/[0-9]*; do
  grep -qsa "$program" "$process/cmdline" || continue
  [ "${process#/proc/}" = $$ ] && continue
  found=yes
  ls -l "$process/fd" 2>/dev/null | grep -qF "${listening:-socket:[none]}" && exit 0
done
[ "$found" ] && echo "the training process accepts no peers (yet)" || echo "no training process"
exit 1
