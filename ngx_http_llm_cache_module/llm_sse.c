#include "llm_sse.h"


typedef struct {
    const unsigned char  *lf;
    const unsigned char  *cr;
    const unsigned char  *end;
} llm_sse_eol_t;


static const unsigned char *llm_sse_eol(llm_sse_t *sse, llm_sse_eol_t *eol,
    const unsigned char *p, const unsigned char *last);
static int llm_sse_line(llm_sse_t *sse, const unsigned char *p, size_t len,
    size_t next);
static int llm_sse_field(llm_sse_t *sse, const unsigned char *line,
    size_t len, size_t start);
static int llm_sse_data(llm_sse_t *sse, llm_str_t value, size_t start);
static int llm_sse_dispatch(llm_sse_t *sse, size_t end);
static int llm_sse_keep(llm_sse_t *sse, const unsigned char *p, size_t len);
static int llm_sse_add(llm_sse_t *sse, llm_buf_t *buf, const void *data,
    size_t len);


void
llm_sse_init(llm_sse_t *sse, size_t max, llm_sse_handler_pt handler,
    void *ctx)
{
    memset(sse, 0, sizeof(llm_sse_t));

    sse->handler = handler;
    sse->ctx = ctx;
    sse->max = max;
    sse->data_start = SIZE_MAX;
}


int
llm_sse_feed(llm_sse_t *sse, const unsigned char *data, size_t len)
{
    int                   rc;
    llm_sse_eol_t         eol;
    const unsigned char  *p, *last, *next;

    if (len == 0) {
        return 0;
    }

    p = data;
    last = data + len;

    if (sse->cr) {

        if (*p == '\n') {
            sse->crlf = 1;
            p++;
        }

        sse->cr = 0;

        rc = llm_sse_line(sse, NULL, 0, sse->offset + (size_t) (p - data));

        if (rc != 0) {
            return rc;
        }
    }

    memset(&eol, 0, sizeof(llm_sse_eol_t));

    while (p < last) {
        next = llm_sse_eol(sse, &eol, p, last);

        if (next == NULL) {
            last = eol.end;
            break;
        }

        rc = llm_sse_line(sse, p, (size_t) (eol.end - p),
                          sse->offset + (size_t) (next - data));
        if (rc != 0) {
            return rc;
        }

        p = next;
    }

    sse->offset += len;

    return llm_sse_keep(sse, p, (size_t) (last - p));
}


/*
 * Where the line ends, in eol->end, and where the next one begins; NULL when
 * this piece does not tell.  The next LF and the next CR are each looked for
 * once, so that streams with but one of them cost no more.
 */

static const unsigned char *
llm_sse_eol(llm_sse_t *sse, llm_sse_eol_t *eol, const unsigned char *p,
    const unsigned char *last)
{
    if (eol->lf == NULL || eol->lf < p) {
        eol->lf = memchr(p, '\n', (size_t) (last - p));
        eol->lf = eol->lf ? eol->lf : last;
    }

    if (eol->cr == NULL || eol->cr < p) {
        eol->cr = memchr(p, '\r', (size_t) (last - p));
        eol->cr = eol->cr ? eol->cr : last;
    }

    if (eol->lf < eol->cr) {
        eol->end = eol->lf;
        return eol->end + 1;
    }

    eol->end = eol->cr;

    if (eol->end == last) {
        return NULL;
    }

    if (eol->end + 1 == last) {
        sse->cr = 1;
        return NULL;
    }

    if (eol->end + 1 == eol->lf) {
        sse->crlf = 1;
        return eol->end + 2;
    }

    return eol->end + 1;
}


int
llm_sse_end(llm_sse_t *sse)
{
    if (!sse->cr || sse->crlf) {
        return 0;
    }

    sse->cr = 0;

    return llm_sse_line(sse, NULL, 0, sse->offset);
}


int
llm_sse_pending(const llm_sse_t *sse)
{
    return sse->cr || sse->line.len || sse->fields;
}


void
llm_sse_free(llm_sse_t *sse)
{
    llm_buf_free(&sse->line);
    llm_buf_free(&sse->name);
    llm_buf_free(&sse->data);
}


/* a line, or the rest of one; "next" is where the next line begins */

static int
llm_sse_line(llm_sse_t *sse, const unsigned char *p, size_t len, size_t next)
{
    int     rc;
    size_t  start;

    start = sse->line_start;
    sse->line_start = next;

    if (sse->line.len) {

        rc = llm_sse_add(sse, &sse->line, p, len);

        if (rc != 0) {
            return rc;
        }

        p = sse->line.data;
        len = sse->line.len;

        /* the bytes stay until llm_sse_keep() */
        sse->line.len = 0;

    } else if (len > sse->max) {
        return LLM_SSE_TOO_BIG;
    }

    if (!sse->first) {
        sse->first = 1;

        if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
            p += 3;
            len -= 3;
            start += 3;
            sse->start = start;
        }
    }

    if (len == 0) {
        rc = llm_sse_dispatch(sse, next);
        sse->start = next;
        return rc;
    }

    return llm_sse_field(sse, p, len, start);
}


static int
llm_sse_field(llm_sse_t *sse, const unsigned char *line, size_t len,
    size_t start)
{
    llm_str_t             name, value;
    const unsigned char  *colon;

    colon = memchr(line, ':', len);

    if (colon == line) {
        /* a comment */
        return 0;
    }

    sse->fields = 1;

    name.data = line;
    name.len = colon ? (size_t) (colon - line) : len;

    value.data = line + name.len + (colon ? 1 : 0);
    value.len = len - (size_t) (value.data - line);

    if (value.len && *value.data == ' ') {
        value.data++;
        value.len--;
    }

    if (llm_str_eq(name, "data", 4)) {
        return llm_sse_data(sse, value,
                            start + (size_t) (value.data - line));
    }

    if (llm_str_eq(name, "event", 5)) {
        sse->name.len = 0;
        return llm_sse_add(sse, &sse->name, value.data, value.len);
    }

    return 0;
}


static int
llm_sse_data(llm_sse_t *sse, llm_str_t value, size_t start)
{
    int  rc;

    if (sse->lines++ == 0) {
        sse->view = value;
        sse->data_start = start;
        sse->kept = 0;
        return 0;
    }

    sse->data_start = SIZE_MAX;

    if (!sse->kept) {
        sse->kept = 1;
        sse->data.len = 0;

        rc = llm_sse_add(sse, &sse->data, sse->view.data, sse->view.len);

        if (rc != 0) {
            return rc;
        }
    }

    rc = llm_sse_add(sse, &sse->data, "\n", 1);

    if (rc != 0) {
        return rc;
    }

    return llm_sse_add(sse, &sse->data, value.data, value.len);
}


static int
llm_sse_dispatch(llm_sse_t *sse, size_t end)
{
    int              rc;
    llm_sse_event_t  event;

    static const llm_str_t  empty = llm_string("");

    rc = 0;

    if (sse->lines || sse->name.len) {
        event.name.data = sse->name.data;
        event.name.len = sse->name.len;

        event.data.data = NULL;
        event.data.len = 0;

        if (sse->lines && sse->kept && sse->data.len) {
            event.data.data = sse->data.data;
            event.data.len = sse->data.len;

        } else if (sse->lines && sse->kept) {
            event.data = empty;

        } else if (sse->lines) {
            event.data = sse->view;
        }

        event.range.start = sse->start;
        event.range.end = end;
        event.data_start = sse->data_start;

        rc = sse->handler(sse->ctx, &event);
    }

    sse->lines = 0;
    sse->name.len = 0;
    sse->data_start = SIZE_MAX;
    sse->fields = 0;

    return rc;
}


/* at the end of a piece: what later pieces will need is copied */

static int
llm_sse_keep(llm_sse_t *sse, const unsigned char *p, size_t len)
{
    int  rc;

    if (sse->lines && !sse->kept) {
        sse->kept = 1;
        sse->data.len = 0;

        rc = llm_sse_add(sse, &sse->data, sse->view.data, sse->view.len);

        if (rc != 0) {
            return rc;
        }
    }

    return llm_sse_add(sse, &sse->line, p, len);
}


static int
llm_sse_add(llm_sse_t *sse, llm_buf_t *buf, const void *data, size_t len)
{
    if (len > sse->max - buf->len) {
        return LLM_SSE_TOO_BIG;
    }

    return llm_buf_add(buf, data, len) == 0 ? 0 : LLM_SSE_NOMEM;
}
