#!/bin/sh
# Healthy: a training process is there and accepts peers.
grep -qsa 'scripts/train\.ts' /proc/[0-9]*/cmdline || { echo "no training process"; exit 1; }
# 0A is LISTEN.
awk 'FNR > 1 && $4 == "0A" { found = 1 } END { exit !found }' /proc/net/tcp /proc/net/tcp6 2>/dev/null ||
  { echo "the training process accepts no peers (yet)"; exit 1; }
