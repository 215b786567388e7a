#include <stdlib.h>

#include "llm_fingerprint.h"
#include "tap.h"


static llm_str_t
str(const char *s)
{
    llm_str_t  v;

    v.data = (const unsigned char *) s;
    v.len = strlen(s);

    return v;
}


static int
same(llm_fingerprint_t *a, const char *ca, const char *da,
    llm_fingerprint_t *b, const char *cb, const char *db)
{
    unsigned char  x[LLM_FINGERPRINT_LEN], y[LLM_FINGERPRINT_LEN];

    if (llm_fingerprint(a, str(ca), str(da), x) != 0
        || llm_fingerprint(b, str(cb), str(db), y) != 0)
    {
        return -1;
    }

    return memcmp(x, y, LLM_FINGERPRINT_LEN) == 0;
}


int
main(void)
{
    int                 i, equal;
    char                text[600];
    unsigned char       key[LLM_FINGERPRINT_KEY], other[LLM_FINGERPRINT_KEY];
    unsigned char       seen[600][LLM_FINGERPRINT_LEN];
    llm_fingerprint_t  *a, *b, *c;

    is_int(llm_fingerprint_new_key(key), 0, "a key");
    is_int(llm_fingerprint_new_key(other), 0, "another key");
    ok(memcmp(key, other, sizeof(key)) != 0, "keys differ");

    a = llm_fingerprint_create(key);
    b = llm_fingerprint_create(key);
    c = llm_fingerprint_create(other);

    ok(a && b && c, "contexts");

    is_int(same(a, "x", "body", a, "x", "body"), 1, "it repeats itself");
    is_int(same(a, "x", "body", b, "x", "body"), 1, "in another context too");
    is_int(same(a, "x", "body", c, "x", "body"), 0, "another key");
    is_int(same(a, "x", "body", a, "x", "bodz"), 0, "other data");
    is_int(same(a, "x", "body", a, "y", "body"), 0, "another context");
    is_int(same(a, "x", "body", a, "xb", "ody"), 0, "another boundary");
    is_int(same(a, "", "", a, "", ""), 1, "nothing at all");
    is_int(same(a, "", "x", a, "x", ""), 0, "all or nothing");

    memset(text, 'a', sizeof(text));

    for (i = 0; i < 600; i++) {
        text[i] = '\0';
        llm_fingerprint(a, str("c"), str(text), seen[i]);
        text[i] = 'a';
    }

    for (equal = 0, i = 1; i < 600; i++) {
        equal += memcmp(seen[i], seen[i - 1], LLM_FINGERPRINT_LEN) == 0;
    }

    is_int(equal, 0, "every length has its own");

    llm_fingerprint_free(a);
    llm_fingerprint_free(b);
    llm_fingerprint_free(c);
    llm_fingerprint_free(NULL);

    return done();
}
