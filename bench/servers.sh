# shellcheck shell=bash
#
# The servers that are compared: each with a directory below build/bench/run,
# a port on 127.0.0.1 and its cores; sourced by tools/bench.sh.

declare -A server_pid=() server_port=() server_missing=()
free_ports=()


# ports below the range that the kernel takes for outgoing connections

find_ports()
{
    mapfile -t free_ports < <(perl -MIO::Socket::INET -e '
        my @kept;

        for (1 .. 2000) {
            my $port = 20000 + int rand 12000;
            my $probe = IO::Socket::INET->new(LocalAddr => "127.0.0.1",
                LocalPort => $port, Listen => 1) or next;

            push @kept, $probe;
            print "$port\n";
            last if @kept == $ARGV[0];
        }' "$1")

    [ ${#free_ports[@]} = "$1" ] || die "there are no free ports"
}


take_port()
{
    server_port[$1]=${free_ports[0]}
    free_ports=("${free_ports[@]:1}")
}


# fills a template in: %WORD% from the array "fill"

fill_in()
{
    local text word

    text=$(cat "$1")

    # common.conf and http.conf hold further words, so they come first

    for word in COMMON HTTP "${!fill[@]}"; do
        text=${text//"%$word%"/"${fill[$word]:-}"}
    done

    printf '%s\n' "$text"
}


# the text of a file within single quotes of nginx's configuration

quoted()
{
    sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g" "$1"
}


wait_for_port()
{
    local i

    for ((i = 0; i < 100; i++)); do
        kill -0 "$1" 2>/dev/null || return 1

        if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
            return 0
        fi

        sleep 0.05
    done

    return 1
}


# start_nginx NAME TEMPLATE CORES WORKERS [LOAD]

start_nginx()
{
    local name=$1 dir=$run/$1
    local -A fill

    mkdir -p "$dir"
    take_port "$name"

    fill=(
        [COMMON]=$(cat "$bench/nginx/common.conf")
        [HTTP]=$(cat "$bench/nginx/http.conf")
        [LOAD]=${5:-}
        [USER]=$([ "$(id -u)" != 0 ] || printf 'user root;')
        [WORKERS]=$4
        [PREFIX]=$dir
        [PORT]=${server_port[$name]}
        [UPSTREAM]=${server_port[upstream]}
        [FLOWN]=${server_port[flown]}
        [REDIS]=${server_port[redis]}
        [ANSWER]=$(quoted "$bodies/answer.json")
        [TINY]=$(quoted "$bodies/answer-tiny.json")
        [BODIES]=$bodies
        [BENCH]=$bench
        [MODULES]=$modules
        [MANY]=$zone_size
        [KEY]=$(printf '%064d' 1)
    )

    fill_in "$bench/nginx/$2.conf" >"$dir/nginx.conf"

    taskset -c "$3" "$nginx" -p "$dir" -c "$dir/nginx.conf" \
        -e "$dir/error.log" >"$dir/output" 2>&1 8>&- &
    server_pid[$name]=$!

    wait_for_port "$!" "${server_port[$name]}"
}


start_varnish()
{
    local dir=$run/varnish
    local -A fill

    mkdir -p "$dir"
    take_port varnish

    fill=([UPSTREAM]=${server_port[upstream]})
    fill_in "$bench/varnish.vcl" >"$dir/default.vcl"

    taskset -c "$server_core" varnishd -F -j none -n "$dir/work" \
        -f "$dir/default.vcl" -a "127.0.0.1:${server_port[varnish]}" \
        -s malloc,256m >"$dir/output" 2>&1 8>&- &
    server_pid[varnish]=$!

    wait_for_port "$!" "${server_port[varnish]}"
}


start_redis()
{
    take_port redis
    mkdir -p "$run/redis"

    taskset -c "$upstream_core" redis-server --port "${server_port[redis]}" \
        --bind 127.0.0.1 --save '' --appendonly no --dir "$run/redis" \
        >"$run/redis/output" 2>&1 8>&- &
    server_pid[redis]=$!

    wait_for_port "$!" "${server_port[redis]}"
}


start_servers()
{
    local load="load_module $build/$module;"

    find_ports 12
    take_port flown

    if ! command -v redis-server >/dev/null \
       || ! command -v redis-benchmark >/dev/null
    then
        take_port redis
        server_missing[redis]="not installed"

    elif ! start_redis; then
        server_missing[redis]="does not start"
    fi

    start_nginx upstream upstream "$upstream_core" 1 || cannot_start upstream
    start_nginx plain plain "$server_core" 1 || cannot_start plain
    start_nginx off plain "$server_core" 1 "$load" || cannot_start off
    start_nginx ours ours "$server_core" 1 "$load" || cannot_start ours
    start_nginx two ours "$two_cores" 2 "$load" || cannot_start two
    start_nginx flights flights "$two_cores" 2 "$load" || cannot_start flights

    if [ ! -f "$modules/ngx_http_lua_module.so" ]; then
        server_missing[lua]="not installed"

    elif ! start_nginx lua lua "$server_core" 1; then
        server_missing[lua]="does not start"
    fi

    if ! command -v varnishd >/dev/null \
       || ! find /usr/lib -name libvmod_bodyaccess.so 2>/dev/null | grep -q .
    then
        server_missing[varnish]="not installed"

    elif ! start_varnish; then
        server_missing[varnish]="does not start"
    fi
}


cannot_start()
{
    cat "$run/$1/output" "$run/$1/error.log" >&2 2>/dev/null || true
    die "nginx ($1) did not start"
}


stop_servers()
{
    local pid

    for pid in "${server_pid[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done

    for pid in "${server_pid[@]}"; do
        wait "$pid" 2>/dev/null || true
    done

    server_pid=()
}


# the processor time in nanoseconds that a server's workers have used so far

processor_time()
{
    local pid=${server_pid[$1]} child children files=()

    children=$(cat "/proc/$pid/task/$pid/children")

    for child in $children; do
        files+=("/proc/$child/task/"*/schedstat)
    done

    cat "${files[@]}" 2>/dev/null | awk '{ n += $1 } END { printf "%.0f", n }'
}


# how many calls the upstream has received, this one included

upstream_calls()
{
    curl -s "http://127.0.0.1:${server_port[upstream]}/requests" \
        | awk 'NR == 3 { print $3 }'
}
