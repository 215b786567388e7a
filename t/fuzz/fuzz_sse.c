/*
 * The SSE scanner must tell the same of a text however it is cut.  The first
 * byte says how, the second how long a line may be.
 */


#include <stdlib.h>

#include "llm_sse.h"


typedef struct {
    uint64_t              hash;
    const unsigned char  *text;
    size_t                len;
    size_t                end;
} fuzz_log_t;


static void
fuzz_mix(fuzz_log_t *log, const void *data, size_t len)
{
    size_t                i;
    const unsigned char  *p;

    p = data;

    for (i = 0; i < len; i++) {
        log->hash = (log->hash ^ p[i]) * 0x100000001b3ULL;
    }

    log->hash = (log->hash ^ len) * 0x9e3779b97f4a7c15ULL;
}


static int
fuzz_handler(void *ctx, const llm_sse_event_t *event)
{
    fuzz_log_t  *log;

    log = ctx;

    fuzz_mix(log, event->name.data, event->name.len);
    fuzz_mix(log, event->data.data, event->data.len);
    fuzz_mix(log, &event->range, sizeof(event->range));
    fuzz_mix(log, &event->data_start, sizeof(event->data_start));

    /* events follow one another, inside of the text */

    if (event->range.start < log->end || event->range.end > log->len
        || event->range.start >= event->range.end)
    {
        abort();
    }

    log->end = event->range.end;

    /* one line of data stands in the text as it was told */

    if (event->data_start != SIZE_MAX
        && (event->data_start < event->range.start
            || event->data_start + event->data.len > event->range.end
            || (event->data.len
                && memcmp(log->text + event->data_start, event->data.data,
                          event->data.len) != 0)))
    {
        abort();
    }

    return 0;
}


static uint64_t
fuzz_run(const unsigned char *text, size_t len, size_t piece, size_t max)
{
    int             rc;
    size_t          i, n;
    llm_sse_t       sse;
    fuzz_log_t      log;
    unsigned char  *copy;

    log.hash = 0;
    log.text = text;
    log.len = len;
    log.end = 0;

    llm_sse_init(&sse, max, fuzz_handler, &log);

    rc = 0;

    for (i = 0; i < len && rc == 0; i += n) {
        n = len - i < piece ? len - i : piece;

        copy = malloc(n);
        memcpy(copy, text + i, n);

        rc = llm_sse_feed(&sse, copy, n);

        free(copy);
    }

    if (rc == 0) {
        rc = llm_sse_end(&sse);
    }

    fuzz_mix(&log, &rc, sizeof(rc));

    if (rc == 0) {
        rc = llm_sse_pending(&sse);
        fuzz_mix(&log, &rc, sizeof(rc));
    }

    llm_sse_free(&sse);

    return log.hash;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t    max;
    uint64_t  whole;

    if (size < 2) {
        return 0;
    }

    max = data[1] & 0x80 ? (size_t) (data[1] & 0x7f) + 1 : 65536;

    whole = fuzz_run(data + 2, size - 2, size, max);

    if (fuzz_run(data + 2, size - 2, 1, max) != whole
        || fuzz_run(data + 2, size - 2, (size_t) data[0] + 1, max) != whole)
    {
        abort();
    }

    return 0;
}
