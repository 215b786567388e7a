/* Integers of stored forms: little-endian, of 1 to 8 bytes. */


#ifndef _LLM_BYTES_H_INCLUDED_
#define _LLM_BYTES_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


static inline void
llm_bytes_put(unsigned char *p, size_t size, uint64_t value)
{
    size_t  i;

    for (i = 0; i < size; i++) {
        p[i] = (unsigned char) (value >> (8 * i));
    }
}


static inline uint64_t
llm_bytes_get(const unsigned char *p, size_t size)
{
    size_t    i;
    uint64_t  value;

    value = 0;

    for (i = 0; i < size; i++) {
        value |= (uint64_t) p[i] << (8 * i);
    }

    return value;
}


#endif /* _LLM_BYTES_H_INCLUDED_ */
