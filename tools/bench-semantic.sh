#!/bin/bash
#
# How good the semantic tier's parts are on pairs of texts, and how fast.
#
#   PAIRS=FILE     JSON: [{"origin", "similar"}] or
#                  [{"text_a", "text_b", "label"}]
#   MODELS="DIR"   models for the static embedder, any number of them
#   SVG=FILE       where the plot goes, build/semantic.svg

# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

pairs=${PAIRS:-}
svg=${SVG:-$build/semantic.svg}

[ -n "$pairs" ] || die "PAIRS=FILE names no pairs of texts"
[ -r "$pairs" ] || die "PAIRS=$pairs cannot be read"

# shellcheck disable=SC2086  # words on purpose
need_packages $packages_module

mkdir -p "$build/semantic"

build_program()
{
    ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -Werror -I "$sources" \
        "$root/bench/$1.c" "$sources"/llm_*.c -ljansson -lcrypto -lz -lm \
        -o "$build/semantic/$1"
}

build_program semantic
build_program vector

# shellcheck disable=SC2086  # words on purpose
"$build/semantic/semantic" "$pairs" "$svg" ${MODELS:-}

say
say "== search among 100,000 vectors of 256 dimensions"
say

"$build/semantic/vector" 100000 256

say
say "the plot is $svg"
