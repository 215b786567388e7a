#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "llm_embed_static.h"
#include "llm_vector.h"
#include "llm_wordpiece.h"


/* JSON files and the header of the tensors are not larger */
#define LLM_STATIC_JSON    (128u * 1024 * 1024)
#define LLM_STATIC_HEADER  (1024u * 1024)

#define LLM_STATIC_PATH    4096


typedef enum {
    LLM_TYPE_NONE = 0,
    LLM_TYPE_F64,
    LLM_TYPE_F32,
    LLM_TYPE_F16,
    LLM_TYPE_I64,
    LLM_TYPE_I32,
    LLM_TYPE_I8
} llm_type_e;


typedef struct {
    const unsigned char  *data;         /* not aligned */
    llm_type_e            type;
    size_t                rows;
    size_t                columns;      /* 1 for a list */
} llm_tensor_t;


struct llm_static_s {
    llm_wordpiece_t      *tokenizer;
    unsigned char        *map;
    size_t                size;
    llm_tensor_t          embeddings;
    llm_tensor_t          weights;      /* without rows: there are none */
    llm_tensor_t          mapping;
};


typedef struct {
    const char           *dir;
    char                 *error;
    size_t                size;
} llm_static_load_t;


static int llm_static_fail(llm_static_load_t *load, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static int llm_static_config(llm_static_load_t *load);
static int llm_static_tokenizer(llm_static_load_t *load, llm_static_t *model);
static json_t *llm_static_json(llm_static_load_t *load, const char *name,
    int needed);
static int llm_static_file(llm_static_load_t *load, const char *name,
    int needed, unsigned char **map, size_t *size);
static int llm_static_tensors(llm_static_load_t *load, llm_static_t *model);
static int llm_static_tensor(llm_static_load_t *load,
    const llm_static_t *model, const json_t *header, size_t start,
    const char *name, llm_tensor_t *tensor);
static size_t llm_static_type(const json_t *value, llm_type_e *type);
static int llm_static_fits(llm_static_load_t *load,
    const llm_static_t *model);
static double llm_static_number(const llm_tensor_t *tensor, size_t i);
static float llm_static_half(unsigned bits);
static void llm_static_add(const llm_tensor_t *tensor, size_t row,
    float weight, float *vector);


llm_static_t *
llm_static_open(const char *dir, char *error, size_t size)
{
    llm_static_t       *model;
    llm_static_load_t   load;

    load.dir = dir;
    load.error = error;
    load.size = size;

    model = calloc(1, sizeof(llm_static_t));

    if (model == NULL) {
        (void) llm_static_fail(&load, "out of memory");
        return NULL;
    }

    if (llm_static_config(&load) != 0
        || llm_static_tokenizer(&load, model) != 0
        || llm_static_file(&load, "model.safetensors", 1, &model->map,
                           &model->size)
           != 0
        || llm_static_tensors(&load, model) != 0
        || llm_static_fits(&load, model) != 0)
    {
        llm_static_close(model);
        return NULL;
    }

    return model;
}


void
llm_static_close(llm_static_t *model)
{
    llm_wordpiece_free(model->tokenizer);

    if (model->map) {
        (void) munmap(model->map, model->size);
    }

    free(model);
}


/* -1 */

static int
llm_static_fail(llm_static_load_t *load, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(load->error, load->size, fmt, args);
    va_end(args);

    return -1;
}


static int
llm_static_config(llm_static_load_t *load)
{
    json_t        *doc;
    const json_t  *value;

    load->error[0] = '\0';

    doc = llm_static_json(load, "config.json", 0);

    if (doc == NULL) {
        return load->error[0] == '\0' ? 0 : -1;
    }

    value = json_object_get(doc, "normalize");

    if (value && !json_is_boolean(value)) {
        json_decref(doc);
        return llm_static_fail(load, "config.json: \"normalize\" is not a "
                               "boolean");
    }

    json_decref(doc);

    return 0;
}


static int
llm_static_tokenizer(llm_static_load_t *load, llm_static_t *model)
{
    json_t      *doc;
    const char  *error;

    doc = llm_static_json(load, "tokenizer.json", 1);

    if (doc == NULL) {
        return -1;
    }

    model->tokenizer = llm_wordpiece_create(doc, &error);
    json_decref(doc);

    if (model->tokenizer == NULL) {
        return llm_static_fail(load, "tokenizer.json: %s", error);
    }

    return 0;
}


/* NULL, with an error unless the file is missing and not needed */

static json_t *
llm_static_json(llm_static_load_t *load, const char *name, int needed)
{
    json_t         *doc;
    size_t          size;
    json_error_t    error;
    unsigned char  *map;

    if (llm_static_file(load, name, needed, &map, &size) != 0 || map == NULL) {
        return NULL;
    }

    if (size > LLM_STATIC_JSON) {
        (void) munmap(map, size);
        (void) llm_static_fail(load, "%s is too large", name);
        return NULL;
    }

    doc = json_loadb((const char *) map, size, JSON_REJECT_DUPLICATES,
                     &error);
    (void) munmap(map, size);

    if (doc == NULL) {
        (void) llm_static_fail(load, "%s is not JSON: line %d: %s", name,
                               error.line, error.text);
        return NULL;
    }

    if (!json_is_object(doc)) {
        json_decref(doc);
        (void) llm_static_fail(load, "%s is not an object", name);
        return NULL;
    }

    return doc;
}


/* maps a whole file; 0 with NULL where it is missing and not needed */

static int
llm_static_file(llm_static_load_t *load, const char *name, int needed,
    unsigned char **map, size_t *size)
{
    int          fd, n;
    char         path[LLM_STATIC_PATH];
    void        *p;
    struct stat  st;

    *map = NULL;

    n = snprintf(path, sizeof(path), "%s/%s", load->dir, name);

    if (n < 0 || (size_t) n >= sizeof(path)) {
        return llm_static_fail(load, "the path is too long");
    }

    fd = open(path, O_RDONLY|O_CLOEXEC|O_NONBLOCK);

    if (fd == -1) {
        return needed ? llm_static_fail(load, "%s cannot be opened", name)
                      : 0;
    }

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        (void) close(fd);
        return llm_static_fail(load, "%s is empty or no file", name);
    }

    *size = (size_t) st.st_size;

    p = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void) close(fd);

    if (p == MAP_FAILED) {
        return llm_static_fail(load, "%s cannot be mapped", name);
    }

    *map = p;

    return 0;
}


/* https://github.com/huggingface/safetensors#format */

static int
llm_static_tensors(llm_static_load_t *load, llm_static_t *model)
{
    int       rc;
    size_t    i;
    json_t   *header;
    uint64_t  len;

    len = 0;

    for (i = 8; i && model->size >= 8; i--) {
        len = len << 8 | model->map[i - 1];
    }

    if (len == 0 || len > LLM_STATIC_HEADER || len > model->size - 8) {
        return llm_static_fail(load, "model.safetensors has no header");
    }

    header = json_loadb((const char *) model->map + 8, (size_t) len,
                        JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(header)) {
        json_decref(header);
        return llm_static_fail(load, "model.safetensors: its header is not "
                               "JSON");
    }

    i = 8 + (size_t) len;

    rc = llm_static_tensor(load, model, header, i, "embeddings",
                           &model->embeddings) != 0
         || llm_static_tensor(load, model, header, i, "weights",
                              &model->weights) != 0
         || llm_static_tensor(load, model, header, i, "mapping",
                              &model->mapping) != 0;

    json_decref(header);

    return rc ? -1 : 0;
}


static int
llm_static_tensor(llm_static_load_t *load, const llm_static_t *model,
    const json_t *header, size_t start, const char *name,
    llm_tensor_t *tensor)
{
    size_t         i, width, count;
    json_int_t     first, last, sides[2];
    const json_t  *value, *shape, *offsets;

    value = json_object_get(header, name);

    if (value == NULL) {
        return 0;
    }

    shape = json_object_get(value, "shape");
    offsets = json_object_get(value, "data_offsets");
    width = llm_static_type(json_object_get(value, "dtype"), &tensor->type);

    if (width == 0 || json_array_size(offsets) != 2
        || json_array_size(shape) < 1 || json_array_size(shape) > 2)
    {
        return llm_static_fail(load, "model.safetensors: \"%s\" is of no "
                               "known type or shape", name);
    }

    sides[0] = 0;
    sides[1] = 1;

    for (i = 0; i < json_array_size(shape); i++) {
        sides[i] = json_integer_value(json_array_get(shape, i));

        if (sides[i] < 1 || sides[i] > INT32_MAX) {
            return llm_static_fail(load, "model.safetensors: the shape of "
                                   "\"%s\" is out of range", name);
        }
    }

    first = json_integer_value(json_array_get(offsets, 0));
    last = json_integer_value(json_array_get(offsets, 1));
    count = (size_t) sides[0] * (size_t) sides[1];

    if (first < 0 || last < first
        || (uint64_t) last > model->size - start
        || (uint64_t) (last - first) / width != count
        || (uint64_t) (last - first) % width != 0)
    {
        return llm_static_fail(load, "model.safetensors: \"%s\" does not lie "
                               "where it should", name);
    }

    tensor->data = model->map + start + first;
    tensor->rows = (size_t) sides[0];
    tensor->columns = (size_t) sides[1];

    return 0;
}


/* bytes of a number, 0 where it is of no use */

static size_t
llm_static_type(const json_t *value, llm_type_e *type)
{
    size_t  i;

    static const struct {
        const char  *name;
        llm_type_e   type;
        size_t       width;
    } types[] = {
        { "F64", LLM_TYPE_F64, 8 }, { "F32", LLM_TYPE_F32, 4 },
        { "F16", LLM_TYPE_F16, 2 }, { "I64", LLM_TYPE_I64, 8 },
        { "I32", LLM_TYPE_I32, 4 }, { "I8", LLM_TYPE_I8, 1 }
    };

    for (i = 0; json_is_string(value) && i < sizeof(types) / sizeof(types[0]);
         i++)
    {
        if (strcmp(json_string_value(value), types[i].name) == 0) {
            *type = types[i].type;
            return types[i].width;
        }
    }

    return 0;
}


/* whether every token has a row */

static int
llm_static_fits(llm_static_load_t *load, const llm_static_t *model)
{
    size_t               i, ids;
    const llm_tensor_t  *e, *w, *m;

    e = &model->embeddings;
    w = &model->weights;
    m = &model->mapping;
    ids = llm_wordpiece_ids(model->tokenizer);

    if (e->rows == 0
        || (e->type != LLM_TYPE_F32 && e->type != LLM_TYPE_F16
            && e->type != LLM_TYPE_I8)
        || e->columns < 2 || e->columns > LLM_VECTOR_MAX)
    {
        return llm_static_fail(load, "model.safetensors has no "
                               "\"embeddings\" of F32, F16 or I8 with 2 to "
                               "%d columns", LLM_VECTOR_MAX);
    }

    if (w->rows && (w->columns != 1 || w->rows < ids
                    || (w->type != LLM_TYPE_F64 && w->type != LLM_TYPE_F32
                        && w->type != LLM_TYPE_F16)))
    {
        return llm_static_fail(load, "model.safetensors: \"weights\" are not "
                               "one number for each token");
    }

    if (m->rows == 0) {

        if (e->rows < ids) {
            return llm_static_fail(load, "model.safetensors: \"embeddings\" "
                                   "has fewer rows than there are tokens");
        }

        return 0;
    }

    if (m->columns != 1 || m->rows < ids
        || (m->type != LLM_TYPE_I64 && m->type != LLM_TYPE_I32))
    {
        return llm_static_fail(load, "model.safetensors: \"mapping\" is not "
                               "one row for each token");
    }

    for (i = 0; i < m->rows; i++) {
        if (llm_static_number(m, i) < 0
            || llm_static_number(m, i) >= (double) e->rows)
        {
            return llm_static_fail(load, "model.safetensors: \"mapping\" "
                                   "names a row that there is not");
        }
    }

    return 0;
}


size_t
llm_static_dim(const llm_static_t *model)
{
    return model->embeddings.columns;
}


int
llm_static_embed(const llm_static_t *model, llm_str_t text, float *vector)
{
    float     weight;
    size_t    i, n, row;
    uint32_t  ids[LLM_STATIC_TOKENS];

    n = llm_wordpiece_encode(model->tokenizer, text, ids, LLM_STATIC_TOKENS);

    memset(vector, 0, model->embeddings.columns * sizeof(float));

    for (i = 0; i < n; i++) {
        row = ids[i];
        weight = 1;

        if (model->weights.rows) {
            weight = (float) llm_static_number(&model->weights, row);
        }

        if (model->mapping.rows) {
            row = (size_t) llm_static_number(&model->mapping, row);
        }

        llm_static_add(&model->embeddings, row, weight, vector);
    }

    /* the mean, at length 1 */

    return llm_vector_normalise(vector, model->embeddings.columns);
}


static double
llm_static_number(const llm_tensor_t *tensor, size_t i)
{
    float     f32;
    double    f64;
    int32_t   i32;
    int64_t   i64;
    uint16_t  f16;

    switch (tensor->type) {

    case LLM_TYPE_F64:
        memcpy(&f64, tensor->data + i * sizeof(f64), sizeof(f64));
        return f64;

    case LLM_TYPE_F32:
        memcpy(&f32, tensor->data + i * sizeof(f32), sizeof(f32));
        return (double) f32;

    case LLM_TYPE_F16:
        memcpy(&f16, tensor->data + i * sizeof(f16), sizeof(f16));
        return (double) llm_static_half(f16);

    case LLM_TYPE_I64:
        memcpy(&i64, tensor->data + i * sizeof(i64), sizeof(i64));
        return (double) i64;

    case LLM_TYPE_I32:
        memcpy(&i32, tensor->data + i * sizeof(i32), sizeof(i32));
        return (double) i32;

    default:
        return (double) (int8_t) tensor->data[i];
    }
}


/* IEEE 754 binary16 */

static float
llm_static_half(unsigned bits)
{
    float     value;
    uint32_t  out, exponent, fraction;

    exponent = bits >> 10 & 0x1f;
    fraction = bits & 0x3ff;

    if (exponent == 0) {
        value = (float) fraction / 16777216.0f;
        return bits & 0x8000 ? -value : value;
    }

    out = (exponent == 31 ? 0xff : exponent + 112) << 23 | fraction << 13
          | (uint32_t) (bits & 0x8000) << 16;

    memcpy(&value, &out, sizeof(value));

    return value;
}


static void
llm_static_add(const llm_tensor_t *tensor, size_t row, float weight,
    float *vector)
{
    float                 f32;
    size_t                i;
    uint16_t              f16;
    const unsigned char  *p;

    switch (tensor->type) {

    case LLM_TYPE_F32:
        p = tensor->data + row * tensor->columns * sizeof(f32);

        for (i = 0; i < tensor->columns; i++) {
            memcpy(&f32, p + i * sizeof(f32), sizeof(f32));
            vector[i] += weight * f32;
        }

        break;

    case LLM_TYPE_F16:
        p = tensor->data + row * tensor->columns * sizeof(f16);

        for (i = 0; i < tensor->columns; i++) {
            memcpy(&f16, p + i * sizeof(f16), sizeof(f16));
            vector[i] += weight * llm_static_half(f16);
        }

        break;

    default:
        p = tensor->data + row * tensor->columns;

        for (i = 0; i < tensor->columns; i++) {
            vector[i] += weight * (float) (int8_t) p[i];
        }
    }
}
