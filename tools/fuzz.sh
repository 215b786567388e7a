#!/bin/bash
#
# Builds the fuzz targets and runs each for TIME seconds; FUZZ="NAME ..." runs
# only these.  What is found on the way is kept in build/fuzz/NAME.

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

time=${TIME:-60}

[[ $time =~ ^[1-9][0-9]*$ ]] || die "TIME=$time is not a number of seconds"

# shellcheck disable=SC2086  # words on purpose
need_packages $packages_module $packages_clang

failed=


build_target()
{
    clang -std=gnu11 -g -O1 -Wall -Wextra -Werror \
        -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
        -fno-omit-frame-pointer -I "$sources" -I "$root/t/reference" \
        "$root/t/fuzz/fuzz_$1.c" "$sources"/llm_*.c "$root"/t/reference/*.c \
        -ljansson -lhiredis -lcrypto -lz -lm -o "$build/fuzz/$1/target"
}


run_target()
{
    local dir=$build/fuzz/$1 flags=() log

    log=$dir/log

    if [ -f "$root/t/fuzz/$1.dict" ]; then
        flags+=(-dict="$root/t/fuzz/$1.dict")
    fi

    if [ -d "$root/t/fuzz/corpus/$1" ]; then
        flags+=("$root/t/fuzz/corpus/$1")
    fi

    # the first directory receives what is new, the others are only read

    if ! "$dir/target" -max_total_time="$time" -timeout=10 \
             -rss_limit_mb=2048 -artifact_prefix="$dir/" \
             -print_final_stats=1 "$dir/corpus" "${flags[@]}" >"$log" 2>&1
    then
        tail -n 40 "$log" >&2
        return 1
    fi

    sed -n 's/^stat::number_of_executed_units: */    inputs run: /p' "$log"
}


for file in "$root"/t/fuzz/fuzz_*.c; do
    [ -f "$file" ] || die "there is no t/fuzz/fuzz_*.c"

    name=${file##*/fuzz_}
    name=${name%.c}

    if [ -n "${FUZZ:-}" ] && [[ " $FUZZ " != *" $name "* ]]; then
        continue
    fi

    mkdir -p "$build/fuzz/$name/corpus"
    build_target "$name"

    say "fuzzing $name for $time seconds"

    if ! run_target "$name"; then
        say "$name FAILED, the input that does it is the newest of:"
        find "$build/fuzz/$name" -maxdepth 1 -type f -name '*-*' | sort
        failed="$failed $name"
    fi
done

[ -z "$failed" ] || die "failed:$failed"

say "fuzzing found nothing"
