#include "llm_answer_core.h"


typedef struct {
    llm_words_e           words;
    llm_str_t             word;
    unsigned              class;
} llm_finish_word_t;


#define llm_node(name, role, members, items)                                  \
    { llm_string(name), role, members, items }

#define llm_leaf(name, role)   llm_node(name, role, NULL, NULL)

#define llm_tokens(name, kind)                                                \
    llm_leaf(name, LLM_ROLE_TOKENS + LLM_TOKENS_##kind)

/* an error in the place of an answer looks alike everywhere */

#define llm_error_leaves                                                      \
    llm_leaf("error", LLM_ROLE_ERROR),                                        \
    llm_leaf("errors", LLM_ROLE_ERRORS),                                      \
    llm_leaf("success", LLM_ROLE_SUCCESS),                                    \
    llm_leaf("object", LLM_ROLE_OBJECT),                                      \
    llm_leaf("type", LLM_ROLE_TYPE)


static const llm_scan_node_t  llm_error_members[] = {
    llm_error_leaves,
    llm_scan_end_node
};

static const llm_scan_node_t  llm_error_item =
    { llm_null_string, 0, llm_error_members, NULL };

const llm_scan_node_t  llm_answer_errors =
    { llm_null_string, 0, llm_error_members, &llm_error_item };


/* OpenAI: chat completions and completions, with what others add to them */

static const llm_scan_node_t  llm_openai_usage[] = {
    llm_tokens("prompt_tokens", PROMPT),
    llm_tokens("completion_tokens", COMPLETION),
    llm_scan_end_node
};

/* Groq counts here in every stream, in "usage" only where it is asked to */

static const llm_scan_node_t  llm_openai_groq_usage[] = {
    llm_tokens("prompt_tokens", PROMPT_APART),
    llm_tokens("completion_tokens", COMPLETION_APART),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_openai_groq[] = {
    llm_leaf("error", LLM_ROLE_ERROR),
    llm_node("usage", 0, llm_openai_groq_usage, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_openai_message[] = {
    llm_leaf("content", LLM_ROLE_TEXT),
    llm_leaf("reasoning_content", LLM_ROLE_TEXT),
    llm_leaf("reasoning", LLM_ROLE_TEXT),
    llm_leaf("reasoning_details", LLM_ROLE_TEXT),
    llm_leaf("refusal", LLM_ROLE_TEXT),
    llm_leaf("tool_calls", LLM_ROLE_TOOL),
    llm_leaf("function_call", LLM_ROLE_TOOL),
    llm_leaf("audio", LLM_ROLE_TEXT),
    llm_leaf("images", LLM_ROLE_TEXT),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_openai_choice_members[] = {
    llm_leaf("index", LLM_ROLE_INDEX),
    llm_leaf("finish_reason", LLM_ROLE_FINISH),
    llm_node("delta", 0, llm_openai_message, NULL),
    llm_node("message", 0, llm_openai_message, NULL),
    llm_leaf("text", LLM_ROLE_TEXT),
    llm_leaf("error", LLM_ROLE_ERROR),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_openai_choice =
    { llm_null_string, LLM_ROLE_CHOICE, llm_openai_choice_members, NULL };

static const llm_scan_node_t  llm_openai_members[] = {
    llm_error_leaves,
    llm_node("choices", LLM_ROLE_CHOICES, NULL, &llm_openai_choice),
    llm_node("usage", LLM_ROLE_USAGE, llm_openai_usage, NULL),
    llm_node("x_groq", 0, llm_openai_groq, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_openai_root =
    { llm_null_string, 0, llm_openai_members, &llm_error_item };


/* OpenAI Responses: the answer itself, or in a stream's "response" */

static const llm_scan_node_t  llm_responses_usage[] = {
    llm_tokens("input_tokens", PROMPT),
    llm_tokens("output_tokens", COMPLETION),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_responses_part_members[] = {
    llm_leaf("text", LLM_ROLE_TEXT),
    llm_leaf("refusal", LLM_ROLE_TEXT),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_responses_part =
    { llm_null_string, 0, llm_responses_part_members, NULL };

static const llm_scan_node_t  llm_responses_item_members[] = {
    llm_leaf("type", LLM_ROLE_ITEM_TYPE),
    llm_node("content", 0, NULL, &llm_responses_part),
    llm_node("summary", 0, NULL, &llm_responses_part),
    llm_leaf("encrypted_content", LLM_ROLE_TEXT),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_responses_item =
    { llm_null_string, 0, llm_responses_item_members, NULL };

static const llm_scan_node_t  llm_responses_details[] = {
    llm_leaf("reason", LLM_ROLE_WHY),
    llm_scan_end_node
};

#define llm_responses_leaves                                                  \
    llm_leaf("status", LLM_ROLE_STATUS),                                      \
    llm_node("incomplete_details", 0, llm_responses_details, NULL),           \
    llm_node("output", 0, NULL, &llm_responses_item),                         \
    llm_node("usage", LLM_ROLE_USAGE, llm_responses_usage, NULL)

static const llm_scan_node_t  llm_responses_response[] = {
    llm_leaf("error", LLM_ROLE_ERROR),
    llm_responses_leaves,
    llm_scan_end_node
};

static const llm_scan_node_t  llm_responses_members[] = {
    llm_error_leaves,
    llm_responses_leaves,
    llm_node("response", 0, llm_responses_response, NULL),
    llm_node("item", 0, llm_responses_item_members, NULL),
    llm_leaf("delta", LLM_ROLE_TEXT),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_responses_root =
    { llm_null_string, 0, llm_responses_members, &llm_error_item };


/* Anthropic Messages */

static const llm_scan_node_t  llm_anthropic_usage[] = {
    llm_tokens("input_tokens", PROMPT),
    llm_tokens("cache_creation_input_tokens", PROMPT_WRITTEN),
    llm_tokens("cache_read_input_tokens", PROMPT_READ),
    llm_tokens("output_tokens", COMPLETION),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_anthropic_block_members[] = {
    llm_leaf("type", LLM_ROLE_ITEM_TYPE),
    llm_leaf("text", LLM_ROLE_TEXT),
    llm_leaf("thinking", LLM_ROLE_TEXT),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_anthropic_block =
    { llm_null_string, 0, llm_anthropic_block_members, NULL };

static const llm_scan_node_t  llm_anthropic_delta[] = {
    llm_leaf("text", LLM_ROLE_TEXT),
    llm_leaf("thinking", LLM_ROLE_TEXT),
    llm_leaf("partial_json", LLM_ROLE_TEXT),
    llm_leaf("stop_reason", LLM_ROLE_FINISH),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_anthropic_message[] = {
    llm_node("content", 0, NULL, &llm_anthropic_block),
    llm_leaf("stop_reason", LLM_ROLE_FINISH),
    llm_node("usage", LLM_ROLE_USAGE, llm_anthropic_usage, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_anthropic_members[] = {
    llm_error_leaves,
    llm_node("delta", 0, llm_anthropic_delta, NULL),
    llm_node("content_block", 0, llm_anthropic_block_members, NULL),
    llm_node("message", 0, llm_anthropic_message, NULL),
    llm_node("content", 0, NULL, &llm_anthropic_block),
    llm_leaf("stop_reason", LLM_ROLE_FINISH),
    llm_node("usage", LLM_ROLE_USAGE, llm_anthropic_usage, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_anthropic_root =
    { llm_null_string, LLM_ROLE_CHOICE, llm_anthropic_members,
      &llm_error_item };


/* Gemini: one object, an array of them, or a stream of them */

static const llm_scan_node_t  llm_gemini_part_members[] = {
    llm_leaf("text", LLM_ROLE_TEXT),
    llm_leaf("functionCall", LLM_ROLE_TOOL),
    llm_leaf("inlineData", LLM_ROLE_TEXT),
    llm_leaf("fileData", LLM_ROLE_TEXT),
    llm_leaf("executableCode", LLM_ROLE_TEXT),
    llm_leaf("codeExecutionResult", LLM_ROLE_TEXT),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_gemini_part =
    { llm_null_string, 0, llm_gemini_part_members, NULL };

static const llm_scan_node_t  llm_gemini_content[] = {
    llm_node("parts", 0, NULL, &llm_gemini_part),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_gemini_candidate_members[] = {
    llm_leaf("index", LLM_ROLE_INDEX),
    llm_leaf("finishReason", LLM_ROLE_FINISH),
    llm_node("content", 0, llm_gemini_content, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_gemini_candidate =
    { llm_null_string, LLM_ROLE_CHOICE, llm_gemini_candidate_members, NULL };

static const llm_scan_node_t  llm_gemini_feedback[] = {
    llm_leaf("blockReason", LLM_ROLE_BLOCKED),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_gemini_usage[] = {
    llm_tokens("promptTokenCount", PROMPT),
    llm_tokens("candidatesTokenCount", COMPLETION),
    llm_tokens("thoughtsTokenCount", COMPLETION_MORE),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_gemini_members[] = {
    llm_error_leaves,
    llm_node("candidates", LLM_ROLE_CHOICES, NULL, &llm_gemini_candidate),
    llm_node("promptFeedback", 0, llm_gemini_feedback, NULL),
    llm_node("usageMetadata", LLM_ROLE_USAGE, llm_gemini_usage, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_gemini_item =
    { llm_null_string, 0, llm_gemini_members, NULL };

static const llm_scan_node_t  llm_gemini_root =
    { llm_null_string, 0, llm_gemini_members, &llm_gemini_item };


/* Cohere v2 chat: content is an array in an answer, an object in a stream */

static const llm_scan_node_t  llm_cohere_counts[] = {
    llm_tokens("input_tokens", PROMPT),
    llm_tokens("output_tokens", COMPLETION),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_cohere_billed[] = {
    llm_tokens("input_tokens", PROMPT_BILLED),
    llm_tokens("output_tokens", COMPLETION_BILLED),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_cohere_usage[] = {
    llm_node("tokens", 0, llm_cohere_counts, NULL),
    llm_node("billed_units", 0, llm_cohere_billed, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_cohere_content_members[] = {
    llm_leaf("text", LLM_ROLE_TEXT),
    llm_leaf("thinking", LLM_ROLE_TEXT),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_cohere_content =
    { llm_null_string, 0, llm_cohere_content_members, NULL };

static const llm_scan_node_t  llm_cohere_message[] = {
    llm_node("content", 0, llm_cohere_content_members, &llm_cohere_content),
    llm_leaf("tool_plan", LLM_ROLE_TEXT),
    llm_leaf("tool_calls", LLM_ROLE_TOOL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_cohere_delta[] = {
    llm_leaf("error", LLM_ROLE_ERROR),
    llm_node("message", 0, llm_cohere_message, NULL),
    llm_leaf("finish_reason", LLM_ROLE_FINISH),
    llm_node("usage", LLM_ROLE_USAGE, llm_cohere_usage, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_cohere_members[] = {
    llm_error_leaves,
    llm_node("message", 0, llm_cohere_message, NULL),
    llm_leaf("finish_reason", LLM_ROLE_FINISH),
    llm_node("usage", LLM_ROLE_USAGE, llm_cohere_usage, NULL),
    llm_node("delta", 0, llm_cohere_delta, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_cohere_root =
    { llm_null_string, LLM_ROLE_CHOICE, llm_cohere_members, &llm_error_item };


/* Ollama chat and generate */

static const llm_scan_node_t  llm_ollama_message[] = {
    llm_leaf("content", LLM_ROLE_TEXT),
    llm_leaf("thinking", LLM_ROLE_TEXT),
    llm_leaf("tool_calls", LLM_ROLE_TOOL),
    llm_leaf("images", LLM_ROLE_TEXT),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_ollama_members[] = {
    llm_error_leaves,
    llm_node("message", 0, llm_ollama_message, NULL),
    llm_leaf("response", LLM_ROLE_TEXT),
    llm_leaf("thinking", LLM_ROLE_TEXT),
    llm_leaf("done", LLM_ROLE_DONE),
    llm_leaf("done_reason", LLM_ROLE_FINISH),
    llm_tokens("prompt_eval_count", PROMPT),
    llm_tokens("eval_count", COMPLETION),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_ollama_root =
    { llm_null_string, LLM_ROLE_CHOICE, llm_ollama_members, &llm_error_item };


/*
 * Embeddings of every dialect: "data" of objects (OpenAI, and llama.cpp with
 * an array at the top), "embeddings" as a list of arrays (Ollama, Cohere v1),
 * of objects (Gemini), or one list per type (Cohere v2), and "embedding" as
 * an array (Ollama) or an object (Gemini).  A vector may be base64.
 */

static const llm_scan_node_t  llm_vector_row =
    { llm_null_string, LLM_ROLE_ROWS | LLM_SCAN_CONTAINERS, NULL,
      &llm_vector_row };

static const llm_scan_node_t  llm_vector_members[] = {
    llm_node("embedding", LLM_ROLE_VECTOR, NULL, &llm_vector_row),
    llm_node("values", LLM_ROLE_VECTOR, NULL, &llm_vector_row),
    llm_node("embeddings", LLM_ROLE_VECTOR, NULL, &llm_vector_row),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_vector =
    { llm_null_string, LLM_ROLE_VECTOR, llm_vector_members, &llm_vector_row };

static const llm_scan_node_t  llm_vectors_by_type[] = {
    llm_node("float", LLM_ROLE_LIST, NULL, &llm_vector),
    llm_node("int8", LLM_ROLE_LIST, NULL, &llm_vector),
    llm_node("uint8", LLM_ROLE_LIST, NULL, &llm_vector),
    llm_node("binary", LLM_ROLE_LIST, NULL, &llm_vector),
    llm_node("ubinary", LLM_ROLE_LIST, NULL, &llm_vector),
    llm_node("base64", LLM_ROLE_TEXTS, NULL, &llm_vector),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_vectors_usage[] = {
    llm_tokens("prompt_tokens", PROMPT),
    llm_tokens("total_tokens", TOTAL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_vectors_members[] = {
    llm_error_leaves,
    llm_node("data", LLM_ROLE_LIST, NULL, &llm_vector),
    llm_node("embeddings", LLM_ROLE_LIST, llm_vectors_by_type, &llm_vector),
    llm_node("embedding", LLM_ROLE_VECTOR, llm_vector_members,
             &llm_vector_row),
    llm_node("usage", LLM_ROLE_USAGE, llm_vectors_usage, NULL),
    llm_node("usageMetadata", LLM_ROLE_USAGE, llm_gemini_usage, NULL),
    llm_node("meta", 0, llm_cohere_usage, NULL),
    llm_tokens("prompt_eval_count", PROMPT),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_vectors_item_members[] = {
    llm_error_leaves,
    llm_node("embedding", LLM_ROLE_VECTOR, NULL, &llm_vector_row),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_vectors_item =
    { llm_null_string, LLM_ROLE_VECTOR, llm_vectors_item_members,
      &llm_vector_row };

static const llm_scan_node_t  llm_vectors_root =
    { llm_null_string, LLM_ROLE_LIST, llm_vectors_members, &llm_vectors_item };


/* rerank and moderations: "results" (Cohere, Jina, OpenAI), "data" (Voyage)
   or an array at the top (TEI) */

static const llm_scan_node_t  llm_results_members[] = {
    llm_error_leaves,
    llm_node("results", LLM_ROLE_RESULTS, NULL, NULL),
    llm_node("data", LLM_ROLE_RESULTS, NULL, NULL),
    llm_node("usage", LLM_ROLE_USAGE, llm_vectors_usage, NULL),
    llm_node("meta", 0, llm_cohere_usage, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_results_root =
    { llm_null_string, LLM_ROLE_RESULTS, llm_results_members,
      &llm_error_item };


/* anything else */

static const llm_scan_node_t  llm_other_usage[] = {
    llm_tokens("prompt_tokens", PROMPT),
    llm_tokens("completion_tokens", COMPLETION),
    llm_tokens("input_tokens", PROMPT),
    llm_tokens("output_tokens", COMPLETION),
    llm_tokens("total_tokens", TOTAL),
    llm_scan_end_node
};

/* DashScope's, of a task that it was asked to do later */

static const llm_scan_node_t  llm_other_output[] = {
    llm_leaf("task_status", LLM_ROLE_STATUS),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_other_members[] = {
    llm_error_leaves,
    llm_leaf("status", LLM_ROLE_STATUS),
    llm_leaf("task_status", LLM_ROLE_STATUS),
    llm_node("output", 0, llm_other_output, NULL),
    llm_node("usage", LLM_ROLE_USAGE, llm_other_usage, NULL),
    llm_leaf("done", LLM_ROLE_DONE),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_other_root =
    { llm_null_string, LLM_ROLE_ROOT, llm_other_members, &llm_error_item };


#define llm_spec_of_vectors                                                   \
    { &llm_vectors_root, LLM_WORDS_NONE, LLM_ENDS_NO, LLM_ENDS_NO,            \
      NULL, { NULL, NULL }, 0, 1, 0 }

#define llm_spec_of_results                                                   \
    { &llm_results_root, LLM_WORDS_NONE, LLM_ENDS_NO, LLM_ENDS_NO,            \
      NULL, { NULL, NULL }, 0, 0, 0 }

#define llm_spec_of_openai                                                    \
    { &llm_openai_root, LLM_WORDS_OPENAI, LLM_ENDS_MARKER, LLM_ENDS_NO,       \
      NULL, { NULL, NULL }, 1, 0, 0 }

#define llm_spec_of_ollama                                                    \
    { &llm_ollama_root, LLM_WORDS_OLLAMA, LLM_ENDS_NO, LLM_ENDS_FLAG,         \
      NULL, { NULL, NULL }, 1, 0, 1 }


const llm_answer_spec_t  llm_answer_specs[LLM_DIALECTS] = {

    [LLM_DIALECT_CHAT] = llm_spec_of_openai,
    [LLM_DIALECT_COMPLETIONS] = llm_spec_of_openai,

    [LLM_DIALECT_RESPONSES] =
        { &llm_responses_root, LLM_WORDS_RESPONSES, LLM_ENDS_TYPE,
          LLM_ENDS_NO, NULL, { "response.completed", "response.incomplete" },
          1, 0, 0 },

    [LLM_DIALECT_EMBEDDINGS] = llm_spec_of_vectors,

    [LLM_DIALECT_ANTHROPIC] =
        { &llm_anthropic_root, LLM_WORDS_ANTHROPIC, LLM_ENDS_TYPE,
          LLM_ENDS_NO, "message_start", { "message_stop", NULL }, 1, 0, 0 },

    [LLM_DIALECT_GEMINI] =
        { &llm_gemini_root, LLM_WORDS_GEMINI, LLM_ENDS_FINISH, LLM_ENDS_NO,
          NULL, { NULL, NULL }, 1, 0, 0 },

    [LLM_DIALECT_GEMINI_EMBED] = llm_spec_of_vectors,

    [LLM_DIALECT_COHERE_CHAT] =
        { &llm_cohere_root, LLM_WORDS_COHERE, LLM_ENDS_TYPE, LLM_ENDS_NO,
          "message-start", { "message-end", NULL }, 1, 0, 0 },

    [LLM_DIALECT_COHERE_EMBED] = llm_spec_of_vectors,
    [LLM_DIALECT_RERANK] = llm_spec_of_results,
    [LLM_DIALECT_OLLAMA_CHAT] = llm_spec_of_ollama,
    [LLM_DIALECT_OLLAMA_GENERATE] = llm_spec_of_ollama,
    [LLM_DIALECT_OLLAMA_EMBED] = llm_spec_of_vectors,
    [LLM_DIALECT_MODERATIONS] = llm_spec_of_results,

    [LLM_DIALECT_JSON] =
        { &llm_other_root, LLM_WORDS_NONE, LLM_ENDS_MARKER, LLM_ENDS_FLAG,
          NULL, { NULL, NULL }, 0, 0, 0 }
};


/*
 * Class 0: known, but neither a good end nor a filter's; stored only where
 * llm_cache_finish names it.
 */

static const llm_finish_word_t  llm_finish_words[] = {
    { LLM_WORDS_OPENAI, llm_string("stop"), LLM_FINISH_STOP },
    { LLM_WORDS_OPENAI, llm_string("length"), LLM_FINISH_LENGTH },
    { LLM_WORDS_OPENAI, llm_string("tool_calls"), LLM_FINISH_TOOL },
    { LLM_WORDS_OPENAI, llm_string("function_call"), LLM_FINISH_TOOL },
    { LLM_WORDS_OPENAI, llm_string("content_filter"), LLM_FINISH_FILTER },

    /* Together, TGI, Mistral; then OpenRouter, vLLM, DeepSeek */
    { LLM_WORDS_OPENAI, llm_string("eos"), LLM_FINISH_STOP },
    { LLM_WORDS_OPENAI, llm_string("eos_token"), LLM_FINISH_STOP },
    { LLM_WORDS_OPENAI, llm_string("stop_sequence"), LLM_FINISH_STOP },
    { LLM_WORDS_OPENAI, llm_string("model_length"), LLM_FINISH_LENGTH },
    { LLM_WORDS_OPENAI, llm_string("error"), 0 },
    { LLM_WORDS_OPENAI, llm_string("abort"), 0 },
    { LLM_WORDS_OPENAI, llm_string("insufficient_system_resource"), 0 },

    { LLM_WORDS_RESPONSES, llm_string("completed"), LLM_FINISH_STOP },
    { LLM_WORDS_RESPONSES, llm_string("max_output_tokens"),
      LLM_FINISH_LENGTH },
    { LLM_WORDS_RESPONSES, llm_string("content_filter"), LLM_FINISH_FILTER },

    { LLM_WORDS_ANTHROPIC, llm_string("end_turn"), LLM_FINISH_STOP },
    { LLM_WORDS_ANTHROPIC, llm_string("stop_sequence"), LLM_FINISH_STOP },
    { LLM_WORDS_ANTHROPIC, llm_string("max_tokens"), LLM_FINISH_LENGTH },
    { LLM_WORDS_ANTHROPIC, llm_string("model_context_window_exceeded"),
      LLM_FINISH_LENGTH },
    { LLM_WORDS_ANTHROPIC, llm_string("tool_use"), LLM_FINISH_TOOL },
    { LLM_WORDS_ANTHROPIC, llm_string("refusal"), LLM_FINISH_FILTER },
    { LLM_WORDS_ANTHROPIC, llm_string("pause_turn"), 0 },
    { LLM_WORDS_ANTHROPIC, llm_string("compaction"), 0 },

    { LLM_WORDS_GEMINI, llm_string("STOP"), LLM_FINISH_STOP },
    { LLM_WORDS_GEMINI, llm_string("MAX_TOKENS"), LLM_FINISH_LENGTH },
    { LLM_WORDS_GEMINI, llm_string("SAFETY"), LLM_FINISH_FILTER },
    { LLM_WORDS_GEMINI, llm_string("RECITATION"), LLM_FINISH_FILTER },
    { LLM_WORDS_GEMINI, llm_string("BLOCKLIST"), LLM_FINISH_FILTER },
    { LLM_WORDS_GEMINI, llm_string("PROHIBITED_CONTENT"), LLM_FINISH_FILTER },
    { LLM_WORDS_GEMINI, llm_string("SPII"), LLM_FINISH_FILTER },
    { LLM_WORDS_GEMINI, llm_string("IMAGE_SAFETY"), LLM_FINISH_FILTER },
    { LLM_WORDS_GEMINI, llm_string("IMAGE_PROHIBITED_CONTENT"),
      LLM_FINISH_FILTER },
    { LLM_WORDS_GEMINI, llm_string("IMAGE_RECITATION"), LLM_FINISH_FILTER },
    { LLM_WORDS_GEMINI, llm_string("MODEL_ARMOR"), LLM_FINISH_FILTER },
    { LLM_WORDS_GEMINI, llm_string("JAILBREAK"), LLM_FINISH_FILTER },
    { LLM_WORDS_GEMINI, llm_string("LANGUAGE"), 0 },
    { LLM_WORDS_GEMINI, llm_string("OTHER"), 0 },
    { LLM_WORDS_GEMINI, llm_string("MALFORMED_FUNCTION_CALL"), 0 },
    { LLM_WORDS_GEMINI, llm_string("UNEXPECTED_TOOL_CALL"), 0 },
    { LLM_WORDS_GEMINI, llm_string("TOO_MANY_TOOL_CALLS"), 0 },
    { LLM_WORDS_GEMINI, llm_string("NO_IMAGE"), 0 },
    { LLM_WORDS_GEMINI, llm_string("IMAGE_OTHER"), 0 },

    { LLM_WORDS_COHERE, llm_string("COMPLETE"), LLM_FINISH_STOP },
    { LLM_WORDS_COHERE, llm_string("STOP_SEQUENCE"), LLM_FINISH_STOP },
    { LLM_WORDS_COHERE, llm_string("MAX_TOKENS"), LLM_FINISH_LENGTH },
    { LLM_WORDS_COHERE, llm_string("TOOL_CALL"), LLM_FINISH_TOOL },
    { LLM_WORDS_COHERE, llm_string("ERROR"), 0 },
    { LLM_WORDS_COHERE, llm_string("TIMEOUT"), 0 },

    { LLM_WORDS_OLLAMA, llm_string("stop"), LLM_FINISH_STOP },
    { LLM_WORDS_OLLAMA, llm_string("length"), LLM_FINISH_LENGTH },
    { LLM_WORDS_OLLAMA, llm_string("load"), 0 },
    { LLM_WORDS_OLLAMA, llm_string("unload"), 0 }
};

#define LLM_FINISH_WORDS                                                      \
    (sizeof(llm_finish_words) / sizeof(llm_finish_words[0]))


unsigned
llm_answer_class(llm_words_e words, llm_str_t word)
{
    size_t                    i;
    const llm_finish_word_t  *row;

    for (i = 0; i < LLM_FINISH_WORDS; i++) {
        row = &llm_finish_words[i];

        if (row->words == words && row->word.len == word.len
            && memcmp(row->word.data, word.data, word.len) == 0)
        {
            return row->class;
        }
    }

    return 0;
}


unsigned
llm_finish_class(llm_str_t word)
{
    if (llm_str_eq(word, "stop", 4)) {
        return LLM_FINISH_STOP;
    }

    if (llm_str_eq(word, "length", 6)) {
        return LLM_FINISH_LENGTH;
    }

    if (llm_str_eq(word, "tool", 4)) {
        return LLM_FINISH_TOOL;
    }

    if (llm_str_eq(word, "filter", 6)) {
        return LLM_FINISH_FILTER;
    }

    return 0;
}


int
llm_finish_known(llm_str_t word)
{
    size_t  i;

    for (i = 0; i < LLM_FINISH_WORDS; i++) {

        if (llm_finish_words[i].word.len == word.len
            && memcmp(llm_finish_words[i].word.data, word.data, word.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
