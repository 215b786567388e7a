#!/bin/bash
#
# Starts nginx with the module on 127.0.0.1:PORT before LLM_UPSTREAM or a demo
# LLM, in the foreground, and stops everything again on Ctrl-C.

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

port=${PORT:-8080}
upstream=${LLM_UPSTREAM:-}

nginx_pid=''
demo_pid=''
tail_pid=''
temp=''


stop()
{
    local pid

    trap - EXIT INT TERM HUP

    for pid in $tail_pid $nginx_pid $demo_pid; do
        kill -TERM "$pid" 2>/dev/null || true
    done

    for pid in $tail_pid $nginx_pid $demo_pid; do
        wait "$pid" 2>/dev/null || true
    done

    if [ -n "$temp" ]; then
        rm -rf "$temp"
    fi
}


interrupted()
{
    stop
    say ""
    say "stopped"
    exit 0
}


listening()
{
    perl -MIO::Socket::INET -e '
        exit !IO::Socket::INET->new(PeerAddr => "127.0.0.1",
            PeerPort => $ARGV[0], Timeout => 1)' "$1"
}


# waits until process $1 listens on port $2

wait_for()
{
    local i

    for ((i = 0; i < 100; i++)); do
        kill -0 "$1" 2>/dev/null || return 1
        listening "$2" && return 0
        sleep 0.1
    done

    return 1
}


check_port()
{
    [[ $port =~ ^[0-9]{1,5}$ ]] && ((10#$port > 0 && 10#$port < 65536)) \
        || die "PORT=$port is not a port number"

    port=$((10#$port))

    perl -MIO::Socket::INET -e '
        exit !IO::Socket::INET->new(LocalAddr => "127.0.0.1",
            LocalPort => $ARGV[0], Listen => 1, ReuseAddr => 1)' "$port" \
        || die "port $port cannot be listened on, it is probably in use:" \
               "choose another one with PORT="
}


# splits LLM_UPSTREAM into origin and path

check_upstream()
{
    local name='[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?'
    local form="^(https?://($name|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?)"

    [[ $upstream =~ $form(/[A-Za-z0-9._~%/:@+-]*)?$ ]] \
        || die "LLM_UPSTREAM=$upstream does not read as" \
               "http(s)://HOST[:PORT][/PATH]"

    origin=${BASH_REMATCH[1]}
    path=${upstream#"$origin"}

    while [[ $path = */ ]]; do
        path=${path%/}
    done
}


start_demo()
{
    local demo_port

    demo_port=$(perl -MIO::Socket::INET -e '
        print IO::Socket::INET->new(LocalAddr => "127.0.0.1",
            Listen => 1)->sockport')

    perl "$root/examples/demo_llm.pl" "$demo_port" >"$run/demo.log" 2>&1 &
    demo_pid=$!

    if ! wait_for "$demo_pid" "$demo_port"; then
        tail -n 5 "$run/demo.log" >&2
        die "the demo LLM did not start, see $run/demo.log"
    fi

    origin=http://127.0.0.1:$demo_port
    path=
}


# workers need a place for temporary files that they can reach

write_conf()
{
    local authorities=/etc/ssl/certs/ca-certificates.crt
    local account prices proxy user='' verify=''

    if [ "$(id -u)" = 0 ]; then
        for account in www-data nobody; do
            if id "$account" >/dev/null 2>&1; then
                user="user $account $(id -gn "$account");"
                break
            fi
        done
    fi

    prices=$(grep '^ *llm_cache_price ' "$root/examples/prices.conf")

    temp=$(mktemp -d)
    chmod 711 "$temp"

    # without a path the request's own is passed on as it was sent
    proxy=$origin${path:+$path/}

    if [[ $origin = https:* ]] && [ -f $authorities ]; then
        verify="proxy_ssl_verify on;
            proxy_ssl_verify_depth 5;
            proxy_ssl_trusted_certificate $authorities;"
    fi

    cat >"$run/nginx.conf" <<END
load_module $build/$module;

$user
daemon off;
worker_processes 2;
pid $run/nginx.pid;
error_log $run/error.log notice;

events {
    worker_connections 1024;
}

http {
    log_format llm '\$time_local "\$request" \$status \$body_bytes_sent '
                   '\${request_time}s \$llm_cache_status \$llm_cache_reason';

    access_log $run/access.log llm;

    client_body_temp_path $temp/body;
    proxy_temp_path $temp/proxy;
    fastcgi_temp_path $temp/fastcgi;
    uwsgi_temp_path $temp/uwsgi;
    scgi_temp_path $temp/scgi;

    server {
        listen 127.0.0.1:$port;

        client_max_body_size 64m;

        location / {
            llm_cache on;
            llm_cache_price demo 0.15 0.60;
            $prices

            proxy_pass $proxy;
            proxy_http_version 1.1;
            proxy_set_header Host \$proxy_host;
            proxy_set_header Connection "";
            proxy_ssl_server_name on;
            $verify
            proxy_buffering off;
            proxy_read_timeout 600s;
        }

        location /llm-cache {
            access_log off;
            llm_cache_api write=on;
        }
    }
}
END
}


start_nginx()
{
    local nginx problem name

    nginx=$(readlink -f "$build/nginx")

    if ! problem=$("$nginx" -t -p "$run" -c "$run/nginx.conf" 2>&1); then
        name=$(sed -n 's/.*host not found in upstream "\([^"]*\)".*/\1/p' \
            <<<"$problem")

        [ -z "$name" ] \
            || die "LLM_UPSTREAM=$upstream: there is no address for $name"

        printf '%s\n' "$problem" >&2
        die "nginx does not accept $run/nginx.conf"
    fi

    : >"$run/access.log"
    : >"$run/error.log"

    "$nginx" -p "$run" -c "$run/nginx.conf" 2>>"$run/error.log" &
    nginx_pid=$!

    if ! wait_for "$nginx_pid" "$port"; then
        grep -E '\[(emerg|alert|crit|error)\]' "$run/error.log" >&2 || true
        die "nginx did not start, see $run/error.log"
    fi
}


explain()
{
    local chat=/v1/chat/completions model=gpt-4o-mini key=''

    say ""
    say "nginx $(binary_version "$build/nginx") with $module listens on" \
        "http://127.0.0.1:$port"

    if [ -n "$upstream" ]; then
        say "and passes what it has no answer for to $origin$path"
        key=$' \\\n      -H "Authorization: Bearer $OPENAI_API_KEY"'

        if [[ $path = */v1 ]]; then
            chat=/chat/completions
        fi

    else
        say "and passes what it has no answer for to a demo LLM on $origin"
        say "(LLM_UPSTREAM=https://... puts it before a real one)"
        model=demo
    fi

    say "Configuration and logs: $run"
    say ""
    say "Send this twice, and look for X-LLM-Cache: MISS and then HIT:"
    say ""
    say "  curl -i http://127.0.0.1:$port$chat$key \\"
    say "      -H 'Content-Type: application/json' \\"
    say "      -d '{\"model\": \"$model\", \"messages\":" \
        "[{\"role\": \"user\", \"content\": \"Tell me a joke.\"}]}'"
    say ""
    say "What the cache saves: http://127.0.0.1:$port/llm-cache"
    say ""
    say "Ctrl-C stops it.  Requests:"
}


if [ -n "$upstream" ]; then
    check_upstream
fi

# shellcheck disable=SC2046,SC2086  # words on purpose
need_packages $packages_module $(nginx_packages) perl curl \
    $([[ $upstream = https:* ]] && printf 'ca-certificates')

check_port
"$root/tools/build.sh"

run=$build/run/$port
mkdir -p "$run"
trap stop EXIT
trap interrupted INT TERM HUP

if [ -z "$upstream" ]; then
    start_demo
fi

write_conf
start_nginx
explain

tail -n 0 -F "$run/access.log" 2>/dev/null &
tail_pid=$!

# the first to end was not asked to

# shellcheck disable=SC2086  # may be empty
wait -n $nginx_pid $demo_pid || true

die "nginx${demo_pid:+ or the demo LLM} has ended, see the logs in $run"
