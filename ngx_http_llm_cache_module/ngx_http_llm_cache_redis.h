/*
 * The client of Redis: connections of one worker to the servers that a URL
 * names, in nginx's event loop.  It knows no request.
 *
 * Commands of a connection are pipelined; replies come in their order.  A
 * server has a connection for look-ups, one for stores and one that listens
 * to changes.  Whatever fails, a command's handler is called once, with its
 * reply or without one.
 */


#ifndef _NGX_HTTP_LLM_CACHE_REDIS_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "llm_purge.h"
#include "llm_redis_slots.h"
#include "llm_redis_url.h"
#include "llm_redis_value.h"
#include "llm_resp.h"
#include "ngx_http_llm_cache_redis_stat.h"
#include "ngx_http_llm_cache_zone.h"


/* servers of one cluster that this worker knows, at most */
#define NGX_HTTP_LLM_CACHE_REDIS_SERVERS   256

/* bytes of a host's name */
#define NGX_HTTP_LLM_CACHE_REDIS_HOST      256

/* redirections that one command follows */
#define NGX_HTTP_LLM_CACHE_REDIS_MOVES     4

/* what may wait on one connection */
#define NGX_HTTP_LLM_CACHE_REDIS_COMMANDS  4096
#define NGX_HTTP_LLM_CACHE_REDIS_BYTES     (16 * 1024 * 1024)

/* stores, and what nobody waits for, may take so many times as long */
#define NGX_HTTP_LLM_CACHE_REDIS_PATIENCE  10


typedef struct ngx_http_llm_cache_redis_s         ngx_http_llm_cache_redis_t;
typedef struct ngx_http_llm_cache_redis_conn_s
    ngx_http_llm_cache_redis_conn_t;
typedef struct ngx_http_llm_cache_redis_cmd_s
    ngx_http_llm_cache_redis_cmd_t;
typedef struct ngx_http_llm_cache_redis_call_s
    ngx_http_llm_cache_redis_call_t;
typedef struct ngx_http_llm_cache_redis_server_s
    ngx_http_llm_cache_redis_server_t;
typedef struct ngx_http_llm_cache_redis_batch_s
    ngx_http_llm_cache_redis_batch_t;

/* the reply is the handler's to free, NULL where there is none; the command is
   freed afterwards, unless the handler sends it once more */
typedef void (*ngx_http_llm_cache_redis_cmd_pt)(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);


struct ngx_http_llm_cache_redis_cmd_s {
    ngx_queue_t                       queue;
    ngx_http_llm_cache_redis_cmd_pt   handler;   /* NULL: nobody listens */
    void                             *data;
    u_char                           *bytes;
    size_t                            len;
    ngx_buf_t                         buf;
    ngx_chain_t                       out;
    ngx_msec_t                        deadline;
    unsigned                          kept:1;    /* queued once more */
};


typedef enum {
    NGX_HTTP_LLM_CACHE_REDIS_IDLE = 0,
    NGX_HTTP_LLM_CACHE_REDIS_LOCATING,       /* its address is asked for */
    NGX_HTTP_LLM_CACHE_REDIS_CONNECTING,
    NGX_HTTP_LLM_CACHE_REDIS_GREETING,
    NGX_HTTP_LLM_CACHE_REDIS_READY
} ngx_http_llm_cache_redis_conn_e;


struct ngx_http_llm_cache_redis_conn_s {
    ngx_http_llm_cache_redis_t       *redis;
    ngx_http_llm_cache_redis_conn_e   state;
    ngx_peer_connection_t             peer;
    ngx_addr_t                        addr;
    ngx_sockaddr_t                    sockaddr;
    u_char                            text[NGX_SOCKADDR_STRLEN];
    ngx_str_t                         host;      /* that it must prove to be */
    u_char                            name[NGX_HTTP_LLM_CACHE_REDIS_HOST];
    ngx_resolver_ctx_t               *resolve;
    in_port_t                         port;      /* of what is resolved */
    ngx_log_t                         log;
    ngx_pool_t                       *pool;
    llm_resp_t                       *resp;

    ngx_queue_t                       sent;      /* commands without reply */
    ngx_queue_t                       waiting;   /* until it is ready */
    ngx_chain_t                      *out;       /* bytes not sent yet */
    ngx_chain_t                     **last;
    ngx_uint_t                        n;
    size_t                            bytes;

    ngx_event_t                       timer;
    ngx_event_t                       flush;

    unsigned                          plain:1;   /* no AUTH, no SELECT */
    unsigned                          role:1;    /* it must be a master */
    unsigned                          quiet:1;   /* failures are expected */

    /* the owner's */
    void                             *data;
    void                            (*start)(
                                   ngx_http_llm_cache_redis_conn_t *conn);
    void                            (*ready)(
                                   ngx_http_llm_cache_redis_conn_t *conn);
    void                            (*closed)(
                                   ngx_http_llm_cache_redis_conn_t *conn,
                                   ngx_uint_t failed);
    void                            (*message)(
                                   ngx_http_llm_cache_redis_conn_t *conn,
                                   llm_reply_t *reply);
};


/* which of a server's connections */

#define NGX_HTTP_LLM_CACHE_REDIS_LOOKUP    0
#define NGX_HTTP_LLM_CACHE_REDIS_STORE     1
#define NGX_HTTP_LLM_CACHE_REDIS_CONNS     2


/* a connection that is told of changes */

typedef struct {
    ngx_http_llm_cache_redis_conn_t   conn;
    ngx_event_t                       timer;     /* to try, or to ping */
    ngx_msec_t                        backoff;
    ngx_uint_t                        since;     /* in epochs */
    unsigned                          told:1;    /* since then */
    unsigned                          on:1;
    unsigned                          pubsub:1;  /* tracking is refused */
    unsigned                          warned:1;
    unsigned                          deaf:1;    /* to purges */
} ngx_http_llm_cache_redis_track_t;


struct ngx_http_llm_cache_redis_server_s {
    ngx_http_llm_cache_redis_t       *redis;
    ngx_uint_t                        index;
    ngx_str_t                         host;      /* empty: a socket's path */
    in_port_t                         port;
    ngx_addr_t                       *addrs;     /* known beforehand */
    ngx_uint_t                        naddrs;
    ngx_uint_t                        next;
    u_char                            name[NGX_HTTP_LLM_CACHE_REDIS_HOST];

    ngx_http_llm_cache_redis_conn_t   conns[NGX_HTTP_LLM_CACHE_REDIS_CONNS];
    ngx_http_llm_cache_redis_track_t  track;

    /* the breaker */
    ngx_uint_t                        failures;  /* without a success */
    ngx_msec_t                        backoff;
    ngx_event_t                       probe;
    unsigned                          open:1;
    unsigned                          master:1;  /* it has slots, or all */
};


struct ngx_http_llm_cache_redis_s {
    ngx_str_t                         name;      /* without the password */
    ngx_array_t                       args;      /* of ngx_str_t */
    llm_redis_url_t                   url;
    ngx_str_t                         prefix;
    ngx_msec_t                        connect_timeout;
    ngx_msec_t                        timeout;
    ngx_msec_t                        lease;
    ngx_str_t                         ca;
    ngx_str_t                         password_file;
    ngx_flag_t                        verify;
#if (NGX_SSL)
    ngx_ssl_t                        *ssl;
#endif
    ngx_resolver_t                   *resolver;
    ngx_msec_t                        resolver_timeout;
    ngx_addr_t                       *addrs[LLM_REDIS_HOSTS];
    ngx_uint_t                        naddrs[LLM_REDIS_HOSTS];
    ngx_array_t                       zones;     /* of zone_t * */

    /* another machine purges; set by who can */
    void                            (*purge)(ngx_http_llm_cache_redis_t *redis,
                                             const llm_purge_t *what);

    /* this process's own */
    ngx_str_t                         password;
    size_t                            max_value;
    ngx_http_llm_cache_redis_stat_t  *stat;
    ngx_http_llm_cache_redis_server_t **servers;
    ngx_uint_t                        n;
    uint16_t                         *slots;     /* a server's index + 1 */
    ngx_uint_t                        maps;      /* how often they changed */
    ngx_event_t                       refresh;
    ngx_http_llm_cache_redis_conn_t   sentinel;
    ngx_uint_t                        asked;     /* sentinels in a row */
    ngx_queue_t                       batches;
    unsigned                          refreshing:1;
};


/* ngx_http_llm_cache_redis_conn.c */

void ngx_http_llm_cache_redis_conn_init(ngx_http_llm_cache_redis_conn_t *conn,
    ngx_http_llm_cache_redis_t *redis);

/* begins to connect to conn->addr, being LOCATING; whatever fails is told by
   conn->closed() */
void ngx_http_llm_cache_redis_connect(ngx_http_llm_cache_redis_conn_t *conn);

/* the connection is there, and secured: what is said first */
void ngx_http_llm_cache_redis_greet(ngx_http_llm_cache_redis_conn_t *conn);

/* closes it, and calls the handlers of all its commands */
void ngx_http_llm_cache_redis_close(ngx_http_llm_cache_redis_conn_t *conn,
    ngx_uint_t failed);

/* a command, or NULL when memory ran out */
ngx_http_llm_cache_redis_cmd_t *ngx_http_llm_cache_redis_command(size_t size,
    int argc, const llm_str_t *argv);
void ngx_http_llm_cache_redis_cmd_free(ngx_http_llm_cache_redis_cmd_t *cmd);

/* NGX_OK: it is the connection's now; NGX_BUSY: too much waits there */
ngx_int_t ngx_http_llm_cache_redis_queue(
    ngx_http_llm_cache_redis_conn_t *conn,
    ngx_http_llm_cache_redis_cmd_t *cmd);

/* makes and queues a command; NULL where it did not come to that */
ngx_http_llm_cache_redis_cmd_t *ngx_http_llm_cache_redis_say(
    ngx_http_llm_cache_redis_conn_t *conn, int argc, const llm_str_t *argv,
    ngx_msec_t timeout, ngx_http_llm_cache_redis_cmd_pt handler, void *data);

/* ngx_http_llm_cache_redis_tls.c */

#if (NGX_SSL)
/* secures the connection, and has the server prove who it is */
void ngx_http_llm_cache_redis_handshake(
    ngx_http_llm_cache_redis_conn_t *conn);
#endif

/* ngx_http_llm_cache_redis_locate.c */

/* connects to a host; its addresses may be known, else it is resolved */
void ngx_http_llm_cache_redis_locate(ngx_http_llm_cache_redis_conn_t *conn,
    llm_str_t host, ngx_uint_t port, ngx_addr_t *addr);
void ngx_http_llm_cache_redis_locate_end(
    ngx_http_llm_cache_redis_conn_t *conn);

/* ngx_http_llm_cache_redis_pool.c */

ngx_int_t ngx_http_llm_cache_redis_init(ngx_http_llm_cache_redis_t *redis);
void ngx_http_llm_cache_redis_exit(ngx_http_llm_cache_redis_t *redis);

/* the server of that address, made where it is new; NULL: too many */
ngx_http_llm_cache_redis_server_t *ngx_http_llm_cache_redis_server(
    ngx_http_llm_cache_redis_t *redis, llm_str_t host, ngx_uint_t port);

/* begins to connect one of the server's connections, which is IDLE */
void ngx_http_llm_cache_redis_start(
    ngx_http_llm_cache_redis_server_t *server,
    ngx_http_llm_cache_redis_conn_t *conn);

/* one word for how this worker gets along with it */
const char *ngx_http_llm_cache_redis_state(ngx_http_llm_cache_redis_t *redis);

/* NGX_OK, or NGX_BUSY while the breaker is open or too much waits */
ngx_int_t ngx_http_llm_cache_redis_send(
    ngx_http_llm_cache_redis_server_t *server, ngx_uint_t which,
    ngx_http_llm_cache_redis_cmd_t *cmd);

/* ngx_http_llm_cache_redis_cluster.c */

/*
 * Sends a command to the server that has the key, and on to where it is told
 * to go.  NULL: it cannot be sent now.  The handler may be taken from what is
 * returned, to hear nothing.
 */
ngx_http_llm_cache_redis_call_t *ngx_http_llm_cache_redis_call(
    ngx_http_llm_cache_redis_t *redis, llm_str_t key, ngx_uint_t which,
    int argc, const llm_str_t *argv, ngx_msec_t timeout,
    void (*handler)(void *data, llm_reply_t *reply), void *data);
/* whether any of it went out: it may have been done without a reply */
ngx_uint_t ngx_http_llm_cache_redis_went_out(
    ngx_http_llm_cache_redis_call_t *call);
void ngx_http_llm_cache_redis_forget(ngx_http_llm_cache_redis_call_t *call);

/* has the map of the cluster read, soon */
void ngx_http_llm_cache_redis_remap(ngx_http_llm_cache_redis_t *redis,
    ngx_msec_t delay);
void ngx_http_llm_cache_redis_remap_handler(ngx_event_t *ev);

/* ngx_http_llm_cache_redis_sentinel.c */

/* asks for the master, and connects all of the server's connections that are
   LOCATING */
void ngx_http_llm_cache_redis_sentinel_init(
    ngx_http_llm_cache_redis_t *redis);
void ngx_http_llm_cache_redis_ask_sentinel(ngx_http_llm_cache_redis_t *redis);

/* ngx_http_llm_cache_redis_track.c */

void ngx_http_llm_cache_redis_track_init(
    ngx_http_llm_cache_redis_server_t *server);
/* has the server tell of changes, as soon as it can; or no more */
void ngx_http_llm_cache_redis_track(
    ngx_http_llm_cache_redis_server_t *server);
void ngx_http_llm_cache_redis_untrack(
    ngx_http_llm_cache_redis_server_t *server);

/* whether changes of what was read at that time would have been told */
ngx_uint_t ngx_http_llm_cache_redis_trusts(ngx_http_llm_cache_redis_t *redis,
    ngx_uint_t epoch);

/* the number of changes of the key's part of the zone, to be compared */
ngx_atomic_t *ngx_http_llm_cache_redis_changes(
    ngx_http_llm_cache_zone_t *zone, const u_char *key);

/* the channel on which machines tell each other what to purge */
llm_str_t ngx_http_llm_cache_redis_purge_channel(
    ngx_http_llm_cache_redis_t *redis, u_char *buf);

/* tells the others, where Redis does not do it by itself */
void ngx_http_llm_cache_redis_publish(ngx_http_llm_cache_redis_t *redis,
    llm_str_t key);

/* ngx_http_llm_cache_redis_get.c */

/* what became of one of a batch's keys */

typedef struct {
    ngx_http_llm_cache_redis_batch_t *batch;
    u_char                            key[LLM_KEY_LEN];
    ngx_http_llm_cache_redis_call_t  *get;
    ngx_http_llm_cache_redis_call_t  *pttl;
    llm_reply_t                      *reply;

    /* NGX_OK, NGX_DECLINED: there is none, NGX_ERROR: it could not be told */
    ngx_int_t                         rc;
    llm_record_t                      record;
    llm_str_t                         bytes;     /* of the record */
    uint32_t                          stamp;
    int64_t                           left;      /* ms to live, -1: for ever */
} ngx_http_llm_cache_redis_item_t;


struct ngx_http_llm_cache_redis_batch_s {
    ngx_queue_t                       queue;
    ngx_http_llm_cache_redis_t       *redis;
    void                            (*handler)(
                                    ngx_http_llm_cache_redis_batch_t *batch);
    void                             *data;
    ngx_event_t                       timer;
    ngx_event_t                       event;
    ngx_uint_t                        left;      /* replies */
    ngx_uint_t                        epoch;     /* when it was sent */
    ngx_msec_t                        start;
    unsigned                          timedout:1;
    ngx_uint_t                        n;
    ngx_http_llm_cache_redis_item_t   items[];
};


/*
 * Looks keys up, all in one go; the handler is called once, from the event
 * loop, when all of them are told or the timeout is over.  NULL: Redis cannot
 * be asked now.  The batch and the bytes in it are gone when the handler
 * returns.
 */
ngx_http_llm_cache_redis_batch_t *ngx_http_llm_cache_redis_get(
    ngx_http_llm_cache_redis_t *redis, ngx_uint_t n, const u_char *keys,
    void (*handler)(ngx_http_llm_cache_redis_batch_t *batch), void *data);
void ngx_http_llm_cache_redis_cancel(ngx_http_llm_cache_redis_batch_t *batch);

/* the prefix and the key; the buffer has room for them */
#define NGX_HTTP_LLM_CACHE_REDIS_PREFIX  128
#define NGX_HTTP_LLM_CACHE_REDIS_NAME                                         \
    (NGX_HTTP_LLM_CACHE_REDIS_PREFIX + 2 * LLM_KEY_LEN + sizeof(":lease"))

llm_str_t ngx_http_llm_cache_redis_key(ngx_http_llm_cache_redis_t *redis,
    const u_char *key, u_char *buf);
/* NGX_OK with the key that a name is of, or NGX_DECLINED */
ngx_int_t ngx_http_llm_cache_redis_key_of(ngx_http_llm_cache_redis_t *redis,
    llm_str_t name, u_char *key);
llm_str_t ngx_http_llm_cache_redis_lease_key(
    ngx_http_llm_cache_redis_t *redis, const u_char *key, u_char *buf);

/* ngx_http_llm_cache_redis_store.c */

/* stores the key's record in Redis, some rounds of the event loop later;
   again: only in place of what is there */
void ngx_http_llm_cache_redis_store_later(ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_zone_t *zone, const u_char *key, time_t stale,
    ngx_uint_t again);
void ngx_http_llm_cache_redis_store_exit(void);
/* whether one more can be noted */
ngx_uint_t ngx_http_llm_cache_redis_store_room(void);
/* drops a key there, and has the others drop it */
void ngx_http_llm_cache_redis_delete(ngx_http_llm_cache_redis_t *redis,
    const u_char *key);


/* ngx_http_llm_cache_redis_conf.c */

/* the handler of "llm_cache_redis", into a pointer: NULL for "off" */
char *ngx_http_llm_cache_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* whether answers of the zone go there */
ngx_uint_t ngx_http_llm_cache_redis_has_zone(
    ngx_http_llm_cache_redis_t *redis, ngx_http_llm_cache_zone_t *zone);

/*
 * Prepares it for a zone, when all of the location is known.  What was
 * prepared before for the same parameters and the same resolver takes its
 * place.  NULL, having said why.
 */
ngx_http_llm_cache_redis_t *ngx_http_llm_cache_redis_use(ngx_conf_t *cf,
    ngx_array_t *all, ngx_http_llm_cache_redis_t *redis,
    ngx_resolver_t *resolver, ngx_msec_t resolver_timeout,
    ngx_http_llm_cache_zone_t *zone);


/* the first line of a file, in memory to be freed by ngx_free(); NGX_ERROR,
   having said why */
ngx_int_t ngx_http_llm_cache_redis_read_password(ngx_str_t *file,
    ngx_str_t *password, ngx_uint_t level, ngx_log_t *log);


static ngx_inline llm_str_t
ngx_http_llm_cache_redis_word(const char *word)
{
    llm_str_t  s;

    s.data = (const u_char *) word;
    s.len = ngx_strlen(word);

    return s;
}


#define ngx_http_llm_cache_redis_count(stat, field)                           \
    (void) ngx_atomic_fetch_add(&(stat)->field, 1)


#endif /* _NGX_HTTP_LLM_CACHE_REDIS_H_INCLUDED_ */
