/*
 * How long a search among many vectors takes, and how often it finds what an
 * exact scan finds.
 *
 *   vector N DIM [QUERIES]
 *
 * Two sets: "planted": every question is a stored vector with noise, so that
 * the cosine of the two is what it says; "random": nothing is near, the
 * nearest is the best of noise, which no threshold lets through.
 * Prints a line for each: set, cosine, microseconds a search, of the median
 * and of the 99th percentile, recall@1, and the microseconds of the exact
 * scan over floats.
 */


#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "llm_vector.h"


#define VECTOR_CANDIDATES  256


typedef struct {
    size_t                n;
    size_t                dim;
    float                *floats;
    int8_t               *packed;
    float                *scales;
    uint64_t             *tags;
    llm_vector_sketch_t  *sketches;
} vector_set_t;


static uint64_t  vector_seed = 88172645463325252ull;


static double vector_now(void);
static double vector_normal(void);
static int vector_make(vector_set_t *set);
static size_t vector_exact(const vector_set_t *set, const float *q);
static size_t vector_search(const vector_set_t *set, const float *q);
static int vector_by_value(const void *one, const void *two);
static int vector_measure(const vector_set_t *set, double cosine,
    size_t queries);


static double
vector_now(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}


/* twelve uniform ones make a normal one, nearly */

static double
vector_normal(void)
{
    int     i;
    double  sum;

    sum = -6;

    for (i = 0; i < 12; i++) {
        vector_seed ^= vector_seed << 13;
        vector_seed ^= vector_seed >> 7;
        vector_seed ^= vector_seed << 17;
        sum += (double) (vector_seed >> 11) / 9007199254740992.0;
    }

    return sum;
}


static int
vector_make(vector_set_t *set)
{
    size_t  i, k;
    float  *v;

    set->floats = malloc(set->n * set->dim * sizeof(float));
    set->packed = malloc(set->n * set->dim);
    set->scales = malloc(set->n * sizeof(float));
    set->tags = malloc(set->n * sizeof(uint64_t));
    set->sketches = malloc(set->n * sizeof(llm_vector_sketch_t));

    if (set->floats == NULL || set->packed == NULL || set->scales == NULL
        || set->tags == NULL || set->sketches == NULL)
    {
        return -1;
    }

    for (i = 0; i < set->n; i++) {
        v = set->floats + i * set->dim;

        for (k = 0; k < set->dim; k++) {
            v[k] = (float) vector_normal();
        }

        (void) llm_vector_normalise(v, set->dim);

        set->tags[i] = 1;
        set->scales[i] = llm_vector_pack(v, set->dim,
                                         set->packed + i * set->dim);
        llm_vector_sketch(v, set->dim, &set->sketches[i]);
    }

    return 0;
}


static size_t
vector_exact(const vector_set_t *set, const float *q)
{
    float         sum, best;
    size_t        i, k, found;
    const float  *v;

    best = -2;
    found = 0;

    for (i = 0; i < set->n; i++) {
        v = set->floats + i * set->dim;
        sum = 0;

        for (k = 0; k < set->dim; k++) {
            sum += v[k] * q[k];
        }

        if (sum > best) {
            best = sum;
            found = i;
        }
    }

    return found;
}


static size_t
vector_search(const vector_set_t *set, const float *q)
{
    float                dot, best;
    size_t               i, n, at, found;
    int8_t               packed[LLM_VECTOR_MAX];
    llm_vector_hit_t     hits[VECTOR_CANDIDATES];
    llm_vector_sketch_t  sketch;

    (void) llm_vector_pack(q, set->dim, packed);
    llm_vector_sketch(q, set->dim, &sketch);

    n = llm_vector_scan(set->tags, 1, set->sketches, set->n, &sketch, hits,
                        VECTOR_CANDIDATES);

    best = -INFINITY;
    found = 0;

    for (i = 0; i < n; i++) {
        at = hits[i].index;

        dot = (float) llm_vector_dot(packed, set->packed + at * set->dim,
                                     set->dim)
              * set->scales[at];

        if (dot > best) {
            best = dot;
            found = at;
        }
    }

    return found;
}


static int
vector_by_value(const void *one, const void *two)
{
    double  a, b;

    a = *(const double *) one;
    b = *(const double *) two;

    return (a > b) - (a < b);
}


/* cosine 0: nothing is planted */

static int
vector_measure(const vector_set_t *set, double cosine, size_t queries)
{
    float   *q;
    size_t   i, k, from, right, found;
    double   start, exact, *times, sum, noise;

    q = malloc(set->dim * sizeof(float));
    times = malloc(queries * sizeof(double));

    if (q == NULL || times == NULL) {
        return -1;
    }

    right = 0;
    exact = 0;
    noise = cosine > 0 ? sqrt(1 / (cosine * cosine) - 1) : 1;

    for (i = 0; i < queries; i++) {
        from = i * 7919 % set->n;
        sum = 1 / sqrt((double) set->dim);

        for (k = 0; k < set->dim; k++) {
            q[k] = (float) (vector_normal() * sum * noise);

            if (cosine > 0) {
                q[k] += set->floats[from * set->dim + k];
            }
        }

        (void) llm_vector_normalise(q, set->dim);

        start = vector_now();
        found = vector_search(set, q);
        times[i] = (vector_now() - start) * 1e6;

        start = vector_now();
        right += (found == vector_exact(set, q));
        exact += vector_now() - start;
    }

    qsort(times, queries, sizeof(double), vector_by_value);

    printf("%s\t%.2f\t%.0f\t%.0f\t%.4f\t%.0f\n",
           cosine > 0 ? "planted" : "random", cosine, times[queries / 2],
           times[queries * 99 / 100], (double) right / (double) queries,
           exact / (double) queries * 1e6);

    free(q);
    free(times);

    return 0;
}


int
main(int argc, char **argv)
{
    size_t        i, queries;
    vector_set_t  set;

    static const double  cosines[] = { 0.95, 0.9, 0.8, 0.7, 0.6, 0 };

    if (argc < 3) {
        fprintf(stderr, "usage: vector N DIM [QUERIES]\n");
        return 2;
    }

    memset(&set, 0, sizeof(vector_set_t));

    set.n = strtoul(argv[1], NULL, 10);
    set.dim = strtoul(argv[2], NULL, 10);
    queries = argc > 3 ? strtoul(argv[3], NULL, 10) : 200;

    if (set.n == 0 || set.dim == 0 || set.dim > LLM_VECTOR_MAX
        || queries == 0 || vector_make(&set) != 0)
    {
        fprintf(stderr, "vector: cannot measure that\n");
        return 1;
    }

    printf("set\tcosine\tmedian us\tp99 us\trecall@1\texact us\n");

    for (i = 0; i < sizeof(cosines) / sizeof(cosines[0]); i++) {
        if (vector_measure(&set, cosines[i], queries) != 0) {
            return 1;
        }
    }

    free(set.floats);
    free(set.packed);
    free(set.scales);
    free(set.tags);
    free(set.sketches);

    return 0;
}
