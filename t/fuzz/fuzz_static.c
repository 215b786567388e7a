/*
 * A model's files from any bytes: the header of the tensors, a line feed, the
 * vocabulary, a line feed, a text.  What is accepted must embed without
 * leaving the file.
 */


#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "llm_embed_static.h"
#include "llm_vector.h"


static char  dir[64];


static void
fuzz_put(const char *name, const char *head, const uint8_t *data, size_t len,
    const char *tail)
{
    char           path[128];
    FILE          *file;
    unsigned char  size[8];

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);

    file = fopen(path, "wb");
    if (file == NULL) {
        abort();
    }

    if (head == NULL) {
        memset(size, 0, sizeof(size));
        size[0] = (unsigned char) len;
        size[1] = (unsigned char) (len >> 8);
        (void) fwrite(size, 1, sizeof(size), file);

    } else {
        (void) fputs(head, file);
    }

    (void) fwrite(data, 1, len, file);
    (void) fputs(tail, file);
    (void) fclose(file);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char            error[256];
    float           vector[LLM_VECTOR_MAX];
    size_t          i;
    llm_str_t       text;
    llm_static_t   *model;
    const uint8_t  *one, *two;

    one = size ? memchr(data, '\n', size) : NULL;
    two = one ? memchr(one + 1, '\n', size - (size_t) (one + 1 - data)) : NULL;

    if (two == NULL || one - data > 4096) {
        return 0;
    }

    if (dir[0] == '\0') {
        (void) snprintf(dir, sizeof(dir), "/tmp/fuzz_static_%d",
                        (int) getpid());
        if (access(dir, F_OK) != 0) {
            char  command[128];

            (void) snprintf(command, sizeof(command), "mkdir -p %s", dir);
            if (system(command) != 0) {
                abort();
            }
        }
    }

    fuzz_put("model.safetensors", NULL, data, (size_t) (one - data),
             "0123456789abcdefghijklmnopqrstuvwxyz");
    fuzz_put("tokenizer.json",
             "{\"normalizer\":{\"type\":\"BertNormalizer\"},"
             "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
             "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
             "\"continuing_subword_prefix\":\"##\",\"vocab\":", one + 1,
             (size_t) (two - one - 1), "}}");

    model = llm_static_open(dir, error, sizeof(error));

    if (model == NULL) {
        if (error[0] == '\0') {
            abort();
        }

        return 0;
    }

    text.data = two + 1;
    text.len = size - (size_t) (two + 1 - data);

    if (llm_static_embed(model, text, vector) == 0) {
        for (i = 0; i < llm_static_dim(model); i++) {
            if (!isfinite(vector[i]) || fabsf(vector[i]) > 1.001f) {
                abort();
            }
        }
    }

    llm_static_close(model);

    return 0;
}
