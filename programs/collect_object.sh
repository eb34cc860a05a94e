#!/bin/sh
# Stands in for the linker: puts the program's one object (LLVM bitcode) where the output is expected.
for argument in "$@"; do
  case "$argument" in *.rcgu.o) object=$argument ;; esac
  if [ "$previous" = "-o" ]; then output=$argument; fi
  previous=$argument
done
exec cp "$object" "$output"
