/*
 * The text of any bytes that pass for an answer: no harm, and UTF-8 where that
 * was.  The first byte names the dialect, the second the form.
 */


#include <stdlib.h>

#include "llm_text.h"
#include "llm_utf8.h"


static int
fuzz_utf8(const unsigned char *data, size_t len)
{
    size_t      i;
    llm_utf8_t  utf8;

    memset(&utf8, 0, sizeof(llm_utf8_t));

    for (i = 0; i < len; i++) {

        if (utf8.need ? !llm_utf8_next(&utf8, data[i])
                      : data[i] >= 0x80 && !llm_utf8_lead(&utf8, data[i]))
        {
            return 0;
        }
    }

    return utf8.need == 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llm_str_t             body;
    llm_form_e            form;
    const llm_dialect_t  *dialect;

    static llm_text_t     text, cut;

    if (size < 2) {
        return 0;
    }

    dialect = llm_dialect_get((llm_dialect_e) (data[0] % LLM_DIALECTS));
    form = (llm_form_e) (LLM_FORM_JSON + data[1] % 3);

    body.data = data + 2;
    body.len = size - 2 < LLM_TEXT_BODY ? size - 2 : LLM_TEXT_BODY;

    if (llm_text_read(dialect, form, body, 0, &text) == 1) {

        if (text.len == 0 || text.len > LLM_TEXT_MAX) {
            abort();
        }

        if (fuzz_utf8(body.data, body.len)
            && !fuzz_utf8(text.data, text.len))
        {
            abort();
        }
    }

    (void) llm_text_read(dialect, form, body, 1, &cut);

    llm_text_align(&text, &cut);

    return 0;
}
