#include <stdlib.h>
#include <string.h>

#include "llm_guard_core.h"


/* questions of a few words may differ by so many */
#define LLM_GUARD_FEW  2


typedef struct {
    unsigned              guard;
    llm_str_t             name;
} llm_guard_word_t;


static int llm_guard_length(const llm_guard_text_t *a,
    const llm_guard_text_t *b);
static int llm_guard_sequence(const llm_guard_text_t *a,
    const llm_guard_text_t *b, unsigned kinds);
static const llm_token_t *llm_guard_next(const llm_guard_text_t *text,
    size_t *i, unsigned kinds);
static int llm_guard_bag(const llm_guard_text_t *a,
    const llm_guard_text_t *b, uint32_t words);
static size_t llm_guard_collect(const llm_guard_text_t *text, uint32_t words,
    uint32_t *ids);
static int llm_guard_by_id(const void *one, const void *two);
static int llm_guard_names(const llm_guard_text_t *a,
    const llm_guard_text_t *b);
static int llm_guard_named(const llm_guard_text_t *text,
    const llm_token_t *name);
static int llm_guard_opposed(const llm_guard_text_t *a,
    const llm_guard_text_t *b);
static int llm_guard_negations(const llm_guard_text_t *a,
    const llm_guard_text_t *b);
static const llm_token_t *llm_guard_denied(const llm_guard_text_t *text,
    size_t *i);


static const llm_guard_word_t  llm_guard_names_of[] = {
    { LLM_GUARD_LENGTH, llm_string("length") },
    { LLM_GUARD_CODE, llm_string("code") },
    { LLM_GUARD_QUOTE, llm_string("quote") },
    { LLM_GUARD_NUMBER, llm_string("number") },
    { LLM_GUARD_DATE, llm_string("date") },
    { LLM_GUARD_UNIT, llm_string("unit") },
    { LLM_GUARD_NAME, llm_string("name") },
    { LLM_GUARD_NEGATION, llm_string("negation") },
    { LLM_GUARD_COMPARATIVE, llm_string("comparative") },
    { LLM_GUARD_QUESTION, llm_string("question") },
    { LLM_GUARD_DIRECTION, llm_string("direction") },
    { LLM_GUARD_WORDS, llm_string("words") },
    { 0, llm_null_string }
};


llm_guard_text_t *
llm_guard_read(llm_str_t data)
{
    llm_guard_text_t  *text;

    text = malloc(sizeof(llm_guard_text_t));
    if (text == NULL) {
        return NULL;
    }

    text->overflow = 0;
    text->question = 0;
    text->modals = 0;
    text->tenses = 0;
    text->n = 0;
    text->contents = 0;

    llm_guard_split(text, data);
    llm_guard_parse(text);

    return text;
}


void
llm_guard_free(llm_guard_text_t *text)
{
    free(text);
}


unsigned
llm_guard_check(const llm_guard_text_t *a, const llm_guard_text_t *b,
    unsigned guards)
{
    unsigned  failed;

    if ((guards & LLM_GUARD_LENGTH) && !llm_guard_length(a, b)) {
        return LLM_GUARD_LENGTH;
    }

    if ((guards & LLM_GUARD_CODE)
        && !llm_guard_sequence(a, b, 1u << LLM_TOKEN_CODE
                                     | 1u << LLM_TOKEN_SYMBOL))
    {
        return LLM_GUARD_CODE;
    }

    if ((guards & LLM_GUARD_QUOTE)
        && !llm_guard_sequence(a, b, 1u << LLM_TOKEN_QUOTE))
    {
        return LLM_GUARD_QUOTE;
    }

    if ((guards & LLM_GUARD_NUMBER)
        && !llm_guard_sequence(a, b, 1u << LLM_TOKEN_NUMBER))
    {
        return LLM_GUARD_NUMBER;
    }

    if ((guards & LLM_GUARD_DATE)
        && (a->tenses != b->tenses || !llm_guard_bag(a, b, LLM_WORD_DATE)))
    {
        return LLM_GUARD_DATE;
    }

    if ((guards & LLM_GUARD_UNIT) && !llm_guard_bag(a, b, LLM_WORD_UNIT)) {
        return LLM_GUARD_UNIT;
    }

    if ((guards & LLM_GUARD_NAME) && !llm_guard_names(a, b)) {
        return LLM_GUARD_NAME;
    }

    if ((guards & LLM_GUARD_NEGATION) && !llm_guard_negations(a, b)) {
        return LLM_GUARD_NEGATION;
    }

    if ((guards & LLM_GUARD_COMPARATIVE)
        && (!llm_guard_bag(a, b, LLM_WORD_POLAR)
            || llm_guard_opposed(a, b) || llm_guard_opposed(b, a)))
    {
        return LLM_GUARD_COMPARATIVE;
    }

    if ((guards & LLM_GUARD_QUESTION)
        && (a->question != b->question || a->modals != b->modals))
    {
        return LLM_GUARD_QUESTION;
    }

    /* who is whose misspelling depends on the side that one begins with */

    failed = llm_guard_order(a, b, guards);

    return failed ? failed : llm_guard_order(b, a, guards);
}


/* half as long, in words that say something */

static int
llm_guard_length(const llm_guard_text_t *a, const llm_guard_text_t *b)
{
    size_t  few, many;

    few = a->contents < b->contents ? a->contents : b->contents;
    many = a->contents + b->contents - few;

    return !a->overflow && !b->overflow && many <= 2 * few + LLM_GUARD_FEW
           && (few > 0 || many == 0);
}


/* the same tokens of some kinds, as they are spelt, in the same order */

static int
llm_guard_sequence(const llm_guard_text_t *a, const llm_guard_text_t *b,
    unsigned kinds)
{
    size_t              i, k;
    const llm_token_t  *one, *two;

    i = 0;
    k = 0;

    for ( ;; ) {
        one = llm_guard_next(a, &i, kinds);
        two = llm_guard_next(b, &k, kinds);

        if (one == NULL || two == NULL) {
            return one == two;
        }

        if (one->kind != two->kind || one->id != two->id
            || (one->kind != LLM_TOKEN_NUMBER
                && !llm_str_eq(one->raw, (const char *) two->raw.data,
                               two->raw.len)))
        {
            return 0;
        }
    }
}


static const llm_token_t *
llm_guard_next(const llm_guard_text_t *text, size_t *i, unsigned kinds)
{
    const llm_token_t  *token;

    while (*i < text->n) {
        token = &text->tokens[(*i)++];

        if (kinds & 1u << token->kind) {
            return token;
        }
    }

    return NULL;
}


/* the same words of a sort, as often, in any order */

static int
llm_guard_bag(const llm_guard_text_t *a, const llm_guard_text_t *b,
    uint32_t words)
{
    size_t    n;
    uint32_t  one[LLM_GUARD_TOKENS], two[LLM_GUARD_TOKENS];

    n = llm_guard_collect(a, words, one);

    return n == llm_guard_collect(b, words, two)
           && memcmp(one, two, n * sizeof(uint32_t)) == 0;
}


static size_t
llm_guard_collect(const llm_guard_text_t *text, uint32_t words,
    uint32_t *ids)
{
    size_t              i, n;
    const llm_token_t  *token;

    n = 0;

    for (i = 0; i < text->n; i++) {
        token = &text->tokens[i];

        if (token->kind == LLM_TOKEN_WORD && (token->words & words)) {
            ids[n++] = token->id;
        }
    }

    qsort(ids, n, sizeof(uint32_t), llm_guard_by_id);

    return n;
}


static int
llm_guard_by_id(const void *one, const void *two)
{
    uint32_t  a, b;

    a = *(const uint32_t *) one;
    b = *(const uint32_t *) two;

    return (a > b) - (a < b);
}


/* a name in one is a word of the other, if it should be spelt small there */

static int
llm_guard_names(const llm_guard_text_t *a, const llm_guard_text_t *b)
{
    size_t  i;

    for (i = 0; i < a->n; i++) {
        if (a->tokens[i].name && !llm_guard_named(b, &a->tokens[i])) {
            return 0;
        }
    }

    for (i = 0; i < b->n; i++) {
        if (b->tokens[i].name && !llm_guard_named(a, &b->tokens[i])) {
            return 0;
        }
    }

    return 1;
}


static int
llm_guard_named(const llm_guard_text_t *text, const llm_token_t *name)
{
    size_t              i;
    const llm_token_t  *token;

    for (i = 0; i < text->n; i++) {
        token = &text->tokens[i];

        if (token->kind == LLM_TOKEN_WORD && token->content
            && token->id == name->id && token->len == name->len
            && memcmp(token->word, name->word, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* a word of one text that the other has an opposite of, and not the word */

static int
llm_guard_opposed(const llm_guard_text_t *a, const llm_guard_text_t *b)
{
    int                 opposed;
    size_t              i, k;
    const llm_token_t  *one, *two;

    for (i = 0; i < a->n; i++) {
        one = &a->tokens[i];

        if (!(one->words & LLM_WORD_OPPOSITE)) {
            continue;
        }

        opposed = 0;

        for (k = 0; k < b->n; k++) {
            two = &b->tokens[k];

            if (!(two->words & LLM_WORD_OPPOSITE) || two->value != one->value)
            {
                continue;
            }

            if (two->side == one->side) {
                opposed = 0;
                break;
            }

            opposed = 1;
        }

        if (opposed) {
            return 1;
        }
    }

    return 0;
}


/* as many, and of the same things */

static int
llm_guard_negations(const llm_guard_text_t *a, const llm_guard_text_t *b)
{
    size_t              i, k;
    const llm_token_t  *one, *two;

    if (!llm_guard_bag(a, b, LLM_WORD_NEGATION)) {
        return 0;
    }

    i = 0;
    k = 0;

    for ( ;; ) {
        one = llm_guard_denied(a, &i);
        two = llm_guard_denied(b, &k);

        if (one == NULL || two == NULL) {
            return one == two;
        }

        if (!llm_guard_same(one, two)) {
            return 0;
        }
    }
}


/* the next negation's first word that says something, else the negation */

static const llm_token_t *
llm_guard_denied(const llm_guard_text_t *text, size_t *i)
{
    size_t              k;
    const llm_token_t  *token;

    while (*i < text->n) {
        token = &text->tokens[(*i)++];

        if (token->kind != LLM_TOKEN_WORD
            || !(token->words & LLM_WORD_NEGATION))
        {
            continue;
        }

        for (k = *i; k < text->n; k++) {
            if (text->tokens[k].content) {
                return &text->tokens[k];
            }
        }

        return token;
    }

    return NULL;
}


const char *
llm_guard_name(unsigned guard)
{
    const llm_guard_word_t  *word;

    for (word = llm_guard_names_of; word->guard; word++) {
        if (word->guard == guard) {
            return (const char *) word->name.data;
        }
    }

    return "";
}


unsigned
llm_guard_find(llm_str_t name)
{
    const llm_guard_word_t  *word;

    for (word = llm_guard_names_of; word->guard; word++) {
        if (llm_str_eq(word->name, (const char *) name.data, name.len)) {
            return word->guard;
        }
    }

    return 0;
}
