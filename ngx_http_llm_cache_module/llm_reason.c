#include "llm_reason.h"


#define LLM_REASON_WORD(name, word)  llm_string(word),

static const llm_str_t  llm_reason_words[] = {
    LLM_REASONS(LLM_REASON_WORD)
};


llm_str_t
llm_reason_word(llm_reason_e reason)
{
    if ((size_t) reason >= LLM_REASON_MAX) {
        return llm_reason_words[LLM_REASON_NONE];
    }

    return llm_reason_words[reason];
}
