#!/bin/bash
#
# Builds the module with each of several nginx source trees in several ways,
# runs tests on each, and prints one table.
#
#   NGINX_SRCS="DIR DIR"   source trees: nginx 1.22 or newer, Angie, freenginx
#   VARIANTS=              some of those below
#   TESTS=                 tests for all of them instead of the usual ones
#
# Variants are dynamic; static; plain and plain-static, the same without
# compatibility, debug log, threads, TLS and HTTP/2; and small: static, with as
# little of nginx as can be, which is only built and asked for its opinion of a
# configuration.
#
# What is printed by the way goes to standard error, the table to standard
# output; logs are below build/matrix.

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

[ -n "${NGINX_SRCS:-}" ] \
    || die 'give source trees of nginx: make matrix NGINX_SRCS="DIR DIR"'

variants=${VARIANTS:-dynamic static plain plain-static small}
state=$build/matrix

# what touches most of nginx's own interfaces

usual="00_harness 01_config 05_access 06_gate 08_bodies 09_streams 12_operator"
usual="$usual 16_limits 19_nginx 22_reload 23_kill 43_large_bodies 44_state"
usual="$usual 45_compress 50_flights 55_stale 60_forms 60_redis"
usual="$usual 71_embeddings 80_semantic_hits 84_semantic_location"
usual="$usual 90_api 92_metrics 93_observe 95_purge"

# and has HTTP/2, TLS or optional modules in it
optional="18_protocols 54_flight_http2 61_redis_servers"

failed=0


# sets flags, add, targets and tests for a variant

use_variant()
{
    local flag

    add=--add-dynamic-module=$root
    targets="binary modules"
    flags=("${tree_flags[@]}")
    tests="$usual $optional"

    case $1 in
        dynamic)
            ;;

        static)
            add=--add-module=$root
            targets=binary

            if [ -d "$tree/src/http/v3" ]; then
                flags+=(--with-http_v3_module)
            fi ;;

        plain | plain-static)
            flags=()
            tests=$usual

            for flag in "${tree_flags[@]}"; do
                case $flag in
                    --with-compat | --with-debug | --with-threads \
                    | --with-http_ssl_module | --with-http_v2_module) ;;
                    *) flags+=("$flag") ;;
                esac
            done

            if [ "$1" = plain-static ]; then
                add=--add-module=$root
                targets=binary
            fi ;;

        small)
            add=--add-module=$root
            targets=binary
            flags=(--without-http-cache --without-http_gzip_module
                   --without-http_rewrite_module --without-pcre
                   --without-http_upstream_keepalive_module)
            tests='' ;;

        *)
            die "VARIANTS: there is no $1" ;;
    esac

    # shellcheck disable=SC2086  # words on purpose
    tests=$(printf ' t/%s.t' $tests)
    tests=${TESTS:-$tests}

    if [ "$1" = small ]; then
        tests=''
    fi
}


# builds in a copy of the tree: $dir/src

build_variant()
{
    local script=./configure

    shadow "$tree" "$dir/src"
    [ -f "$dir/src/configure" ] || script=auto/configure

    (cd "$dir/src" && "$script" "${flags[@]}" "$add") \
        >"$dir/configure.log" 2>&1 || return 1

    # shellcheck disable=SC2086  # words on purpose
    make -C "$dir/src" -f objs/Makefile -j "$(nproc)" $targets \
        >"$dir/make.log" 2>&1
}


# the least there is: nginx accepts a configuration

accept()
{
    local load=''

    if [ "$TEST_NGINX_MODULE" != static ]; then
        load="load_module $TEST_NGINX_MODULE;"
    fi

    mkdir -p "$dir/prefix/logs"

    cat >"$dir/prefix/nginx.conf" <<END
$load
error_log stderr;
pid nginx.pid;
events { }
http {
    server {
        listen 127.0.0.1:1;
        location / {
            llm_cache on;
            proxy_pass http://127.0.0.1:1;
        }
    }
}
END

    "$TEST_NGINX_BINARY" -t -p "$dir/prefix/" -c nginx.conf \
        >"$dir/accept.log" 2>&1
}


# prints a cell of the table

try_variant()
{
    local dir=$state/$name/$1 add flags targets tests files

    mkdir -p "$dir"
    use_variant "$1"

    if ! build_variant; then
        printf 'does not build'
        return 1
    fi

    TEST_NGINX_BINARY=$(compgen -G "$dir/src/objs/nginx" \
                        || compgen -G "$dir/src/objs/angie")
    TEST_NGINX_MODULE=$dir/src/objs/$module

    if [[ $add = --add-module=* ]]; then
        TEST_NGINX_MODULE=static
    fi

    export TEST_NGINX_BINARY TEST_NGINX_MODULE

    if ! accept; then
        printf 'is not accepted'
        return 1
    fi

    if [ -z "$tests" ]; then
        printf 'builds'
        return
    fi

    # words on purpose
    # shellcheck disable=SC2086
    if (cd "$root" && prove -j "${TEST_JOBS:-2}" $tests) >"$dir/test.log" 2>&1
    then
        files=$(sed -n 's/^Files=\([0-9]*\), Tests=\([0-9]*\),.*/\2 in \1/p' \
                "$dir/test.log")
        printf 'ok, %s' "$files"
        return
    fi

    printf 'FAILED: %s' "$(sed -n 's|^t/\([^ ]*\)\.t .*(Wstat.*|\1|p' \
                           "$dir/test.log" | tr '\n' ' ' | sed 's/ $//')"
    return 1
}


# a row for each tree

row()
{
    local tree name label variant cell cells=''

    tree=$(cd "$1" 2>/dev/null && pwd -P) || die "$1 is not a directory"
    [ -f "$tree/src/core/nginx.c" ] || die "$1 does not hold an nginx"

    name=$(basename "$tree")-$(printf '%s' "$tree" | cksum | cut -d ' ' -f 1)
    label=$(basename "$tree")

    for variant in $variants; do
        say "$label: $variant" >&2
        cell=$(try_variant "$variant") || failed=1
        say "$label: $variant: $cell" >&2
        cells="$cells $cell |"
    done

    rows+=("| $(tree_name "$state/$name") |$cells")
}


# what the built nginx calls itself

tree_name()
{
    local file

    for file in "$1"/*/src/objs/{nginx,angie}; do
        if [ -x "$file" ]; then
            "$file" -v 2>&1 | sed -n 's|^[A-Za-z]* version: ||p' | tr / ' '
            return
        fi
    done

    printf '%s' "$label"
}


# shellcheck disable=SC2086  # words on purpose
need_packages $packages_module $packages_tree $packages_test

rows=()

for source in $NGINX_SRCS; do
    row "$source"
done

# shellcheck disable=SC2086  # words on purpose
printf '| |%s\n' "$(printf ' %s |' $variants)"
# shellcheck disable=SC2086  # words on purpose
printf '|---|%s\n' "$(printf '%s---|' $variants | sed 's/[a-z-]*---/---/g')"
printf '%s\n' "${rows[@]}"

exit $failed
