#define _GNU_SOURCE

#include "answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>


static void
answer_add(char **p, size_t *len, size_t *size, const char *data, size_t n)
{
    if (*len + n + 1 > *size) {
        *size = 2 * (*len + n + 1);
        *p = realloc(*p, *size);

        if (*p == NULL) {
            fprintf(stderr, "no memory\n");
            exit(2);
        }
    }

    memcpy(*p + *len, data, n);
    *len += n;
    (*p)[*len] = '\0';
}


static const char *
answer_header(answer_t *a, const char *name)
{
    char  *p;

    p = strcasestr(a->line, name);

    if (p == NULL) {
        return NULL;
    }

    for (p += strlen(name); *p == ' '; p++) { /* void */ }

    return p;
}


static void
answer_head(answer_t *a)
{
    const char  *p;

    if (sscanf(a->line, "HTTP/1.%*d %d", &a->status) != 1) {
        a->state = ANSWER_BAD;
        return;
    }

    p = answer_header(a, "\r\nX-LLM-Cache:");

    if (p == NULL || sscanf(p, "%15[A-Z]", a->cache) != 1) {
        strcpy(a->cache, "-");
    }

    p = answer_header(a, "\r\nTransfer-Encoding:");

    if (p && strncasecmp(p, "chunked", 7) == 0) {
        a->state = ANSWER_SIZE;
        return;
    }

    p = answer_header(a, "\r\nContent-Length:");

    if (p == NULL) {
        a->state = ANSWER_CLOSE;
        return;
    }

    a->left = strtoul(p, NULL, 10);
    a->state = a->left ? ANSWER_LENGTH : ANSWER_WHOLE;
}


/* a line is there, or the head */

static void
answer_line(answer_t *a)
{
    char  *end;

    switch (a->state) {

    case ANSWER_HEAD:
        answer_head(a);
        break;

    case ANSWER_SIZE:
        a->left = strtoul(a->line, &end, 16);

        if (end == a->line) {
            a->state = ANSWER_BAD;

        } else {
            a->state = a->left ? ANSWER_CHUNK : ANSWER_TRAILER;
        }

        break;

    case ANSWER_CHUNK_END:
        a->state = a->line_len == 2 ? ANSWER_SIZE : ANSWER_BAD;
        break;

    default: /* ANSWER_TRAILER */

        if (a->line_len == 2) {
            a->state = ANSWER_WHOLE;
        }
    }

    a->line_len = 0;
}


size_t
answer_feed(answer_t *a, const char *data, size_t len)
{
    size_t  n, done;

    for (done = 0; done < len && a->state < ANSWER_WHOLE; /* void */ ) {

        switch (a->state) {

        case ANSWER_LENGTH:
        case ANSWER_CHUNK:
        case ANSWER_CLOSE:

            n = len - done;

            if (a->state != ANSWER_CLOSE && n > a->left) {
                n = a->left;
            }

            answer_add(&a->body, &a->len, &a->size, data + done, n);
            done += n;

            if (a->state != ANSWER_CLOSE && (a->left -= n) == 0) {
                a->state = a->state == ANSWER_LENGTH ? ANSWER_WHOLE
                                                     : ANSWER_CHUNK_END;
            }

            break;

        default:

            answer_add(&a->line, &a->line_len, &a->line_size, data + done, 1);

            if (data[done++] == '\n'
                && (a->state != ANSWER_HEAD
                    || (a->line_len >= 4
                        && memcmp(a->line + a->line_len - 4, "\r\n\r\n", 4)
                           == 0)))
            {
                answer_line(a);
            }
        }
    }

    return done;
}


void
answer_reset(answer_t *a)
{
    a->state = ANSWER_HEAD;
    a->status = 0;
    strcpy(a->cache, "-");
    a->left = 0;
    a->line_len = 0;
    a->len = 0;
}


void
answer_free(answer_t *a)
{
    free(a->line);
    free(a->body);
}
