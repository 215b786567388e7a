#include <stdlib.h>

#include "llm_names.h"


#define LLM_NAMES_MIN_SLOTS  256
#define LLM_NAMES_MAX_SLOTS  (1u << 21)


static int llm_names_grow(llm_names_t *names);


int
llm_names_add(llm_names_t *names, uint64_t hash)
{
    int       rc;
    uint32_t  i;

    if (names->n == names->n_slots / 2) {
        rc = llm_names_grow(names);

        if (rc != 0) {
            return rc;
        }
    }

    hash ^= hash >> 29;

    i = (uint32_t) hash & (names->n_slots - 1);

    while (names->slots[i]) {

        if (names->hashes[names->slots[i] - 1] == hash) {
            return LLM_NAMES_DUPLICATE;
        }

        i = (i + 1) & (names->n_slots - 1);
    }

    names->hashes[names->n++] = hash;
    names->slots[i] = names->n;

    return 0;
}


static int
llm_names_grow(llm_names_t *names)
{
    uint32_t   i, n, k, *slots;
    uint64_t  *hashes;

    n = names->n_slots ? names->n_slots * 2 : LLM_NAMES_MIN_SLOTS;

    if (n > LLM_NAMES_MAX_SLOTS) {
        return LLM_NAMES_DUPLICATE;
    }

    hashes = realloc(names->hashes, n / 2 * sizeof(uint64_t));
    if (hashes == NULL) {
        return LLM_NAMES_NOMEM;
    }

    names->hashes = hashes;

    slots = calloc(n, sizeof(uint32_t));
    if (slots == NULL) {
        return LLM_NAMES_NOMEM;
    }

    for (i = 0; i < names->n; i++) {
        k = (uint32_t) hashes[i] & (n - 1);

        while (slots[k]) {
            k = (k + 1) & (n - 1);
        }

        slots[k] = i + 1;
    }

    free(names->slots);

    names->slots = slots;
    names->n_slots = n;

    return 0;
}


/* newest first, so that no probe sequence of an older name is cut */

void
llm_names_drop(llm_names_t *names, uint32_t n)
{
    uint32_t  i;

    while (names->n > n) {
        i = (uint32_t) names->hashes[names->n - 1] & (names->n_slots - 1);

        while (names->slots[i] != names->n) {
            i = (i + 1) & (names->n_slots - 1);
        }

        names->slots[i] = 0;
        names->n--;
    }
}


void
llm_names_free(llm_names_t *names)
{
    free(names->hashes);
    free(names->slots);

    memset(names, 0, sizeof(llm_names_t));
}
