/*
 * Arbitrary bytes as a state file: however they are cut, the same is told of
 * them, and every record that is told is sound.  The first byte says how they
 * are cut; the second, whether the rest becomes the records of a file that is
 * written and must be read back.
 */


#include <stdlib.h>

#include "llm_state.h"


typedef struct {
    uint64_t     hash;
    uint64_t     count;
    llm_state_e  result;
} fuzz_seen_t;


static void
fuzz_mix(fuzz_seen_t *seen, const unsigned char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        seen->hash = (seen->hash ^ p[i]) * 0x100000001b3ULL;
    }
}


static fuzz_seen_t
fuzz_read(const unsigned char *data, size_t size, size_t step)
{
    size_t              n;
    uint64_t            left;
    llm_str_t           piece;
    fuzz_seen_t         seen;
    llm_state_reader_t  r;

    memset(&seen, 0, sizeof(seen));

    if (llm_state_reader_init(&r) != 0) {
        abort();
    }

    left = 0;

    while (size && seen.result == LLM_STATE_AGAIN) {

        n = size < step ? size : step;
        piece.data = data;
        piece.len = n;
        data += n;
        size -= n;

        for ( ;; ) {
            seen.result = llm_state_read(&r, &piece);

            if (seen.result == LLM_STATE_RECORD) {

                if (left || r.entry.len < LLM_RECORD_HEAD) {
                    abort();
                }

                left = r.entry.len;
                seen.count++;
                fuzz_mix(&seen, r.entry.key, sizeof(r.entry.key));
                continue;
            }

            if (seen.result != LLM_STATE_DATA) {
                break;
            }

            if (left == r.entry.len
                && !llm_state_sound(&r.entry, r.data.data))
            {
                abort();
            }

            if (r.data.len == 0 || r.data.len > left) {
                abort();
            }

            left -= r.data.len;
            fuzz_mix(&seen, r.data.data, r.data.len);
        }
    }

    if (seen.result == LLM_STATE_DONE && (left || seen.count != r.count)) {
        abort();
    }

    llm_state_reader_free(&r);

    return seen;
}


/* a file of records of one body, with the fields from the input */

static void
fuzz_write(const unsigned char *data, size_t size)
{
    size_t              n, count;
    llm_str_t           body;
    fuzz_seen_t         seen;
    llm_record_t        rec;
    unsigned char       head[LLM_RECORD_HEAD], *file, *p;
    llm_state_entry_t   entry;
    llm_state_writer_t  w;

    file = malloc(LLM_STATE_HEAD + LLM_STATE_TAIL
                  + (size + 1) * (LLM_STATE_ENTRY + LLM_RECORD_HEAD + 256));

    if (file == NULL || llm_state_begin(&w, 1, file) != 0) {
        abort();
    }

    p = file + LLM_STATE_HEAD;

    for (count = 0; size; count++) {

        n = data[0] < size ? data[0] : size - 1;

        memset(&rec, 0, sizeof(rec));
        memset(rec.key, data[0], sizeof(rec.key));
        rec.form = LLM_FORM_SSE;
        rec.mark = LLM_RECORD_NO_MARK;
        rec.body_len = (uint32_t) n;

        llm_record_encode(&rec, head);

        memset(&entry, 0, sizeof(entry));
        memcpy(entry.key, rec.key, sizeof(entry.key));
        entry.len = (uint32_t) (LLM_RECORD_HEAD + n);

        llm_state_entry(&w, &entry, p);
        p += LLM_STATE_ENTRY;

        body.data = head;
        body.len = LLM_RECORD_HEAD;
        llm_state_data(&w, body);
        memcpy(p, head, LLM_RECORD_HEAD);
        p += LLM_RECORD_HEAD;

        body.data = data + 1;
        body.len = n;
        llm_state_data(&w, body);
        memcpy(p, data + 1, n);
        p += n;

        data += n + 1;
        size -= n + 1;
    }

    if (llm_state_end(&w, p) != 0) {
        abort();
    }

    p += LLM_STATE_TAIL;

    llm_state_writer_free(&w);

    seen = fuzz_read(file, (size_t) (p - file), 333);

    if (seen.result != LLM_STATE_DONE || seen.count != count) {
        abort();
    }

    free(file);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t       step;
    fuzz_seen_t  one, two;

    if (size < 2) {
        return 0;
    }

    if (data[1] & 1) {
        fuzz_write(data + 2, size - 2);
        return 0;
    }

    step = 1 + data[0];
    data += 2;
    size -= 2;

    one = fuzz_read(data, size, size + 1);
    two = fuzz_read(data, size, step);

    /* bytes after the end are seen only with what stands before them */

    if ((one.result != two.result && one.result != LLM_STATE_TORN)
        || one.hash != two.hash || one.count != two.count)
    {
        abort();
    }

    return 0;
}
