#include <string.h>

#include "llm_guard_core.h"


#define LLM_ORDER_NONE    UINT16_MAX

/* so many of a text's words make it nearly the same: 3 of 4 */
#define LLM_ORDER_NEARLY  3
#define LLM_ORDER_PART    4


/* tokens that say something, and what each is in the other text */

typedef struct {
    size_t                n;
    const llm_token_t    *tokens[LLM_GUARD_TOKENS];
    uint16_t              lists[LLM_GUARD_TOKENS];
    uint16_t              other[LLM_GUARD_TOKENS];
} llm_order_side_t;


static void llm_order_gather(const llm_guard_text_t *text,
    llm_order_side_t *side);
static void llm_order_match(llm_order_side_t *a, llm_order_side_t *b,
    int typos);
static int llm_order_opposites(const llm_order_side_t *a,
    const llm_order_side_t *b);
static int llm_order_matched(const llm_order_side_t *side);
static int llm_order_direction(const llm_order_side_t *a,
    const llm_order_side_t *b);
static int llm_order_places(const llm_token_t *a, const llm_token_t *b);
static int llm_order_hard(uint32_t prep);
static int llm_order_may_swap(const llm_order_side_t *a,
    const llm_order_side_t *b, size_t i, size_t k);


int
llm_guard_same(const llm_token_t *a, const llm_token_t *b)
{
    if (a->kind != b->kind) {
        return 0;
    }

    return a->id == b->id
           || (a->kind == LLM_TOKEN_WORD && llm_guard_typo(a, b));
}


unsigned
llm_guard_order(const llm_guard_text_t *a, const llm_guard_text_t *b,
    unsigned guards)
{
    llm_order_side_t  one, two;

    if (!(guards & (LLM_GUARD_NEGATION|LLM_GUARD_DIRECTION|LLM_GUARD_WORDS)))
    {
        return 0;
    }

    llm_order_gather(a, &one);
    llm_order_gather(b, &two);

    llm_order_match(&one, &two, 0);
    llm_order_match(&one, &two, 1);

    if ((guards & LLM_GUARD_NEGATION)
        && (llm_order_opposites(&one, &two)
            || llm_order_opposites(&two, &one)))
    {
        return LLM_GUARD_NEGATION;
    }

    if ((guards & LLM_GUARD_DIRECTION) && !llm_order_direction(&one, &two)) {
        return LLM_GUARD_DIRECTION;
    }

    if ((guards & LLM_GUARD_WORDS)
        && (!llm_order_matched(&one) || !llm_order_matched(&two)))
    {
        return LLM_GUARD_WORDS;
    }

    return 0;
}


/* words of one list have the same number: commas or "and" between them */

static void
llm_order_gather(const llm_guard_text_t *text, llm_order_side_t *side)
{
    int                 joined;
    size_t              i;
    uint16_t            list;
    const llm_token_t  *token;

    side->n = 0;
    list = 0;
    joined = 0;

    for (i = 0; i < text->n; i++) {
        token = &text->tokens[i];

        if (token->kind == LLM_TOKEN_WORD && (token->words & LLM_WORD_AND)) {
            joined = 1;
            continue;
        }

        if (token->gap & LLM_GAP_COMMA) {
            joined = 1;
        }

        if (token->kind == LLM_TOKEN_WORD && !token->content) {

            if (token->words & (LLM_WORD_AUX|LLM_WORD_ASK|LLM_WORD_PREP
                                |LLM_WORD_NEGATION))
            {
                joined = 0;
                list++;
            }

            continue;
        }

        if (!token->content) {
            continue;
        }

        if (!joined) {
            list++;
        }

        side->tokens[side->n] = token;
        side->lists[side->n] = list;
        side->other[side->n] = LLM_ORDER_NONE;
        side->n++;

        joined = 0;
    }
}


/* the first of a kind is the first of it in the other text, and so on */

static void
llm_order_match(llm_order_side_t *a, llm_order_side_t *b, int typos)
{
    size_t  i, k;

    for (i = 0; i < a->n; i++) {

        if (a->other[i] != LLM_ORDER_NONE) {
            continue;
        }

        for (k = 0; k < b->n; k++) {

            if (b->other[k] == LLM_ORDER_NONE
                && a->tokens[i]->kind == b->tokens[k]->kind
                && (typos ? llm_guard_same(a->tokens[i], b->tokens[k])
                          : a->tokens[i]->id == b->tokens[k]->id))
            {
                a->other[i] = (uint16_t) k;
                b->other[k] = (uint16_t) i;
                break;
            }
        }
    }
}


/* "possible" and "impossible" */

static int
llm_order_opposites(const llm_order_side_t *a, const llm_order_side_t *b)
{
    size_t  i, k;

    for (i = 0; i < a->n; i++) {

        if (a->other[i] != LLM_ORDER_NONE
            || a->tokens[i]->kind != LLM_TOKEN_WORD)
        {
            continue;
        }

        for (k = 0; k < b->n; k++) {
            if (b->other[k] == LLM_ORDER_NONE
                && b->tokens[k]->kind == LLM_TOKEN_WORD
                && llm_guard_opposite(a->tokens[i], b->tokens[k]))
            {
                return 1;
            }
        }
    }

    return 0;
}


/* a word that is said again need not be */

static int
llm_order_matched(const llm_order_side_t *side)
{
    size_t  i, k;

    for (i = 0; i < side->n; i++) {

        if (side->other[i] != LLM_ORDER_NONE) {
            continue;
        }

        for (k = 0; k < side->n; k++) {
            if (k != i && side->other[k] != LLM_ORDER_NONE
                && llm_guard_same(side->tokens[i], side->tokens[k]))
            {
                break;
            }
        }

        if (k == side->n) {
            return 0;
        }
    }

    return 1;
}


static int
llm_order_direction(const llm_order_side_t *a, const llm_order_side_t *b)
{
    int     nearly;
    size_t  i, k;

    /* texts of other words may have another order; the same words may not */

    nearly = 0;

    for (i = 0; i < a->n; i++) {
        nearly += (a->other[i] != LLM_ORDER_NONE);
    }

    nearly = (size_t) nearly * LLM_ORDER_PART
             >= (a->n > b->n ? a->n : b->n) * LLM_ORDER_NEARLY;

    for (i = 0; i < a->n; i++) {

        if (a->other[i] == LLM_ORDER_NONE) {
            continue;
        }

        if (!llm_order_places(a->tokens[i], b->tokens[a->other[i]])) {
            return 0;
        }

        for (k = i + 1; k < a->n; k++) {

            if (a->other[k] != LLM_ORDER_NONE
                && a->other[k] < a->other[i]
                && (nearly || (a->tokens[i]->name && a->tokens[k]->name))
                && !llm_order_may_swap(a, b, i, k))
            {
                return 0;
            }
        }
    }

    return 1;
}


/* "from Rome" is not "to Rome" */

static int
llm_order_places(const llm_token_t *a, const llm_token_t *b)
{
    return a->prep == 0 || b->prep == 0 || a->prep == b->prep
           || (!llm_order_hard(a->prep) && !llm_order_hard(b->prep));
}


static int
llm_order_hard(uint32_t prep)
{
    size_t  i;

    static const char *const  soft[] = {
        "of", "in", "on", "at", "about", "for", "within", "inside", "during",
        "near", "around", "among", "like", "regarding", "concerning", NULL
    };

    for (i = 0; soft[i]; i++) {
        if (llm_guard_id(soft[i]) == prep) {
            return 0;
        }
    }

    return 1;
}


/*
 * Two words may change places in a list, or where one of them belongs to the
 * same preposition in both texts.
 */

static int
llm_order_may_swap(const llm_order_side_t *a, const llm_order_side_t *b,
    size_t i, size_t k)
{
    size_t  p, q;

    p = a->other[i];
    q = a->other[k];

    if (a->lists[i] == a->lists[k] && b->lists[p] == b->lists[q]) {
        return 1;
    }

    return (a->tokens[i]->prep
            && a->tokens[i]->prep == b->tokens[p]->prep)
           != (a->tokens[k]->prep
               && a->tokens[k]->prep == b->tokens[q]->prep)
           || (a->tokens[i]->prep && a->tokens[k]->prep
               && a->tokens[i]->prep != a->tokens[k]->prep
               && a->tokens[i]->prep == b->tokens[p]->prep
               && a->tokens[k]->prep == b->tokens[q]->prep);
}
