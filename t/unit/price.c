#include "llm_price.h"
#include "tap.h"


static llm_str_t
view(const char *text)
{
    llm_str_t  s;

    s.len = strlen(text);
    s.data = (const unsigned char *) text;

    return s;
}


static void
is_price(const char *text, uint64_t expected)
{
    uint64_t  price;

    is_int(llm_price_parse(view(text), &price), 0, "a price: %s", text);
    is_int((long) price, (long) expected, "what it says: %s", text);
}


static void
is_no_price(const char *text)
{
    uint64_t  price;

    is_int(llm_price_parse(view(text), &price), -1, "no price: %s", text);
}


static void
is_cost(const char *prompt, int64_t tokens, uint64_t expected)
{
    llm_price_t  price;

    price.completion = 0;

    (void) llm_price_parse(view(prompt), &price.prompt);
    is_int((long) llm_price_cost(&price, tokens, 0), (long) expected,
           "cost at %s", prompt);

    price.completion = price.prompt;
    price.prompt = 0;

    is_int((long) llm_price_cost(&price, -1, tokens), (long) expected,
           "cost at %s", prompt);
}


static void
test_prices(void)
{
    is_price("0", 0);
    is_price("2.5", 2500000);
    is_price("0.000001", 1);
    is_price(".5", 500000);
    is_price("15.000000", 15000000);
    is_price("1000000", 1000000000000);

    is_no_price("");
    is_no_price(".");
    is_no_price("1.");
    is_no_price("-1");
    is_no_price("1e3");
    is_no_price("1,5");
    is_no_price("1.2.3");
    is_no_price("0.0000001");
    is_no_price("1000000.000001");
    is_no_price("1000001");
    is_no_price("10000000000000000000");
    is_no_price("99999999999999999999999999999999999");
}


static void
test_globs(void)
{
    size_t  i;

    static const struct {
        const char  *glob;
        const char  *text;
        int          match;
    } tests[] = {
        { "", "", 1 }, { "", "a", 0 }, { "*", "", 1 }, { "*", "gpt-4o", 1 },
        { "gpt-4o", "gpt-4o", 1 }, { "gpt-4o", "gpt-4o-mini", 0 },
        { "gpt-4o", "GPT-4o", 0 }, { "gpt-4o*", "gpt-4o", 1 },
        { "gpt-4o*", "gpt-4o-mini", 1 }, { "gpt-4?", "gpt-4o", 1 },
        { "gpt-4?", "gpt-4", 0 }, { "?", "", 0 }, { "*o", "gpt-4o", 1 },
        { "*o", "gpt-4o-mini", 0 }, { "*/llama-*", "meta/llama-3", 1 },
        { "*/llama-*", "llama-3", 0 }, { "a*b*c", "aXbYbZc", 1 },
        { "a*b*c", "aXbYbZ", 0 }, { "**a**", "bab", 1 },
        { "a*ab", "aaab", 1 }, { "[a]", "a", 0 },
        { "*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0 }
    };

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        is_int(llm_price_match(view(tests[i].glob), view(tests[i].text)),
               tests[i].match, "glob: %s", tests[i].glob);
    }
}


static void
test_costs(void)
{
    is_cost("2.5", 1000, 2500000);
    is_cost("0.15", 1, 150);
    is_cost("0.000001", 1000, 1);
    is_cost("0.000001", 499, 0);
    is_cost("0.000001", 500, 1);
    is_cost("2.5", 0, 0);
    is_cost("2.5", -7, 0);
    is_cost("1000000", INT32_MAX, UINT64_C(2147483647000000000));
    is_cost("1000000", INT64_MAX, UINT64_C(2147483647000000000));
}


static void
test_order(void)
{
    llm_price_t  prices[2];

    prices[0].glob = view("gpt-4o-mini*");
    prices[1].glob = view("gpt-4o*");

    ok(llm_price_find(prices, 2, view("gpt-4o-mini")) == &prices[0],
       "the first that matches");
    ok(llm_price_find(prices, 2, view("gpt-4o")) == &prices[1], "the second");
    ok(llm_price_find(prices, 2, view("claude")) == NULL, "none");
    ok(llm_price_find(NULL, 0, view("claude")) == NULL, "none of none");
}


int
main(void)
{
    test_prices();
    test_globs();
    test_costs();
    test_order();

    return tap_done();
}
