#include <math.h>
#include <string.h>

#include "llm_embed_lexical.h"
#include "llm_fold.h"


/* a longer word counts as its beginning */
#define LLM_LEXICAL_WORD      64

#define LLM_LEXICAL_SEED      0x9e3779b97f4a7c15ull
#define LLM_LEXICAL_SALT_ONE  0x01
#define LLM_LEXICAL_SALT_PART 0x03

/* what a pair of words and the trigrams of a word weigh beside the word */
#define LLM_LEXICAL_PAIR      0.20f
#define LLM_LEXICAL_PARTS     1.20f

#define LLM_LEXICAL_BEFORE    256

/* what a word weighs that nearly every text has */
#define LLM_LEXICAL_COMMON    0.25f


/* with a mark in front and behind, so that both ends make trigrams */

typedef struct {
    llm_str_t             rest;
    size_t                len;
    unsigned char         data[LLM_LEXICAL_WORD + 2 + LLM_FOLD_UTF8];
} llm_lexical_word_t;


static int llm_lexical_next(llm_lexical_word_t *word);
static int llm_lexical_is_apostrophe(uint32_t code);
static uint64_t llm_lexical_hash(const unsigned char *p, size_t len,
    uint64_t salt);
static float llm_lexical_weight(const llm_lexical_idf_t *idf, uint64_t hash,
    const llm_lexical_word_t *word);
static int llm_lexical_common(const llm_lexical_word_t *word);
static void llm_lexical_add(float *vector, uint64_t hash, float weight);


/* words that say little about what a text asks for */

static const char  llm_lexical_commons[] =
    "a an and are as at be been by can could did do does for from give had "
    "has have how i if in into is it its me my of on or our please should "
    "show so tell that the their them then there these they this to us was "
    "we were what whats when where which who whom whose why will with would "
    "you your ";


void
llm_lexical_learn(llm_lexical_idf_t *idf, llm_str_t text)
{
    uint64_t            hash;
    llm_lexical_word_t  word;

    /* a word that comes twice counts twice: it is rare enough */

    word.rest = text;

    while (llm_lexical_next(&word)) {
        hash = llm_lexical_hash(word.data, word.len, LLM_LEXICAL_SALT_ONE);
        idf->buckets[hash % LLM_LEXICAL_BUCKETS]++;
    }

    idf->texts++;
}


int
llm_lexical_embed(const llm_lexical_idf_t *idf, llm_str_t text,
    float *vector)
{
    int                 any;
    size_t              i;
    float               weight, part, before;
    double              sum;
    uint64_t            hash, last;
    llm_lexical_word_t  word;

    memset(vector, 0, LLM_LEXICAL_DIM * sizeof(float));

    any = 0;
    last = 0;
    before = 0;
    word.rest = text;

    while (llm_lexical_next(&word)) {

        hash = llm_lexical_hash(word.data, word.len, LLM_LEXICAL_SALT_ONE);
        weight = llm_lexical_weight(idf, hash, &word);

        llm_lexical_add(vector, hash, weight);

        if (any) {
            llm_lexical_add(vector, (last * 31 + hash) * LLM_LEXICAL_SEED,
                            LLM_LEXICAL_PAIR * sqrtf(weight * before));
        }

        part = LLM_LEXICAL_PARTS * weight / sqrtf((float) word.len - 2);

        for (i = 0; i + 3 <= word.len; i++) {
            llm_lexical_add(vector,
                            llm_lexical_hash(word.data + i, 3,
                                             LLM_LEXICAL_SALT_PART),
                            part);
        }

        any = 1;
        last = hash;
        before = weight;
    }

    sum = 0;

    for (i = 0; i < LLM_LEXICAL_DIM; i++) {
        sum += (double) vector[i] * vector[i];
    }

    if (sum <= 0) {
        return -1;
    }

    weight = (float) (1 / sqrt(sum));

    for (i = 0; i < LLM_LEXICAL_DIM; i++) {
        vector[i] *= weight;
    }

    return 0;
}


/* the next word, folded; apostrophes do not part words */

static int
llm_lexical_next(llm_lexical_word_t *word)
{
    size_t      n;
    uint32_t    code;
    llm_char_e  class;

    word->len = 1;
    word->data[0] = ' ';

    while (word->rest.len) {

        n = llm_fold_next(word->rest.data, word->rest.len, &code);
        class = llm_fold_class(code);

        if (class == LLM_CHAR_IDEOGRAPH && word->len > 1) {
            break;
        }

        word->rest.data += n;
        word->rest.len -= n;

        if (class == LLM_CHAR_MARK || llm_lexical_is_apostrophe(code)) {
            continue;
        }

        if (class == LLM_CHAR_SPACE || class == LLM_CHAR_PUNCT) {

            if (word->len > 1) {
                break;
            }

            continue;
        }

        if (word->len <= LLM_LEXICAL_WORD) {
            word->len += llm_fold_put(llm_fold(code), word->data + word->len);
        }

        if (class == LLM_CHAR_IDEOGRAPH) {
            break;
        }
    }

    if (word->len == 1) {
        return 0;
    }

    word->data[word->len++] = ' ';

    return 1;
}


static int
llm_lexical_is_apostrophe(uint32_t code)
{
    return code == '\'' || code == 0x2019 || code == 0x2bc;
}


/* FNV-1a with the end of MurmurHash3 */

static uint64_t
llm_lexical_hash(const unsigned char *p, size_t len, uint64_t salt)
{
    size_t    i;
    uint64_t  hash;

    hash = 0xcbf29ce484222325ull ^ salt * LLM_LEXICAL_SEED;

    for (i = 0; i < len; i++) {
        hash = (hash ^ p[i]) * 0x100000001b3ull;
    }

    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdull;
    hash ^= hash >> 33;

    return hash;
}


static float
llm_lexical_weight(const llm_lexical_idf_t *idf, uint64_t hash,
    const llm_lexical_word_t *word)
{
    float     rare;
    uint32_t  texts, seen;

    if (llm_lexical_common(word)) {
        return LLM_LEXICAL_COMMON;
    }

    if (idf == NULL) {
        return 1;
    }

    texts = idf->texts;
    seen = idf->buckets[hash % LLM_LEXICAL_BUCKETS];

    if (seen > texts) {
        seen = texts;
    }

    /* so many texts in front that the first few do not decide */

    rare = logf(((float) texts + LLM_LEXICAL_BEFORE) / ((float) seen + 1))
           / logf((float) texts + LLM_LEXICAL_BEFORE);

    return 0.3f + 0.7f * rare;
}


static int
llm_lexical_common(const llm_lexical_word_t *word)
{
    size_t       len;
    const char  *p, *end;

    len = word->len - 1;

    for (p = llm_lexical_commons; *p; p = end + 1) {

        end = strchr(p, ' ');

        /* both end in a space */

        if ((size_t) (end - p) + 1 == len
            && memcmp(p, word->data + 1, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
llm_lexical_add(float *vector, uint64_t hash, float weight)
{
    vector[hash % LLM_LEXICAL_DIM] += hash >> 63 ? weight : -weight;
}
