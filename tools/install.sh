#!/bin/bash
#
# Installs the module where the installed nginx looks for modules, or into
# MODULES_DIR, below DESTDIR if that is set.

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

"$root/tools/build.sh"

# the nginx of a source tree may not be installed yet

if [ -n "${MODULES_DIR:-}" ] && [ -n "${NGINX_SRC:-}" ]; then
    nginx=${NGINX:-$build/nginx}

else
    nginx=$(find_nginx)
    [ -n "$nginx" ] || die "there is no installed nginx: give NGINX=FILE"
fi

target=$(modules_dir "$nginx")


# a module loads only into the nginx that it was built for

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
mkdir "$temp/logs"

cat >"$temp/nginx.conf" <<END
load_module $build/$module;
error_log stderr;
pid $temp/nginx.pid;
events { }
END

if ! problem=$("$nginx" -t -p "$temp" -c "$temp/nginx.conf" 2>&1); then
    sed -n 's/.*\[emerg\] \([0-9#]*: \)\{0,1\}//p' <<<"$problem" >&2
    die "$nginx does not load the module: it was built for another nginx;" \
        "nothing was installed"
fi

install -d "${DESTDIR:-}$target"
install -m 644 "$build/$module" "${DESTDIR:-}$target/$module.new"
mv "${DESTDIR:-}$target/$module.new" "${DESTDIR:-}$target/$module"

say "installed ${DESTDIR:-}$target/$module"
say "nginx loads it with this line at the top of its configuration:"
say "    load_module $target/$module;"
