#include "ngx_http_llm_cache.h"
#include "ngx_http_llm_cache_state.h"

#include <fcntl.h>
#include <sys/file.h>


#define NGX_HTTP_LLM_CACHE_STATE_INTERVAL  300

/* what is read or written before events are looked at again: where nothing
   but the file is to be done, and in a process that answers requests */
#define NGX_HTTP_LLM_CACHE_STATE_STEP      (1024 * 1024)
#define NGX_HTTP_LLM_CACHE_STATE_SMALL     (64 * 1024)

#define NGX_HTTP_LLM_CACHE_STATE_WAIT      100
#define NGX_HTTP_LLM_CACHE_STATE_WATCH     1000

/* the longest that the cache manager sleeps by itself */
#define NGX_HTTP_LLM_CACHE_STATE_IDLE      (60 * 60 * 1000)


static ngx_int_t ngx_http_llm_cache_state_file(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone, ngx_str_t *value);
static ngx_http_llm_cache_state_t *ngx_http_llm_cache_state_conf(
    ngx_conf_t *cf, ngx_http_llm_cache_zone_t *zone);
static ngx_uint_t ngx_http_llm_cache_state_same(ngx_str_t *a, ngx_str_t *b);
static ngx_msec_t ngx_http_llm_cache_state_manager(void *data);
static void ngx_http_llm_cache_state_cleanup(void *data);
static void ngx_http_llm_cache_state_start(
    ngx_http_llm_cache_state_t *state);
static void ngx_http_llm_cache_state_watch_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_state_load_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_state_save_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_state_step_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_state_later(ngx_http_llm_cache_state_t *state);
static void ngx_http_llm_cache_state_last(ngx_http_llm_cache_state_t *state);


ngx_int_t
ngx_http_llm_cache_state_param(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone, ngx_str_t *value)
{
    ngx_str_t                    s;
    ngx_http_llm_cache_state_t  *state;

    if (ngx_strncmp(value->data, "state=", 6) == 0) {
        return ngx_http_llm_cache_state_file(cf, zone, value);
    }

    if (ngx_strncmp(value->data, "state_interval=", 15) == 0) {

        state = ngx_http_llm_cache_state_conf(cf, zone);
        if (state == NULL) {
            return NGX_ERROR;
        }

        s.data = value->data + 15;
        s.len = value->len - 15;

        state->interval = ngx_parse_time(&s, 1);

        if (state->interval == (time_t) NGX_ERROR
            || (ngx_uint_t) state->interval > NGX_MAX_INT32_VALUE / 1000)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" in \"llm_cache_zone\"",
                               value);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_http_llm_cache_state_t *
ngx_http_llm_cache_state_conf(ngx_conf_t *cf, ngx_http_llm_cache_zone_t *zone)
{
    if (zone->state == NULL) {

        zone->state = ngx_pcalloc(cf->pool,
                                  sizeof(ngx_http_llm_cache_state_t));
        if (zone->state == NULL) {
            return NULL;
        }

        zone->state->zone = zone;
        zone->state->interval = NGX_HTTP_LLM_CACHE_STATE_INTERVAL;
    }

    return zone->state;
}


static ngx_int_t
ngx_http_llm_cache_state_file(ngx_conf_t *cf, ngx_http_llm_cache_zone_t *zone,
    ngx_str_t *value)
{
    u_char                      *p;
    ngx_str_t                   *file;
    ngx_http_llm_cache_state_t  *state;

    state = ngx_http_llm_cache_state_conf(cf, zone);
    if (state == NULL) {
        return NGX_ERROR;
    }

    file = &state->file;
    file->data = value->data + 6;
    file->len = value->len - 6;

    if (file->len == 0 || file->data[file->len - 1] == '/'
        || (file->len >= 4
            && ngx_strcmp(file->data + file->len - 4, ".tmp") == 0)
        || (file->len >= 7
            && ngx_strcmp(file->data + file->len - 7, ".purged") == 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"llm_cache_zone\"",
                           value);
        return NGX_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, file, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(cf->pool, 3 * file->len + sizeof(".tmp.purged") + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    state->temp.data = p;
    state->temp.len = file->len + 4;
    p = ngx_sprintf(p, "%V.tmp%Z", file);

    state->purged.data = p;
    state->purged.len = file->len + 7;
    p = ngx_sprintf(p, "%V.purged%Z", file);

    state->dir.data = p;
    state->dir.len = file->len;

    while (file->data[state->dir.len - 1] != '/') {
        state->dir.len--;
    }

    *ngx_cpymem(p, file->data, state->dir.len) = '\0';

    return NGX_OK;
}


char *
ngx_http_llm_cache_state_check(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t                       i;
    ngx_file_info_t                  fi;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_state_t      *state;
    ngx_http_llm_cache_main_conf_t  *mcf;

    state = zone->state;

    if (state == NULL) {
        return NGX_CONF_OK;
    }

    if (state->file.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"state_interval\" of \"llm_cache_zone\" zone "
                           "\"%V\" needs \"state=FILE\"", &zone->name);
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(state->dir.data, &fi) == NGX_FILE_ERROR
        || !ngx_is_dir(&fi))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"llm_cache_zone\" has \"state=%V\", but there "
                           "is no directory \"%V\"", &state->file,
                           &state->dir);
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(state->file.data, &fi) != NGX_FILE_ERROR
        && !ngx_is_file(&fi))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"llm_cache_zone\" has \"state=%V\", which is "
                           "not a regular file", &state->file);
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);
    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {

        if (zones[i] != zone && zones[i]->state
            && ngx_http_llm_cache_state_same(&zones[i]->state->file,
                                             &state->file))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"llm_cache_zone\" has \"state=%V\", which "
                               "is that of zone \"%V\" too", &state->file,
                               &zones[i]->name);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* 1 where two names are of one file, which need not exist */

static ngx_uint_t
ngx_http_llm_cache_state_same(ngx_str_t *a, ngx_str_t *b)
{
    u_char           c, d, *p, *q;
    ngx_int_t        rc;
    ngx_file_info_t  fa, fb;

    p = (u_char *) strrchr((char *) a->data, '/');
    q = (u_char *) strrchr((char *) b->data, '/');

    if (ngx_strcmp(p, q) != 0) {
        return 0;
    }

    c = p[1];
    d = q[1];

    p[1] = '\0';
    q[1] = '\0';

    rc = ngx_file_info(a->data, &fa) != NGX_FILE_ERROR
         && ngx_file_info(b->data, &fb) != NGX_FILE_ERROR
         && fa.st_dev == fb.st_dev && fa.st_ino == fb.st_ino;

    p[1] = c;
    q[1] = d;

    return rc;
}


/*
 * A path that has a manager makes the master start the cache manager process.
 * By now nginx has created the directories of its own paths: it does not
 * create this one, or change its owner.
 */

ngx_int_t
ngx_http_llm_cache_state_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                       i;
    ngx_path_t                      *path, **slot;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_llm_cache_module);
    if (mcf == NULL) {
        return NGX_OK;
    }

    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {

        if (zones[i]->state == NULL) {
            continue;
        }

        path = ngx_pcalloc(cycle->pool, sizeof(ngx_path_t));
        slot = ngx_array_push(&cycle->paths);

        if (path == NULL || slot == NULL) {
            return NGX_ERROR;
        }

        path->name = zones[i]->state->dir;
        path->manager = ngx_http_llm_cache_state_manager;
        path->data = zones[i]->state;

        *slot = path;
    }

    return NGX_OK;
}


/* the first call starts our own timer, the others have nothing to do */

static ngx_msec_t
ngx_http_llm_cache_state_manager(void *data)
{
    ngx_http_llm_cache_state_t *state = data;

    if (state->buf == NULL) {
        ngx_http_llm_cache_zone_reap(state->zone, 1, ngx_cycle->log);
        ngx_http_llm_cache_state_start(state);
    }

    return NGX_HTTP_LLM_CACHE_STATE_IDLE;
}


void
ngx_http_llm_cache_state_init_single(ngx_cycle_t *cycle)
{
    ngx_uint_t                       i;
    ngx_pool_cleanup_t              *cln;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_llm_cache_module);
    if (mcf == NULL) {
        return;
    }

    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {

        if (zones[i]->state == NULL) {
            continue;
        }

        cln = ngx_pool_cleanup_add(cycle->pool, 0);
        if (cln == NULL) {
            return;
        }

        cln->handler = ngx_http_llm_cache_state_cleanup;
        cln->data = zones[i]->state;

        ngx_http_llm_cache_state_start(zones[i]->state);
    }
}


/* after a reload the only process goes on, but not with this memory */

static void
ngx_http_llm_cache_state_cleanup(void *data)
{
    ngx_http_llm_cache_state_t *state = data;

    if (state->event.timer_set) {
        ngx_del_timer(&state->event);
    }

    if (state->watch.timer_set) {
        ngx_del_timer(&state->watch);
    }

    llm_state_reader_free(&state->load.reader);

    if (state->buf) {
        ngx_free(state->buf);
        state->buf = NULL;
    }
}


static void
ngx_http_llm_cache_state_start(ngx_http_llm_cache_state_t *state)
{
    state->buf = ngx_alloc(NGX_HTTP_LLM_CACHE_STATE_BUFFER, ngx_cycle->log);
    if (state->buf == NULL) {
        return;
    }

    state->dummy.fd = (ngx_socket_t) -1;
    state->dummy.data = state;

    state->event.data = &state->dummy;
    state->event.log = ngx_cycle->log;
    state->event.cancelable = 1;

    if (ngx_process != NGX_PROCESS_SINGLE) {
        state->watch.data = &state->dummy;
        state->watch.log = ngx_cycle->log;
        state->watch.handler = ngx_http_llm_cache_state_watch_handler;
        state->watch.cancelable = 1;

        ngx_add_timer(&state->watch, NGX_HTTP_LLM_CACHE_STATE_WATCH);
    }

    if (state->zone->shards[0].sh->state.phase
        == NGX_HTTP_LLM_CACHE_STATE_READY)
    {
        ngx_http_llm_cache_state_later(state);
        return;
    }

    ngx_http_llm_cache_load_init(state);

    state->event.handler = ngx_http_llm_cache_state_load_handler;
    ngx_add_timer(&state->event, 1);
}


/* what a purge took away is gone for good soon, power or no power */

static void
ngx_http_llm_cache_state_watch_handler(ngx_event_t *ev)
{
    ngx_connection_t                  *c;
    ngx_atomic_uint_t                  purged;
    ngx_http_llm_cache_state_t        *state;

    c = ev->data;
    state = c->data;
    purged = state->zone->shards[0].sh->state.purged;

    if (purged != state->watched) {
        state->watched = purged;

        ngx_http_llm_cache_state_sweep(state);
        ngx_http_llm_cache_save_sync_dir(state);
    }

    ngx_add_timer(ev, NGX_HTTP_LLM_CACHE_STATE_WATCH);
}


void
ngx_http_llm_cache_state_sweep(ngx_http_llm_cache_state_t *state)
{
    (void) ngx_delete_file(state->purged.data);
}


ngx_int_t
ngx_http_llm_cache_state_purged(ngx_http_llm_cache_zone_t *zone)
{
    ngx_fd_t                     fd;
    ngx_http_llm_cache_state_t  *state;

    state = zone->state;

    if (state == NULL) {
        return NGX_OK;
    }

    (void) ngx_atomic_fetch_add(&zone->shards[0].sh->state.purged, 1);

    if (ngx_rename_file(state->file.data, state->purged.data)
        != NGX_FILE_ERROR
        || ngx_errno == NGX_ENOENT)
    {
        return NGX_OK;
    }

    /* who may not write into the directory may still empty the file */

    fd = open((char *) state->file.data,
              O_WRONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);

    if (fd != NGX_INVALID_FILE) {

        if (ftruncate(fd, 0) == 0) {
            (void) close(fd);
            return NGX_OK;
        }

        (void) close(fd);
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, ngx_errno,
                  "llm_cache_zone \"%V\": state file \"%V\" holds answers "
                  "that are purged, and can be neither renamed nor emptied",
                  &zone->name, &state->file);

    return NGX_ERROR;
}


static void
ngx_http_llm_cache_state_load_handler(ngx_event_t *ev)
{
    ngx_int_t                    rc;
    ngx_uint_t                   single;
    ngx_connection_t            *c;
    ngx_http_llm_cache_state_t  *state;

    c = ev->data;
    state = c->data;
    single = ngx_process == NGX_PROCESS_SINGLE;

    rc = ngx_http_llm_cache_load_step(state,
                                 single ? NGX_HTTP_LLM_CACHE_STATE_SMALL
                                        : NGX_HTTP_LLM_CACHE_STATE_STEP);
    if (rc == NGX_OK) {
        ngx_http_llm_cache_state_later(state);
        return;
    }

    ngx_add_timer(ev, (rc == NGX_BUSY) ? NGX_HTTP_LLM_CACHE_STATE_WAIT
                                       : single);
}


/* the next time of writing; never where requests would wait for a disk */

static void
ngx_http_llm_cache_state_later(ngx_http_llm_cache_state_t *state)
{
    if (state->interval && ngx_process != NGX_PROCESS_SINGLE) {
        state->event.handler = ngx_http_llm_cache_state_save_handler;
        ngx_add_timer(&state->event, (ngx_msec_t) state->interval * 1000);
    }
}


static void
ngx_http_llm_cache_state_save_handler(ngx_event_t *ev)
{
    ngx_connection_t            *c;
    ngx_http_llm_cache_state_t  *state;

    c = ev->data;
    state = c->data;

    if (ngx_http_llm_cache_save_fresh(state)
        || ngx_http_llm_cache_save_open(state) != NGX_OK)
    {
        ngx_http_llm_cache_state_later(state);
        return;
    }

    ev->handler = ngx_http_llm_cache_state_step_handler;
    ngx_add_timer(ev, 0);
}


static void
ngx_http_llm_cache_state_step_handler(ngx_event_t *ev)
{
    ngx_connection_t            *c;
    ngx_http_llm_cache_state_t  *state;

    c = ev->data;
    state = c->data;

    if (ngx_http_llm_cache_save_step(state, NGX_HTTP_LLM_CACHE_STATE_STEP)
        == NGX_AGAIN)
    {
        ngx_add_timer(ev, 0);
        return;
    }

    ngx_http_llm_cache_state_later(state);
}


void
ngx_http_llm_cache_state_exit_master(ngx_cycle_t *cycle)
{
    ngx_uint_t                       i;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_llm_cache_module);
    if (mcf == NULL) {
        return;
    }

    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {
        if (zones[i]->state) {
            ngx_http_llm_cache_state_last(zones[i]->state);
        }
    }
}


static void
ngx_http_llm_cache_state_last(ngx_http_llm_cache_state_t *state)
{
    const char                  *why;
    ngx_int_t                    rc;
    ngx_http_llm_cache_zone_t   *zone;

    why = NULL;
    zone = state->zone;

    if (ngx_new_binary) {
        why = "the new nginx has it now";

    } else if (zone->shards[0].sh->state.phase
               != NGX_HTTP_LLM_CACHE_STATE_READY)
    {
        why = "it was not yet loaded to its end";
    }

    if (why) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "llm_cache_zone \"%V\": state file \"%V\" stays as it "
                      "is: %s", &zone->name, &state->file, why);
        return;
    }

    if (state->buf == NULL) {
        state->buf = ngx_alloc(NGX_HTTP_LLM_CACHE_STATE_BUFFER,
                               ngx_cycle->log);
        if (state->buf == NULL) {
            return;
        }
    }

    ngx_http_llm_cache_zone_reap(zone, 1, ngx_cycle->log);

    if (ngx_http_llm_cache_save_open(state) == NGX_OK) {
        do {
            rc = ngx_http_llm_cache_save_step(state,
                                              NGX_HTTP_LLM_CACHE_STATE_STEP);
        } while (rc == NGX_AGAIN);
    }

    ngx_free(state->buf);
    state->buf = NULL;
}


ngx_int_t
ngx_http_llm_cache_state_clear(ngx_http_llm_cache_state_t *state)
{
    char             *name;
    ngx_fd_t          fd;
    ngx_int_t         rc;
    ngx_err_t         err;
    ngx_file_info_t   fi, named;

    name = (char *) state->temp.data;

    fd = open(name, O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE) {

        if (ngx_errno == NGX_ENOENT) {
            return NGX_OK;
        }

        /* a link that leads elsewhere is nobody's unfinished work */

        if (ngx_errno == NGX_ELOOP && unlink(name) == 0) {
            return NGX_OK;
        }

        return NGX_ERROR;
    }

    rc = NGX_BUSY;
    err = 0;

    if (flock(fd, LOCK_EX|LOCK_NB) == 0
        && ngx_fd_info(fd, &fi) != NGX_FILE_ERROR
        && lstat(name, &named) == 0
        && fi.st_ino == named.st_ino && fi.st_dev == named.st_dev)
    {
        rc = NGX_OK;

        if (unlink(name) == -1) {
            err = ngx_errno;
            rc = NGX_ERROR;
        }
    }

    (void) close(fd);

    ngx_set_errno(err);

    return rc;
}


void
ngx_http_llm_cache_state_complain(ngx_http_llm_cache_state_t *state,
    ngx_err_t err, const char *what)
{
    if (state->complained) {
        return;
    }

    state->complained = 1;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                  "llm_cache_zone \"%V\": state file \"%V\" %s",
                  &state->zone->name, &state->file, what);
}
