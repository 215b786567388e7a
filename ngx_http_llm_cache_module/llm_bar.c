#include "llm_bar.h"
#include "llm_bytes.h"


static uint64_t llm_bar_word(const unsigned char *key);
static size_t llm_bar_set(const unsigned char *key);


int
llm_bar_add(llm_bar_t *bar, const unsigned char *key)
{
    size_t  set;

    if (llm_bar_has(bar, key)) {
        return 0;
    }

    set = llm_bar_set(key);

    bar->keys[set][bar->next[set]++ % LLM_BAR_WAYS] = llm_bar_word(key);

    return 1;
}


int
llm_bar_has(const llm_bar_t *bar, const unsigned char *key)
{
    size_t    i, set;
    uint64_t  word;

    set = llm_bar_set(key);
    word = llm_bar_word(key);

    for (i = 0; i < LLM_BAR_WAYS; i++) {
        if (bar->keys[set][i] == word) {
            return 1;
        }
    }

    return 0;
}


/* not 0 */

static uint64_t
llm_bar_word(const unsigned char *key)
{
    uint64_t  word;

    word = llm_bytes_get(key, sizeof(word));

    return word ? word : 1;
}


static size_t
llm_bar_set(const unsigned char *key)
{
    return llm_bytes_get(key + sizeof(uint64_t), 2) % LLM_BAR_SETS;
}
