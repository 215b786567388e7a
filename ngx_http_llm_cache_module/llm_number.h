/*
 * The grammar of JSON numbers (RFC 8259, 6), one byte at a time.
 */


#ifndef _LLM_NUMBER_H_INCLUDED_
#define _LLM_NUMBER_H_INCLUDED_


typedef enum {
    LLM_NUMBER_END = 0,            /* the byte belongs to it no more */
    LLM_NUMBER_MINUS,
    LLM_NUMBER_ZERO,
    LLM_NUMBER_INT,
    LLM_NUMBER_POINT,
    LLM_NUMBER_FRACTION,
    LLM_NUMBER_EXP,
    LLM_NUMBER_EXP_SIGN,
    LLM_NUMBER_EXP_DIGITS
} llm_number_e;


/* where any number of digits may follow */

static inline int
llm_number_digits(llm_number_e state)
{
    return state == LLM_NUMBER_INT || state == LLM_NUMBER_FRACTION
           || state == LLM_NUMBER_EXP_DIGITS;
}


/* where a number may end */

static inline int
llm_number_whole(llm_number_e state)
{
    return state == LLM_NUMBER_ZERO || llm_number_digits(state);
}


static inline llm_number_e
llm_number_first(unsigned char c)
{
    return c == '-' ? LLM_NUMBER_MINUS
           : c == '0' ? LLM_NUMBER_ZERO
           : (c >= '1' && c <= '9') ? LLM_NUMBER_INT : LLM_NUMBER_END;
}


static inline llm_number_e
llm_number_next(llm_number_e state, unsigned char c)
{
    if (c >= '0' && c <= '9') {

        switch (state) {

        case LLM_NUMBER_MINUS:
            return c == '0' ? LLM_NUMBER_ZERO : LLM_NUMBER_INT;

        case LLM_NUMBER_POINT:
            return LLM_NUMBER_FRACTION;

        case LLM_NUMBER_EXP:
        case LLM_NUMBER_EXP_SIGN:
            return LLM_NUMBER_EXP_DIGITS;

        default:
            return llm_number_digits(state) ? state : LLM_NUMBER_END;
        }
    }

    if (c == '.') {
        return (state == LLM_NUMBER_ZERO || state == LLM_NUMBER_INT)
               ? LLM_NUMBER_POINT : LLM_NUMBER_END;
    }

    if (c == 'e' || c == 'E') {
        return (llm_number_whole(state) && state != LLM_NUMBER_EXP_DIGITS)
               ? LLM_NUMBER_EXP : LLM_NUMBER_END;
    }

    if (c == '+' || c == '-') {
        return state == LLM_NUMBER_EXP ? LLM_NUMBER_EXP_SIGN : LLM_NUMBER_END;
    }

    return LLM_NUMBER_END;
}


#endif /* _LLM_NUMBER_H_INCLUDED_ */
