#include <stdio.h>
#include <string.h>

#include "llm_guard_core.h"


/* what is said before a question, and is none of it */

static const char *const  llm_guard_openings[] = {
    "can you please", "could you please", "would you please",
    "can you tell me", "could you tell me", "would you tell me",
    "can you explain", "could you explain", "can you show me",
    "could you show me", "can you help me", "could you help me",
    "please tell me", "tell me", "let me know", "show me", "explain to me",
    "explain", "describe", "i want to know", "i would like to know",
    "i like to know", "id like to know", "i need to know",
    "do you know", "does anyone know", "does anybody know",
    "can anyone tell me", "can somebody tell me", "can someone tell me",
    "i was wondering", "i am wondering", "im wondering", "i wonder",
    "just wondering", "may i ask", "may i know", "quick question",
    "please", "pls", "plz", "hi", "hello", "hey", "hi there",
    "hello there", "ok", "okay", "so", "also", "well", "kindly",
    NULL
};


static size_t llm_parse_opening(llm_guard_text_t *text);
static size_t llm_parse_match(const llm_guard_text_t *text, size_t at,
    const char *words);
static void llm_parse_numbers(llm_guard_text_t *text);
static int llm_parse_one(const llm_guard_text_t *text, size_t i);
static void llm_parse_number(llm_token_t *token, uint64_t value);
static int llm_parse_question(llm_guard_text_t *text, size_t from);
static void llm_parse_how(llm_guard_text_t *text, size_t i);
static void llm_parse_flags(llm_guard_text_t *text, size_t from);
static void llm_parse_contents(llm_guard_text_t *text, size_t from);
static void llm_parse_places(llm_guard_text_t *text);
static int llm_parse_is(const llm_guard_text_t *text, size_t i,
    const char *words);


void
llm_guard_parse(llm_guard_text_t *text)
{
    size_t  from;

    from = llm_parse_opening(text);

    llm_parse_numbers(text);
    llm_parse_flags(text, from);
    llm_parse_contents(text, from);
    llm_parse_places(text);

    if (!llm_parse_question(text, from)) {
        text->modals = 0;
        text->tenses = 0;
    }
}


/* the first token after all openings */

static size_t
llm_parse_opening(llm_guard_text_t *text)
{
    size_t       i, n, best, from;

    from = 0;

    do {
        best = 0;

        for (i = 0; llm_guard_openings[i]; i++) {
            n = llm_parse_match(text, from, llm_guard_openings[i]);

            if (n > best) {
                best = n;
            }
        }

        /* something has to be left */

        if (from + best >= text->n) {
            break;
        }

        from += best;

    } while (best);

    return from;
}


static size_t
llm_parse_match(const llm_guard_text_t *text, size_t at, const char *words)
{
    size_t              n, len;
    const llm_token_t  *token;

    for (n = 0; *words; n++) {

        if (at + n >= text->n) {
            return 0;
        }

        token = &text->tokens[at + n];
        len = strcspn(words, " ");

        if (token->kind != LLM_TOKEN_WORD || token->len != len
            || memcmp(token->word, words, len) != 0)
        {
            return 0;
        }

        words += len;
        words += (*words == ' ');
    }

    return n;
}


/* words that spell a number become the number */

static void
llm_parse_numbers(llm_guard_text_t *text)
{
    size_t        i, last;
    uint64_t      sum, value;
    llm_token_t  *token;

    last = text->n;
    sum = 0;

    for (i = 0; i < text->n; i++) {
        token = &text->tokens[i];

        if (token->kind != LLM_TOKEN_WORD || token->name
            || !(token->words & LLM_WORD_NUMBER) || !llm_parse_one(text, i))
        {
            last = text->n;
            continue;
        }

        value = token->value;

        /* "twenty five", "two hundred" */

        if (last < i && !(token->gap & LLM_GAP_COMMA)
            && ((token->words & LLM_WORD_SCALE)
                || (value < 10 && sum >= 20 && sum % 10 == 0)
                || (value < 100 && sum >= 100 && sum % 100 == 0)))
        {
            sum = token->words & LLM_WORD_SCALE ? sum * value : sum + value;

            /* the first token stands for all */

            token->kind = LLM_TOKEN_WORD;
            token->words = LLM_WORD_STOP;
            llm_parse_number(&text->tokens[last], sum);
            continue;
        }

        last = i;
        sum = value;
        llm_parse_number(token, value);
    }
}


/* "one" is often no number, and "second" a time */

static int
llm_parse_one(const llm_guard_text_t *text, size_t i)
{
    const llm_token_t  *token;

    token = &text->tokens[i];

    if (token->value == 1 && token->len == 3) {
        return !(i > 0
                 && llm_parse_is(text, i - 1,
                                 "which this that the any every no each some "
                                 "only good best another does do can should "
                                 "how"));
    }

    return 1;
}


static void
llm_parse_number(llm_token_t *token, uint64_t value)
{
    int   n;
    char  text[24];

    n = snprintf(text, sizeof(text), "%llu", (unsigned long long) value);

    token->kind = LLM_TOKEN_NUMBER;
    token->id = llm_guard_hash(text, (size_t) n);
    token->words = 0;
}


/* past, future, may and must; openings do not count */

static void
llm_parse_flags(llm_guard_text_t *text, size_t from)
{
    size_t              i;
    const llm_token_t  *token;

    for (i = from; i < text->n; i++) {
        token = &text->tokens[i];

        if (token->kind != LLM_TOKEN_WORD || token->name) {
            continue;
        }

        text->tenses |= token->words & (LLM_WORD_PAST|LLM_WORD_FUTURE);

        if (token->words & LLM_WORD_MODAL) {
            text->modals ^= token->id;
        }
    }
}


static void
llm_parse_contents(llm_guard_text_t *text, size_t from)
{
    size_t        i;
    llm_token_t  *token;

    for (i = 0; i < text->n; i++) {
        token = &text->tokens[i];

        if (i < from) {
            token->content = 0;
            token->name = 0;
            token->words = LLM_WORD_STOP;

        } else if (token->kind == LLM_TOKEN_WORD) {
            token->content = token->name
                             || !(token->words
                                  & (LLM_WORD_STOP|LLM_WORD_NEGATION
                                     |LLM_WORD_AND));

            if (i > from && llm_parse_is(text, i, "you")
                && llm_parse_is(text, i - 1, "thank"))
            {
                token->content = 0;
            }

        } else {
            token->content = (token->kind != LLM_TOKEN_SYMBOL);
        }
    }
}


/*
 * Whether it is one.  "What" stands for what says nothing too: "capital of
 * France?"
 */

static int
llm_parse_question(llm_guard_text_t *text, size_t from)
{
    size_t              i;
    const llm_token_t  *token;

    text->question = llm_guard_id("what");

    token = &text->tokens[from];

    if (from < text->n && token->kind == LLM_TOKEN_WORD
        && (token->words & LLM_WORD_AUX) && !token->name)
    {
        text->question = llm_guard_id("whether");
        return 1;
    }

    for (i = from; i < text->n; i++) {

        token = &text->tokens[i];

        if (token->kind != LLM_TOKEN_WORD || !(token->words & LLM_WORD_ASK)) {
            continue;
        }

        text->question = token->id;

        if (token->id == llm_guard_id("what")
            && llm_parse_is(text, i + 1, "year time date day month"))
        {
            text->question = llm_guard_id("when");
            text->tokens[i + 1].content = 0;
        }

        if (token->id == llm_guard_id("how")) {
            llm_parse_how(text, i);
        }

        return 1;
    }

    return 0;
}


/* how many, how long, ...; "how do I", "how can one" and "how to" are one */

static void
llm_parse_how(llm_guard_text_t *text, size_t i)
{
    llm_token_t  *token;

    if (i + 1 >= text->n) {
        return;
    }

    token = &text->tokens[i + 1];

    if (llm_parse_is(text, i + 1, "come")) {
        text->question = llm_guard_id("why");
        token->content = 0;
        return;
    }

    if (llm_parse_is(text, i + 1, "do can could should would does might to"))
    {
        text->modals = 0;

        if (llm_parse_is(text, i + 2, "i you we one someone people u")) {
            token[1].content = 0;
        }

        return;
    }

    if (token->kind == LLM_TOKEN_WORD && !(token->words & LLM_WORD_STOP)) {
        text->question ^= token->id;
    }
}


/* which preposition a word belongs to, where one stands in front of it */

static void
llm_parse_places(llm_guard_text_t *text)
{
    int           open;
    size_t        i;
    uint32_t      prep;
    llm_token_t  *token;

    prep = 0;
    open = 0;

    for (i = 0; i < text->n; i++) {
        token = &text->tokens[i];

        if (token->gap & (LLM_GAP_COMMA|LLM_GAP_SENTENCE)) {
            prep = 0;
        }

        if (token->kind == LLM_TOKEN_WORD && !token->name
            && (token->words & LLM_WORD_PREP))
        {
            prep = token->id;
            open = 1;
            continue;
        }

        if (token->content) {
            token->prep = token->possessive ? llm_guard_id("of") : prep;
            text->contents++;
            open = 0;
            continue;
        }

        /* an article in between, or "and" between two of them */

        if (!open && !(token->words & LLM_WORD_AND)) {
            prep = 0;
        }
    }
}


/* whether the token is one of these words */

static int
llm_parse_is(const llm_guard_text_t *text, size_t i, const char *words)
{
    size_t              len;
    const llm_token_t  *token;

    if (i >= text->n) {
        return 0;
    }

    token = &text->tokens[i];

    if (token->kind != LLM_TOKEN_WORD) {
        return 0;
    }

    while (*words) {
        len = strcspn(words, " ");

        if (token->len == len && memcmp(token->word, words, len) == 0) {
            return 1;
        }

        words += len;
        words += (*words == ' ');
    }

    return 0;
}
