#include <stdio.h>
#include <stdlib.h>

#include "llm_scan.h"
#include "tap.h"


typedef struct {
    char    text[4096];
    size_t  len;
} scan_log_t;

typedef struct {
    const char  *name;
    const char  *text;
    size_t       len;
    int          valid;
} scan_text_t;

#define scan_text(name, text, valid)  { name, text, sizeof(text) - 1, valid }


static const scan_text_t  scan_texts[] = {

    scan_text("an object", "{}", 1),
    scan_text("an array", "[]", 1),
    scan_text("a string", "\"\"", 1),
    scan_text("white space", " \t\r\n{ \n\"a\" : [ 1 , 2 ] } \n", 1),
    scan_text("other white space", "\f{}", 0),
    scan_text("a no-break space", "\xc2\xa0{}", 0),
    scan_text("a byte order mark", "\xef\xbb\xbf{}", 0),
    scan_text("nothing", "", 0),
    scan_text("white space alone", " \n", 0),
    scan_text("literals", "[true,false,null]", 1),
    scan_text("a literal at the top", "null", 1),
    scan_text("half a literal", "nul", 0),
    scan_text("a long literal", "nulll", 0),
    scan_text("a wrong literal", "[trve]", 0),
    scan_text("upper case", "[True]", 0),
    scan_text("NaN", "[NaN]", 0),
    scan_text("Infinity", "[-Infinity]", 0),

    scan_text("numbers", "[0,-0,1,-1,10,0.5,-0.5,1e5,1E+5,1e-05,0e0,"
              "123456789012345678901234567890,1e999]", 1),
    scan_text("a number at the top", "12", 1),
    scan_text("a fraction at the top", "1.5e3", 1),
    scan_text("all digits", "[9,90,-9,-10,1234567890.0987654321e-90]", 1),
    scan_text("a leading zero", "[01]", 0),
    scan_text("a leading zero after a minus", "[-01]", 0),
    scan_text("a leading plus", "[+1]", 0),
    scan_text("a minus alone", "[-]", 0),
    scan_text("a minus alone at the top", "-", 0),
    scan_text("two minuses", "[--1]", 0),
    scan_text("no integer part", "[.5]", 0),
    scan_text("no fraction", "[1.]", 0),
    scan_text("no fraction at the top", "1.", 0),
    scan_text("no exponent", "[1e]", 0),
    scan_text("no exponent but a sign", "[1e+]", 0),
    scan_text("a fraction of a fraction", "[1.2.3]", 0),
    scan_text("an exponent of an exponent", "[1e2e3]", 0),
    scan_text("hexadecimal", "[0x1]", 0),
    scan_text("digits apart", "[1 2]", 0),

    scan_text("escapes", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"",
              1),
    scan_text("an escaped NUL", "{\"a\":\"\\u0000\"}", 1),
    scan_text("a lone high surrogate", "[\"\\ud83d\"]", 1),
    scan_text("a lone low surrogate", "[\"\\ude00\"]", 1),
    scan_text("a high surrogate and more", "[\"\\ud83dx\\ud83d\\n\"]", 1),
    scan_text("an unknown escape", "[\"\\x\"]", 0),
    scan_text("an upper-case U", "[\"\\U0041\"]", 0),
    scan_text("three hex digits", "[\"\\u123\"]", 0),
    scan_text("no hex digit", "[\"\\u12g4\"]", 0),
    scan_text("an escape at the end", "\"\\", 0),
    scan_text("a control", "[\"a\nb\"]", 0),
    scan_text("a control after a long run", "[\"abcdefghijklmnop\x1fq\"]", 0),
    scan_text("DEL is fine", "[\"a\x7f\"]", 1),
    scan_text("NUL", "[\"a\0b\"]", 0),
    scan_text("NUL outside", "[\0]", 0),
    scan_text("not closed", "\"abc", 0),
    scan_text("single quotes", "['a']", 0),

    scan_text("UTF-8", "[\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"
              "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\"]",
              1),
    scan_text("a byte that follows nothing", "[\"\x80\"]", 0),
    scan_text("an overlong slash", "[\"\xc0\xaf\"]", 0),
    scan_text("another overlong", "[\"\xe0\x9f\xbf\"]", 0),
    scan_text("an overlong of four", "[\"\xf0\x8f\xbf\xbf\"]", 0),
    scan_text("a surrogate in UTF-8", "[\"\xed\xa0\x80\"]", 0),
    scan_text("beyond Unicode", "[\"\xf4\x90\x80\x80\"]", 0),
    scan_text("a byte that is never", "[\"\xff\"]", 0),
    scan_text("half a character", "[\"\xe2\x82\"]", 0),
    scan_text("a character with a byte too many", "[\"\xe2x\x82\x82\"]", 0),
    scan_text("a character cut by an escape", "[\"\xe2\\n\"]", 0),

    scan_text("a trailing comma", "[1,]", 0),
    scan_text("a leading comma", "[,1]", 0),
    scan_text("two commas", "[1,,2]", 0),
    scan_text("a comma for members", "{\"a\":1,}", 0),
    scan_text("a comma and no member", "{,}", 0),
    scan_text("no comma", "{\"a\":1 \"b\":2}", 0),
    scan_text("no colon", "{\"a\" 1}", 0),
    scan_text("two colons", "{\"a\"::1}", 0),
    scan_text("no value", "{\"a\":}", 0),
    scan_text("no name", "{1:2}", 0),
    scan_text("a name of no string", "{a:1}", 0),
    scan_text("a value for a name", "{\"a\"}", 0),
    scan_text("brackets that do not match", "[}", 0),
    scan_text("braces that do not match", "{]", 0),
    scan_text("crossed", "[{\"a\":1]}", 0),
    scan_text("not closed array", "[1", 0),
    scan_text("not closed object", "{\"a\":1", 0),
    scan_text("one bracket too many", "[1]]", 0),
    scan_text("trailing text", "{} x", 0),
    scan_text("two texts", "{}{}", 0),
    scan_text("a comment", "{} // x", 0),

    scan_text("two members", "{\"a\":1,\"b\":1}", 1),
    scan_text("a duplicate", "{\"a\":1,\"a\":1}", 0),
    scan_text("a duplicate by escape", "{\"a\":1,\"\\u0061\":1}", 0),
    scan_text("a duplicate emoji",
              "{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":1}", 0),
    scan_text("empty names", "{\"\":1,\"\":1}", 0),
    scan_text("the same name, other objects",
              "{\"a\":{\"a\":{\"a\":[{\"a\":1},{\"a\":1}]}},\"b\":{\"a\":1}}",
              1),
    scan_text("a duplicate after a nested object",
              "{\"a\":{\"b\":1,\"c\":2},\"b\":1,\"a\":1}", 0),
    scan_text("names alike but for their case", "{\"a\":1,\"A\":1}", 1),
    scan_text("a name that begins as another", "{\"a\":1,\"a\\u0000\":1}", 1)
};

#define SCAN_TEXTS  (sizeof(scan_texts) / sizeof(scan_texts[0]))


/* what is told: "a" a scalar, "b" a list of "c", "d" with "e" inside */

static const llm_scan_node_t  scan_item =
    { llm_null_string, 'c', NULL, NULL };

static const llm_scan_node_t  scan_inner[] = {
    { llm_string("e"), 'e', NULL, NULL },
    llm_scan_end_node
};

static const llm_scan_node_t  scan_containers =
    { llm_null_string, 'x' | LLM_SCAN_CONTAINERS, NULL, NULL };

static const llm_scan_node_t  scan_members[] = {
    { llm_string("a"), 'a', NULL, NULL },
    { llm_string("b"), 'b', NULL, &scan_item },
    { llm_string("d"), 0, scan_inner, NULL },
    { llm_string("f"), 0, NULL, &scan_containers },
    llm_scan_end_node
};

static const llm_scan_node_t  scan_element =
    { llm_null_string, 'i', scan_members, NULL };

static const llm_scan_node_t  scan_root =
    { llm_null_string, 'r', scan_members, &scan_element };


static void
scan_handler(void *ctx, const llm_scan_value_t *value)
{
    int          n;
    scan_log_t  *log;

    static const char *const  types[] = { "null", "false", "true", "num",
                                          "str", "obj", "arr" };

    log = ctx;

    if (log == NULL || log->len > sizeof(log->text) - 256) {
        return;
    }

    n = snprintf(log->text + log->len, 256, "%c:%s%s/%zu",
                 (char) value->role, types[value->type],
                 value->open ? "(" : "", value->position);
    log->len += (size_t) n;

    if (value->type == LLM_SCAN_STRING || value->type == LLM_SCAN_NUMBER) {
        n = snprintf(log->text + log->len, 256, "=%.*s:%zu",
                     (int) value->text.len, (const char *) value->text.data,
                     value->size);
        log->len += (size_t) n;
    }

    if (value->type >= LLM_SCAN_OBJECT && !value->open) {
        n = snprintf(log->text + log->len, 256, ")%zu,%x", value->size,
                     value->kinds);
        log->len += (size_t) n;
    }

    log->text[log->len++] = ' ';
}


/* one piece, two pieces, or single bytes; copies that are gone afterwards */

static llm_scan_result_e
scan_run(llm_scan_t *scan, const char *text, size_t len, size_t cut)
{
    size_t              i, end;
    unsigned char      *piece;
    llm_scan_result_e   rc;

    rc = LLM_SCAN_OK;

    for (i = 0; i < len && rc == LLM_SCAN_OK; i = end) {

        end = cut == SIZE_MAX ? i + 1 : i < cut ? cut : len;

        piece = malloc(end - i);
        memcpy(piece, text + i, end - i);

        rc = llm_scan_feed(scan, piece, end - i);

        free(piece);
    }

    return rc == LLM_SCAN_OK ? llm_scan_end(scan) : rc;
}


static void
scan_test_texts(void)
{
    int                 bad;
    size_t              i, cut;
    llm_scan_t          scan;
    const scan_text_t  *c;

    llm_scan_init(&scan, scan_handler, NULL);

    for (i = 0; i < SCAN_TEXTS; i++) {
        c = &scan_texts[i];

        llm_scan_begin(&scan, &scan_root);
        is_int(scan_run(&scan, c->text, c->len, c->len),
               c->valid ? LLM_SCAN_OK : LLM_SCAN_INVALID, "%s: %s", c->name,
               c->valid ? "valid" : "invalid");

        bad = 0;

        for (cut = 0; cut <= c->len; cut++) {
            llm_scan_begin(&scan, &scan_root);
            bad += (scan_run(&scan, c->text, c->len,
                             cut == c->len ? SIZE_MAX : cut)
                    != (c->valid ? LLM_SCAN_OK : LLM_SCAN_INVALID));
        }

        is_int(bad, 0, "%s: the same however it is cut", c->name);
    }

    llm_scan_free(&scan);
}


/* jansson, as strict as it can be, is asked what it makes of the same */

static void
scan_test_jansson(void)
{
    int                 ours, theirs;
    size_t              i;
    json_t             *doc;
    llm_scan_t          scan;
    const scan_text_t  *c;

    llm_scan_init(&scan, scan_handler, NULL);

    for (i = 0; i < SCAN_TEXTS; i++) {
        c = &scan_texts[i];

        if (strstr(c->name, "surrogate") || strstr(c->name, "numbers")) {
            continue;
        }

        llm_scan_begin(&scan, NULL);
        ours = (scan_run(&scan, c->text, c->len, c->len) == LLM_SCAN_OK);

        doc = json_loadb(c->text, c->len, JSON_REJECT_DUPLICATES
                         |JSON_DECODE_ANY|JSON_DECODE_INT_AS_REAL
                         |JSON_ALLOW_NUL, NULL);
        theirs = (doc != NULL);
        json_decref(doc);

        /* jansson takes no names with NUL in them */

        if (strstr(c->text, "a\\u0000\"")) {
            continue;
        }

        is_int(ours, theirs, "%s: as jansson has it", c->name);
    }

    llm_scan_free(&scan);
}


static void
scan_log_is(const char *name, const char *text, const char *expected)
{
    int         bad;
    size_t      len, cut;
    llm_scan_t  scan;
    scan_log_t  log;

    len = strlen(text);
    bad = 0;

    llm_scan_init(&scan, scan_handler, &log);

    for (cut = 0; cut <= len; cut++) {
        log.len = 0;
        llm_scan_begin(&scan, &scan_root);

        if (scan_run(&scan, text, len, cut == len ? SIZE_MAX : cut)
            != LLM_SCAN_OK)
        {
            bad++;
        }

        log.text[log.len] = '\0';

        if (cut == 0) {
            is_mem(log.text, log.len, expected, strlen(expected), "%s", name);
        }

        bad += (strcmp(log.text, expected) != 0);
    }

    is_int(bad, 0, "%s: the same however it is cut", name);

    llm_scan_free(&scan);
}


static void
scan_test_values(void)
{
    scan_log_is("members are found by their names",
                "{\"x\":{\"a\":1},\"a\":\"hi\",\"d\":{\"e\":-1.5e3,\"a\":2}}",
                "r:obj(/0 a:str/1=hi:2 e:num/0=-1.5e3:6 r:obj/0)3,30 ");

    scan_log_is("so are escaped names",
                "{\"\\u0061\":true,\"\\u0064\":{\"\\u0065\":null}}",
                "r:obj(/0 a:true/0 e:null/0 r:obj/0)2,24 ");

    scan_log_is("elements, with their types",
                "{\"b\":[1,\"x\",null,{},[2]]}",
                "r:obj(/0 b:arr(/0 c:num/0=1:1 c:str/1=x:1 c:null/2 "
                "c:obj(/3 c:obj/3)0,0 c:arr(/4 c:arr/4)1,8 b:arr/0)5,79 "
                "r:obj/0)1,40 ");

    scan_log_is("an array at the top",
                "[{\"a\":1},2,{\"a\":false}]",
                "r:arr(/0 i:obj(/0 a:num/0=1:1 i:obj/0)1,8 i:num/1=2:1 "
                "i:obj(/2 a:false/0 i:obj/2)1,2 r:arr/0)3,28 ");

    scan_log_is("containers without their scalars",
                "{\"f\":[1,\"a\",[2],{}]}",
                "r:obj(/0 \x78:arr(/2 \x78:arr/2)1,8 \x78:obj(/3 "
                "\x78:obj/3)0,0 r:obj/0)1,40 ");

    scan_log_is("escapes are decoded",
                "{\"a\":\"\\u00e9\\n\\ud83d\\ude00\\ud83d!\"}",
                "r:obj(/0 a:str/0=\xc3\xa9\n\xf0\x9f\x98\x80\xed\xa0\xbd!:11 "
                "r:obj/0)1,10 ");

    scan_log_is("to as many bytes as they need",
                "{\"a\":\"\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00"
                "\\udbff\\udfff\"}",
                "r:obj(/0 a:str/0=\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"
                "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf:19 r:obj/0)1,10 ");

    scan_log_is("surrogates that are no pair stay alone",
                "{\"a\":\"\\udc00\\ud83d\\u00aA\\ud83d\\ud83d\\uDE00\"}",
                "r:obj(/0 a:str/0=\xed\xb0\x80\xed\xa0\xbd\xc2\xaa\xed\xa0\xbd"
                "\xf0\x9f\x98\x80:15 r:obj/0)1,10 ");

    scan_log_is("characters are kept whole or cut at the limit",
                "{\"a\":\"0123456789012345678901234567890123456789012345678901"
                "2345678901\xe2\x82\xac\xe2\x82\xac\"}",
                "r:obj(/0 a:str/0=0123456789012345678901234567890123456789012"
                "3456789012345678901\xe2\x82:68 r:obj/0)1,10 ");

    scan_log_is("a number at the top", " 42 ", "r:num/0=42:2 ");
}


static void
scan_first_is(const char *name, const char *text, size_t end, int empty,
    int cache)
{
    int         bad;
    size_t      len, cut;
    llm_scan_t  scan;

    len = strlen(text);
    bad = 0;

    llm_scan_init(&scan, scan_handler, NULL);

    for (cut = 0; cut <= len; cut++) {
        llm_scan_begin(&scan, &scan_root);
        scan_run(&scan, text, len, cut == len ? SIZE_MAX : cut);

        bad += (scan.first_end != end);
        bad += (end != SIZE_MAX && scan.first_empty != (unsigned) empty);
        bad += (scan.first_cache != (unsigned) cache);
    }

    is_int(bad, 0, "%s", name);

    llm_scan_free(&scan);
}


static void
scan_test_first(void)
{
    scan_first_is("the end of the object", " {\"a\":{}} ", 8, 0, 0);
    scan_first_is("of an empty one", " { } ", 3, 1, 0);
    scan_first_is("a member \"cache\"", "{\"cache\":1}", 10, 0, 1);
    scan_first_is("however it is written", "{\"c\\u0061che\":1}", 15, 0, 1);
    scan_first_is("not of an inner object", "{\"a\":{\"cache\":1}}", 16, 0, 0);
    scan_first_is("the first element", "[{\"a\":1},{\"cache\":1}]", 7, 0, 0);
    scan_first_is("with a member \"cache\"", "[{\"cache\":1},{}]", 11, 0, 1);
    scan_first_is("no object comes first", "[1,{\"cache\":1}]", SIZE_MAX, 0,
                  0);
    scan_first_is("an array in an array", "[[{\"cache\":1}]]", SIZE_MAX, 0, 0);
    scan_first_is("no object at all", "\"a\"", SIZE_MAX, 0, 0);
    scan_first_is("an object that does not end", "{\"a\":1", SIZE_MAX, 0, 0);
}


static void
scan_test_depth(void)
{
    char        text[2 * LLM_JSON_MAX_DEPTH + 8];
    size_t      n;
    llm_scan_t  scan;

    llm_scan_init(&scan, scan_handler, NULL);

    for (n = LLM_JSON_MAX_DEPTH; n <= LLM_JSON_MAX_DEPTH + 1; n++) {
        memset(text, '[', n);
        memset(text + n, ']', n);

        llm_scan_begin(&scan, NULL);
        is_int(scan_run(&scan, text, 2 * n, 2 * n),
               n > LLM_JSON_MAX_DEPTH ? LLM_SCAN_INVALID : LLM_SCAN_OK,
               "nested %zu times", n);
    }

    llm_scan_free(&scan);
}


/* an object of n members, the last one named as member "again" */

static llm_scan_result_e
scan_many(llm_scan_t *scan, unsigned n, unsigned again)
{
    unsigned   i;
    size_t     len;
    char      *text;

    text = malloc(n * 32 + 2);
    len = 0;

    text[len++] = '{';

    for (i = 0; i < n; i++) {
        len += (size_t) sprintf(text + len, "%s\"n%u\":{\"a\":1,\"b\":2}",
                                i ? "," : "", i == n - 1 ? again : i);
    }

    text[len++] = '}';

    llm_scan_begin(scan, NULL);
    i = scan_run(scan, text, len, len);

    free(text);

    return i;
}


static void
scan_test_many(void)
{
    llm_scan_t  scan;

    llm_scan_init(&scan, scan_handler, NULL);

    is_int(scan_many(&scan, 100000, 99999), LLM_SCAN_OK,
           "100,000 members with other names");
    is_int(scan_many(&scan, 100000, 0), LLM_SCAN_INVALID,
           "the first name again");
    is_int(scan_many(&scan, 100000, 50000), LLM_SCAN_INVALID,
           "the middle one again");
    is_int(scan_many(&scan, 3, 2), LLM_SCAN_OK,
           "names are forgotten with their text");

    llm_scan_free(&scan);
}


/* a new scanner each, so that its table grows on the way */

static void
scan_test_growth(void)
{
    int         bad;
    unsigned    again;
    llm_scan_t  scan;

    bad = 0;

    for (again = 0; again < 600; again++) {
        llm_scan_init(&scan, scan_handler, NULL);
        bad += (scan_many(&scan, 601, again) != LLM_SCAN_INVALID);
        llm_scan_free(&scan);
    }

    is_int(bad, 0, "any name of 600 again");
}


static void
scan_test_names(void)
{
    int          bad;
    uint64_t     i;
    llm_names_t  names;

    memset(&names, 0, sizeof(names));

    bad = 0;

    for (i = 0; i < 1024 * 1024; i++) {
        bad += (llm_names_add(&names, i * 0x9e3779b97f4a7c15ULL) != 0);
    }

    is_int(bad, 0, "a million names at a time");
    is_int(llm_names_add(&names, i * 0x9e3779b97f4a7c15ULL),
           LLM_NAMES_DUPLICATE, "and no more");

    llm_names_drop(&names, 1);

    is_int(llm_names_add(&names, 0), LLM_NAMES_DUPLICATE, "the first is left");
    is_int(llm_names_add(&names, 5 * 0x9e3779b97f4a7c15ULL), 0,
           "the others are forgotten");

    llm_names_free(&names);
}


static void
scan_test_blank(void)
{
    llm_scan_t           scan;
    const unsigned char  text[] = " \r\n\t[";

    llm_scan_init(&scan, scan_handler, NULL);
    llm_scan_begin(&scan, NULL);

    is_int(llm_scan_blank(&scan), 1, "blank at first");
    llm_scan_feed(&scan, text, 4);
    is_int(llm_scan_blank(&scan), 1, "blank after white space");
    llm_scan_feed(&scan, text + 4, 1);
    is_int(llm_scan_blank(&scan), 0, "not after the first byte of a text");

    llm_scan_begin(&scan, NULL);
    llm_scan_feed(&scan, (const unsigned char *) "?", 1);
    is_int(llm_scan_blank(&scan), 0, "nor after what is none");
    is_int(llm_scan_feed(&scan, (const unsigned char *) "{}", 2),
           LLM_SCAN_INVALID, "which stays so until the next text");

    llm_scan_free(&scan);
}


int
main(void)
{
    scan_test_texts();
    scan_test_jansson();
    scan_test_values();
    scan_test_first();
    scan_test_depth();
    scan_test_many();
    scan_test_growth();
    scan_test_names();
    scan_test_blank();

    return tap_done();
}
