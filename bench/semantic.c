/*
 * How good and how fast the embedders and the guards are on pairs of texts.
 *
 *   semantic PAIRS [SVG [DIR ...]]
 *
 * PAIRS is a JSON array of {"origin", "similar"}: all origins are stored, then
 * every "similar" asks; right: it gets its own origin, wrong: another one.  Or
 * of {"text_a", "text_b", "label"}: one is stored, the other asks, which is
 * right where the label is 1 (or true) and wrong where it is 0.  The nearest
 * text counts that passes the guards, among the first 8.
 *
 * DIR: a model for the static embedder, or a file NAME.json of vectors that
 * another one made, {"text": [numbers]}; lexical is always there.
 */


#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jansson.h>

#include "llm_embed_lexical.h"
#include "llm_embed_static.h"
#include "llm_guard.h"
#include "llm_vector.h"


#define SEMANTIC_TRIES       8
#define SEMANTIC_CANDIDATES  256
#define SEMANTIC_STEPS       50         /* thresholds: 0.50 and up */
#define SEMANTIC_SETS        3          /* guards: none, but for words, all */


typedef struct {
    llm_str_t             text;
    float                *vector;       /* NULL: has no words */
    llm_guard_text_t     *guard;
} semantic_text_t;


typedef struct {
    size_t                n;
    int                   labelled;
    int                  *labels;
    semantic_text_t      *stored;
    semantic_text_t      *asked;

    const llm_static_t   *model;        /* else the vectors, else lexical */
    const json_t         *vectors;
    llm_lexical_idf_t     idf;
    size_t                dim;

    int8_t               *packed;
    uint64_t             *tags;
    llm_vector_sketch_t  *sketches;
} semantic_t;


typedef struct {
    float                 similarity;   /* -2: none */
    int                   right;
} semantic_best_t;


typedef struct {
    size_t                right;
    size_t                wrong;
} semantic_count_t;


static const unsigned     semantic_guards[SEMANTIC_SETS] = {
    0, LLM_GUARD_ALL & ~LLM_GUARD_WORDS, LLM_GUARD_ALL
};

static const char *const  semantic_names[SEMANTIC_SETS] = {
    "no guards", "guards but for words", "all guards"
};

static const char *const  semantic_colours[SEMANTIC_SETS] = {
    "#888888", "#1f77b4", "#2ca02c"
};


static double
semantic_now(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}


static int
semantic_text(semantic_text_t *text, const json_t *value)
{
    if (!json_is_string(value)) {
        return -1;
    }

    text->text.data = (const unsigned char *) json_string_value(value);
    text->text.len = json_string_length(value);
    text->guard = llm_guard_read(text->text);

    return text->guard ? 0 : -1;
}


static int
semantic_load(semantic_t *s, const json_t *doc)
{
    size_t       i;
    json_t      *pair, *label;
    const char  *stored, *asked;

    s->n = json_array_size(doc);
    s->stored = calloc(s->n + 1, sizeof(semantic_text_t));
    s->asked = calloc(s->n + 1, sizeof(semantic_text_t));
    s->labels = calloc(s->n + 1, sizeof(int));

    if (s->n == 0 || s->stored == NULL || s->asked == NULL
        || s->labels == NULL)
    {
        return -1;
    }

    s->labelled = json_object_get(json_array_get(doc, 0), "label") != NULL;

    stored = s->labelled ? "text_a" : "origin";
    asked = s->labelled ? "text_b" : "similar";

    for (i = 0; i < s->n; i++) {
        pair = json_array_get(doc, i);

        label = json_object_get(pair, "label");
        s->labels[i] = json_is_true(label) || json_integer_value(label) == 1;

        if (semantic_text(&s->stored[i], json_object_get(pair, stored)) != 0
            || semantic_text(&s->asked[i], json_object_get(pair, asked)) != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* made by another embedder: 0, or -1 where there is none */

static int
semantic_given(const semantic_t *s, llm_str_t text, float *vector)
{
    double   sum;
    size_t   i;
    json_t  *values;

    values = json_object_getn(s->vectors, (const char *) text.data, text.len);

    if (json_array_size(values) != s->dim) {
        return -1;
    }

    sum = 0;

    for (i = 0; i < s->dim; i++) {
        vector[i] = (float) json_number_value(json_array_get(values, i));
        sum += (double) vector[i] * (double) vector[i];
    }

    for (i = 0; i < s->dim && sum > 0; i++) {
        vector[i] /= (float) sqrt(sum);
    }

    return sum > 0 ? 0 : -1;
}


static int
semantic_embed(semantic_t *s, semantic_text_t *texts)
{
    int     rc;
    size_t  i;

    for (i = 0; i < s->n; i++) {

        free(texts[i].vector);
        texts[i].vector = malloc(s->dim * sizeof(float));

        if (texts[i].vector == NULL) {
            return -1;
        }

        if (s->model) {
            rc = llm_static_embed(s->model, texts[i].text, texts[i].vector);

        } else if (s->vectors) {
            rc = semantic_given(s, texts[i].text, texts[i].vector);

        } else {
            rc = llm_lexical_embed(&s->idf, texts[i].text, texts[i].vector);
        }

        if (rc != 0) {
            free(texts[i].vector);
            texts[i].vector = NULL;
        }
    }

    return 0;
}


static int
semantic_index(semantic_t *s)
{
    size_t  i;

    free(s->packed);
    free(s->tags);
    free(s->sketches);

    s->packed = calloc(s->n, s->dim);
    s->tags = calloc(s->n, sizeof(uint64_t));
    s->sketches = calloc(s->n, sizeof(llm_vector_sketch_t));

    if (s->packed == NULL || s->tags == NULL || s->sketches == NULL) {
        return -1;
    }

    for (i = 0; i < s->n; i++) {

        if (s->stored[i].vector) {
            s->tags[i] = 1;
            (void) llm_vector_pack(s->stored[i].vector, s->dim,
                                   s->packed + i * s->dim);
            llm_vector_sketch(s->stored[i].vector, s->dim, &s->sketches[i]);
        }
    }

    return 0;
}


/* as the module does it, for its time alone */

static void
semantic_search(const semantic_t *s, const semantic_text_t *text)
{
    size_t               i, n;
    int8_t               packed[LLM_VECTOR_MAX];
    llm_vector_hit_t     hits[SEMANTIC_CANDIDATES];
    llm_vector_sketch_t  sketch;

    (void) llm_vector_pack(text->vector, s->dim, packed);
    llm_vector_sketch(text->vector, s->dim, &sketch);

    n = llm_vector_scan(s->tags, 1, s->sketches, s->n, &sketch, hits,
                        SEMANTIC_CANDIDATES);

    for (i = 0; i < n; i++) {
        (void) llm_vector_dot(packed, s->packed + hits[i].index * s->dim,
                              s->dim);
    }
}


static float
semantic_cosine(const semantic_t *s, const semantic_text_t *a,
    const semantic_text_t *b)
{
    float   sum;
    size_t  i;

    if (a->vector == NULL || b->vector == NULL) {
        return -2;
    }

    sum = 0;

    for (i = 0; i < s->dim; i++) {
        sum += a->vector[i] * b->vector[i];
    }

    return sum;
}


static void
semantic_find(const semantic_t *s, size_t asked, unsigned guards,
    semantic_best_t *best)
{
    size_t                  i, k, n, last, tries[SEMANTIC_TRIES];
    float                   all[SEMANTIC_TRIES], one;
    const semantic_text_t  *text;

    text = &s->asked[asked];
    best->similarity = -2;
    best->right = 0;

    n = 0;
    last = s->labelled ? asked + 1 : s->n;

    for (i = s->labelled ? asked : 0; i < last; i++) {

        one = semantic_cosine(s, text, &s->stored[i]);

        if (n == SEMANTIC_TRIES && one <= all[n - 1]) {
            continue;
        }

        for (k = n < SEMANTIC_TRIES ? n++ : n - 1;
             k > 0 && all[k - 1] < one;
             k--)
        {
            all[k] = all[k - 1];
            tries[k] = tries[k - 1];
        }

        all[k] = one;
        tries[k] = i;
    }

    for (k = 0; k < n; k++) {

        if (llm_guard_check(s->stored[tries[k]].guard, text->guard, guards)
            == 0)
        {
            best->similarity = all[k];
            best->right = s->labelled ? s->labels[asked] : tries[k] == asked;
            return;
        }
    }
}


static void
semantic_count(const semantic_t *s, const semantic_best_t *best,
    double threshold, semantic_count_t *count)
{
    size_t  i;

    count->right = 0;
    count->wrong = 0;

    for (i = 0; i < s->n; i++) {
        if ((double) best[i].similarity >= threshold) {
            count->right += best[i].right ? 1 : 0;
            count->wrong += best[i].right ? 0 : 1;
        }
    }
}


static void
semantic_table(const semantic_t *s, const semantic_best_t *best,
    const char *name)
{
    int               step;
    semantic_count_t  count;

    printf("\n%s\n  threshold   right   wrong  missed\n", name);

    for (step = 0; step < SEMANTIC_STEPS; step += step < 40 ? 5 : 1) {

        semantic_count(s, best, 0.5 + 0.01 * step, &count);

        printf("  %9.2f %7zu %7zu %7zu\n", 0.5 + 0.01 * step, count.right,
               count.wrong, s->n - count.right - count.wrong);
    }
}


/* the most hits at a threshold at which few enough of them are wrong */

static void
semantic_rates(const semantic_t *s, const semantic_best_t *best)
{
    int               step;
    size_t            i, hits, most;
    double            found;
    semantic_count_t  count;

    static const double  errors[] = { 0.01, 0.02, 0.05 };

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        most = 0;
        found = 1;

        for (step = 0; step < 20 * SEMANTIC_STEPS; step++) {

            semantic_count(s, best, 0.001 * step, &count);
            hits = count.right + count.wrong;

            if (hits > most
                && (double) count.wrong <= errors[i] * (double) hits)
            {
                most = hits;
                found = 0.001 * step;
            }
        }

        printf("  hit rate at %.0f %% error: %5.1f %%  (threshold %.3f)\n",
               errors[i] * 100, 100 * (double) most / (double) s->n, found);
    }
}


static void
semantic_line(const semantic_t *s, const semantic_best_t *best, int set,
    FILE *svg, int row, int wrong)
{
    int               step;
    double            share;
    semantic_count_t  count;

    fprintf(svg, "<polyline fill=\"none\" stroke=\"%s\"%s points=\"",
            semantic_colours[set],
            wrong ? " stroke-dasharray=\"4 3\"" : "");

    for (step = 0; step <= SEMANTIC_STEPS; step++) {

        semantic_count(s, best, 0.5 + 0.01 * step, &count);

        share = (double) (wrong ? count.wrong : count.right) / (double) s->n;

        fprintf(svg, "%s%d,%.1f", step ? " " : "", 60 + 10 * step,
                40 + row * 280 + 200 * (1 - share));
    }

    fprintf(svg, "\"/>\n");
}


static void
semantic_plot(const semantic_t *s, const semantic_best_t *best,
    int set, FILE *svg, int row, const char *name)
{
    int  y;

    y = 40 + row * 280;

    if (set == 0) {
        fprintf(svg, "<text x=\"60\" y=\"%d\" font-weight=\"bold\">%s: right "
                "(solid) and wrong (dashed), %% of %zu, by threshold</text>\n"
                "<path d=\"M60 %dV%dH560\" fill=\"none\" stroke=\"#000\"/>\n"
                "<text x=\"20\" y=\"%d\">100</text>"
                "<text x=\"36\" y=\"%d\">0</text>"
                "<text x=\"50\" y=\"%d\">0.5</text>"
                "<text x=\"545\" y=\"%d\">1.0</text>\n",
                y - 12, name, s->n, y, y + 200, y + 8, y + 204, y + 220,
                y + 220);
    }

    fprintf(svg, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n",
            110 + set * 150, y + 220, semantic_colours[set],
            semantic_names[set]);

    semantic_line(s, best, set, svg, row, 0);
    semantic_line(s, best, set, svg, row, 1);
}


static void
semantic_times(semantic_t *s)
{
    size_t             i;
    double             start, embed, search, read, check;

    start = semantic_now();
    (void) semantic_embed(s, s->asked);
    embed = semantic_now() - start;

    start = semantic_now();

    for (i = 0; i < s->n; i++) {
        if (s->asked[i].vector) {
            semantic_search(s, &s->asked[i]);
        }
    }

    search = semantic_now() - start;
    start = semantic_now();

    for (i = 0; i < s->n; i++) {
        llm_guard_free(llm_guard_read(s->asked[i].text));
    }

    read = semantic_now() - start;
    start = semantic_now();

    for (i = 0; i < s->n; i++) {
        (void) llm_guard_check(s->stored[i].guard, s->asked[i].guard,
                               LLM_GUARD_ALL);
    }

    check = semantic_now() - start;

    printf("\n  microseconds: embed %.1f, search among %zu %.1f, "
           "guards: read %.1f, check %.1f\n",
           embed * 1e6 / (double) s->n, s->n, search * 1e6 / (double) s->n,
           read * 1e6 / (double) s->n, check * 1e6 / (double) s->n);
}


static int
semantic_run(semantic_t *s, const char *name, FILE *svg, int row)
{
    int               set;
    size_t            i;
    semantic_best_t  *best;

    memset(&s->idf, 0, sizeof(llm_lexical_idf_t));

    for (i = 0; i < s->n; i++) {
        llm_lexical_learn(&s->idf, s->stored[i].text);
    }

    best = calloc(s->n, sizeof(semantic_best_t));

    if (best == NULL || semantic_embed(s, s->stored) != 0
        || semantic_embed(s, s->asked) != 0 || semantic_index(s) != 0)
    {
        free(best);
        return -1;
    }

    printf("\n== %s, %zu pairs\n", name, s->n);

    for (set = 0; set < SEMANTIC_SETS; set++) {

        for (i = 0; i < s->n; i++) {
            semantic_find(s, i, semantic_guards[set], &best[i]);
        }

        semantic_table(s, best, semantic_names[set]);
        semantic_rates(s, best);

        if (svg) {
            semantic_plot(s, best, set, svg, row, name);
        }
    }

    free(best);

    semantic_times(s);

    return 0;
}


static int
semantic_model(semantic_t *s, const char *dir, FILE *svg, int row)
{
    int            rc;
    char           error[256];
    llm_static_t  *model;

    model = llm_static_open(dir, error, sizeof(error));

    if (model == NULL) {
        fprintf(stderr, "semantic: %s: %s\n", dir, error);
        return -1;
    }

    s->model = model;
    s->dim = llm_static_dim(model);

    rc = semantic_run(s, dir, svg, row);

    llm_static_close(model);
    s->model = NULL;

    return rc;
}


static int
semantic_vectors(semantic_t *s, const char *file, FILE *svg, int row)
{
    int      rc;
    json_t  *vectors;

    vectors = json_load_file(file, 0, NULL);
    s->dim = json_array_size(json_object_iter_value(
                                               json_object_iter(vectors)));

    if (s->dim == 0 || s->dim > LLM_VECTOR_MAX) {
        fprintf(stderr, "semantic: %s holds no vectors\n", file);
        json_decref(vectors);
        return -1;
    }

    s->vectors = vectors;

    rc = semantic_run(s, file, svg, row);

    s->vectors = NULL;
    json_decref(vectors);

    return rc;
}


/* lexical, and every model */

static int
semantic_all(semantic_t *s, FILE *svg, char **models, int n)
{
    int     i, rc;
    size_t  len;

    s->dim = LLM_LEXICAL_DIM;

    rc = semantic_run(s, "lexical", svg, 0);

    for (i = 0; i < n && rc == 0; i++) {

        len = strlen(models[i]);

        rc = len > 5 && strcmp(models[i] + len - 5, ".json") == 0
             ? semantic_vectors(s, models[i], svg, i + 1)
             : semantic_model(s, models[i], svg, i + 1);
    }

    return rc;
}


int
main(int argc, char **argv)
{
    int                rc;
    FILE              *svg;
    json_t            *doc;
    static semantic_t  s;

    if (argc < 2) {
        fprintf(stderr, "usage: semantic PAIRS [SVG [DIR ...]]\n");
        return 2;
    }

    doc = json_load_file(argv[1], 0, NULL);

    if (doc == NULL || semantic_load(&s, doc) != 0) {
        fprintf(stderr, "semantic: %s holds no pairs\n", argv[1]);
        return 1;
    }

    svg = NULL;

    if (argc > 2) {
        svg = fopen(argv[2], "w");

        if (svg == NULL) {
            fprintf(stderr, "semantic: cannot write %s\n", argv[2]);
            return 1;
        }

        fprintf(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"600\" "
                "height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"
                "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                20 + 280 * (argc > 3 ? argc - 2 : 1));
    }

    rc = semantic_all(&s, svg, argv + 3, argc > 3 ? argc - 3 : 0);

    if (svg) {
        fprintf(svg, "</svg>\n");
        rc |= fclose(svg);
    }

    return rc == 0 ? 0 : 1;
}
