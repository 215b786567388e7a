#!/bin/bash
#
# Measures the module beside other ways to do the same, on one core, and
# prints a table; docs/benchmarks.md tells how to read it.
#
#   ROUNDS=5            rounds in which each contender has its turn
#   BENCH_SECONDS=2     how long a turn is
#   CONNECTIONS=32      of the load generator
#   ROWS="hits miss"    only these: hits stream packed canon miss off lookup
#                       workers flights redis
#   FULL=1              1,000,000 entries for "lookup" instead of 100,000

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

bench=$root/bench
# shellcheck source=bench/servers.sh
. "$bench/servers.sh"
# shellcheck source=bench/measure.sh
. "$bench/measure.sh"

# the cores that we may use, one in a line

find_cores()
{
    local part

    for part in $(sed -n 's/^Cpus_allowed_list:\t*//p' /proc/self/status \
                      | tr ',' ' ')
    do
        seq "${part%-*}" "${part#*-}"
    done
}


PATH=$PATH:/usr/sbin:/usr/local/sbin

all_rows="hits stream packed canon miss off lookup workers flights redis"

rounds=${ROUNDS:-5}
seconds=${BENCH_SECONDS:-2}
connections=${CONNECTIONS:-32}
rows=${ROWS:-$all_rows}

out=$build/bench
run=$out/run
bodies=$out/bodies
samples=$out/samples.tsv
started=$(date +%s)

# the first core is the servers' and the second the load generator's; the
# upstream shares that one only where there is no other

mapfile -t core < <(find_cores)
cores=${#core[@]}
entries=100000
zone_size=192m


check_options()
{
    local name row

    for name in rounds seconds connections; do
        [[ ${!name} =~ ^[1-9][0-9]{0,3}$ ]] \
            || die "$name: ${!name} is not a number from 1 to 9999"
    done

    for row in $rows; do
        [[ " $all_rows " = *" $row "* ]] \
            || die "ROWS: there is no \"$row\", only: $all_rows"
    done

    ((cores >= 2)) || die "one core for the servers and one for the load" \
                          "are needed, but there is only one"

    server_core=${core[0]}
    load_core=${core[1]}
    upstream_core=${core[cores > 3 ? 3 : cores - 1]}
    two_cores=${core[0]},${core[cores > 3 ? 2 : 1]}

    if [ -n "${FULL:-}" ]; then
        entries=1000000
        zone_size=1536m
    fi
}


install_packages()
{
    # shellcheck disable=SC2046,SC2086  # words on purpose
    need_packages $packages_module $(nginx_packages) $packages_bench

    # shellcheck disable=SC2046,SC2086  # words on purpose
    (need_packages $packages_bench_peers \
        $([ -n "${NGINX_SRC:-}" ] || printf '%s' "$packages_bench_nginx")) \
        || say "going on without some of those to compare with"
}


prepare()
{
    mkdir -p "$out"
    exec 8>"$out/lock"
    flock -n 8 || die "a benchmark is running here already"

    # shellcheck disable=SC2115  # neither is empty
    rm -rf "$run"
    mkdir -p "$run" "$bodies"
    : >"$samples"

    nginx=$(readlink -f "$build/nginx")
    modules=$(configured "$nginx" modules-path)

    if [ ! "$bodies/done" -nt "$bench/bodies.pl" ]; then
        say "making requests and answers"
        perl "$bench/bodies.pl" "$bodies"
        : >"$bodies/done"
    fi

    # words on purpose
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -O2 ${CFLAGS:-} -I "$sources" \
        -I "$root/t/reference" "$bench/canon.c" \
        "$root"/t/reference/*.c "$sources"/llm_*.c \
        -ljansson -lhiredis -lcrypto -lz -lm \
        -o "$out/canon"

    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -O2 ${CFLAGS:-} -I "$root/t/lib" "$bench/lag.c" \
        "$root/t/lib/answer.c" -o "$out/lag"
}


# how much of the machine is used already, in percent

background()
{
    { head -n 1 /proc/stat; sleep 1; head -n 1 /proc/stat; } | awk '
        {
            all = 0
            for (i = 2; i <= 9; i++) {
                all += $i
            }

            idle = $5 + $6

            if (NR == 2) {
                printf "%.0f", 100 * (1 - (idle - idle0) / (all - all0))
            }

            all0 = all
            idle0 = idle
        }'
}


describe()
{
    printf '%s\t%s\n' \
        date "$(date -u +%Y-%m-%d)" \
        processor "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo \
                         | head -n 1)" \
        cores "$cores" \
        kernel "$(uname -r)" \
        nginx "$(binary_version "$nginx")" \
        compiler "$(${CC:-cc} --version | head -n 1)" \
        rounds "$rounds" \
        seconds "$seconds" \
        connections "$connections" \
        entries "$entries" \
        background "$others"
}


finish()
{
    trap - EXIT INT TERM HUP
    stop_servers
    rm -rf "$run/plain/cache"
}


check_options
install_packages
"$root/tools/build.sh"
prepare

others=$(background)

trap finish EXIT
trap 'exit 1' INT TERM HUP

start_servers

for row in $rows; do
    case $row in
    hits)     measure_hits ;;
    stream)   measure_stream ;;
    packed)   measure_packed ;;
    canon)    measure_canon ;;
    miss)     measure_misses ;;
    off)      measure_off ;;
    lookup)   measure_lookups ;;
    workers)  measure_workers ;;
    flights)  measure_flights ;;
    redis)    measure_redis ;;
    esac
done

finish

describe >"$out/machine.tsv"
perl "$bench/report.pl" "$out"
