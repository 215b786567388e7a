#!/bin/bash
#
# How good the semantic tier's parts are on pairs of texts, and how fast.
#
#   PAIRS=FILE     JSON: [{"origin", "similar"}] or
#                  [{"text_a", "text_b", "label"}]
#   MODELS="DIR"   models for the static embedder, any number of them
#   EMBED_URL=URL  an embeddings API of OpenAI's form, asked for the model
#                  EMBED_MODEL with the bearer token EMBED_KEY
#   SVG=FILE       where the plot goes, build/semantic.svg
#   SEARCH=N       vectors that are searched for speed, 100000

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
        "$root/bench/$1.c" "$sources"/llm_*.c \
        -ljansson -lhiredis -lcrypto -lz -lm \
        -o "$build/semantic/$1"
}

build_program semantic
build_program vector

vectors=

if [ -n "${EMBED_URL:-}" ]; then
    vectors=$build/semantic/vectors.json
    perl "$root/bench/vectors.pl" "$pairs" "$EMBED_URL" \
        "${EMBED_MODEL:-default}" >"$vectors"
fi

# shellcheck disable=SC2086  # words on purpose
"$build/semantic/semantic" "$pairs" "$svg" ${MODELS:-} $vectors

say
say "== search among ${SEARCH:-100000} vectors of 256 dimensions"
say

"$build/semantic/vector" "${SEARCH:-100000}" 256

say
say "the plot is $svg"
