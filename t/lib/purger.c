/*
 * Fills a zone with small answers, then purges it while others ask.
 *
 *   purger PORT ENTRIES SECONDS JSON
 *
 * Two clients ask for one answer after the other for so many seconds, after a
 * third of which the purge is asked for.  It prints
 *
 *   PURGED MS ASKED P99 LONGEST LATE P99 LONGEST LATE
 *
 * The purge's count and how long its answer took; requests, their times in
 * microseconds before the purge began and from then on, and how many of them
 * took more than 5 ms.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>


#define FILLERS  2
#define ASKERS   2
#define BURST    64
#define AMONG    200
#define SAMPLES  2000000
#define END      "\"end\"}]}"


typedef struct {
    volatile int64_t  purged_at;
    volatile int64_t  stop_at;
    volatile long     n[ASKERS];
    int32_t           micros[ASKERS][SAMPLES];
    int64_t           at[ASKERS][SAMPLES];
} shared_t;


static int        port;
static shared_t  *shared;


static void
fail(const char *what)
{
    fprintf(stderr, "purger: %s: %s\n", what, strerror(errno));
    _exit(2);
}


static int64_t
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static int
connected(void)
{
    int                 fd, one;
    struct sockaddr_in  sin;

    one = 1;
    fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (fd == -1
        || connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == -1)
    {
        fail("connect");
    }

    return fd;
}


static int
question(char *p, long number)
{
    char  body[256];
    int   len;

    len = sprintf(body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
                        "\"content\":\"question %ld\"}]}", number);

    return sprintf(p, "POST /v1/chat/completions HTTP/1.1\r\n"
                      "Host: localhost\r\nContent-Type: application/json\r\n"
                      "Authorization: Bearer sk-test\r\n"
                      "Content-Length: %d\r\n\r\n%s", len, body);
}


static void
put(int fd, const char *p, size_t len)
{
    if (send(fd, p, len, MSG_NOSIGNAL) != (ssize_t) len) {
        fail("send");
    }
}


/* reads so many answers, which all end in the same way */

static void
take(int fd, long n)
{
    size_t       kept;
    ssize_t      got;
    const char  *p;

    static char  buf[65536];

    for (kept = 0; n > 0; /* void */ ) {

        got = recv(fd, buf + kept, sizeof(buf) - 1 - kept, 0);

        if (got <= 0) {
            fail("recv");
        }

        kept += (size_t) got;
        buf[kept] = '\0';

        for (p = buf; (p = strstr(p, END)) != NULL; p += sizeof(END) - 1) {
            n--;
        }

        /* an end may be cut in two */

        if (kept >= sizeof(END) - 1
            && strcmp(buf + kept - (sizeof(END) - 1), END) == 0)
        {
            kept = 0;

        } else if (kept >= sizeof(END) - 2) {
            memmove(buf, buf + kept - (sizeof(END) - 2), sizeof(END) - 2);
            kept = sizeof(END) - 2;
        }
    }
}


static void
fill(long from, long to)
{
    int   fd;
    long  i, n;
    char  buf[BURST * 512], *p;

    fd = connected();

    for (i = from; i < to; i += n) {

        p = buf;

        for (n = 0; n < BURST && i + n < to; n++) {
            p += question(p, i + n);
        }

        put(fd, buf, (size_t) (p - buf));
        take(fd, n);
    }
}


static void
ask(int who)
{
    int      fd, len;
    long     n;
    char     buf[1024];
    int64_t  start;

    fd = connected();

    for (n = 0; n < SAMPLES; n++) {

        start = now();

        if (start >= shared->stop_at) {
            break;
        }

        len = question(buf, n % AMONG);

        put(fd, buf, (size_t) len);
        take(fd, 1);

        shared->micros[who][n] = (int32_t) (now() - start);
        shared->at[who][n] = start;
        shared->n[who] = n + 1;
    }
}


static long
purge(const char *json, int64_t *took)
{
    int          fd;
    char         buf[4096];
    size_t       len;
    ssize_t      got;
    const char  *p;

    fd = connected();

    len = (size_t) snprintf(buf, sizeof(buf), "POST /api/purge HTTP/1.1\r\n"
                            "Host: localhost\r\nConnection: close\r\n"
                            "Content-Length: %zu\r\n\r\n%s",
                            strlen(json), json);

    shared->purged_at = now();

    put(fd, buf, len);

    for (len = 0; len < sizeof(buf) - 1; len += (size_t) got) {
        got = recv(fd, buf + len, sizeof(buf) - 1 - len, 0);

        if (got <= 0) {
            break;
        }

        *took = now() - shared->purged_at;
    }

    buf[len] = '\0';
    p = strstr(buf, "\"purged\":");

    return p ? atol(p + 9) : -1;
}


static int
compare(const void *a, const void *b)
{
    return *(const int32_t *) a < *(const int32_t *) b ? -1
           : *(const int32_t *) a > *(const int32_t *) b;
}


static void
report(int after)
{
    int             who;
    long            i, n;
    int64_t         at;
    static int32_t  all[ASKERS * SAMPLES];

    n = 0;

    for (who = 0; who < ASKERS; who++) {
        for (i = 0; i < shared->n[who]; i++) {

            at = shared->at[who][i];

            /* one that waited when the purge began counts, too */

            if (after == (at + shared->micros[who][i] >= shared->purged_at)) {
                all[n++] = shared->micros[who][i];
            }
        }
    }

    qsort(all, (size_t) n, sizeof(all[0]), compare);

    printf(" %d %d", n ? all[n * 99 / 100] : 0, n ? all[n - 1] : 0);

    for (i = n; i > 0 && all[i - 1] > 5000; i--) { /* void */ }

    printf(" %ld", n - i);
}


static void
wait_for(int children)
{
    int  status;

    while (children--) {
        if (wait(&status) == -1 || status != 0) {
            fail("a client failed");
        }
    }
}


int
main(int argc, char **argv)
{
    int      i;
    long     entries, seconds, purged;
    int64_t  took;

    if (argc != 5) {
        return 2;
    }

    port = atoi(argv[1]);
    entries = atol(argv[2]);
    seconds = atol(argv[3]);

    shared = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        fail("mmap");
    }

    for (i = 0; i < FILLERS; i++) {
        if (fork() == 0) {
            fill(entries * i / FILLERS, entries * (i + 1) / FILLERS);
            _exit(0);
        }
    }

    wait_for(FILLERS);

    shared->stop_at = now() + seconds * 1000000;

    for (i = 0; i < ASKERS; i++) {
        if (fork() == 0) {
            ask(i);
            _exit(0);
        }
    }

    usleep((useconds_t) (seconds * 1000000 / 3));

    took = -1;
    purged = purge(argv[4], &took);

    wait_for(ASKERS);

    printf("%ld %.2f %ld", purged, (double) took / 1000,
           shared->n[0] + shared->n[1]);

    report(0);
    report(1);
    printf("\n");

    return 0;
}
