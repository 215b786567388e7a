/*
 * Pairs of questions that look alike and are not, and of questions that are
 * the same, spelt otherwise, as lexical and all guards see them.  No pair may
 * hit that should not, and none miss that should.
 */


#include <stdlib.h>

#include <jansson.h>

#include "llm_embed_lexical.h"
#include "llm_guard.h"
#include "tap.h"


#define PAIRS_THRESHOLD  0.50f


static llm_str_t
pair_text(const json_t *pair, const char *name)
{
    llm_str_t      text;
    const json_t  *value;

    value = json_object_get(pair, name);

    text.data = (const unsigned char *) json_string_value(value);
    text.len = json_string_length(value);

    return text;
}


static float
pair_cosine(llm_str_t a, llm_str_t b)
{
    int    i;
    float  sum, one[LLM_LEXICAL_DIM], two[LLM_LEXICAL_DIM];

    if (llm_lexical_embed(NULL, a, one) != 0
        || llm_lexical_embed(NULL, b, two) != 0)
    {
        return -1;
    }

    sum = 0;

    for (i = 0; i < LLM_LEXICAL_DIM; i++) {
        sum += one[i] * two[i];
    }

    return sum;
}


static unsigned
pair_check(llm_str_t a, llm_str_t b, unsigned guards)
{
    unsigned           failed;
    llm_guard_text_t  *one, *two;

    one = llm_guard_read(a);
    two = llm_guard_read(b);

    failed = llm_guard_check(one, two, guards);

    if ((failed != 0) != (llm_guard_check(two, one, guards) != 0)) {
        printf("# %.*s | %.*s: not the same the other way round\n",
               (int) a.len, a.data, (int) b.len, b.data);
        failed = 0;
    }

    llm_guard_free(one);
    llm_guard_free(two);

    return failed;
}


static json_t *
pairs_load(const char *dir, const char *name)
{
    char  path[4096];

    snprintf(path, sizeof(path), "%s/%s", dir, name);

    return json_load_file(path, 0, NULL);
}


static void
adversarial(const json_t *pairs)
{
    int        hits, missing;
    size_t     i;
    unsigned   guard, failed;
    llm_str_t  a, b;

    hits = 0;
    missing = 0;

    for (i = 0; i < json_array_size(pairs); i++) {
        a = pair_text(json_array_get(pairs, i), "text_a");
        b = pair_text(json_array_get(pairs, i), "text_b");

        guard = llm_guard_find(pair_text(json_array_get(pairs, i), "guard"));
        failed = pair_check(a, b, LLM_GUARD_ALL);

        if (failed == 0 && pair_cosine(a, b) >= PAIRS_THRESHOLD) {
            printf("# a hit: %.*s | %.*s\n", (int) a.len, a.data,
                   (int) b.len, b.data);
            hits++;
        }

        if (guard == 0 || pair_check(a, b, guard) == 0) {
            printf("# %s lets it through: %.*s | %.*s\n",
                   llm_guard_name(guard), (int) a.len, a.data, (int) b.len,
                   b.data);
            missing++;
        }
    }

    is_int(hits, 0, "no false hit");
    is_int(missing, 0, "each is seen by its own guard alone");
}


static void
respelt(const json_t *pairs)
{
    int        misses;
    float      cosine;
    size_t     i;
    unsigned   failed;
    llm_str_t  a, b;

    misses = 0;

    for (i = 0; i < json_array_size(pairs); i++) {
        a = pair_text(json_array_get(pairs, i), "text_a");
        b = pair_text(json_array_get(pairs, i), "text_b");

        failed = pair_check(a, b, LLM_GUARD_ALL);
        cosine = pair_cosine(a, b);

        if (failed || cosine < PAIRS_THRESHOLD) {
            printf("# a miss (%s, %.3f): %.*s | %.*s\n",
                   llm_guard_name(failed), (double) cosine, (int) a.len,
                   a.data, (int) b.len, b.data);
            misses++;
        }
    }

    is_int(misses, 0, "all of them hit");
}


int
main(int argc, char **argv)
{
    json_t      *pairs;
    const char  *dir;

    dir = getenv("TEST_PAIRS");

    if (argc > 1) {
        dir = argv[1];
    }

    if (dir == NULL) {
        dir = "t/semantic";
    }

    plan(5);

    pairs = pairs_load(dir, "adversarial.json");
    ok(json_array_size(pairs) >= 300, "pairs that are not the same: %zu",
       json_array_size(pairs));
    adversarial(pairs);
    json_decref(pairs);

    pairs = pairs_load(dir, "respelt.json");
    ok(json_array_size(pairs) >= 50, "pairs that are the same: %zu",
       json_array_size(pairs));
    respelt(pairs);
    json_decref(pairs);

    return done();
}
