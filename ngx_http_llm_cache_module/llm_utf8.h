/*
 * UTF-8: a checker that takes one byte at a time, and a writer.
 */


#ifndef _LLM_UTF8_H_INCLUDED_
#define _LLM_UTF8_H_INCLUDED_


#include "llm_core.h"


typedef struct {
    unsigned char         need;        /* bytes that must still come */
    unsigned char         least;       /* bounds of the next one */
    unsigned char         most;
} llm_utf8_t;


/* the first byte of a character that is not ASCII: 1, or 0 when none begins
   so (Unicode 15, table 3-7) */

static inline int
llm_utf8_lead(llm_utf8_t *utf8, unsigned char c)
{
    if (c < 0xc2 || c > 0xf4) {
        return 0;
    }

    utf8->least = (c == 0xe0) ? 0xa0 : (c == 0xf0) ? 0x90 : 0x80;
    utf8->most = (c == 0xed) ? 0x9f : (c == 0xf4) ? 0x8f : 0xbf;
    utf8->need = (c < 0xe0) ? 1 : (c < 0xf0) ? 2 : 3;

    return 1;
}


/* a byte that follows, while "need" is not 0: 1, or 0 when it is wrong */

static inline int
llm_utf8_next(llm_utf8_t *utf8, unsigned char c)
{
    if (c < utf8->least || c > utf8->most) {
        return 0;
    }

    utf8->least = 0x80;
    utf8->most = 0xbf;
    utf8->need--;

    return 1;
}


/* writes 1 to 4 bytes and returns how many; a lone surrogate is written as
   the three bytes that its number spells, which no valid text holds */

static inline size_t
llm_utf8_encode(uint32_t code, unsigned char *out)
{
    if (code < 0x80) {
        out[0] = (unsigned char) code;
        return 1;
    }

    if (code < 0x800) {
        out[0] = (unsigned char) (0xc0 | (code >> 6));
        out[1] = (unsigned char) (0x80 | (code & 0x3f));
        return 2;
    }

    if (code < 0x10000) {
        out[0] = (unsigned char) (0xe0 | (code >> 12));
        out[1] = (unsigned char) (0x80 | ((code >> 6) & 0x3f));
        out[2] = (unsigned char) (0x80 | (code & 0x3f));
        return 3;
    }

    out[0] = (unsigned char) (0xf0 | (code >> 18));
    out[1] = (unsigned char) (0x80 | ((code >> 12) & 0x3f));
    out[2] = (unsigned char) (0x80 | ((code >> 6) & 0x3f));
    out[3] = (unsigned char) (0x80 | (code & 0x3f));

    return 4;
}


#endif /* _LLM_UTF8_H_INCLUDED_ */
