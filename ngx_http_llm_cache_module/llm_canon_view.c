#include "llm_canon.h"


static const unsigned char *llm_canon_over(const unsigned char *p);
static const unsigned char *llm_canon_over_string(const unsigned char *p);


int
llm_canon_each(llm_str_t *object, llm_str_t *name, llm_str_t *value)
{
    const unsigned char  *p, *last;

    p = object->data;

    /* a brace before the first member, a comma before the others */

    if (object->len < 2 || (*p != '{' && *p != ',') || p[1] == '}') {
        return 0;
    }

    last = p + object->len;

    name->data = p + 2;
    p = llm_canon_over_string(p + 1);
    name->len = (size_t) (p - name->data) - 1;

    value->data = p + 1;
    p = llm_canon_over(p + 1);
    value->len = (size_t) (p - value->data);

    object->data = p;
    object->len = (size_t) (last - p);

    return 1;
}


int
llm_canon_item(llm_str_t *array, llm_str_t *value)
{
    const unsigned char  *p, *last;

    p = array->data;

    if (array->len < 2 || (*p != '[' && *p != ',') || p[1] == ']') {
        return 0;
    }

    last = p + array->len;

    value->data = p + 1;
    p = llm_canon_over(p + 1);
    value->len = (size_t) (p - value->data);

    array->data = p;
    array->len = (size_t) (last - p);

    return 1;
}


llm_str_t
llm_canon_bare(llm_str_t value)
{
    if (value.len >= 2 && *value.data == '"') {
        value.data++;
        value.len -= 2;

    } else {
        value.len = 0;
    }

    return value;
}


llm_str_t
llm_canon_inner(llm_str_t object, const char *name)
{
    size_t     len;
    llm_str_t  member, value;

    len = strlen(name);

    while (llm_canon_each(&object, &member, &value)) {
        if (llm_str_eq(member, name, len)) {
            return llm_canon_bare(value);
        }
    }

    value.data = NULL;
    value.len = 0;

    return value;
}


/* the byte after a value: a comma or a bracket */

static const unsigned char *
llm_canon_over(const unsigned char *p)
{
    unsigned  depth;

    depth = 0;

    for ( ;; ) {

        switch (*p) {

        case '"':
            p = llm_canon_over_string(p);
            break;

        case '{':
        case '[':
            depth++;
            p++;
            break;

        case '}':
        case ']':
            if (depth == 0) {
                return p;
            }

            depth--;
            p++;
            break;

        case ',':
            if (depth == 0) {
                return p;
            }

            p++;
            break;

        default:
            p++;
            break;
        }
    }
}


static const unsigned char *
llm_canon_over_string(const unsigned char *p)
{
    for (p++; *p != '"'; p++) {
        if (*p == '\\') {
            p++;
        }
    }

    return p + 1;
}
