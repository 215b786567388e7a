#include "llm_embed_reply.h"
#include "llm_vector.h"


static int llm_embed_member(llm_buf_t *out, const char *name,
    llm_str_t value);


int
llm_embed_request(llm_str_t text, llm_str_t model, llm_buf_t *out)
{
    if (llm_buf_add(out, "{", 1) != 0
        || llm_embed_member(out, "\"input\":", text) != 0)
    {
        return -1;
    }

    if (model.len
        && (llm_buf_add(out, ",", 1) != 0
            || llm_embed_member(out, "\"model\":", model) != 0))
    {
        return -1;
    }

    return llm_buf_add(out, "}", 1);
}


static int
llm_embed_member(llm_buf_t *out, const char *name, llm_str_t value)
{
    if (llm_buf_add(out, name, strlen(name)) != 0) {
        return -1;
    }

    return llm_json_canon_string((const char *) value.data, value.len, out);
}


int
llm_embed_reply(const unsigned char *data, size_t len, size_t dim,
    float *vector)
{
    int            rc;
    size_t         i;
    json_t        *doc;
    const json_t  *list, *value;

    doc = json_loadb((const char *) data, len, JSON_REJECT_DUPLICATES, NULL);

    list = json_object_get(doc, "data");
    rc = -1;

    if (json_array_size(list) == 1) {

        list = json_object_get(json_array_get(list, 0), "embedding");

        if (json_array_size(list) == dim) {

            for (i = 0; i < dim; i++) {
                value = json_array_get(list, i);

                if (!json_is_number(value)) {
                    break;
                }

                vector[i] = (float) json_number_value(value);
            }

            if (i == dim) {
                rc = llm_vector_normalise(vector, dim);
            }
        }
    }

    json_decref(doc);

    return rc;
}
