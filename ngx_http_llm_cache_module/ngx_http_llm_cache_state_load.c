#include "ngx_http_llm_cache_state.h"

#include <fcntl.h>


/* how often a load is begun that never came to its end */
#define NGX_HTTP_LLM_CACHE_LOAD_TRIES  8

/* how long another process may write the file, in waits of the caller's */
#define NGX_HTTP_LLM_CACHE_LOAD_WAITS  300


static ngx_int_t ngx_http_llm_cache_load_open(
    ngx_http_llm_cache_state_t *state);
static ngx_int_t ngx_http_llm_cache_load_pass(
    ngx_http_llm_cache_state_t *state);
static ngx_int_t ngx_http_llm_cache_load_piece(
    ngx_http_llm_cache_state_t *state, llm_str_t piece);
static void ngx_http_llm_cache_load_record(ngx_http_llm_cache_state_t *state);
static void ngx_http_llm_cache_load_data(ngx_http_llm_cache_state_t *state);
static ngx_int_t ngx_http_llm_cache_load_end(
    ngx_http_llm_cache_state_t *state, llm_state_e result);
static ngx_int_t ngx_http_llm_cache_load_refuse(
    ngx_http_llm_cache_state_t *state, ngx_err_t err, const char *why);
static void ngx_http_llm_cache_load_close(ngx_http_llm_cache_state_t *state);


void
ngx_http_llm_cache_load_init(ngx_http_llm_cache_state_t *state)
{
    ngx_memzero(&state->load, sizeof(ngx_http_llm_cache_load_t));

    state->load.fd = NGX_INVALID_FILE;
}


ngx_int_t
ngx_http_llm_cache_load_step(ngx_http_llm_cache_state_t *state, size_t bytes)
{
    ssize_t                     n;
    size_t                      done;
    ngx_int_t                   rc;
    llm_str_t                   piece;
    ngx_http_llm_cache_load_t  *load;

    load = &state->load;

    if (load->fd == NGX_INVALID_FILE) {
        rc = ngx_http_llm_cache_load_open(state);
        if (rc != NGX_AGAIN) {
            return rc;
        }
    }

    for (done = 0; done < bytes; done += n) {

        n = read(load->fd, state->buf, NGX_HTTP_LLM_CACHE_STATE_BUFFER);

        if (n == -1) {
            if (ngx_errno == NGX_EINTR) {
                n = 0;
                continue;
            }

            return ngx_http_llm_cache_load_refuse(state, ngx_errno,
                                                  "cannot be read");
        }

        if (n == 0) {
            return ngx_http_llm_cache_load_end(state, LLM_STATE_TORN);
        }

        piece.data = state->buf;
        piece.len = n;

        rc = ngx_http_llm_cache_load_piece(state, piece);
        if (rc != NGX_AGAIN) {
            return rc;
        }
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_llm_cache_load_open(ngx_http_llm_cache_state_t *state)
{
    ngx_file_info_t                    fi;
    ngx_http_llm_cache_load_t         *load;
    ngx_http_llm_cache_saved_state_t  *saved;

    load = &state->load;
    saved = &state->zone->shards[0].sh->state;

    /* another nginx may be about to end, and to leave its records */

    if (ngx_http_llm_cache_state_clear(state) == NGX_BUSY
        && load->waited++ < NGX_HTTP_LLM_CACHE_LOAD_WAITS)
    {
        return NGX_BUSY;
    }

    if (saved->tries == NGX_HTTP_LLM_CACHE_LOAD_TRIES) {
        return ngx_http_llm_cache_load_refuse(state, 0,
                         "was not loaded to its end in several attempts");
    }

    saved->phase = NGX_HTTP_LLM_CACHE_STATE_LOADING;
    saved->tries++;

    ngx_http_llm_cache_state_sweep(state);

    load->fd = open((char *) state->file.data,
                    O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);

    if (load->fd == NGX_INVALID_FILE) {

        if (ngx_errno == NGX_ENOENT) {
            ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                          "llm_cache_zone \"%V\" starts empty: there is no "
                          "state file \"%V\"", &state->zone->name,
                          &state->file);

            saved->phase = NGX_HTTP_LLM_CACHE_STATE_READY;
            return NGX_OK;
        }

        return ngx_http_llm_cache_load_refuse(state, ngx_errno,
                                              "cannot be opened");
    }

    if (ngx_fd_info(load->fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)) {
        return ngx_http_llm_cache_load_refuse(state, 0,
                                              "is not a regular file");
    }

    if ((uint64_t) ngx_file_size(&fi) > state->zone->size) {
        return ngx_http_llm_cache_load_refuse(state, 0,
                                              "is larger than the zone");
    }

    load->size = ngx_file_size(&fi);

    return ngx_http_llm_cache_load_pass(state);
}


static ngx_int_t
ngx_http_llm_cache_load_pass(ngx_http_llm_cache_state_t *state)
{
    llm_state_reader_free(&state->load.reader);

    if (llm_state_reader_init(&state->load.reader) != 0) {
        return ngx_http_llm_cache_load_end(state, LLM_STATE_FAILED);
    }

    if (lseek(state->load.fd, 0, SEEK_SET) == -1) {
        return ngx_http_llm_cache_load_refuse(state, ngx_errno,
                                              "cannot be read");
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_llm_cache_load_piece(ngx_http_llm_cache_state_t *state,
    llm_str_t piece)
{
    llm_state_e                 rc;
    ngx_http_llm_cache_load_t  *load;

    load = &state->load;

    for ( ;; ) {

        rc = llm_state_read(&load->reader, &piece);

        switch (rc) {

        case LLM_STATE_AGAIN:
            return NGX_AGAIN;

        case LLM_STATE_RECORD:
            if (load->pass) {
                ngx_http_llm_cache_load_record(state);
            }

            break;

        case LLM_STATE_DATA:
            if (load->record.hold.node) {
                ngx_http_llm_cache_load_data(state);
            }

            break;

        case LLM_STATE_DONE:
            if (load->reader.length != load->size) {
                rc = LLM_STATE_TORN;

            } else if (load->pass == 0) {
                load->pass = 1;
                return ngx_http_llm_cache_load_pass(state);
            }

            return ngx_http_llm_cache_load_end(state, rc);

        default:
            return ngx_http_llm_cache_load_end(state, rc);
        }
    }
}


static void
ngx_http_llm_cache_load_record(ngx_http_llm_cache_state_t *state)
{
    time_t                      now;
    llm_record_t                rec;
    llm_state_entry_t          *entry;
    ngx_http_llm_cache_load_t  *load;
    ngx_http_llm_cache_zone_t  *zone;

    now = ngx_time();
    zone = state->zone;
    load = &state->load;
    entry = &load->reader.entry;

    if (llm_record_decode(load->reader.buf + LLM_STATE_ENTRY, &rec) != 0
        || (time_t) entry->expires <= now
        || now - (time_t) entry->used >= zone->inactive
        || ngx_http_llm_cache_zone_create(zone, entry->key, entry->len,
                                          &load->record)
           != NGX_OK)
    {
        load->left_out++;
        return;
    }

    /* what the file holds is older than all purges of this zone */

    load->record.purges = 0;
    load->tags = rec.tags;
}


static void
ngx_http_llm_cache_load_data(ngx_http_llm_cache_state_t *state)
{
    llm_state_reader_t           *reader;
    ngx_http_llm_cache_load_t    *load;
    ngx_http_llm_cache_writer_t  *w;

    load = &state->load;
    reader = &load->reader;
    w = &load->record;

    if (ngx_http_llm_cache_zone_append(w, reader->data.data, reader->data.len)
        != NGX_OK)
    {
        ngx_http_llm_cache_zone_abandon(w);
        load->left_out++;
        return;
    }

    if (w->len < reader->entry.len) {
        return;
    }

    if (ngx_http_llm_cache_zone_restore(w, &reader->entry, &load->tags)
        == NGX_OK)
    {
        load->stored++;

        if (state->zone->restored) {
            state->zone->restored(state->zone, reader->entry.key);
        }

    } else {
        load->left_out++;
    }
}


static ngx_int_t
ngx_http_llm_cache_load_end(ngx_http_llm_cache_state_t *state,
    llm_state_e result)
{
    if (result != LLM_STATE_DONE) {
        return ngx_http_llm_cache_load_refuse(state, 0,
                                              llm_state_reason(result));
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "llm_cache_zone \"%V\": %ui answers loaded from \"%V\", "
                  "%ui left out", &state->zone->name, state->load.stored,
                  &state->file, state->load.left_out);

    ngx_http_llm_cache_load_close(state);

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_load_refuse(ngx_http_llm_cache_state_t *state,
    ngx_err_t err, const char *why)
{
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                  "llm_cache_zone \"%V\" starts %s: state file \"%V\" %s",
                  &state->zone->name, state->load.stored ? "in part" : "empty",
                  &state->file, why);

    ngx_http_llm_cache_load_close(state);

    return NGX_OK;
}


static void
ngx_http_llm_cache_load_close(ngx_http_llm_cache_state_t *state)
{
    ngx_http_llm_cache_load_t  *load;

    load = &state->load;

    state->zone->shards[0].sh->state.phase = NGX_HTTP_LLM_CACHE_STATE_READY;

    ngx_http_llm_cache_zone_abandon(&load->record);
    llm_state_reader_free(&load->reader);

    if (load->fd != NGX_INVALID_FILE) {
        (void) close(load->fd);
        load->fd = NGX_INVALID_FILE;
    }
}
