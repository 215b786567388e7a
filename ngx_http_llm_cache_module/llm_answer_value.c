#include "llm_answer_core.h"


typedef void (*llm_answer_role_pt)(llm_answer_t *answer,
    const llm_scan_value_t *value);


static void llm_answer_error(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_errors_list(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_success(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_object(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_type(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_is_status(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_why(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_done(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_root(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_text(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_tool(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_item(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_choices(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_choice(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_index(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_finish(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_blocked(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_list(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_texts(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_vector(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_results(llm_answer_t *answer,
    const llm_scan_value_t *value);
static void llm_answer_usage(llm_answer_t *answer,
    const llm_scan_value_t *value);

static void llm_answer_word(llm_answer_word_t *word,
    const llm_scan_value_t *value);
static int llm_answer_filled(const llm_scan_value_t *value);
static int llm_answer_array_of(const llm_scan_value_t *value,
    llm_scan_type_e type);
static int llm_answer_one_of(const llm_scan_value_t *value,
    const llm_str_t *words);
static int llm_answer_accepts(const llm_answer_t *answer, unsigned class,
    llm_str_t word);
static int64_t llm_answer_number(const llm_scan_value_t *value);


static const llm_answer_role_pt  llm_answer_roles[LLM_ROLE_TOKENS] = {
    [LLM_ROLE_ERROR] = llm_answer_error,
    [LLM_ROLE_ERRORS] = llm_answer_errors_list,
    [LLM_ROLE_SUCCESS] = llm_answer_success,
    [LLM_ROLE_OBJECT] = llm_answer_object,
    [LLM_ROLE_TYPE] = llm_answer_type,
    [LLM_ROLE_STATUS] = llm_answer_is_status,
    [LLM_ROLE_WHY] = llm_answer_why,
    [LLM_ROLE_DONE] = llm_answer_done,
    [LLM_ROLE_ROOT] = llm_answer_root,
    [LLM_ROLE_TEXT] = llm_answer_text,
    [LLM_ROLE_TOOL] = llm_answer_tool,
    [LLM_ROLE_ITEM_TYPE] = llm_answer_item,
    [LLM_ROLE_CHOICES] = llm_answer_choices,
    [LLM_ROLE_CHOICE] = llm_answer_choice,
    [LLM_ROLE_INDEX] = llm_answer_index,
    [LLM_ROLE_FINISH] = llm_answer_finish,
    [LLM_ROLE_BLOCKED] = llm_answer_blocked,
    [LLM_ROLE_LIST] = llm_answer_list,
    [LLM_ROLE_TEXTS] = llm_answer_texts,
    [LLM_ROLE_VECTOR] = llm_answer_vector,
    [LLM_ROLE_ROWS] = llm_answer_vector,
    [LLM_ROLE_RESULTS] = llm_answer_results,
    [LLM_ROLE_USAGE] = llm_answer_usage
};


/* items and blocks that are output by what is in them */

static const llm_str_t  llm_item_holders[] = {
    llm_string("message"),
    llm_string("reasoning"),
    llm_string("text"),
    llm_string("thinking"),
    llm_null_string
};


/* calls that the client is asked to run */

static const llm_str_t  llm_item_calls[] = {
    llm_string("function_call"),
    llm_string("custom_tool_call"),
    llm_string("local_shell_call"),
    llm_string("shell_call"),
    llm_string("apply_patch_call"),
    llm_string("computer_call"),
    llm_string("mcp_approval_request"),
    llm_string("tool_use"),
    llm_null_string
};


void
llm_answer_value(void *ctx, const llm_scan_value_t *value)
{
    unsigned       role;
    int64_t        n;
    llm_answer_t  *answer;

    answer = ctx;
    role = value->role & ~(unsigned) LLM_SCAN_CONTAINERS;

    if (role < LLM_ROLE_TOKENS) {
        llm_answer_roles[role](answer, value);
        return;
    }

    n = llm_answer_number(value);
    role -= LLM_ROLE_TOKENS;

    if (n >= 0) {
        answer->tokens[role] = n;
        answer->info.has_usage |= (role != LLM_TOKENS_PROMPT_APART
                                   && role != LLM_TOKENS_COMPLETION_APART);
    }
}


static void
llm_answer_error(llm_answer_t *answer, const llm_scan_value_t *value)
{
    answer->error |= (value->type != LLM_SCAN_NULL
                      && value->type != LLM_SCAN_FALSE);
}


static void
llm_answer_errors_list(llm_answer_t *answer, const llm_scan_value_t *value)
{
    answer->error |= llm_answer_filled(value);
}


static void
llm_answer_success(llm_answer_t *answer, const llm_scan_value_t *value)
{
    answer->error |= (value->type == LLM_SCAN_FALSE);
}


static void
llm_answer_object(llm_answer_t *answer, const llm_scan_value_t *value)
{
    answer->error |= (value->type == LLM_SCAN_STRING
                      && llm_str_eq(value->text, "error", 5));
}


static void
llm_answer_type(llm_answer_t *answer, const llm_scan_value_t *value)
{
    llm_answer_object(answer, value);
    llm_answer_word(&answer->type, value);
}


static void
llm_answer_is_status(llm_answer_t *answer, const llm_scan_value_t *value)
{
    llm_answer_word(&answer->status, value);
}


static void
llm_answer_why(llm_answer_t *answer, const llm_scan_value_t *value)
{
    llm_answer_word(&answer->why, value);
}


static void
llm_answer_done(llm_answer_t *answer, const llm_scan_value_t *value)
{
    answer->flag = (value->type == LLM_SCAN_TRUE);
}


static void
llm_answer_root(llm_answer_t *answer, const llm_scan_value_t *value)
{
    answer->output |= (value->type >= LLM_SCAN_OBJECT
                       && llm_answer_filled(value));
}


static void
llm_answer_text(llm_answer_t *answer, const llm_scan_value_t *value)
{
    answer->output |= llm_answer_filled(value);
}


static void
llm_answer_tool(llm_answer_t *answer, const llm_scan_value_t *value)
{
    if (llm_answer_filled(value)) {
        answer->output = 1;
        answer->tool = 1;
        answer->info.tools = 1;
    }
}


static void
llm_answer_item(llm_answer_t *answer, const llm_scan_value_t *value)
{
    if (value->type != LLM_SCAN_STRING || value->size == 0
        || llm_answer_one_of(value, llm_item_holders))
    {
        return;
    }

    answer->output = 1;

    if (llm_answer_one_of(value, llm_item_calls)) {
        answer->tool = 1;
        answer->info.tools = 1;
    }
}


static void
llm_answer_choices(llm_answer_t *answer, const llm_scan_value_t *value)
{
    answer->no_choices = (value->type == LLM_SCAN_ARRAY && !value->open
                          && value->size == 0);
}


static void
llm_answer_choice(llm_answer_t *answer, const llm_scan_value_t *value)
{
    uint64_t  bit;

    if (value->type != LLM_SCAN_OBJECT) {
        answer->bad_index = 1;
        return;
    }

    if (value->open) {
        answer->index = value->position;
        answer->word.len = 0;
        answer->tool = 0;
        return;
    }

    if (answer->index >= LLM_ANSWER_CHOICES) {
        answer->bad_index = 1;
        return;
    }

    bit = 1ULL << (answer->index % 64);

    answer->seen[answer->index / 64] |= bit;

    if (answer->tool) {
        answer->tools[answer->index / 64] |= bit;
    }

    if (answer->word.len) {
        llm_answer_finished(answer, answer->index, &answer->word);
    }
}


static void
llm_answer_index(llm_answer_t *answer, const llm_scan_value_t *value)
{
    int64_t  n;

    if (value->type == LLM_SCAN_NULL) {
        return;
    }

    n = llm_answer_number(value);

    if (n < 0 || n >= LLM_ANSWER_CHOICES) {
        answer->bad_index = 1;
        return;
    }

    answer->index = (uint64_t) n;
}


static void
llm_answer_finish(llm_answer_t *answer, const llm_scan_value_t *value)
{
    llm_answer_word(&answer->word, value);
}


static void
llm_answer_blocked(llm_answer_t *answer, const llm_scan_value_t *value)
{
    llm_answer_word_t  word;

    word.len = 0;
    llm_answer_word(&word, value);

    if (word.len) {
        llm_answer_finished(answer, 0, &word);
    }
}


void
llm_answer_finished(llm_answer_t *answer, uint64_t index,
    const llm_answer_word_t *word)
{
    uint64_t   bit;
    unsigned   class;
    llm_str_t  text;

    bit = 1ULL << (index % 64);

    answer->seen[index / 64] |= bit;

    if (word->len > LLM_SCAN_TEXT) {
        answer->bad_finish = 1;
        return;
    }

    text.data = word->data;
    text.len = word->len;

    class = llm_answer_class(answer->spec->words, text);

    /* not every API has a finish reason for tool calls */

    if (class == LLM_FINISH_STOP && (answer->tools[index / 64] & bit)) {
        class = LLM_FINISH_TOOL;
    }

    if (!llm_answer_accepts(answer, class, text)) {
        answer->bad_finish = 1;
        return;
    }

    answer->finished[index / 64] |= bit;
}


static int
llm_answer_accepts(const llm_answer_t *answer, unsigned class, llm_str_t word)
{
    size_t               i;
    const llm_finish_t  *finish;

    finish = answer->finish;

    if (finish == NULL) {
        return (class & (LLM_FINISH_STOP|LLM_FINISH_LENGTH|LLM_FINISH_TOOL))
               != 0;
    }

    if (finish->classes & class) {
        return 1;
    }

    for (i = 0; i < finish->n; i++) {
        if (finish->words[i].len == word.len
            && memcmp(finish->words[i].data, word.data, word.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
llm_answer_list(llm_answer_t *answer, const llm_scan_value_t *value)
{
    if (value->open || value->type == LLM_SCAN_OBJECT
        || value->type == LLM_SCAN_NULL)
    {
        return;
    }

    answer->bad_vector |= (!llm_answer_array_of(value, LLM_SCAN_OBJECT)
                           && !llm_answer_array_of(value, LLM_SCAN_ARRAY));
}


static void
llm_answer_texts(llm_answer_t *answer, const llm_scan_value_t *value)
{
    if (value->open || value->type == LLM_SCAN_NULL) {
        return;
    }

    answer->bad_vector |= !llm_answer_array_of(value, LLM_SCAN_STRING);
}


static void
llm_answer_vector(llm_answer_t *answer, const llm_scan_value_t *value)
{
    if (value->type == LLM_SCAN_OBJECT) {

        if (value->open) {
            answer->vectors_before = answer->vectors;

        } else if (answer->vectors == answer->vectors_before) {
            answer->bad_vector = 1;
        }

        return;
    }

    if (value->open) {
        return;
    }

    if ((value->type == LLM_SCAN_STRING && value->size)
        || llm_answer_array_of(value, LLM_SCAN_NUMBER))
    {
        answer->vectors++;
        return;
    }

    /* the rows of a vector of vectors have been counted each */

    answer->bad_vector |= !llm_answer_array_of(value, LLM_SCAN_ARRAY);
}


static void
llm_answer_results(llm_answer_t *answer, const llm_scan_value_t *value)
{
    answer->output |= llm_answer_array_of(value, LLM_SCAN_OBJECT);
}


static void
llm_answer_usage(llm_answer_t *answer, const llm_scan_value_t *value)
{
    if (value->type == LLM_SCAN_OBJECT) {
        answer->info.has_usage = 1;
        answer->usage = 1;
    }
}


static void
llm_answer_word(llm_answer_word_t *word, const llm_scan_value_t *value)
{
    if (value->type != LLM_SCAN_STRING || value->size == 0) {
        return;
    }

    word->len = value->size;
    memcpy(word->data, value->text.data, value->text.len);
}


/* neither null nor empty; an object or array counts where it closes */

static int
llm_answer_filled(const llm_scan_value_t *value)
{
    return value->type >= LLM_SCAN_STRING && !value->open && value->size != 0;
}


/* an array, at its close, of nothing but values of this type and not empty */

static int
llm_answer_array_of(const llm_scan_value_t *value, llm_scan_type_e type)
{
    return value->type == LLM_SCAN_ARRAY && !value->open
           && value->kinds == llm_scan_kind(type);
}


static int
llm_answer_one_of(const llm_scan_value_t *value, const llm_str_t *words)
{
    for ( /* void */ ; words->len; words++) {

        if (value->size == words->len
            && memcmp(value->text.data, words->data, words->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* a whole number that is not negative and a double can hold, or -1 */

static int64_t
llm_answer_number(const llm_scan_value_t *value)
{
    size_t   i;
    int64_t  n;

    if (value->type != LLM_SCAN_NUMBER || value->size > 15) {
        return -1;
    }

    n = 0;

    for (i = 0; i < value->text.len; i++) {

        if (value->text.data[i] < '0' || value->text.data[i] > '9') {
            return -1;
        }

        n = n * 10 + (value->text.data[i] - '0');
    }

    return n;
}
