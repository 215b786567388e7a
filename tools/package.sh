#!/bin/bash
#
# Builds a Debian package of the module, for Debian's nginx: build/package.
#
#   VERSION=            instead of that of CHANGELOG.md
#   SOURCE_DATE_EPOCH=  its date, that of the last commit if there is one

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

name=libnginx-mod-http-llm-cache
dir=$build/package
tree=$dir/$name


# what goes into the package, and nothing else

copy_sources()
{
    rm -rf "$tree"
    mkdir -p "$tree"

    cp -dRp "$root"/{config,config.make,ngx_http_llm_cache_module} \
        "$root"/{debian,docs,examples} \
        "$root"/{README,CHANGELOG,SECURITY}.md "$root/LICENSE" "$tree/"
}


write_changelog()
{
    local when=${SOURCE_DATE_EPOCH:-} maintainer

    if [ -z "$when" ]; then
        when=$(git -C "$root" log -1 --format=%ct 2>/dev/null \
               || stat -c %Y "$root/CHANGELOG.md")
    fi

    maintainer=$(sed -n 's/^Maintainer: //p' "$tree/debian/control")

    cat >"$tree/debian/changelog" <<END
$name ($version-1) unstable; urgency=medium

  * Version $version, see changelog.gz.

 -- $maintainer  $(date -R -u -d "@$when")
END
}


[ -z "${NGINX_SRC:-}${NGINX:-}" ] \
    || die "a package is for Debian's nginx: do not give NGINX_SRC or NGINX"

# shellcheck disable=SC2086  # words on purpose
need_packages $packages_module $packages_nginx $packages_package

version=${VERSION:-$(project_version)}

[[ $version =~ ^[0-9][0-9A-Za-z.+~]*$ ]] \
    || die "VERSION=$version is no version"

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9

copy_sources
write_changelog
say "building the package, version $version"

if ! (cd "$tree" && dpkg-buildpackage -b -us -uc) >"$dir/build.log" 2>&1; then
    grep -E -A 6 '(error|warning):|undefined reference' "$dir/build.log" >&2 \
        || tail -n 10 "$dir/build.log" >&2
    die "the build failed, see $dir/build.log"
fi

rm -rf "$tree"

say "built $(compgen -G "$dir/${name}_$version-1_*.deb" | sed "s|^$root/||")"
