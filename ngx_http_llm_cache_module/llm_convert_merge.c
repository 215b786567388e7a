#include "llm_convert_core.h"


static int llm_merge_member(llm_conv_t *conv, llm_value_t *into,
    const llm_value_t *from, const llm_rule_t *rule);
static int llm_merge_same(llm_value_t *old, const llm_value_t *from);
static int llm_merge_once(llm_value_t *old, const llm_value_t *from);
static int llm_merge_silent(const llm_value_t *value);
static int llm_merge_text(llm_conv_t *conv, llm_value_t *old,
    const llm_value_t *from);
static int llm_merge_values(llm_conv_t *conv, llm_value_t *old,
    const llm_value_t *from, const llm_rule_t *rule);
static int llm_merge_append(llm_conv_t *conv, llm_value_t *old,
    const llm_value_t *from);
static int llm_merge_indexed(llm_conv_t *conv, llm_value_t *old,
    const llm_value_t *from, const llm_rule_t *rule);
static void llm_merge_replace(llm_value_t *old, const llm_value_t *from);


static const llm_rule_t  llm_merge_plain = { NULL, LLM_MERGE_SAME, NULL,
                                             NULL };


int
llm_merge(llm_conv_t *conv, llm_value_t *into, const llm_value_t *from,
    const llm_rule_t *rules)
{
    const llm_rule_t   *rule;
    const llm_value_t  *member;

    if (!llm_doc_type(into, LLM_SCAN_OBJECT) || into->text.data
        || !llm_doc_type(from, LLM_SCAN_OBJECT))
    {
        return -1;
    }

    for (member = from->first; member; member = member->next) {

        for (rule = rules ? rules : &llm_merge_plain; rule->name; rule++) {
            if (llm_str_eq(member->name, rule->name, strlen(rule->name))) {
                break;
            }
        }

        if (llm_merge_member(conv, into, member, rule) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
llm_merge_member(llm_conv_t *conv, llm_value_t *into,
    const llm_value_t *from, const llm_rule_t *rule)
{
    llm_str_t     name;
    llm_value_t  *old;

    if (rule->how == LLM_MERGE_DROP) {
        return 0;
    }

    name = from->name;

    if (rule->as) {
        name.data = (const unsigned char *) rule->as;
        name.len = strlen(rule->as);
    }

    old = llm_conv_find(conv, into, name);

    if (conv->failed) {
        return -1;
    }

    if (old == NULL) {
        old = llm_doc_add(&conv->arena, into, NULL, from);
        if (old == NULL) {
            return -1;
        }

        old->name = name;

        if (rule->how < LLM_MERGE_APPEND || from->type == LLM_SCAN_NULL) {
            return 0;
        }

        /* what is made by merging begins empty */

        old->type = LLM_SCAN_NULL;
    }

    switch (rule->how) {

    case LLM_MERGE_SAME:
        return llm_merge_same(old, from);

    case LLM_MERGE_ONCE:
        return llm_merge_once(old, from);

    case LLM_MERGE_FIRST:
        if (llm_doc_silent(old) || llm_doc_index(old, 1) == 0) {
            llm_merge_replace(old, from);
        }

        return 0;

    case LLM_MERGE_LAST:
        if (from->type != LLM_SCAN_NULL) {
            llm_merge_replace(old, from);
        }

        return 0;

    case LLM_MERGE_TEXT:
        return llm_merge_text(conv, old, from);

    default:
        return llm_merge_values(conv, old, from, rule);
    }
}


static int
llm_merge_same(llm_value_t *old, const llm_value_t *from)
{
    if (llm_merge_silent(from)) {
        return 0;
    }

    if (llm_merge_silent(old)) {
        llm_merge_replace(old, from);
        return 0;
    }

    return llm_doc_same(old, from) ? 0 : -1;
}


static int
llm_merge_once(llm_value_t *old, const llm_value_t *from)
{
    if ((from->type == LLM_SCAN_STRING || from->type == LLM_SCAN_ARRAY)
        && !llm_merge_silent(from) && !llm_merge_silent(old))
    {
        return -1;
    }

    return llm_merge_same(old, from);
}


static int
llm_merge_silent(const llm_value_t *value)
{
    return llm_doc_silent(value)
           || (value->n == 0 && (value->type == LLM_SCAN_OBJECT
                                 || value->type == LLM_SCAN_ARRAY));
}


static int
llm_merge_text(llm_conv_t *conv, llm_value_t *old, const llm_value_t *from)
{
    if (from->type == LLM_SCAN_NULL) {
        return 0;
    }

    if (old->type == LLM_SCAN_NULL) {
        llm_merge_replace(old, from);
        return 0;
    }

    if (old->type != LLM_SCAN_STRING || from->type != LLM_SCAN_STRING) {
        return llm_merge_once(old, from);
    }

    llm_doc_join(&conv->arena, old, from);

    return 0;
}


static int
llm_merge_values(llm_conv_t *conv, llm_value_t *old,
    const llm_value_t *from, const llm_rule_t *rule)
{
    llm_scan_type_e  type;

    if (from->type == LLM_SCAN_NULL) {
        return 0;
    }

    type = (rule->how == LLM_MERGE_OBJECT) ? LLM_SCAN_OBJECT : LLM_SCAN_ARRAY;

    if (from->type != type) {
        return -1;
    }

    if (old->type == LLM_SCAN_NULL) {
        old->type = type;
        old->text.data = NULL;
        old->text.len = 0;
        old->first = NULL;
        old->last = NULL;
        old->n = 0;
    }

    if (old->type != type) {
        return -1;
    }

    switch (rule->how) {

    case LLM_MERGE_OBJECT:
        return llm_merge(conv, old, from, rule->members);

    case LLM_MERGE_INDEXED:
        return llm_merge_indexed(conv, old, from, rule);

    default: /* LLM_MERGE_APPEND */
        return llm_merge_append(conv, old, from);
    }
}


static int
llm_merge_append(llm_conv_t *conv, llm_value_t *old,
    const llm_value_t *from)
{
    const llm_value_t  *item;

    for (item = from->first; item; item = item->next) {
        if (llm_doc_add(&conv->arena, old, NULL, item) == NULL) {
            return -1;
        }
    }

    return 0;
}


static int
llm_merge_indexed(llm_conv_t *conv, llm_value_t *old,
    const llm_value_t *from, const llm_rule_t *rule)
{
    size_t              index;
    llm_value_t        *into, *made;
    const llm_value_t  *item;

    for (item = from->first; item; item = item->next) {

        index = llm_doc_index(llm_doc_get(item, "index"), SIZE_MAX);

        if (index == SIZE_MAX) {
            return -1;
        }

        for (into = old->first; into; into = into->next) {
            if (llm_doc_index(llm_conv_get(conv, into, "index"), SIZE_MAX)
                == index)
            {
                break;
            }
        }

        if (conv->failed) {
            return -1;
        }

        if (into == NULL) {
            made = llm_doc_new(&conv->arena, LLM_SCAN_OBJECT);
            into = llm_doc_add(&conv->arena, old, NULL, made);
        }

        if (llm_merge(conv, into, item, rule->members) != 0) {
            return -1;
        }
    }

    return 0;
}


static void
llm_merge_replace(llm_value_t *old, const llm_value_t *from)
{
    llm_str_t     name;
    llm_value_t  *next;

    name = old->name;
    next = old->next;

    *old = *from;

    old->name = name;
    old->next = next;
}


void
llm_merge_sort(llm_conv_t *conv, llm_value_t *array, size_t absent)
{
    size_t         index;
    llm_value_t   *value, *next, **link;

    if (!llm_doc_type(array, LLM_SCAN_ARRAY)) {
        return;
    }

    value = array->first;
    array->first = NULL;
    array->last = NULL;

    for ( /* void */ ; value; value = next) {
        next = value->next;
        index = llm_doc_index(llm_conv_get(conv, value, "index"), absent);

        link = &array->first;

        if (array->last
            && llm_doc_index(llm_conv_get(conv, array->last, "index"), absent)
               <= index)
        {
            link = &array->last->next;
        }

        while (*link
               && llm_doc_index(llm_conv_get(conv, *link, "index"), absent)
                  <= index)
        {
            link = &(*link)->next;
        }

        value->next = *link;
        *link = value;

        if (value->next == NULL) {
            array->last = value;
        }
    }
}
