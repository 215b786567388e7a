/*
 * The canonical body written straight from the text of a request, for
 * llm_body alone.
 *
 * The walk checks the text and copies it in canonical spelling to "out", its
 * members in the order in which they came.  For an object that has to be put
 * in order, or of which something is left out, a record says of which pieces
 * it consists; reading "out" through the records gives the canonical body.
 * So no text is moved, however deep it is nested.
 */


#ifndef _LLM_CANON_H_INCLUDED_
#define _LLM_CANON_H_INCLUDED_


#include "llm_core.h"
#include "llm_dialect.h"
#include "llm_json.h"
#include "llm_pos.h"
#include "llm_reason.h"


/* offsets are 32 bits wide, and numbers may grow fivefold */
#define LLM_CANON_MAX    (512u * 1024 * 1024)

/* beyond the longest number, and what is stored 16 bytes at a time */
#define LLM_CANON_SLACK  128


/* the values that tell more than the key's text does */

typedef enum {
    LLM_WATCH_NONE = 0,
    LLM_WATCH_TOP,
    LLM_WATCH_TOOLS,               /* array of LLM_WATCH_TOOL */
    LLM_WATCH_TOOL
} llm_watch_e;


/* where a value is; NULL for the many values that are nowhere special */

typedef struct {
    llm_pos_e             pos;
    llm_watch_e           watch;
    llm_range_t           ignore;  /* slice of the ignore paths */
} llm_canon_place_t;


/* a member of an open object: quote, name, quote, colon, value */

typedef struct {
    uint32_t              start;
    uint32_t              end;
    uint32_t              record;  /* the first one inside, if any */
    unsigned              name:30; /* length of its canonical text */
    unsigned              escaped:1;
    unsigned              dropped:1;
} llm_canon_member_t;


typedef struct {
    uint32_t              start;
    uint32_t              end;
    uint32_t              record;
} llm_canon_piece_t;


/* records are in the order in which their objects open */

typedef struct {
    uint32_t              start;
    uint32_t              end;
    uint32_t              next;    /* the first one after the object */
    uint32_t              piece;   /* LLM_CANON_AS_IS: in order already */
    uint32_t              n;
} llm_canon_record_t;

#define LLM_CANON_AS_IS  UINT32_MAX


typedef struct {
    void                 *elts;
    uint32_t              n;
    uint32_t              size;
} llm_canon_array_t;


typedef struct {
    const unsigned char  *data;
    const unsigned char  *p;
    const unsigned char  *last;

    unsigned char        *out;
    unsigned char        *o;       /* the end of what is written */
    size_t                size;

    llm_canon_array_t     members; /* those of the body remain at the end */
    llm_canon_array_t     records;
    llm_canon_array_t     pieces;

    llm_paths_t           paths;
    llm_buf_t             name;    /* decoded */
    llm_buf_t             number;

    const llm_dialect_t  *dialect;
    llm_reason_e          reason;
    unsigned              depth;
    llm_range_t           plain;   /* text of a plain part, if not empty */

    llm_range_t           controls[2];
    int                   n_controls;

    unsigned              strip_controls:1;
    unsigned              escaped:1;   /* the string has a backslash */
    unsigned              nul:1;       /* and a NUL */
    unsigned              hosted:1;    /* one of the tools is */
} llm_canon_t;


/* an object that is being read */

typedef struct {
    const llm_canon_place_t  *place;
    uint32_t                  first;      /* of its members */
    uint32_t                  record;

    /*
     * A member whose place depends on members that may come after it: it is
     * read as they were guessed to be, and once more where that was wrong.
     */
    uint32_t                  held;
    const unsigned char      *text;
    const llm_pos_step_t     *step;       /* NULL: there is none */

    const unsigned char      *comma;      /* the last one */
    const unsigned char      *member;     /* after it */

    unsigned                  guess:1;
    unsigned                  unsorted:1;
    unsigned                  partial:1;  /* not all of its text counts */
    unsigned                  nested:1;   /* a hosted tool in a tool */
    unsigned                  control:1;  /* the last member is one */
    unsigned                  kept:1;     /* one before it is none */
} llm_canon_frame_t;


#define llm_canon_members(c)  ((llm_canon_member_t *) (c)->members.elts)
#define llm_canon_records(c)  ((llm_canon_record_t *) (c)->records.elts)
#define llm_canon_pieces(c)   ((llm_canon_piece_t *) (c)->pieces.elts)


static inline int
llm_canon_fail(llm_canon_t *c, llm_reason_e reason)
{
    c->reason = reason;
    return -1;
}


static inline uint32_t
llm_canon_at(const llm_canon_t *c)
{
    return (uint32_t) (c->o - c->out);
}


static inline llm_str_t
llm_canon_name(const llm_canon_t *c, const llm_canon_member_t *m)
{
    llm_str_t  name;

    name.data = c->out + m->start + 1;
    name.len = m->name;

    return name;
}


static inline llm_str_t
llm_canon_value_of(const llm_canon_t *c, const llm_canon_member_t *m)
{
    llm_str_t  value;

    value.data = c->out + m->start + m->name + 3;
    value.len = m->end - m->start - m->name - 3;

    return value;
}


/* llm_canon.c */

/*
 * Reads a whole body; zero the context but for data, last, dialect and
 * strip_controls.  LLM_REASON_NONE, or why it is refused.
 */

llm_reason_e llm_canon_read(llm_canon_t *c, const llm_ignore_t *ignore);
void llm_canon_free(llm_canon_t *c);

/* room for that many bytes and LLM_CANON_SLACK; 0, or -1 */

int llm_canon_reserve(llm_canon_t *c, size_t n);

/* room for another element; 0, or -1 */

int llm_canon_grow(llm_canon_t *c, llm_canon_array_t *array, size_t size);


/* any value, from its first byte on; 0, or -1 */

int llm_canon_value(llm_canon_t *c, const llm_canon_place_t *place);


/* llm_canon_place.c: what is special in some places */

/* the value of the member i of an object that has a place; 0, or -1 */

int llm_canon_special(llm_canon_t *c, llm_canon_frame_t *f, uint32_t i);

/* reads the member held once more, where that is needed; 0, or -1 */

int llm_canon_again(llm_canon_t *c, llm_canon_frame_t *f);

/*
 * Notes the text of a plain part: of the members that count, a type and a
 * text and nothing else.
 */

void llm_canon_part(llm_canon_t *c, const llm_canon_frame_t *f);

/* notes whether the tool is hosted */

void llm_canon_tool(llm_canon_t *c, const llm_canon_frame_t *f);


/* llm_canon_string.c.  0, or -1 */

int llm_canon_string(llm_canon_t *c);

/* appends what a string of canonical text, without its quotes, stands for */

int llm_canon_decode(llm_str_t text, llm_buf_t *out);


/* llm_canon_number.c.  0, or -1 */

int llm_canon_number(llm_canon_t *c);

/* the double that a number spells, whatever the locale; 0, or -1 */

int llm_canon_double(llm_str_t text, llm_buf_t *buf, double *value);


/* llm_canon_view.c: members of small objects, in canonical text */

/*
 * Steps through the members of an object, of whose text it leaves what still
 * follows: 1, or 0 after the last one and where it is no object.
 */

int llm_canon_each(llm_str_t *object, llm_str_t *name, llm_str_t *value);

/* the same through the elements of an array */

int llm_canon_item(llm_str_t *array, llm_str_t *value);

/* a string's text without its quotes; empty for what is no string */

llm_str_t llm_canon_bare(llm_str_t value);

/* the same for a member of an object */

llm_str_t llm_canon_inner(llm_str_t object, const char *name);


/* llm_canon_order.c */

/* as members are sorted: UTF-16 code units */

int llm_canon_compare(const llm_canon_t *c, const llm_canon_member_t *one,
    const llm_canon_member_t *two);
/* 0, or -1 when memory ran out */

int llm_canon_sort(const llm_canon_t *c, llm_canon_member_t *m, uint32_t n);

/* SHA-256 of the canonical body; 0, or -1 */

int llm_canon_digest(const llm_canon_t *c, unsigned char *digest);

/* appends the canonical body itself; 0, or -1 when memory ran out */

int llm_canon_text(const llm_canon_t *c, llm_buf_t *text);


/* a new element, or NULL */

static inline void *
llm_canon_push(llm_canon_t *c, llm_canon_array_t *array, size_t size)
{
    if (array->n == array->size && llm_canon_grow(c, array, size) != 0) {
        return NULL;
    }

    return (char *) array->elts + array->n++ * size;
}


#endif /* _LLM_CANON_H_INCLUDED_ */
