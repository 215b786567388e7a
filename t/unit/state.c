#include <stdlib.h>

#include "llm_state.h"
#include "tap.h"


#define RECORDS  5


static unsigned char  file[65536];
static size_t         file_len;


/* a record of that number: its length depends on it */

static llm_state_entry_t
sample(unsigned number, unsigned char *bytes)
{
    size_t             i;
    llm_record_t       rec;
    llm_state_entry_t  entry;

    memset(&rec, 0, sizeof(rec));
    memset(rec.key, (int) number + 1, sizeof(rec.key));

    rec.created = 1700000000;
    rec.expires = 1700003600;
    rec.body_len = number * 1000;
    rec.mark = LLM_RECORD_NO_MARK;
    rec.meta_len = (uint16_t) (number * 7);
    rec.status = 200;
    rec.form = LLM_FORM_JSON;

    llm_record_encode(&rec, bytes);

    memset(&entry, 0, sizeof(entry));
    memcpy(entry.key, rec.key, sizeof(entry.key));

    entry.created = rec.created;
    entry.expires = rec.expires;
    entry.used = 1700000100 + number;
    entry.frequency = number + 3;
    entry.weight = number * 100000;
    entry.asked = number & 1;
    entry.priority = 5000000000 + number;
    entry.len = LLM_RECORD_HEAD + rec.meta_len + rec.body_len;

    for (i = LLM_RECORD_HEAD; i < entry.len; i++) {
        bytes[i] = (unsigned char) (i * 31 + number);
    }

    return entry;
}


static void
make_file(unsigned records)
{
    unsigned            i;
    llm_str_t           data;
    unsigned char       bytes[8192], *p;
    llm_state_entry_t   entry;
    llm_state_writer_t  w;

    p = file;

    is_int(llm_state_begin(&w, 1700000200, p), 0, "a writer begins");
    p += LLM_STATE_HEAD;

    for (i = 0; i < records; i++) {
        entry = sample(i, bytes);

        llm_state_entry(&w, &entry, p);
        p += LLM_STATE_ENTRY;

        data.data = bytes;
        data.len = entry.len;

        llm_state_data(&w, data);
        memcpy(p, bytes, entry.len);
        p += entry.len;
    }

    is_int(llm_state_end(&w, p), 0, "a writer ends");
    p += LLM_STATE_TAIL;

    file_len = (size_t) (p - file);

    is_int((long long) w.length, (long long) file_len, "its length");
    llm_state_writer_free(&w);
}


static int
same_entry(const llm_state_entry_t *a, const llm_state_entry_t *b)
{
    return memcmp(a->key, b->key, sizeof(a->key)) == 0
           && a->created == b->created && a->expires == b->expires
           && a->used == b->used && a->frequency == b->frequency
           && a->weight == b->weight && a->asked == b->asked
           && a->priority == b->priority && a->len == b->len;
}


/*
 * Reads the file in pieces of that size.  *good: how many records were told
 * that are those of sample().
 */

static llm_state_e
read_file(size_t len, size_t piece_len, unsigned *good)
{
    size_t              at, got;
    llm_str_t           piece;
    llm_state_e         rc;
    unsigned char       bytes[8192], found[8192], *copy;
    llm_state_entry_t   entry;
    llm_state_reader_t  r;

    *good = 0;
    got = 0;
    rc = LLM_STATE_AGAIN;
    memset(&entry, 0, sizeof(entry));

    if (llm_state_reader_init(&r) != 0) {
        return LLM_STATE_FAILED;
    }

    for (at = 0; at < len && rc == LLM_STATE_AGAIN; /* void */ ) {

        /* a copy of its own size, for the sanitizer */

        piece.len = len - at < piece_len ? len - at : piece_len;
        at += piece.len;

        copy = malloc(piece.len);
        if (copy == NULL) {
            break;
        }

        memcpy(copy, file + at - piece.len, piece.len);
        piece.data = copy;

        do {
            rc = llm_state_read(&r, &piece);

            if (rc == LLM_STATE_RECORD) {
                entry = sample(r.entry.key[0] - 1U, bytes);
                got = 0;
            }

            if (rc == LLM_STATE_DATA) {
                memcpy(found + got, r.data.data, r.data.len);
                got += r.data.len;

                *good += got == entry.len && same_entry(&r.entry, &entry)
                         && memcmp(found, bytes, got) == 0;
            }

        } while (rc == LLM_STATE_RECORD || rc == LLM_STATE_DATA);

        free(copy);
    }

    llm_state_reader_free(&r);

    return rc;
}


static void
test_whole(void)
{
    size_t    i;
    unsigned  good;

    static const size_t  sizes[] = { 1, 2, 7, 96, 175, 176, 177, 4096, 65536 };

    make_file(RECORDS);

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        is_int(read_file(file_len, sizes[i], &good), LLM_STATE_DONE,
               "in pieces of %zu: complete", sizes[i]);
        is_int(good, RECORDS, "in pieces of %zu: the records", sizes[i]);
    }

    make_file(0);
    is_int(read_file(file_len, 5, &good), LLM_STATE_DONE, "no records");
    is_int(good, 0, "no records: none");
}


static void
test_torn(void)
{
    size_t       i, done;
    unsigned     good;
    llm_state_e  rc;

    make_file(RECORDS);

    for (done = 0, i = 0; i < file_len; i++) {
        rc = read_file(i, 512, &good);
        done += rc != LLM_STATE_AGAIN && rc != LLM_STATE_TORN;
    }

    is_int((long long) done, 0, "cut off anywhere: not complete");

    file[file_len] = 0;
    is_int(read_file(file_len + 1, 65536, &good), LLM_STATE_TORN,
           "a byte too many in the same piece");
    is_int(read_file(file_len + 1, file_len, &good), LLM_STATE_DONE,
           "a byte too many in another one is the caller's to see");
}


static void
test_flipped(void)
{
    size_t       i, done, foreign, version;
    unsigned     good;
    llm_state_e  rc;

    make_file(RECORDS);

    for (done = foreign = version = 0, i = 0; i < file_len; i++) {
        file[i] ^= 1 << (i % 8);

        rc = read_file(file_len, 1000, &good);
        done += rc == LLM_STATE_DONE;
        foreign += rc == LLM_STATE_FOREIGN;
        version += rc == LLM_STATE_VERSION_OTHER;

        file[i] ^= 1 << (i % 8);
    }

    is_int((long long) done, 0, "a bit flipped anywhere: not complete");
    is_int((long long) foreign, 8, "in the magic: foreign");
    is_int((long long) version, 4, "in the version: another one");
    is_int(read_file(file_len, 1000, &good), LLM_STATE_DONE, "flipped back");
}


static void
test_other(void)
{
    unsigned   good;
    llm_str_t  start;

    memset(file, 'x', 100);
    is_int(read_file(100, 3, &good), LLM_STATE_FOREIGN, "foreign");
    is_int(read_file(9, 3, &good), LLM_STATE_FOREIGN, "foreign and short");

    start.data = file;
    start.len = 8;
    is_int(llm_state_ours(start), 0, "ours: another file");
    start.len = 0;
    is_int(llm_state_ours(start), 1, "ours: an empty one");
    make_file(0);
    start.len = 8;
    is_int(llm_state_ours(start), 1, "ours: a state file");
    start.len = 3;
    is_int(llm_state_ours(start), 1, "ours: the beginning of one");
    file[2] = 'x';
    is_int(llm_state_ours(start), 0, "ours: a short other one");
}


static void
test_sound(void)
{
    unsigned char      bytes[8192];
    llm_state_entry_t  entry;

    entry = sample(2, bytes);
    is_int(llm_state_sound(&entry, bytes), 1, "sound");
    entry.len++;
    is_int(llm_state_sound(&entry, bytes), 0, "another length");
    entry = sample(2, bytes);
    entry.key[31] ^= 1;
    is_int(llm_state_sound(&entry, bytes), 0, "another key");
    entry = sample(2, bytes);
    entry.expires = UINT64_C(1) << 32;
    is_int(llm_state_sound(&entry, bytes), 0, "a time out of range");
    entry = sample(2, bytes);
    bytes[0] ^= 1;
    is_int(llm_state_sound(&entry, bytes), 0, "no record");
}


int
main(void)
{
    test_whole();
    test_torn();
    test_flipped();
    test_other();
    test_sound();

    return tap_done();
}
