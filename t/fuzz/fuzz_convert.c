/*
 * A conversion must do no harm whatever it is given; of an answer that would
 * be stored it must make one that would be stored too, always the same, and
 * what was JSON must come back from a stream.  The first byte names the
 * dialect, the second what is wanted, the third the form.
 */


#include <stdlib.h>

#include "llm_answer.h"
#include "llm_convert.h"
#include "llm_doc.h"


static llm_form_e
fuzz_form(unsigned char ask)
{
    return ask == LLM_ASK_SSE ? LLM_FORM_SSE
           : ask == LLM_ASK_NDJSON ? LLM_FORM_NDJSON : LLM_FORM_JSON;
}


static llm_reason_e
fuzz_gate(const llm_dialect_t *dialect, llm_form_e form, llm_str_t body)
{
    llm_reason_e       reason;
    llm_answer_t      *answer;
    llm_answer_info_t  info;

    static const llm_finish_t  finish =
        { LLM_FINISH_STOP|LLM_FINISH_LENGTH|LLM_FINISH_TOOL, NULL, 0 };

    answer = llm_answer_create(dialect, form, &finish, 1 << 20);
    if (answer == NULL) {
        abort();
    }

    (void) llm_answer_feed(answer, body.data, body.len);
    reason = llm_answer_end(answer, &info);

    llm_answer_free(answer);

    return reason;
}


/* a JSON answer that became a stream comes back, or not at all */

static void
fuzz_back(llm_convert_t *convert, llm_str_t stream)
{
    llm_buf_t  back;

    memset(&back, 0, sizeof(llm_buf_t));

    convert->form = fuzz_form(convert->ask);
    convert->ask = LLM_ASK_JSON;
    convert->mark = 0;

    if (llm_convert(convert, stream, &back) == 0) {

        stream.data = back.data;
        stream.len = back.len;

        if (fuzz_gate(convert->dialect, LLM_FORM_JSON, stream)
            != LLM_REASON_NONE)
        {
            abort();
        }
    }

    llm_buf_free(&back);

}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int             rc;
    llm_buf_t       out, again;
    llm_str_t       body, text;
    llm_form_e      form;
    llm_convert_t   convert;
    unsigned char  *copy;

    static const unsigned char  asks[] = { LLM_ASK_JSON, LLM_ASK_ARRAY,
                                           LLM_ASK_SSE, LLM_ASK_NDJSON };

    if (size < 3) {
        return 0;
    }

    memset(&convert, 0, sizeof(llm_convert_t));
    memset(&out, 0, sizeof(llm_buf_t));
    memset(&again, 0, sizeof(llm_buf_t));

    form = (llm_form_e) (LLM_FORM_JSON + data[2] % 3);

    convert.dialect = llm_dialect_get((llm_dialect_e) (data[0]
                                                       % LLM_DIALECTS));
    convert.form = form;
    convert.ask = asks[data[1] % 4];
    convert.include_usage = (data[1] & 4) != 0;
    convert.mark = (data[1] & 8) != 0;
    convert.max = 256 * 1024;

    body.len = size - 3;
    copy = malloc(body.len);
    memcpy(copy, data + 3, body.len);
    body.data = copy;

    rc = llm_convert(&convert, body, &out);

    if (llm_convert(&convert, body, &again) != rc
        || (rc == 0 && (out.len != again.len
                        || memcmp(out.data, again.data, out.len) != 0)))
    {
        abort();
    }

    if (rc == 0
        && fuzz_gate(convert.dialect, form, body) == LLM_REASON_NONE)
    {
        text.data = out.data;
        text.len = out.len;

        if (fuzz_gate(convert.dialect, fuzz_form(convert.ask), text)
            != LLM_REASON_NONE)
        {
            abort();
        }

        if (form == LLM_FORM_JSON && convert.ask != LLM_ASK_JSON) {
            fuzz_back(&convert, text);
        }
    }

    llm_buf_free(&out);
    llm_buf_free(&again);
    free(copy);

    return 0;
}
