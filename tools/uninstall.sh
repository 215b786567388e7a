#!/bin/bash
#
# Removes what tools/install.sh installed, with the same NGINX, MODULES_DIR and
# DESTDIR.

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

nginx=$(find_nginx)

[ -n "$nginx" ] || [ -n "${MODULES_DIR:-}" ] \
    || die "there is no installed nginx: give NGINX=FILE or MODULES_DIR=DIR"

file=${DESTDIR:-}$(modules_dir "$nginx")/$module

[ -e "$file" ] || die "there is no $file"

if command -v dpkg-query >/dev/null && dpkg-query -S "$file" >/dev/null 2>&1
then
    die "$file belongs to the package $(dpkg-query -S "$file" | cut -d : -f 1)"
fi

rm "$file"

say "removed $file"
say "take its load_module line out of nginx's configuration, too"
