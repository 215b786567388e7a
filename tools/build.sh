#!/bin/bash
#
# Builds the module for the installed nginx, from the headers of nginx-dev; or
# with NGINX_SRC=DIR builds that nginx, and the module for it.  Everything is
# written below build/: the source tree stays as it is.
#
#   NGINX=FILE          the installed nginx, if it is not in the usual places
#   NGINX_SRC=DIR       an nginx source tree, 1.22 or newer
#   NGINX_CONFIGURE=    further configure arguments for it
#   CC= CFLAGS= LDFLAGS=

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

headers=/usr/share/nginx/src

cc_opt="-g -O2 -std=gnu11 -Wall -Wextra -Wno-unused-parameter -fPIC"
cc_opt="$cc_opt -Wformat -Werror=format-security -D_FORTIFY_SOURCE=2"
cc_opt="$cc_opt -fstack-protector-strong"
cc_opt="$cc_opt ${CFLAGS:-}"
ld_opt="-Wl,-z,relro -Wl,-z,now -fPIC ${LDFLAGS:-}"


check_tools()
{
    local tool

    case $root in
        *[[:space:]]*)
            die "nginx cannot be built below a directory with white space" \
                "in its name: $root" ;;
    esac

    for tool in "${CC:-cc}" make; do
        command -v "${tool%% *}" >/dev/null \
            || die "there is no $tool: as root run: apt-get install gcc make"
    done
}


# sets src, version, target and args for an nginx source tree

use_tree()
{
    src=$(cd "$NGINX_SRC" 2>/dev/null && pwd -P) \
        || die "NGINX_SRC=$NGINX_SRC is not a directory"

    version=$(tree_version "$src")

    [ -n "$version" ] && [ -f "$src/src/core/nginx.c" ] \
        || die "NGINX_SRC=$NGINX_SRC does not hold the sources of nginx"

    [ "$(printf '%s\n' 1.22.0 "$version" | sort -V | head -n 1)" = 1.22.0 ] \
        || die "NGINX_SRC=$NGINX_SRC is nginx $version: 1.22 is the oldest" \
               "that this module is for"

    target="binary modules"
    args=("${tree_flags[@]}")

    # shellcheck disable=SC2206  # words on purpose
    args+=(${NGINX_CONFIGURE:-})
}


# the same for the headers of the installed nginx

use_headers()
{
    local found

    nginx=$(find_nginx)

    [ -n "$nginx" ] \
        || die "there is no nginx: as root run: apt-get install nginx" \
               "nginx-dev, or give NGINX_SRC=DIR with the sources of one"

    version=$(binary_version "$nginx")
    found=$(tree_version "$headers" || true)

    [ -n "$found" ] \
        || die "there are no headers for nginx $version ($nginx): as root" \
               "run: apt-get install nginx-dev, or give NGINX_SRC=DIR with" \
               "the sources of nginx $version"

    [ "$found" = "$version" ] \
        || die "$nginx is nginx $version, but nginx-dev has the headers of" \
               "nginx $found: give NGINX_SRC=DIR with the sources of nginx" \
               "$version"

    src=$headers
    target=modules

    # sets NGX_CONF_FLAGS, those of the package
    # shellcheck source=/dev/null
    . "$headers/conf_flags"

    args=("${NGX_CONF_FLAGS[@]}")
}


configure()
{
    local script=./configure mark

    [ -f "$tree/configure" ] || script=auto/configure

    args+=(--with-cc-opt="$cc_opt" --with-ld-opt="$ld_opt"
           --add-dynamic-module="$root")

    # configured anew when anything that configure reads has changed

    mark=$(
        printf '%s\n' "${CC:-cc}" "${args[@]}" "$version"
        cat "$root/config" "$root/config.make"
        ls "$sources"
        cat "$tree"/auto/{modules,module,make,options,sources}
    )

    if [ -f "$tree/objs/Makefile" ] && [ -f "$dir/mark" ] \
       && [ "$mark" = "$(cat "$dir/mark")" ]
    then
        return
    fi

    say "configuring for nginx $version"
    rm -f "$dir/mark"

    if ! (cd "$tree" && "$script" "${args[@]}") >"$dir/configure.log" 2>&1
    then
        grep 'error:' "$dir/configure.log" >&2 \
            || tail -n 5 "$dir/configure.log" >&2
        die "configure failed, see $dir/configure.log"
    fi

    printf '%s\n' "$mark" >"$dir/mark"
}


compile()
{
    local log=$dir/make.log

    # words on purpose
    # shellcheck disable=SC2086
    if ! make -C "$tree" -f objs/Makefile -j "$(nproc)" $target >"$log" 2>&1
    then
        grep -E -A 6 '(error|warning):|undefined reference' "$log" >&2 \
            || tail -n 5 "$log" >&2
        die "the build failed, see $log"
    fi

    if [ -n "${NGINX_SRC:-}" ]; then
        nginx=$tree/objs/nginx
    fi

    # a running nginx may have the old file mapped: never write into it

    if ! cmp -s "$tree/objs/$module" "$build/$module"; then
        cp "$tree/objs/$module" "$build/$module.new"
        mv "$build/$module.new" "$build/$module"
    fi

    ln -sfn "$nginx" "$build/nginx"
    ln -sfn "$tree" "$build/tree"
}


check_tools

if [ -n "${NGINX_SRC:-}" ]; then
    use_tree
else
    use_headers
fi

dir=$build/nginx-$version-$(printf '%s' "$src" | cksum | cut -d ' ' -f 1)
tree=$dir/src

mkdir -p "$dir"
exec 9>"$build/lock"
flock 9

shadow "$src" "$tree"
configure
compile

say "built build/$module for nginx $version ($nginx)"
