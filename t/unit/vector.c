#include <math.h>
#include <stdlib.h>

#include "llm_vector.h"
#include "tap.h"


#define VECTORS  3000
#define DIM      200


static uint64_t  seed = 88172645463325252ull;


static float
noise(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return (float) (int32_t) (seed >> 32) / 2147483648.0f;
}


static void
kinds(void)
{
    int                  i, n, same;
    int8_t               a[301], b[301];
    int32_t              sum;
    uint64_t             tags[20];
    llm_vector_hit_t     hits[2][20];
    llm_vector_kind_e    kind;
    llm_vector_sketch_t  sketches[20];

    for (i = 0; i < 20; i++) {
        tags[i] = (uint64_t) i % 2;
        sketches[i].bits[0] = (uint64_t) (int64_t) (noise() * 1e18f);
        sketches[i].bits[1] = (uint64_t) i * 0x9e3779b97f4a7c15ull;
        sketches[i].bits[2] = ~(uint64_t) 0;
        sketches[i].bits[3] = (uint64_t) i;
    }

    for (kind = LLM_VECTOR_PORTABLE; kind <= LLM_VECTOR_NEON; kind++) {

        if (llm_vector_use(kind) != 0) {
            continue;
        }

        same = 1;

        for (n = 0; n <= 301; n++) {
            sum = 0;

            for (i = 0; i < n; i++) {
                a[i] = n % 3 ? (int8_t) (noise() * 127) : -128;
                b[i] = n % 3 ? (int8_t) (noise() * 127) : -128;
                sum += a[i] * b[i];
            }

            same &= (llm_vector_dot(a, b, (size_t) n) == sum);
        }

        ok(same, "dot products of any length, kind %d", (int) kind);

        is_int(llm_vector_scan(tags, 1, sketches, 20, &sketches[3],
                               hits[kind != LLM_VECTOR_PORTABLE], 20),
               10, "what has the tag");
        ok(memcmp(hits[0], hits[kind != LLM_VECTOR_PORTABLE],
                  10 * sizeof(llm_vector_hit_t)) == 0, "and the same");
    }

    (void) llm_vector_use(LLM_VECTOR_BEST);
}


static void
search(void)
{
    int                   i, k, found;
    float                 scale;
    static float          v[VECTORS][DIM], q[DIM];
    static int8_t         packed[VECTORS][DIM];
    static uint64_t       tags[VECTORS];
    size_t                n, h;
    llm_vector_hit_t      hits[16];
    llm_vector_sketch_t   sketch;
    static llm_vector_sketch_t  sketches[VECTORS];

    for (i = 0; i < VECTORS; i++) {
        for (k = 0; k < DIM; k++) {
            v[i][k] = noise();
        }

        (void) llm_vector_normalise(v[i], DIM);
        scale = llm_vector_pack(v[i], DIM, packed[i]);
        llm_vector_sketch(v[i], DIM, &sketches[i]);
        tags[i] = (uint64_t) i % 3;
    }

    ok(fabsf(scale * (float) packed[VECTORS - 1][0] - v[VECTORS - 1][0])
       < 0.01f, "bytes stand for the numbers");

    found = 0;

    for (i = 0; i < VECTORS; i++) {

        for (k = 0; k < DIM; k++) {
            q[k] = v[i][k] + noise() * 0.07f;
        }

        llm_vector_sketch(q, DIM, &sketch);
        n = llm_vector_scan(tags, (uint64_t) i % 3, sketches, VECTORS,
                            &sketch, hits, 16);

        for (h = 0; h < n; h++) {
            found += (hits[h].index == (uint32_t) i);

            if (hits[h].index % 3 != (uint32_t) i % 3) {
                found = -VECTORS;
            }
        }
    }

    ok(found >= VECTORS * 99 / 100, "finds %d of %d", found, VECTORS);

    is_int(llm_vector_scan(tags, 7, sketches, VECTORS, &sketch, hits, 16), 0,
           "nothing of that tag");
    is_int(llm_vector_scan(tags, 0, sketches, 0, &sketch, hits, 16), 0,
           "nothing at all");
}


int
main(void)
{
    float  bad[3] = { 1, NAN, 0 }, none[3] = { 0, 0, 0 };

    kinds();
    search();

    is_int(llm_vector_normalise(bad, 3), -1, "no numbers");
    is_int(llm_vector_normalise(none, 3), -1, "no length");
    is_int(llm_vector_use((llm_vector_kind_e) 99), -1, "no such kind");

    return done();
}
