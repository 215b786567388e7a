#!/bin/bash
#
# Builds nginx with AddressSanitizer, UndefinedBehaviorSanitizer and one
# allocation per pool request, the module linked in, and runs the tests on it.
# nginx comes from Debian's source package, as its authors released it, or
# from NGINX_SRC=DIR.

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

# shellcheck disable=SC2046,SC2086  # words on purpose
need_packages $packages_module $packages_tree $packages_clang $packages_test

dir=$build/asan
tree=$dir/nginx
fetched=$dir/fetched

sanitize="-fsanitize=address,undefined -fno-omit-frame-pointer"
sanitize="$sanitize -fno-sanitize-recover=undefined"


cc_opt="-g -O1 -std=gnu11 $sanitize -DNGX_DEBUG_PALLOC=1"
cc_opt="$cc_opt -fsanitize-ignorelist=$root/tools/ubsan.ignore ${CFLAGS:-}"


# The entry of apt's own sources that offers nginx, as one for source packages.
# Lists and downloads stay in our directory.

fetch()
{
    local apt version entry uri suite component key log=$dir/fetch.log

    compgen -G "$fetched/nginx_*.orig.tar.*" >/dev/null && return

    say "fetching Debian's source package of nginx"

    entry=$(apt-cache madison nginx | awk -F ' *[|] *' '
        $2 ~ /^1\.[0-9]+\.[0-9]+-[0-9]+(\+deb[0-9u]+)?$/ && $3 ~ / Packages$/ {
            print $2, $3
            exit
        }' | tr -s ' ')

    [ -n "$entry" ] || die "apt knows no nginx: as root run apt-get update"

    read -r version uri suite _ <<<"$entry"
    component=${suite##*/}
    suite=${suite%/*}
    key=/usr/share/keyrings/debian-archive-keyring.gpg

    mkdir -p "$fetched/lists/partial" "$fetched/cache/archives/partial"

    printf 'deb-src %s%s %s %s\n' \
        "$([ ! -f $key ] || printf '[signed-by=%s] ' $key)" \
        "$uri" "$suite" "$component" >"$fetched/sources.list"

    apt=(apt-get -q -o "Dir::Etc::sourcelist=$fetched/sources.list"
         -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$fetched/lists"
         -o "Dir::Cache=$fetched/cache" -o APT::Sandbox::User=root)

    if ! (cd "$fetched" && "${apt[@]}" update \
          && "${apt[@]}" source --download-only --tar-only \
                 "nginx=$version") >"$log" 2>&1
    then
        tail -n 10 "$log" >&2
        die "apt-get could not fetch the source package nginx $version," \
            "NGINX_SRC=DIR can take its place"
    fi
}


unpack()
{
    local from

    if [ -n "${NGINX_SRC:-}" ]; then
        from=$(cd "$NGINX_SRC" && pwd -P) \
            || die "NGINX_SRC=$NGINX_SRC is not a directory"

        mkdir -p "$tree"
        cp -dRpu "$from"/{auto,conf,src} "$tree/"
        if [ -f "$from/configure" ]; then
            cp -pu "$from/configure" "$tree/"
        fi
        return
    fi

    fetch

    if [ ! -d "$tree/src" ]; then
        mkdir -p "$tree"
        tar -x --strip-components 1 -C "$tree" \
            -f "$(compgen -G "$fetched/nginx_*.orig.tar.*" | head -n 1)"
    fi
}


configure()
{
    local script=./configure mark args

    [ -f "$tree/configure" ] || script=auto/configure

    args=(
        --prefix="$dir/prefix" --with-cc=clang --with-debug --with-threads
        --with-http_ssl_module --with-http_v2_module
        --with-http_auth_request_module --with-http_realip_module
        --with-http_addition_module --with-http_gunzip_module
        --with-http_gzip_static_module --with-http_slice_module
        --with-http_stub_status_module --with-http_sub_module
        --with-cc-opt="$cc_opt"
        --with-ld-opt="$sanitize ${LDFLAGS:-}"
        --add-module="$root"
    )

    mark=$(
        printf '%s\n' "${args[@]}" "$(tree_version "$tree")"
        cat "$root/config" "$root/config.make" "$root/tools/ubsan.ignore"
        ls "$sources"
    )

    if [ -f "$tree/objs/Makefile" ] && [ -f "$dir/mark" ] \
       && [ "$mark" = "$(cat "$dir/mark")" ]
    then
        return
    fi

    say "configuring nginx $(tree_version "$tree") with sanitizers"
    rm -rf "$dir/mark" "$tree/objs"

    # its probes leak and overflow on purpose

    if ! (cd "$tree" && ASAN_OPTIONS=detect_leaks=0 "$script" "${args[@]}") \
            >"$dir/configure.log" 2>&1
    then
        tail -n 5 "$dir/configure.log" >&2
        die "configure failed, see $dir/configure.log"
    fi

    printf '%s\n' "$mark" >"$dir/mark"
}


compile()
{
    if ! make -C "$tree" -f objs/Makefile -j "$(nproc)" binary \
             >"$dir/make.log" 2>&1
    then
        grep -E -A 6 '(error|warning):|undefined reference' "$dir/make.log" \
            >&2 || tail -n 5 "$dir/make.log" >&2
        die "the build failed, see $dir/make.log"
    fi

    say "built $tree/objs/nginx"
}


# LeakSanitizer needs ptrace, which some containers forbid

leaks_work()
{
    printf 'int main(void) { return 0; }\n' >"$dir/leaks.c"
    clang -fsanitize=address "$dir/leaks.c" -o "$dir/leaks"
    ASAN_OPTIONS=detect_leaks=1 "$dir/leaks" 2>/dev/null
}


mkdir -p "$dir"
unpack
configure
compile

leaks=1

if ! leaks_work; then
    leaks=0
    say "leaks cannot be looked for here"
fi

ASAN_OPTIONS=detect_leaks=$leaks:abort_on_error=1:halt_on_error=1
ASAN_OPTIONS=$ASAN_OPTIONS:detect_stack_use_after_return=1
ASAN_OPTIONS=$ASAN_OPTIONS:strict_string_checks=1
ASAN_OPTIONS=$ASAN_OPTIONS:allocator_may_return_null=1
LSAN_OPTIONS=suppressions=$root/tools/lsan.ignore:print_suppressions=0
UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1:halt_on_error=1

TEST_NGINX_BINARY=$tree/objs/nginx
TEST_NGINX_MODULE=static
TEST_CC=clang
TEST_CFLAGS="-g -O1 $sanitize"

# all of it takes a few times as long
TEST_NGINX_WAIT=${TEST_NGINX_WAIT:-90}
TEST_TIME_LIMIT=${TEST_TIME_LIMIT:-1200}

export ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS
export TEST_NGINX_BINARY TEST_NGINX_MODULE TEST_NGINX_WAIT TEST_TIME_LIMIT
export TEST_CC TEST_CFLAGS

cd "$root"

# shellcheck disable=SC2086  # words on purpose
exec prove -j "${TEST_JOBS:-2}" ${PROVE_FLAGS:-} ${TESTS:-t/*.t}
