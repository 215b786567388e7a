#include "ngx_http_llm_cache_state.h"

#include <fcntl.h>
#include <sys/file.h>


/* written data waits for the disk so often that no wait is a long one */
#define NGX_HTTP_LLM_CACHE_SYNC  (32 * 1024 * 1024)


static ngx_int_t ngx_http_llm_cache_save_may_replace(
    ngx_http_llm_cache_state_t *state);
static ngx_int_t ngx_http_llm_cache_save_create(
    ngx_http_llm_cache_state_t *state);
static ngx_int_t ngx_http_llm_cache_save_record(
    ngx_http_llm_cache_state_t *state, ngx_http_llm_cache_walked_t *record);
static ngx_int_t ngx_http_llm_cache_save_chunk(
    ngx_http_llm_cache_state_t *state, ngx_http_llm_cache_chunk_t *chunk);
static ngx_int_t ngx_http_llm_cache_save_start(
    ngx_http_llm_cache_chunk_t *chunk, u_char *p, size_t len);
static ngx_int_t ngx_http_llm_cache_save_end(
    ngx_http_llm_cache_state_t *state);
static ngx_int_t ngx_http_llm_cache_save_rename(
    ngx_http_llm_cache_state_t *state);
static ngx_int_t ngx_http_llm_cache_save_discard(
    ngx_http_llm_cache_state_t *state);
static ngx_int_t ngx_http_llm_cache_save_add(
    ngx_http_llm_cache_state_t *state, const u_char *p, size_t len);
static ngx_int_t ngx_http_llm_cache_save_flush(
    ngx_http_llm_cache_state_t *state);
static ngx_int_t ngx_http_llm_cache_save_fail(
    ngx_http_llm_cache_state_t *state, ngx_err_t err, const char *what);


ngx_int_t
ngx_http_llm_cache_save_open(ngx_http_llm_cache_state_t *state)
{
    u_char                      head[LLM_STATE_HEAD];
    ngx_int_t                   rc;
    ngx_http_llm_cache_save_t  *save;

    save = &state->save;

    ngx_memzero(save, sizeof(ngx_http_llm_cache_save_t));
    save->fd = NGX_INVALID_FILE;

    if (ngx_http_llm_cache_save_may_replace(state) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_http_llm_cache_save_create(state);

    if (rc == NGX_BUSY) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "llm_cache_zone \"%V\" is not written: another process "
                      "writes the state file \"%V\"", &state->zone->name,
                      &state->file);
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return ngx_http_llm_cache_save_fail(state, ngx_errno,
                                            "cannot be created");
    }

    ngx_http_llm_cache_state_sweep(state);

    save->changes = ngx_http_llm_cache_zone_changes(state->zone);
    save->purged = state->zone->shards[0].sh->state.purged;

    if (llm_state_begin(&save->writer, ngx_time(), head) != 0) {
        return ngx_http_llm_cache_save_fail(state, 0, "needs memory");
    }

    return ngx_http_llm_cache_save_add(state, head, LLM_STATE_HEAD);
}


/* somebody's other file is never overwritten, whatever the directive says */

static ngx_int_t
ngx_http_llm_cache_save_may_replace(ngx_http_llm_cache_state_t *state)
{
    u_char           start[8];
    ngx_fd_t         fd;
    ssize_t          n;
    llm_str_t        view;
    ngx_file_info_t  fi;

    fd = open((char *) state->file.data,
              O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE) {

        if (ngx_errno == NGX_ENOENT) {
            return NGX_OK;
        }

        ngx_http_llm_cache_state_complain(state, ngx_errno,
                                          "cannot be looked into");
        return NGX_DECLINED;
    }

    n = -1;

    if (ngx_fd_info(fd, &fi) != NGX_FILE_ERROR && ngx_is_file(&fi)) {
        n = read(fd, start, sizeof(start));
    }

    (void) close(fd);

    view.data = start;
    view.len = n;

    if (n < 0 || !llm_state_ours(view)) {
        ngx_http_llm_cache_state_complain(state, 0,
                                 "is not a state file, it is left as it is");
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/*
 * The new file is locked as long as it is being written, so that others can
 * tell it from one whose writer died.  It is ours when it is locked and still
 * has its name.
 */

static ngx_int_t
ngx_http_llm_cache_save_create(ngx_http_llm_cache_state_t *state)
{
    ngx_int_t                   rc;
    ngx_core_conf_t            *ccf;
    ngx_file_info_t             fi, named;
    ngx_http_llm_cache_save_t  *save;

    save = &state->save;

    rc = ngx_http_llm_cache_state_clear(state);
    if (rc != NGX_OK) {
        return rc;
    }

    save->fd = open((char *) state->temp.data,
                    O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);

    if (save->fd == NGX_INVALID_FILE) {
        return (ngx_errno == NGX_EEXIST) ? NGX_BUSY : NGX_ERROR;
    }

    if (flock(save->fd, LOCK_EX|LOCK_NB) == -1
        || ngx_fd_info(save->fd, &fi) == NGX_FILE_ERROR
        || lstat((char *) state->temp.data, &named) == -1
        || fi.st_ino != named.st_ino || fi.st_dev != named.st_dev)
    {
        (void) close(save->fd);
        save->fd = NGX_INVALID_FILE;
        return NGX_BUSY;
    }

    /* the processes that are going to load it do not run as root */

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);

    if (geteuid() == 0 && ccf->user != (ngx_uid_t) NGX_CONF_UNSET_UINT
        && fchown(save->fd, ccf->user, (gid_t) -1) == -1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_cache_save_step(ngx_http_llm_cache_state_t *state, size_t bytes)
{
    uint64_t                    start;
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_http_llm_cache_iter_t  *iter;

    iter = &state->save.iter;
    start = state->save.writer.length;

    do {
        rc = ngx_http_llm_cache_zone_walk(state->zone, iter);

        if (rc == NGX_DONE) {
            return ngx_http_llm_cache_save_end(state);
        }

        if (rc == NGX_ERROR) {
            return ngx_http_llm_cache_save_fail(state, 0,
                            "is not written: the zone cannot be read now");
        }

        for (i = 0; i < iter->n; i++) {

            if (rc == NGX_OK) {
                rc = ngx_http_llm_cache_save_record(state, &iter->records[i]);
            }

            ngx_http_llm_cache_zone_release(&iter->records[i].hold);
        }

        if (rc != NGX_OK) {
            return rc;
        }

    } while (state->save.writer.length - start < bytes);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_llm_cache_save_record(ngx_http_llm_cache_state_t *state,
    ngx_http_llm_cache_walked_t *record)
{
    time_t                       now;
    u_char                       head[LLM_STATE_ENTRY];
    u_char                       start[LLM_RECORD_HEAD];
    uint64_t                     len;
    llm_state_entry_t           *entry;
    ngx_http_llm_cache_save_t   *save;
    ngx_http_llm_cache_chunk_t  *chunk, *first;

    now = ngx_time();
    save = &state->save;
    entry = &record->entry;
    first = record->hold.node->chunks;

    if ((time_t) entry->expires <= now
        || now - (time_t) entry->used >= state->zone->inactive)
    {
        return NGX_OK;
    }

    for (len = 0, chunk = first; chunk; chunk = chunk->next) {
        len += chunk->len;
    }

    entry->len = (uint32_t) len;

    if (len > UINT32_MAX
        || ngx_http_llm_cache_save_start(first, start, LLM_RECORD_HEAD)
           != NGX_OK
        || !llm_state_sound(entry, start))
    {
        return NGX_OK;
    }

    if (llm_state_entry(&save->writer, entry, head) != 0) {
        return ngx_http_llm_cache_save_fail(state, 0, "needs memory");
    }

    if (ngx_http_llm_cache_save_add(state, head, LLM_STATE_ENTRY) != NGX_OK) {
        return NGX_DECLINED;
    }

    for (chunk = first; chunk; chunk = chunk->next) {
        if (ngx_http_llm_cache_save_chunk(state, chunk) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* the record may be barred meanwhile: the sum is that of what is written */

static ngx_int_t
ngx_http_llm_cache_save_chunk(ngx_http_llm_cache_state_t *state,
    ngx_http_llm_cache_chunk_t *chunk)
{
    llm_str_t                   data;
    ngx_http_llm_cache_save_t  *save;

    save = &state->save;

    if (NGX_HTTP_LLM_CACHE_STATE_BUFFER - save->used < chunk->len
        && ngx_http_llm_cache_save_flush(state) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    data.data = state->buf + save->used;
    data.len = chunk->len;

    ngx_memcpy(state->buf + save->used, chunk->data, chunk->len);
    save->used += chunk->len;

    if (llm_state_data(&save->writer, data) != 0) {
        return ngx_http_llm_cache_save_fail(state, 0, "needs memory");
    }

    return NGX_OK;
}


/* copies the first bytes of a record: NGX_OK where there are so many */

static ngx_int_t
ngx_http_llm_cache_save_start(ngx_http_llm_cache_chunk_t *chunk, u_char *p,
    size_t len)
{
    size_t  n;

    for ( /* void */ ; chunk && len; chunk = chunk->next) {
        n = ngx_min(len, chunk->len);
        p = ngx_cpymem(p, chunk->data, n);
        len -= n;
    }

    return len ? NGX_DECLINED : NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_save_end(ngx_http_llm_cache_state_t *state)
{
    u_char                             tail[LLM_STATE_TAIL];
    ngx_file_info_t                    fi;
    ngx_http_llm_cache_save_t         *save;
    ngx_http_llm_cache_saved_state_t  *saved;

    save = &state->save;

    if (llm_state_end(&save->writer, tail) != 0) {
        return ngx_http_llm_cache_save_fail(state, 0, "needs memory");
    }

    if (ngx_http_llm_cache_save_add(state, tail, LLM_STATE_TAIL) != NGX_OK
        || ngx_http_llm_cache_save_flush(state) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (fsync(save->fd) == -1
        || ngx_fd_info(save->fd, &fi) == NGX_FILE_ERROR)
    {
        return ngx_http_llm_cache_save_fail(state, ngx_errno,
                                            "cannot be written");
    }

    if (ngx_http_llm_cache_save_rename(state) != NGX_OK) {
        return NGX_DECLINED;
    }

    saved = &state->zone->shards[0].sh->state;

    saved->changes = save->changes;
    saved->dev = fi.st_dev;
    saved->ino = fi.st_ino;
    saved->size = fi.st_size;
    saved->mtime = fi.st_mtime;

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "llm_cache_zone \"%V\": %uL answers written to \"%V\"",
                  &state->zone->name, save->writer.count, &state->file);

    llm_state_writer_free(&save->writer);
    (void) close(save->fd);

    state->complained = 0;

    return NGX_DONE;
}


/* never with records that were purged meanwhile */

static ngx_int_t
ngx_http_llm_cache_save_rename(ngx_http_llm_cache_state_t *state)
{
    ngx_http_llm_cache_save_t         *save;
    ngx_http_llm_cache_saved_state_t  *saved;

    save = &state->save;
    saved = &state->zone->shards[0].sh->state;

    if (saved->purged != save->purged) {
        return ngx_http_llm_cache_save_discard(state);
    }

    if (ngx_rename_file(state->temp.data, state->file.data)
        == NGX_FILE_ERROR)
    {
        return ngx_http_llm_cache_save_fail(state, ngx_errno,
                                            "cannot be replaced");
    }

    if (saved->purged != save->purged) {
        (void) ngx_delete_file(state->file.data);
        return ngx_http_llm_cache_save_discard(state);
    }

    ngx_http_llm_cache_save_sync_dir(state);

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_save_discard(ngx_http_llm_cache_state_t *state)
{
    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "llm_cache_zone \"%V\" was purged while it was written to "
                  "\"%V\", which is left for later", &state->zone->name,
                  &state->file);

    llm_state_writer_free(&state->save.writer);

    (void) ngx_delete_file(state->temp.data);
    (void) close(state->save.fd);
    state->save.fd = NGX_INVALID_FILE;

    return NGX_DECLINED;
}


void
ngx_http_llm_cache_save_sync_dir(ngx_http_llm_cache_state_t *state)
{
    ngx_fd_t  fd;

    fd = open((char *) state->dir.data, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd != NGX_INVALID_FILE) {
        (void) fsync(fd);
        (void) close(fd);
    }
}


ngx_uint_t
ngx_http_llm_cache_save_fresh(ngx_http_llm_cache_state_t *state)
{
    ngx_file_info_t                    fi;
    ngx_http_llm_cache_saved_state_t  *saved;

    saved = &state->zone->shards[0].sh->state;

    return saved->ino
           && saved->changes == ngx_http_llm_cache_zone_changes(state->zone)
           && lstat((char *) state->file.data, &fi) == 0
           && saved->dev == (uint64_t) fi.st_dev
           && saved->ino == (uint64_t) fi.st_ino
           && saved->size == (uint64_t) fi.st_size
           && saved->mtime == (uint64_t) fi.st_mtime;
}


static ngx_int_t
ngx_http_llm_cache_save_add(ngx_http_llm_cache_state_t *state,
    const u_char *p, size_t len)
{
    size_t                      n;
    ngx_http_llm_cache_save_t  *save;

    save = &state->save;

    while (len) {

        if (save->used == NGX_HTTP_LLM_CACHE_STATE_BUFFER
            && ngx_http_llm_cache_save_flush(state) != NGX_OK)
        {
            return NGX_DECLINED;
        }

        n = ngx_min(len, NGX_HTTP_LLM_CACHE_STATE_BUFFER - save->used);

        ngx_memcpy(state->buf + save->used, p, n);

        save->used += n;
        p += n;
        len -= n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_save_flush(ngx_http_llm_cache_state_t *state)
{
    size_t                      done;
    ssize_t                     n;
    ngx_http_llm_cache_save_t  *save;

    save = &state->save;

    for (done = 0; done < save->used; done += n) {

        n = write(save->fd, state->buf + done, save->used - done);

        if (n == -1) {
            if (ngx_errno == NGX_EINTR) {
                n = 0;
                continue;
            }

            return ngx_http_llm_cache_save_fail(state, ngx_errno,
                                                "cannot be written");
        }
    }

    save->unsynced += save->used;
    save->used = 0;

    if (save->unsynced >= NGX_HTTP_LLM_CACHE_SYNC) {
        save->unsynced = 0;

        if (fsync(save->fd) == -1) {
            return ngx_http_llm_cache_save_fail(state, ngx_errno,
                                                "cannot be written");
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_save_fail(ngx_http_llm_cache_state_t *state,
    ngx_err_t err, const char *what)
{
    ngx_http_llm_cache_state_complain(state, err, what);

    llm_state_writer_free(&state->save.writer);

    if (state->save.fd != NGX_INVALID_FILE) {
        (void) ngx_delete_file(state->temp.data);
        (void) close(state->save.fd);
        state->save.fd = NGX_INVALID_FILE;
    }

    return NGX_DECLINED;
}
