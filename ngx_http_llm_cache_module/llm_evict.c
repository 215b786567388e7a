#include "llm_evict.h"


/* binary digits behind the point of a weight */
#define LLM_EVICT_SHIFT  12

/* a record asked for more often than this gains nothing more */
#define LLM_EVICT_MAX_FREQUENCY  1024

/* uses that each second has room for; priorities may be kept in a word */
#define LLM_EVICT_TIME_SHIFT  (UINTPTR_MAX > UINT32_MAX ? 24 : 0)


uint32_t
llm_evict_weight(int64_t prompt_tokens, int64_t completion_tokens,
    size_t size)
{
    uint64_t  cost;

    if (completion_tokens < 0) {
        completion_tokens = (prompt_tokens < 0)
                            ? (int64_t) (size / LLM_EVICT_TOKEN_BYTES) : 0;
    }

    if (prompt_tokens < 0) {
        prompt_tokens = 0;
    }

    if (prompt_tokens > INT32_MAX) {
        prompt_tokens = INT32_MAX;
    }

    if (completion_tokens > INT32_MAX) {
        completion_tokens = INT32_MAX;
    }

    cost = 1 + (uint64_t) prompt_tokens
           + (uint64_t) completion_tokens * LLM_EVICT_COMPLETION;

    cost = (cost << LLM_EVICT_SHIFT) / (size ? size : 1);

    if (cost == 0) {
        return 1;
    }

    return cost > UINT32_MAX ? UINT32_MAX : (uint32_t) cost;
}


uint64_t
llm_evict_priority(uint64_t age, uint32_t frequency, uint32_t weight)
{
    if (frequency > LLM_EVICT_MAX_FREQUENCY) {
        frequency = LLM_EVICT_MAX_FREQUENCY;
    }

    return age + (uint64_t) frequency * weight;
}


uint64_t
llm_evict_latest(uint64_t age, uint64_t now)
{
    now <<= LLM_EVICT_TIME_SHIFT;

    return age < now ? now : age + 1;
}


uint64_t
llm_evict_used(uint64_t age, uint64_t used)
{
    used <<= LLM_EVICT_TIME_SHIFT;

    return used < age ? used : age;
}
