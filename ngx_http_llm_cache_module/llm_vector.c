#include <math.h>

#include "llm_vector.h"

#if (defined __x86_64__ && defined __GNUC__)
#include <immintrin.h>
#define LLM_VECTOR_X86   1
#endif

#if (defined __aarch64__ && defined __ARM_NEON)
#include <arm_neon.h>
#define LLM_VECTOR_ARM   1
#endif


/* sketches of which the distances are told at a time */
#define LLM_VECTOR_STEP  256

#define LLM_VECTOR_BITS  (64 * LLM_VECTOR_SKETCH)


typedef int32_t (*llm_vector_dot_pt)(const int8_t *a, const int8_t *b,
    size_t dim);
typedef void (*llm_vector_distances_pt)(const llm_vector_sketch_t *sketches,
    size_t n, const llm_vector_sketch_t *sketch, uint16_t *distances);


static int llm_vector_has(llm_vector_kind_e kind);
static void llm_vector_transform(float *v, size_t n, uint64_t seed);
static int llm_vector_any(const uint64_t *tags, uint64_t tag, size_t n);
static void llm_vector_keep(llm_vector_hit_t *hits, size_t *n, size_t k,
    llm_vector_hit_t hit);
static int32_t llm_vector_dot_portable(const int8_t *a, const int8_t *b,
    size_t dim);
static void llm_vector_distances_portable(
    const llm_vector_sketch_t *sketches, size_t n,
    const llm_vector_sketch_t *sketch, uint16_t *distances);
static int32_t llm_vector_dot_first(const int8_t *a, const int8_t *b,
    size_t dim);
static void llm_vector_distances_first(const llm_vector_sketch_t *sketches,
    size_t n, const llm_vector_sketch_t *sketch, uint16_t *distances);


static llm_vector_dot_pt        llm_vector_dot_by = llm_vector_dot_first;
static llm_vector_distances_pt  llm_vector_distances_by =
                                                  llm_vector_distances_first;


int
llm_vector_normalise(float *v, size_t dim)
{
    size_t  i;
    double  sum;

    sum = 0;

    for (i = 0; i < dim; i++) {
        sum += (double) v[i] * v[i];
    }

    if (!(sum > 0) || !isfinite(sum)) {
        return -1;
    }

    sum = 1 / sqrt(sum);

    for (i = 0; i < dim; i++) {
        v[i] = (float) (v[i] * sum);
    }

    return 0;
}


float
llm_vector_pack(const float *v, size_t dim, int8_t *packed)
{
    float   max, scale;
    size_t  i;

    max = 0;

    for (i = 0; i < dim; i++) {
        max = fabsf(v[i]) > max ? fabsf(v[i]) : max;
    }

    if (max == 0) {
        memset(packed, 0, dim);
        return 0;
    }

    scale = 127 / max;

    for (i = 0; i < dim; i++) {
        packed[i] = (int8_t) lrintf(v[i] * scale);
    }

    return max / 127;
}


int
llm_vector_unpack(const int8_t *packed, size_t dim, float *v)
{
    size_t  i;

    for (i = 0; i < dim; i++) {
        v[i] = packed[i];
    }

    return llm_vector_normalise(v, dim);
}


int32_t
llm_vector_dot(const int8_t *a, const int8_t *b, size_t dim)
{
    return llm_vector_dot_by(a, b, dim);
}


/*
 * Random signs and a Walsh-Hadamard transform, twice: a rotation in which
 * every sum is of all coordinates, however few of them are not 0.
 */

void
llm_vector_sketch(const float *v, size_t dim, llm_vector_sketch_t *sketch)
{
    float   rotated[LLM_VECTOR_MAX];
    size_t  i, n;

    for (n = LLM_VECTOR_BITS; n < dim; n *= 2) { /* void */ }

    memcpy(rotated, v, dim * sizeof(float));
    memset(rotated + dim, 0, (n - dim) * sizeof(float));

    llm_vector_transform(rotated, n, 0x243f6a8885a308d3ull);
    llm_vector_transform(rotated, n, 0x13198a2e03707344ull);

    memset(sketch, 0, sizeof(llm_vector_sketch_t));

    for (i = 0; i < LLM_VECTOR_BITS; i++) {
        if (rotated[i] > 0) {
            sketch->bits[i / 64] |= (uint64_t) 1 << (i % 64);
        }
    }
}


static void
llm_vector_transform(float *v, size_t n, uint64_t seed)
{
    float   a, b;
    size_t  i, k, half;

    for (i = 0; i < n; i++) {

        /* xorshift64 */

        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;

        if (seed & 0x10000) {
            v[i] = -v[i];
        }
    }

    for (half = 1; half < n; half *= 2) {
        for (i = 0; i < n; i += 2 * half) {
            for (k = i; k < i + half; k++) {
                a = v[k];
                b = v[k + half];
                v[k] = a + b;
                v[k + half] = a - b;
            }
        }
    }
}


size_t
llm_vector_scan(const uint64_t *tags, uint64_t tag,
    const llm_vector_sketch_t *sketches, size_t n,
    const llm_vector_sketch_t *sketch, llm_vector_hit_t *hits, size_t k)
{
    size_t            i, first, step, found;
    uint32_t          worst;
    uint16_t          distances[LLM_VECTOR_STEP];
    llm_vector_hit_t  hit;

    found = 0;
    worst = LLM_VECTOR_BITS + 1;

    for (first = 0; first < n; first += step) {

        step = n - first < LLM_VECTOR_STEP ? n - first : LLM_VECTOR_STEP;

        if (!llm_vector_any(tags + first, tag, step)) {
            continue;
        }

        llm_vector_distances_by(sketches + first, step, sketch, distances);

        for (i = 0; i < step; i++) {

            if (distances[i] >= worst || tags[first + i] != tag) {
                continue;
            }

            hit.index = (uint32_t) (first + i);
            hit.distance = distances[i];

            llm_vector_keep(hits, &found, k, hit);

            if (found == k) {
                worst = hits[0].distance;
            }
        }
    }

    return found;
}


static int
llm_vector_any(const uint64_t *tags, uint64_t tag, size_t n)
{
    int     any;
    size_t  i;

    any = 0;

    for (i = 0; i < n; i++) {
        any |= (tags[i] == tag);
    }

    return any;
}


/* a heap whose first one is the farthest */

static void
llm_vector_keep(llm_vector_hit_t *hits, size_t *n, size_t k,
    llm_vector_hit_t hit)
{
    size_t  i, child;

    if (*n < k) {

        for (i = (*n)++;
             i > 0 && hits[(i - 1) / 2].distance < hit.distance;
             i = (i - 1) / 2)
        {
            hits[i] = hits[(i - 1) / 2];
        }

        hits[i] = hit;
        return;
    }

    i = 0;

    for ( ;; ) {
        child = 2 * i + 1;

        if (child >= k) {
            break;
        }

        if (child + 1 < k && hits[child + 1].distance > hits[child].distance) {
            child++;
        }

        if (hits[child].distance <= hit.distance) {
            break;
        }

        hits[i] = hits[child];
        i = child;
    }

    hits[i] = hit;
}


static int32_t
llm_vector_dot_portable(const int8_t *a, const int8_t *b, size_t dim)
{
    size_t   i;
    int32_t  sum;

    sum = 0;

    for (i = 0; i < dim; i++) {
        sum += a[i] * b[i];
    }

    return sum;
}


static inline unsigned
llm_vector_count(uint64_t x)
{
    x = x - ((x >> 1) & 0x5555555555555555ull);
    x = (x & 0x3333333333333333ull) + ((x >> 2) & 0x3333333333333333ull);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;

    return (unsigned) ((x * 0x0101010101010101ull) >> 56);
}


static void
llm_vector_distances_portable(const llm_vector_sketch_t *sketches, size_t n,
    const llm_vector_sketch_t *sketch, uint16_t *distances)
{
    size_t    i;
    unsigned  k, sum;

    for (i = 0; i < n; i++) {
        sum = 0;

        for (k = 0; k < LLM_VECTOR_SKETCH; k++) {
            sum += llm_vector_count(sketches[i].bits[k] ^ sketch->bits[k]);
        }

        distances[i] = (uint16_t) sum;
    }
}


#ifdef LLM_VECTOR_X86

static int32_t
llm_vector_dot_sse2(const int8_t *a, const int8_t *b, size_t dim)
{
    size_t   i;
    int32_t  part[4];
    __m128i  x, y, zero, sum;

    zero = _mm_setzero_si128();
    sum = zero;

    for (i = 0; i + 16 <= dim; i += 16) {
        x = _mm_loadu_si128((const __m128i *) (const void *) (a + i));
        y = _mm_loadu_si128((const __m128i *) (const void *) (b + i));

        /* a byte above a zero byte, shifted down with its sign */

        sum = _mm_add_epi32(sum, _mm_madd_epi16(
                        _mm_srai_epi16(_mm_unpacklo_epi8(zero, x), 8),
                        _mm_srai_epi16(_mm_unpacklo_epi8(zero, y), 8)));
        sum = _mm_add_epi32(sum, _mm_madd_epi16(
                        _mm_srai_epi16(_mm_unpackhi_epi8(zero, x), 8),
                        _mm_srai_epi16(_mm_unpackhi_epi8(zero, y), 8)));
    }

    _mm_storeu_si128((__m128i *) (void *) part, sum);

    return part[0] + part[1] + part[2] + part[3]
           + llm_vector_dot_portable(a + i, b + i, dim - i);
}


__attribute__((target("avx2")))
static int32_t
llm_vector_dot_avx2(const int8_t *a, const int8_t *b, size_t dim)
{
    size_t   i;
    int32_t  part[8];
    __m128i  x, y;
    __m256i  sum;

    sum = _mm256_setzero_si256();

    for (i = 0; i + 16 <= dim; i += 16) {
        x = _mm_loadu_si128((const __m128i *) (const void *) (a + i));
        y = _mm_loadu_si128((const __m128i *) (const void *) (b + i));

        sum = _mm256_add_epi32(sum,
                               _mm256_madd_epi16(_mm256_cvtepi8_epi16(x),
                                                 _mm256_cvtepi8_epi16(y)));
    }

    _mm256_storeu_si256((__m256i *) (void *) part, sum);

    return part[0] + part[1] + part[2] + part[3]
           + part[4] + part[5] + part[6] + part[7]
           + llm_vector_dot_portable(a + i, b + i, dim - i);
}


/* every processor with AVX2 counts bits too */

__attribute__((target("avx2,popcnt")))
static void
llm_vector_distances_avx2(const llm_vector_sketch_t *sketches, size_t n,
    const llm_vector_sketch_t *sketch, uint16_t *distances)
{
    size_t           i;
    const uint64_t  *s;

    for (i = 0; i < n; i++) {
        s = sketches[i].bits;

        distances[i] = (uint16_t)
                       (_mm_popcnt_u64(s[0] ^ sketch->bits[0])
                        + _mm_popcnt_u64(s[1] ^ sketch->bits[1])
                        + _mm_popcnt_u64(s[2] ^ sketch->bits[2])
                        + _mm_popcnt_u64(s[3] ^ sketch->bits[3]));
    }
}

#endif


#ifdef LLM_VECTOR_ARM

static int32_t
llm_vector_dot_neon(const int8_t *a, const int8_t *b, size_t dim)
{
    size_t     i;
    int8x16_t  x, y;
    int32x4_t  sum;

    sum = vdupq_n_s32(0);

    for (i = 0; i + 16 <= dim; i += 16) {
        x = vld1q_s8(a + i);
        y = vld1q_s8(b + i);

        sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
        sum = vpadalq_s16(sum, vmull_high_s8(x, y));
    }

    return vaddvq_s32(sum)
           + llm_vector_dot_portable(a + i, b + i, dim - i);
}


static void
llm_vector_distances_neon(const llm_vector_sketch_t *sketches, size_t n,
    const llm_vector_sketch_t *sketch, uint16_t *distances)
{
    size_t          i;
    uint8x16_t      x, y;
    const uint8_t  *s, *q;

    q = (const uint8_t *) sketch->bits;

    for (i = 0; i < n; i++) {
        s = (const uint8_t *) sketches[i].bits;

        x = vcntq_u8(veorq_u8(vld1q_u8(s), vld1q_u8(q)));
        y = vcntq_u8(veorq_u8(vld1q_u8(s + 16), vld1q_u8(q + 16)));

        distances[i] = vaddlvq_u8(vaddq_u8(x, y));
    }
}

#endif


static int
llm_vector_has(llm_vector_kind_e kind)
{
    switch (kind) {

    case LLM_VECTOR_PORTABLE:
        return 1;

#ifdef LLM_VECTOR_X86
    case LLM_VECTOR_SSE2:
        return 1;

    case LLM_VECTOR_AVX2:
        return __builtin_cpu_supports("avx2")
               && __builtin_cpu_supports("popcnt");
#endif

#ifdef LLM_VECTOR_ARM
    case LLM_VECTOR_NEON:
        return 1;
#endif

    default:
        return 0;
    }
}


int
llm_vector_use(llm_vector_kind_e kind)
{
    if (kind == LLM_VECTOR_BEST) {

        for (kind = LLM_VECTOR_NEON; !llm_vector_has(kind); kind--) {
            /* void */
        }
    }

    if (!llm_vector_has(kind)) {
        return -1;
    }

    llm_vector_dot_by = llm_vector_dot_portable;
    llm_vector_distances_by = llm_vector_distances_portable;

#ifdef LLM_VECTOR_X86
    if (kind == LLM_VECTOR_SSE2) {
        llm_vector_dot_by = llm_vector_dot_sse2;
    }

    if (kind == LLM_VECTOR_AVX2) {
        llm_vector_dot_by = llm_vector_dot_avx2;
        llm_vector_distances_by = llm_vector_distances_avx2;
    }
#endif

#ifdef LLM_VECTOR_ARM
    if (kind == LLM_VECTOR_NEON) {
        llm_vector_dot_by = llm_vector_dot_neon;
        llm_vector_distances_by = llm_vector_distances_neon;
    }
#endif

    return 0;
}


/* the first call finds out what there is */

static int32_t
llm_vector_dot_first(const int8_t *a, const int8_t *b, size_t dim)
{
    (void) llm_vector_use(LLM_VECTOR_BEST);

    return llm_vector_dot_by(a, b, dim);
}


static void
llm_vector_distances_first(const llm_vector_sketch_t *sketches, size_t n,
    const llm_vector_sketch_t *sketch, uint16_t *distances)
{
    (void) llm_vector_use(LLM_VECTOR_BEST);

    llm_vector_distances_by(sketches, n, sketch, distances);
}
