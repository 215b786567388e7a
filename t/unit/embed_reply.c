#include <math.h>

#include "llm_embed_reply.h"
#include "tap.h"


static llm_str_t
str(const char *s)
{
    llm_str_t  v;

    v.data = (const unsigned char *) s;
    v.len = strlen(s);

    return v;
}


int
main(void)
{
    float      v[2];
    size_t     i;
    llm_buf_t  buf;

    static const char *const  bad[] = {
        "", "{}", "[]", "{\"data\":[]}", "{\"data\":[{}]}",
        "{\"data\":[{\"embedding\":[]}]}",
        "{\"data\":[{\"embedding\":[1]}]}",
        "{\"data\":[{\"embedding\":[1,2,3]}]}",
        "{\"data\":[{\"embedding\":[1,\"2\"]}]}",
        "{\"data\":[{\"embedding\":[1,null]}]}",
        "{\"data\":[{\"embedding\":[0,0]}]}",
        "{\"data\":[{\"embedding\":[1e300,1]}]}",
        "{\"data\":[{\"embedding\":\"AACAPwAAAEA=\"}]}",
        "{\"data\":[{\"embedding\":[1,2]},{\"embedding\":[1,2]}]}",
        "{\"error\":{\"message\":\"no\"}}",
        "{\"data\":[{\"embedding\":[1,2]}]"
    };

    memset(&buf, 0, sizeof(llm_buf_t));

    is_int(llm_embed_request(str("a \"b\"\n\xc3\xa9"), str("m"), &buf), 0,
           "a request");
    is_str(buf, "{\"input\":\"a \\\"b\\\"\\n\xc3\xa9\",\"model\":\"m\"}",
           "as it should be");

    buf.len = 0;
    (void) llm_embed_request(str("a"), str(""), &buf);
    is_str(buf, "{\"input\":\"a\"}", "without a model");
    llm_buf_free(&buf);

#define REPLY  "{\"data\":[{\"index\":0,\"embedding\":[3,-4.0]}],\"usage\":1}"

    is_int(llm_embed_reply((const unsigned char *) REPLY, strlen(REPLY), 2, v),
           0, "an answer");
    ok(fabsf(v[0] - 0.6f) < 0.001f && fabsf(v[1] + 0.8f) < 0.001f,
       "at length 1");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_int(llm_embed_reply((const unsigned char *) bad[i],
                               strlen(bad[i]), 2, v),
               -1, "no vector: %s", bad[i]);
    }

    return done();
}
