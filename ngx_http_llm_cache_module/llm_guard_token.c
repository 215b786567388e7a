#include <string.h>

#include "llm_fold.h"
#include "llm_guard_core.h"


typedef struct {
    llm_guard_text_t     *text;
    const unsigned char  *start;
    const unsigned char  *p;
    const unsigned char  *last;
    unsigned              gap;
    int                   shouting;     /* no letter is small */
} llm_split_t;


static int llm_split_shouting(llm_str_t data);
static int llm_split_span(llm_split_t *s);
static size_t llm_split_fence(const llm_split_t *s);
static const unsigned char *llm_split_close(const llm_split_t *s,
    const char **close);
static void llm_split_chunk(llm_split_t *s);
static const unsigned char *llm_split_trim(llm_split_t *s,
    const unsigned char *end, unsigned *gap);
static int llm_split_identifier(const unsigned char *p, size_t len);
static int llm_split_mixed(const unsigned char *p, size_t len);
static const unsigned char *llm_split_number(llm_split_t *s,
    const unsigned char *p, const unsigned char *end);
static const unsigned char *llm_split_word(llm_split_t *s,
    const unsigned char *p, const unsigned char *end);
static void llm_split_name(llm_token_t *token);
static const unsigned char *llm_split_suffix(const unsigned char *p,
    const unsigned char *end);
static void llm_split_symbol(llm_split_t *s, const unsigned char *p, size_t n,
    uint32_t code, const unsigned char *end);
static void llm_split_whole(llm_split_t *s, const unsigned char *p,
    size_t len);
static void llm_split_said(llm_split_t *s, const char *word);
static llm_token_t *llm_split_add(llm_split_t *s, llm_token_e kind,
    const unsigned char *p, size_t len);
static int llm_split_is(const unsigned char *p, const unsigned char *last,
    const char *text);
static int llm_split_alnum(unsigned char c);


void
llm_guard_split(llm_guard_text_t *text, llm_str_t data)
{
    llm_split_t  s;

    s.text = text;
    s.start = data.data;
    s.p = data.data;
    s.last = data.data + data.len;
    s.gap = LLM_GAP_SENTENCE;
    s.shouting = llm_split_shouting(data);

    while (s.p < s.last && !text->overflow) {

        if (*s.p <= ' ') {
            s.gap |= LLM_GAP_SPACE;
            s.p++;

        } else if (!llm_split_span(&s)) {
            llm_split_chunk(&s);
        }
    }
}


static int
llm_split_shouting(llm_str_t data)
{
    size_t  i;

    for (i = 0; i < data.len; i++) {
        if (data.data[i] >= 'a' && data.data[i] <= 'z') {
            return 0;
        }
    }

    return 1;
}


/* code or a quoted string, when one begins here and ends somewhere */

static int
llm_split_span(llm_split_t *s)
{
    size_t                n;
    const char           *close;
    llm_token_e           kind;
    const unsigned char  *p, *end;

    n = llm_split_fence(s);

    if (n) {
        kind = LLM_TOKEN_CODE;
        close = n == 3 ? "```" : "`";
        p = s->p + n;

    } else {
        kind = LLM_TOKEN_QUOTE;
        p = llm_split_close(s, &close);

        if (p == NULL) {
            return 0;
        }
    }

    for (end = p; end < s->last; end++) {

        if (!llm_split_is(end, s->last, close)) {
            continue;
        }

        /* an apostrophe is no end of a quote */

        if (*close == '\'' && end + 1 < s->last && llm_split_alnum(end[1])) {
            continue;
        }

        s->p = end + strlen(close);

        while (p < end && *p <= ' ') {
            p++;
        }

        while (p < end && end[-1] <= ' ') {
            end--;
        }

        (void) llm_split_add(s, kind, p, (size_t) (end - p));

        return 1;
    }

    return 0;
}


static size_t
llm_split_fence(const llm_split_t *s)
{
    return llm_split_is(s->p, s->last, "```") ? 3
           : llm_split_is(s->p, s->last, "`") ? 1 : 0;
}


/* what follows an opening quotation mark, or NULL */

static const unsigned char *
llm_split_close(const llm_split_t *s, const char **close)
{
    size_t  i;

    static const char *const  marks[][2] = {
        { "\"", "\"" },
        { "'", "'" },
        { "\xe2\x80\x9c", "\xe2\x80\x9d" },
        { "\xe2\x80\x9e", "\xe2\x80\x9c" },
        { "\xe2\x80\x98", "\xe2\x80\x99" },
        { "\xc2\xab", "\xc2\xbb" }
    };

    for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {

        if (!llm_split_is(s->p, s->last, marks[i][0])) {
            continue;
        }

        if (i == 1 && s->p > s->start && llm_split_alnum(s->p[-1])) {
            return NULL;
        }

        *close = marks[i][1];

        return s->p + strlen(marks[i][0]);
    }

    return NULL;
}


/* what stands between spaces */

static void
llm_split_chunk(llm_split_t *s)
{
    size_t                n;
    unsigned              gap;
    uint32_t              code;
    llm_char_e            class;
    const unsigned char  *p, *end, *next;

    for (end = s->p + 1;
         end < s->last && *end > ' ' && *end != '`' && *end != '"';
         end++)
    {
        /* void */
    }

    next = end;
    gap = 0;
    end = llm_split_trim(s, end, &gap);
    p = s->p;

    if (p < end && llm_split_identifier(p, (size_t) (end - p))) {
        llm_split_whole(s, p, (size_t) (end - p));
        p = end;
    }

    while (p < end && !s->text->overflow) {

        n = llm_fold_next(p, (size_t) (end - p), &code);
        class = llm_fold_class(code);

        switch (class) {

        case LLM_CHAR_DIGIT:
            p = llm_split_number(s, p, end);
            break;

        case LLM_CHAR_LETTER:
        case LLM_CHAR_IDEOGRAPH:
            p = llm_split_word(s, p, end);
            break;

        default:
            llm_split_symbol(s, p, n, code, end);
            p += n;
        }
    }

    s->p = next;
    s->gap |= gap;
}


/* punctuation at both ends: the new end, and what it makes of the gap */

static const unsigned char *
llm_split_trim(llm_split_t *s, const unsigned char *end, unsigned *gap)
{
    const unsigned char  *p;

    while (s->p < end && strchr("(,;:!?*~", *s->p)) {
        s->gap |= LLM_GAP_COMMA;
        s->p++;
    }

    p = end;

    while (p > s->p && strchr(",;:!?.*~)'", p[-1])) {

        if (p[-1] == ')'
            && memchr(s->p, '(', (size_t) (p - s->p)) != NULL)
        {
            break;
        }

        p--;
        *gap |= strchr(".!?", *p) ? LLM_GAP_SENTENCE : LLM_GAP_COMMA;
    }

    return p;
}


/* paths, addresses, names of variables and the like */

static int
llm_split_identifier(const unsigned char *p, size_t len)
{
    size_t    i;
    unsigned  slashes, dots;

    slashes = 0;
    dots = 0;

    for (i = 0; i < len; i++) {

        if (p[i] >= 0x80) {
            return 0;
        }

        if (strchr("_@\\#{}|", p[i])) {
            return len > 1;
        }

        if (p[i] == ':' && i + 1 < len && p[i + 1] == ':') {
            return 1;
        }

        if (p[i] == '/') {
            slashes++;
        }

        /* between letters, of which not all stand alone as in "U.S." */

        if (p[i] == '.' && i + 2 < len && llm_split_alnum(p[i + 1])
            && llm_split_alnum(p[i + 2])
            && (p[i + 1] > '9' || (i > 0 && p[i - 1] > '9')))
        {
            dots++;
        }
    }

    return dots || slashes > 1 || (slashes && p[0] == '/')
           || (len > 2 && p[0] == '-' && p[1] == '-')
           || (len > 3 && p[len - 1] == ')' && memchr(p, '(', len)
               && p[0] > '9')
           || (len > 2 && p[len - 1] == '+' && p[len - 2] == '+')
           || llm_split_mixed(p, len);
}


/* small before capital letters, or letters before digits */

static int
llm_split_mixed(const unsigned char *p, size_t len)
{
    size_t  i;

    for (i = 1; i < len; i++) {

        if (p[i - 1] >= 'a' && p[i - 1] <= 'z' && p[i] >= 'A' && p[i] <= 'Z')
        {
            return 1;
        }

        if ((p[i - 1] | 0x20) >= 'a' && (p[i - 1] | 0x20) <= 'z'
            && p[i] >= '0' && p[i] <= '9')
        {
            return 1;
        }
    }

    return 0;
}


/* without the commas between thousands and without zeros that say nothing */

static const unsigned char *
llm_split_number(llm_split_t *s, const unsigned char *p,
    const unsigned char *end)
{
    int                   point, minus;
    size_t                n;
    llm_token_t          *token;
    unsigned char         text[LLM_GUARD_WORD + 1];
    const unsigned char  *q;

    minus = p > s->start && p[-1] == '-'
            && (p - 1 == s->start || !llm_split_alnum(p[-2]));
    point = 0;
    n = 0;

    if (minus) {
        text[n++] = '-';
    }

    for (q = p; q < end; q++) {

        if (*q == ',' && q + 3 < end && q[1] >= '0' && q[1] <= '9') {
            continue;
        }

        if (*q == '.' && !point && q + 1 < end
            && q[1] >= '0' && q[1] <= '9')
        {
            point = 1;

        } else if (*q < '0' || (*q > '9' && *q < 0x80)) {
            break;

        } else if (*q == '0' && !point && n == (size_t) minus && q + 1 < end
                   && q[1] >= '0' && q[1] <= '9')
        {
            continue;

        } else if (*q >= 0x80) {
            break;
        }

        if (n < LLM_GUARD_WORD) {
            text[n++] = *q;
        }
    }

    while (point && n && (text[n - 1] == '0' || text[n - 1] == '.')) {
        point = text[--n] != '.';
    }

    /* digits that are none of ASCII's */

    if (q == p) {
        return llm_split_word(s, p, end);
    }

    token = llm_split_add(s, LLM_TOKEN_NUMBER, p, (size_t) (q - p));

    if (token) {
        token->id = llm_guard_hash(text, n);
        token->content = 1;

        if (end - q == 2
            && (memcmp(q, "st", 2) == 0 || memcmp(q, "nd", 2) == 0
                || memcmp(q, "rd", 2) == 0 || memcmp(q, "th", 2) == 0))
        {
            token->ordinal = 1;
            q += 2;
        }
    }

    return q;
}


static const unsigned char *
llm_split_word(llm_split_t *s, const unsigned char *p,
    const unsigned char *end)
{
    size_t                n, letters;
    uint32_t              code;
    llm_char_e            class;
    llm_token_t          *token;
    const unsigned char  *q, *suffix;

    token = llm_split_add(s, LLM_TOKEN_WORD, p, 0);
    if (token == NULL) {
        return end;
    }

    letters = 0;
    suffix = NULL;

    for (q = p; q < end; q += n) {

        n = llm_fold_next(q, (size_t) (end - q), &code);
        class = llm_fold_class(code);

        if (code == '\'' || code == 0x2019) {
            suffix = llm_split_suffix(q + n, end);

            if (suffix) {
                break;
            }

            continue;
        }

        /* "U.S." */

        if (code == '.' && letters == 1 && q + 1 < end
            && llm_split_alnum(q[1]))
        {
            letters = 0;
            continue;
        }

        if (class == LLM_CHAR_MARK) {
            continue;
        }

        if (class != LLM_CHAR_LETTER && class != LLM_CHAR_DIGIT
            && (class != LLM_CHAR_IDEOGRAPH || q > p))
        {
            break;
        }

        letters++;

        if (token->len + LLM_FOLD_UTF8 <= LLM_GUARD_WORD) {
            token->len = (uint8_t) (token->len
                         + llm_fold_put(llm_fold(code),
                                        token->word + token->len));
        }

        if (class == LLM_CHAR_IDEOGRAPH) {
            q += n;
            break;
        }
    }

    token->raw.len = (size_t) (q - p);
    llm_guard_lookup(token);

    if (!s->shouting) {
        llm_split_name(token);
    }

    if (suffix == NULL) {
        return q;
    }

    token->possessive = (suffix[-1] == 's');

    if (suffix[-1] == 'l') {
        llm_split_said(s, "will");
    }

    return suffix;
}


/* by its capital letters, where no sentence begins */

static void
llm_split_name(llm_token_t *token)
{
    int     shout;
    size_t  i, len;

    len = token->raw.len;

    if (token->raw.data[0] < 'A' || token->raw.data[0] > 'Z') {
        return;
    }

    shout = 1;

    for (i = 0; i < len; i++) {
        shout &= (token->raw.data[i] < 'a' || token->raw.data[i] > 'z');
    }

    if (shout && len > 1) {
        token->name = 1;

    } else if (!(token->gap & LLM_GAP_SENTENCE)
               && !llm_str_eq(token->raw, "I", 1))
    {
        token->name = (len == 1
                       || (token->words & ~LLM_WORD_CONFUSED) == 0);
    }

    if (token->words & (LLM_WORD_UNIT|LLM_WORD_DATE)) {
        token->name = 0;

    } else if (token->name && shout
               && (len == 1 || token->words
                   || token->id != llm_guard_hash(token->word, token->len)))
    {
        /* "US" is not "us", and "A" not "a" */
        token->words = 0;
        token->id = llm_guard_hash(token->raw.data, len);
    }
}


/* 's, 'm, 're, 've, 'll, 'd: where they end, or NULL */

static const unsigned char *
llm_split_suffix(const unsigned char *p, const unsigned char *end)
{
    size_t       i, len;

    static const char *const  suffixes[] = { "s", "m", "re", "ve", "ll", "d" };

    for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        len = strlen(suffixes[i]);

        if (llm_split_is(p, end, suffixes[i])
            && (p + len == end || !llm_split_alnum(p[len])))
        {
            return p + len;
        }
    }

    return NULL;
}


static void
llm_split_symbol(llm_split_t *s, const unsigned char *p, size_t n,
    uint32_t code, const unsigned char *end)
{
    size_t  i;
    int     before, after;

    static const struct {
        uint32_t     code;
        const char  *word;
    } words[] = {
        { '$', "dollar" }, { '%', "percent" }, { '&', "and" },
        { 0xa3, "pound" }, { 0xa5, "yen" }, { 0x20ac, "euro" },
        { 0x20b9, "rupee" }, { 0xb0, "degree" }
    };

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i].code == code) {
            llm_split_said(s, words[i].word);
            return;
        }
    }

    if (code == ',' || code == ';' || code == 0x3001 || code == 0xff0c) {
        s->gap |= LLM_GAP_COMMA;
        return;
    }

    if (code == 0x3002 || code == 0xff1f || code == 0xff01) {
        s->gap |= LLM_GAP_SENTENCE;
        return;
    }

    if (code >= 0x80) {
        return;
    }

    /* these are signs in formulas only */

    if (strchr("-/().:", *p)) {
        before = p > s->start && strchr("0123456789)(+*/=^", p[-1]) != NULL;
        after = p + n < end && strchr("0123456789)(+*/=^", p[n]) != NULL;

        if (*p == '-' || *p == '/' || *p == ':' ? !(before && after)
                                                : !(before || after))
        {
            return;
        }
    }

    if (strchr("+*/=<>^|~\\{}[]#@-():", *p)) {
        (void) llm_split_add(s, LLM_TOKEN_SYMBOL, p, n);
    }
}


/* an identifier, whose case does not matter */

static void
llm_split_whole(llm_split_t *s, const unsigned char *p, size_t len)
{
    size_t        i;
    llm_token_t  *token;

    token = llm_split_add(s, LLM_TOKEN_WORD, p, len);
    if (token == NULL) {
        return;
    }

    for (i = 0; i < len && i < LLM_GUARD_WORD; i++) {
        token->word[i] = (unsigned char) llm_fold(p[i]);
    }

    token->len = (uint8_t) i;
    token->id = llm_guard_hash(token->word, i);

    if (i < len) {
        token->id ^= llm_guard_hash(p + i, len - i);
    }

    token->name = 1;
    token->whole = 1;
    token->content = 1;
}


/* a word that a sign stands for */

static void
llm_split_said(llm_split_t *s, const char *word)
{
    llm_token_t  *token;

    token = llm_split_add(s, LLM_TOKEN_WORD, s->p, 0);

    if (token) {
        token->len = (uint8_t) strlen(word);
        memcpy(token->word, word, token->len);
        llm_guard_lookup(token);
    }
}


static llm_token_t *
llm_split_add(llm_split_t *s, llm_token_e kind, const unsigned char *p,
    size_t len)
{
    llm_token_t  *token;

    if (s->text->n == LLM_GUARD_TOKENS) {
        s->text->overflow = 1;
        return NULL;
    }

    token = &s->text->tokens[s->text->n++];

    memset(token, 0, sizeof(llm_token_t));

    token->kind = (uint8_t) kind;
    token->raw.data = p;
    token->raw.len = len;
    token->gap = (uint16_t) s->gap;

    if (kind != LLM_TOKEN_WORD) {
        token->id = llm_guard_hash(p, len);
        token->content = (kind != LLM_TOKEN_SYMBOL);
    }

    s->gap = 0;

    return token;
}


static int
llm_split_is(const unsigned char *p, const unsigned char *last,
    const char *text)
{
    size_t  len;

    len = strlen(text);

    return (size_t) (last - p) >= len && memcmp(p, text, len) == 0;
}


static int
llm_split_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
           || c >= 0x80;
}
