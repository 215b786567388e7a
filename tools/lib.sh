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
    "$1" -v 2>&1 | sed -n 's|^nginx version: [^/]*/\([0-9.]*\).*|\1|p'
}


# a configure argument of a built nginx, as in: configured FILE modules-path

configured()
{
    "$1" -V 2>&1 | sed -n "s|^configure arguments:.* --$2=\([^ ]*\).*|\1|p"
}
