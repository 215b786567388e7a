#include "llm_reason.h"
#include "tap.h"


int
main(void)
{
    int        i, j, same, shaped;
    size_t     k;
    llm_str_t  a, b;

    is_str(llm_reason_word(LLM_REASON_NONE), "", "no reason has no word");
    is_str(llm_reason_word(LLM_REASON_JSON), "json", "json");
    is_str(llm_reason_word(LLM_REASON_CLIENT_NO_STORE), "client_no_store",
           "client_no_store");
    is_str(llm_reason_word(LLM_REASON_MAX), "", "beyond the last");
    is_str(llm_reason_word((llm_reason_e) -1), "", "before the first");

    same = 0;
    shaped = 1;

    for (i = 1; i < LLM_REASON_MAX; i++) {
        a = llm_reason_word((llm_reason_e) i);

        if (a.len == 0) {
            shaped = 0;
        }

        for (k = 0; k < a.len; k++) {
            if ((a.data[k] < 'a' || a.data[k] > 'z') && a.data[k] != '_') {
                shaped = 0;
            }
        }

        for (j = 0; j < i; j++) {
            b = llm_reason_word((llm_reason_e) j);

            if (a.len == b.len && memcmp(a.data, b.data, a.len) == 0) {
                same++;
            }
        }
    }

    ok(shaped, "every reason is a word of lower-case letters");
    is_int(same, 0, "no two reasons share a word");

    return done();
}
