#include "llm_redis_slots.h"


static int llm_redis_digits(const unsigned char **p, const unsigned char *last,
    unsigned max, unsigned *n);


/* CRC-16/XMODEM, four bits at a time */

static unsigned
llm_redis_crc16(const unsigned char *p, size_t len)
{
    size_t    i;
    unsigned  crc;

    static const unsigned short  table[16] = {
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
        0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef
    };

    crc = 0;

    for (i = 0; i < len; i++) {
        crc = ((crc << 4) ^ table[(crc >> 12) ^ (p[i] >> 4)]) & 0xffff;
        crc = ((crc << 4) ^ table[(crc >> 12) ^ (p[i] & 0x0f)]) & 0xffff;
    }

    return crc;
}


unsigned
llm_redis_slot(llm_str_t key)
{
    const unsigned char  *open, *close;

    open = key.len ? memchr(key.data, '{', key.len) : NULL;

    if (open) {
        open++;
        close = memchr(open, '}', (size_t) (key.data + key.len - open));

        if (close && close != open) {
            return llm_redis_crc16(open, (size_t) (close - open))
                   % LLM_REDIS_SLOTS;
        }
    }

    return llm_redis_crc16(key.data, key.len) % LLM_REDIS_SLOTS;
}


llm_redis_move_e
llm_redis_move(llm_str_t error, llm_redis_move_t *move)
{
    llm_redis_move_e      kind;
    const unsigned char  *p, *last, *colon;

    p = error.data;
    last = p + error.len;

    if (error.len > 6 && memcmp(p, "MOVED ", 6) == 0) {
        kind = LLM_REDIS_MOVED;
        p += 6;

    } else if (error.len > 4 && memcmp(p, "ASK ", 4) == 0) {
        kind = LLM_REDIS_ASK;
        p += 4;

    } else {
        return LLM_REDIS_STAY;
    }

    if (llm_redis_digits(&p, last, LLM_REDIS_SLOTS - 1, &move->slot) != 0
        || p == last || *p++ != ' ')
    {
        return LLM_REDIS_STAY;
    }

    /* an IPv6 address has colons too, and no brackets */

    for (colon = last; colon > p && colon[-1] != ':'; colon--) { /* void */ }

    if (colon == p) {
        return LLM_REDIS_STAY;
    }

    move->host.data = p;
    move->host.len = (size_t) (colon - 1 - p);

    if (memchr(p, ' ', (size_t) (last - p))
        || llm_redis_digits(&colon, last, 65535, &move->port) != 0
        || colon != last || move->port == 0)
    {
        return LLM_REDIS_STAY;
    }

    /* a node that does not know its own name says so by "?" */

    if (llm_str_eq(move->host, "?", 1)) {
        move->host.len = 0;
    }

    return kind;
}


static int
llm_redis_digits(const unsigned char **p, const unsigned char *last,
    unsigned max, unsigned *n)
{
    const unsigned char  *start;

    *n = 0;

    for (start = *p; *p < last && **p >= '0' && **p <= '9'; (*p)++) {

        *n = *n * 10 + (unsigned) (**p - '0');

        if (*n > max) {
            return -1;
        }
    }

    return *p == start ? -1 : 0;
}
