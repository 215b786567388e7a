/*
 * A small TAP writer for unit test programs.  Begin with tap_plan(n), or end
 * with tap_done() without a plan; return tap_done() from main().
 */


#ifndef _TAP_H_INCLUDED_
#define _TAP_H_INCLUDED_


#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>


static int  tap_planned;
static int  tap_run;
static int  tap_failed;


static inline void
tap_plan(int n)
{
    tap_planned = n;
    printf("1..%d\n", n);
    fflush(stdout);
}


static inline void
tap_dump(const char *what, const void *data, size_t len)
{
    size_t                i;
    const unsigned char  *p;

    p = data;

    printf("#   %s: ", what);

    if (p == NULL) {
        printf("(null)\n");
        return;
    }

    for (i = 0; i < len; i++) {
        if (p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\') {
            putchar(p[i]);

        } else {
            printf("\\x%02x", p[i]);
        }
    }

    printf(" (%zu bytes)\n", len);
}


static inline int
tap_vresult(int pass, const char *file, int line, const char *fmt,
    va_list args)
{
    tap_run++;

    printf("%s %d - ", pass ? "ok" : "not ok", tap_run);
    vprintf(fmt, args);
    printf("\n");

    if (!pass) {
        tap_failed++;
        printf("#   failed at %s line %d\n", file, line);
    }

    fflush(stdout);

    return pass;
}


#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
static inline int
tap_ok(const char *file, int line, int pass, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    pass = tap_vresult(pass, file, line, fmt, args);
    va_end(args);

    return pass;
}


#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
static inline int
tap_int(const char *file, int line, int64_t got, int64_t expected,
    const char *fmt, ...)
{
    int      pass;
    va_list  args;

    va_start(args, fmt);
    pass = tap_vresult(got == expected, file, line, fmt, args);
    va_end(args);

    if (!pass) {
        printf("#   got: %lld\n", (long long) got);
        printf("#   expected: %lld\n", (long long) expected);
    }

    return pass;
}


#if defined(__GNUC__)
__attribute__((format(printf, 7, 8)))
#endif
static inline int
tap_mem(const char *file, int line, const void *got, size_t got_len,
    const void *expected, size_t expected_len, const char *fmt, ...)
{
    int      pass;
    va_list  args;

    pass = got_len == expected_len
           && (got_len == 0
               || (got != NULL && expected != NULL
                   && memcmp(got, expected, got_len) == 0));

    va_start(args, fmt);
    pass = tap_vresult(pass, file, line, fmt, args);
    va_end(args);

    if (!pass) {
        tap_dump("got", got, got_len);
        tap_dump("expected", expected, expected_len);
    }

    return pass;
}


static inline int
tap_done(void)
{
    if (tap_planned == 0) {
        printf("1..%d\n", tap_run);

    } else if (tap_run != tap_planned) {
        printf("# planned %d tests, ran %d\n", tap_planned, tap_run);
    }

    if (tap_failed) {
        printf("# failed %d of %d tests\n", tap_failed, tap_run);
    }

    fflush(stdout);

    return (tap_failed || (tap_planned && tap_run != tap_planned)) ? 1 : 0;
}


#define plan(n)          tap_plan(n)
#define done()           tap_done()

/* each takes a printf-like test name last, returns whether it passed */

#define ok(pass, ...)                                                         \
    tap_ok(__FILE__, __LINE__, (pass) ? 1 : 0, __VA_ARGS__)

#define is_int(got, expected, ...)                                            \
    tap_int(__FILE__, __LINE__, (int64_t) (got), (int64_t) (expected),        \
            __VA_ARGS__)

#define is_mem(got, got_len, expected, expected_len, ...)                     \
    tap_mem(__FILE__, __LINE__, got, got_len, expected, expected_len,         \
            __VA_ARGS__)

/* an llm_str_t or llm_buf_t (anything with data and len) against a C string */

#define is_str(got, expected, ...)                                            \
    tap_mem(__FILE__, __LINE__, (got).data, (got).len, expected,              \
            strlen(expected), __VA_ARGS__)


#endif /* _TAP_H_INCLUDED_ */
