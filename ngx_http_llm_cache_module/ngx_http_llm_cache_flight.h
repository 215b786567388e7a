/*
 * Flights: upstream calls in progress, in a zone's shared memory.  The record
 * being filled is the flight's buffer, which followers in any worker read as
 * it grows.  It knows no request.
 *
 * A flight belongs to its leader and its followers, who hold its node; the
 * last one to leave frees it.  What a dead worker took part in is given back
 * by its slot, as all that it held.
 */


#ifndef _NGX_HTTP_LLM_CACHE_FLIGHT_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_FLIGHT_H_INCLUDED_


#include "ngx_http_llm_cache_zone.h"


/* how a hold takes part in a flight */

#define NGX_HTTP_LLM_CACHE_READER      0     /* not at all */
#define NGX_HTTP_LLM_CACHE_FOLLOWER    1
#define NGX_HTTP_LLM_CACHE_LEADER      2

/* workers are told apart by so many bits; those beyond share them */
#define NGX_HTTP_LLM_CACHE_WATCH       256
#define NGX_HTTP_LLM_CACHE_WATCH_WORDS                                        \
    (NGX_HTTP_LLM_CACHE_WATCH / 8 / sizeof(ngx_atomic_uint_t))


typedef enum {
    NGX_HTTP_LLM_CACHE_FLYING = 1,           /* nothing to be read yet */
    NGX_HTTP_LLM_CACHE_FILLING,              /* the record can be read */
    NGX_HTTP_LLM_CACHE_CLOSING,              /* not just now */
    NGX_HTTP_LLM_CACHE_STORED,               /* complete */
    NGX_HTTP_LLM_CACHE_ENDED,                /* complete, but not stored */
    NGX_HTTP_LLM_CACHE_FAILED,               /* to be tried again */
    NGX_HTTP_LLM_CACHE_ALONE                 /* each one for itself */
} ngx_http_llm_cache_flight_state_e;


struct ngx_http_llm_cache_flight_s {
    ngx_http_llm_cache_flight_t *next;       /* in the bucket */
    ngx_http_llm_cache_node_t   *node;
    ngx_http_llm_cache_node_t   *successor;  /* of the flight after this one */
    ngx_pid_t                    leader;
    ngx_uint_t                   cycle;      /* of the leader */
    uint32_t                     parts;      /* leader, followers, and those
                                                that this one succeeds */
    uint32_t                     listed;     /* who comes may join */
    uint32_t                     kind;
    uint32_t                     failure;    /* NGX_HTTP_UPSTREAM_FT_... */
    uint32_t                     similar;    /* there was no need of it, as
                                                this serves */
    ngx_http_llm_cache_found_t   found;
    ngx_uint_t                   purges;     /* of the zone, before it began */
    llm_tags_t                   tags;       /* of its record */

    /* read without the lock */
    volatile ngx_atomic_uint_t   state;
    volatile ngx_atomic_uint_t   len;        /* bytes that can be read */
    volatile ngx_atomic_uint_t   followers;
    volatile ngx_atomic_uint_t   watch[NGX_HTTP_LLM_CACHE_WATCH_WORDS];
};


/* what a request wants of its key */

typedef struct {
    const u_char                *key;
    ngx_http_llm_cache_node_t   *after;      /* held, with a failed flight */
    ngx_uint_t                   kind;       /* of flights that serve it */
    time_t                       stale;      /* seconds past its lifetime that
                                                a record serves during a
                                                flight, 0: not at all */
    unsigned                     fetch:1;    /* no record serves */
    unsigned                     follow:1;
    unsigned                     lead:1;     /* where there is no flight */
    unsigned                     refresh:1;  /* lead, and be served stale */
} ngx_http_llm_cache_wish_t;


/*
 * A failed flight has one successor, which all of its followers find, even if
 * that has come to its end by then: a failure is not multiplied.
 *
 * Looks for a record, for a flight to follow, or begins one, as wished.
 * NGX_OK: a record is held, fresh or stale; NGX_AGAIN: a flight is held as its
 * follower; NGX_DECLINED, NGX_BUSY (an expired record): neither.
 * w->hold.node tells whether this request leads now.
 */
ngx_int_t ngx_http_llm_cache_flight_enter(ngx_http_llm_cache_zone_t *zone,
    const ngx_http_llm_cache_wish_t *wish, ngx_http_llm_cache_hold_t *hold,
    ngx_http_llm_cache_writer_t *w);

/* followers must not read just now: its end is being written */
void ngx_http_llm_cache_flight_closing(ngx_http_llm_cache_writer_t *w);

/* who comes need not wait for one that takes too long */
void ngx_http_llm_cache_flight_forsake(ngx_http_llm_cache_hold_t *hold);

/* counts a flight that takes the place of a failed one */
void ngx_http_llm_cache_flight_taken_over(ngx_http_llm_cache_writer_t *w);

/* tells by what its record may be purged while it is being fetched */
void ngx_http_llm_cache_flight_tag(ngx_http_llm_cache_writer_t *w,
    const llm_tags_t *tags);

/* what was appended until now may be read */
void ngx_http_llm_cache_flight_publish(ngx_http_llm_cache_writer_t *w);

/* nobody joins any more, but those whose own flight it is the successor of;
   whether there is somebody who follows, or may */
ngx_uint_t ngx_http_llm_cache_flight_close(ngx_http_llm_cache_writer_t *w);

/* nobody joins any more, and all are told that it came to this */
void ngx_http_llm_cache_flight_end(ngx_http_llm_cache_writer_t *w,
    ngx_http_llm_cache_flight_state_e state);

/* the upstream failed in that way: who follows may have a stale answer */
void ngx_http_llm_cache_flight_fail(ngx_http_llm_cache_writer_t *w,
    ngx_uint_t failure);

/* nothing was fetched: who follows may have that record, too */
void ngx_http_llm_cache_flight_similar(ngx_http_llm_cache_writer_t *w,
    const ngx_http_llm_cache_found_t *found);

/* ends the flight of a leader whose process is gone; 0 when it is there */
ngx_uint_t ngx_http_llm_cache_flight_orphaned(
    ngx_http_llm_cache_hold_t *hold);



/* under the shard's lock, for the zone's own files */

void ngx_http_llm_cache_flight_leave(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node, ngx_uint_t part);
void ngx_http_llm_cache_flight_stored(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_flight_t *flight);

/* where there is no lock to be had any more */
void ngx_http_llm_cache_flight_broken(ngx_http_llm_cache_flight_t *flight);


static ngx_inline ngx_http_llm_cache_flight_t *
ngx_http_llm_cache_leads(ngx_http_llm_cache_writer_t *w)
{
    return w->hold.node && w->hold.part == NGX_HTTP_LLM_CACHE_LEADER
           ? w->hold.node->flight : NULL;
}


#endif /* _NGX_HTTP_LLM_CACHE_FLIGHT_H_INCLUDED_ */
