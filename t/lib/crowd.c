/*
 * Many clients at once who send the same request.
 *
 *   crowd PORT REQUEST DIRECTORY COUNT [OPTION=NUMBER ...]
 *
 *   spread   ms in which they come, at random moments; 0: all at once
 *   times    so many requests of each, one after another, on one connection
 *   rcvbuf   bytes of a socket's receive buffer
 *   late     ms before a client begins to read
 *   nap      ms between reads of at most 4 KB
 *   leave    percent of those who leave before they have their answer
 *   stay     ms within which they leave
 *   limit    seconds after which a client is stuck
 *   seed     of the random numbers
 *
 * REQUEST is the file with the request's bytes.  What came is told in groups:
 *
 *   COUNT STATUS CACHE END LENGTH DIGEST
 *
 * where END is whole, open (the body ended with the connection), cut, stuck,
 * left, bad, or more: bytes behind the answer.  DIRECTORY gets the bodies, in
 * files named by their digests.
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


#define PIECE  4096
#define NEVER  UINT64_MAX


typedef enum {
    OPTION_SPREAD,
    OPTION_TIMES,
    OPTION_RCVBUF,
    OPTION_LATE,
    OPTION_NAP,
    OPTION_LEAVE,
    OPTION_STAY,
    OPTION_LIMIT,
    OPTION_SEED,
    OPTIONS
} option_e;


typedef struct {
    int        fd;              /* -1: it has not come yet, or has gone */
    int        times;
    size_t     sent;
    uint64_t   comes;           /* in ms */
    uint64_t   reads;
    uint64_t   leaves;
    uint64_t   gives_up;
    int        listening;       /* epoll tells of bytes */
    answer_t   answer;
} client_t;


typedef struct {
    int        count;
    int        status;
    char       cache[16];
    char       end[8];
    size_t     len;
    uint64_t   digest;
} group_t;


static const char *names[OPTIONS] = {
    "spread", "times", "rcvbuf", "late", "nap", "leave", "stay", "limit",
    "seed"
};

static long         option[OPTIONS] = { 0, 1, 0, 0, 0, 0, 0, 20, 0 };
static const char  *directory;
static char        *request;
static size_t       request_len;
static int          port;
static int          poller;
static int          left;
static group_t     *groups;
static size_t       ngroups;


static int
fail(const char *what)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(2);
}


static uint64_t
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


static void
read_request(const char *name)
{
    long   size;
    FILE  *file;

    file = fopen(name, "rb");

    if (file == NULL || fseek(file, 0, SEEK_END) != 0
        || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
    {
        fail(name);
        return;
    }

    request_len = (size_t) size;
    request = malloc(request_len + 1);

    if (request == NULL
        || fread(request, 1, request_len, file) != request_len)
    {
        fail(name);
    }

    fclose(file);
}


static uint64_t
digest(const char *data, size_t len)
{
    size_t    i;
    uint64_t  hash;

    hash = 0xcbf29ce484222325;

    for (i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char) data[i]) * 0x100000001b3;
    }

    return hash;
}


static void
keep_body(uint64_t hash, answer_t *a)
{
    char   name[4096];
    FILE  *file;

    snprintf(name, sizeof(name), "%s/%016llx", directory,
             (unsigned long long) hash);

    file = fopen(name, "wb");

    if (file == NULL || fwrite(a->body, 1, a->len, file) != a->len) {
        fail(name);
        return;
    }

    fclose(file);
}


static void
tell(client_t *c, const char *end)
{
    size_t     i;
    group_t   *g;
    uint64_t   hash;
    answer_t  *a;

    a = &c->answer;
    hash = digest(a->body, a->len);

    for (i = 0; i < ngroups; i++) {
        g = &groups[i];

        if (g->status == a->status && g->digest == hash && g->len == a->len
            && strcmp(g->cache, a->cache) == 0 && strcmp(g->end, end) == 0)
        {
            g->count++;
            return;
        }
    }

    groups = realloc(groups, (ngroups + 1) * sizeof(group_t));

    if (groups == NULL) {
        fail("groups");
        return;
    }

    g = &groups[ngroups++];

    memset(g, 0, sizeof(group_t));
    g->count = 1;
    g->status = a->status;
    g->len = a->len;
    g->digest = hash;
    memcpy(g->cache, a->cache, sizeof(g->cache));
    snprintf(g->end, sizeof(g->end), "%s", end);

    if (a->len) {
        keep_body(hash, a);
    }
}


static void
gone(client_t *c, const char *end)
{
    tell(c, end);

    close(c->fd);
    c->fd = -1;
    c->comes = NEVER;
    answer_free(&c->answer);
    left--;
}


static void
listen_to(client_t *c, int on)
{
    struct epoll_event  ev;

    memset(&ev, 0, sizeof(ev));
    ev.data.ptr = c;
    ev.events = (on ? EPOLLIN : 0)
                | (c->sent < request_len ? EPOLLOUT : 0);

    c->listening = on;

    if (epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &ev) == -1) {
        fail("epoll_ctl");
    }
}


static void
come(client_t *c)
{
    int                 one, size;
    struct sockaddr_in  sin;
    struct epoll_event  ev;

    one = 1;
    size = (int) option[OPTION_RCVBUF];

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (c->fd == -1) {
        fail("socket");
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    if (size) {
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        && errno != EINPROGRESS)
    {
        fail("connect");
    }

    memset(&ev, 0, sizeof(ev));
    ev.data.ptr = c;
    ev.events = EPOLLOUT;

    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &ev) == -1) {
        fail("epoll_ctl");
    }

    c->comes = now();
    c->reads = c->comes + (uint64_t) option[OPTION_LATE];
    c->gives_up = c->comes + (uint64_t) option[OPTION_LIMIT] * 1000;

    if (rand() % 100 < option[OPTION_LEAVE]) {
        c->leaves = c->comes
                    + (uint64_t) (rand() % (option[OPTION_STAY] + 1));
    }

    answer_reset(&c->answer);
}


static void
send_request(client_t *c)
{
    ssize_t  n;

    n = send(c->fd, request + c->sent, request_len - c->sent, MSG_NOSIGNAL);

    if (n == -1) {
        if (errno != EAGAIN) {
            gone(c, "cut");
        }
        return;
    }

    c->sent += (size_t) n;

    if (c->sent == request_len) {
        listen_to(c, c->reads <= now());
    }
}


static void
receive(client_t *c)
{
    char     data[1 << 16];
    size_t   used;
    ssize_t  n;

    n = recv(c->fd, data, option[OPTION_NAP] ? PIECE : sizeof(data), 0);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n <= 0) {
        gone(c, c->answer.state == ANSWER_CLOSE && n == 0 ? "open" : "cut");
        return;
    }

    used = answer_feed(&c->answer, data, (size_t) n);

    if (c->answer.state == ANSWER_BAD) {
        gone(c, "bad");
        return;
    }

    if (c->answer.state == ANSWER_WHOLE) {

        if (used < (size_t) n) {
            gone(c, "more");
            return;
        }

        if (++c->times == option[OPTION_TIMES]) {
            gone(c, "whole");
            return;
        }

        tell(c, "whole");
        answer_reset(&c->answer);
        c->sent = 0;
        listen_to(c, 1);
        return;
    }

    if (option[OPTION_NAP]) {
        c->reads = now() + (uint64_t) option[OPTION_NAP];
        listen_to(c, 0);
    }
}


/* what is due; ms until the next thing will be */

static int
look_after(client_t *clients, int count)
{
    int        i;
    client_t  *c;
    uint64_t   time, next;

    time = now();
    next = time + 1000;

    for (i = 0; i < count; i++) {
        c = &clients[i];

        if (c->fd == -1) {

            if (c->comes <= time) {
                come(c);

            } else if (c->comes < next) {
                next = c->comes;
            }

            continue;
        }

        if (c->leaves <= time) {
            gone(c, "left");
            continue;
        }

        if (c->gives_up <= time) {
            gone(c, "stuck");
            continue;
        }

        if (c->leaves < next) {
            next = c->leaves;
        }

        if (!c->listening && c->sent == request_len) {

            if (c->reads <= time) {
                listen_to(c, 1);

            } else if (c->reads < next) {
                next = c->reads;
            }
        }
    }

    return next > time ? (int) (next - time) : 0;
}


static void
run(client_t *clients, int count)
{
    int                 i, n, wait;
    client_t           *c;
    struct epoll_event  events[256];

    while (left) {

        wait = look_after(clients, count);

        if (left == 0) {
            return;
        }

        n = epoll_wait(poller, events, 256, wait);

        if (n == -1 && errno != EINTR) {
            fail("epoll_wait");
        }

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (events[i].events & EPOLLOUT) {
                send_request(c);

            } else {
                receive(c);
            }
        }
    }
}


int
main(int argc, char *argv[])
{
    int        i, k, count;
    char      *value;
    size_t     n;
    client_t  *clients;

    if (argc < 5) {
        fprintf(stderr, "usage: crowd PORT REQUEST DIRECTORY COUNT "
                        "[OPTION=NUMBER ...]\n");
        return 2;
    }

    port = atoi(argv[1]);
    read_request(argv[2]);
    directory = argv[3];
    count = atoi(argv[4]);

    for (i = 5; i < argc; i++) {
        value = strchr(argv[i], '=');

        for (k = 0; value && k < OPTIONS; k++) {
            if (strncmp(argv[i], names[k], (size_t) (value - argv[i])) == 0
                && names[k][value - argv[i]] == '\0')
            {
                option[k] = atol(value + 1);
                break;
            }
        }

        if (value == NULL || k == OPTIONS) {
            fprintf(stderr, "crowd: there is no option \"%s\"\n", argv[i]);
            return 2;
        }
    }

    srand((unsigned) option[OPTION_SEED]);

    poller = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc((size_t) count, sizeof(client_t));

    if (poller == -1 || clients == NULL) {
        return fail("start");
    }

    left = count;

    for (i = 0; i < count; i++) {
        clients[i].fd = -1;
        clients[i].leaves = NEVER;
        clients[i].comes = now();

        if (option[OPTION_SPREAD]) {
            clients[i].comes += (uint64_t) (rand() % option[OPTION_SPREAD]);
        }
    }

    run(clients, count);

    for (n = 0; n < ngroups; n++) {
        printf("%d %d %s %s %zu %016llx\n", groups[n].count,
               groups[n].status, groups[n].cache, groups[n].end,
               groups[n].len, (unsigned long long) groups[n].digest);
    }

    return 0;
}
