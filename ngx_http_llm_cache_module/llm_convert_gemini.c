/*
 * Gemini (ai.google.dev/api/generate-content): a stream is made of answers
 * whose parts follow each other.
 */


#include "llm_convert_core.h"


static int llm_gemini_add(llm_conv_t *conv, llm_value_t *all,
    const llm_value_t *candidates);
static int llm_gemini_parts(llm_conv_t *conv, llm_value_t *candidates);
static llm_value_t *llm_gemini_join(llm_conv_t *conv,
    const llm_value_t *parts);
static int llm_gemini_plain(const llm_value_t *part);
static int llm_gemini_alike(const llm_value_t *one, const llm_value_t *two);
static int llm_gemini_candidate(llm_conv_t *conv,
    const llm_value_t *candidate, int last);
static int llm_gemini_part(llm_conv_t *conv, const llm_value_t *candidate,
    const llm_value_t *part, int last);
static void llm_gemini_chunk(llm_conv_t *conv, const llm_value_t *candidate,
    const llm_value_t *part, const llm_str_t *piece, int last);


static const llm_rule_t  llm_gemini_content_rules[] = {
    { "parts", LLM_MERGE_APPEND, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

static const llm_rule_t  llm_gemini_citation_rules[] = {
    { "citationSources", LLM_MERGE_APPEND, NULL, NULL },
    { "citations", LLM_MERGE_APPEND, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

static const llm_rule_t  llm_gemini_logprobs_rules[] = {
    { "topCandidates", LLM_MERGE_APPEND, NULL, NULL },
    { "chosenCandidates", LLM_MERGE_APPEND, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

static const llm_rule_t  llm_gemini_candidate_rules[] = {
    { "content", LLM_MERGE_OBJECT, llm_gemini_content_rules, NULL },
    { "citationMetadata", LLM_MERGE_OBJECT, llm_gemini_citation_rules, NULL },
    { "logprobsResult", LLM_MERGE_OBJECT, llm_gemini_logprobs_rules, NULL },
    { "safetyRatings", LLM_MERGE_LAST, NULL, NULL },
    { "tokenCount", LLM_MERGE_LAST, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

/* each event counts all tokens until then */

static const llm_rule_t  llm_gemini_rules[] = {
    { "usageMetadata", LLM_MERGE_LAST, NULL, NULL },
    { "createTime", LLM_MERGE_FIRST, NULL, NULL },
    { "responseId", LLM_MERGE_FIRST, NULL, NULL },
    { "candidates", LLM_MERGE_DROP, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};


llm_value_t *
llm_gemini_json(llm_conv_t *conv)
{
    llm_value_t        *doc, *all;
    const llm_value_t  *event;

    all = llm_doc_new(&conv->arena, LLM_SCAN_ARRAY);
    doc = llm_doc_new(&conv->arena, LLM_SCAN_OBJECT);
    all = llm_doc_add(&conv->arena, doc, "candidates", all);

    if (all == NULL) {
        return NULL;
    }

    for (event = conv->events->first; event; event = event->next) {

        if (llm_merge(conv, doc, event, llm_gemini_rules) != 0
            || llm_gemini_add(conv, all, llm_doc_get(event, "candidates"))
               != 0)
        {
            return NULL;
        }
    }

    if (all->n == 0) {
        llm_doc_remove(doc, "candidates");
    }

    if (all->n > 1) {
        llm_merge_sort(conv, all, 0);
    }

    return llm_gemini_parts(conv, all) == 0 ? doc : NULL;
}


/* the candidates of one event */

static int
llm_gemini_add(llm_conv_t *conv, llm_value_t *all,
    const llm_value_t *candidates)
{
    size_t              index, next;
    llm_value_t        *into;
    const llm_value_t  *candidate;

    candidate = candidates ? candidates->first : NULL;

    next = 0;

    for ( /* void */ ; candidate; candidate = candidate->next) {

        /* the first one's index may be left out */

        index = llm_doc_index(llm_doc_get(candidate, "index"),
                              next ? SIZE_MAX : 0);

        if (index == SIZE_MAX || index < next) {
            return -1;
        }

        next = index + 1;

        for (into = all->first; into; into = into->next) {
            if (llm_doc_index(llm_conv_get(conv, into, "index"), 0) == index) {
                break;
            }
        }

        if (conv->failed) {
            return -1;
        }

        if (into == NULL) {
            into = llm_doc_new(&conv->arena, LLM_SCAN_OBJECT);
            into = llm_doc_add(&conv->arena, all, NULL, into);
        }

        if (llm_merge(conv, into, candidate,
                      llm_gemini_candidate_rules)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
llm_gemini_parts(llm_conv_t *conv, llm_value_t *candidates)
{
    llm_value_t  *candidate, *content, *parts;

    for (candidate = candidates->first;
         candidate;
         candidate = candidate->next)
    {
        content = llm_doc_get(candidate, "content");
        parts = llm_doc_get(content, "parts");

        if (!llm_doc_type(parts, LLM_SCAN_ARRAY)) {
            continue;
        }

        parts = llm_gemini_join(conv, parts);

        if (llm_doc_set(&conv->arena, content, "parts", parts) == NULL) {
            return -1;
        }
    }

    return 0;
}


/* texts that follow each other are one, thoughts among themselves */

static llm_value_t *
llm_gemini_join(llm_conv_t *conv, const llm_value_t *parts)
{
    llm_value_t        *joined, *before, *copy;
    const llm_value_t  *part, *call;

    joined = llm_doc_new(&conv->arena, LLM_SCAN_ARRAY);
    before = NULL;

    for (part = parts->first; part && joined; part = part->next) {

        if (!llm_gemini_plain(part)) {
            before = NULL;
            call = llm_doc_get(part, "functionCall");

            /* arguments in pieces: JSON tells them whole */

            if (llm_doc_get(call, "partialArgs")
                || llm_doc_get(call, "willContinue"))
            {
                return NULL;
            }

            if (llm_doc_add(&conv->arena, joined, NULL, part) == NULL) {
                return NULL;
            }

            continue;
        }

        if (before && llm_gemini_alike(before, part)) {
            llm_doc_join(&conv->arena, llm_doc_get(before, "text"),
                         llm_doc_get(part, "text"));
            continue;
        }

        copy = llm_doc_copy(&conv->arena, part);
        before = llm_doc_add(&conv->arena, joined, NULL, copy);

        if (before == NULL) {
            return NULL;
        }
    }

    return joined;
}


/* a text or thought, and nothing else: no signature, which belongs to what
   it came with */

static int
llm_gemini_plain(const llm_value_t *part)
{
    const llm_value_t  *thought;

    thought = llm_doc_get(part, "thought");

    return llm_doc_type(llm_doc_get(part, "text"), LLM_SCAN_STRING)
           && part->n == (thought ? 2 : 1);
}


static int
llm_gemini_alike(const llm_value_t *one, const llm_value_t *two)
{
    return llm_doc_type(llm_doc_get(one, "thought"), LLM_SCAN_TRUE)
           == llm_doc_type(llm_doc_get(two, "thought"), LLM_SCAN_TRUE);
}


int
llm_gemini_stream(llm_conv_t *conv)
{
    const llm_value_t  *candidate;

    candidate = llm_doc_get(conv->doc, "candidates");

    if (!llm_doc_type(candidate, LLM_SCAN_ARRAY) || candidate->n == 0) {

        /* a prompt that was blocked */

        llm_conv_begin(conv, NULL);
        llm_conv_put(conv, "%v", conv->doc);
        llm_conv_end(conv);

        return 0;
    }

    /* a zero is left out */

    if (!llm_conv_ordered(candidate, 0)) {
        return -1;
    }

    for (candidate = candidate->first;
         candidate;
         candidate = candidate->next)
    {
        if (llm_gemini_candidate(conv, candidate, candidate->next == NULL)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
llm_gemini_candidate(llm_conv_t *conv, const llm_value_t *candidate, int last)
{
    const llm_value_t  *parts;

    if (candidate->type != LLM_SCAN_OBJECT) {
        return -1;
    }

    parts = llm_doc_get(llm_doc_get(candidate, "content"), "parts");

    if (!llm_doc_type(parts, LLM_SCAN_ARRAY) || parts->n == 0) {
        llm_gemini_chunk(conv, candidate, NULL, NULL, last ? 2 : 1);
        return 0;
    }

    for (parts = parts->first; parts; parts = parts->next) {

        if (llm_gemini_part(conv, candidate, parts,
                            parts->next ? 0 : last ? 2 : 1)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* "last": 1 for the candidate's last part, 2 for that of the answer */

static int
llm_gemini_part(llm_conv_t *conv, const llm_value_t *candidate,
    const llm_value_t *part, int last)
{
    llm_cut_t  cut;
    llm_str_t  piece;

    if (part->type != LLM_SCAN_OBJECT) {
        return -1;
    }

    if (!llm_gemini_plain(part) || llm_doc_silent(llm_doc_get(part, "text"))) {
        llm_gemini_chunk(conv, candidate, part, NULL, last);
        return 0;
    }

    llm_cut_init(&cut, llm_doc_inner(llm_doc_get(part, "text")));

    while (llm_cut_next(&cut, &piece)) {
        llm_gemini_chunk(conv, candidate, part, &piece,
                         cut.rest.len ? 0 : last);
    }

    return 0;
}


static void
llm_gemini_chunk(llm_conv_t *conv, const llm_value_t *candidate,
    const llm_value_t *part, const llm_str_t *piece, int last)
{
    const llm_value_t  *content, *member, *index;

    static const char *const  text[] = { "text", NULL };
    static const char *const  own[] = { "content", "index", NULL };
    static const char *const  parts[] = { "parts", NULL };

    if (llm_conv_spend(conv, conv->doc->n) != 0) {
        return;
    }

    content = llm_conv_get(conv, candidate, "content");
    index = llm_conv_get(conv, candidate, "index");

    llm_conv_begin(conv, NULL);
    llm_conv_put(conv, "{\"candidates\":[{");

    if (part) {
        llm_conv_put(conv, "\"content\":{\"parts\":[");

        if (piece) {
            llm_conv_put(conv, "{\"text\":%t", piece);
            llm_conv_members(conv, part, text);
            llm_conv_put(conv, "}]");

        } else {
            llm_conv_put(conv, "%v]", part);
        }

        llm_conv_members(conv, content, parts);
        llm_conv_put(conv, "}");

    } else if (content) {
        llm_conv_put(conv, "\"content\":%v", content);
    }

    if (last) {
        llm_conv_members(conv, candidate, own);
    }

    if (index) {
        llm_conv_put(conv, "%,\"index\":%v", index);
    }

    llm_conv_put(conv, "}]");

    for (member = conv->doc->first; member; member = member->next) {

        if (llm_str_eq(member->name, "candidates", 10)) {
            continue;
        }

        if (llm_str_eq(member->name, "usageMetadata", 13)
            ? last == 2
            : conv->written == 0 || member->type == LLM_SCAN_STRING)
        {
            llm_conv_put(conv, ",\"%r\":%v", &member->name, member);
        }
    }

    llm_conv_put(conv, "}");
    llm_conv_end(conv);
}
