/*
 * A zone's state file.  It is written and loaded by nginx's cache manager
 * process, which may wait for a disk, in steps, so that it hears of its end;
 * and written a last time by the master, when no worker is left.  Without
 * these processes ("master_process off") the only one loads it in small steps
 * and writes it at its end.
 */


#ifndef _NGX_HTTP_LLM_CACHE_STATE_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_STATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_llm_cache_shard.h"
#include "ngx_http_llm_cache_walk.h"


#define NGX_HTTP_LLM_CACHE_STATE_BUFFER   (256 * 1024)

/* phases in shared memory */
#define NGX_HTTP_LLM_CACHE_STATE_NEW      0
#define NGX_HTTP_LLM_CACHE_STATE_LOADING  1
#define NGX_HTTP_LLM_CACHE_STATE_READY    2


typedef struct {
    ngx_fd_t                      fd;
    size_t                        size;
    ngx_uint_t                    pass;      /* 0: verify, 1: store */
    ngx_uint_t                    waited;    /* for another writer */
    ngx_uint_t                    stored;
    ngx_uint_t                    left_out;
    llm_tags_t                    tags;      /* of the record */
    llm_state_reader_t            reader;
    ngx_http_llm_cache_writer_t   record;
} ngx_http_llm_cache_load_t;


typedef struct {
    ngx_fd_t                      fd;
    ngx_uint_t                    changes;   /* when it began */
    ngx_atomic_uint_t             purged;
    size_t                        used;      /* of the buffer */
    size_t                        unsynced;
    llm_state_writer_t            writer;
    ngx_http_llm_cache_iter_t     iter;
} ngx_http_llm_cache_save_t;


struct ngx_http_llm_cache_state_s {
    ngx_http_llm_cache_zone_t    *zone;
    ngx_str_t                     file;      /* these end with a zero byte */
    ngx_str_t                     temp;
    ngx_str_t                     purged;    /* what it was before a purge */
    ngx_str_t                     dir;
    time_t                        interval;  /* 0: at the end only */

    /* of the process that reads and writes */
    u_char                       *buf;
    ngx_event_t                   event;
    ngx_event_t                   watch;     /* for purges */
    ngx_atomic_uint_t             watched;   /* until then */
    ngx_connection_t              dummy;
    ngx_uint_t                    complained;
    ngx_http_llm_cache_load_t     load;
    ngx_http_llm_cache_save_t     save;
};


/* nginx's hooks */

ngx_int_t ngx_http_llm_cache_state_init_module(ngx_cycle_t *cycle);
/* where there is no manager */
void ngx_http_llm_cache_state_init_single(ngx_cycle_t *cycle);
void ngx_http_llm_cache_state_exit_master(ngx_cycle_t *cycle);


/* "state=FILE" and "state_interval=TIME": NGX_OK; NGX_DECLINED where the
   parameter is another one; NGX_ERROR, having said why */

ngx_int_t ngx_http_llm_cache_state_param(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone, ngx_str_t *value);

/* when all parameters are known: NGX_CONF_OK or NGX_CONF_ERROR, likewise */

char *ngx_http_llm_cache_state_check(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone);


/*
 * NGX_OK: nobody writes the file, and nothing is left of one who died;
 * NGX_BUSY: another process does; NGX_ERROR, with ngx_errno set.
 */
ngx_int_t ngx_http_llm_cache_state_clear(ngx_http_llm_cache_state_t *state);

/*
 * The file, and the one that may be being written, must not bring back what
 * is purged: it is renamed, and deleted later by who may wait for a disk.
 * NGX_OK, or NGX_ERROR, having said why.
 */
ngx_int_t ngx_http_llm_cache_state_purged(ngx_http_llm_cache_zone_t *zone);

/* deletes what that left behind */
void ngx_http_llm_cache_state_sweep(ngx_http_llm_cache_state_t *state);

/* logs at level err: once, until ngx_http_llm_cache_state_save() succeeds */
void ngx_http_llm_cache_state_complain(ngx_http_llm_cache_state_t *state,
    ngx_err_t err, const char *what);


/*
 * ngx_http_llm_cache_state_load.c: NGX_AGAIN: there is more to be done;
 * NGX_BUSY: the same, but later; NGX_OK: it was loaded, or refused with a
 * line in the log.  A step reads about so many bytes.
 */

void ngx_http_llm_cache_load_init(ngx_http_llm_cache_state_t *state);
ngx_int_t ngx_http_llm_cache_load_step(ngx_http_llm_cache_state_t *state,
    size_t bytes);


/*
 * ngx_http_llm_cache_state_save.c: NGX_OK, NGX_AGAIN: there is more to be
 * done; NGX_DONE: the new file has taken the old one's place; NGX_DECLINED:
 * it has not, the reason is in the log.
 */

ngx_int_t ngx_http_llm_cache_save_open(ngx_http_llm_cache_state_t *state);
ngx_int_t ngx_http_llm_cache_save_step(ngx_http_llm_cache_state_t *state,
    size_t bytes);

/* what was done in the directory is safe, where it may be opened */
void ngx_http_llm_cache_save_sync_dir(ngx_http_llm_cache_state_t *state);

/* 1 where the file holds what the zone does */
ngx_uint_t ngx_http_llm_cache_save_fresh(ngx_http_llm_cache_state_t *state);


#endif /* _NGX_HTTP_LLM_CACHE_STATE_H_INCLUDED_ */
