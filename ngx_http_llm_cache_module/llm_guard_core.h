/*
 * What the llm_guard*.c files share, and nobody else includes.
 */


#ifndef _LLM_GUARD_CORE_H_INCLUDED_
#define _LLM_GUARD_CORE_H_INCLUDED_


#include "llm_guard.h"


/* a text with more tokens passes no LLM_GUARD_LENGTH */
#define LLM_GUARD_TOKENS  512

#define LLM_GUARD_WORD    48            /* a longer word is cut */


typedef enum {
    LLM_TOKEN_WORD = 0,
    LLM_TOKEN_NUMBER,
    LLM_TOKEN_SYMBOL,
    LLM_TOKEN_QUOTE,
    LLM_TOKEN_CODE
} llm_token_e;


/* what words are; a word may be several of them */

#define LLM_WORD_STOP      0x0001       /* says nothing */
#define LLM_WORD_NUMBER    0x0002
#define LLM_WORD_SCALE     0x0004       /* hundred, thousand */
#define LLM_WORD_DATE      0x0008
#define LLM_WORD_UNIT      0x0010
#define LLM_WORD_NEGATION  0x0020
#define LLM_WORD_POLAR     0x0040       /* comparatives and opposites */
#define LLM_WORD_PREP      0x0080       /* a preposition */
#define LLM_WORD_HARD      0x0100       /* one that is no other's synonym */
#define LLM_WORD_AND       0x0200       /* joins a list */
#define LLM_WORD_AUX       0x0400       /* begins a question of yes or no */
#define LLM_WORD_PAST      0x0800
#define LLM_WORD_FUTURE    0x1000
#define LLM_WORD_MODAL     0x2000
#define LLM_WORD_ASK       0x4000       /* who, what, ... */
#define LLM_WORD_CONFUSED  0x8000       /* a typo away from another word */
#define LLM_WORD_OPPOSITE  0x10000      /* has opposites */


typedef struct {
    llm_str_t             raw;          /* in the text */
    uint32_t              id;           /* of the word or its synonyms */
    uint32_t              value;        /* a number; its opposites' id */
    uint32_t              side;         /* which of the opposites */
    uint32_t              words;        /* LLM_WORD_* */
    uint32_t              prep;         /* the preposition it belongs to */
    uint16_t              gap;          /* LLM_GAP_* in front */
    uint8_t               kind;         /* llm_token_e */
    uint8_t               len;          /* of the folded word */
    unsigned              name:1;
    unsigned              whole:1;      /* an identifier: no typos */
    unsigned              ordinal:1;
    unsigned              possessive:1;
    unsigned              content:1;    /* says something */
    unsigned char         word[LLM_GUARD_WORD];
} llm_token_t;


#define LLM_GAP_SPACE     0x01
#define LLM_GAP_COMMA     0x02
#define LLM_GAP_SENTENCE  0x04


struct llm_guard_text_s {
    unsigned              overflow:1;
    uint32_t              question;     /* its type */
    uint32_t              modals;
    uint32_t              tenses;
    size_t                n;
    size_t                contents;
    llm_token_t           tokens[LLM_GUARD_TOKENS];
};


/* llm_guard_words.c */

uint32_t llm_guard_hash(const void *data, size_t len);

/* fills in what a token's word is */

void llm_guard_lookup(llm_token_t *token);

/* the id of a word that is known to be there */

uint32_t llm_guard_id(const char *word);

/* whether two words that are unequal are one, misspelt */

int llm_guard_typo(const llm_token_t *a, const llm_token_t *b);

/* whether one word is the other with "un" or the like in front */

int llm_guard_opposite(const llm_token_t *a, const llm_token_t *b);


/* llm_guard_token.c: splits the text, with what each word is by itself */

void llm_guard_split(llm_guard_text_t *text, llm_str_t data);


/* llm_guard_parse.c: numbers, kinds of questions, what belongs to what */

void llm_guard_parse(llm_guard_text_t *text);


/* llm_guard_order.c: the guards that compare words and their order */

int llm_guard_same(const llm_token_t *a, const llm_token_t *b);
unsigned llm_guard_order(const llm_guard_text_t *a, const llm_guard_text_t *b,
    unsigned guards);


#endif /* _LLM_GUARD_CORE_H_INCLUDED_ */
