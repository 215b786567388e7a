#include "llm_body.h"
#include "llm_canon.h"


static llm_reason_e llm_body_tell(llm_canon_t *c, const llm_route_t *route,
    llm_body_t *body);
static int llm_body_top(const llm_dialect_t *dialect, llm_str_t name);
static int llm_body_word(llm_str_t name, const llm_str_t *words);
static json_t *llm_body_value(llm_canon_t *c, llm_str_t text);
static json_t *llm_body_object(llm_canon_t *c, llm_str_t text);
static json_t *llm_body_string(llm_canon_t *c, llm_str_t text);
static int llm_body_set(json_t *object, llm_str_t name, json_t *value);


/*
 * What llm_dialect_ask() and llm_control_body() look at, besides the tools
 * and what llm_dialect_t and llm_dialect_hosted_member() tell: at the top
 * level, and in objects there.
 */

static const llm_str_t  llm_body_names[] = {
    llm_string("model"),
    llm_string("stream"),
    llm_string("stream_options"),
    llm_string("temperature"),
    llm_string("conversation"),
    llm_string("background"),
    llm_string("caching"),
    llm_string("cache"),
    llm_null_string
};

static const llm_str_t  llm_body_inner_names[] = {
    llm_string("include_usage"),
    llm_string("temperature"),
    llm_string("mode"),
    llm_string("use-cache"),
    llm_string("no-cache"),
    llm_string("no-store"),
    llm_string("ttl"),
    llm_string("s-maxage"),
    llm_string("namespace"),
    llm_string("semantic"),
    llm_string("threshold"),
    llm_null_string
};


llm_reason_e
llm_body_read(const unsigned char *data, size_t len,
    const llm_route_t *route, const llm_ignore_t *ignore, int strip_controls,
    llm_body_t *body)
{
    llm_canon_t   c;
    llm_reason_e  reason;

    memset(body, 0, sizeof(llm_body_t));
    llm_control_init(&body->control);

    if (len == 0) {
        return LLM_REASON_JSON;
    }

    memset(&c, 0, sizeof(llm_canon_t));

    c.data = data;
    c.last = data + len;
    c.dialect = route->dialect;
    c.strip_controls = strip_controls ? 1 : 0;

    reason = llm_canon_read(&c, ignore);

    if (reason == LLM_REASON_NONE) {
        reason = llm_body_tell(&c, route, body);
    }

    if (reason == LLM_REASON_NONE && llm_canon_digest(&c, body->digest) != 0) {
        reason = LLM_REASON_NO_MEMORY;
    }

    llm_canon_free(&c);

    return reason;
}


void
llm_body_free(llm_body_t *body)
{
    json_decref(body->doc);
    body->doc = NULL;
}


/* a document of the few members that matter tells what the whole would */

static llm_reason_e
llm_body_tell(llm_canon_t *c, const llm_route_t *route, llm_body_t *body)
{
    uint32_t                   i;
    llm_str_t                  name;
    const llm_canon_member_t  *m;

    body->doc = json_object();

    if (body->doc == NULL) {
        return LLM_REASON_NO_MEMORY;
    }

    for (i = 0; i < c->members.n; i++) {
        m = llm_canon_members(c) + i;
        name = llm_canon_name(c, m);

        if (llm_body_top(route->dialect, name)
            && llm_body_set(body->doc, name,
                            llm_body_value(c, llm_canon_value_of(c, m)))
               != 0)
        {
            return LLM_REASON_NO_MEMORY;
        }
    }

    llm_dialect_ask(route, body->doc, &body->ask);

    if (c->hosted) {
        body->ask.hosted_tools = 1;
    }

    if (c->strip_controls) {
        llm_control_body(body->doc, &body->control);

        body->ranges[0] = c->controls[0];
        body->ranges[1] = c->controls[1];
        body->n = c->n_controls;
    }

    return LLM_REASON_NONE;
}


static int
llm_body_top(const llm_dialect_t *dialect, llm_str_t name)
{
    unsigned  i;

    for (i = 0; i < 2 && dialect->settings[i]; i++) {
        if (llm_str_eq(name, dialect->settings[i],
                       strlen(dialect->settings[i])))
        {
            return 1;
        }
    }

    return llm_body_word(name, llm_body_names)
           || llm_dialect_hosted_member(name);
}


static int
llm_body_word(llm_str_t name, const llm_str_t *words)
{
    for ( /* void */ ; words->len; words++) {
        if (llm_str_eq(name, (const char *) words->data, words->len)) {
            return 1;
        }
    }

    return 0;
}


/* of an array no more than whether it is empty */

static json_t *
llm_body_value(llm_canon_t *c, llm_str_t text)
{
    double   number;
    json_t  *array;

    switch (*text.data) {

    case '{':
        return llm_body_object(c, text);

    case '[':
        array = json_array();

        if (array && text.len > 2
            && json_array_append_new(array, json_null()) != 0)
        {
            json_decref(array);
            return NULL;
        }

        return array;

    case '"':
        return llm_body_string(c, llm_canon_bare(text));

    case 't':
        return json_true();

    case 'f':
        return json_false();

    case 'n':
        return json_null();

    default:
        if (llm_canon_double(text, &c->number, &number) != 0) {
            return NULL;
        }

        return json_real(number);
    }
}


/* scalars that are looked at, and something where there is anything else */

static json_t *
llm_body_object(llm_canon_t *c, llm_str_t text)
{
    int        any;
    json_t    *object;
    llm_str_t  name, value;

    static const llm_str_t  other = llm_string("other");

    object = json_object();

    if (object == NULL) {
        return NULL;
    }

    any = 0;

    while (llm_canon_each(&text, &name, &value)) {
        any = 1;

        if (*value.data != '{' && *value.data != '['
            && llm_body_word(name, llm_body_inner_names)
            && llm_body_set(object, name, llm_body_value(c, value)) != 0)
        {
            json_decref(object);
            return NULL;
        }
    }

    if (any && llm_body_set(object, other, json_null()) != 0) {
        json_decref(object);
        return NULL;
    }

    return object;
}


static json_t *
llm_body_string(llm_canon_t *c, llm_str_t text)
{
    c->name.len = 0;

    if (llm_canon_decode(text, &c->name) != 0) {
        return NULL;
    }

    /* an empty buffer may have no data at all */

    return json_stringn_nocheck(c->name.len ? (char *) c->name.data : "",
                                c->name.len);
}


/* takes the value, which may be NULL; 0, or -1 */

static int
llm_body_set(json_t *object, llm_str_t name, json_t *value)
{
    return json_object_setn_new_nocheck(object, (const char *) name.data,
                                        name.len, value);
}
