#include "llm_purge.h"
#include "tap.h"


#define NOW  1700000000


static int
read_it(const char *text, llm_purge_request_t *req)
{
    llm_str_t  body;

    body.data = (const unsigned char *) text;
    body.len = strlen(text);

    return llm_purge_read(body, NOW, req);
}


static void
refused(const char *text, const char *error)
{
    llm_purge_request_t  req;

    is_int(read_it(text, &req), -1, "%s", text);
    ok(strncmp(req.error, error, strlen(error)) == 0, "%s", error);
}


static void
test_conditions(void)
{
    unsigned char        key[LLM_KEY_LEN], tag[LLM_TAG_LEN];
    llm_str_t            name = llm_string("gpt-4o");
    llm_purge_request_t  req;

    is_int(read_it("{\"all\":true}", &req), 0, "everything");
    is_int(req.purge.by, 0, "has no condition");
    is_int(req.dry_run, 0, "and is not dry");
    is_int(strcmp(req.zone, ""), 0, "nor of one zone");

    is_int(read_it(" {\"model\":\"gpt-4o\", \"all\":true,\"dry_run\":true,"
                   "\"zone\":\"one\"}", &req),
           0, "a model");
    is_int(req.purge.by, LLM_PURGE_MODEL, "is one condition");
    is_int(llm_record_tag(name, tag), 0, "its tag");
    is_mem(req.purge.tags.model, LLM_TAG_LEN, tag, LLM_TAG_LEN, "is there");
    is_int(req.dry_run, 1, "dry");
    is_int(strcmp(req.zone, "one"), 0, "in a zone");

    is_int(read_it("{\"key\":\"0123456789abcdefABCDEF0123456789"
                   "0000000000000000000000000000000f\"}", &req),
           0, "a key");

    memset(key, 0, sizeof(key));
    memcpy(key, "\x01\x23\x45\x67\x89\xab\xcd\xef"
                "\xab\xcd\xef\x01\x23\x45\x67\x89", 16);
    key[31] = 0x0f;

    is_mem(req.purge.key, LLM_KEY_LEN, key, LLM_KEY_LEN, "its bytes");

    is_int(read_it("{\"scope\":\"00000000000000fF\",\"namespace\":\"\"}",
                   &req),
           0, "a scope and a namespace");
    is_int(req.purge.by, LLM_PURGE_SCOPE|LLM_PURGE_NAMESPACE, "both");
    is_int(req.purge.tags.scope[7], 0xff, "the scope's last byte");
}


static void
test_ages(void)
{
    size_t               i;
    llm_purge_request_t  req;

    static const struct {
        const char  *text;
        uint64_t     seconds;
    } ages[] = {
        { "{\"older_than\":0}", 0 },
        { "{\"older_than\":90}", 90 },
        { "{\"older_than\":\"90\"}", 90 },
        { "{\"older_than\":\"90s\"}", 90 },
        { "{\"older_than\":\"2m\"}", 120 },
        { "{\"older_than\":\"1h30m\"}", 5400 },
        { "{\"older_than\":\"1d\"}", 86400 },
        { "{\"older_than\":\"2w\"}", 1209600 },
        { "{\"older_than\":99999999999999}", NOW },
        { "{\"older_than\":\"9999999999s\"}", NOW }
    };

    for (i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
        is_int(read_it(ages[i].text, &req), 0, "%s", ages[i].text);
        is_int(req.purge.before, NOW - ages[i].seconds, "its time");
    }

    refused("{\"older_than\":\"h\"}", "older_than must be");
    refused("{\"older_than\":\"1h5\"}", "older_than must be");
    refused("{\"older_than\":\"99999999999\"}", "older_than must be");
    refused("{\"older_than\":\"-1\"}", "older_than must be");
    refused("{\"older_than\":1.5}", "older_than must be");
    refused("{\"older_than\":\"9999999999w9999999999w\"}",
            "older_than must be");
}


static void
test_refusals(void)
{
    llm_purge_request_t  req;
    char                 zone[300];

    refused("", "the body must be");
    refused("null", "the body must be");
    refused("{\"all\":true} x", "the body must be");
    refused("{\"key\":\"00\",\"key\":\"00\"}", "the body must be");
    refused("{}", "no condition");
    refused("{\"zone\":\"one\",\"dry_run\":false}", "no condition");
    refused("{\"all\":null}", "all must be true");
    refused("{\"model\":[]}", "model must be");
    refused("{\"namespace\":1}", "namespace must be");
    refused("{\"scope\":\"0000000000000000 \"}", "scope must be");
    refused("{\"key\":\"\"}", "key must be 64 hex digits");
    refused("{\"question\":\"secret\"}", "unknown member");
    refused("{\"all\":true,\"zone\":7}", "zone must be");
    refused("{\"all\":true,\"dry_run\":\"true\"}", "dry_run must be");

    (void) snprintf(zone, sizeof(zone), "{\"all\":true,\"zone\":\"%0200d\"}",
                    0);
    refused(zone, "zone must be");

    (void) read_it("{\"question\":\"secret\"}", &req);
    ok(strstr(req.error, "secret") == NULL, "an error quotes nothing");
}


static void
test_match(void)
{
    llm_tags_t     tags;
    llm_purge_t    purge;
    unsigned char  key[LLM_KEY_LEN];

    memset(key, 1, sizeof(key));
    memset(&tags, 2, sizeof(tags));
    memset(&purge, 0, sizeof(purge));

    ok(llm_purge_match(&purge, key, &tags, NOW), "everything matches");

    purge.by = LLM_PURGE_KEY;
    ok(!llm_purge_match(&purge, key, &tags, NOW), "another key does not");

    memcpy(purge.key, key, LLM_KEY_LEN);
    ok(llm_purge_match(&purge, key, &tags, NOW), "its own does");

    purge.by |= LLM_PURGE_NAMESPACE;
    ok(!llm_purge_match(&purge, key, &tags, NOW), "in another namespace");
    memset(purge.tags.ns, 2, LLM_TAG_LEN);
    ok(llm_purge_match(&purge, key, &tags, NOW), "in its own");

    purge.by |= LLM_PURGE_SCOPE;
    ok(!llm_purge_match(&purge, key, &tags, NOW), "in another scope");
    memset(purge.tags.scope, 2, LLM_TAG_LEN);
    ok(llm_purge_match(&purge, key, &tags, NOW), "in its own");

    purge.by |= LLM_PURGE_MODEL;
    ok(!llm_purge_match(&purge, key, &tags, NOW), "of another model");
    memset(purge.tags.model, 2, LLM_TAG_LEN);
    ok(llm_purge_match(&purge, key, &tags, NOW), "of its own");

    purge.by |= LLM_PURGE_AGE;
    purge.before = NOW - 1;
    ok(!llm_purge_match(&purge, key, &tags, NOW), "too young");
    ok(llm_purge_match(&purge, key, &tags, NOW - 1), "old enough");
}


static void
test_message(void)
{
    size_t         i;
    llm_str_t      view;
    llm_purge_t    purge, out;
    unsigned char  message[LLM_PURGE_LEN];

    memset(&purge, 0, sizeof(purge));
    memset(purge.id, 7, LLM_PURGE_ID_LEN);
    memset(purge.key, 8, LLM_KEY_LEN);
    memset(purge.tags.ns, 9, LLM_TAG_LEN);
    memset(purge.tags.scope, 10, LLM_TAG_LEN);
    memset(purge.tags.model, 11, LLM_TAG_LEN);
    purge.by = LLM_PURGE_KEY|LLM_PURGE_AGE;
    purge.before = NOW;

    llm_purge_encode(&purge, message);

    view.data = message;
    view.len = LLM_PURGE_LEN;

    is_int(llm_purge_decode(view, &out), 0, "a message is read back");
    is_mem(out.id, LLM_PURGE_ID_LEN, purge.id, LLM_PURGE_ID_LEN, "its id");
    is_mem(out.key, LLM_KEY_LEN, purge.key, LLM_KEY_LEN, "its key");
    is_mem(&out.tags, sizeof(out.tags), &purge.tags, sizeof(out.tags),
           "its tags");
    is_int(out.by, purge.by, "its conditions");
    is_int(out.before, NOW, "its time");

    for (i = 0; i < LLM_PURGE_LEN; i++) {
        view.len = i;

        if (llm_purge_decode(view, &out) == 0) {
            break;
        }
    }

    is_int(i, LLM_PURGE_LEN, "a shorter one is none");

    view.len = LLM_PURGE_LEN;
    message[0] ^= 1;
    is_int(llm_purge_decode(view, &out), -1, "nor another magic");
    message[0] ^= 1;
    message[4]++;
    is_int(llm_purge_decode(view, &out), -1, "nor another version");
    message[4]--;
    message[6] |= 0x80;
    is_int(llm_purge_decode(view, &out), -1, "nor an unknown condition");
    message[6] &= 0x7f;
    message[LLM_PURGE_LEN - 1] ^= 1;
    is_int(llm_purge_decode(view, &out), -1, "nor another end");
}


int
main(void)
{
    test_conditions();
    test_ages();
    test_refusals();
    test_match();
    test_message();

    return tap_done();
}
