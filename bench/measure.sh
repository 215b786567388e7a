# shellcheck shell=bash
#
# Verifies and measures the servers; sourced by tools/bench.sh.  What is
# measured goes to samples.tsv, which report.pl reads:
#
#   row, contender, round, requests, seconds, processor seconds, errors, p99
#   in microseconds, upstream calls
#
# or "row, contender, rate, bytes per second", or "row, contender, missing,
# why", or "row, contender, lag, upstream calls, equal answers, events, p50,
# p99, longest in microseconds", or "row, contender, calls, upstream calls,
# equal answers", or "row, contender, latency, p50 and p99 in microseconds,
# requests per second, upstream calls".

serial=0


# ask SERVER PATH FILE [OPTION ...]: one request, as the load generator sends
# it

ask()
{
    local name=$1 path=$2 file=$3 method=("${@:4}")

    if [ "$file" != - ]; then
        method+=(--data-binary "@$file")
    fi

    curl -s -o "$run/body" -D "$run/head" "${method[@]}" -H 'Expect:' \
        -H 'Accept: application/json' -H 'Content-Type: application/json' \
        -H 'Authorization: Bearer sk-benchmark-0123456789abcdef' \
        "http://127.0.0.1:${server_port[$name]}$path" || true
}


# verify SERVER PATH FILE ANSWER CACHE: the very answer arrives twice.  CACHE
# is HIT where the second says so, else no answer may name the module's cache;
# unless it is "-", upstream must not be called for the second.

verify()
{
    local name=$1 path=$2 file=$3 answer=$4 cache=$5 before after

    ask "$name" "$path" "$file"
    check_answer "$name" "$path" "$answer"

    before=$(upstream_calls)
    ask "$name" "$path" "$file"
    check_answer "$name" "$path" "$answer"
    after=$(upstream_calls)

    if [ "$cache" = HIT ]; then
        grep -qi '^x-llm-cache: HIT' "$run/head" \
            || die "$name $path: the second answer is no hit"

    elif grep -qi '^x-llm-cache:' "$run/head"; then
        die "$name $path: there is a cache in the way"
    fi

    if [ "$cache" != - ]; then
        [ "$after" = $((before + 1)) ] \
            || die "$name $path: upstream was called for the second answer"
    fi
}


# one more hit of what is there

verify_hit()
{
    ask ours "$1" "$2"
    check_answer ours "$1" "$3"

    grep -qi '^x-llm-cache: HIT' "$run/head" || die "$1: no hit"
}


check_answer()
{
    grep -q '^HTTP/1.1 200 ' "$run/head" \
        || die "$1 $2 answers: $(head -n 1 "$run/head")"

    cmp -s "$run/body" "$3" || die "$1 $2 does not answer the bytes of $3"
}


# what stands at "@" in a request, as the load generator would write it

numbered_request()
{
    sed "s/@@@@@@@@@@@@@@@@/$(printf '%016d' "$2")/" "$1" >"$run/request"
}


# burst SERVER PATH SECONDS MODE [ARG ...]: sets the variables of a sample

burst()
{
    local name=$1 path=$2 seconds=$3 before after calls

    shift 3

    calls=$(upstream_calls)
    before=$(processor_time "$name")

    taskset -c "${load_cores:-$load_core}" wrk -t"${threads:-1}" \
        -c"$connections" -d"${seconds}s" -s "$bench/wrk/load.lua" \
        "http://127.0.0.1:${server_port[$name]}$path" -- "$@" \
        >"$run/wrk.log" 2>&1 || true

    after=$(processor_time "$name")

    read -r requests microseconds bytes errors p99 last p50 \
        < <(sed -n 's/^result //p' "$run/wrk.log") \
        || { cat "$run/wrk.log" >&2; die "the load generator failed"; }

    used=$((after - before))
    called=$(($(upstream_calls) - calls - 1))
}


sample()
{
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$requests" \
        "$(awk "BEGIN { print $microseconds / 1e6 }")" \
        "$(awk "BEGIN { print $used / 1e9 }")" \
        "$errors" "$p99" "$called" >>"$samples"
}


# compare ROW "CONTENDER SERVER PATH MODE [ARG ...]" ...: rounds in which each
# has its turn, and another one is first each time

compare()
{
    local row=$1 round i n=$(($# - 1)) all=("${@:2}") words

    progress "$row"

    for ((round = 1; round <= rounds; round++)); do
        for ((i = 0; i < n; i++)); do
            read -ra words <<<"${all[(i + round) % n]}"

            if [ -n "${server_missing[${words[1]}]:-}" ]; then
                continue
            fi

            serial=$((serial + 1))

            burst "${words[1]}" "${words[2]}" "$seconds" "${words[@]:3}" \
                "$serial"
            sample "$row" "${words[0]}" "$round"
        done
    done

    for ((i = 0; i < n; i++)); do
        read -ra words <<<"${all[i]}"

        if [ -n "${server_missing[${words[1]}]:-}" ]; then
            printf '%s\t%s\tmissing\t%s\n' "$row" "${words[0]}" \
                "${server_missing[${words[1]}]}" >>"$samples"
        fi
    done
}


progress()
{
    printf '%4d s  %s\n' "$(($(date +%s) - started))" "$1" >&2
}


measure_hits()
{
    local chat=v1/chat/completions size file name more

    for size in small large; do
        file=$bodies/request-$size.json
        more=()

        verify ours /$chat "$file" "$bodies/answer.json" HIT
        verify plain /return/$chat "$file" "$bodies/answer.json" none
        verify plain /cache/$size/$chat "$file" "$bodies/answer.json" none

        for name in lua varnish; do
            [ -n "${server_missing[$name]:-}" ] \
                || verify $name /$chat "$file" "$bodies/answer.json" none
        done

        if [ $size = small ]; then
            verify plain /return/headers/ "$file" "$bodies/answer.json" HIT
            verify plain /cache/open/ "$file" "$bodies/answer.json" none

            more=("return_headers plain /return/headers/ same $file"
                  "proxy_cache_open plain /cache/open/ same $file")
        fi

        compare "hit_$size" \
            "llm_cache ours /$chat same $file" \
            "return plain /return/$chat same $file" \
            "proxy_cache plain /cache/$size/$chat same $file" \
            "lua lua /$chat same $file" \
            "varnish varnish /$chat same $file" \
            "${more[@]}"
    done
}


measure_stream()
{
    local path=/stream/v1/chat/completions
    local file=$bodies/request-stream.json

    verify ours $path "$file" "$bodies/stream.sse" HIT
    verify plain /stream.sse - "$bodies/stream.sse" none

    verify plain /open/stream.sse - "$bodies/stream.sse" none

    compare hit_stream "llm_cache ours $path same $file" \
        "static plain /stream.sse get" \
        "static_open plain /open/stream.sse get"
}


# what is stored is packed soon after: waits for it

wait_until_packed()
{
    local path=$1 file=$2 i

    for ((i = 0; i < 100; i++)); do
        ask ours "$path" "$file" --compressed

        if grep -qi '^content-encoding: gzip' "$run/head"; then
            return
        fi

        sleep 0.05
    done

    die "$path: the answer is not packed"
}


measure_packed()
{
    local row path answer file=$bodies/request-small.json

    while read -r row path answer; do
        path=${path#-}v1/chat/completions

        verify ours "/$path" "$file" "$bodies/$answer" HIT
        verify ours "/packed/$path" "$file" "$bodies/$answer" HIT

        # a short one is left as it is

        if [ "$row" != packed_small ]; then
            wait_until_packed "/packed/$path" "$file"
        fi

        verify_hit "/packed/$path" "$file" "$bodies/$answer"

        compare "$row" "packed ours /packed/$path same $file" \
            "unpacked ours /$path same $file" \
            "packed_gzip ours /packed/$path gzip $file"
    done <<'END'
packed_small - answer.json
packed_long long/ pack-answer-6000.json
packed_stream recorded/ pack-chat.sse
END
}


measure_canon()
{
    local set round way rate files

    for set in canon_34k canon_34k_other canon_1m; do
        progress $set

        case $set in
        canon_1m)         files=("$bodies"/canon-1m.json) ;;
        canon_34k)        files=("$bodies"/canon-34k-[0-9].json) ;;
        canon_34k_other)  files=("$bodies"/canon-34k-other-[0-9].json) ;;
        esac

        for ((round = 1; round <= rounds; round++)); do
            taskset -c "$server_core" "$out/canon" 0.5 "${files[@]}" \
                >"$run/canon.tsv" \
                || die "the digests of request bodies are not right"

            while IFS=$'\t' read -r way rate; do
                printf '%s\t%s\trate\t%s\n' $set "$way" "$rate" >>"$samples"
            done <"$run/canon.tsv"
        done
    done
}


measure_misses()
{
    local path=/v1/chat/completions file=$bodies/request-large.json

    # stored, as the second of the two is a hit

    numbered_request "$file" 1
    verify ours $path "$run/request" "$bodies/answer.json" HIT
    verify plain /buffered$path "$run/request" "$bodies/answer.json" -
    verify plain $path "$run/request" "$bodies/answer.json" -

    compare miss "llm_cache ours $path distinct $file" \
        "proxy_pass plain /buffered$path distinct $file" \
        "proxy_pass_file plain $path distinct $file"
}


measure_off()
{
    local chat=v1/chat/completions file=$bodies/request-small.json

    verify off /$chat "$file" "$bodies/answer.json" -
    verify off /return/$chat "$file" "$bodies/answer.json" none

    compare off_proxy "off off /$chat same $file" \
        "without plain /$chat same $file"
    compare off_return "off off /return/$chat same $file" \
        "without plain /return/$chat same $file"
}


# stores the answers to questions 1 .. COUNT through misses

fill_zone()
{
    local name=$1 path=$2 file=$3 count=$4 next=1 seconds=1 error=0

    while ((next <= count)); do
        burst "$name" "$path" "$seconds" count "$file" \
            $next "$count"
        error=$((error + errors))

        # the last ones of a burst may have been cut

        ((last - 2 * connections > next)) || die "filling the zone fails"
        next=$((last - 2 * connections))
        seconds=$((count - next > requests * 5 ? 5 : 1))
    done

    [ $error = 0 ] || die "$error errors in filling the zone"
}


measure_lookups()
{
    local few=/lookup/few/v1/chat/completions
    local many=/lookup/many/v1/chat/completions
    local file=$bodies/request-small.json number

    progress "storing $entries answers"
    fill_zone ours $few "$file" 1000
    fill_zone ours $many "$file" "$entries"

    for number in 1 500 1000; do
        numbered_request "$file" $number
        verify ours $few "$run/request" "$bodies/answer-tiny.json" HIT
        verify ours $many "$run/request" "$bodies/answer-tiny.json" HIT
    done

    compare lookup "many ours $many among $file $entries" \
        "few ours $few among $file 1000"
}


measure_workers()
{
    local path=/lookup/few/v1/chat/completions
    local file=$bodies/request-small.json load_cores=$load_core threads=1

    fill_zone two $path "$file" 1000

    if ((cores >= 4)); then
        load_cores=${core[1]},${core[3]}
        threads=2
    fi

    compare workers "two two $path among $file 1000" \
        "one ours $path among $file 1000"
}


# the program is the upstream and the clients

measure_flights()
{
    local round port=${server_port[flights]} flown=${server_port[flown]}

    progress "flights"

    for ((round = 1; round <= rounds; round++)); do
        fly flight_lag lag "$port" lag "$flown" 100 200 50
        fly flight_calls calls "$port" calls "$flown" 1000
    done
}


fly()
{
    local row=$1 kind=$2

    taskset -c "$load_core" "$out/lag" "${@:3}" >"$run/lag.out" \
        || die "the clients of shared flights failed"

    printf '%s\tllm_cache\t%s\t%s\n' "$row" "$kind" \
        "$(tr ' ' '\t' <"$run/lag.out")" >>"$samples"
}


# so many answers that memory, a small zone, has hardly any of them; then the
# same values from Redis itself, over as many connections

measure_redis()
{
    local path=/redis/v1/chat/completions file=$bodies/request-small.json
    local count=20000 round key port=${server_port[redis]}

    if [ -n "${server_missing[redis]:-}" ]; then
        printf 'redis\tllm_cache\tmissing\t%s\n' "${server_missing[redis]}" \
            >>"$samples"
        return
    fi

    progress "redis"
    fill_zone ours $path "$file" $count
    fill_zone ours $path "$file" $count

    numbered_request "$file" 7
    ask ours $path "$run/request"
    key=llm:$(sed -n 's/\r$//; s/^X-LLM-Cache-Key: //p' "$run/head")

    for ((round = 1; round <= rounds; round++)); do

        burst ours $path "$seconds" among "$file" $count $round

        printf 'redis\tllm_cache\tlatency\t%s\t%s\t%s\t%s\n' "$p50" "$p99" \
            "$(awk "BEGIN { print $requests / ($microseconds / 1e6) }")" \
            "$called" >>"$samples"

        taskset -c "$load_core" redis-benchmark -p "$port" \
            -c "$connections" -n 100000 --csv GET "$key" >"$run/redis.csv" \
            2>"$run/redis.err" || die "redis-benchmark failed"

        awk -F '[",]+' '$2 ~ /^GET/ {
            printf "redis\tget\tlatency\t%d\t%d\t%s\t0\n", $6 * 1000,
                $8 * 1000, $3
        }' "$run/redis.csv" >>"$samples"
    done
}
