/*
 * Compares evict=cost with evict=lru on a synthetic trace: Zipf popularity,
 * log-normal sizes, cost by tokens.  Prints a table, or with -s an SVG plot.
 *
 *   evict [-s] [SEED]
 */


#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "llm_evict.h"


#define KEYS      100000
#define REQUESTS  1000000
#define ZIPF      0.9

/* one-time keys between the others: a crawler, a batch job */
#define SCAN      0.2


typedef struct {
    double     size;
    double     cost;
    int64_t    prompt;
    int64_t    completion;
    uint32_t   frequency;
    uint32_t   weight;
    int        asked;                /* since it was placed */
    uint64_t   priority;
    size_t     at;                   /* in the heap, 0: not cached */
} answer_t;


typedef struct {
    answer_t **heap;                 /* from 1 */
    size_t     n;
    double     used;
    double     memory;
    uint64_t   age;
    uint64_t   clock;
    int        lru;
    double     saved;
    double     total;
} cache_t;


static uint64_t  random_state;


static double
chance(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;

    return (double) (random_state >> 11) / (double) (1ULL << 53);
}


static double
log_normal(double median, double sigma)
{
    double  u, v;

    u = 1.0 - chance();
    v = chance();

    return median * exp(sigma * sqrt(-2.0 * log(u)) * cos(6.283185307179586
                                                          * v));
}


static void
place(cache_t *c, size_t at, answer_t *a)
{
    c->heap[at] = a;
    a->at = at;
}


static void
sift(cache_t *c, size_t at)
{
    size_t     child;
    answer_t  *a;

    a = c->heap[at];

    while (at > 1 && c->heap[at / 2]->priority > a->priority) {
        place(c, at, c->heap[at / 2]);
        at /= 2;
    }

    for ( ;; ) {
        child = 2 * at;

        if (child > c->n) {
            break;
        }

        if (child < c->n
            && c->heap[child + 1]->priority < c->heap[child]->priority)
        {
            child++;
        }

        if (c->heap[child]->priority >= a->priority) {
            break;
        }

        place(c, at, c->heap[child]);
        at = child;
    }

    place(c, at, a);
}


static uint64_t
priority(cache_t *c, answer_t *a)
{
    return c->lru ? ++c->clock
                  : llm_evict_priority(c->age, a->frequency, a->weight);
}


/*
 * As the module does it: a request only counts; what was asked for since it
 * was placed is placed anew when its turn to go comes, a few at a time.
 */

static void
evict(cache_t *c)
{
    int        i;
    answer_t  *a;

    for (i = 0; i < LLM_EVICT_CHANCES && c->heap[1]->asked; i++) {
        a = c->heap[1];
        a->asked = 0;
        a->priority = priority(c, a);
        sift(c, 1);
    }

    a = c->heap[1];
    a->at = 0;

    c->age = a->priority;
    c->used -= a->size;

    c->n--;

    if (c->n) {
        c->heap[1] = c->heap[c->n + 1];
        sift(c, 1);
    }
}


static void
request(cache_t *c, answer_t *a)
{
    c->total += a->cost;

    if (a->at) {
        c->saved += a->cost;
        a->frequency++;
        a->asked = 1;
        return;
    }

    if (a->size > c->memory) {
        return;
    }

    while (c->used + a->size > c->memory) {
        evict(c);
    }

    a->frequency = 1;
    a->asked = 0;
    a->priority = priority(c, a);

    c->used += a->size;
    c->n++;
    c->heap[c->n] = a;
    sift(c, c->n);
}


static void
make_answer(answer_t *a)
{
    a->completion = (int64_t) log_normal(250, 1.0) + 1;
    a->prompt = (int64_t) log_normal(800, 1.2) + 1;

    /* JSON or a stream, whose events repeat their frame per token */

    a->size = (double) a->completion * (chance() < 0.5 ? 4.5 : 220) + 500;
    a->cost = (double) a->prompt
              + (double) a->completion * LLM_EVICT_COMPLETION;
    a->weight = llm_evict_weight(a->prompt, a->completion, (size_t) a->size);
    a->at = 0;
}


static size_t
popular(const double *sum)
{
    double  u;
    size_t  low, high, mid;

    u = chance() * sum[KEYS - 1];
    low = 0;
    high = KEYS - 1;

    while (low < high) {
        mid = (low + high) / 2;

        if (sum[mid] < u) {
            low = mid + 1;

        } else {
            high = mid;
        }
    }

    return low;
}


/* the share of the token cost that a cache of that part of all bytes saves */

static double
run(uint64_t seed, double part, int lru, double scan)
{
    size_t     i, once;
    double    *sum, bytes, saved;
    cache_t    c;
    answer_t  *answers;

    random_state = seed;

    answers = calloc(KEYS + REQUESTS, sizeof(answer_t));
    sum = calloc(KEYS, sizeof(double));

    c = (cache_t) { 0 };
    c.heap = calloc(KEYS + REQUESTS + 2, sizeof(answer_t *));
    c.lru = lru;

    if (answers == NULL || sum == NULL || c.heap == NULL) {
        exit(1);
    }

    for (i = 0, bytes = 0; i < KEYS; i++) {
        make_answer(&answers[i]);
        bytes += answers[i].size;
        sum[i] = (i ? sum[i - 1] : 0) + 1 / pow((double) (i + 1), ZIPF);
    }

    c.memory = bytes * part;
    once = KEYS;

    for (i = 0; i < REQUESTS; i++) {

        if (chance() < scan) {
            make_answer(&answers[once]);
            request(&c, &answers[once++]);

        } else {
            request(&c, &answers[popular(sum)]);
        }
    }

    saved = c.saved / c.total;

    free(answers);
    free(sum);
    free(c.heap);

    return saved;
}


static const double  parts[] = { 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4 };

#define PARTS  (sizeof(parts) / sizeof(parts[0]))


static void
table(uint64_t seed)
{
    size_t  i;
    double  lru, cost, scan_lru, scan_cost;

    printf("| memory, of all bytes | lru | cost | cost / lru "
           "| lru, scanned | cost, scanned | cost / lru |\n");
    printf("|---|---|---|---|---|---|---|\n");

    for (i = 0; i < PARTS; i++) {
        lru = run(seed, parts[i], 1, 0);
        cost = run(seed, parts[i], 0, 0);
        scan_lru = run(seed, parts[i], 1, SCAN);
        scan_cost = run(seed, parts[i], 0, SCAN);

        printf("| %.1f %% | %.1f %% | %.1f %% | %.2f "
               "| %.1f %% | %.1f %% | %.2f |\n", parts[i] * 100, lru * 100,
               cost * 100, cost / lru, scan_lru * 100, scan_cost * 100,
               scan_cost / scan_lru);
    }
}


static void
line(uint64_t seed, int lru, double scan, const char *style)
{
    size_t  i;

    printf("<polyline fill=\"none\" stroke-width=\"2\" %s points=\"", style);

    for (i = 0; i < PARTS; i++) {
        printf("%s%.1f,%.1f", i ? " " : "",
               60 + 500 * (double) i / (double) (PARTS - 1),
               260 - 240 * run(seed, parts[i], lru, scan));
    }

    printf("\"/>\n");
}


static void
plot(uint64_t seed)
{
    size_t  i;

    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 600 330\""
           " font-family=\"sans-serif\" font-size=\"12\">\n"
           "<rect width=\"600\" height=\"330\" fill=\"#fff\"/>\n"
           "<path d=\"M60 20V260H560\" fill=\"none\" stroke=\"#888\"/>\n");

    for (i = 0; i < PARTS; i++) {
        printf("<text x=\"%.1f\" y=\"278\" text-anchor=\"middle\">%.1f %%"
               "</text>\n", 60 + 500 * (double) i / (double) (PARTS - 1),
               parts[i] * 100);
    }

    for (i = 0; i <= 10; i += 2) {
        printf("<text x=\"52\" y=\"%.1f\" text-anchor=\"end\">%zu %%"
               "</text>\n", 264 - 24 * (double) i, i * 10);
    }

    line(seed, 1, 0, "stroke=\"#c50\"");
    line(seed, 0, 0, "stroke=\"#06c\"");
    line(seed, 1, SCAN, "stroke=\"#c50\" stroke-dasharray=\"5 4\"");
    line(seed, 0, SCAN, "stroke=\"#06c\" stroke-dasharray=\"5 4\"");

    printf("<text x=\"310\" y=\"298\" text-anchor=\"middle\">memory, as a "
           "part of all answers' bytes</text>\n"
           "<text x=\"310\" y=\"318\" text-anchor=\"middle\">upstream token "
           "cost saved: <tspan fill=\"#06c\">evict=cost</tspan>, "
           "<tspan fill=\"#c50\">evict=lru</tspan>; dashed: one request in "
           "five scans</text>\n</svg>\n");
}


int
main(int argc, char *argv[])
{
    int       svg;
    uint64_t  seed;

    svg = argc > 1 && strcmp(argv[1], "-s") == 0;
    seed = argc > 1 + svg ? strtoull(argv[1 + svg], NULL, 10) : 1;

    if (svg) {
        plot(seed * 2685821657736338717ULL);

    } else {
        table(seed * 2685821657736338717ULL);
    }

    return 0;
}
