/*
 * How fast a request's body becomes a key: by the reference (a document, its
 * canonical text, SHA-256) and by what the module uses.
 *
 *   canon SECONDS FILE ...
 *
 * The files are read in turn, so that no branch predictor learns one by heart.
 * Prints "reference" and "module", a tab, bytes per second.
 */


#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/evp.h>

#include "key_body.h"
#include "llm_body.h"
#include "llm_json.h"
#include "llm_key.h"


typedef struct {
    unsigned char        *data;
    size_t                len;
} canon_body_t;


typedef int (*canon_digest_pt)(const canon_body_t *body,
    const llm_route_t *route, unsigned char *digest);


static int canon_reference(const canon_body_t *body,
    const llm_route_t *route, unsigned char *digest);
static int canon_module(const canon_body_t *body, const llm_route_t *route,
    unsigned char *digest);
static int canon_load(const char *name, canon_body_t *body);
static int canon_check(const canon_body_t *bodies, int n,
    const llm_route_t *route);
static double canon_rate(const canon_body_t *bodies, int n,
    const llm_route_t *route, canon_digest_pt digest, double seconds);
static double canon_now(void);


static int
canon_reference(const canon_body_t *body, const llm_route_t *route,
    unsigned char *digest)
{
    int        rc;
    json_t    *doc;
    llm_buf_t  text;

    if (llm_json_load(body->data, body->len, &doc) != LLM_REASON_NONE) {
        return -1;
    }

    memset(&text, 0, sizeof(llm_buf_t));

    rc = key_body(doc, route->dialect, NULL, 1, &text);

    if (rc == 0
        && EVP_Digest(text.data, text.len, digest, NULL, EVP_sha256(), NULL)
           != 1)
    {
        rc = -1;
    }

    llm_buf_free(&text);
    json_decref(doc);

    return rc;
}


static int
canon_module(const canon_body_t *body, const llm_route_t *route,
    unsigned char *digest)
{
    llm_body_t    read;
    llm_reason_e  reason;

    reason = llm_body_read(body->data, body->len, route, NULL, 1, &read);

    memcpy(digest, read.digest, LLM_KEY_LEN);
    llm_body_free(&read);

    return reason == LLM_REASON_NONE ? 0 : -1;
}


static int
canon_load(const char *name, canon_body_t *body)
{
    long   size;
    FILE  *file;

    file = fopen(name, "rb");
    if (file == NULL) {
        return -1;
    }

    if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0) {
        fclose(file);
        return -1;
    }

    rewind(file);

    body->len = (size_t) size;
    body->data = malloc(body->len);

    if (body->data == NULL
        || fread(body->data, 1, body->len, file) != body->len)
    {
        fclose(file);
        return -1;
    }

    fclose(file);

    return 0;
}


/* both ways must come to the same digest */

static int
canon_check(const canon_body_t *bodies, int n, const llm_route_t *route)
{
    int            i;
    unsigned char  reference[LLM_KEY_LEN], module[LLM_KEY_LEN];

    for (i = 0; i < n; i++) {
        if (canon_reference(&bodies[i], route, reference) != 0
            || canon_module(&bodies[i], route, module) != 0
            || memcmp(reference, module, LLM_KEY_LEN) != 0)
        {
            return -1;
        }
    }

    return 0;
}


static double
canon_rate(const canon_body_t *bodies, int n, const llm_route_t *route,
    canon_digest_pt digest, double seconds)
{
    int            i;
    double         start, now, bytes;
    unsigned char  out[LLM_KEY_LEN];

    bytes = 0;
    start = canon_now();

    do {
        for (i = 0; i < n; i++) {
            if (digest(&bodies[i], route, out) != 0) {
                return 0;
            }

            bytes += bodies[i].len;
        }

        now = canon_now();

    } while (now - start < seconds);

    return bytes / (now - start);
}


static double
canon_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


int
main(int argc, char *argv[])
{
    int               i, n;
    double            seconds;
    llm_route_t       route;
    canon_body_t     *bodies;
    const llm_str_t   none = llm_null_string;
    const llm_str_t   path = llm_string("/v1/chat/completions");

    n = argc - 2;

    if (n < 1) {
        fprintf(stderr, "usage: canon SECONDS FILE ...\n");
        return 2;
    }

    seconds = atof(argv[1]);
    bodies = calloc(n, sizeof(canon_body_t));

    for (i = 0; bodies && i < n; i++) {
        if (canon_load(argv[i + 2], &bodies[i]) != 0) {
            fprintf(stderr, "canon: cannot read %s\n", argv[i + 2]);
            return 1;
        }
    }

    llm_dialect_route(path, none, &route);

    if (bodies == NULL || canon_check(bodies, n, &route) != 0) {
        fprintf(stderr, "canon: the digests of the two ways differ\n");
        return 1;
    }

    printf("reference\t%.0f\n",
           canon_rate(bodies, n, &route, canon_reference, seconds));
    printf("module\t%.0f\n",
           canon_rate(bodies, n, &route, canon_module, seconds));

    for (i = 0; i < n; i++) {
        free(bodies[i].data);
    }

    free(bodies);

    return 0;
}
