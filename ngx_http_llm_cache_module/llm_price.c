#include "llm_price.h"


#define LLM_PRICE_DECIMALS  6


static uint64_t llm_price_of(uint64_t price, int64_t tokens);


int
llm_price_parse(llm_str_t text, uint64_t *price)
{
    size_t    i;
    uint64_t  n;
    unsigned  digits, decimals, point;

    n = 0;
    digits = 0;
    decimals = 0;
    point = 0;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] == '.' && !point) {
            point = 1;
            continue;
        }

        if (text.data[i] < '0' || text.data[i] > '9') {
            return -1;
        }

        decimals += point;

        if (decimals > LLM_PRICE_DECIMALS || n > LLM_PRICE_MAX) {
            return -1;
        }

        n = n * 10 + (text.data[i] - '0');
        digits++;
    }

    if (digits == 0 || (point && decimals == 0)) {
        return -1;
    }

    for ( /* void */ ; decimals < LLM_PRICE_DECIMALS; decimals++) {

        if (n > LLM_PRICE_MAX) {
            return -1;
        }

        n *= 10;
    }

    *price = n;

    return n > LLM_PRICE_MAX ? -1 : 0;
}


int
llm_price_match(llm_str_t glob, llm_str_t text)
{
    int     star;
    size_t  g, t, after, from;

    star = 0;
    after = 0;
    from = 0;
    g = 0;
    t = 0;

    while (t < text.len) {

        if (g < glob.len && glob.data[g] == '*') {
            star = 1;
            after = ++g;
            from = t;

        } else if (g < glob.len
                   && (glob.data[g] == '?' || glob.data[g] == text.data[t]))
        {
            g++;
            t++;

        } else if (star) {

            /* the last star takes one byte more: earlier ones need not */

            g = after;
            t = ++from;

        } else {
            return 0;
        }
    }

    while (g < glob.len && glob.data[g] == '*') {
        g++;
    }

    return g == glob.len;
}


const llm_price_t *
llm_price_find(const llm_price_t *prices, size_t n, llm_str_t model)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (llm_price_match(prices[i].glob, model)) {
            return &prices[i];
        }
    }

    return NULL;
}


uint64_t
llm_price_cost(const llm_price_t *price, int64_t prompt, int64_t completion)
{
    return llm_price_of(price->prompt, prompt)
           + llm_price_of(price->completion, completion);
}


/* rounded; price times tokens would exceed 64 bits */

static uint64_t
llm_price_of(uint64_t price, int64_t tokens)
{
    uint64_t  n;

    if (tokens <= 0) {
        return 0;
    }

    n = (uint64_t) (tokens > INT32_MAX ? INT32_MAX : tokens);

    return price / 1000 * n + (price % 1000 * n + 500) / 1000;
}
