#include <stdlib.h>
#include <strings.h>

#include "llm_answer_core.h"


static llm_reason_e llm_answer_feed_sse(llm_answer_t *answer,
    const unsigned char *data, size_t len);
static llm_reason_e llm_answer_feed_lines(llm_answer_t *answer,
    const unsigned char *data, size_t len);
static llm_reason_e llm_answer_sse_reason(int rc);
static int llm_answer_event(void *ctx, const llm_sse_event_t *event);
static llm_reason_e llm_answer_event_data(llm_answer_t *answer,
    const llm_sse_event_t *event);
static llm_reason_e llm_answer_scan(llm_answer_t *answer,
    const unsigned char *data, size_t len);
static void llm_answer_begin(llm_answer_t *answer,
    const llm_scan_node_t *root);
static int llm_answer_blank(const unsigned char *p, size_t len);
static llm_reason_e llm_answer_line(llm_answer_t *answer);
static llm_reason_e llm_answer_text_end(llm_answer_t *answer);
static llm_reason_e llm_answer_status(llm_answer_t *answer);
static llm_reason_e llm_answer_job(const llm_answer_t *answer);
static int llm_answer_one(const llm_answer_word_t *word,
    const char *const *words);
static void llm_answer_type_event(llm_answer_t *answer);
static void llm_answer_mark(llm_answer_t *answer, size_t start);
static llm_reason_e llm_answer_last(llm_answer_t *answer);
static llm_reason_e llm_answer_last_json(llm_answer_t *answer);
static llm_reason_e llm_answer_whole(llm_answer_t *answer);
static void llm_answer_usage(llm_answer_t *answer);
static int llm_answer_is(const llm_answer_word_t *word, const char *text);
static llm_str_t llm_answer_trim(llm_str_t text);
static int llm_answer_keepalive(llm_str_t name);


llm_answer_t *
llm_answer_create(const llm_dialect_t *dialect, llm_form_e form,
    const llm_finish_t *finish, size_t max)
{
    unsigned       i;
    llm_answer_t  *answer;

    answer = calloc(1, sizeof(llm_answer_t));
    if (answer == NULL) {
        return NULL;
    }

    answer->spec = &llm_answer_specs[dialect->id];
    answer->finish = finish;
    answer->form = form;
    answer->info.mark = SIZE_MAX;
    answer->info.prompt_tokens = -1;
    answer->info.completion_tokens = -1;

    for (i = 0; i < LLM_TOKENS_N; i++) {
        answer->tokens[i] = -1;
    }

    llm_scan_init(&answer->scan, llm_answer_value, answer);
    llm_sse_init(&answer->sse, max, llm_answer_event, answer);

    if ((form == LLM_FORM_SSE && answer->spec->sse == LLM_ENDS_NO)
        || (form == LLM_FORM_NDJSON && answer->spec->ndjson == LLM_ENDS_NO)
        || form == LLM_FORM_NONE)
    {
        answer->reason = LLM_REASON_RESPONSE_TYPE;
    }

    llm_answer_begin(answer, answer->spec->root);

    return answer;
}


void
llm_answer_free(llm_answer_t *answer)
{
    if (answer == NULL) {
        return;
    }

    llm_scan_free(&answer->scan);
    llm_sse_free(&answer->sse);

    free(answer);
}


llm_reason_e
llm_answer_feed(llm_answer_t *answer, const unsigned char *data, size_t len)
{
    llm_reason_e  reason;

    if (answer->reason != LLM_REASON_NONE || len == 0) {
        return answer->reason;
    }

    switch (answer->form) {

    case LLM_FORM_SSE:
        reason = llm_answer_feed_sse(answer, data, len);
        break;

    case LLM_FORM_NDJSON:
        reason = llm_answer_feed_lines(answer, data, len);
        break;

    default: /* LLM_FORM_JSON */
        reason = llm_answer_scan(answer, data, len);
        break;
    }

    answer->offset += len;
    answer->reason = reason;

    return reason;
}


static llm_reason_e
llm_answer_feed_sse(llm_answer_t *answer, const unsigned char *data,
    size_t len)
{
    return llm_answer_sse_reason(llm_sse_feed(&answer->sse, data, len));
}


static llm_reason_e
llm_answer_sse_reason(int rc)
{
    switch (rc) {

    case LLM_SSE_NOMEM:
        return LLM_REASON_NO_MEMORY;

    case LLM_SSE_TOO_BIG:
        return LLM_REASON_ENTRY_SIZE;

    default:
        return (llm_reason_e) rc;
    }
}


static int
llm_answer_event(void *ctx, const llm_sse_event_t *event)
{
    llm_str_t      data;
    llm_answer_t  *answer;

    answer = ctx;

    if (llm_str_eq(event->name, "error", 5)) {
        return LLM_REASON_ERROR;
    }

    data = llm_answer_trim(event->data);

    if (data.len == 0 || llm_answer_keepalive(event->name)) {
        return 0;
    }

    if (llm_str_eq(data, "[DONE]", 6)) {
        answer->marker = 1;
        return 0;
    }

    if (answer->marker || answer->ended) {
        return LLM_REASON_INCOMPLETE;
    }

    /* only objects are a dialect's events */

    llm_answer_begin(answer, data.data[0] == '{' ? answer->spec->root
                                                 : &llm_answer_errors);

    return (int) llm_answer_event_data(answer, event);
}


static llm_reason_e
llm_answer_event_data(llm_answer_t *answer, const llm_sse_event_t *event)
{
    size_t        n;
    llm_reason_e  reason;

    reason = llm_answer_scan(answer, event->data.data, event->data.len);

    if (reason != LLM_REASON_NONE) {
        return reason;
    }

    if (llm_scan_end(&answer->scan) != LLM_SCAN_OK) {
        return LLM_REASON_RESPONSE_JSON;
    }

    if (answer->scan.root == answer->spec->root) {
        llm_answer_mark(answer, event->data_start);

        if (answer->type.len == 0 && event->name.len) {
            n = event->name.len;
            answer->type.len = n;
            memcpy(answer->type.data, event->name.data,
                   n < LLM_SCAN_TEXT ? n : LLM_SCAN_TEXT);
        }

        if (answer->usage && answer->no_choices
            && answer->spec->words == LLM_WORDS_OPENAI)
        {
            answer->info.usage = event->range;
        }
    }

    return llm_answer_text_end(answer);
}


/* one line at a time, each a JSON text */

static llm_reason_e
llm_answer_feed_lines(llm_answer_t *answer, const unsigned char *data,
    size_t len)
{
    size_t                n;
    llm_reason_e          reason;
    const unsigned char  *p, *last, *lf;

    p = data;
    last = data + len;

    while (p < last) {
        lf = memchr(p, '\n', (size_t) (last - p));
        n = (size_t) ((lf ? lf : last) - p);

        if (answer->ended) {
            reason = llm_answer_blank(p, n) ? LLM_REASON_NONE
                                            : LLM_REASON_INCOMPLETE;
        } else {
            reason = llm_answer_scan(answer, p, n);
        }

        if (reason == LLM_REASON_NONE && lf) {
            reason = llm_answer_line(answer);
            answer->start = answer->offset + (size_t) (lf + 1 - data);
        }

        if (reason != LLM_REASON_NONE) {
            return reason;
        }

        p += n + (lf ? 1 : 0);
    }

    return LLM_REASON_NONE;
}


static int
llm_answer_blank(const unsigned char *p, size_t len)
{
    while (len && (*p == ' ' || *p == '\t' || *p == '\r')) {
        p++;
        len--;
    }

    return len == 0;
}


static llm_reason_e
llm_answer_line(llm_answer_t *answer)
{
    llm_reason_e  reason;

    reason = LLM_REASON_NONE;

    if (!llm_scan_blank(&answer->scan)) {

        if (llm_scan_end(&answer->scan) != LLM_SCAN_OK) {
            return LLM_REASON_RESPONSE_JSON;
        }

        llm_answer_mark(answer, answer->start);

        reason = llm_answer_text_end(answer);
    }

    llm_answer_begin(answer, answer->spec->root);

    return reason;
}


static llm_reason_e
llm_answer_scan(llm_answer_t *answer, const unsigned char *data, size_t len)
{
    switch (llm_scan_feed(&answer->scan, data, len)) {

    case LLM_SCAN_OK:
        return LLM_REASON_NONE;

    case LLM_SCAN_NO_MEMORY:
        return LLM_REASON_NO_MEMORY;

    default:
        return LLM_REASON_RESPONSE_JSON;
    }
}


static void
llm_answer_begin(llm_answer_t *answer, const llm_scan_node_t *root)
{
    llm_scan_begin(&answer->scan, root);

    answer->type.len = 0;
    answer->status.len = 0;
    answer->why.len = 0;
    answer->flag = 0;
    answer->no_choices = 0;
    answer->usage = 0;
}


/* what a whole JSON text means, whatever the order of its members was */

static llm_reason_e
llm_answer_text_end(llm_answer_t *answer)
{
    llm_reason_e  reason;

    if (answer->error) {
        return LLM_REASON_ERROR;
    }

    if (answer->bad_index) {
        return LLM_REASON_RESPONSE_JSON;
    }

    if (answer->form == LLM_FORM_SSE) {
        llm_answer_type_event(answer);

    } else if (answer->flag) {
        answer->ended = 1;
    }

    if (answer->spec->words == LLM_WORDS_RESPONSES) {
        reason = llm_answer_status(answer);

        if (reason != LLM_REASON_NONE) {
            return reason;
        }
    }

    if (answer->spec == &llm_answer_specs[LLM_DIALECT_JSON]
        && answer->form == LLM_FORM_JSON)
    {
        reason = llm_answer_job(answer);

        if (reason != LLM_REASON_NONE) {
            return reason;
        }
    }

    return answer->bad_finish ? LLM_REASON_FINISH : LLM_REASON_NONE;
}


static void
llm_answer_type_event(llm_answer_t *answer)
{
    unsigned                  i;
    const llm_answer_spec_t  *spec;

    spec = answer->spec;

    if (spec->sse != LLM_ENDS_TYPE) {
        return;
    }

    if (spec->begins == NULL || llm_answer_is(&answer->type, spec->begins)) {
        answer->begun = 1;
    }

    for (i = 0; i < 2 && spec->ends[i]; i++) {
        if (answer->begun && llm_answer_is(&answer->type, spec->ends[i])) {
            answer->ended = 1;
        }
    }
}


/* Responses have a status in the place of finish reasons */

static llm_reason_e
llm_answer_status(llm_answer_t *answer)
{
    const llm_answer_word_t  *status;

    static const llm_answer_word_t  completed = { 9, "completed" };

    status = &answer->status;

    if (llm_answer_is(status, "failed") || llm_answer_is(status, "cancelled")
        || llm_answer_is(&answer->type, "response.failed")
        || llm_answer_is(&answer->type, "response.cancelled"))
    {
        return LLM_REASON_ERROR;
    }

    if (answer->form == LLM_FORM_SSE && !answer->ended) {
        return LLM_REASON_NONE;
    }

    if (llm_answer_is(status, "in_progress")
        || llm_answer_is(status, "queued"))
    {
        return LLM_REASON_INCOMPLETE;
    }

    if (answer->tool) {
        answer->tools[0] |= 1;
    }

    if (llm_answer_is(status, "incomplete")
        || llm_answer_is(&answer->type, "response.incomplete"))
    {
        status = &answer->why;

    } else if (status->len == 0
               && llm_answer_is(&answer->type, "response.completed"))
    {
        status = &completed;
    }

    answer->seen[0] |= 1;

    if (status->len) {
        llm_answer_finished(answer, 0, status);
    }

    return LLM_REASON_NONE;
}


/*
 * Some APIs answer a call at once with a job, which is asked after later: an
 * equal call has to begin one of its own.  Others report an error so.
 */

static llm_reason_e
llm_answer_job(const llm_answer_t *answer)
{
    static const char *const  begun[] = {
        "queued", "in_queue", "pending", "submitted", "accepted", "created",
        "starting", "started", "running", "processing", "in_progress",
        "in-progress", NULL
    };

    static const char *const  failed[] = {
        "error", "fail", "failed", "failure", "cancelled", "canceled", NULL
    };

    return llm_answer_one(&answer->status, begun) ? LLM_REASON_INCOMPLETE
           : llm_answer_one(&answer->status, failed) ? LLM_REASON_ERROR
           : LLM_REASON_NONE;
}


/* without regard to case */

static int
llm_answer_one(const llm_answer_word_t *word, const char *const *words)
{
    for ( /* void */ ; *words; words++) {
        if (word->len == strlen(*words)
            && strncasecmp((const char *) word->data, *words, word->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* the first object of the body: "start" is where its text begins */

static void
llm_answer_mark(llm_answer_t *answer, size_t start)
{
    llm_scan_t  *scan;

    scan = &answer->scan;

    if (answer->marked || scan->first_end == SIZE_MAX) {
        return;
    }

    answer->marked = 1;

    if (scan->first_cache || start == SIZE_MAX) {
        return;
    }

    answer->info.mark = start + scan->first_end;
    answer->info.mark_empty = scan->first_empty;
}


llm_reason_e
llm_answer_end(llm_answer_t *answer, llm_answer_info_t *info)
{
    if (answer->reason == LLM_REASON_NONE) {
        answer->reason = llm_answer_last(answer);
    }

    if (answer->reason == LLM_REASON_NONE) {
        answer->reason = llm_answer_whole(answer);
    }

    llm_answer_usage(answer);

    *info = answer->info;

    return answer->reason;
}


/* what is left where the body ends */

static llm_reason_e
llm_answer_last(llm_answer_t *answer)
{
    llm_reason_e  reason;

    switch (answer->form) {

    case LLM_FORM_SSE:
        reason = llm_answer_sse_reason(llm_sse_end(&answer->sse));

        if (reason == LLM_REASON_NONE && llm_sse_pending(&answer->sse)) {
            reason = LLM_REASON_INCOMPLETE;
        }

        return reason;

    case LLM_FORM_NDJSON:
        return llm_scan_blank(&answer->scan) ? LLM_REASON_NONE
                                             : LLM_REASON_INCOMPLETE;

    default: /* LLM_FORM_JSON */
        return llm_answer_last_json(answer);
    }
}


static llm_reason_e
llm_answer_last_json(llm_answer_t *answer)
{
    if (llm_scan_blank(&answer->scan)) {
        return LLM_REASON_NO_OUTPUT;
    }

    if (llm_scan_end(&answer->scan) != LLM_SCAN_OK) {
        return LLM_REASON_INCOMPLETE;
    }

    llm_answer_mark(answer, 0);

    return llm_answer_text_end(answer);
}


static llm_reason_e
llm_answer_whole(llm_answer_t *answer)
{
    unsigned                  i, seen, unfinished;
    llm_ends_e                ends;
    const llm_answer_spec_t  *spec;

    spec = answer->spec;

    ends = (answer->form == LLM_FORM_SSE) ? spec->sse
           : (answer->form == LLM_FORM_NDJSON) ? spec->ndjson
           : spec->done ? LLM_ENDS_FLAG : LLM_ENDS_FINISH;

    if ((ends == LLM_ENDS_MARKER && !answer->marker)
        || ((ends == LLM_ENDS_TYPE || ends == LLM_ENDS_FLAG)
            && !answer->ended))
    {
        return LLM_REASON_INCOMPLETE;
    }

    seen = 0;
    unfinished = 0;

    for (i = 0; i < LLM_ANSWER_BITS; i++) {
        seen |= (answer->seen[i] != 0);
        unfinished |= ((answer->seen[i] & ~answer->finished[i]) != 0);
    }

    if (spec->choices && unfinished) {
        return answer->form == LLM_FORM_JSON ? LLM_REASON_FINISH
                                             : LLM_REASON_INCOMPLETE;
    }

    if (spec->choices && !seen && answer->form != LLM_FORM_JSON
        && ends == LLM_ENDS_FINISH)
    {
        return LLM_REASON_INCOMPLETE;
    }

    if (spec->vectors) {
        answer->output = (answer->vectors && !answer->bad_vector);
    }

    return (answer->output && (seen || !spec->choices)) ? LLM_REASON_NONE
                                                        : LLM_REASON_NO_OUTPUT;
}


static void
llm_answer_usage(llm_answer_t *answer)
{
    unsigned            i;
    int64_t            *tokens;
    llm_answer_info_t  *info;

    info = &answer->info;
    tokens = answer->tokens;

    for (i = LLM_TOKENS_PROMPT_BILLED; i <= LLM_TOKENS_PROMPT_APART; i++) {
        if (tokens[LLM_TOKENS_PROMPT] < 0) {
            tokens[LLM_TOKENS_PROMPT] = tokens[i];
        }
    }

    for (i = LLM_TOKENS_COMPLETION_BILLED;
         i <= LLM_TOKENS_COMPLETION_APART;
         i++)
    {
        if (tokens[LLM_TOKENS_COMPLETION] < 0) {
            tokens[LLM_TOKENS_COMPLETION] = tokens[i];
        }
    }

    if (tokens[LLM_TOKENS_PROMPT] < 0 && tokens[LLM_TOKENS_COMPLETION] < 0) {
        tokens[LLM_TOKENS_PROMPT] = tokens[LLM_TOKENS_TOTAL];
    }

    info->prompt_tokens = tokens[LLM_TOKENS_PROMPT];
    info->completion_tokens = tokens[LLM_TOKENS_COMPLETION];

    for (i = LLM_TOKENS_PROMPT_WRITTEN; i <= LLM_TOKENS_PROMPT_READ; i++) {
        if (info->prompt_tokens >= 0 && tokens[i] > 0) {
            info->prompt_tokens += tokens[i];
        }
    }

    if (tokens[LLM_TOKENS_COMPLETION_MORE] > 0) {
        info->completion_tokens = tokens[LLM_TOKENS_COMPLETION_MORE]
                                  + (info->completion_tokens > 0
                                     ? info->completion_tokens : 0);
    }
}


static int
llm_answer_is(const llm_answer_word_t *word, const char *text)
{
    size_t  len;

    len = strlen(text);

    return word->len == len && memcmp(word->data, text, len) == 0;
}


static llm_str_t
llm_answer_trim(llm_str_t text)
{
    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'
                        || text.data[0] == '\n'))
    {
        text.data++;
        text.len--;
    }

    while (text.len && (text.data[text.len - 1] == ' '
                        || text.data[text.len - 1] == '\t'
                        || text.data[text.len - 1] == '\n'))
    {
        text.len--;
    }

    return text;
}


/* what the SDKs skip unread */

static int
llm_answer_keepalive(llm_str_t name)
{
    return llm_str_eq(name, "ping", 4)
           || llm_str_eq(name, "keepalive", 9)
           || llm_str_eq(name, "keep-alive", 10)
           || llm_str_eq(name, "heartbeat", 9);
}
