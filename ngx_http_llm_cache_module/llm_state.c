#include "llm_bytes.h"
#include "llm_state.h"


/* where the fields stand: in the head */

#define LLM_STATE_AT_VERSION     8
#define LLM_STATE_AT_RESERVED    12
#define LLM_STATE_AT_TIME        16

/* in an entry, or the tail: a record of no length is none */

#define LLM_STATE_AT_LEN         0
#define LLM_STATE_AT_ASKED       4
#define LLM_STATE_AT_KEY         8
#define LLM_STATE_AT_CREATED     40
#define LLM_STATE_AT_EXPIRES     48
#define LLM_STATE_AT_USED        56
#define LLM_STATE_AT_FREQUENCY   64
#define LLM_STATE_AT_WEIGHT      68
#define LLM_STATE_AT_PRIORITY    72

#define LLM_STATE_AT_COUNT       8
#define LLM_STATE_AT_LENGTH      16
#define LLM_STATE_AT_SUM         24

#define LLM_STATE_MAGIC_LEN      (sizeof(LLM_STATE_MAGIC) - 1)


/* the parts of a file that the reader tells from one another */

enum {
    LLM_STATE_AT_HEAD = 0,
    LLM_STATE_AT_ENTRY,
    LLM_STATE_AT_RECORD,
    LLM_STATE_AT_BYTES,
    LLM_STATE_AT_TAIL,
    LLM_STATE_AT_END
};


static llm_state_e llm_state_read_head(llm_state_reader_t *r);
static llm_state_e llm_state_read_entry(llm_state_reader_t *r);
static llm_state_e llm_state_read_tail(llm_state_reader_t *r);
static llm_state_e llm_state_read_bytes(llm_state_reader_t *r,
    llm_str_t *piece);


int
llm_state_begin(llm_state_writer_t *w, uint64_t now, unsigned char *head)
{
    memset(w, 0, sizeof(llm_state_writer_t));

    w->sum = llm_sum_create();
    if (w->sum == NULL) {
        return -1;
    }

    memset(head, 0, LLM_STATE_HEAD);
    memcpy(head, LLM_STATE_MAGIC, LLM_STATE_MAGIC_LEN);

    llm_bytes_put(head + LLM_STATE_AT_VERSION, 4, LLM_STATE_VERSION);
    llm_bytes_put(head + LLM_STATE_AT_TIME, 8, now);

    w->length = LLM_STATE_HEAD;

    return llm_sum_add(w->sum, head, LLM_STATE_HEAD);
}


int
llm_state_entry(llm_state_writer_t *w, const llm_state_entry_t *entry,
    unsigned char *head)
{
    llm_bytes_put(head + LLM_STATE_AT_LEN, 4, entry->len);
    llm_bytes_put(head + LLM_STATE_AT_ASKED, 4, entry->asked);
    memcpy(head + LLM_STATE_AT_KEY, entry->key, LLM_KEY_LEN);
    llm_bytes_put(head + LLM_STATE_AT_CREATED, 8, entry->created);
    llm_bytes_put(head + LLM_STATE_AT_EXPIRES, 8, entry->expires);
    llm_bytes_put(head + LLM_STATE_AT_USED, 8, entry->used);
    llm_bytes_put(head + LLM_STATE_AT_FREQUENCY, 4, entry->frequency);
    llm_bytes_put(head + LLM_STATE_AT_WEIGHT, 4, entry->weight);
    llm_bytes_put(head + LLM_STATE_AT_PRIORITY, 8, entry->priority);

    w->count++;
    w->length += LLM_STATE_ENTRY;

    return llm_sum_add(w->sum, head, LLM_STATE_ENTRY);
}


int
llm_state_data(llm_state_writer_t *w, llm_str_t data)
{
    w->length += data.len;

    return llm_sum_add(w->sum, data.data, data.len);
}


int
llm_state_end(llm_state_writer_t *w, unsigned char *tail)
{
    w->length += LLM_STATE_TAIL;

    memset(tail, 0, LLM_STATE_TAIL);

    llm_bytes_put(tail + LLM_STATE_AT_COUNT, 8, w->count);
    llm_bytes_put(tail + LLM_STATE_AT_LENGTH, 8, w->length);

    if (llm_sum_add(w->sum, tail, LLM_STATE_AT_SUM) != 0) {
        return -1;
    }

    return llm_sum_end(w->sum, tail + LLM_STATE_AT_SUM);
}


void
llm_state_writer_free(llm_state_writer_t *w)
{
    llm_sum_free(w->sum);
    w->sum = NULL;
}


int
llm_state_sound(const llm_state_entry_t *entry, const unsigned char *record)
{
    llm_record_t  rec;

    return llm_record_decode(record, &rec) == 0
           && memcmp(rec.key, entry->key, LLM_KEY_LEN) == 0
           && entry->created <= UINT32_MAX
           && entry->expires <= UINT32_MAX
           && entry->used <= UINT32_MAX
           && entry->len == llm_record_len(&rec);
}


int
llm_state_reader_init(llm_state_reader_t *r)
{
    memset(r, 0, sizeof(llm_state_reader_t));

    r->sum = llm_sum_create();

    return r->sum ? 0 : -1;
}


void
llm_state_reader_free(llm_state_reader_t *r)
{
    llm_sum_free(r->sum);
    r->sum = NULL;
}


/* collects the first bytes of buf, up to so many; 0 when some are missing */

static int
llm_state_fill(llm_state_reader_t *r, llm_str_t *piece, unsigned size)
{
    size_t  n;

    n = size - r->n;

    if (n > piece->len) {
        n = piece->len;
    }

    if (n) {
        memcpy(r->buf + r->n, piece->data, n);

        r->n += (unsigned) n;
        piece->data += n;
        piece->len -= n;
    }

    return r->n == size;
}


llm_state_e
llm_state_read(llm_state_reader_t *r, llm_str_t *piece)
{
    llm_state_e  rc;

    static const unsigned  need[] = {
        LLM_STATE_HEAD,
        LLM_STATE_AT_KEY,
        LLM_STATE_ENTRY + LLM_RECORD_HEAD,
        0,
        LLM_STATE_TAIL
    };

    for ( ;; ) {

        if (r->at == LLM_STATE_AT_END) {
            return LLM_STATE_TORN;
        }

        if (r->at == LLM_STATE_AT_BYTES) {

            if (r->left) {
                return llm_state_read_bytes(r, piece);
            }

            r->at = LLM_STATE_AT_ENTRY;
            r->n = 0;
        }

        if (!llm_state_fill(r, piece, need[r->at])) {

            if (r->at == LLM_STATE_AT_HEAD
                && r->n >= LLM_STATE_MAGIC_LEN
                && memcmp(r->buf, LLM_STATE_MAGIC, LLM_STATE_MAGIC_LEN) != 0)
            {
                r->at = LLM_STATE_AT_END;
                return LLM_STATE_FOREIGN;
            }

            return LLM_STATE_AGAIN;
        }

        switch (r->at) {

        case LLM_STATE_AT_HEAD:
            rc = llm_state_read_head(r);
            break;

        case LLM_STATE_AT_ENTRY:
            rc = LLM_STATE_AGAIN;
            r->at = llm_bytes_get(r->buf + LLM_STATE_AT_LEN, 4)
                    ? LLM_STATE_AT_RECORD : LLM_STATE_AT_TAIL;
            break;

        case LLM_STATE_AT_RECORD:
            rc = llm_state_read_entry(r);
            break;

        default: /* LLM_STATE_AT_TAIL */
            rc = llm_state_read_tail(r);

            if (rc == LLM_STATE_DONE && piece->len) {
                rc = LLM_STATE_TORN;
            }
        }

        if (rc > LLM_STATE_DATA) {
            r->at = LLM_STATE_AT_END;
        }

        if (rc != LLM_STATE_AGAIN) {
            return rc;
        }
    }
}


/* some of a record's bytes: its head, which was looked at before, or others */

static llm_state_e
llm_state_read_bytes(llm_state_reader_t *r, llm_str_t *piece)
{
    if (r->n) {
        r->data.data = r->buf + LLM_STATE_ENTRY;
        r->data.len = LLM_RECORD_HEAD;
        r->left -= LLM_RECORD_HEAD;
        r->n = 0;

        return LLM_STATE_DATA;
    }

    if (piece->len == 0) {
        return LLM_STATE_AGAIN;
    }

    r->data.data = piece->data;
    r->data.len = piece->len < r->left ? piece->len : r->left;

    if (llm_sum_add(r->sum, r->data.data, r->data.len) != 0) {
        r->at = LLM_STATE_AT_END;
        return LLM_STATE_FAILED;
    }

    piece->data += r->data.len;
    piece->len -= r->data.len;
    r->left -= (uint32_t) r->data.len;
    r->length += r->data.len;

    return LLM_STATE_DATA;
}


static llm_state_e
llm_state_read_head(llm_state_reader_t *r)
{
    if (memcmp(r->buf, LLM_STATE_MAGIC, LLM_STATE_MAGIC_LEN) != 0) {
        return LLM_STATE_FOREIGN;
    }

    if (llm_bytes_get(r->buf + LLM_STATE_AT_VERSION, 4) != LLM_STATE_VERSION) {
        return LLM_STATE_VERSION_OTHER;
    }

    if (llm_bytes_get(r->buf + LLM_STATE_AT_RESERVED, 4) != 0) {
        return LLM_STATE_TORN;
    }

    if (llm_sum_add(r->sum, r->buf, LLM_STATE_HEAD) != 0) {
        return LLM_STATE_FAILED;
    }

    r->length = LLM_STATE_HEAD;
    r->at = LLM_STATE_AT_ENTRY;
    r->n = 0;

    return LLM_STATE_AGAIN;
}


static llm_state_e
llm_state_read_entry(llm_state_reader_t *r)
{
    llm_state_entry_t    *entry;
    const unsigned char  *p;

    p = r->buf;
    entry = &r->entry;

    entry->len = (uint32_t) llm_bytes_get(p + LLM_STATE_AT_LEN, 4);
    entry->asked = (uint32_t) llm_bytes_get(p + LLM_STATE_AT_ASKED, 4);
    memcpy(entry->key, p + LLM_STATE_AT_KEY, LLM_KEY_LEN);
    entry->created = llm_bytes_get(p + LLM_STATE_AT_CREATED, 8);
    entry->expires = llm_bytes_get(p + LLM_STATE_AT_EXPIRES, 8);
    entry->used = llm_bytes_get(p + LLM_STATE_AT_USED, 8);
    entry->frequency = (uint32_t) llm_bytes_get(p + LLM_STATE_AT_FREQUENCY, 4);
    entry->weight = (uint32_t) llm_bytes_get(p + LLM_STATE_AT_WEIGHT, 4);
    entry->priority = llm_bytes_get(p + LLM_STATE_AT_PRIORITY, 8);

    if (!llm_state_sound(entry, p + LLM_STATE_ENTRY)) {
        return LLM_STATE_TORN;
    }

    if (llm_sum_add(r->sum, p, sizeof(r->buf)) != 0) {
        return LLM_STATE_FAILED;
    }

    r->count++;
    r->length += sizeof(r->buf);
    r->left = entry->len;
    r->at = LLM_STATE_AT_BYTES;

    return LLM_STATE_RECORD;
}


static llm_state_e
llm_state_read_tail(llm_state_reader_t *r)
{
    unsigned char  sum[LLM_STATE_SUM];

    r->length += LLM_STATE_TAIL;

    if (llm_sum_add(r->sum, r->buf, LLM_STATE_AT_SUM) != 0
        || llm_sum_end(r->sum, sum) != 0)
    {
        return LLM_STATE_FAILED;
    }

    if (llm_bytes_get(r->buf + LLM_STATE_AT_COUNT, 8) != r->count
        || llm_bytes_get(r->buf + LLM_STATE_AT_LENGTH, 8) != r->length
        || memcmp(sum, r->buf + LLM_STATE_AT_SUM, LLM_STATE_SUM) != 0)
    {
        return LLM_STATE_TORN;
    }

    return LLM_STATE_DONE;
}


int
llm_state_ours(llm_str_t start)
{
    if (start.len > LLM_STATE_MAGIC_LEN) {
        start.len = LLM_STATE_MAGIC_LEN;
    }

    return start.len == 0
           || memcmp(start.data, LLM_STATE_MAGIC, start.len) == 0;
}


const char *
llm_state_reason(llm_state_e state)
{
    switch (state) {

    case LLM_STATE_FOREIGN:
        return "is not a state file";

    case LLM_STATE_VERSION_OTHER:
        return "was written by another version of the module";

    case LLM_STATE_FAILED:
        return "could not be read for lack of memory";

    default:
        return "is torn or damaged";
    }
}
