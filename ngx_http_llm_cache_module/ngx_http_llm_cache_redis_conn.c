#include "ngx_http_llm_cache_redis.h"


/* bytes read in one go, and how often before others have their turn */
#define NGX_HTTP_LLM_CACHE_REDIS_READ   65536
#define NGX_HTTP_LLM_CACHE_REDIS_READS  16

/* bytes written in one go */
#define NGX_HTTP_LLM_CACHE_REDIS_WRITE  (512 * 1024)


static void ngx_http_llm_cache_redis_connected(
    ngx_http_llm_cache_redis_conn_t *conn);
static ngx_uint_t ngx_http_llm_cache_redis_test_connect(ngx_connection_t *c);
static ngx_int_t ngx_http_llm_cache_redis_say_first(
    ngx_http_llm_cache_redis_conn_t *conn, int argc, const llm_str_t *argv);
static void ngx_http_llm_cache_redis_greeted(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);
static llm_str_t ngx_http_llm_cache_redis_unquoted(llm_str_t text);
static void ngx_http_llm_cache_redis_is_ready(
    ngx_http_llm_cache_redis_conn_t *conn);
static ngx_queue_t *ngx_http_llm_cache_redis_shift(ngx_queue_t *list);
static void ngx_http_llm_cache_redis_fail(ngx_queue_t *list);
static void ngx_http_llm_cache_redis_append(
    ngx_http_llm_cache_redis_conn_t *conn,
    ngx_http_llm_cache_redis_cmd_t *cmd);
static void ngx_http_llm_cache_redis_flush_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_redis_write_handler(ngx_event_t *wev);
static void ngx_http_llm_cache_redis_write(
    ngx_http_llm_cache_redis_conn_t *conn);
static void ngx_http_llm_cache_redis_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_http_llm_cache_redis_replies(
    ngx_http_llm_cache_redis_conn_t *conn, ngx_connection_t *c);
static ngx_uint_t ngx_http_llm_cache_redis_is_message(llm_reply_t *reply);
static ngx_int_t ngx_http_llm_cache_redis_reply(
    ngx_http_llm_cache_redis_conn_t *conn, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_log_reply(
    ngx_http_llm_cache_redis_conn_t *conn, llm_reply_t *reply);
static ngx_uint_t ngx_http_llm_cache_redis_hopeless(llm_reply_t *reply);
static void ngx_http_llm_cache_redis_new_password(
    ngx_http_llm_cache_redis_t *redis);
static void ngx_http_llm_cache_redis_set_timer(
    ngx_http_llm_cache_redis_conn_t *conn);
static void ngx_http_llm_cache_redis_timer_handler(ngx_event_t *ev);


void
ngx_http_llm_cache_redis_conn_init(ngx_http_llm_cache_redis_conn_t *conn,
    ngx_http_llm_cache_redis_t *redis)
{
    ngx_memzero(conn, sizeof(ngx_http_llm_cache_redis_conn_t));

    conn->redis = redis;
    conn->log = *ngx_cycle->log;
    conn->last = &conn->out;

    ngx_queue_init(&conn->sent);
    ngx_queue_init(&conn->waiting);

    conn->timer.data = conn;
    conn->timer.handler = ngx_http_llm_cache_redis_timer_handler;
    conn->timer.log = &conn->log;

    conn->flush.data = conn;
    conn->flush.handler = ngx_http_llm_cache_redis_flush_handler;
    conn->flush.log = &conn->log;
}


void
ngx_http_llm_cache_redis_connect(ngx_http_llm_cache_redis_conn_t *conn)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    conn->state = NGX_HTTP_LLM_CACHE_REDIS_CONNECTING;

    ngx_memzero(&conn->peer, sizeof(ngx_peer_connection_t));

    conn->peer.sockaddr = conn->addr.sockaddr;
    conn->peer.socklen = conn->addr.socklen;
    conn->peer.name = &conn->addr.name;
    conn->peer.get = ngx_event_get_peer;
    conn->peer.log = &conn->log;
    conn->peer.log_error = NGX_ERROR_ERR;

    ngx_http_llm_cache_redis_count(conn->redis->stat, connections);

    conn->resp = llm_resp_create(conn->redis->max_value);

    if (conn->resp == NULL) {
        ngx_http_llm_cache_redis_close(conn, 1);
        return;
    }

    rc = ngx_event_connect_peer(&conn->peer);

    c = conn->peer.connection;

    if (c == NULL) {
        ngx_http_llm_cache_redis_close(conn, 1);
        return;
    }

    conn->pool = ngx_create_pool(1024, &conn->log);

    if (conn->pool == NULL || (rc != NGX_OK && rc != NGX_AGAIN)) {
        ngx_http_llm_cache_redis_close(conn, 1);
        return;
    }

    c->data = conn;
    c->pool = conn->pool;
    c->read->handler = ngx_http_llm_cache_redis_read_handler;
    c->write->handler = ngx_http_llm_cache_redis_write_handler;

    ngx_add_timer(&conn->timer, conn->redis->connect_timeout);

    if (rc == NGX_OK) {
        ngx_http_llm_cache_redis_connected(conn);
    }
}


static ngx_uint_t
ngx_http_llm_cache_redis_test_connect(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        (void) ngx_connection_error(c, err, "connect() to Redis failed");
        return 0;
    }

    return 1;
}


static void
ngx_http_llm_cache_redis_connected(ngx_http_llm_cache_redis_conn_t *conn)
{
    ngx_connection_t  *c;

    c = conn->peer.connection;

    if (conn->addr.sockaddr->sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(c);
    }

    conn->state = NGX_HTTP_LLM_CACHE_REDIS_GREETING;

#if (NGX_SSL)

    if (conn->redis->ssl) {
        ngx_http_llm_cache_redis_handshake(conn);
        return;
    }

#endif

    /* who speaks first was not listened to yet, and is not told of again */

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }

    ngx_http_llm_cache_redis_greet(conn);
}


/* what goes before the commands of others */

void
ngx_http_llm_cache_redis_greet(ngx_http_llm_cache_redis_conn_t *conn)
{
    int                          n;
    u_char                       db[NGX_INT_T_LEN];
    llm_str_t                    words[3];
    ngx_int_t                    rc;
    ngx_http_llm_cache_redis_t  *redis;

    redis = conn->redis;
    rc = NGX_OK;

    conn->peer.connection->read->handler =
                                       ngx_http_llm_cache_redis_read_handler;
    conn->peer.connection->write->handler =
                                      ngx_http_llm_cache_redis_write_handler;

    if (!conn->plain && redis->password.len) {

        n = 0;
        words[n++] = ngx_http_llm_cache_redis_word("AUTH");

        if (redis->url.user.len) {
            words[n++] = redis->url.user;
        }

        words[n].data = redis->password.data;
        words[n++].len = redis->password.len;

        rc = ngx_http_llm_cache_redis_say_first(conn, n, words);
    }

    if (rc == NGX_OK && !conn->plain && redis->url.db) {

        words[0] = ngx_http_llm_cache_redis_word("SELECT");
        words[1].data = db;
        words[1].len = ngx_sprintf(db, "%ud", redis->url.db) - db;

        rc = ngx_http_llm_cache_redis_say_first(conn, 2, words);
    }

    if (rc == NGX_OK && conn->role) {
        words[0] = ngx_http_llm_cache_redis_word("ROLE");

        rc = ngx_http_llm_cache_redis_say_first(conn, 1, words);
    }

    /* never into another database, nor to a server of another role */

    if (rc != NGX_OK) {
        ngx_http_llm_cache_redis_close(conn, 1);
        return;
    }

    if (ngx_queue_empty(&conn->sent)) {
        ngx_http_llm_cache_redis_is_ready(conn);
    }
}


/* what others want to say waits until the greeting has been answered */

static ngx_int_t
ngx_http_llm_cache_redis_say_first(ngx_http_llm_cache_redis_conn_t *conn,
    int argc, const llm_str_t *argv)
{
    ngx_http_llm_cache_redis_cmd_t  *cmd;

    cmd = ngx_http_llm_cache_redis_command(
                          sizeof(ngx_http_llm_cache_redis_cmd_t), argc, argv);
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    cmd->handler = ngx_http_llm_cache_redis_greeted;
    cmd->data = conn;

    conn->n++;
    conn->bytes += cmd->len;

    ngx_http_llm_cache_redis_append(conn, cmd);

    return NGX_OK;
}


static void
ngx_http_llm_cache_redis_greeted(ngx_http_llm_cache_redis_cmd_t *cmd,
    llm_reply_t *reply)
{
    llm_str_t                         why;
    ngx_uint_t                        ok;
    ngx_http_llm_cache_redis_conn_t  *conn;

    conn = cmd->data;

    if (reply == NULL) {
        return;
    }

    ok = llm_reply_is(reply, LLM_RESP_STATUS)
         || (llm_reply_is(reply, LLM_RESP_ARRAY) && reply->n
             && llm_str_eq(reply->elements[0]->str, "master", 6));

    if (!ok) {
        why = reply->type == LLM_RESP_ERROR
              ? ngx_http_llm_cache_redis_unquoted(reply->str)
              : ngx_http_llm_cache_redis_word("not a master");

        ngx_log_error(NGX_LOG_ERR, &conn->log, 0,
                      "llm cache: %V refused the greeting: \"%*s\"",
                      &conn->addr.name, why.len, why.data);

        ngx_http_llm_cache_redis_new_password(conn->redis);
    }

    if (!ok) {

        /* another sentinel may know better */

        if (conn->role && llm_reply_is(reply, LLM_RESP_ARRAY)) {
            ngx_http_llm_cache_redis_close(&conn->redis->sentinel, 1);
        }

        ngx_http_llm_cache_redis_close(conn, 1);

    } else if (ngx_queue_empty(&conn->sent)) {
        ngx_http_llm_cache_redis_is_ready(conn);
    }

    llm_reply_free(reply);
}


/* an error up to where it quotes: that may be the password */

static llm_str_t
ngx_http_llm_cache_redis_unquoted(llm_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len && i < 128; i++) {
        if (text.data[i] == '\'' || text.data[i] == '`'
            || text.data[i] == '"')
        {
            break;
        }
    }

    text.len = i;

    return text;
}


static void
ngx_http_llm_cache_redis_is_ready(ngx_http_llm_cache_redis_conn_t *conn)
{
    ngx_queue_t                     *q, late;
    ngx_http_llm_cache_redis_cmd_t  *cmd;

    conn->state = NGX_HTTP_LLM_CACHE_REDIS_READY;

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    /* what nobody waits for any more is not sent */

    ngx_queue_init(&late);

    while (!ngx_queue_empty(&conn->waiting)) {

        q = ngx_http_llm_cache_redis_shift(&conn->waiting);

        cmd = ngx_queue_data(q, ngx_http_llm_cache_redis_cmd_t, queue);

        if ((ngx_msec_int_t) (cmd->deadline - ngx_current_msec) > 0) {
            ngx_http_llm_cache_redis_append(conn, cmd);
            continue;
        }

        conn->n--;
        conn->bytes -= cmd->len;
        ngx_queue_insert_tail(&late, q);
    }

    ngx_http_llm_cache_redis_set_timer(conn);

    if (conn->ready) {
        conn->ready(conn);
    }

    ngx_http_llm_cache_redis_fail(&late);
}


/* takes the first one off */

static ngx_queue_t *
ngx_http_llm_cache_redis_shift(ngx_queue_t *list)
{
    ngx_queue_t  *q;

    q = list->next;

    list->next = q->next;
    q->next->prev = list;

    return q;
}


/* tells the commands of a list that there is no reply */

static void
ngx_http_llm_cache_redis_fail(ngx_queue_t *list)
{
    ngx_queue_t                     *q;
    ngx_http_llm_cache_redis_cmd_t  *cmd;

    while (!ngx_queue_empty(list)) {

        q = ngx_http_llm_cache_redis_shift(list);

        cmd = ngx_queue_data(q, ngx_http_llm_cache_redis_cmd_t, queue);
        cmd->kept = 0;

        if (cmd->handler) {
            cmd->handler(cmd, NULL);
        }

        if (!cmd->kept) {
            ngx_http_llm_cache_redis_cmd_free(cmd);
        }
    }
}


void
ngx_http_llm_cache_redis_close(ngx_http_llm_cache_redis_conn_t *conn,
    ngx_uint_t failed)
{
    ngx_queue_t        all;
    ngx_connection_t  *c;

    ngx_http_llm_cache_redis_locate_end(conn);

    c = conn->peer.connection;

    if (c) {

#if (NGX_SSL)
        if (c->ssl) {
            c->ssl->no_wait_shutdown = 1;
            c->ssl->no_send_shutdown = 1;
            (void) ngx_ssl_shutdown(c);
        }
#endif

        ngx_close_connection(c);
        conn->peer.connection = NULL;
    }

    if (conn->pool) {
        ngx_destroy_pool(conn->pool);
        conn->pool = NULL;
    }

    llm_resp_free(conn->resp);
    conn->resp = NULL;

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    if (conn->flush.posted) {
        ngx_delete_posted_event(&conn->flush);
    }

    conn->state = NGX_HTTP_LLM_CACHE_REDIS_IDLE;
    conn->out = NULL;
    conn->last = &conn->out;
    conn->n = 0;
    conn->bytes = 0;

    /* the handlers may queue new commands */

    ngx_queue_init(&all);

    if (!ngx_queue_empty(&conn->sent)) {
        ngx_queue_add(&all, &conn->sent);
        ngx_queue_init(&conn->sent);
    }

    if (!ngx_queue_empty(&conn->waiting)) {
        ngx_queue_add(&all, &conn->waiting);
        ngx_queue_init(&conn->waiting);
    }

    if (conn->closed) {
        conn->closed(conn, failed);
    }

    ngx_http_llm_cache_redis_fail(&all);
}


ngx_http_llm_cache_redis_cmd_t *
ngx_http_llm_cache_redis_command(size_t size, int argc, const llm_str_t *argv)
{
    ngx_http_llm_cache_redis_cmd_t  *cmd;

    cmd = ngx_calloc(size, ngx_cycle->log);
    if (cmd == NULL) {
        return NULL;
    }

    cmd->bytes = llm_resp_command(argc, argv, &cmd->len);

    if (cmd->bytes == NULL) {
        ngx_free(cmd);
        return NULL;
    }

    return cmd;
}


void
ngx_http_llm_cache_redis_cmd_free(ngx_http_llm_cache_redis_cmd_t *cmd)
{
    free(cmd->bytes);
    ngx_free(cmd);
}


ngx_int_t
ngx_http_llm_cache_redis_queue(ngx_http_llm_cache_redis_conn_t *conn,
    ngx_http_llm_cache_redis_cmd_t *cmd)
{
    if (conn->n >= NGX_HTTP_LLM_CACHE_REDIS_COMMANDS
        || (conn->n && conn->bytes + cmd->len
                       > NGX_HTTP_LLM_CACHE_REDIS_BYTES))
    {
        return NGX_BUSY;
    }

    cmd->kept = 1;
    conn->n++;
    conn->bytes += cmd->len;

    if (conn->state == NGX_HTTP_LLM_CACHE_REDIS_READY) {
        ngx_http_llm_cache_redis_append(conn, cmd);
        ngx_http_llm_cache_redis_set_timer(conn);
        return NGX_OK;
    }

    ngx_queue_insert_tail(&conn->waiting, &cmd->queue);

    /* never from here: who queues a command does not expect an answer yet */

    ngx_post_event(&conn->flush, &ngx_posted_events);

    return NGX_OK;
}


ngx_http_llm_cache_redis_cmd_t *
ngx_http_llm_cache_redis_say(ngx_http_llm_cache_redis_conn_t *conn, int argc,
    const llm_str_t *argv, ngx_msec_t timeout,
    ngx_http_llm_cache_redis_cmd_pt handler, void *data)
{
    ngx_http_llm_cache_redis_cmd_t  *cmd;

    cmd = ngx_http_llm_cache_redis_command(
                          sizeof(ngx_http_llm_cache_redis_cmd_t), argc, argv);
    if (cmd == NULL) {
        return NULL;
    }

    cmd->handler = handler;
    cmd->data = data;
    cmd->deadline = ngx_current_msec + timeout;

    if (ngx_http_llm_cache_redis_queue(conn, cmd) != NGX_OK) {
        ngx_http_llm_cache_redis_cmd_free(cmd);
        return NULL;
    }

    return cmd;
}


/* in one write with all that comes in this round of the event loop */

static void
ngx_http_llm_cache_redis_append(ngx_http_llm_cache_redis_conn_t *conn,
    ngx_http_llm_cache_redis_cmd_t *cmd)
{
    ngx_buf_t   *b;
    ngx_msec_t   soonest;

    /* the connection is not to blame for what was waited for before */

    soonest = ngx_current_msec + conn->redis->timeout;

    if ((ngx_msec_int_t) (cmd->deadline - soonest) < 0) {
        cmd->deadline = soonest;
    }

    b = &cmd->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->start = cmd->bytes;
    b->pos = cmd->bytes;
    b->last = cmd->bytes + cmd->len;
    b->end = b->last;
    b->memory = 1;

    cmd->out.buf = b;
    cmd->out.next = NULL;

    *conn->last = &cmd->out;
    conn->last = &cmd->out.next;

    ngx_queue_insert_tail(&conn->sent, &cmd->queue);

    ngx_post_event(&conn->flush, &ngx_posted_events);
}


static void
ngx_http_llm_cache_redis_flush_handler(ngx_event_t *ev)
{
    ngx_http_llm_cache_redis_conn_t  *conn;

    conn = ev->data;

    if (conn->state == NGX_HTTP_LLM_CACHE_REDIS_IDLE) {
        conn->start(conn);

    } else if (conn->out) {
        ngx_http_llm_cache_redis_write(conn);
    }
}


static void
ngx_http_llm_cache_redis_write_handler(ngx_event_t *wev)
{
    ngx_connection_t                 *c;
    ngx_http_llm_cache_redis_conn_t  *conn;

    c = wev->data;
    conn = c->data;

    if (conn->state == NGX_HTTP_LLM_CACHE_REDIS_CONNECTING) {

        if (!ngx_http_llm_cache_redis_test_connect(c)) {
            ngx_http_llm_cache_redis_close(conn, 1);
            return;
        }

        ngx_http_llm_cache_redis_connected(conn);
        return;
    }

    ngx_http_llm_cache_redis_write(conn);
}


static void
ngx_http_llm_cache_redis_write(ngx_http_llm_cache_redis_conn_t *conn)
{
    ngx_chain_t       *cl;
    ngx_connection_t  *c;

    c = conn->peer.connection;

    if (conn->out) {
        cl = c->send_chain(c, conn->out, NGX_HTTP_LLM_CACHE_REDIS_WRITE);

        if (cl == NGX_CHAIN_ERROR) {
            ngx_http_llm_cache_redis_close(conn, 1);
            return;
        }

        conn->out = cl;

        if (cl == NULL) {
            conn->last = &conn->out;

        } else if (c->write->ready) {
            ngx_post_event(c->write, &ngx_posted_next_events);
        }
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_http_llm_cache_redis_close(conn, 1);
    }
}


static void
ngx_http_llm_cache_redis_read_handler(ngx_event_t *rev)
{
    ssize_t                           n;
    ngx_int_t                         rc;
    ngx_uint_t                        i;
    ngx_connection_t                 *c;
    ngx_http_llm_cache_redis_conn_t  *conn;

    static u_char  buf[NGX_HTTP_LLM_CACHE_REDIS_READ];

    c = rev->data;
    conn = c->data;

    if (conn->state == NGX_HTTP_LLM_CACHE_REDIS_CONNECTING) {
        return;
    }

    for (i = 0; i < NGX_HTTP_LLM_CACHE_REDIS_READS; i++) {

        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            /* who has nothing to say may be sent away */
            ngx_http_llm_cache_redis_close(conn, conn->n != 0);
            return;
        }

        rc = llm_resp_feed(conn->resp, buf, n) == 0
             ? ngx_http_llm_cache_redis_replies(conn, c) : NGX_ERROR;

        if (rc == NGX_DONE) {
            return;
        }

        if (rc == NGX_ERROR) {
            ngx_log_error(NGX_LOG_ERR, &conn->log, 0,
                          "llm cache: %V does not speak as Redis does",
                          &conn->addr.name);
            ngx_http_llm_cache_redis_close(conn, 1);
            return;
        }
    }

    if (i == NGX_HTTP_LLM_CACHE_REDIS_READS) {
        ngx_post_event(rev, &ngx_posted_next_events);
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_llm_cache_redis_close(conn, 1);
    }
}


/* NGX_OK; NGX_DONE: the connection is gone; NGX_ERROR */

static ngx_int_t
ngx_http_llm_cache_redis_replies(ngx_http_llm_cache_redis_conn_t *conn,
    ngx_connection_t *c)
{
    int           rc;
    llm_reply_t  *reply;

    while ((rc = llm_resp_next(conn->resp, &reply)) == 1) {

        if (conn->message && ngx_http_llm_cache_redis_is_message(reply)) {
            conn->message(conn, reply);
            llm_reply_free(reply);

        } else if (ngx_http_llm_cache_redis_reply(conn, reply) != NGX_OK) {
            return NGX_ERROR;
        }

        /* a handler may have closed it */

        if (conn->peer.connection != c || conn->resp == NULL) {
            return NGX_DONE;
        }
    }

    return rc == 0 ? NGX_OK : NGX_ERROR;
}


static ngx_uint_t
ngx_http_llm_cache_redis_is_message(llm_reply_t *reply)
{
    return llm_reply_is(reply, LLM_RESP_ARRAY) && reply->n == 3
           && llm_str_eq(reply->elements[0]->str, "message", 7);
}


/* NGX_ERROR for a reply that nobody asked for */

static ngx_int_t
ngx_http_llm_cache_redis_reply(ngx_http_llm_cache_redis_conn_t *conn,
    llm_reply_t *reply)
{
    ngx_uint_t                       hopeless;
    ngx_queue_t                     *q;
    ngx_http_llm_cache_redis_cmd_t  *cmd;

    q = ngx_queue_head(&conn->sent);
    cmd = ngx_queue_data(q, ngx_http_llm_cache_redis_cmd_t, queue);

    if (ngx_queue_empty(&conn->sent) || cmd->buf.pos != cmd->buf.last) {

        /* who sends everybody away says why */

        hopeless = llm_reply_is(reply, LLM_RESP_ERROR);

        if (hopeless) {
            ngx_http_llm_cache_redis_log_reply(conn, reply);
            ngx_http_llm_cache_redis_close(conn, 1);
        }

        llm_reply_free(reply);

        return hopeless ? NGX_OK : NGX_ERROR;
    }

    (void) ngx_http_llm_cache_redis_shift(&conn->sent);

    conn->n--;
    conn->bytes -= cmd->len;
    cmd->kept = 0;

    hopeless = conn->state == NGX_HTTP_LLM_CACHE_REDIS_READY
               && ngx_http_llm_cache_redis_hopeless(reply);

    if (hopeless) {
        ngx_http_llm_cache_redis_log_reply(conn, reply);
        ngx_http_llm_cache_redis_new_password(conn->redis);
    }

    if (cmd->handler) {
        cmd->handler(cmd, reply);

    } else {
        llm_reply_free(reply);
    }

    if (!cmd->kept) {
        ngx_http_llm_cache_redis_cmd_free(cmd);
    }

    if (conn->peer.connection == NULL) {
        return NGX_OK;
    }

    if (hopeless) {
        ngx_http_llm_cache_redis_close(conn, 1);

    } else {
        ngx_http_llm_cache_redis_set_timer(conn);
    }

    return NGX_OK;
}


static void
ngx_http_llm_cache_redis_log_reply(ngx_http_llm_cache_redis_conn_t *conn,
    llm_reply_t *reply)
{
    ngx_log_error(NGX_LOG_ERR, &conn->log, 0, "llm cache: %V says \"%*s\"",
                  &conn->addr.name, ngx_min(reply->str.len, 128),
                  reply->str.data);
}


/* errors that another connection may not have */

static ngx_uint_t
ngx_http_llm_cache_redis_hopeless(llm_reply_t *reply)
{
    ngx_uint_t  i;

    static ngx_str_t  words[] = {
        ngx_string("NOAUTH "),
        ngx_string("DENIED "),
        ngx_string("ERR max number of clients"),
        ngx_string("READONLY "),
        ngx_string("LOADING "),
        ngx_string("MASTERDOWN ")
    };

    if (reply->type != LLM_RESP_ERROR) {
        return 0;
    }

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (reply->str.len >= words[i].len
            && ngx_memcmp(reply->str.data, words[i].data, words[i].len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* a password that was changed is in its file; a few bytes on a local disk */

static void
ngx_http_llm_cache_redis_new_password(ngx_http_llm_cache_redis_t *redis)
{
    u_char    *p;
    ngx_str_t  password;

    if (redis->password_file.len == 0
        || ngx_http_llm_cache_redis_read_password(&redis->password_file,
                                                  &password, NGX_LOG_ERR,
                                                  ngx_cycle->log)
           != NGX_OK)
    {
        return;
    }

    p = redis->password.data;
    redis->password = password;

    if (p) {
        ngx_explicit_memzero(p, ngx_strlen(p));
        ngx_free(p);
    }
}


/* the timer of the command that has waited longest */

static void
ngx_http_llm_cache_redis_set_timer(ngx_http_llm_cache_redis_conn_t *conn)
{
    ngx_msec_int_t                   left;
    ngx_queue_t                     *q;
    ngx_http_llm_cache_redis_cmd_t  *cmd;

    if (conn->state != NGX_HTTP_LLM_CACHE_REDIS_READY) {
        return;
    }

    if (ngx_queue_empty(&conn->sent)) {
        if (conn->timer.timer_set) {
            ngx_del_timer(&conn->timer);
        }

        return;
    }

    q = ngx_queue_head(&conn->sent);
    cmd = ngx_queue_data(q, ngx_http_llm_cache_redis_cmd_t, queue);

    /* one that is early looks again */

    if (conn->timer.timer_set) {
        if ((ngx_msec_int_t) (conn->timer.timer.key - cmd->deadline) <= 0) {
            return;
        }

        ngx_del_timer(&conn->timer);
    }

    left = (ngx_msec_int_t) (cmd->deadline - ngx_current_msec);

    ngx_add_timer(&conn->timer, (ngx_msec_t) ngx_max(left, 1));
}


static void
ngx_http_llm_cache_redis_timer_handler(ngx_event_t *ev)
{
    ngx_queue_t                      *q;
    ngx_http_llm_cache_redis_cmd_t   *cmd;
    ngx_http_llm_cache_redis_conn_t  *conn;

    conn = ev->data;

    if (conn->state == NGX_HTTP_LLM_CACHE_REDIS_READY) {

        if (ngx_queue_empty(&conn->sent)) {
            return;
        }

        q = ngx_queue_head(&conn->sent);
        cmd = ngx_queue_data(q, ngx_http_llm_cache_redis_cmd_t, queue);

        if ((ngx_msec_int_t) (cmd->deadline - ngx_current_msec) > 0) {
            ngx_http_llm_cache_redis_set_timer(conn);
            return;
        }
    }

    if (conn->state == NGX_HTTP_LLM_CACHE_REDIS_LOCATING) {
        ngx_log_error(NGX_LOG_WARN, &conn->log, NGX_ETIMEDOUT,
                      "llm cache: \"%V\" is not resolved in time",
                      &conn->host);

    } else {
        ngx_log_error(NGX_LOG_WARN, &conn->log, NGX_ETIMEDOUT,
                      "llm cache: %V does not answer in time",
                      &conn->addr.name);
    }

    ngx_http_llm_cache_redis_close(conn, 1);
}
