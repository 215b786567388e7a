/*
 * Answers for the tests to put together, and a way to feed them.
 */


#ifndef _ANSWER_RUN_H_INCLUDED_
#define _ANSWER_RUN_H_INCLUDED_


#include <stdio.h>
#include <stdlib.h>

#include "llm_answer.h"
#include "tap.h"


#define ANSWER_MAX  65536

#define JSON    LLM_FORM_JSON
#define SSE     LLM_FORM_SSE
#define NDJSON  LLM_FORM_NDJSON


/* a chat chunk with this in its only choice */

#define CHUNK(choice)                                                         \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":"   \
    "[{\"index\":0," choice "}]}\n\n"

#define TEXT    CHUNK("\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null")
#define STOP    CHUNK("\"delta\":{},\"finish_reason\":\"stop\"")
#define USAGE                                                                 \
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,"      \
    "\"completion_tokens\":12,\"total_tokens\":21}}\n\n"
#define DONE    "data: [DONE]\n\n"

#define CHAT(choices)                                                         \
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[" choices "]," \
    "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12}}"

#define CHOICE(message, finish)                                               \
    "{\"index\":0,\"message\":{\"role\":\"assistant\"," message "},"          \
    "\"finish_reason\":" finish "}"

#define RESPONSE(status, output)                                              \
    "{\"id\":\"r\",\"object\":\"response\",\"status\":" status ",\"error\":"  \
    "null,\"incomplete_details\":null,\"output\":[" output "],\"usage\":"     \
    "{\"input_tokens\":3,\"output_tokens\":4}}"

#define MESSAGE                                                               \
    "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\","           \
    "\"text\":\"Hi\"}]}"

#define EVENT(type, rest)                                                     \
    "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"

#define CLAUDE(content, stop)                                                 \
    "{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[" \
    content "],\"stop_reason\":" stop ",\"stop_sequence\":null,\"usage\":"    \
    "{\"input_tokens\":5,\"cache_creation_input_tokens\":2,"                  \
    "\"cache_read_input_tokens\":30,\"output_tokens\":6}}"

#define CLAUDE_START                                                          \
    EVENT("message_start", ",\"message\":{\"id\":\"m\",\"type\":\"message\"," \
          "\"content\":[],\"stop_reason\":null,\"usage\":{"                   \
          "\"input_tokens\":25,\"output_tokens\":1}}")

#define CLAUDE_BLOCK                                                          \
    EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":"  \
          "\"text\",\"text\":\"\"}")                                          \
    EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":"          \
          "\"text_delta\",\"text\":\"Hi\"}")                                  \
    EVENT("content_block_stop", ",\"index\":0")

#define CLAUDE_DELTA(stop)                                                    \
    EVENT("message_delta", ",\"delta\":{\"stop_reason\":" stop "},"           \
          "\"usage\":{\"output_tokens\":15}")

#define CLAUDE_STOP  EVENT("message_stop", "")

#define GEMINI(part, finish)                                                  \
    "{\"candidates\":[{\"content\":{\"parts\":[" part "],\"role\":\"model\"}" \
    finish ",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":7,"        \
    "\"candidatesTokenCount\":8,\"thoughtsTokenCount\":100}}"

#define G_TEXT  "{\"text\":\"Hi\"}"
#define G_STOP  ",\"finishReason\":\"STOP\""

#define COHERE_START  EVENT("message-start", ",\"id\":\"c\"")
#define COHERE_TEXT                                                           \
    EVENT("content-delta", ",\"index\":0,\"delta\":{\"message\":{"            \
          "\"content\":{\"text\":\"Hi\"}}}")
#define COHERE_END(finish)                                                    \
    EVENT("message-end", ",\"delta\":{\"finish_reason\":\"" finish "\","      \
          "\"usage\":{\"billed_units\":{\"input_tokens\":3,"                  \
          "\"output_tokens\":4},\"tokens\":{\"input_tokens\":66,"             \
          "\"output_tokens\":5}}}")

#define OLLAMA(text)                                                          \
    "{\"model\":\"l\",\"message\":{\"role\":\"assistant\",\"content\":\""     \
    text "\"},\"done\":false}\n"
#define OLLAMA_DONE(reason)                                                   \
    "{\"model\":\"l\",\"message\":{\"role\":\"assistant\",\"content\":\"\"}," \
    reason "\"done\":true,\"prompt_eval_count\":26,\"eval_count\":298}\n"
#define OLLAMA_STOP  OLLAMA_DONE("\"done_reason\":\"stop\",")


static const llm_finish_t  finish_default =
    { LLM_FINISH_STOP|LLM_FINISH_LENGTH|LLM_FINISH_TOOL, NULL, 0 };


/* cut at "cut", or into single bytes; every piece is a copy that is gone
   afterwards */

static inline llm_reason_e
answer_run(llm_dialect_e dialect, llm_form_e form, const llm_finish_t *finish,
    size_t max, const char *body, size_t len, size_t cut,
    llm_answer_info_t *info)
{
    size_t          i, end;
    llm_reason_e    reason, fed;
    llm_answer_t   *answer;
    unsigned char  *piece;

    answer = llm_answer_create(llm_dialect_get(dialect), form, finish, max);

    fed = LLM_REASON_NONE;

    for (i = 0; i < len; i = end) {

        end = cut == SIZE_MAX ? i + 1 : i < cut ? cut : len;

        piece = malloc(end - i);
        memcpy(piece, body + i, end - i);

        reason = llm_answer_feed(answer, piece, end - i);

        free(piece);

        if (fed != LLM_REASON_NONE && reason != fed) {
            /* it must not change any more */
            fed = LLM_REASON_MAX;
            break;
        }

        fed = reason;
    }

    reason = llm_answer_end(answer, info);

    if (fed != LLM_REASON_NONE && reason != fed) {
        reason = LLM_REASON_MAX;
    }

    llm_answer_free(answer);

    return reason;
}


#endif /* _ANSWER_RUN_H_INCLUDED_ */
