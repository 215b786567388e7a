#include "llm_record.h"
#include "tap.h"


static llm_record_t
sample(void)
{
    llm_record_t  rec;

    memset(&rec, 0, sizeof(rec));
    memset(rec.key, 0xa5, sizeof(rec.key));

    rec.created = 1700000000;
    rec.expires = 1700003600;
    rec.prompt_tokens = 12;
    rec.completion_tokens = -1;
    rec.body_len = 5000;
    rec.usage_start = 4000;
    rec.usage_end = 4200;
    rec.mark = 77;
    rec.meta_len = 300;
    rec.status = 200;
    rec.form = LLM_FORM_SSE;
    rec.has_usage = 1;
    rec.usage_asked = 1;
    rec.dialect = LLM_DIALECT_GEMINI;
    memset(&rec.tags, 0x11, sizeof(rec.tags));
    memset(rec.tags.scope, 0x22, LLM_TAG_LEN);
    memset(rec.tags.model, 0x33, LLM_TAG_LEN);

    return rec;
}


static int
refused(const llm_record_t *rec)
{
    llm_record_t   out;
    unsigned char  head[LLM_RECORD_HEAD];

    llm_record_encode(rec, head);

    return llm_record_decode(head, &out) == -1;
}


static void
test_head(void)
{
    llm_record_t   rec, out;
    unsigned char  head[LLM_RECORD_HEAD];

    rec = sample();
    llm_record_encode(&rec, head);

    is_int(llm_record_decode(head, &out), 0, "a head is read back");
    is_mem(out.key, 32, rec.key, 32, "key");
    is_int(out.created, 1700000000, "created");
    is_int(out.expires, 1700003600, "expires");
    is_int(out.prompt_tokens, 12, "prompt tokens");
    is_int(out.completion_tokens, -1, "completion tokens that are not told");
    is_int(out.body_len, 5000, "body length");
    is_int(out.usage_start, 4000, "usage start");
    is_int(out.usage_end, 4200, "usage end");
    is_int(out.mark, 77, "mark");
    is_int(out.meta_len, 300, "meta length");
    is_int(out.status, 200, "status");
    is_int(out.form, LLM_FORM_SSE, "form");
    is_int(out.mark_empty, 0, "flag that is clear");
    is_int(out.has_usage, 1, "flag that is set");
    is_int(out.usage_asked, 1, "another flag that is set");
    is_int(out.dialect, LLM_DIALECT_GEMINI, "dialect");
    is_mem(&out.tags, sizeof(out.tags), &rec.tags, sizeof(rec.tags), "tags");
    is_int(out.tools, 0, "no tools");
    is_int(out.barred, 0, "not barred");

    head[LLM_RECORD_AT_FLAGS] |= LLM_RECORD_BARRED;
    is_int(llm_record_decode(head, &out), 0, "a bit that is set later");
    is_int(out.barred, 1, "bars it");
    is_int(out.tools, 0, "and nothing else");

    rec.tools = 1;
    llm_record_encode(&out, head);
    is_int(head[LLM_RECORD_AT_FLAGS] & LLM_RECORD_BARRED, LLM_RECORD_BARRED,
           "which is written, too");

    llm_record_encode(&rec, head);
    (void) llm_record_decode(head, &out);
    is_int(out.tools, 1, "tools");
    is_int(out.barred, 0, "are another flag");
    is_int(out.split, 0, "another one that is clear");

    rec.split = 1;
    llm_record_encode(&rec, head);
    is_int(llm_record_decode(head, &out), 0, "a head is read back again");
    is_int(out.split, 1, "and is set");

    head[4]++;
    is_int(llm_record_decode(head, &out), -1, "another version is refused");

    head[4]--;
    head[0] ^= 1;
    is_int(llm_record_decode(head, &out), -1, "another magic is refused");
}


static void
test_bounds(void)
{
    llm_record_t  rec;

    rec = sample();
    rec.usage_end = rec.body_len + 1;
    ok(refused(&rec), "usage beyond the body is refused");

    rec = sample();
    rec.usage_start = rec.usage_end + 1;
    ok(refused(&rec), "usage that ends before it starts is refused");

    rec = sample();
    rec.mark = rec.body_len;
    ok(refused(&rec), "a mark beyond the body is refused");

    rec = sample();
    rec.mark = LLM_RECORD_NO_MARK;
    ok(!refused(&rec), "no mark is fine");

    rec = sample();
    rec.form = LLM_FORM_NONE;
    ok(refused(&rec), "no form is refused");

    rec = sample();
    rec.form = LLM_FORM_NDJSON + 1;
    ok(refused(&rec), "an unknown form is refused");

    rec = sample();
    rec.dialect = LLM_DIALECTS;
    ok(refused(&rec), "an unknown dialect is refused");
}


static void
test_coding(void)
{
    llm_record_t   rec, out;
    unsigned char  head[LLM_RECORD_HEAD];

    rec = sample();
    rec.coding = LLM_CODING_GZIP;
    rec.packed_len = 700;
    rec.check = 0xfedcba98;
    llm_record_encode(&rec, head);

    is_int(llm_record_decode(head, &out), 0, "a packed body is read back");
    is_int(out.coding, LLM_CODING_GZIP, "coding");
    is_int(out.packed_len, 700, "packed length");
    is_int(out.check, 0xfedcba98, "checksum");
    is_int(out.body_len, 5000, "length of the body itself");

    rec.packed_len = 0;
    ok(refused(&rec), "nothing packed is refused");

    rec.packed_len = 5000;
    ok(refused(&rec), "no shorter than the body is refused");

    rec.packed_len = 700;
    rec.body_len = LLM_CODEC_MAX_BODY + 1;
    ok(refused(&rec), "what would unpack to too much is refused");

    rec = sample();
    rec.coding = LLM_CODING_GZIP + 1;
    ok(refused(&rec), "an unknown coding is refused");

    rec = sample();
    rec.packed_len = 1;
    ok(refused(&rec), "a packed length of what is not packed is refused");
}


static void
test_meta(void)
{
    char        long_value[70000];
    size_t      pos;
    llm_buf_t   buf;
    llm_str_t   meta, value;
    llm_str_t   type = llm_string("application/json");
    llm_str_t   empty = llm_null_string;
    llm_meta_e  tag;

    memset(&buf, 0, sizeof(buf));
    memset(long_value, 'x', sizeof(long_value));

    llm_record_add_meta(&buf, LLM_META_CONTENT_TYPE, type);
    llm_record_add_meta(&buf, LLM_META_MODEL, empty);

    meta.data = buf.data;
    meta.len = buf.len;
    pos = 0;

    is_int(llm_record_next_meta(meta, &pos, &tag, &value), 1, "first string");
    is_int(tag, LLM_META_CONTENT_TYPE, "its tag");
    is_mem(value.data, value.len, type.data, type.len, "its value");

    is_int(llm_record_next_meta(meta, &pos, &tag, &value), 1,
           "an empty string");
    is_int(tag, LLM_META_MODEL, "its tag");
    is_int(value.len, 0, "its length");

    is_int(llm_record_next_meta(meta, &pos, &tag, &value), 0, "the end");

    meta.len = 3 + type.len - 1;
    pos = 0;
    is_int(llm_record_next_meta(meta, &pos, &tag, &value), 0,
           "a string cut short is not told");

    value.data = (unsigned char *) long_value;
    value.len = sizeof(long_value);
    is_int(llm_record_add_meta(&buf, LLM_META_MODEL, value), -1,
           "a meta part over 64 KB is refused");

    llm_buf_free(&buf);
}


int
main(void)
{
    test_head();
    test_bounds();
    test_coding();
    test_meta();

    return done();
}
