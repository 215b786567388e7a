#include "key_body.h"


#define llm_lit(out, s)  llm_buf_add(out, s, sizeof(s) - 1)

#define llm_name_is(m, s)                                                     \
    ((m)->len == sizeof(s) - 1 && memcmp((m)->name, s, sizeof(s) - 1) == 0)


typedef struct {
    const llm_dialect_t  *dialect;
    llm_buf_t            *out;
    llm_paths_t           paths;
    unsigned              depth;
    unsigned              strip_controls:1;
} key_body_walk_t;


static int key_body_value(key_body_walk_t *w, const json_t *value,
    llm_pos_e pos, llm_range_t ignore);
static int key_body_array(key_body_walk_t *w, const json_t *array,
    llm_pos_e pos, llm_range_t ignore);
static int key_body_object(key_body_walk_t *w, const json_t *object,
    llm_pos_e pos, llm_range_t ignore);
static int key_body_dropped(key_body_walk_t *w, const llm_json_member_t *m,
    llm_pos_e pos);
static int key_body_enter(key_body_walk_t *w, const llm_json_member_t *m,
    llm_range_t ignore, llm_range_t *below);
static llm_pos_e key_body_step(key_body_walk_t *w, const json_t *object,
    const llm_json_member_t *m, llm_pos_e pos);
static const json_t *key_body_plain(key_body_walk_t *w, const json_t *content,
    llm_range_t ignore);
static llm_str_t key_body_name(const llm_json_member_t *m);
static llm_str_t key_body_text(const json_t *object, const char *name);


int
key_body(const json_t *doc, const llm_dialect_t *dialect,
    const llm_ignore_t *ignore, int strip_controls, llm_buf_t *out)
{
    int              rc;
    llm_range_t      slice;
    key_body_walk_t  w;

    memset(&w, 0, sizeof(key_body_walk_t));

    w.dialect = dialect;
    w.out = out;
    w.strip_controls = strip_controls ? 1 : 0;

    rc = llm_paths_init(&w.paths, ignore, &slice);

    if (rc == 0) {
        rc = key_body_value(&w, doc, LLM_POS_TOP, slice);
    }

    llm_paths_free(&w.paths);

    return rc;
}


static int
key_body_value(key_body_walk_t *w, const json_t *value, llm_pos_e pos,
    llm_range_t ignore)
{
    int            rc;
    const json_t  *text;

    if (pos == LLM_POS_NONE && ignore.start == ignore.end) {
        return llm_json_canon(value, w->out);
    }

    if (w->depth > LLM_JSON_MAX_DEPTH) {
        return -1;
    }

    w->depth++;

    if (json_is_object(value)) {
        rc = key_body_object(w, value, pos, ignore);

    } else if (json_is_array(value)) {
        text = NULL;

        if (pos == LLM_POS_CONTENT) {
            text = key_body_plain(w, value, ignore);
        }

        rc = text ? llm_json_canon(text, w->out)
                  : key_body_array(w, value, pos, ignore);

    } else {
        rc = llm_json_canon(value, w->out);
    }

    w->depth--;

    return rc;
}


static int
key_body_array(key_body_walk_t *w, const json_t *array, llm_pos_e pos,
    llm_range_t ignore)
{
    size_t     i, n;
    llm_pos_e  inner;

    if (llm_lit(w->out, "[") != 0) {
        return -1;
    }

    n = json_array_size(array);
    inner = llm_pos_element(pos);

    for (i = 0; i < n; i++) {

        if (i && llm_lit(w->out, ",") != 0) {
            return -1;
        }

        if (key_body_value(w, json_array_get(array, i), inner, ignore) != 0) {
            return -1;
        }
    }

    return llm_lit(w->out, "]");
}


static int
key_body_object(key_body_walk_t *w, const json_t *object, llm_pos_e pos,
    llm_range_t ignore)
{
    int                 rc, comma;
    size_t              i, n;
    llm_pos_e           inner;
    llm_range_t     below;
    llm_json_member_t  *members, *m;

    if (llm_json_members(object, &members, &n) != 0) {
        return -1;
    }

    rc = llm_lit(w->out, "{");
    comma = 0;

    for (i = 0; rc == 0 && i < n; i++) {
        m = &members[i];

        if (key_body_dropped(w, m, pos)
            || llm_paths_end(&w->paths, ignore, key_body_name(m)))
        {
            continue;
        }

        inner = key_body_step(w, object, m, pos);

        if ((comma && llm_lit(w->out, ",") != 0)
            || llm_json_canon_string(m->name, m->len, w->out) != 0
            || llm_lit(w->out, ":") != 0
            || key_body_enter(w, m, ignore, &below) != 0
            || key_body_value(w, m->value, inner, below) != 0)
        {
            rc = -1;
            break;
        }

        llm_paths_leave(&w->paths, below);
        comma = 1;
    }

    free(members);

    return rc ? -1 : llm_lit(w->out, "}");
}


static int
key_body_dropped(key_body_walk_t *w, const llm_json_member_t *m, llm_pos_e pos)
{
    return llm_pos_dropped(w->dialect->id, pos, key_body_name(m),
                           json_typeof(m->value), w->strip_controls);
}


static int
key_body_enter(key_body_walk_t *w, const llm_json_member_t *m,
    llm_range_t ignore, llm_range_t *below)
{
    if (!json_is_object(m->value) && !json_is_array(m->value)) {
        ignore.end = ignore.start;
    }

    return llm_paths_enter(&w->paths, ignore, key_body_name(m), below);
}


static llm_pos_e
key_body_step(key_body_walk_t *w, const json_t *object,
    const llm_json_member_t *m, llm_pos_e pos)
{
    llm_pos_traits_t       traits;
    const llm_pos_step_t  *step;

    if (!json_is_array(m->value)) {
        return LLM_POS_NONE;
    }

    step = llm_pos_step(w->dialect->id, pos, key_body_name(m));

    if (step == NULL) {
        return LLM_POS_NONE;
    }

    if (step->test) {
        traits.type = key_body_text(object, "type");
        traits.role = key_body_text(object, "role");
        traits.has_type = json_object_get(object, "type") ? 1 : 0;

        if (!step->test(&traits)) {
            return LLM_POS_NONE;
        }
    }

    return step->to;
}


/*
 * The text of a content that is one plain text part, else NULL.  Plain: of
 * the members that count, a type and a text and nothing else.
 */

static const json_t *
key_body_plain(key_body_walk_t *w, const json_t *content,
    llm_range_t ignore)
{
    int                 counted;
    void               *iter;
    json_t             *part;
    llm_str_t           plain, type;
    const json_t       *text;
    llm_json_member_t   m;

    part = json_array_get(content, 0);

    if (json_array_size(content) != 1 || !json_is_object(part)) {
        return NULL;
    }

    plain = llm_pos_plain(w->dialect->id);
    type = key_body_text(part, "type");
    text = json_object_get(part, "text");

    if (!llm_str_eq(type, (const char *) plain.data, plain.len)
        || !json_is_string(text))
    {
        return NULL;
    }

    counted = 0;

    for (iter = json_object_iter(part);
         iter;
         iter = json_object_iter_next(part, iter))
    {
        m.name = json_object_iter_key(iter);
        m.len = strlen(m.name);
        m.value = json_object_iter_value(iter);

        if (key_body_dropped(w, &m, LLM_POS_PART)) {
            continue;
        }

        if (llm_paths_end(&w->paths, ignore, key_body_name(&m))) {

            if (llm_name_is(&m, "type") || llm_name_is(&m, "text")) {
                return NULL;
            }

            continue;
        }

        counted++;
    }

    return counted == 2 ? text : NULL;
}


static llm_str_t
key_body_name(const llm_json_member_t *m)
{
    llm_str_t  name;

    name.data = (const unsigned char *) m->name;
    name.len = m->len;

    return name;
}


/* empty where there is no such string */

static llm_str_t
key_body_text(const json_t *object, const char *name)
{
    llm_str_t      text;
    const json_t  *value;

    value = json_object_get(object, name);

    text.data = (const unsigned char *) json_string_value(value);
    text.len = json_string_length(value);

    return text;
}
