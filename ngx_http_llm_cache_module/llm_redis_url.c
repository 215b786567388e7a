#include "llm_redis_url.h"


#define LLM_REDIS_MAX_DB  1000000


typedef struct {
    const char        *name;
    size_t             len;
    llm_redis_kind_e   kind;
    unsigned           tls;
} llm_redis_scheme_t;


#define llm_redis_scheme(s, kind, tls)  { s, sizeof(s) - 1, kind, tls }


static const llm_redis_scheme_t  llm_redis_schemes[] = {
    llm_redis_scheme("redis://", LLM_REDIS_SINGLE, 0),
    llm_redis_scheme("rediss://", LLM_REDIS_SINGLE, 1),
    llm_redis_scheme("redis+cluster://", LLM_REDIS_CLUSTER, 0),
    llm_redis_scheme("rediss+cluster://", LLM_REDIS_CLUSTER, 1),
    llm_redis_scheme("redis+sentinel://", LLM_REDIS_SENTINEL, 0),
    llm_redis_scheme("rediss+sentinel://", LLM_REDIS_SENTINEL, 1)
};


static const char *llm_redis_url_user(llm_str_t *rest, unsigned char **buf,
    llm_redis_url_t *out);
static const char *llm_redis_url_unix(llm_str_t rest, unsigned char **buf,
    llm_redis_url_t *out);
static const char *llm_redis_url_hosts(llm_str_t hosts,
    llm_redis_url_t *out);
static const char *llm_redis_url_host(llm_str_t host, llm_redis_url_t *out);
static const char *llm_redis_url_path(llm_str_t path, unsigned char **buf,
    llm_redis_url_t *out);


static llm_str_t
llm_redis_part(llm_str_t s, size_t from, size_t to)
{
    llm_str_t  part;

    part.data = s.data + from;
    part.len = to - from;

    return part;
}


/* where that byte stands, or the length */

static size_t
llm_redis_find(llm_str_t s, unsigned char c)
{
    size_t  i;

    for (i = 0; i < s.len && s.data[i] != c; i++) { /* void */ }

    return i;
}


static int
llm_redis_hex(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


/* 0, or -1 for what is no %XX, or spells a zero byte */

static int
llm_redis_decode(llm_str_t s, unsigned char **buf, llm_str_t *out)
{
    int             high, low;
    size_t          i;
    unsigned char  *p;

    p = *buf;
    out->data = p;

    for (i = 0; i < s.len; i++) {

        if (s.data[i] != '%') {
            *p++ = s.data[i];
            continue;
        }

        if (s.len - i < 3) {
            return -1;
        }

        high = llm_redis_hex(s.data[i + 1]);
        low = llm_redis_hex(s.data[i + 2]);

        if (high < 0 || low < 0 || high + low == 0) {
            return -1;
        }

        *p++ = (unsigned char) (high * 16 + low);
        i += 2;
    }

    out->len = (size_t) (p - *buf);
    *buf = p;

    return 0;
}


static int
llm_redis_number(llm_str_t s, unsigned max, unsigned *n)
{
    size_t  i;

    *n = 0;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return -1;
        }

        *n = *n * 10 + (s.data[i] - '0');

        if (*n > max) {
            return -1;
        }
    }

    return s.len ? 0 : -1;
}


const char *
llm_redis_url_parse(llm_str_t url, unsigned char *buf, llm_redis_url_t *out)
{
    size_t                     i, at, end;
    llm_str_t                  rest;
    const char                *rv;
    const llm_redis_scheme_t  *scheme;

    memset(out, 0, sizeof(llm_redis_url_t));

    for (i = 0; i < url.len; i++) {
        if (url.data[i] <= ' ' || url.data[i] == 0x7f) {
            return "has white space or control characters in it";
        }
    }

    if (url.len >= 5 && memcmp(url.data, "unix:", 5) == 0) {
        return llm_redis_url_unix(llm_redis_part(url, 5, url.len), &buf, out);
    }

    scheme = NULL;

    for (i = 0; i < sizeof(llm_redis_schemes) / sizeof(llm_redis_schemes[0]);
         i++)
    {
        if (url.len >= llm_redis_schemes[i].len
            && memcmp(url.data, llm_redis_schemes[i].name,
                      llm_redis_schemes[i].len)
               == 0)
        {
            scheme = &llm_redis_schemes[i];
        }
    }

    if (scheme == NULL) {
        return "has an unknown scheme";
    }

    out->kind = scheme->kind;
    out->tls = scheme->tls;

    rest = llm_redis_part(url, scheme->len, url.len);

    rv = llm_redis_url_user(&rest, &buf, out);
    if (rv) {
        return rv;
    }

    end = llm_redis_find(rest, '/');
    at = llm_redis_find(rest, '@');

    if (out->kind != LLM_REDIS_SENTINEL && at > end && at != rest.len) {
        return "has a \"/\" before its \"@\", which is to be written as %2F";
    }

    rv = llm_redis_url_hosts(llm_redis_part(rest, 0, end), out);
    if (rv) {
        return rv;
    }

    return llm_redis_url_path(llm_redis_part(rest, end, rest.len), &buf, out);
}


/* takes the user's part off the front, if there is one */

static const char *
llm_redis_url_user(llm_str_t *rest, unsigned char **buf, llm_redis_url_t *out)
{
    size_t     at, colon;
    llm_str_t  part;

    part = llm_redis_part(*rest, 0, llm_redis_find(*rest, '/'));
    at = llm_redis_find(part, '@');

    if (at == part.len) {
        return NULL;
    }

    part.len = at;
    colon = llm_redis_find(part, ':');

    if (llm_redis_decode(llm_redis_part(part, 0, colon), buf, &out->user) != 0
        || (colon < at
            && llm_redis_decode(llm_redis_part(part, colon + 1, at), buf,
                                &out->password)
               != 0))
    {
        return "has a bad %XX in its user or password";
    }

    if (colon == at && out->user.len == 0) {
        return "has an empty user";
    }

    if (colon < at && out->password.len == 0) {
        return "has an empty password";
    }

    *rest = llm_redis_part(*rest, at + 1, rest->len);

    return NULL;
}


static const char *
llm_redis_url_unix(llm_str_t rest, unsigned char **buf, llm_redis_url_t *out)
{
    size_t       end;
    llm_str_t    query, user;
    const char  *rv;

    if (rest.len > 2 && rest.data[0] == '/' && rest.data[1] == '/') {

        rest = llm_redis_part(rest, 2, rest.len);
        user = llm_redis_part(rest, 0, llm_redis_find(rest, '/'));

        rv = llm_redis_url_user(&rest, buf, out);
        if (rv) {
            return rv;
        }

        if (user.len && llm_redis_find(user, '@') != user.len - 1) {
            return "must have an absolute path after \"unix://\"";
        }
    }

    end = llm_redis_find(rest, '?');
    query = llm_redis_part(rest, end, rest.len);

    if (end < 2 || rest.data[0] != '/') {
        return "must name the absolute path of a socket";
    }

    if (llm_redis_decode(llm_redis_part(rest, 0, end), buf, &out->path) != 0) {
        return "has a bad %XX in its path";
    }

    if (query.len
        && (query.len < 5 || memcmp(query.data, "?db=", 4) != 0
            || llm_redis_number(llm_redis_part(query, 4, query.len),
                                LLM_REDIS_MAX_DB, &out->db)
               != 0))
    {
        return "may have \"?db=NUMBER\" after the path and nothing else";
    }

    return NULL;
}


static const char *
llm_redis_url_hosts(llm_str_t hosts, llm_redis_url_t *out)
{
    size_t       end;
    const char  *rv;

    for ( ;; ) {

        end = llm_redis_find(hosts, ',');

        rv = llm_redis_url_host(llm_redis_part(hosts, 0, end), out);
        if (rv) {
            return rv;
        }

        if (end == hosts.len) {
            break;
        }

        hosts = llm_redis_part(hosts, end + 1, hosts.len);
    }

    if (out->n > 1 && out->kind == LLM_REDIS_SINGLE) {
        return "may name several hosts only with +cluster or +sentinel";
    }

    return NULL;
}


static const char *
llm_redis_url_host(llm_str_t host, llm_redis_url_t *out)
{
    size_t             i, end;
    llm_str_t          port;
    llm_redis_host_t  *h;

    static const char  odd[] = { '?', '#', '[', ']', '@', '%' };

    if (out->n == LLM_REDIS_HOSTS) {
        return "names too many hosts";
    }

    h = &out->hosts[out->n++];

    if (host.len && host.data[0] == '[') {
        end = llm_redis_find(host, ']');

        if (end == host.len) {
            return "has a bracket that does not close";
        }

        h->name = llm_redis_part(host, 1, end);
        port = llm_redis_part(host, end + 1, host.len);

        if (port.len && port.data[0] != ':') {
            return "has more than a port after a bracket";
        }

    } else {
        end = llm_redis_find(host, ':');

        h->name = llm_redis_part(host, 0, end);
        port = llm_redis_part(host, end, host.len);
    }

    if (h->name.len == 0) {
        return "has no host";
    }

    for (i = 0; i < h->name.len; i++) {
        if (memchr(odd, h->name.data[i], sizeof(odd))) {
            return "has a character in its host that no host has";
        }
    }

    if (port.len == 0) {
        h->port = out->kind == LLM_REDIS_SENTINEL ? LLM_REDIS_SENTINEL_PORT
                                                  : LLM_REDIS_PORT;
        return NULL;
    }

    if (llm_redis_number(llm_redis_part(port, 1, port.len), 65535, &h->port)
        != 0
        || h->port == 0)
    {
        return "has an invalid port";
    }

    return NULL;
}


/* "/MASTER" of sentinels, then "/DB" */

static const char *
llm_redis_url_path(llm_str_t path, unsigned char **buf, llm_redis_url_t *out)
{
    size_t  end;

    if (out->kind == LLM_REDIS_SENTINEL) {

        if (path.len < 2) {
            return "must name the master after the sentinels";
        }

        path = llm_redis_part(path, 1, path.len);
        end = llm_redis_find(path, '/');

        if (end == 0
            || llm_redis_decode(llm_redis_part(path, 0, end), buf,
                                &out->master)
               != 0)
        {
            return "has an invalid name of a master";
        }

        path = llm_redis_part(path, end, path.len);
    }

    if (path.len <= 1) {
        return NULL;
    }

    if (llm_redis_number(llm_redis_part(path, 1, path.len), LLM_REDIS_MAX_DB,
                         &out->db)
        != 0)
    {
        return "has an invalid database number";
    }

    if (out->kind == LLM_REDIS_CLUSTER && out->db != 0) {
        return "names a database, but a cluster has only database 0";
    }

    return NULL;
}
