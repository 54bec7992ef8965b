#!/bin/sh
# run.sh [SECONDS]: builds the fuzz targets with clang and runs each for SECONDS
# (default 60), starting from the kept corpus. What a run finds goes to
# build/fuzz: new inputs to found-NAME, a failing input to crash-NAME-*.
# The compiler is $CC, or clang.

set -eu

seconds=${1:-60}
core=$(cd "$(dirname "$0")/.." && pwd)
build=$core/../build/fuzz
compiler=${CC:-clang}

for tool in "$compiler" meson ninja; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "fuzz: $tool is missing (clang with compiler-rt, and meson and ninja of the dev extra, are needed)" >&2
        exit 2
    fi
done
if ! echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { (void) d; (void) n; return 0; }' |
    "$compiler" -fsanitize=fuzzer -x c -o /dev/null - 2>/dev/null; then
    echo "fuzz: $compiler cannot link -fsanitize=fuzzer (its compiler-rt with libFuzzer is missing)" >&2
    exit 2
fi

mkdir -p "$build"
if [ ! -f "$build/build.ninja" ]; then
    CC=$compiler meson setup "$build" "$core" -Dfuzz=true -Db_sanitize=address,undefined \
        -Db_lundef=false -Dbuildtype=debugoptimized
fi
meson compile -C "$build"

# Undefined behaviour ends a target as a memory fault does; without this it is only printed.
UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
export UBSAN_OPTIONS

for name in scan sidecar yuv; do
    mkdir -p "$build/found-$name"
    dictionary=
    [ -f "$core/fuzz/$name.dict" ] && dictionary=-dict=$core/fuzz/$name.dict
    echo "fuzz: $name for $seconds seconds"
    "$build/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="$build/crash-$name-" $dictionary \
        "$build/found-$name" "$core/fuzz/corpus/$name"
done
echo "fuzz: no target failed"
