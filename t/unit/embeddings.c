#include <stdlib.h>

#include "llm_embeddings.h"
#include "tap.h"


static llm_str_t
str(const char *s)
{
    llm_str_t  v;

    v.data = (const unsigned char *) s;
    v.len = strlen(s);

    return v;
}


static void
copy(void *data, size_t offset, unsigned char *p, size_t len)
{
    memcpy(p, ((llm_str_t *) data)->data + offset, len);
}


/* the inputs as they are spelled, each with its weight */

static void
reads(llm_dialect_e id, const char *body, const char *inputs)
{
    int               rc;
    char              text[512];
    size_t            i, n;
    llm_embeddings_t  ask;

    memset(&ask, 0, sizeof(llm_embeddings_t));

    rc = llm_embeddings_read(llm_dialect_get(id), str(body), NULL, &ask);

    for (i = 0, n = 0, text[0] = '\0'; rc == 1 && i < ask.n; i++) {
        n += (size_t) snprintf(text + n, sizeof(text) - n, "%.*s*%u ",
                               (int) (ask.inputs[i].end
                                      - ask.inputs[i].start),
                               body + ask.inputs[i].start, ask.weights[i]);
    }

    if (!ok(strcmp(text, inputs) == 0, "%s", body)) {
        printf("#   %d: %s\n", rc, text);
    }

    llm_embeddings_free(&ask);
}


static llm_embeddings_cut_t *
cut_of(llm_dialect_e id, size_t n, llm_str_t *text, const uint32_t *weights)
{
    llm_embeddings_cut_t  *cut;

    cut = llm_embeddings_cut_create(llm_dialect_get(id), n);

    if (llm_embeddings_cut_feed(cut, text->data, text->len) != 0
        || llm_embeddings_cut_end(cut, copy, text, weights) != 0)
    {
        llm_embeddings_cut_free(cut);
        return NULL;
    }

    return cut;
}


/* the answers to each of two inputs; NULL: it is not cut */

static void
cuts(llm_dialect_e id, const char *answer, const char *one, const char *two)
{
    int                      i, same;
    llm_str_t                text;
    llm_buf_t                body;
    const char              *expected[2] = { one, two };
    llm_embeddings_cut_t    *cut;
    llm_embeddings_table_t   table;

    static const uint32_t  weights[] = { 1, 3 };

    text = str(answer);
    cut = cut_of(id, 2, &text, weights);

    /* a name is one line */

    ok((cut != NULL) == (one != NULL), "%scut: %.*s", one ? "" : "not ",
       (int) strcspn(answer, "\n"), answer);

    for (i = 0; cut && one && i < 2; i++) {
        memset(&body, 0, sizeof(llm_buf_t));

        same = llm_embeddings_cut_one(cut, copy, &text, (size_t) i, &body,
                                      &table)
               == 0
               && body.len == strlen(expected[i])
               && memcmp(body.data, expected[i], body.len) == 0;

        if (!ok(same, "input %d of it", i)) {
            printf("#   %.*s\n", (int) body.len, (char *) body.data);
        }

        llm_buf_free(&body);
    }

    llm_embeddings_cut_free(cut);
}


/* what each of three inputs costs */

static void
costs(int tokens, uint32_t a, uint32_t b, uint32_t c, const char *expected)
{
    char                   answer[256], text[64];
    uint32_t               weights[3];
    llm_str_t              body;
    llm_embeddings_cut_t  *cut;

    weights[0] = a;
    weights[1] = b;
    weights[2] = c;

    snprintf(answer, sizeof(answer), "{\"model\":\"m\",\"embeddings\":[[1],[2]"
             ",[3]],\"prompt_eval_count\":%d}", tokens);

    body = str(answer);
    cut = cut_of(LLM_DIALECT_OLLAMA_EMBED, 3, &body, weights);

    snprintf(text, sizeof(text), "%d %d %d",
             (int) llm_embeddings_cut_cost(cut, 0),
             (int) llm_embeddings_cut_cost(cut, 1),
             (int) llm_embeddings_cut_cost(cut, 2));

    if (!ok(strcmp(text, expected) == 0, "%d tokens for %u, %u, %u are %s",
            tokens, a, b, c, expected))
    {
        printf("#   %s\n", text);
    }

    llm_embeddings_cut_free(cut);
}


#define OPENAI(data, more)                                                    \
    "{\"object\":\"list\",\"data\":[" data "],\"model\":\"m\"" more "}"
#define USAGE(n)  ",\"usage\":{\"prompt_tokens\":" n ",\"total_tokens\":" n "}"
#define ITEM(i, v)  "{\"index\":" i ",\"embedding\":" v "}"


static void
answers(void)
{
    int                      i;
    static const char *const  bad[] = {
        OPENAI(ITEM("0", "[1]"), USAGE("4")),
        OPENAI(ITEM("0", "[1]") "," ITEM("1", "[1]") "," ITEM("2", "[1]"),
               USAGE("4")),
        OPENAI(ITEM("0", "[1]") "," ITEM("0", "[2]"), USAGE("4")),
        OPENAI(ITEM("0", "[1]") "," ITEM("2", "[2]"), USAGE("4")),
        OPENAI(ITEM("0", "[1]") "," ITEM("-1", "[2]"), USAGE("4")),
        OPENAI(ITEM("0", "[1]") "," ITEM("1", "[2,3]"), USAGE("4")),
        OPENAI(ITEM("0", "[1]") "," ITEM("1", "\"AAAA\""), USAGE("4")),
        OPENAI(ITEM("0", "[]") "," ITEM("1", "[]"), USAGE("4")),
        OPENAI(ITEM("0", "[null]") "," ITEM("1", "[1]"), USAGE("4")),
        OPENAI(ITEM("0", "[1]") ",{\"embedding\":[1]}", USAGE("4")),
        OPENAI(ITEM("0", "[1]") ",{\"index\":1}", USAGE("4")),
        OPENAI(ITEM("0", "[1]") "," ITEM("1", "[2]"),
               ",\"usage\":{\"prompt_tokens\":4,\"total_tokens\":5}"),
        OPENAI(ITEM("0", "[1]") "," ITEM("1", "[2]"),
               ",\"usage\":{\"prompt_tokens\":4,\"cost\":0.5}"),
        OPENAI(ITEM("0", "[1]") "," ITEM("1", "[2]"), ",\"unknown\":[1,2]"),
        OPENAI(ITEM("0", "[1]") "," ITEM("1", "[2]"), ",\"error\":{\"a\":1}"),
        OPENAI(ITEM("0", "[1]") "," ITEM("1", "[2]"), USAGE("4")) "x",
        "{\"object\":\"list\",\"data\":[" ITEM("0", "[1]"),
        "[]", "null", "{}", ""
    };

    cuts(LLM_DIALECT_EMBEDDINGS,
         OPENAI(ITEM("1", "[2.50]") ", " ITEM("0", "[1e0]"), USAGE("5")),
         OPENAI(ITEM("0", "[1e0]"), USAGE("1")),
         OPENAI(ITEM("0", "[2.50]"), USAGE("4")));
    cuts(LLM_DIALECT_EMBEDDINGS,
         OPENAI(ITEM("0", "\"AAAA\"") "," ITEM("1", "\"BBBB\""),
                ",\"id\":\"x\",\"error\":null"),
         OPENAI(ITEM("0", "\"AAAA\""), ",\"id\":\"x\",\"error\":null"),
         OPENAI(ITEM("0", "\"BBBB\""), ",\"id\":\"x\",\"error\":null"));
    cuts(LLM_DIALECT_COHERE_EMBED,
         "{\"embeddings\":{\"float\":[[1],[2]],\"int8\":[[3],[4]]},\"texts\":"
         "[\"a\",\"b\"],\"meta\":{\"billed_units\":{\"input_tokens\":4}}}",
         "{\"embeddings\":{\"float\":[[1]],\"int8\":[[3]]},\"texts\":"
         "[\"a\"],\"meta\":{\"billed_units\":{\"input_tokens\":1}}}",
         "{\"embeddings\":{\"float\":[[2]],\"int8\":[[4]]},\"texts\":"
         "[\"b\"],\"meta\":{\"billed_units\":{\"input_tokens\":3}}}");
    cuts(LLM_DIALECT_COHERE_EMBED,
         "{\"embeddings\":{\"float\":[[1],[2]]},\"texts\":[\"a\"]}", NULL,
         NULL);
    cuts(LLM_DIALECT_GEMINI_EMBED,
         "{\n \"embeddings\": [\n  {\"values\": [1]},\n  {\"values\": [2]}\n ]"
         "\n}\n", "{\n \"embeddings\": [\n  {\"values\": [1]}\n ]\n}\n",
         "{\n \"embeddings\": [\n  {\"values\": [2]}\n ]\n}\n");
    cuts(LLM_DIALECT_GEMINI_EMBED,
         "{\"embeddings\":[\"index\",{\"values\":[2]}]}", NULL, NULL);
    cuts(LLM_DIALECT_GEMINI_EMBED, "{\"embeddings\":[[1],{\"values\":[2]}]}",
         NULL, NULL);
    cuts(LLM_DIALECT_COHERE_EMBED,
         "{\"embeddings\":{\"float\":[[1],[2]]},\"texts\":[\"a\",[2]]}", NULL,
         NULL);
    cuts(LLM_DIALECT_OLLAMA_EMBED,
         "{\"embeddings\":[[1],[2]],\"total_duration\":7}",
         "{\"embeddings\":[[1]],\"total_duration\":7}",
         "{\"embeddings\":[[2]],\"total_duration\":7}");

    for (i = 0; i < (int) (sizeof(bad) / sizeof(bad[0])); i++) {
        cuts(LLM_DIALECT_EMBEDDINGS, bad[i], NULL, NULL);
    }
}


int
main(void)
{
    reads(LLM_DIALECT_EMBEDDINGS, "{\"input\":\"a\\u0062\"}",
          "\"a\\u0062\"*2 ");
    reads(LLM_DIALECT_EMBEDDINGS, "{\"input\":[\"a\", \"bcd\"],\"x\":[1]}",
          "\"a\"*1 \"bcd\"*3 ");
    reads(LLM_DIALECT_EMBEDDINGS, "{\"input\":[1,20,3]}", "[1,20,3]*3 ");
    reads(LLM_DIALECT_EMBEDDINGS, "{\"input\":[[1],[2,3]]}",
          "[1]*1 [2,3]*2 ");
    reads(LLM_DIALECT_EMBEDDINGS, "{\"input\":[]}", "");
    reads(LLM_DIALECT_EMBEDDINGS, "{\"input\":[[]]}", "");
    reads(LLM_DIALECT_EMBEDDINGS, "{\"input\":[1,\"a\"]}", "");
    reads(LLM_DIALECT_EMBEDDINGS, "{\"input\":[[1],\"a\"]}", "");
    reads(LLM_DIALECT_EMBEDDINGS, "{\"input\":[[\"a\"]]}", "");
    reads(LLM_DIALECT_EMBEDDINGS, "{\"input\":[{\"text\":\"a\"}]}", "");
    reads(LLM_DIALECT_EMBEDDINGS, "{\"inputs\":[\"a\"]}", "");
    reads(LLM_DIALECT_OLLAMA_EMBED, "{\"input\":[\"a\"]}", "\"a\"*1 ");
    reads(LLM_DIALECT_COHERE_EMBED, "{\"texts\":[\"a\"]}", "\"a\"*1 ");
    reads(LLM_DIALECT_COHERE_EMBED, "{\"texts\":[[1]]}", "");
    reads(LLM_DIALECT_COHERE_EMBED, "{\"texts\":\"a\"}", "");
    reads(LLM_DIALECT_COHERE_EMBED, "{\"texts\":[\"a\"],\"images\":[1]}", "");
    reads(LLM_DIALECT_COHERE_EMBED, "{\"texts\":[\"a\"],\"images\":null}",
          "\"a\"*1 ");
    reads(LLM_DIALECT_GEMINI_EMBED, "{\"requests\":[{\"a\":1}]}",
          "{\"a\":1}*7 ");
    reads(LLM_DIALECT_GEMINI_EMBED, "{\"requests\":[\"a\"]}", "");
    reads(LLM_DIALECT_GEMINI_EMBED, "{\"content\":{}}", "");
    reads(LLM_DIALECT_CHAT, "{\"input\":\"a\"}", "");

    answers();

    costs(6, 1, 2, 3, "1 2 3");
    costs(12, 1, 2, 3, "3 4 5");
    costs(5, 10, 10, 10, "1 2 2");
    costs(4, 1, 1, 98, "1 1 2");
    costs(2, 5, 5, 5, "0 1 1");
    costs(0, 5, 5, 5, "0 0 0");
    costs(3, 0, 0, 0, "1 1 1");

    return done();
}
