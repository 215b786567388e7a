#include "llm_redis_url.h"
#include "tap.h"


static unsigned char    buf[512];
static llm_redis_url_t  url;


static const char *
parse(const char *text)
{
    llm_str_t  s;

    s.data = (const unsigned char *) text;
    s.len = strlen(text);

    return llm_redis_url_parse(s, buf, &url);
}


static int
is(llm_str_t s, const char *text)
{
    return llm_str_eq(s, text, strlen(text));
}


static void
accepted(void)
{
    ok(parse("redis://localhost") == NULL && url.n == 1
       && is(url.hosts[0].name, "localhost") && url.hosts[0].port == 6379
       && url.db == 0 && !url.tls && url.password.len == 0,
       "a host alone");

    ok(parse("rediss://me:p%40ss%2f@h.example:6380/12") == NULL && url.tls
       && is(url.user, "me") && is(url.password, "p@ss/")
       && is(url.hosts[0].name, "h.example") && url.hosts[0].port == 6380
       && url.db == 12,
       "user, password, port, database");

    ok(parse("redis://:secret@h/") == NULL && url.user.len == 0
       && is(url.password, "secret") && url.db == 0,
       "a password alone");

    ok(parse("redis://me@h") == NULL && is(url.user, "me")
       && url.password.len == 0,
       "a user alone");

    ok(parse("redis://[::1]:7000/3") == NULL && is(url.hosts[0].name, "::1")
       && url.hosts[0].port == 7000 && url.db == 3,
       "an IPv6 address");

    ok(parse("redis+cluster://a,b:7001,[2001:db8::1]") == NULL
       && url.kind == LLM_REDIS_CLUSTER && url.n == 3
       && is(url.hosts[1].name, "b") && url.hosts[1].port == 7001
       && is(url.hosts[2].name, "2001:db8::1") && url.hosts[2].port == 6379,
       "a cluster");

    ok(parse("rediss+sentinel://:x@a,b:5/my%20one/2") == NULL
       && url.kind == LLM_REDIS_SENTINEL && url.tls && url.n == 2
       && url.hosts[0].port == 26379 && url.hosts[1].port == 5
       && is(url.master, "my one") && url.db == 2,
       "sentinels");

    ok(parse("unix:/run/redis.sock") == NULL && url.n == 0
       && is(url.path, "/run/redis.sock"),
       "a socket");

    ok(parse("unix://u:p@/run/a%3fb?db=7") == NULL && is(url.user, "u")
       && is(url.password, "p") && is(url.path, "/run/a?b") && url.db == 7,
       "a socket with all that it may have");

    ok(parse("unix:///run/redis.sock") == NULL
       && is(url.path, "/run/redis.sock"),
       "a socket with three slashes");
}


static void
refused(void)
{
    size_t  i;

    static const char  *bad[] = {
        "", "redis:", "redis:/h", "http://h", "redis://", "redis:///1",
        "REDIS://h", "redis://h:", "redis://h:0", "redis://h:65536",
        "redis://h:1x", "redis://h/x", "redis://h/-1", "redis://h/1000001",
        "redis://h/1/2", "redis://:@h", "redis://@h", "redis://u:@h",
        "redis://u:%4@h", "redis://u:%zz@h", "redis://u:%00@h",
        "redis://a,b", "redis+cluster://a,,b", "redis+cluster://a,",
        "redis+cluster://a/1", "redis+sentinel://a", "redis+sentinel://a/",
        "redis+sentinel://a//1", "redis+sentinel://a/m/x", "redis://[::1",
        "redis://[::1]x", "redis://[]", "redis://h?db=1", "redis://h#1",
        "redis://a b", "redis://h\t", "unix:", "unix:x", "unix:/",
        "unix:/a?db=", "unix:/a?db=x", "unix:/a?x=1", "unix:/%zz",
        "unix://host/a", "unix://:@/a",
        "redis+cluster://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(parse(bad[i]) != NULL, "refused: \"%s\"", bad[i]);
    }
}


int
main(void)
{
    accepted();
    refused();

    return tap_done();
}
