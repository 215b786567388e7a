/*
 * What the llm_answer*.c files share, and nobody else includes: the tables
 * that tell where an answer says what, and the state of one answer.
 */


#ifndef _LLM_ANSWER_CORE_H_INCLUDED_
#define _LLM_ANSWER_CORE_H_INCLUDED_


#include "llm_answer.h"
#include "llm_scan.h"
#include "llm_sse.h"


/* what a value of an answer means, whatever it is called */

typedef enum {
    LLM_ROLE_NONE = 0,

    LLM_ROLE_ERROR,             /* anything but null or false: an error */
    LLM_ROLE_ERRORS,            /* a list: an error unless it is empty */
    LLM_ROLE_SUCCESS,           /* false: an error */
    LLM_ROLE_OBJECT,            /* the word "error": an error */
    LLM_ROLE_TYPE,              /* the event's type; "error": an error */

    LLM_ROLE_STATUS,            /* completed, incomplete, queued, ... */
    LLM_ROLE_WHY,               /* why it is incomplete */
    LLM_ROLE_DONE,              /* true: the last line */

    LLM_ROLE_ROOT,              /* any object or array that is not empty */
    LLM_ROLE_TEXT,              /* output, unless empty */
    LLM_ROLE_TOOL,              /* tool calls, unless empty */
    LLM_ROLE_ITEM_TYPE,         /* an item's or block's type */

    LLM_ROLE_CHOICES,           /* the list */
    LLM_ROLE_CHOICE,            /* one, or the whole event where there is
                                   but one */
    LLM_ROLE_INDEX,
    LLM_ROLE_FINISH,
    LLM_ROLE_BLOCKED,           /* the prompt was: a finish reason */

    LLM_ROLE_LIST,              /* of vectors */
    LLM_ROLE_TEXTS,             /* of vectors in base64 */
    LLM_ROLE_VECTOR,            /* one, or an object that holds one */
    LLM_ROLE_ROWS,              /* the vectors of a vector of vectors */
    LLM_ROLE_RESULTS,           /* a list of objects */

    LLM_ROLE_USAGE,
    LLM_ROLE_TOKENS             /* and LLM_TOKENS_* on top */
} llm_role_e;


typedef enum {
    LLM_TOKENS_PROMPT = 0,
    LLM_TOKENS_PROMPT_WRITTEN,      /* to the provider's own prompt cache: */
    LLM_TOKENS_PROMPT_READ,         /* Anthropic counts these apart */
    LLM_TOKENS_PROMPT_BILLED,       /* where there is no count */
    LLM_TOKENS_PROMPT_APART,        /* nor this */
    LLM_TOKENS_COMPLETION,
    LLM_TOKENS_COMPLETION_MORE,     /* Gemini counts thoughts apart */
    LLM_TOKENS_COMPLETION_BILLED,
    LLM_TOKENS_COMPLETION_APART,
    LLM_TOKENS_TOTAL,
    LLM_TOKENS_N
} llm_tokens_e;


/* the families of finish reasons */

typedef enum {
    LLM_WORDS_NONE = 0,
    LLM_WORDS_OPENAI,
    LLM_WORDS_RESPONSES,
    LLM_WORDS_ANTHROPIC,
    LLM_WORDS_GEMINI,
    LLM_WORDS_COHERE,
    LLM_WORDS_OLLAMA
} llm_words_e;


/* what shows that a stream is whole, besides every choice's finish reason */

typedef enum {
    LLM_ENDS_NO = 0,                /* the dialect has no such stream */
    LLM_ENDS_MARKER,                /* data: [DONE] */
    LLM_ENDS_TYPE,                  /* an event of a certain type */
    LLM_ENDS_FLAG,                  /* a line with "done": true */
    LLM_ENDS_FINISH                 /* nothing else */
} llm_ends_e;


/* one dialect's answers */

typedef struct {
    const llm_scan_node_t  *root;
    llm_words_e             words;
    llm_ends_e              sse;
    llm_ends_e              ndjson;

    /* event types: the first (NULL: any) and the last of a stream */
    const char             *begins;
    const char             *ends[2];

    unsigned                choices:1;      /* have finish reasons */
    unsigned                vectors:1;
    unsigned                done:1;         /* JSON has "done" as well */
} llm_answer_spec_t;

extern const llm_answer_spec_t  llm_answer_specs[LLM_DIALECTS];

/* finds errors in what is no answer of the dialect */

extern const llm_scan_node_t  llm_answer_errors;

/* the class of a finish reason, or 0 when it has none or is unknown */

unsigned llm_answer_class(llm_words_e words, llm_str_t word);


#define LLM_ANSWER_CHOICES  4096
#define LLM_ANSWER_BITS     (LLM_ANSWER_CHOICES / 64)


typedef struct {
    size_t                  len;            /* over the limit: unknown */
    unsigned char           data[LLM_SCAN_TEXT];
} llm_answer_word_t;


struct llm_answer_s {
    const llm_answer_spec_t  *spec;
    const llm_finish_t       *finish;
    llm_form_e                form;
    llm_reason_e              reason;

    llm_scan_t                scan;
    llm_sse_t                 sse;
    size_t                    offset;       /* of the next byte */
    size_t                    start;        /* of the NDJSON line */

    /* one JSON text: a document, an event's data, a line */
    llm_answer_word_t         type;
    llm_answer_word_t         status;
    llm_answer_word_t         why;
    unsigned                  error:1;
    unsigned                  flag:1;       /* "done": true */
    unsigned                  no_choices:1; /* choices: [] */
    unsigned                  usage:1;

    /* one choice */
    uint64_t                  index;
    llm_answer_word_t         word;
    unsigned                  tool:1;

    /* the whole answer */
    unsigned                  begun:1;
    unsigned                  marked:1;     /* the first object has passed */
    unsigned                  marker:1;     /* [DONE] */
    unsigned                  ended:1;      /* by type or flag */
    unsigned                  output:1;
    unsigned                  bad_index:1;
    unsigned                  bad_finish:1;
    unsigned                  bad_vector:1;
    uint64_t                  vectors;
    uint64_t                  vectors_before;
    uint64_t                  seen[LLM_ANSWER_BITS];
    uint64_t                  finished[LLM_ANSWER_BITS];
    uint64_t                  tools[LLM_ANSWER_BITS];
    int64_t                   tokens[LLM_TOKENS_N];

    llm_answer_info_t         info;
};


/* the scanner's handler; "ctx" is the answer */

void llm_answer_value(void *ctx, const llm_scan_value_t *value);

/* a choice has this finish reason */

void llm_answer_finished(llm_answer_t *answer, uint64_t index,
    const llm_answer_word_t *word);


#endif /* _LLM_ANSWER_CORE_H_INCLUDED_ */
