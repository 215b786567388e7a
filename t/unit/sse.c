#include <stdio.h>
#include <stdlib.h>

#include "llm_sse.h"
#include "tap.h"


#define SSE_MAX  4096


typedef struct {
    const char  *name;
    const char  *text;
    size_t       len;
    const char  *expected;
} sse_case_t;

#define sse_case(name, text, expected)  \
    { name, text, sizeof(text) - 1, expected }


/* name[data]start-end@data_start for each event, then how the feed ended */

typedef struct {
    char    text[8192];
    size_t  len;
    int     stop_at;
    int     events;
} sse_log_t;


static const sse_case_t  sse_cases[] = {

    sse_case("a data line",
             "data: a\n\n",
             "[a]0-9@6;"),
    sse_case("no space after the colon",
             "data:a\n\n",
             "[a]0-8@5;"),
    sse_case("only one space is dropped",
             "data:  a \n\n",
             "[ a ]0-11@6;"),
    sse_case("CR LF",
             "data: a\r\n\r\n",
             "[a]0-11@6;"),
    sse_case("CR alone",
             "data: a\r\rdata: b\r\r",
             "[a]0-9@6;[b]9-18@15;"),
    sse_case("mixed line ends",
             "event: x\rdata: a\r\n\ndata: b\n\r\ndata: c\r\rdata: d\n\n",
             "x[a]0-19@15;[b]19-29@25;[c]29-38@35;[d]38-47@44;"),
    sse_case("LF CR is two line ends",
             "data: a\n\r\ndata: b\n\n",
             "[a]0-10@6;[b]10-19@16;"),
    sse_case("half a CR LF at the end",
             "data: a\r\n\r\ndata: b\r\n\r",
             "[a]0-11@6;pending"),
    sse_case("several events",
             "data: a\n\ndata: b\n\n",
             "[a]0-9@6;[b]9-18@15;"),
    sse_case("blank lines between events belong to none",
             "\n\ndata: a\n\n\n\ndata: b\n\n\n",
             "[a]2-11@8;[b]13-22@19;"),
    sse_case("data lines are joined",
             "data: a\ndata: b\ndata: c\n\n",
             "[a\nb\nc]0-25@-;"),
    sse_case("empty data lines are joined too",
             "data\ndata:\ndata: \n\n",
             "[\n\n]0-19@-;"),
    sse_case("an empty data line is an event",
             "data:\n\ndata\n\n",
             "[]0-7@5;[]7-13@11;"),
    sse_case("the name",
             "event: ping\ndata: {}\n\n",
             "ping[{}]0-22@18;"),
    sse_case("the name after the data",
             "data: {}\nevent: ping\n\n",
             "ping[{}]0-22@6;"),
    sse_case("the last name counts, for its event only",
             "event: a\nevent: b\ndata: 1\n\ndata: 2\n\n",
             "b[1]0-27@24;[2]27-36@33;"),
    sse_case("a name alone is told",
             "event: error\n\ndata: 1\n\n",
             "error[(null)]0-14@-;[1]14-23@20;"),
    sse_case("an empty name is none",
             "event: a\nevent\n\n",
             ""),
    sse_case("comments",
             ": hello\n\n:\ndata: a\n: b\n\n",
             "[a]9-24@17;"),
    sse_case("id, retry and unknown fields are no event",
             "id: 1\nretry: 5\nwhat: ever\ndatax: 1\n data: 2\nDATA: 3\n\n",
             ""),
    sse_case("a field name without a colon",
             "data\n\n",
             "[]0-6@4;"),
    sse_case("colons in the value",
             "data: a: b:c\n\n",
             "[a: b:c]0-14@6;"),
    sse_case("a byte order mark",
             "\xef\xbb\xbf" "data: a\n\n\xef\xbb\xbf" "data: b\n\n",
             "[a]3-12@9;"),
    sse_case("half a byte order mark",
             "\xef\xbb" "data: a\n\n",
             ""),
    sse_case("a byte order mark alone on its line",
             "\xef\xbb\xbf\ndata: a\n\n",
             "[a]4-13@10;"),
    sse_case("NUL and bytes that are not UTF-8 pass",
             "data: a\0\xff\n\n",
             "[a\\0\xff]0-11@6;"),
    sse_case("no blank line: not told",
             "data: a\n\ndata: b\n",
             "[a]0-9@6;pending"),
    sse_case("no line end: not told",
             "data: a\n\ndata: b",
             "[a]0-9@6;pending"),
    sse_case("ends inside a comment",
             "data: a\n\n: b",
             "[a]0-9@6;pending"),
    sse_case("ends after a comment",
             "data: a\n\n: b\n",
             "[a]0-9@6;"),
    sse_case("ends after an id",
             "data: a\n\nid: b\n",
             "[a]0-9@6;pending"),
    sse_case("nothing",
             "",
             "")
};

#define SSE_CASES  (sizeof(sse_cases) / sizeof(sse_cases[0]))


static void
sse_log(sse_log_t *log, const char *text, size_t len)
{
    size_t  i;

    for (i = 0; i < len && log->len < sizeof(log->text) - 4; i++) {

        if (text[i] == '\0') {
            log->text[log->len++] = '\\';
            log->text[log->len++] = '0';

        } else {
            log->text[log->len++] = text[i];
        }
    }

    log->text[log->len] = '\0';
}


static int
sse_handler(void *ctx, const llm_sse_event_t *event)
{
    int         n;
    char        text[128];
    sse_log_t  *log;

    log = ctx;

    sse_log(log, (const char *) event->name.data, event->name.len);
    sse_log(log, "[", 1);

    if (event->data.data) {
        sse_log(log, (const char *) event->data.data, event->data.len);

    } else {
        sse_log(log, event->data.len ? "(broken)" : "(null)",
                event->data.len ? 8 : 6);
    }

    if (event->data_start == SIZE_MAX) {
        n = snprintf(text, sizeof(text), "]%zu-%zu@-;", event->range.start,
                     event->range.end);

    } else {
        n = snprintf(text, sizeof(text), "]%zu-%zu@%zu;", event->range.start,
                     event->range.end, event->data_start);
    }

    sse_log(log, text, (size_t) n);

    return ++log->events == log->stop_at ? 77 : 0;
}


/* feeds the text cut at "one" and "two", or into single bytes; every piece
   is a copy that is gone afterwards */

static int
sse_run(sse_log_t *log, const char *text, size_t len, size_t one, size_t two,
    size_t max)
{
    int             rc;
    size_t          i, end;
    llm_sse_t       sse;
    unsigned char  *piece;

    log->len = 0;
    log->text[0] = '\0';
    log->events = 0;

    llm_sse_init(&sse, max, sse_handler, log);

    rc = 0;

    for (i = 0; i < len && rc == 0; i = end) {

        end = one == SIZE_MAX ? i + 1 : i < one ? one : i < two ? two : len;

        piece = malloc(end - i);
        memcpy(piece, text + i, end - i);

        rc = llm_sse_feed(&sse, piece, end - i);

        memset(piece, '#', end - i);
        free(piece);
    }

    if (rc == 0) {
        rc = llm_sse_end(&sse);
    }

    if (rc == 0 && llm_sse_pending(&sse)) {
        sse_log(log, "pending", 7);
    }

    llm_sse_free(&sse);

    return rc;
}


static void
sse_test_cases(void)
{
    int                bad;
    size_t             i, one, two;
    sse_log_t          log;
    const sse_case_t  *c;

    log.stop_at = 0;

    for (i = 0; i < SSE_CASES; i++) {
        c = &sse_cases[i];

        sse_run(&log, c->text, c->len, c->len, c->len, SSE_MAX);
        is_mem(log.text, log.len, c->expected, strlen(c->expected), "%s",
               c->name);

        bad = 0;

        sse_run(&log, c->text, c->len, SIZE_MAX, SIZE_MAX, SSE_MAX);
        bad += (strcmp(log.text, c->expected) != 0);

        for (one = 0; one <= c->len; one++) {
            for (two = one; two <= c->len; two++) {
                sse_run(&log, c->text, c->len, one, two, SSE_MAX);
                bad += (strcmp(log.text, c->expected) != 0);
            }
        }

        is_int(bad, 0, "%s: the same however it is cut", c->name);
    }
}


static void
sse_test_end(void)
{
    sse_log_t   log;
    const char  bare[] = "data: a\r\r";

    log.stop_at = 0;

    is_int(sse_run(&log, bare, sizeof(bare) - 1, SIZE_MAX, 0, SSE_MAX), 0,
           "a bare CR as the last blank line");
    is_mem(log.text, log.len, "[a]0-9@6;", 9, "its event is told at the end");
}


static void
sse_test_nothing(void)
{
    llm_sse_t  sse;
    sse_log_t  log;

    memset(&log, 0, sizeof(log));

    llm_sse_init(&sse, SSE_MAX, sse_handler, &log);

    is_int(llm_sse_feed(&sse, (const unsigned char *) "", 0), 0,
           "an empty piece");
    is_int(llm_sse_feed(&sse, (const unsigned char *) "data: a\r", 8), 0,
           "half a line end");
    is_int(llm_sse_feed(&sse, (const unsigned char *) "", 0), 0,
           "an empty piece in the midst of it");
    is_int(llm_sse_feed(&sse, (const unsigned char *) "\n\n", 2), 0,
           "the rest");
    is_mem(log.text, log.len, "[a]0-10@6;", 10, "makes one event");

    llm_sse_free(&sse);
}


static void
sse_test_stop(void)
{
    sse_log_t   log;
    const char  text[] = "data: a\n\ndata: b\n\ndata: c\n\n";

    log.stop_at = 2;

    is_int(sse_run(&log, text, sizeof(text) - 1, sizeof(text) - 1, 0,
                   SSE_MAX),
           77, "the handler's result stops the feed");
    is_mem(log.text, log.len, "[a]0-9@6;[b]9-18@15;", 20,
           "nothing is told after it");

    is_int(sse_run(&log, text, sizeof(text) - 1, SIZE_MAX, 0, SSE_MAX), 77,
           "byte by byte too");
}


static void
sse_test_max(void)
{
    sse_log_t   log;
    const char  fits[] = "data: 1234\n\n";
    const char  line[] = "data: 12345\n\n";
    const char  comment[] = ": 123456789\n\n";
    const char  joined[] = "data: 1234\ndata: 5678\ndata: 9\n\n";
    const char  open[] = "data: 12345";

    log.stop_at = 0;

#define sse_both(text, expected, name)                                        \
    is_int(sse_run(&log, text, sizeof(text) - 1, sizeof(text) - 1, 0, 10),    \
           expected, name);                                                   \
    is_int(sse_run(&log, text, sizeof(text) - 1, SIZE_MAX, 0, 10), expected,  \
           name ", byte by byte")

    sse_both(fits, 0, "a line of just the limit");
    sse_both(line, LLM_SSE_TOO_BIG, "a line over the limit");
    sse_both(comment, LLM_SSE_TOO_BIG, "a comment over the limit");
    sse_both(joined, LLM_SSE_TOO_BIG, "joined data over the limit");
    sse_both(open, LLM_SSE_TOO_BIG, "an unfinished line over the limit");
}


/* time that grows with the square of the length would never end here */

static void
sse_test_long(void)
{
    size_t      len;
    char       *text;
    sse_log_t   log;

    len = 4 * 1024 * 1024;
    text = malloc(len);

    log.stop_at = 0;

    memset(text, 'x', len);
    memcpy(text, "data: ", 6);
    memcpy(text + len - 2, "\n\n", 2);

    is_int(sse_run(&log, text, len, SIZE_MAX, 0, len), 0,
           "4 MB in one line, byte by byte");
    is_int(log.events, 1, "one event of it");

    memset(text, '\r', len);

    is_int(sse_run(&log, text, len, len, 0, len), 0, "4 MB of CR");

    memset(text, '\n', len);

    is_int(sse_run(&log, text, len, len, 0, len), 0, "4 MB of LF");
    is_int(log.events, 0, "no event of them");

    free(text);
}


int
main(void)
{
    sse_test_cases();
    sse_test_end();
    sse_test_nothing();
    sse_test_stop();
    sse_test_max();
    sse_test_long();

    return tap_done();
}
