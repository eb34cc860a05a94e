#!/bin/sh
# Deletes what no container loads: other platforms' binaries, type declarations, source maps, browser
# bundles. Files only: Deno checks that each package's folder is there.
# Usage: prune_modules.sh <node_modules> <cpu|cuda>
set -eu
modules=$1
accelerator=$2
case "$(uname -m)" in
  x86_64) platform=x64 ;;
  aarch64) platform=arm64 ;;
  *) echo "prune_modules.sh: ONNX Runtime has no build for $(uname -m)" >&2; exit 1 ;;
esac

find "$modules" -path '*/onnxruntime-node/bin/*' -type f ! -path "*/linux/$platform/*" -delete
if [ "$accelerator" = cpu ]; then
  find "$modules" -path '*/onnxruntime-node/bin/*' -type f \
    \( -name '*providers_cuda*' -o -name '*providers_tensorrt*' \) -delete
fi
find "$modules" -path '*-musl*' -type f -name '*.node' -delete
find "$modules" -type f \( -name '*.map' -o -name '*.md' -o -name '*.d.ts' -o -name '*.d.mts' \
  -o -name '*.d.cts' -o -name '*.iife.js' -o -name '*.min.js' -o -name '*.flow' \) -delete
# A type checker that packages name as their peer.
find "$modules/.deno" -maxdepth 1 -name '*typescript*' -exec sh -c \
  'find "$1" -type f ! -name package.json ! -name ".initialized" -delete' _ {} \;
