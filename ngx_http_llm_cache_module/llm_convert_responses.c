/*
 * OpenAI Responses (platform.openai.com/docs/api-reference/responses-streaming).
 * A stream's last event holds the whole answer; the others tell its parts.
 */


#include "llm_convert_core.h"


typedef struct {
    llm_conv_t           *conv;
    size_t                sequence;
    size_t                output;      /* index of the item */
    const llm_value_t    *item;
    const llm_value_t    *id;          /* the item's */
    size_t                part;        /* index in its content or summary */
} llm_responses_t;


/* the events of one kind of text */

typedef struct {
    const char           *delta;
    const char           *done;
    const char           *index;       /* names the part's index, or NULL */
    const char           *member;      /* what is told when it is done */
} llm_responses_text_t;


static int llm_responses_known(const llm_value_t *event,
    const llm_value_t *type);
static int llm_responses_agree(llm_conv_t *conv, const llm_value_t *output);
static llm_value_t *llm_responses_rebuild(llm_conv_t *conv,
    llm_value_t *response);
static void llm_responses_event(llm_responses_t *res, const char *type);
static void llm_responses_at(llm_responses_t *res, const char *index);
static void llm_responses_end(llm_responses_t *res);
static void llm_responses_begun(llm_responses_t *res, const char *type);
static int llm_responses_item(llm_responses_t *res);
static void llm_responses_skeleton(llm_responses_t *res, const char *empty,
    const char *value);
static void llm_responses_pieces(llm_responses_t *res,
    const llm_responses_text_t *kind, const llm_value_t *text,
    const llm_value_t *logprobs);
static int llm_responses_parts(llm_responses_t *res, const char *member);
static void llm_responses_part(llm_responses_t *res, const llm_value_t *part,
    const char *empty);
static void llm_responses_annotations(llm_responses_t *res,
    const llm_value_t *part);


static const llm_responses_text_t  llm_responses_output =
    { "response.output_text.delta", "response.output_text.done",
      "content_index", "text" };

static const llm_responses_text_t  llm_responses_refusal =
    { "response.refusal.delta", "response.refusal.done", "content_index",
      "refusal" };

static const llm_responses_text_t  llm_responses_reasoning =
    { "response.reasoning_text.delta", "response.reasoning_text.done",
      "content_index", "text" };

static const llm_responses_text_t  llm_responses_summary =
    { "response.reasoning_summary_text.delta",
      "response.reasoning_summary_text.done", "summary_index", "text" };

static const llm_responses_text_t  llm_responses_function =
    { "response.function_call_arguments.delta",
      "response.function_call_arguments.done", NULL, "arguments" };

static const llm_responses_text_t  llm_responses_custom =
    { "response.custom_tool_call_input.delta",
      "response.custom_tool_call_input.done", NULL, "input" };


llm_value_t *
llm_responses_json(llm_conv_t *conv)
{
    size_t              items, others;
    llm_value_t        *response, *output;
    const llm_value_t  *event, *type;

    response = NULL;
    items = 0;
    others = 0;

    for (event = conv->events->first; event; event = event->next) {

        type = llm_doc_get(event, "type");

        if (!llm_responses_known(event, type)) {
            return NULL;
        }

        if (llm_doc_is(type, "response.output_item.done")) {
            items++;

        } else if (llm_doc_is(type, "response.completed")
                   || llm_doc_is(type, "response.incomplete"))
        {
            response = llm_doc_get(event, "response");

        } else if (!llm_doc_is(type, "response.created")
                   && !llm_doc_is(type, "response.queued")
                   && !llm_doc_is(type, "response.in_progress"))
        {
            others++;
        }
    }

    output = llm_doc_get(response, "output");

    if (!llm_doc_type(output, LLM_SCAN_ARRAY)) {
        return NULL;
    }

    /* parts of an item that nobody told whole, or JSON without a status */

    if ((items == 0 && others)
        || !llm_doc_type(llm_doc_get(response, "status"), LLM_SCAN_STRING))
    {
        return NULL;
    }

    if (output->n == 0) {
        return items ? llm_responses_rebuild(conv, response) : NULL;
    }

    return (items == 0 || (items == output->n
                           && llm_responses_agree(conv, output)))
           ? response : NULL;
}


/* whether nothing in the event is an answer's part that is not looked for */

static int
llm_responses_known(const llm_value_t *event, const llm_value_t *type)
{
    static const char  prefix[] = "\"response.";

    if (!llm_doc_type(type, LLM_SCAN_STRING)
        || type->text.len < sizeof(prefix)
        || memcmp(type->text.data, prefix, sizeof(prefix) - 1) != 0)
    {
        return 0;
    }

    return llm_doc_get(event, "item") == NULL
           || llm_doc_is(type, "response.output_item.done")
           || llm_doc_is(type, "response.output_item.added");
}


/* whether the items that were told one by one are those of the answer */

static int
llm_responses_agree(llm_conv_t *conv, const llm_value_t *output)
{
    size_t              i;
    const llm_value_t  *event, *told, *item, *member, *same;

    for (event = conv->events->first; event; event = event->next) {

        if (!llm_doc_is(llm_doc_get(event, "type"),
                        "response.output_item.done"))
        {
            continue;
        }

        told = llm_doc_get(event, "item");
        i = llm_doc_index(llm_doc_get(event, "output_index"), SIZE_MAX);

        if (i >= output->n || llm_conv_spend(conv, i) != 0) {
            return 0;
        }

        for (item = output->first; i; item = item->next, i--) {
            /* void */
        }

        if (!llm_doc_type(told, LLM_SCAN_OBJECT)) {
            return 0;
        }

        for (member = told->first; member; member = member->next) {

            same = llm_conv_find(conv, item, member->name);

            if (!llm_str_eq(member->name, "status", 6)
                && (same == NULL || !llm_doc_same(member, same)))
            {
                return 0;
            }
        }
    }

    return 1;
}


/* some servers leave the items to the events that told them */

static llm_value_t *
llm_responses_rebuild(llm_conv_t *conv, llm_value_t *response)
{
    llm_value_t        *copy, *output;
    const llm_value_t  *event;

    output = llm_doc_new(&conv->arena, LLM_SCAN_ARRAY);

    for (event = conv->events->first; event; event = event->next) {

        if (!llm_doc_is(llm_doc_get(event, "type"),
                        "response.output_item.done"))
        {
            continue;
        }

        /* in order, or it is not known in which */

        if (output == NULL
            || llm_doc_index(llm_doc_get(event, "output_index"), SIZE_MAX)
               != output->n
            || llm_doc_add(&conv->arena, output, NULL,
                           llm_doc_get(event, "item")) == NULL)
        {
            return NULL;
        }
    }

    copy = llm_doc_copy(&conv->arena, response);
    (void) llm_doc_set(&conv->arena, copy, "output", output);

    return copy;
}


int
llm_responses_stream(llm_conv_t *conv)
{
    const char         *last;
    llm_responses_t     res;
    const llm_value_t  *output, *status;

    memset(&res, 0, sizeof(llm_responses_t));

    res.conv = conv;

    output = llm_doc_get(conv->doc, "output");
    status = llm_doc_get(conv->doc, "status");

    if (llm_doc_is(status, "completed")) {
        last = "response.completed";

    } else if (llm_doc_is(status, "incomplete")) {
        last = "response.incomplete";

    } else {
        return -1;
    }

    if (!llm_doc_type(output, LLM_SCAN_ARRAY)) {
        return -1;
    }

    llm_responses_begun(&res, "response.created");
    llm_responses_begun(&res, "response.in_progress");

    for (output = output->first; output; output = output->next) {

        res.item = output;
        res.id = llm_doc_get(output, "id");

        if (llm_responses_item(&res) != 0) {
            return -1;
        }

        res.output++;
    }

    llm_responses_event(&res, last);
    llm_conv_put(conv, ",\"response\":%v", conv->doc);
    llm_responses_end(&res);

    return 0;
}


static void
llm_responses_event(llm_responses_t *res, const char *type)
{
    llm_conv_typed(res->conv, type);
    llm_conv_put(res->conv, ",\"sequence_number\":%u", res->sequence++);
}


static void
llm_responses_at(llm_responses_t *res, const char *index)
{
    if (res->id) {
        llm_conv_put(res->conv, ",\"item_id\":%v", res->id);
    }

    llm_conv_put(res->conv, ",\"output_index\":%u", res->output);

    if (index) {
        llm_conv_put(res->conv, ",\"%s\":%u", index, res->part);
    }
}


static void
llm_responses_end(llm_responses_t *res)
{
    llm_conv_put(res->conv, "}");
    llm_conv_end(res->conv);
}


/* the answer as it was before anything was said */

static void
llm_responses_begun(llm_responses_t *res, const char *type)
{
    llm_conv_t         *conv;
    const llm_value_t  *member;

    static const char *const  nulls[] = { "usage", "incomplete_details",
                                          "completed_at", NULL };
    static const char *const  text[] = { "output_text", NULL };

    conv = res->conv;

    llm_responses_event(res, type);
    llm_conv_put(conv, ",\"response\":{");

    for (member = conv->doc->first; member; member = member->next) {

        if (llm_str_eq(member->name, "status", 6)) {
            llm_conv_put(conv, "%,\"status\":\"in_progress\"");

        } else if (llm_str_eq(member->name, "output", 6)) {
            llm_conv_put(conv, "%,\"output\":[]");

        } else if (llm_conv_listed(member, nulls)) {
            llm_conv_put(conv, "%,\"%r\":null", &member->name);

        } else if (!llm_conv_listed(member, text)) {
            llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
        }
    }

    llm_conv_put(conv, "}");
    llm_responses_end(res);
}


static int
llm_responses_item(llm_responses_t *res)
{
    int                          rc;
    const llm_value_t           *type, *text;
    const llm_responses_text_t  *kind;

    rc = 0;
    kind = NULL;
    type = llm_doc_get(res->item, "type");

    if (llm_doc_is(type, "function_call")) {
        kind = &llm_responses_function;

    } else if (llm_doc_is(type, "custom_tool_call")) {
        kind = &llm_responses_custom;
    }

    llm_responses_event(res, "response.output_item.added");
    llm_conv_put(res->conv, ",\"output_index\":%u,\"item\":", res->output);

    if (llm_doc_is(type, "message")) {
        llm_responses_skeleton(res, "content", "[]");
        llm_responses_end(res);

        rc = llm_responses_parts(res, "content");

    } else if (llm_doc_is(type, "reasoning")) {
        llm_responses_skeleton(res, NULL, NULL);
        llm_responses_end(res);

        rc = llm_responses_parts(res, "summary");

        if (rc == 0) {
            rc = llm_responses_parts(res, "content");
        }

    } else if (kind) {
        llm_responses_skeleton(res, kind->member, "\"\"");
        llm_responses_end(res);

        text = llm_doc_get(res->item, kind->member);

        if (!llm_doc_type(text, LLM_SCAN_STRING)) {
            return -1;
        }

        llm_responses_pieces(res, kind, text, NULL);

    } else {
        llm_conv_put(res->conv, "%v", res->item);
        llm_responses_end(res);
    }

    llm_responses_event(res, "response.output_item.done");
    llm_conv_put(res->conv, ",\"output_index\":%u,\"item\":%v", res->output,
                 res->item);
    llm_responses_end(res);

    return rc;
}


/* the item before its parts were told; for NULL, those of reasoning */

static void
llm_responses_skeleton(llm_responses_t *res, const char *empty,
    const char *value)
{
    llm_conv_t         *conv;
    const llm_value_t  *member;

    static const char *const  lists[] = { "summary", "content", NULL };

    conv = res->conv;

    llm_conv_put(conv, "{");

    for (member = res->item->first; member; member = member->next) {

        if (empty ? llm_str_eq(member->name, empty, strlen(empty))
                  : llm_conv_listed(member, lists)
                    && member->type == LLM_SCAN_ARRAY)
        {
            llm_conv_put(conv, "%,\"%r\":%s", &member->name,
                         empty ? value : "[]");

        } else if (llm_str_eq(member->name, "status", 6)
                   && member->type == LLM_SCAN_STRING)
        {
            llm_conv_put(conv, "%,\"status\":\"in_progress\"");

        } else {
            llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
        }
    }

    llm_conv_put(conv, "}");
}


static void
llm_responses_pieces(llm_responses_t *res, const llm_responses_text_t *kind,
    const llm_value_t *text, const llm_value_t *logprobs)
{
    llm_cut_t    cut;
    llm_str_t    piece;
    llm_conv_t  *conv;

    conv = res->conv;

    llm_cut_init(&cut, llm_doc_inner(text));

    while (llm_cut_next(&cut, &piece)) {
        llm_responses_event(res, kind->delta);
        llm_responses_at(res, kind->index);
        llm_conv_put(conv, ",\"delta\":%t", &piece);

        if (kind == &llm_responses_output) {
            llm_conv_put(conv, ",\"logprobs\":[]");
        }

        llm_responses_end(res);
    }

    llm_responses_event(res, kind->done);
    llm_responses_at(res, kind->index);
    llm_conv_put(conv, ",\"%s\":%v", kind->member, text);

    if (kind == &llm_responses_function && llm_doc_get(res->item, "name")) {
        llm_conv_put(conv, ",\"name\":%v", llm_doc_get(res->item, "name"));
    }

    if (logprobs) {
        llm_conv_put(conv, ",\"logprobs\":%v", logprobs);

    } else if (kind == &llm_responses_output) {
        llm_conv_put(conv, ",\"logprobs\":[]");
    }

    llm_responses_end(res);
}


/* those of "content" or "summary" */

static int
llm_responses_parts(llm_responses_t *res, const char *member)
{
    const char                  *index;
    const llm_value_t           *part, *type, *text;
    const llm_responses_text_t  *kind;

    part = llm_doc_get(res->item, member);

    if (part == NULL || part->type != LLM_SCAN_ARRAY) {
        return 0;
    }

    index = strcmp(member, "summary") == 0 ? "summary_index"
                                           : "content_index";
    res->part = 0;

    for (part = part->first; part; part = part->next) {

        type = llm_doc_get(part, "type");

        kind = llm_doc_is(type, "output_text") ? &llm_responses_output
               : llm_doc_is(type, "refusal") ? &llm_responses_refusal
               : llm_doc_is(type, "reasoning_text") ? &llm_responses_reasoning
               : llm_doc_is(type, "summary_text") ? &llm_responses_summary
               : NULL;

        if (kind == NULL || strcmp(kind->index, index) != 0) {
            return -1;
        }

        text = llm_doc_get(part, kind->member);

        if (!llm_doc_type(text, LLM_SCAN_STRING)) {
            return -1;
        }

        llm_responses_event(res, kind == &llm_responses_summary
                                 ? "response.reasoning_summary_part.added"
                                 : "response.content_part.added");
        llm_responses_at(res, kind->index);
        llm_responses_part(res, part, kind->member);
        llm_responses_end(res);

        llm_responses_pieces(res, kind, text, llm_doc_get(part, "logprobs"));
        llm_responses_annotations(res, part);

        llm_responses_event(res, kind == &llm_responses_summary
                                 ? "response.reasoning_summary_part.done"
                                 : "response.content_part.done");
        llm_responses_at(res, kind->index);
        llm_conv_put(res->conv, ",\"part\":%v", part);
        llm_responses_end(res);

        res->part++;
    }

    return 0;
}


static void
llm_responses_part(llm_responses_t *res, const llm_value_t *part,
    const char *empty)
{
    llm_conv_t         *conv;
    const llm_value_t  *member;

    static const char *const  lists[] = { "annotations", "logprobs", NULL };

    conv = res->conv;

    llm_conv_put(conv, ",\"part\":{");

    for (member = part->first; member; member = member->next) {

        if (llm_str_eq(member->name, empty, strlen(empty))) {
            llm_conv_put(conv, "%,\"%s\":\"\"", empty);

        } else if (llm_conv_listed(member, lists)
                   && member->type == LLM_SCAN_ARRAY)
        {
            llm_conv_put(conv, "%,\"%r\":[]", &member->name);

        } else {
            llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
        }
    }

    llm_conv_put(conv, "}");
}


static void
llm_responses_annotations(llm_responses_t *res, const llm_value_t *part)
{
    size_t              i;
    const llm_value_t  *annotation;

    annotation = llm_doc_get(part, "annotations");

    if (!llm_doc_type(annotation, LLM_SCAN_ARRAY)) {
        return;
    }

    i = 0;

    for (annotation = annotation->first;
         annotation;
         annotation = annotation->next)
    {
        llm_responses_event(res, "response.output_text.annotation.added");
        llm_responses_at(res, "content_index");
        llm_conv_put(res->conv, ",\"annotation_index\":%u,\"annotation\":%v",
                     i++, annotation);
        llm_responses_end(res);
    }
}
