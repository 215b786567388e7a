/*
 * Two texts with a NUL between them: the order of the two does not decide
 * whether they pass, a text passes with itself, fewer guards let through what
 * more of them do.
 */


#include <stdlib.h>

#include "llm_embed_lexical.h"
#include "llm_guard.h"


#define CHECK(what)                                                           \
    if (!(what)) {                                                            \
        abort();                                                              \
    }


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    float              vector[LLM_LEXICAL_DIM];
    unsigned           guard, all;
    llm_str_t          a, b;
    const uint8_t     *nul;
    llm_guard_text_t  *one, *two;

    nul = size ? memchr(data, '\0', size) : NULL;

    if (nul == NULL || size > 65536) {
        return 0;
    }

    a.data = data;
    a.len = (size_t) (nul - data);
    b.data = nul + 1;
    b.len = size - a.len - 1;

    (void) llm_lexical_embed(NULL, a, vector);

    one = llm_guard_read(a);
    two = llm_guard_read(b);

    CHECK(one && two);

    all = llm_guard_check(one, two, LLM_GUARD_ALL);

    CHECK((all & (all - 1)) == 0 && (all & ~LLM_GUARD_ALL) == 0);
    CHECK((all != 0) == (llm_guard_check(two, one, LLM_GUARD_ALL) != 0));
    CHECK(llm_guard_check(one, one, LLM_GUARD_ALL & ~LLM_GUARD_LENGTH) == 0);
    CHECK(llm_guard_check(one, two, 0) == 0);

    for (guard = 1; guard <= LLM_GUARD_WORDS; guard <<= 1) {

        if (all == 0) {
            CHECK(llm_guard_check(one, two, guard) == 0);
        }
    }

    CHECK(all == 0 || llm_guard_check(one, two, all) == all);

    llm_guard_free(one);
    llm_guard_free(two);

    return 0;
}
