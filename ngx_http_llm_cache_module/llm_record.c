#include <openssl/evp.h>

#include "llm_bytes.h"
#include "llm_record.h"


/* where the fields of the head stand */

#define LLM_RECORD_AT_MAGIC       0
#define LLM_RECORD_AT_VERSION     4
#define LLM_RECORD_AT_FORM        6
#define LLM_RECORD_AT_KEY         8
#define LLM_RECORD_AT_CREATED     40
#define LLM_RECORD_AT_EXPIRES     48
#define LLM_RECORD_AT_PROMPT      56
#define LLM_RECORD_AT_COMPLETION  60
#define LLM_RECORD_AT_BODY_LEN    64
#define LLM_RECORD_AT_USAGE       68
#define LLM_RECORD_AT_USAGE_END   72
#define LLM_RECORD_AT_MARK        76
#define LLM_RECORD_AT_META_LEN    80
#define LLM_RECORD_AT_STATUS      82
#define LLM_RECORD_AT_CODING      84
#define LLM_RECORD_AT_ASK         85
#define LLM_RECORD_AT_DIALECT     86
#define LLM_RECORD_AT_PACKED_LEN  88
#define LLM_RECORD_AT_CHECK       92
#define LLM_RECORD_AT_MSEC        96
#define LLM_RECORD_AT_NAMESPACE   100
#define LLM_RECORD_AT_SCOPE       108
#define LLM_RECORD_AT_MODEL       116

#define LLM_RECORD_MAGIC          "LLMR"

#define LLM_RECORD_MARK_EMPTY     0x01
#define LLM_RECORD_HAS_USAGE      0x02
#define LLM_RECORD_USAGE_ASKED    0x04
#define LLM_RECORD_TOOLS          0x08
#define LLM_RECORD_SPLIT          0x20
#define LLM_RECORD_VARIES         0x40


void
llm_record_encode(const llm_record_t *rec, unsigned char *head)
{
    unsigned  flags;

    flags = (rec->mark_empty ? LLM_RECORD_MARK_EMPTY : 0)
            | (rec->has_usage ? LLM_RECORD_HAS_USAGE : 0)
            | (rec->usage_asked ? LLM_RECORD_USAGE_ASKED : 0)
            | (rec->tools ? LLM_RECORD_TOOLS : 0)
            | (rec->barred ? LLM_RECORD_BARRED : 0)
            | (rec->split ? LLM_RECORD_SPLIT : 0)
            | (rec->varies ? LLM_RECORD_VARIES : 0);

    memset(head, 0, LLM_RECORD_HEAD);

    memcpy(head + LLM_RECORD_AT_MAGIC, LLM_RECORD_MAGIC, 4);
    llm_bytes_put(head + LLM_RECORD_AT_VERSION, 2, LLM_RECORD_VERSION);
    llm_bytes_put(head + LLM_RECORD_AT_FORM, 1, rec->form);
    llm_bytes_put(head + LLM_RECORD_AT_FLAGS, 1, flags);
    memcpy(head + LLM_RECORD_AT_KEY, rec->key, LLM_KEY_LEN);
    llm_bytes_put(head + LLM_RECORD_AT_CREATED, 8, rec->created);
    llm_bytes_put(head + LLM_RECORD_AT_EXPIRES, 8, rec->expires);
    llm_bytes_put(head + LLM_RECORD_AT_PROMPT, 4,
                  (uint32_t) rec->prompt_tokens);
    llm_bytes_put(head + LLM_RECORD_AT_COMPLETION, 4,
                  (uint32_t) rec->completion_tokens);
    llm_bytes_put(head + LLM_RECORD_AT_BODY_LEN, 4, rec->body_len);
    llm_bytes_put(head + LLM_RECORD_AT_USAGE, 4, rec->usage_start);
    llm_bytes_put(head + LLM_RECORD_AT_USAGE_END, 4, rec->usage_end);
    llm_bytes_put(head + LLM_RECORD_AT_MARK, 4, rec->mark);
    llm_bytes_put(head + LLM_RECORD_AT_META_LEN, 2, rec->meta_len);
    llm_bytes_put(head + LLM_RECORD_AT_STATUS, 2, rec->status);
    llm_bytes_put(head + LLM_RECORD_AT_CODING, 1, rec->coding);
    llm_bytes_put(head + LLM_RECORD_AT_ASK, 1, rec->ask);
    llm_bytes_put(head + LLM_RECORD_AT_PACKED_LEN, 4, rec->packed_len);
    llm_bytes_put(head + LLM_RECORD_AT_CHECK, 4, rec->check);
    llm_bytes_put(head + LLM_RECORD_AT_MSEC, 4, rec->msec);
    llm_bytes_put(head + LLM_RECORD_AT_DIALECT, 1, rec->dialect);

    memcpy(head + LLM_RECORD_AT_NAMESPACE, rec->tags.ns, LLM_TAG_LEN);
    memcpy(head + LLM_RECORD_AT_SCOPE, rec->tags.scope, LLM_TAG_LEN);
    memcpy(head + LLM_RECORD_AT_MODEL, rec->tags.model, LLM_TAG_LEN);
}


int
llm_record_decode(const unsigned char *head, llm_record_t *rec)
{
    unsigned  flags;

    if (memcmp(head + LLM_RECORD_AT_MAGIC, LLM_RECORD_MAGIC, 4) != 0
        || llm_bytes_get(head + LLM_RECORD_AT_VERSION, 2)
           != LLM_RECORD_VERSION)
    {
        return -1;
    }

    memset(rec, 0, sizeof(llm_record_t));

    flags = (unsigned) llm_bytes_get(head + LLM_RECORD_AT_FLAGS, 1);

    rec->form = (uint8_t) llm_bytes_get(head + LLM_RECORD_AT_FORM, 1);
    rec->mark_empty = (flags & LLM_RECORD_MARK_EMPTY) != 0;
    rec->has_usage = (flags & LLM_RECORD_HAS_USAGE) != 0;
    rec->usage_asked = (flags & LLM_RECORD_USAGE_ASKED) != 0;
    rec->tools = (flags & LLM_RECORD_TOOLS) != 0;
    rec->barred = (flags & LLM_RECORD_BARRED) != 0;
    rec->split = (flags & LLM_RECORD_SPLIT) != 0;
    rec->varies = (flags & LLM_RECORD_VARIES) != 0;

    memcpy(rec->key, head + LLM_RECORD_AT_KEY, LLM_KEY_LEN);

    rec->created = llm_bytes_get(head + LLM_RECORD_AT_CREATED, 8);
    rec->expires = llm_bytes_get(head + LLM_RECORD_AT_EXPIRES, 8);
    rec->prompt_tokens = (int32_t)
                         llm_bytes_get(head + LLM_RECORD_AT_PROMPT, 4);
    rec->completion_tokens = (int32_t)
                         llm_bytes_get(head + LLM_RECORD_AT_COMPLETION, 4);
    rec->body_len = (uint32_t) llm_bytes_get(head + LLM_RECORD_AT_BODY_LEN,
                                             4);
    rec->usage_start = (uint32_t) llm_bytes_get(head + LLM_RECORD_AT_USAGE,
                                                4);
    rec->usage_end = (uint32_t) llm_bytes_get(head + LLM_RECORD_AT_USAGE_END,
                                              4);
    rec->mark = (uint32_t) llm_bytes_get(head + LLM_RECORD_AT_MARK, 4);
    rec->meta_len = (uint16_t) llm_bytes_get(head + LLM_RECORD_AT_META_LEN,
                                             2);
    rec->status = (uint16_t) llm_bytes_get(head + LLM_RECORD_AT_STATUS, 2);
    rec->coding = (uint8_t) llm_bytes_get(head + LLM_RECORD_AT_CODING, 1);
    rec->ask = (uint8_t) llm_bytes_get(head + LLM_RECORD_AT_ASK, 1);
    rec->packed_len = (uint32_t)
                      llm_bytes_get(head + LLM_RECORD_AT_PACKED_LEN, 4);
    rec->check = (uint32_t) llm_bytes_get(head + LLM_RECORD_AT_CHECK, 4);
    rec->msec = (uint32_t) llm_bytes_get(head + LLM_RECORD_AT_MSEC, 4);
    rec->dialect = (uint8_t) llm_bytes_get(head + LLM_RECORD_AT_DIALECT, 1);

    memcpy(rec->tags.ns, head + LLM_RECORD_AT_NAMESPACE, LLM_TAG_LEN);
    memcpy(rec->tags.scope, head + LLM_RECORD_AT_SCOPE, LLM_TAG_LEN);
    memcpy(rec->tags.model, head + LLM_RECORD_AT_MODEL, LLM_TAG_LEN);

    if (rec->form < LLM_FORM_JSON || rec->form > LLM_FORM_NDJSON
        || rec->dialect >= LLM_DIALECTS
        || rec->usage_start > rec->usage_end
        || rec->usage_end > rec->body_len
        || (rec->mark != LLM_RECORD_NO_MARK && rec->mark >= rec->body_len))
    {
        return -1;
    }

    /* the bounds keep a damaged record from asking for much memory */

    switch (rec->coding) {

    case LLM_CODING_IDENTITY:
        return rec->packed_len == 0 && rec->check == 0 ? 0 : -1;

    case LLM_CODING_GZIP:
        return rec->packed_len > 0
               && rec->packed_len <= llm_codec_worth(rec->body_len) ? 0 : -1;

    default:
        return -1;
    }
}


int
llm_record_tag(llm_str_t name, unsigned char *tag)
{
    unsigned       n;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    if (EVP_Digest(name.data, name.len, digest, &n, EVP_sha256(), NULL) != 1) {
        return -1;
    }

    memcpy(tag, digest, LLM_TAG_LEN);

    return 0;
}


uint64_t
llm_record_len(const llm_record_t *rec)
{
    return (uint64_t) LLM_RECORD_HEAD + rec->meta_len
           + (rec->coding == LLM_CODING_IDENTITY ? rec->body_len
                                                 : rec->packed_len);
}


void
llm_record_meta_head(unsigned char *head, llm_meta_e tag, size_t len)
{
    llm_bytes_put(head, 1, tag);
    llm_bytes_put(head + 1, 2, len);
}


int
llm_record_add_meta(llm_buf_t *buf, llm_meta_e tag, llm_str_t value)
{
    unsigned char  head[LLM_RECORD_META_HEAD];

    if (buf->len + sizeof(head) + value.len > UINT16_MAX) {
        return -1;
    }

    llm_record_meta_head(head, tag, value.len);

    if (llm_buf_add(buf, head, sizeof(head)) != 0) {
        return -1;
    }

    return llm_buf_add(buf, value.data, value.len);
}


int
llm_record_next_meta(llm_str_t meta, size_t *pos, llm_meta_e *tag,
    llm_str_t *value)
{
    size_t                len;
    const unsigned char  *p;

    if (meta.len - *pos < LLM_RECORD_META_HEAD) {
        return 0;
    }

    p = meta.data + *pos;
    len = (size_t) llm_bytes_get(p + 1, 2);

    if (meta.len - *pos - LLM_RECORD_META_HEAD < len) {
        return 0;
    }

    *tag = (llm_meta_e) p[0];
    value->data = p + LLM_RECORD_META_HEAD;
    value->len = len;

    *pos += LLM_RECORD_META_HEAD + len;

    return 1;
}
