/*
 * The URL of a Redis:
 *
 *     redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]
 *     redis+cluster://[[USER]:PASSWORD@]HOST[:PORT],...
 *     redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],.../MASTER[/DB]
 *     rediss://, rediss+cluster://, rediss+sentinel://: the same through TLS
 *     unix:[//[[USER]:PASSWORD@]]/PATH[?db=DB]
 *
 * User, password, path and master may hold %XX.  IPv6 addresses stand in
 * brackets.
 */


#ifndef _LLM_REDIS_URL_H_INCLUDED_
#define _LLM_REDIS_URL_H_INCLUDED_


#include "llm_core.h"


#define LLM_REDIS_HOSTS          16
#define LLM_REDIS_PORT           6379
#define LLM_REDIS_SENTINEL_PORT  26379


typedef enum {
    LLM_REDIS_SINGLE = 0,
    LLM_REDIS_CLUSTER,
    LLM_REDIS_SENTINEL
} llm_redis_kind_e;


typedef struct {
    llm_str_t             name;              /* IPv6 without its brackets */
    unsigned              port;
} llm_redis_host_t;


typedef struct {
    llm_redis_kind_e      kind;
    unsigned              tls:1;
    llm_str_t             path;              /* of a socket; then no hosts */
    llm_redis_host_t      hosts[LLM_REDIS_HOSTS];
    size_t                n;
    llm_str_t             user;              /* empty: the default one */
    llm_str_t             password;
    llm_str_t             master;
    unsigned              db;
} llm_redis_url_t;


/*
 * Reads a URL.  What is decoded goes into the caller's buffer of url.len
 * bytes, which has to stay as long as the URL.  NULL, or what is wrong: the
 * rest of "the URL ...".
 */

const char *llm_redis_url_parse(llm_str_t url, unsigned char *buf,
    llm_redis_url_t *out);


#endif /* _LLM_REDIS_URL_H_INCLUDED_ */
