#!/bin/bash
#
# Compilers with warnings as errors, static analysis, style.  All of it runs;
# what failed is told at the end.

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

# shellcheck disable=SC2046,SC2086  # words on purpose
need_packages $packages_module $(nginx_packages) $packages_check

"$root/tools/build.sh"

tree=$(readlink -f "$build/tree")
failed=()

# nginx's own headers are not ours to judge

includes=(-I "$sources")

for name in core event event/modules event/quic os/unix http http/modules \
            http/v2 http/v3
do
    if [ -d "$tree/src/$name" ]; then
        includes+=(-isystem "$tree/src/$name")
    fi
done

includes+=(-isystem "$tree/objs")

warnings=(
    -std=gnu11 -Wall -Wextra -Werror -Wformat=2 -Wmissing-prototypes
    -Wpointer-arith -Wshadow -Wstrict-prototypes -Wundef -Wvla
)


step()
{
    local name=$1

    shift

    if "$@"; then
        say "ok      $name"

    else
        say "FAILED  $name"
        failed+=("$name")
    fi
}


# nginx's callbacks have parameters that not everyone needs, and return
# literals as char *

flags_for()
{
    if [[ $1 = */ngx_* ]]; then
        printf '%s\n' -Wno-unused-parameter

    else
        printf '%s\n' -Wwrite-strings
    fi
}


compile()
{
    local file status=0

    for file in "$sources"/*.c; do
        # shellcheck disable=SC2046  # a word
        "$1" "${warnings[@]}" $(flags_for "$file") -O2 "${includes[@]}" \
            -c "$file" -o /dev/null || status=1
    done

    for file in "$root"/t/unit/*.c "$root"/t/fuzz/*.c \
                "$root"/t/reference/*.c "$root"/t/lib/*.c "$root"/bench/*.c
    do
        [ -f "$file" ] || continue

        "$1" -std=gnu11 -Wall -Wextra -Werror -O2 -I "$sources" \
            -I "$root/t/reference" -I "$root/t/lib" \
            -c "$file" -o /dev/null || status=1
    done

    return $status
}


run_cppcheck()
{
    cppcheck --quiet --std=c11 --language=c --inline-suppr \
        --enable=warning,performance,portability --error-exitcode=1 \
        --suppress=missingIncludeSystem -D "u_char=unsigned char" \
        -I "$sources" "$sources"
}


# clang-tidy counts on standard error what it leaves out of other headers

run_clang_tidy()
{
    clang-tidy --quiet "$sources"/*.c -- -std=gnu11 "${includes[@]}" \
        2>/dev/null
}


run_shellcheck()
{
    (cd "$root" && shellcheck -x tools/*.sh .ci/run)
}


run_perl()
{
    local file problem status=0

    while IFS= read -r file; do
        if ! problem=$(perl -I "$root/t/lib" -c "$file" 2>&1); then
            printf '%s\n' "$problem"
            status=1
        fi
    done < <(find "$root/t" "$root/bench" "$root/examples" \
                 "$root/tools" -type f \
                 \( -name '*.t' -o -name '*.p[lm]' -o -name style \))

    return $status
}


step "gcc, warnings as errors" compile gcc
step "clang, warnings as errors" compile clang
step "cppcheck" run_cppcheck
step "clang-tidy" run_clang_tidy
step "shellcheck" run_shellcheck
step "perl -c" run_perl
step "style" "$root/tools/style"

[ ${#failed[@]} = 0 ] || die "${#failed[@]} of the checks failed"

say "all checks passed"
