# shellcheck shell=bash
#
# Shared by the scripts in this directory; sourced, never run.

set -euo pipefail

me=$(basename "$0")

# shellcheck disable=SC2034  # used by the scripts
{
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$root/build
sources=$root/ngx_http_llm_cache_module
module=ngx_http_llm_cache_module.so

# how an nginx that comes as sources is configured
tree_flags=(
    --with-compat --with-debug --with-threads
    --with-http_ssl_module --with-http_v2_module
    --with-http_auth_request_module --with-http_realip_module
    --with-http_addition_module --with-http_gunzip_module
    --with-http_gzip_static_module --with-http_slice_module
    --with-http_stub_status_module --with-http_sub_module
)
}

export LC_ALL=C
unset MAKEFLAGS MAKELEVEL MFLAGS


say()
{
    printf '%s\n' "$*"
}


die()
{
    printf '%s: %s\n' "$me" "$*" >&2
    exit 1
}


# the version of an nginx source tree (or of its headers), or nothing

tree_version()
{
    sed -n 's/^#define NGINX_VERSION *"\([^"]*\)".*/\1/p' \
        "$1/src/core/nginx.h" 2>/dev/null
}


# copies an nginx source tree, as configure writes into its own directory

shadow()
{
    local name

    mkdir -p "$2"

    for name in auto configure src conf; do
        if [ -e "$1/$name" ]; then
            cp -dRpu "$1/$name" "$2/"
        fi
    done
}


# the installed nginx: $NGINX, else the first in PATH and the usual places

find_nginx()
{
    if [ -n "${NGINX:-}" ]; then
        [ -x "$NGINX" ] || die "NGINX=$NGINX is not a program"
        printf '%s\n' "$NGINX"
        return
    fi

    PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/local/nginx/sbin \
        command -v nginx || true
}


binary_version()
{
    "$1" -v 2>&1 | sed -n 's|^[A-Za-z]* version: [^/]*/\([0-9.]*\).*|\1|p'
}


# a configure argument of a built nginx, as in: configured FILE modules-path

configured()
{
    "$1" -V 2>&1 | sed -n "s|^configure arguments:.* --$2=\([^ ]*\).*|\1|p"
}


# where an nginx looks for modules: $MODULES_DIR, or what it was configured
# with, which may be relative to its prefix

modules_dir()
{
    local dir prefix

    if [ -n "${MODULES_DIR:-}" ]; then
        [[ $MODULES_DIR = /* ]] \
            || die "MODULES_DIR=$MODULES_DIR is not an absolute path"
        printf '%s\n' "${MODULES_DIR%/}"
        return
    fi

    prefix=$(configured "$1" prefix)
    prefix=${prefix:-/usr/local/nginx}
    dir=$(configured "$1" modules-path)
    dir=${dir:-modules}

    case $dir in
        /*) printf '%s\n' "$dir" ;;
        *)  printf '%s\n' "${prefix%/}/$dir" ;;
    esac
}


# the version that CHANGELOG.md begins with

project_version()
{
    sed -n '/^## /{s/^## \([0-9][0-9A-Za-z.+~]*\).*/\1/p;q}' \
        "$root/CHANGELOG.md"
}
