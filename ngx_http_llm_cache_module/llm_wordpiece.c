#include <stdlib.h>
#include <string.h>

#include "llm_fold.h"
#include "llm_wordpiece.h"


/* ids are 32 bits wide, and so are offsets of the tokens' bytes */
#define LLM_WORDPIECE_MAX     (4u * 1024 * 1024)

/* the longest word that is taken apart, in characters and in bytes */
#define LLM_WORDPIECE_CHARS   1000
#define LLM_WORDPIECE_WORD    (LLM_WORDPIECE_CHARS * LLM_FOLD_UTF8)

#define LLM_WORDPIECE_PREFIX  32


typedef struct {
    uint32_t              offset;
    uint32_t              len;
    uint32_t              id;
    uint32_t              used;
} llm_wordpiece_token_t;


struct llm_wordpiece_s {
    llm_wordpiece_token_t  *table;
    unsigned char         *bytes;
    uint32_t               mask;
    uint32_t               ids;
    uint32_t               longest;      /* token, in bytes */
    uint32_t               unknown;
    size_t                 max_chars;
    size_t                 prefix_len;
    unsigned char          prefix[LLM_WORDPIECE_PREFIX];
    unsigned               fold:1;
    unsigned               clean:1;
    unsigned               ideographs:1;
};


typedef struct {
    uint32_t              first;
    uint32_t              last;
} llm_wordpiece_range_t;


static const char *llm_wordpiece_steps(llm_wordpiece_t *wp,
    const json_t *doc);
static const char *llm_wordpiece_model(llm_wordpiece_t *wp,
    const json_t *model);
static const char *llm_wordpiece_vocab(llm_wordpiece_t *wp,
    const json_t *vocab, const char *unknown);
static int llm_wordpiece_is(const json_t *object, const char *name,
    const char *word);
static int llm_wordpiece_flag(const json_t *object, const char *name,
    int missing);
static llm_wordpiece_token_t *llm_wordpiece_slot(const llm_wordpiece_t *wp,
    const unsigned char *p, size_t len);
static int llm_wordpiece_ranges(const llm_wordpiece_range_t *range,
    uint32_t code);
static int llm_wordpiece_punct(uint32_t code);
static size_t llm_wordpiece_split(const llm_wordpiece_t *wp,
    const unsigned char *word, size_t len, size_t chars, uint32_t *ids,
    size_t max);


/* what BertNormalizer calls a Chinese character */

static const llm_wordpiece_range_t  llm_wordpiece_ideographs[] = {
    { 0x3400, 0x4dbf }, { 0x4e00, 0x9fff }, { 0xf900, 0xfaff },
    { 0x20000, 0x2a6df }, { 0x2a700, 0x2ceaf }, { 0x2f800, 0x2fa1f },
    { 0, 0 }
};

/* Unicode's punctuation, categories P*, of the scripts that are common */

static const llm_wordpiece_range_t  llm_wordpiece_puncts[] = {
    { 0x21, 0x2f }, { 0x3a, 0x40 }, { 0x5b, 0x60 }, { 0x7b, 0x7e },
    { 0xa1, 0xa1 }, { 0xa7, 0xa7 }, { 0xab, 0xab }, { 0xb6, 0xb7 },
    { 0xbb, 0xbb }, { 0xbf, 0xbf }, { 0x37e, 0x37e }, { 0x387, 0x387 },
    { 0x55a, 0x55f }, { 0x589, 0x58a }, { 0x5be, 0x5be }, { 0x5f3, 0x5f4 },
    { 0x60c, 0x60d }, { 0x61b, 0x61b }, { 0x61e, 0x61f }, { 0x66a, 0x66d },
    { 0x6d4, 0x6d4 }, { 0x964, 0x965 }, { 0xe4f, 0xe4f }, { 0xe5a, 0xe5b },
    { 0x2010, 0x2027 }, { 0x2030, 0x2043 }, { 0x2045, 0x2051 },
    { 0x2053, 0x205e }, { 0x2329, 0x232a }, { 0x2e00, 0x2e2e },
    { 0x2e30, 0x2e4f }, { 0x3001, 0x3003 }, { 0x3008, 0x3011 },
    { 0x3014, 0x301f }, { 0x3030, 0x3030 }, { 0x303d, 0x303d },
    { 0x30a0, 0x30a0 }, { 0x30fb, 0x30fb }, { 0xfe10, 0xfe19 },
    { 0xfe30, 0xfe52 }, { 0xfe54, 0xfe61 }, { 0xfe63, 0xfe63 },
    { 0xfe68, 0xfe68 }, { 0xfe6a, 0xfe6b }, { 0xff01, 0xff03 },
    { 0xff05, 0xff0a }, { 0xff0c, 0xff0f }, { 0xff1a, 0xff1b },
    { 0xff1f, 0xff20 }, { 0xff3b, 0xff3d }, { 0xff3f, 0xff3f },
    { 0xff5b, 0xff5b }, { 0xff5d, 0xff5d }, { 0xff5f, 0xff65 },
    { 0, 0 }
};


llm_wordpiece_t *
llm_wordpiece_create(const json_t *doc, const char **error)
{
    llm_wordpiece_t  *wp;

    wp = calloc(1, sizeof(llm_wordpiece_t));

    if (wp == NULL) {
        *error = "out of memory";
        return NULL;
    }

    *error = llm_wordpiece_steps(wp, doc);

    if (*error == NULL) {
        *error = llm_wordpiece_model(wp, json_object_get(doc, "model"));
    }

    if (*error) {
        llm_wordpiece_free(wp);
        return NULL;
    }

    return wp;
}


void
llm_wordpiece_free(llm_wordpiece_t *wp)
{
    if (wp) {
        free(wp->table);
        free(wp->bytes);
        free(wp);
    }
}


/* NULL, or what is wrong */

static const char *
llm_wordpiece_steps(llm_wordpiece_t *wp, const json_t *doc)
{
    int            lower, strip;
    const json_t  *norm;

    norm = json_object_get(doc, "normalizer");

    if (!llm_wordpiece_is(norm, "type", "BertNormalizer")) {
        return "its normalizer is not a BertNormalizer";
    }

    lower = llm_wordpiece_flag(norm, "lowercase", 1);
    strip = llm_wordpiece_flag(norm, "strip_accents", lower);

    if (lower < 0 || lower != strip) {
        return "its normalizer is neither uncased nor cased";
    }

    wp->fold = (lower == 1);
    wp->clean = (llm_wordpiece_flag(norm, "clean_text", 1) == 1);
    wp->ideographs = (llm_wordpiece_flag(norm, "handle_chinese_chars", 1)
                      == 1);

    if (!llm_wordpiece_is(json_object_get(doc, "pre_tokenizer"), "type",
                          "BertPreTokenizer"))
    {
        return "its pre-tokenizer is not a BertPreTokenizer";
    }

    return NULL;
}


static const char *
llm_wordpiece_model(llm_wordpiece_t *wp, const json_t *model)
{
    const json_t  *value;

    if (!llm_wordpiece_is(model, "type", "WordPiece")) {
        return "its model is not a WordPiece";
    }

    value = json_object_get(model, "continuing_subword_prefix");

    if (!json_is_string(value)
        || json_string_length(value) >= LLM_WORDPIECE_PREFIX)
    {
        return "its model has no continuing_subword_prefix";
    }

    wp->prefix_len = json_string_length(value);
    memcpy(wp->prefix, json_string_value(value), wp->prefix_len);

    wp->max_chars = 100;
    value = json_object_get(model, "max_input_chars_per_word");

    if (value) {

        if (!json_is_integer(value) || json_integer_value(value) < 1
            || json_integer_value(value) > LLM_WORDPIECE_CHARS)
        {
            return "its max_input_chars_per_word is out of range";
        }

        wp->max_chars = (size_t) json_integer_value(value);
    }

    value = json_object_get(model, "unk_token");

    if (!json_is_string(value)) {
        return "its model has no unk_token";
    }

    return llm_wordpiece_vocab(wp, json_object_get(model, "vocab"),
                               json_string_value(value));
}


static const char *
llm_wordpiece_vocab(llm_wordpiece_t *wp, const json_t *vocab,
    const char *unknown)
{
    size_t                  n, len, all;
    uint32_t                size;
    const char             *name;
    json_t                 *value;
    llm_wordpiece_token_t  *token;

    n = json_object_size(vocab);

    if (n == 0 || n > LLM_WORDPIECE_MAX) {
        return "its vocabulary is empty or too large";
    }

    all = 0;

    json_object_foreach((json_t *) vocab, name, value) {

        if (!json_is_integer(value) || json_integer_value(value) < 0
            || json_integer_value(value) >= LLM_WORDPIECE_MAX)
        {
            return "its vocabulary has an id out of range";
        }

        all += strlen(name);
    }

    for (size = 16; size < 2 * n; size *= 2) { /* void */ }

    wp->mask = size - 1;
    wp->table = calloc(size, sizeof(llm_wordpiece_token_t));
    wp->bytes = malloc(all + 1);

    if (wp->table == NULL || wp->bytes == NULL || all > UINT32_MAX) {
        return "out of memory";
    }

    all = 0;

    json_object_foreach((json_t *) vocab, name, value) {
        len = strlen(name);
        token = llm_wordpiece_slot(wp, (const unsigned char *) name, len);

        memcpy(wp->bytes + all, name, len);

        token->offset = (uint32_t) all;
        token->len = (uint32_t) len;
        token->id = (uint32_t) json_integer_value(value);
        token->used = 1;

        all += len;

        wp->ids = token->id >= wp->ids ? token->id + 1 : wp->ids;
        wp->longest = len > wp->longest ? (uint32_t) len : wp->longest;
    }

    token = llm_wordpiece_slot(wp, (const unsigned char *) unknown,
                               strlen(unknown));

    if (!token->used) {
        return "its vocabulary has no unk_token";
    }

    wp->unknown = token->id;

    return NULL;
}


static int
llm_wordpiece_is(const json_t *object, const char *name, const char *word)
{
    const json_t  *value;

    value = json_object_get(object, name);

    return json_is_string(value)
           && strcmp(json_string_value(value), word) == 0;
}


/* 0, 1, what it is when missing, or -1 for anything else */

static int
llm_wordpiece_flag(const json_t *object, const char *name, int missing)
{
    const json_t  *value;

    value = json_object_get(object, name);

    if (value == NULL || json_is_null(value)) {
        return missing;
    }

    return json_is_true(value) ? 1 : json_is_false(value) ? 0 : -1;
}


/* the token's, or the empty one where it would be */

static llm_wordpiece_token_t *
llm_wordpiece_slot(const llm_wordpiece_t *wp, const unsigned char *p,
    size_t len)
{
    size_t                  i;
    uint32_t                hash;
    llm_wordpiece_token_t  *token;

    hash = 0x811c9dc5u;

    for (i = 0; i < len; i++) {
        hash = (hash ^ p[i]) * 0x01000193u;
    }

    hash ^= hash >> 15;

    for ( ;; hash++) {
        token = &wp->table[hash & wp->mask];

        if (!token->used
            || (token->len == len
                && (len == 0
                    || memcmp(wp->bytes + token->offset, p, len) == 0)))
        {
            return token;
        }
    }
}


uint32_t
llm_wordpiece_ids(const llm_wordpiece_t *wp)
{
    return wp->ids;
}


size_t
llm_wordpiece_encode(const llm_wordpiece_t *wp, llm_str_t text, uint32_t *ids,
    size_t max)
{
    int            alone;
    size_t         n, step, len, chars;
    uint32_t       code;
    llm_char_e     class;
    unsigned char  word[LLM_WORDPIECE_WORD];

    n = 0;
    len = 0;
    chars = 0;

    while (text.len && n < max) {

        step = llm_fold_next(text.data, text.len, &code);
        class = llm_fold_class(code);

        text.data += step;
        text.len -= step;

        if (wp->clean && (code == 0 || code == 0xfffd)) {
            continue;
        }

        alone = llm_wordpiece_punct(code)
                || (wp->ideographs
                    && llm_wordpiece_ranges(llm_wordpiece_ideographs, code));

        if (alone || class == LLM_CHAR_SPACE) {
            n += llm_wordpiece_split(wp, word, len, chars, ids + n, max - n);
            len = 0;
            chars = 0;
        }

        if (class == LLM_CHAR_SPACE || (wp->fold && class == LLM_CHAR_MARK)) {
            continue;
        }

        if (len + LLM_FOLD_UTF8 <= LLM_WORDPIECE_WORD) {
            len += llm_fold_put(wp->fold ? llm_fold(code) : code, word + len);
        }

        chars++;

        if (alone) {
            n += llm_wordpiece_split(wp, word, len, chars, ids + n, max - n);
            len = 0;
            chars = 0;
        }
    }

    return n + llm_wordpiece_split(wp, word, len, chars, ids + n, max - n);
}


static int
llm_wordpiece_ranges(const llm_wordpiece_range_t *range, uint32_t code)
{
    for ( /* void */ ; range->last; range++) {
        if (code >= range->first && code <= range->last) {
            return 1;
        }
    }

    return 0;
}


static int
llm_wordpiece_punct(uint32_t code)
{
    if (code < 0x80) {
        return llm_fold_class(code) == LLM_CHAR_PUNCT;
    }

    return llm_wordpiece_ranges(llm_wordpiece_puncts, code);
}


/* the longest token that the word begins with, and so on; all or nothing */

static size_t
llm_wordpiece_split(const llm_wordpiece_t *wp, const unsigned char *word,
    size_t len, size_t chars, uint32_t *ids, size_t max)
{
    size_t                  n, start, end, prefix;
    unsigned char           piece[LLM_WORDPIECE_PREFIX + LLM_WORDPIECE_WORD];
    llm_wordpiece_token_t  *token;

    if (len == 0 || chars > wp->max_chars) {
        return 0;
    }

    memcpy(piece, wp->prefix, wp->prefix_len);

    n = 0;

    for (start = 0; start < len; start = end) {

        token = NULL;
        prefix = start ? wp->prefix_len : 0;
        end = len;

        if (end - start + prefix > wp->longest) {
            end = wp->longest > prefix ? start + wp->longest - prefix : start;
        }

        for ( /* void */ ; end > start; end--) {

            /* not inside of a character */

            if (end < len && (word[end] & 0xc0) == 0x80) {
                continue;
            }

            memcpy(piece + wp->prefix_len, word + start, end - start);

            token = llm_wordpiece_slot(wp, piece + wp->prefix_len - prefix,
                                       end - start + prefix);

            if (token->used) {
                break;
            }
        }

        if (end == start || token == NULL || token->id == wp->unknown) {
            return 0;
        }

        if (n < max) {
            ids[n++] = token->id;
        }
    }

    return n;
}
