#include "llm_bar.h"
#include "tap.h"


static llm_bar_t  bar;


/* a key whose word and set are these */

static const unsigned char *
key(uint64_t word, unsigned set)
{
    static unsigned char  bytes[LLM_KEY_LEN];

    memset(bytes, 0xee, sizeof(bytes));
    memcpy(bytes, &word, sizeof(word));

    bytes[8] = (unsigned char) set;
    bytes[9] = (unsigned char) (set >> 8);

    return bytes;
}


int
main(void)
{
    unsigned  i, n;

    is_int(llm_bar_has(&bar, key(5, 3)), 0, "an empty set");
    is_int(llm_bar_has(&bar, key(0, 3)), 0, "has not even zeros");
    is_int(llm_bar_add(&bar, key(5, 3)), 1, "a new key");
    is_int(llm_bar_has(&bar, key(5, 3)), 1, "it is there");
    is_int(llm_bar_add(&bar, key(5, 3)), 0, "it is not new any more");
    is_int(llm_bar_has(&bar, key(5, 4)), 0, "a key of another set");
    is_int(llm_bar_has(&bar, key(6, 3)), 0, "another key");

    is_int(llm_bar_add(&bar, key(0, 9)), 1, "a key that begins with zeros");
    is_int(llm_bar_has(&bar, key(0, 9)), 1, "is there");

    for (i = 0; i < LLM_BAR_WAYS - 1; i++) {
        (void) llm_bar_add(&bar, key(100 + i, 3));
    }

    is_int(llm_bar_has(&bar, key(5, 3)), 1, "a full set");

    (void) llm_bar_add(&bar, key(99, 3));

    is_int(llm_bar_has(&bar, key(5, 3)), 0, "the oldest goes");

    for (i = 0, n = 0; i < LLM_BAR_WAYS - 1; i++) {
        n += (unsigned) llm_bar_has(&bar, key(100 + i, 3));
    }

    is_int(n, LLM_BAR_WAYS - 1, "the others stay");
    is_int(llm_bar_has(&bar, key(99, 3)), 1, "with the new one");
    is_int(llm_bar_has(&bar, key(0, 9)), 1, "and other sets are as they were");

    for (i = 0, n = 0; i < LLM_BAR_SETS * LLM_BAR_WAYS; i++) {
        n += (unsigned) llm_bar_add(&bar, key(1000 + i, i));
    }

    is_int(n, LLM_BAR_SETS * LLM_BAR_WAYS, "as many as there is room for");

    for (i = 0, n = 0; i < LLM_BAR_SETS * LLM_BAR_WAYS; i++) {
        n += (unsigned) llm_bar_has(&bar, key(1000 + i, i));
    }

    is_int(n, LLM_BAR_SETS * LLM_BAR_WAYS, "are all there");

    return tap_done();
}
