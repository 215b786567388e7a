/*
 * Provider and clients of shared flights in one program, with one clock.
 *
 *   lag PORT lag PROVIDER_PORT FOLLOWERS EVENTS PER_SECOND
 *   lag PORT calls PROVIDER_PORT CLIENTS
 *
 * nginx listens on PORT and passes to PROVIDER_PORT.  "lag" measures when each
 * event of a stream comes to the leader's client and to those who follow, in
 * microseconds, and prints
 *
 *   CALLS EQUAL EVENTS P50 P99 MAX
 *
 * where EQUAL is the number of followers who have the bytes of the leader,
 * and EVENTS those that were measured: the ones that came when a follower was
 * there already.  "calls" asks for a JSON answer that takes 300 ms, all at
 * once, and prints CALLS and EQUAL.
 */


#define _GNU_SOURCE

#include "answer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define MAX_EVENTS  1000
#define DELAY       300000
#define LIMIT       60000000


typedef struct {
    int        fd;
    int        seen;                /* events that came */
    int        first;               /* the first one that came by itself */
    answer_t   answer;
    int64_t    came[MAX_EVENTS];
} client_t;


static client_t  *clients;
static int        nclients;
static int        started;
static int        whole;
static int        port;
static int        poller;
static int        listener;
static int        provider = -1;
static int        calls;
static int        streams;
static int        events;
static int        sent;
static int64_t    period;
static int64_t    next;


static void
fail(const char *what)
{
    fprintf(stderr, "lag: %s: %s\n", what, strerror(errno));
    exit(2);
}


/* in microseconds */

static int64_t
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static int
open_socket(int at, int listens)
{
    int                 fd, one;
    struct sockaddr_in  sin;

    one = 1;
    fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) at);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (fd == -1
        || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1
        || (listens ? bind(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
                      || listen(fd, 1024) == -1
                    : connect(fd, (struct sockaddr *) &sin, sizeof(sin))
                      == -1))
    {
        fail(listens ? "listen" : "connect");
    }

    return fd;
}


static void
watch(int fd, uint32_t id)
{
    struct epoll_event  ev;

    memset(&ev, 0, sizeof(ev));
    ev.events = EPOLLIN;
    ev.data.u32 = id;

    if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1
        || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev) == -1)
    {
        fail("epoll_ctl");
    }
}


static void
put(int fd, const char *data, size_t len)
{
    if (send(fd, data, len, MSG_NOSIGNAL) != (ssize_t) len) {
        fail("send");
    }
}


static void
start(client_t *c)
{
    int   n, one;
    char  text[512], body[128];

    one = 1;

    c->fd = open_socket(port, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    answer_reset(&c->answer);

    n = snprintf(body, sizeof(body), "{\"model\":\"m\",\"messages\":["
                 "{\"role\":\"user\",\"content\":\"%d\"}]%s}",
                 (int) getpid(), streams ? ",\"stream\":true" : "");

    n = snprintf(text, sizeof(text), "POST /v1/chat/completions HTTP/1.1\r\n"
                 "Host: localhost\r\nContent-Type: application/json\r\n"
                 "Authorization: Bearer sk-benchmark\r\n"
                 "Content-Length: %d\r\n\r\n%s", n, body);

    put(c->fd, text, (size_t) n);
    watch(c->fd, (uint32_t) (c - clients));
    started++;
}


/* a call to the provider: its request is small, and what is in it is known */

static void
accept_call(void)
{
    int   fd, one;

    one = 1;
    fd = accept(listener, NULL, NULL);

    if (fd == -1) {
        return;
    }

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    calls++;

    if (provider == -1) {
        provider = fd;
        next = now() + (streams ? period : DELAY);
    }
}


static void
provide_whole(void)
{
    static const char  text[] = "HTTP/1.1 200 OK\r\n"
        "Content-Type: application/json\r\nContent-Length: 141\r\n\r\n"
        "{\"id\":\"1\",\"object\":\"chat.completion\",\"model\":\"m\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"1\"},"
        "\"finish_reason\":\"stop\"}]}";

    put(provider, text, sizeof(text) - 1);
    next = 0;
}


static void
provide_event(void)
{
    int   n;
    char  event[256], text[512];

    if (sent == 0) {
        n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n"
                     "Content-Type: text/event-stream\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n");
        put(provider, text, (size_t) n);
    }

    if (sent == events - 1) {
        n = snprintf(event, sizeof(event), "data: [DONE]\n\n");

    } else {
        n = snprintf(event, sizeof(event), "data: {\"id\":\"1\",\"object\":"
                     "\"chat.completion.chunk\",\"model\":\"m\",\"choices\":"
                     "[{\"index\":0,\"delta\":{\"content\":\"word %d \"},"
                     "\"finish_reason\":%s}]}\n\n", sent,
                     sent == events - 2 ? "\"stop\"" : "null");
    }

    n = snprintf(text, sizeof(text), "%x\r\n%s\r\n%s", (unsigned) n, event,
                 sent == events - 1 ? "0\r\n\r\n" : "");

    put(provider, text, (size_t) n);

    sent++;
    next = sent == events ? 0 : next + period;
}


static void
receive(client_t *c)
{
    int      first;
    char     data[1 << 16], *p;
    size_t   before;
    int64_t  time;
    ssize_t  n;

    n = recv(c->fd, data, sizeof(data), 0);
    time = now();

    if (n <= 0) {
        if (n == -1 && errno == EAGAIN) {
            return;
        }

        fail("a client was cut off");
    }

    first = c->answer.len == 0;
    before = c->answer.len;

    (void) answer_feed(&c->answer, data, (size_t) n);

    /* an event's end may be split */

    before -= before ? 1 : 0;

    for (p = c->answer.body ? c->answer.body + before : NULL;
         streams && p && (p = strstr(p, "\n\n")) && c->seen < MAX_EVENTS;
         p += 2)
    {
        c->came[c->seen++] = time;
    }

    if (first && c->answer.len) {
        c->first = c->seen;
    }

    if (c->answer.state == ANSWER_WHOLE) {
        whole++;
        close(c->fd);

    } else if (c->answer.state == ANSWER_BAD) {
        fail("a bad answer");
    }
}


static void
run(void)
{
    int                 i, n, wait;
    int64_t             end, time;
    struct epoll_event  ready[256];

    end = now() + LIMIT;

    while (whole < nclients) {

        time = now();

        if (time > end) {
            fail("it takes too long");
        }

        if (next && time >= next) {
            if (streams) {
                provide_event();
            } else {
                provide_whole();
            }
        }

        /* one after another, in the first part of the stream */

        wait = 100;

        if (started < nclients && (!streams || clients[0].seen)) {
            start(&clients[started]);
            wait = 0;

        } else if (next) {
            time = next - now();
            wait = time > 0 ? (int) ((time + 999) / 1000) : 0;
        }

        n = epoll_wait(poller, ready, 256, wait);

        for (i = 0; i < n; i++) {
            if (ready[i].data.u32 == UINT32_MAX) {
                accept_call();
            } else {
                receive(&clients[ready[i].data.u32]);
            }
        }
    }
}


static int
compare(const void *one, const void *two)
{
    int64_t  a = *(const int64_t *) one, b = *(const int64_t *) two;

    return (a > b) - (a < b);
}


static void
report(void)
{
    int       i, k, equal;
    size_t    n;
    client_t *c;
    int64_t  *lags;

    n = 0;
    equal = 0;
    lags = calloc((size_t) nclients * MAX_EVENTS, sizeof(int64_t));

    if (lags == NULL) {
        fail("report");
        return;
    }

    for (i = 1; i < nclients; i++) {
        c = &clients[i];

        equal += c->answer.len == clients[0].answer.len
                 && memcmp(c->answer.body, clients[0].answer.body,
                           c->answer.len) == 0;

        for (k = c->first; k < c->seen && k < clients[0].seen; k++) {
            lags[n++] = c->came[k] - clients[0].came[k];
        }
    }

    if (!streams) {
        printf("%d %d\n", calls, equal + 1);
        return;
    }

    if (n == 0) {
        fail("no event came to followers");
    }

    qsort(lags, n, sizeof(int64_t), compare);

    printf("%d %d %zu %lld %lld %lld\n", calls, equal, n,
           (long long) lags[n / 2], (long long) lags[n - 1 - n / 100],
           (long long) lags[n - 1]);
}


int
main(int argc, char *argv[])
{
    if (argc < 5) {
        fprintf(stderr, "usage: lag PORT lag|calls PROVIDER_PORT COUNT "
                        "[EVENTS PER_SECOND]\n");
        return 2;
    }

    port = atoi(argv[1]);
    streams = strcmp(argv[2], "lag") == 0;
    nclients = atoi(argv[4]) + (streams ? 1 : 0);

    if (streams) {
        events = argc > 5 ? atoi(argv[5]) : 200;
        period = 1000000 / (argc > 6 ? atoi(argv[6]) : 50);
    }

    clients = calloc((size_t) nclients, sizeof(client_t));
    poller = epoll_create1(0);

    if (clients == NULL || poller == -1 || nclients < 1
        || events > MAX_EVENTS)
    {
        fail("start");
    }

    listener = open_socket(atoi(argv[3]), 1);
    watch(listener, UINT32_MAX);

    start(&clients[0]);
    run();
    report();

    return 0;
}
