# shellcheck shell=bash
#
# Debian packages for the scripts in this directory; sourced after lib.sh.

# shellcheck disable=SC2034  # used by the scripts
{
packages_module="gcc libc6-dev make libjansson-dev libssl-dev"
packages_module="$packages_module zlib1g-dev libhiredis-dev"
packages_nginx="nginx nginx-dev"
packages_tree="libpcre2-dev"
packages_package="dpkg-dev debhelper"
packages_test_package="mmdebstrap"
packages_test="perl curl openssl ca-certificates redis-server prometheus"
packages_test="$packages_test python3 python3-httpx python3-requests"
packages_test="$packages_test python3-aiohttp"
packages_test="$packages_test chromium python3-prometheus-client"
packages_test_nginx="libnginx-mod-http-js"
packages_node="nodejs npm"
packages_clang="clang libclang-rt-dev llvm"
packages_bench="wrk curl perl util-linux redis-server redis-tools"
packages_bench_peers="varnish varnish-modules"
packages_bench_nginx="libnginx-mod-http-lua lua-cjson"
packages_check="clang clang-tidy cppcheck shellcheck perl libzstd-dev"
}

policy=/usr/sbin/policy-rc.d
policy_mark="# written while ngx_http_llm_cache_module installs packages"


installed()
{
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" \
      = installed ]
}


apt_install()
{
    local log=${build:?}/apt.log

    # the first try may fail because there are no package lists, or old ones

    if DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
           --no-install-recommends "$@" >"$log" 2>&1
    then
        return
    fi

    say "updating the package lists"

    apt-get update -q >>"$log" 2>&1 || true

    DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
        --no-install-recommends "$@" >>"$log" 2>&1 && return

    tail -n 5 "$log" >&2
    die "apt-get could not install: $*"
}


# A service that comes with us must not start, now or at the next boot.  One
# that was there before is left alone.

hold_services()
{
    if [ -f "$policy" ] && grep -qF "$policy_mark" "$policy"; then
        rm -f "$policy"
    fi

    if [ ! -e "$policy" ]; then
        trap release_services EXIT
        printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
        chmod 755 "$policy"
    fi
}


release_services()
{
    if [ -f "$policy" ] && grep -qF "$policy_mark" "$policy"; then
        rm -f "$policy"
    fi
}


# what the nginx that we build for takes: NGINX_SRC, NGINX, or Debian's, unless
# an nginx from elsewhere is there already

nginx_packages()
{
    if [ -n "${NGINX_SRC:-}" ]; then
        printf '%s\n' "$packages_tree"

    elif [ -z "${NGINX:-}" ]; then
        if installed nginx || [ -z "$(find_nginx)" ]; then
            printf '%s\n' "$packages_nginx"
        fi
    fi
}


# installs those of the named packages that are missing

need_packages()
{
    local package missing=() services=()

    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null
    then
        say "no dpkg and apt-get here, so these are taken as present: $*"
        return
    fi

    for package in "$@"; do
        installed "$package" || missing+=("$package")
    done

    [ ${#missing[@]} -gt 0 ] || return 0

    if [ "$(id -u)" != 0 ]; then
        die "packages are missing, as root run:" \
            "apt-get install --no-install-recommends ${missing[*]}"
    fi

    mkdir -p "$build"
    say "installing packages: ${missing[*]}"

    for package in "${missing[@]}"; do
        case $package in
        nginx)    services+=(nginx) ;;
        varnish)  services+=(varnish varnishncsa) ;;
        redis-server) services+=(redis-server) ;;
        prometheus) services+=(prometheus) ;;
        esac
    done

    # nginx-dev goes with one nginx only: never upgrade a server for it

    if [[ " ${missing[*]} " = *" nginx-dev "*
          && " ${missing[*]} " != *" nginx "* ]]
    then
        pin_nginx_dev
    fi

    if [ ${#services[@]} = 0 ]; then
        apt_install "${missing[@]}"
        return
    fi

    hold_services
    apt_install "${missing[@]}"
    release_services
    trap - EXIT

    for package in "${services[@]}"; do
        update-rc.d "$package" disable >>"$build/apt.log" 2>&1 || true
    done

    say "installed without starting or enabling services: ${services[*]}"
}


pin_nginx_dev()
{
    local i version

    version=$(dpkg-query -W -f '${Version}' nginx)

    if ! apt-cache show "nginx-dev=$version" >/dev/null 2>&1; then
        apt-get update -q >>"$build/apt.log" 2>&1 || true
    fi

    apt-cache show "nginx-dev=$version" >/dev/null 2>&1 \
        || die "nginx $version is installed, but no nginx-dev $version can" \
               "be had: upgrade nginx, or give NGINX_SRC=DIR with its sources"

    for i in "${!missing[@]}"; do
        if [ "${missing[$i]}" = nginx-dev ]; then
            missing[i]=nginx-dev=$version
        fi
    done
}
