#include <math.h>

#include "llm_control.h"


/* one directive of a Cache-Control value */

typedef struct {
    llm_str_t             name;
    llm_str_t             value;
    unsigned              has_value:1;
} llm_directive_t;


/* a walk over a body that is JSON already */

typedef struct {
    const unsigned char  *p;
    const unsigned char  *last;
} llm_control_scan_t;


static const unsigned char *llm_control_next(const unsigned char *p,
    const unsigned char *last, llm_directive_t *directive);
static llm_str_t llm_control_trim(const unsigned char *p,
    const unsigned char *last);
static int llm_control_word(llm_str_t name, const char *word);
static int64_t llm_control_delta(const llm_directive_t *directive);
static int64_t llm_control_seconds(const json_t *value);
static void llm_control_strictest(int64_t *time, int64_t value);
static void llm_control_cache(const json_t *cache, llm_control_t *control);
static int llm_control_member(llm_control_scan_t *s, int *control);
static int llm_control_name(llm_control_scan_t *s, llm_str_t *name);
static int llm_control_value(llm_control_scan_t *s);
static int llm_control_nested(llm_control_scan_t *s);
static int llm_control_string(llm_control_scan_t *s);
static int llm_control_at(llm_control_scan_t *s, unsigned char c);
static int llm_control_spells(llm_str_t name, const char *word);
static int llm_control_hex(unsigned char c);


void
llm_control_init(llm_control_t *control)
{
    memset(control, 0, sizeof(llm_control_t));

    control->ttl = LLM_CONTROL_UNSET;
    control->max_age = LLM_CONTROL_UNSET;
    control->use_cache = LLM_CONTROL_UNSET;
}


void
llm_control_header(llm_str_t value, llm_control_t *control)
{
    llm_directive_t       d;
    const unsigned char  *p, *last;

    if (value.len == 0) {
        return;
    }

    p = value.data;
    last = p + value.len;

    while (p < last) {
        p = llm_control_next(p, last, &d);

        if (llm_control_word(d.name, "no-cache")) {
            control->no_cache = 1;

        } else if (llm_control_word(d.name, "no-store")) {
            control->no_store = 1;

        } else if (llm_control_word(d.name, "only-if-cached")) {
            control->only_if_cached = 1;

        } else if (llm_control_word(d.name, "max-age")) {
            llm_control_strictest(&control->max_age, llm_control_delta(&d));
        }
    }
}


/* reads up to the next comma outside quotes; returns where to go on */

static const unsigned char *
llm_control_next(const unsigned char *p, const unsigned char *last,
    llm_directive_t *directive)
{
    int                   quoted;
    const unsigned char  *start, *equals;

    start = p;
    equals = NULL;
    quoted = 0;

    for ( /* void */ ; p < last; p++) {

        if (quoted) {

            if (*p == '\\' && p + 1 < last) {
                p++;

            } else if (*p == '"') {
                quoted = 0;
            }

            continue;
        }

        if (*p == ',') {
            break;
        }

        if (*p == '"') {
            quoted = 1;

        } else if (*p == '=' && equals == NULL) {
            equals = p;
        }
    }

    directive->name = llm_control_trim(start, equals ? equals : p);
    directive->has_value = equals ? 1 : 0;
    directive->value.len = 0;
    directive->value.data = NULL;

    if (equals) {
        directive->value = llm_control_trim(equals + 1, p);
    }

    return p < last ? p + 1 : last;
}


static llm_str_t
llm_control_trim(const unsigned char *p, const unsigned char *last)
{
    llm_str_t  s;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    while (p < last && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    s.data = p;
    s.len = (size_t) (last - p);

    return s;
}


static int
llm_control_word(llm_str_t name, const char *word)
{
    size_t         i;
    unsigned char  c;

    if (name.len != strlen(word)) {
        return 0;
    }

    for (i = 0; i < name.len; i++) {
        c = name.data[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;
        }

        if (c != (unsigned char) word[i]) {
            return 0;
        }
    }

    return 1;
}


/* delta-seconds, as a token or quoted; what is none counts as 0: stale */

static int64_t
llm_control_delta(const llm_directive_t *directive)
{
    int64_t               n;
    const unsigned char  *p, *last;

    if (!directive->has_value || directive->value.len == 0) {
        return 0;
    }

    p = directive->value.data;
    last = p + directive->value.len;

    if (*p == '"') {

        if (last - p < 3 || last[-1] != '"') {
            return 0;
        }

        p++;
        last--;
    }

    for (n = 0; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return 0;
        }

        n = n * 10 + (*p - '0');

        if (n > LLM_CONTROL_MAX) {
            n = LLM_CONTROL_MAX;
        }
    }

    return n;
}


void
llm_control_body(const json_t *doc, llm_control_t *control)
{
    const json_t  *value;

    value = json_object_get(doc, "caching");

    if (json_is_boolean(value)) {
        if (json_is_false(value)) {
            control->use_cache = 0;

        } else if (control->use_cache != 0) {
            control->use_cache = 1;
        }
    }

    value = json_object_get(doc, "cache");

    if (json_is_object(value)) {
        llm_control_cache(value, control);
    }
}


static void
llm_control_cache(const json_t *cache, llm_control_t *control)
{
    const json_t  *value;

    value = json_object_get(cache, "use-cache");

    if (json_is_false(value)) {
        control->use_cache = 0;

    } else if (json_is_true(value) && control->use_cache != 0) {
        control->use_cache = 1;
    }

    if (json_is_true(json_object_get(cache, "no-cache"))) {
        control->no_cache = 1;
    }

    if (json_is_true(json_object_get(cache, "no-store"))) {
        control->no_store = 1;
    }

    if (json_is_false(json_object_get(cache, "semantic"))) {
        control->no_semantic = 1;
    }

    value = json_object_get(cache, "threshold");

    if (json_is_number(value)
        && json_number_value(value) > control->threshold)
    {
        control->threshold = json_number_value(value);
    }

    value = json_object_get(cache, "ttl");

    if (json_is_number(value)) {
        llm_control_strictest(&control->ttl, llm_control_seconds(value));
    }

    value = json_object_get(cache, "s-maxage");

    if (json_is_number(value)) {
        llm_control_strictest(&control->max_age, llm_control_seconds(value));
    }

    value = json_object_get(cache, "namespace");

    if (json_is_string(value)) {
        control->ns.data = (const unsigned char *) json_string_value(value);
        control->ns.len = json_string_length(value);
    }
}


static int64_t
llm_control_seconds(const json_t *value)
{
    double  seconds;

    seconds = floor(json_number_value(value));

    if (!(seconds > 0)) {
        return 0;
    }

    if (seconds > LLM_CONTROL_MAX) {
        return LLM_CONTROL_MAX;
    }

    return (int64_t) seconds;
}


static void
llm_control_strictest(int64_t *time, int64_t value)
{
    if (*time == LLM_CONTROL_UNSET || value < *time) {
        *time = value;
    }
}


/*
 * A member that has another one before it goes with the comma before it, a
 * first one with the comma after it.  Text that is no JSON ends the walk:
 * nothing is found then.
 */

int
llm_control_find(const unsigned char *body, size_t len, llm_range_t *ranges)
{
    int                 n, kept, control;
    size_t              comma;
    llm_range_t         member;
    llm_control_scan_t  s;

    if (len == 0) {
        return 0;
    }

    s.p = body;
    s.last = body + len;

    if (!llm_control_at(&s, '{')) {
        return 0;
    }

    s.p++;
    n = 0;
    kept = 0;
    comma = 0;

    while (!llm_control_at(&s, '}')) {

        member.start = kept ? comma : (size_t) (s.p - body);

        if (!llm_control_member(&s, &control)) {
            return 0;
        }

        member.end = (size_t) (s.p - body);

        if (llm_control_at(&s, ',')) {
            comma = (size_t) (s.p - body);
            s.p++;

            if (!kept) {
                member.end = comma + 1;
            }

        } else if (!llm_control_at(&s, '}')) {
            return 0;
        }

        if (!control) {
            kept = 1;
            continue;
        }

        if (n == 2) {
            return 0;
        }

        ranges[n++] = member;
    }

    return n;
}


/* reads a name and its value, and tells whether they are a control */

static int
llm_control_member(llm_control_scan_t *s, int *control)
{
    llm_str_t      name;
    unsigned char  c;

    if (!llm_control_name(s, &name) || s->p == s->last) {
        return 0;
    }

    c = *s->p;

    if (!llm_control_value(s)) {
        return 0;
    }

    *control = (c == '{' && llm_control_spells(name, "cache"))
               || ((c == 't' || c == 'f')
                   && llm_control_spells(name, "caching"));

    return 1;
}


/* reads a name and its colon; leaves the walk at the value */

static int
llm_control_name(llm_control_scan_t *s, llm_str_t *name)
{
    const unsigned char  *start;

    if (!llm_control_at(s, '"')) {
        return 0;
    }

    start = s->p + 1;

    if (!llm_control_string(s)) {
        return 0;
    }

    name->data = start;
    name->len = (size_t) (s->p - 1 - start);

    if (!llm_control_at(s, ':')) {
        return 0;
    }

    s->p++;

    /* only to get over the white space */

    (void) llm_control_at(s, '\0');

    return 1;
}


static int
llm_control_value(llm_control_scan_t *s)
{
    const unsigned char  *start;

    switch (*s->p) {

    case '"':
        return llm_control_string(s);

    case '{':
    case '[':
        return llm_control_nested(s);

    default:
        break;
    }

    for (start = s->p; s->p < s->last; s->p++) {

        switch (*s->p) {

        case ',':
        case '}':
        case ' ':
        case '\t':
        case '\n':
        case '\r':
            return s->p > start;

        default:
            break;
        }
    }

    return 0;
}


static int
llm_control_nested(llm_control_scan_t *s)
{
    size_t  depth;

    depth = 0;

    while (s->p < s->last) {

        switch (*s->p) {

        case '"':
            if (!llm_control_string(s)) {
                return 0;
            }

            continue;

        case '{':
        case '[':
            depth++;
            break;

        case '}':
        case ']':
            if (--depth == 0) {
                s->p++;
                return 1;
            }

            break;

        default:
            break;
        }

        s->p++;
    }

    return 0;
}


/* from the opening quote to the byte after the closing one */

static int
llm_control_string(llm_control_scan_t *s)
{
    for (s->p++; s->p < s->last; s->p++) {

        if (*s->p == '"') {
            s->p++;
            return 1;
        }

        if (*s->p == '\\') {

            if (s->last - s->p < 2) {
                break;
            }

            s->p++;
        }
    }

    return 0;
}


/* skips white space; whether the next byte is c */

static int
llm_control_at(llm_control_scan_t *s, unsigned char c)
{
    for ( /* void */ ; s->p < s->last; s->p++) {

        switch (*s->p) {

        case ' ':
        case '\t':
        case '\n':
        case '\r':
            break;

        default:
            return *s->p == c;
        }
    }

    return 0;
}


/* whether the raw text of a name means the word of lower-case letters */

static int
llm_control_spells(llm_str_t name, const char *word)
{
    int                   high, low;
    const unsigned char  *p, *last;

    if (name.len < strlen(word)) {
        return 0;
    }

    p = name.data;
    last = p + name.len;

    for ( /* void */ ; *word; word++) {

        if (p == last) {
            return 0;
        }

        if (*p != '\\') {
            if (*p++ != (unsigned char) *word) {
                return 0;
            }

            continue;
        }

        /* no other escape gives a letter */

        if (last - p < 6 || memcmp(p, "\\u00", 4) != 0) {
            return 0;
        }

        high = llm_control_hex(p[4]);
        low = llm_control_hex(p[5]);

        if (high < 0 || low < 0 || high * 16 + low != *word) {
            return 0;
        }

        p += 6;
    }

    return p == last;
}


static int
llm_control_hex(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    return -1;
}
