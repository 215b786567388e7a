#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "llm_embed_lexical.h"
#include "llm_embed_static.h"
#include "tap.h"


static char  dir[] = "/tmp/llm_embed_XXXXXX";


static llm_str_t
str(const char *s)
{
    llm_str_t  v;

    v.data = (const unsigned char *) s;
    v.len = strlen(s);

    return v;
}


static float
cosine(const float *a, const float *b, size_t n)
{
    float   sum;
    size_t  i;

    for (sum = 0, i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }

    return sum;
}


static float
lexical(const llm_lexical_idf_t *idf, const char *one, const char *two)
{
    float  a[LLM_LEXICAL_DIM], b[LLM_LEXICAL_DIM];

    if (llm_lexical_embed(idf, str(one), a) != 0
        || llm_lexical_embed(idf, str(two), b) != 0)
    {
        return -1;
    }

    return cosine(a, b, LLM_LEXICAL_DIM);
}


static void
lexicals(void)
{
    int                       i;
    float                     before;
    static llm_lexical_idf_t  idf;

    ok(lexical(NULL, "Caf\xc3\xa9 au lait!", "cafe, AU LAIT") > 0.999f,
       "case, accents and punctuation do not count");
    ok(lexical(NULL, "the green old door", "the old green door") > 0.85f,
       "the order counts little");
    ok(lexical(NULL, "photosynthesis in plants", "photosynthsis in plants")
       > 0.7f, "nor does a typo");
    ok(lexical(NULL, "how do birds fly", "which taxes do firms pay") < 0.3f,
       "other words are something else");
    ok(lexical(NULL, "", "a") < 0, "nothing");
    ok(lexical(NULL, "?!", "a") < 0, "no words");

    before = lexical(&idf, "common rare", "common other");

    for (i = 0; i < 100; i++) {
        llm_lexical_learn(&idf, str("common"));
    }

    ok(lexical(&idf, "common rare", "common other") < before - 0.1f,
       "common words come to weigh less");
}


static void
put(const char *name, const void *data, size_t len)
{
    char   path[256];
    FILE  *file;

    snprintf(path, sizeof(path), "%s/%s", dir, name);

    file = fopen(path, "wb");

    if (file) {
        (void) fwrite(data, 1, len, file);
        (void) fclose(file);
    }
}


static void
tensors(const char *header, const void *data, size_t len)
{
    size_t         i, n;
    unsigned char  out[4096];

    n = strlen(header);

    for (i = 0; i < 8; i++) {
        out[i] = (unsigned char) (i < 2 ? n >> (8 * i) : 0);
    }

    memcpy(out + 8, header, n);
    memcpy(out + 8 + n, data, len);
    put("model.safetensors", out, 8 + n + len);
}


#define TOKENIZER(norm, pre, kind, vocab)                                     \
    "{\"normalizer\":{\"type\":\"" norm "\",\"lowercase\":true,"              \
    "\"strip_accents\":null},\"pre_tokenizer\":{\"type\":\"" pre "\"},"       \
    "\"model\":{\"type\":\"" kind "\",\"unk_token\":\"[UNK]\","               \
    "\"continuing_subword_prefix\":\"##\",\"vocab\":{" vocab "}}}"

#define VOCAB  "\"[UNK]\":0,\"sun\":1,\"moon\":2,\"##s\":3,\"!\":4"

static const char  good[] =
    TOKENIZER("BertNormalizer", "BertPreTokenizer", "WordPiece", VOCAB);


static float
told(const llm_static_t *model, const char *text, const char *other)
{
    float  a[2], b[2];

    if (model == NULL || llm_static_embed(model, str(text), a) != 0
        || llm_static_embed(model, str(other), b) != 0)
    {
        return -2;
    }

    return cosine(a, b, 2);
}


static void
refused(const char *what, const char *says)
{
    char           error[256];
    llm_static_t  *model;

    error[0] = '\0';
    model = llm_static_open(dir, error, sizeof(error));

    if (!ok(model == NULL && strstr(error, says), "%s: %s", what, error)
        && model)
    {
        llm_static_close(model);
    }
}


static void
statics(void)
{
    char                 error[256];
    llm_static_t        *model;
    static const float   rows[] = { 9, 9, 1, 0, 0, 1, 1, 1, -1, 0 };
    static const int8_t  bytes[] = { 9, 9, 1, 0, 0, 1, 1, 1, -1, 0 };
    static const uint16_t  halves[] = { 0, 0, 0x3c00, 0, 0, 0x3c00, 0x3c00,
                                        0x3c00, 0xbc00, 0 };
    static const unsigned char  more[] = {
        9, 9, 1, 0, 0, 1,               /* I8 3x2 */
        0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,
        0, 0, 0, 0x3c, 0, 0x3c, 0, 0x44, 0, 0x3c
    };

    put("tokenizer.json", good, sizeof(good) - 1);
    put("config.json", "{\"normalize\":true}", 18);
    tensors("{\"__metadata__\":{},\"embeddings\":{\"dtype\":\"F32\","
            "\"shape\":[5,2],\"data_offsets\":[0,40]}}", rows, 40);

    model = llm_static_open(dir, error, sizeof(error));
    ok(model != NULL, "F32: %s", model ? "" : error);

    ok(model && llm_static_dim(model) == 2, "its columns");
    ok(told(model, "sun", "S\xc3\x9cN") > 0.999f, "case and accents");
    ok(fabsf(told(model, "sun", "moon")) < 0.001f, "two tokens");
    ok(fabsf(told(model, "suns", "sun moon sun") - 1) < 0.001f,
       "a word in pieces, the mean of tokens, and length 1");
    ok(told(model, "sun xyz", "sun") > 0.999f, "unknown words are dropped");
    ok(told(model, "sun!", "moon") > 0.999f
       || told(model, "sun!", "moon") == -2, "punctuation is a token");
    ok(told(model, "xyz", "sun") == -2, "nothing is known");
    ok(told(model, "", "sun") == -2, "nothing is there");

    if (model) {
        llm_static_close(model);
    }

    tensors("{\"embeddings\":{\"dtype\":\"I8\",\"shape\":[5,2],"
            "\"data_offsets\":[0,10]}}", bytes, 10);
    model = llm_static_open(dir, error, sizeof(error));
    ok(fabsf(told(model, "suns", "sun moon sun") - 1) < 0.001f, "I8");
    if (model) {
        llm_static_close(model);
    }

    tensors("{\"embeddings\":{\"dtype\":\"F16\",\"shape\":[5,2],"
            "\"data_offsets\":[0,20]}}", halves, 20);
    model = llm_static_open(dir, error, sizeof(error));
    ok(fabsf(told(model, "suns", "sun moon sun") - 1) < 0.001f, "F16");
    if (model) {
        llm_static_close(model);
    }

    tensors("{\"embeddings\":{\"dtype\":\"I8\",\"shape\":[3,2],"
            "\"data_offsets\":[0,6]},\"mapping\":{\"dtype\":\"I32\","
            "\"shape\":[5],\"data_offsets\":[6,26]},\"weights\":{\"dtype\":"
            "\"F16\",\"shape\":[5],\"data_offsets\":[26,36]}}", more, 36);
    model = llm_static_open(dir, error, sizeof(error));
    ok(model != NULL, "a mapping and weights: %s", model ? "" : error);
    ok(fabsf(told(model, "suns", "sun") - 5 / 5.0f) < 0.001f,
       "\"##s\" has the row of \"sun\"");
    ok(fabsf(told(model, "suns moon", "sun") - 5 / sqrtf(26)) < 0.001f,
       "and weighs four times as much");
    if (model) {
        llm_static_close(model);
    }
}


static void
refusals(void)
{
    size_t  i;

    static const struct {
        const char  *what;
        const char  *header;
        const char  *says;
    } headers[] = {
        { "no header", "", "no header" },
        { "no JSON", "{", "not JSON" },
        { "no embeddings", "{}", "no \"embeddings\"" },
        { "an odd type", "{\"embeddings\":{\"dtype\":\"BF16\",\"shape\":[5,2]"
          ",\"data_offsets\":[0,20]}}", "no known type" },
        { "an odd shape", "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":"
          "[5,2,1],\"data_offsets\":[0,40]}}", "no known type" },
        { "a huge shape", "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":"
          "[4611686018427387904,4],\"data_offsets\":[0,40]}}",
          "out of range" },
        { "past the end", "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":"
          "[50,2],\"data_offsets\":[0,400]}}", "does not lie" },
        { "turned around", "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":"
          "[5,2],\"data_offsets\":[40,0]}}", "does not lie" },
        { "negative", "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":[5,2],"
          "\"data_offsets\":[-40,0]}}", "does not lie" },
        { "another size", "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":"
          "[5,2],\"data_offsets\":[0,39]}}", "does not lie" },
        { "too few rows", "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":"
          "[4,2],\"data_offsets\":[0,32]}}", "fewer rows" },
        { "too few weights", "{\"embeddings\":{\"dtype\":\"I8\",\"shape\":"
          "[5,2],\"data_offsets\":[0,10]},\"weights\":{\"dtype\":\"F32\","
          "\"shape\":[2],\"data_offsets\":[0,8]}}", "not one number" },
        { "a wild mapping", "{\"embeddings\":{\"dtype\":\"I8\",\"shape\":"
          "[5,2],\"data_offsets\":[0,10]},\"mapping\":{\"dtype\":\"I32\","
          "\"shape\":[5],\"data_offsets\":[0,20]}}", "a row that there is" }
    };

    static const unsigned char  data[40] = { 0xff, 0xff, 0xff, 0x7f };

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        tensors(headers[i].header, data, sizeof(data));
        refused(headers[i].what, headers[i].says);
    }

    put("model.safetensors", "", 0);
    refused("an empty file", "empty or no file");

    put("config.json", "{\"normalize\":1}", 15);
    refused("config.json", "not a boolean");
    put("config.json", "{}", 2);

    put("tokenizer.json", "[", 1);
    refused("tokenizer.json", "not JSON");
    put("tokenizer.json", "[]", 2);
    refused("tokenizer.json", "not an object");

#define BAD(text, says)                                                       \
    put("tokenizer.json", text, sizeof(text) - 1);                            \
    refused("tokenizer.json", says);

    BAD(TOKENIZER("NFC", "BertPreTokenizer", "WordPiece", VOCAB),
        "BertNormalizer");
    BAD(TOKENIZER("BertNormalizer", "Metaspace", "WordPiece", VOCAB),
        "BertPreTokenizer");
    BAD(TOKENIZER("BertNormalizer", "BertPreTokenizer", "Unigram", VOCAB),
        "WordPiece");
    BAD(TOKENIZER("BertNormalizer", "BertPreTokenizer", "WordPiece", ""),
        "empty");
    BAD(TOKENIZER("BertNormalizer", "BertPreTokenizer", "WordPiece",
                  "\"a\":1"), "no unk_token");
    BAD(TOKENIZER("BertNormalizer", "BertPreTokenizer", "WordPiece",
                  "\"[UNK]\":-1"), "out of range");
}


static void
clean(void)
{
    size_t  i;
    char    path[256];

    static const char *const  names[] = {
        "/tokenizer.json", "/config.json", "/model.safetensors", ""
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", dir, names[i]);
        (void) remove(path);
    }
}


int
main(void)
{
    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    lexicals();
    statics();
    refusals();
    clean();

    refused("no directory", "cannot be opened");

    return done();
}
