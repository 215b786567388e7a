#!/bin/bash
#
# Builds the module and runs the tests, all or those named in TESTS.

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

# shellcheck disable=SC2046,SC2086  # words on purpose
need_packages $packages_module $packages_test $(nginx_packages) \
    $([ -n "${NGINX_SRC:-}" ] || printf '%s ' "$packages_test_nginx" \
        "$packages_package" "$packages_test_package")

# those of other distributors are as good

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    # shellcheck disable=SC2086  # words on purpose
    need_packages $packages_node
fi

"$root/tools/build.sh"

TEST_NGINX_BINARY=$(readlink -f "$build/nginx")
TEST_NGINX_MODULE=$build/$module
export TEST_NGINX_BINARY TEST_NGINX_MODULE

cd "$root"

# shellcheck disable=SC2086  # words on purpose
exec prove -j "${TEST_JOBS:-2}" ${PROVE_FLAGS:-} ${TESTS:-t/*.t}
