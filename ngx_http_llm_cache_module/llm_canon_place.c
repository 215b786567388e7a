#include "llm_canon.h"


#define llm_text_is(text, s)  llm_str_eq(text, s, sizeof(s) - 1)


static int llm_canon_step(llm_canon_t *c, llm_canon_frame_t *f, uint32_t i,
    llm_str_t name, llm_canon_place_t *place);
static int llm_canon_control(llm_canon_t *c, llm_canon_frame_t *f,
    llm_str_t name, json_type type);
static int llm_canon_inside(llm_canon_t *c, llm_canon_frame_t *f,
    llm_str_t name, llm_canon_place_t *place);
static int llm_canon_traits(llm_canon_t *c, llm_canon_frame_t *f,
    llm_pos_traits_t *traits);
static int llm_canon_others(llm_canon_t *c, const llm_canon_frame_t *f);
static const llm_canon_member_t *llm_canon_find(const llm_canon_t *c,
    const llm_canon_frame_t *f, const char *name);
static llm_str_t llm_canon_text_of(const llm_canon_t *c,
    const llm_canon_frame_t *f, const char *name);
static json_type llm_canon_type(unsigned char b);


int
llm_canon_special(llm_canon_t *c, llm_canon_frame_t *f, uint32_t i)
{
    int                  rc;
    json_type            type;
    llm_str_t            name;
    llm_canon_place_t    place;
    llm_canon_member_t  *m;

    if (c->p == c->last) {
        return llm_canon_fail(c, LLM_REASON_JSON);
    }

    m = llm_canon_members(c) + i;
    name = llm_canon_name(c, m);

    if (m->escaped) {
        c->name.len = 0;

        if (llm_canon_decode(name, &c->name) != 0) {
            return llm_canon_fail(c, LLM_REASON_NO_MEMORY);
        }

        name.data = c->name.data;
        name.len = c->name.len;
    }

    type = llm_canon_type(*c->p);

    m->dropped = (llm_pos_dropped(c->dialect->id, f->place->pos, name, type,
                                  c->strip_controls)
                  || llm_paths_end(&c->paths, f->place->ignore, name));

    f->partial |= m->dropped;

    memset(&place, 0, sizeof(llm_canon_place_t));

    if (f->place->watch == LLM_WATCH_TOP && c->strip_controls
        && llm_canon_control(c, f, name, type))
    {
        rc = llm_canon_value(c, NULL);

        c->controls[c->n_controls - 1].end = (size_t) (c->p - c->data);

        return rc;
    }

    if (type != JSON_OBJECT && type != JSON_ARRAY) {
        return llm_canon_value(c, NULL);
    }

    if (llm_paths_enter(&c->paths, f->place->ignore, name, &place.ignore)
        != 0)
    {
        return llm_canon_fail(c, LLM_REASON_NO_MEMORY);
    }

    rc = llm_canon_step(c, f, i, name, &place);

    if (rc == 0) {
        rc = llm_canon_inside(c, f, name, &place);
    }

    llm_paths_leave(&c->paths, place.ignore);

    return rc;
}


/* where the member leads to, as far as it can be told yet */

static int
llm_canon_step(llm_canon_t *c, llm_canon_frame_t *f, uint32_t i,
    llm_str_t name, llm_canon_place_t *place)
{
    llm_pos_traits_t       traits;
    const llm_pos_step_t  *step;

    if (*c->p != '[') {
        return 0;
    }

    step = llm_pos_step(c->dialect->id, f->place->pos, name);

    if (step == NULL) {
        return 0;
    }

    if (step->test) {
        f->step = step;
        f->held = i;
        f->text = c->p;
        f->guess = !llm_canon_traits(c, f, &traits) || step->test(&traits);

        if (!f->guess) {
            return 0;
        }
    }

    place->pos = step->to;

    return 0;
}


/* whether the member is a control, of which the text's range is noted */

static int
llm_canon_control(llm_canon_t *c, llm_canon_frame_t *f, llm_str_t name,
    json_type type)
{
    f->control = (type == JSON_OBJECT && llm_text_is(name, "cache"))
                 || ((type == JSON_TRUE || type == JSON_FALSE)
                     && llm_text_is(name, "caching"));

    if (!f->control) {
        f->kept = 1;
        return 0;
    }

    /* a third one is a duplicate, which is found in the end */

    if (c->n_controls < 2) {
        c->n_controls++;
    }

    c->controls[c->n_controls - 1].start =
                      (size_t) ((f->kept ? f->comma : f->member) - c->data);

    return 1;
}


/* an object or array that is a member in a special place */

static int
llm_canon_inside(llm_canon_t *c, llm_canon_frame_t *f, llm_str_t name,
    llm_canon_place_t *place)
{
    int       rc;
    unsigned  hosted;

    if (f->place->watch != LLM_WATCH_NONE && llm_text_is(name, "tools")) {

        if (*c->p == '[') {
            place->watch = LLM_WATCH_TOOLS;

        } else if (f->place->watch == LLM_WATCH_TOP) {
            place->watch = LLM_WATCH_TOOL;
        }
    }

    if (place->watch == LLM_WATCH_NONE) {

        if (place->pos == LLM_POS_NONE
            && place->ignore.start == place->ignore.end)
        {
            return llm_canon_value(c, NULL);
        }

        return llm_canon_value(c, place);
    }

    hosted = c->hosted;
    c->hosted = 0;

    rc = llm_canon_value(c, place);

    /* a tool's own tools count for the tool, those of the body for all */

    if (f->place->watch == LLM_WATCH_TOOL) {
        f->nested = c->hosted;
        c->hosted = hosted & 1;
    }

    return rc;
}


/* what the members tell so far; 0 when there is nothing */

static int
llm_canon_traits(llm_canon_t *c, llm_canon_frame_t *f,
    llm_pos_traits_t *traits)
{
    const llm_canon_member_t  *type, *role;

    type = llm_canon_find(c, f, "type");
    role = llm_canon_find(c, f, "role");

    traits->has_type = type ? 1 : 0;
    traits->type = llm_canon_text_of(c, f, "type");
    traits->role = llm_canon_text_of(c, f, "role");

    return type || role;
}


int
llm_canon_again(llm_canon_t *c, llm_canon_frame_t *f)
{
    int                   rc, right;
    size_t                head;
    uint32_t              start;
    llm_pos_traits_t      traits;
    llm_canon_place_t     place;
    llm_canon_member_t   *m;
    const unsigned char  *p;

    (void) llm_canon_traits(c, f, &traits);

    right = f->step->test(&traits) ? 1 : 0;

    if (right == (int) f->guess) {
        return 0;
    }

    memset(&place, 0, sizeof(llm_canon_place_t));
    place.pos = right ? f->step->to : LLM_POS_NONE;

    if (llm_paths_enter(&c->paths, f->place->ignore, f->step->name,
                        &place.ignore)
        != 0)
    {
        return llm_canon_fail(c, LLM_REASON_NO_MEMORY);
    }

    if (llm_canon_reserve(c, (size_t) (c->last - f->text)) != 0) {
        return -1;
    }

    m = llm_canon_members(c) + f->held;
    head = m->name + 3;
    start = llm_canon_at(c);

    memcpy(c->o, c->out + m->start, head);
    c->o += head;

    m->start = start;
    m->record = c->records.n;

    p = c->p;
    c->p = f->text;

    rc = llm_canon_value(c, &place);

    c->p = p;
    llm_canon_members(c)[f->held].end = llm_canon_at(c);

    llm_paths_leave(&c->paths, place.ignore);

    f->partial = 1;

    return rc;
}


void
llm_canon_part(llm_canon_t *c, const llm_canon_frame_t *f)
{
    unsigned                   counted;
    uint32_t                   i;
    llm_str_t                  type, plain;
    const llm_canon_member_t  *m, *text;

    c->plain.end = c->plain.start;

    for (counted = 0, i = f->first; i < c->members.n && counted < 3; i++) {
        counted += !llm_canon_members(c)[i].dropped;
    }

    if (counted != 2) {
        return;
    }

    m = llm_canon_find(c, f, "type");
    text = llm_canon_find(c, f, "text");

    if (m == NULL || text == NULL || m->dropped || text->dropped
        || *llm_canon_value_of(c, text).data != '"')
    {
        return;
    }

    type = llm_canon_text_of(c, f, "type");
    plain = llm_pos_plain(c->dialect->id);

    if (llm_str_eq(type, (const char *) plain.data, plain.len)) {
        c->plain.start = (size_t) (llm_canon_value_of(c, text).data - c->out);
        c->plain.end = text->end;
    }
}


void
llm_canon_tool(llm_canon_t *c, const llm_canon_frame_t *f)
{
    llm_tool_t                 tool;
    const llm_canon_member_t  *m;

    memset(&tool, 0, sizeof(llm_tool_t));

    tool.type = llm_canon_text_of(c, f, "type");
    tool.execution = llm_canon_text_of(c, f, "execution");
    tool.nested = f->nested;

    m = llm_canon_find(c, f, "function");
    tool.function = (m && *llm_canon_value_of(c, m).data == '{');

    m = llm_canon_find(c, f, "environment");

    if (m) {
        tool.environment = llm_canon_inner(llm_canon_value_of(c, m), "type");
    }

    tool.others = (c->dialect->tools == LLM_TOOLS_GEMINI
                   && llm_canon_others(c, f));

    c->hosted |= (llm_dialect_hosted_tool(c->dialect->tools, &tool) != 0);
}


static int
llm_canon_others(llm_canon_t *c, const llm_canon_frame_t *f)
{
    uint32_t                   i;
    unsigned char              b;
    const llm_canon_member_t  *m;

    for (i = f->first; i < c->members.n; i++) {
        m = llm_canon_members(c) + i;
        b = *llm_canon_value_of(c, m).data;

        if (b != 'n' && b != 'f'
            && llm_dialect_other_tool(llm_canon_name(c, m)))
        {
            return 1;
        }
    }

    return 0;
}


/* canonical text has one spelling only, so that bytes can be compared */

static const llm_canon_member_t *
llm_canon_find(const llm_canon_t *c, const llm_canon_frame_t *f,
    const char *name)
{
    size_t                     len;
    const llm_canon_member_t  *m, *last;

    len = strlen(name);
    m = llm_canon_members(c) + f->first;
    last = llm_canon_members(c) + c->members.n;

    for ( /* void */ ; m < last; m++) {
        if (m->name == len
            && memcmp(c->out + m->start + 1, name, len) == 0)
        {
            return m;
        }
    }

    return NULL;
}


/* the canonical text of a string, without its quotes; else empty */

static llm_str_t
llm_canon_text_of(const llm_canon_t *c, const llm_canon_frame_t *f,
    const char *name)
{
    llm_str_t                  text;
    const llm_canon_member_t  *m;

    text.len = 0;
    text.data = NULL;

    m = llm_canon_find(c, f, name);

    return m ? llm_canon_bare(llm_canon_value_of(c, m)) : text;
}


static json_type
llm_canon_type(unsigned char b)
{
    switch (b) {

    case '{':
        return JSON_OBJECT;

    case '[':
        return JSON_ARRAY;

    case '"':
        return JSON_STRING;

    case 't':
        return JSON_TRUE;

    case 'f':
        return JSON_FALSE;

    case 'n':
        return JSON_NULL;

    default:
        return JSON_REAL;
    }
}
