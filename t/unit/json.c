#include <locale.h>
#include <stdlib.h>

#include "llm_json.h"
#include "tap.h"


typedef struct {
    const char           *name;
    const char           *text;
    size_t                len;
    llm_reason_e          reason;
} load_case_t;


typedef struct {
    const char           *name;
    const char           *text;
    const char           *canon;
} canon_case_t;


typedef struct {
    uint64_t              bits;
    const char           *text;
} number_case_t;


#define CASE(name, text, reason)                                              \
    { name, text, sizeof(text) - 1, LLM_REASON_##reason }


static const load_case_t  loads[] = {

    CASE("an empty object", "{}", NONE),
    CASE("white space around it", " \t\r\n{ } \n", NONE),
    CASE("an escaped NUL in a value", "{\"a\":\"\\u0000\"}", NONE),
    CASE("a surrogate pair", "{\"a\":\"\\ud83d\\ude00\"}", NONE),
    CASE("an empty name", "{\"\":1}", NONE),

    CASE("no text", "", JSON),
    CASE("white space only", "  \n", JSON),
    CASE("an array", "[]", JSON),
    CASE("a string", "\"a\"", JSON),
    CASE("a number", "1", JSON),
    CASE("null", "null", JSON),
    CASE("a byte order mark", "\xef\xbb\xbf{}", JSON),
    CASE("a trailing byte", "{}x", JSON),
    CASE("a trailing NUL", "{}\0", JSON),
    CASE("a second object", "{}{}", JSON),
    CASE("an unclosed object", "{\"a\":1", JSON),
    CASE("a trailing comma", "{\"a\":1,}", JSON),
    CASE("single quotes", "{'a':1}", JSON),
    CASE("a comment", "{/**/}", JSON),
    CASE("NaN", "{\"a\":NaN}", JSON),
    CASE("Infinity", "{\"a\":Infinity}", JSON),
    CASE("a leading zero", "{\"a\":01}", JSON),
    CASE("a plus sign", "{\"a\":+1}", JSON),
    CASE("a fraction without digits", "{\"a\":1.}", JSON),
    CASE("no digits before the point", "{\"a\":.5}", JSON),
    CASE("a hexadecimal number", "{\"a\":0x1}", JSON),
    CASE("a form feed as white space", "{\f}", JSON),
    CASE("a raw control byte in a string", "{\"a\":\"\x01\"}", JSON),
    CASE("a raw line feed in a string", "{\"a\":\"\n\"}", JSON),
    CASE("a raw NUL in a string", "{\"a\":\"\0\"}", JSON),
    CASE("an unknown escape", "{\"a\":\"\\x\"}", JSON),
    CASE("a short unicode escape", "{\"a\":\"\\u00\"}", JSON),
    CASE("an escaped NUL in a name", "{\"a\\u0000\":1}", JSON),

    CASE("a lone high surrogate", "{\"a\":\"\\ud83d\"}", JSON),
    CASE("a lone low surrogate", "{\"a\":\"\\ude00\"}", JSON),
    CASE("a high surrogate and a letter", "{\"a\":\"\\ud83dx\"}", JSON),
    CASE("surrogates in the wrong order", "{\"a\":\"\\ude00\\ud83d\"}", JSON),
    CASE("two high surrogates", "{\"a\":\"\\ud83d\\ud83d\"}", JSON),
    CASE("a lone surrogate in a name", "{\"\\ud83d\":1}", JSON),
    CASE("a surrogate in UTF-8", "{\"a\":\"\xed\xa0\xbd\"}", JSON),
    CASE("a bad UTF-8 byte", "{\"a\":\"\xff\"}", JSON),
    CASE("a lone continuation byte", "{\"a\":\"\x80\"}", JSON),
    CASE("an overlong slash", "{\"a\":\"\xc0\xaf\"}", JSON),
    CASE("an overlong three-byte form", "{\"a\":\"\xe0\x80\xaf\"}", JSON),
    CASE("a cut UTF-8 sequence", "{\"a\":\"\xe2\x82\"}", JSON),
    CASE("beyond U+10FFFF", "{\"a\":\"\xf4\x90\x80\x80\"}", JSON),
    CASE("bad UTF-8 in a name", "{\"\xff\":1}", JSON),

    CASE("a duplicate member", "{\"a\":1,\"a\":1}", DUPLICATE),
    CASE("a duplicate, escaped", "{\"a\":1,\"\\u0061\":2}", DUPLICATE),
    CASE("a duplicate further in", "{\"b\":[{\"a\":1,\"a\":1}]}", DUPLICATE),
    CASE("the same name in two objects", "{\"a\":{\"a\":1}}", NONE),
    CASE("names that differ in case", "{\"a\":1,\"A\":1}", NONE),

    CASE("2^53", "{\"a\":9007199254740992}", NONE),
    CASE("2^53 + 1", "{\"a\":9007199254740993}", NUMBER),
    CASE("2^53 + 2", "{\"a\":9007199254740994}", NONE),
    CASE("-(2^53 + 1)", "{\"a\":-9007199254740993}", NUMBER),
    CASE("2^53 + 1 in an array", "{\"a\":[1,[9007199254740993]]}", NUMBER),
    CASE("2^53 + 1 in an object", "{\"a\":{\"b\":9007199254740993}}", NUMBER),
    CASE("2^62", "{\"a\":4611686018427387904}", NONE),
    CASE("2^63 - 1", "{\"a\":9223372036854775807}", NUMBER),
    CASE("-2^63", "{\"a\":-9223372036854775808}", NONE),
    CASE("2^63", "{\"a\":9223372036854775808}", NUMBER),
    CASE("-2^63 - 1", "{\"a\":-9223372036854775809}", NUMBER),
    CASE("an integer of thirty digits",
         "{\"a\":100000000000000000000000000000}", NUMBER),
    CASE("2^53 + 1 with a fraction", "{\"a\":9007199254740993.0}", NONE),
    CASE("an exponent that overflows", "{\"a\":1e999}", NUMBER),
    CASE("a negative one", "{\"a\":-1e999}", NUMBER),
    CASE("the largest double", "{\"a\":1.7976931348623157e308}", NONE),
    CASE("just beyond it", "{\"a\":1.7976931348623159e308}", NUMBER),
    CASE("an exponent that underflows", "{\"a\":1e-999}", NONE)
};


/* what is written for a text; texts with equal right sides are one key */

static const canon_case_t  canons[] = {

    { "RFC 8785, 3.2.2",
      "{\n"
      "  \"numbers\": [333333333.33333329, 1E30, 4.50,\n"
      "              2e-3, 0.000000000000000000000000001],\n"
      "  \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c"
      "\\\\\\\"\\/\",\n"
      "  \"literals\": [null, true, false]\n"
      "}",
      "{\"literals\":[null,true,false],"
      "\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
      "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}" },

    { "RFC 8785, 3.2.3",
      "{\n"
      "  \"\\u20ac\": \"Euro Sign\",\n"
      "  \"\\r\": \"Carriage Return\",\n"
      "  \"\\ufb33\": \"Hebrew Letter Dalet With Dagesh\",\n"
      "  \"1\": \"One\",\n"
      "  \"\\ud83d\\ude00\": \"Emoji: Grinning Face\",\n"
      "  \"\\u0080\": \"Control\",\n"
      "  \"\\u00f6\": \"Latin Small Letter O With Diaeresis\"\n"
      "}",
      "{\"\\r\":\"Carriage Return\","
      "\"1\":\"One\","
      "\"\xc2\x80\":\"Control\","
      "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\","
      "\"\xe2\x82\xac\":\"Euro Sign\","
      "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\","
      "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}" },

    { "members at every depth",
      "{\"b\":{\"d\":1,\"c\":[{\"f\":1,\"e\":2}]},\"a\":{}}",
      "{\"a\":{},\"b\":{\"c\":[{\"e\":2,\"f\":1}],\"d\":1}}" },

    { "an order of elements that stays",
      "{\"a\":[3,1,2,[]]}", "{\"a\":[3,1,2,[]]}" },

    { "a name that begins another",
      "{\"ab\":1,\"a\":2,\"\":3,\"aa\":4}",
      "{\"\":3,\"a\":2,\"aa\":4,\"ab\":1}" },

    { "U+FFFF after U+10FFFF, U+D7FF before U+10000",
      "{\"\\uffff\":1,\"\\udbff\\udfff\":2,\"\\ud800\\udc00\":3,"
      "\"\\ud7ff\":4,\"\\ue000\":5}",
      "{\"\xed\x9f\xbf\":4,\"\xf0\x90\x80\x80\":3,\"\xf4\x8f\xbf\xbf\":2,"
      "\"\xee\x80\x80\":5,\"\xef\xbf\xbf\":1}" },

    { "the same behind a common beginning",
      "{\"x\\ue000\":1,\"x\\ud800\\udc00\":2}",
      "{\"x\xf0\x90\x80\x80\":2,\"x\xee\x80\x80\":1}" },

    { "every escape that stays one",
      "{\"a\":\"\\u0000\\u0001\\u001f\\b\\t\\n\\f\\r\\\"\\\\\"}",
      "{\"a\":\"\\u0000\\u0001\\u001f\\b\\t\\n\\f\\r\\\"\\\\\"}" },

    { "long forms of the short escapes",
      "{\"a\":\"\\u0008\\u0009\\u000A\\u000C\\u000D\\u0022\\u005C\"}",
      "{\"a\":\"\\b\\t\\n\\f\\r\\\"\\\\\"}" },

    { "escapes that go away",
      "{\"\\u0061\":\"\\/\\u0041\\u007f\\u2028\\ud83d\\ude00\"}",
      "{\"a\":\"/A\x7f\xe2\x80\xa8\xf0\x9f\x98\x80\"}" },

    { "no Unicode normalisation",
      "{\"a\":\"A\\u030a\",\"b\":\"\\u00c5\"}",
      "{\"a\":\"A\xcc\x8a\",\"b\":\"\xc3\x85\"}" },

    { "one, in every spelling",
      "{\"a\":[1,1.0,1e0,10E-1,0.1e+1,1.000000000000000000000]}",
      "{\"a\":[1,1,1,1,1,1]}" },

    { "zero, in every spelling",
      "{\"a\":[0,-0,0.0,-0.0,0e5,-0E-5,1e-999]}",
      "{\"a\":[0,0,0,0,0,0,0]}" },

    { "numbers and what looks like them",
      "{\"a\":[1,\"1\",true,\"true\",null,\"null\"]}",
      "{\"a\":[1,\"1\",true,\"true\",null,\"null\"]}" },

    { "large integers as the doubles they are",
      "{\"a\":[9007199254740991,9007199254740992,-9007199254740992,"
      "1152921504606846976,1152921504606846976.0,-9223372036854775808]}",
      "{\"a\":[9007199254740991,9007199254740992,-9007199254740992,"
      "1152921504606847000,1152921504606847000,-9223372036854776000]}" },

    { "where exponents begin",
      "{\"a\":[1e20,1e21,123456789012345680000.0,1e-6,1e-7,1.5e-7]}",
      "{\"a\":[100000000000000000000,1e+21,123456789012345680000,"
      "0.000001,1e-7,1.5e-7]}" },

    { "a fraction that doubles hold badly",
      "{\"a\":[0.1,0.30000000000000004,0.7,2.5,100.25]}",
      "{\"a\":[0.1,0.30000000000000004,0.7,2.5,100.25]}" }
};


/* RFC 8785, appendix B, and powers of two, which lie unevenly */

static const number_case_t  numbers[] = {
    { 0x0000000000000000, "0" },
    { 0x8000000000000000, "0" },
    { 0x0000000000000001, "5e-324" },
    { 0x8000000000000001, "-5e-324" },
    { 0x7fefffffffffffff, "1.7976931348623157e+308" },
    { 0xffefffffffffffff, "-1.7976931348623157e+308" },
    { 0x4340000000000000, "9007199254740992" },
    { 0xc340000000000000, "-9007199254740992" },
    { 0x4430000000000000, "295147905179352830000" },
    { 0x44b52d02c7e14af5, "9.999999999999997e+22" },
    { 0x44b52d02c7e14af6, "1e+23" },
    { 0x44b52d02c7e14af7, "1.0000000000000001e+23" },
    { 0x444b1ae4d6e2ef4e, "999999999999999700000" },
    { 0x444b1ae4d6e2ef4f, "999999999999999900000" },
    { 0x444b1ae4d6e2ef50, "1e+21" },
    { 0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7" },
    { 0x3eb0c6f7a0b5ed8d, "0.000001" },
    { 0x41b3de4355555553, "333333333.3333332" },
    { 0x41b3de4355555554, "333333333.33333325" },
    { 0x41b3de4355555555, "333333333.3333333" },
    { 0x41b3de4355555556, "333333333.3333334" },
    { 0x41b3de4355555557, "333333333.33333343" },
    { 0xbecbf647612f3696, "-0.0000033333333333333333" },
    { 0x43143ff3c1cb0959, "1424953923781206.2" },
    { 0x0010000000000000, "2.2250738585072014e-308" },
    { 0x000fffffffffffff, "2.225073858507201e-308" },
    { 0x0060000000000000, "7.120236347223045e-307" },
    { 0x3d30000000000000, "5.684341886080802e-14" }
};


#define N(array)  (sizeof(array) / sizeof((array)[0]))


static llm_reason_e
load(const char *text, size_t len, json_t **doc)
{
    return llm_json_load((const unsigned char *) text, len, doc);
}


static void
test_buf(void)
{
    size_t     i;
    llm_buf_t  buf;

    memset(&buf, 0, sizeof(llm_buf_t));

    is_int(llm_buf_add(&buf, NULL, 0), 0, "nothing is added to nothing");
    is_int(buf.len, 0, "and nothing is there");

    for (i = 0; i < 100000; i++) {
        if (llm_buf_add(&buf, "abc", 3) != 0) {
            break;
        }
    }

    is_int(buf.len, 300000, "a buffer grows");
    is_mem(buf.data + 299997, 3, "abc", 3, "and keeps what it was given");

    is_int(llm_buf_add(&buf, "x", SIZE_MAX - 10), -1,
           "a length that overflows is refused");
    is_int(buf.len, 300000, "and the buffer stays as it was");

    llm_buf_free(&buf);
    ok(buf.data == NULL && buf.len == 0 && buf.size == 0, "a freed buffer");
}


static void
test_load(void)
{
    size_t              i;
    json_t             *doc;
    llm_str_t           word, expected;
    llm_reason_e        reason;
    const load_case_t  *c;

    for (i = 0; i < N(loads); i++) {
        c = &loads[i];

        doc = (json_t *) c;
        reason = load(c->text, c->len, &doc);

        word = llm_reason_word(reason);
        expected = llm_reason_word(c->reason);

        is_mem(word.data, word.len, expected.data, expected.len,
               "load: %s", c->name);
        ok((doc != NULL) == (c->reason == LLM_REASON_NONE),
           "load: %s: document", c->name);

        json_decref(doc);
    }
}


/* depth levels, the outermost an object */

static size_t
nest(char *text, size_t depth, char open, char close)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < depth; i++) {
        if (i == 0 || open == '{') {
            memcpy(text + n, "{\"a\":", 5);
            n += 5;

        } else {
            text[n++] = open;
        }
    }

    text[n++] = '1';

    for (i = depth; i > 0; i--) {
        text[n++] = (i == 1) ? '}' : close;
    }

    return n;
}


static void
test_depth(void)
{
    char       *text;
    size_t      len;
    json_t     *doc;
    llm_buf_t   buf;

    text = malloc(1000000);
    if (text == NULL) {
        ok(0, "memory");
        return;
    }

    len = nest(text, LLM_JSON_MAX_DEPTH, '[', ']');
    is_int(load(text, len, &doc), LLM_REASON_NONE, "depth: arrays, at most");

    memset(&buf, 0, sizeof(llm_buf_t));
    is_int(llm_json_canon(doc, &buf), 0, "depth: it can be written");
    is_mem(buf.data, buf.len, text, len, "depth: and is written whole");
    llm_buf_free(&buf);
    json_decref(doc);

    len = nest(text, LLM_JSON_MAX_DEPTH, '{', '}');
    is_int(load(text, len, &doc), LLM_REASON_NONE, "depth: objects, at most");
    json_decref(doc);

    len = nest(text, LLM_JSON_MAX_DEPTH + 1, '[', ']');
    is_int(load(text, len, &doc), LLM_REASON_DEPTH, "depth: arrays, one over");

    len = nest(text, LLM_JSON_MAX_DEPTH + 1, '{', '}');
    is_int(load(text, len, &doc), LLM_REASON_DEPTH,
           "depth: objects, one over");

    len = nest(text, 100000, '[', ']');
    is_int(load(text, len, &doc), LLM_REASON_DEPTH, "depth: 100000 arrays");

    len = nest(text, 100000, '{', '}');
    is_int(load(text, len, &doc), LLM_REASON_DEPTH, "depth: 100000 objects");

    memset(text, '[', 1000000);
    is_int(load(text, 1000000, &doc), LLM_REASON_DEPTH,
           "depth: a million, never closed");

    memcpy(text, "{\"a\":\"\\\\\\\"", 10);
    memset(text + 10, '[', 1000);
    memcpy(text + 1010, "\"}", 2);
    is_int(load(text, 1012, &doc), LLM_REASON_NONE,
           "depth: brackets in a string do not count");
    json_decref(doc);

    for (len = 6, text[5] = '['; len < 3000; len += 3) {
        memcpy(text + len, "[],", 3);
    }

    memcpy(text + len, "[]]}", 4);
    is_int(load(text, len + 4, &doc), LLM_REASON_NONE,
           "depth: neighbours do not count");
    json_decref(doc);

    free(text);
}


static void
test_canon(void)
{
    size_t               i;
    json_t              *doc;
    llm_buf_t            buf;
    const canon_case_t  *c;

    for (i = 0; i < N(canons); i++) {
        c = &canons[i];

        memset(&buf, 0, sizeof(llm_buf_t));

        is_int(load(c->text, strlen(c->text), &doc), LLM_REASON_NONE,
               "canon: %s: loads", c->name);
        is_int(doc ? llm_json_canon(doc, &buf) : -1, 0,
               "canon: %s: is written", c->name);
        is_str(buf, c->canon, "canon: %s", c->name);

        llm_buf_free(&buf);
        json_decref(doc);
    }

    memset(&buf, 0, sizeof(llm_buf_t));
    is_int(llm_json_canon(NULL, &buf), -1, "canon: nothing is refused");
    llm_buf_free(&buf);
}


static void
write_number(uint64_t bits, llm_buf_t *buf)
{
    double   d;
    json_t  *value;

    memcpy(&d, &bits, sizeof(double));

    memset(buf, 0, sizeof(llm_buf_t));

    value = json_real(d);
    if (value == NULL || llm_json_canon(value, buf) != 0) {
        llm_buf_free(buf);
    }

    json_decref(value);
}


static void
test_numbers(const char *where)
{
    size_t                i;
    llm_buf_t             buf;
    const number_case_t  *c;

    for (i = 0; i < N(numbers); i++) {
        c = &numbers[i];

        write_number(c->bits, &buf);
        is_str(buf, c->text, "number%s: %s", where, c->text);
        llm_buf_free(&buf);
    }
}


/* every number written must read back as itself, and no shorter one may */

static void
test_round_trip(void)
{
    int        i, n, bad;
    char       text[64];
    double     d, back;
    uint64_t   bits;
    llm_buf_t  buf;

    bad = 0;
    bits = 0x9e3779b97f4a7c15;

    for (i = 0; i < 20000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;

        if ((bits & 0x7ff0000000000000) == 0x7ff0000000000000) {
            continue;
        }

        memcpy(&d, &bits, sizeof(double));
        write_number(bits, &buf);

        n = (int) buf.len;
        (void) snprintf(text, sizeof(text), "%.*s", n,
                        (const char *) buf.data);
        back = strtod(text, NULL);

        if (n == 0 || memcmp(&back, &d, sizeof(double)) != 0) {
            printf("# %016llx: %s\n", (unsigned long long) bits, text);
            bad++;
        }

        llm_buf_free(&buf);
    }

    is_int(bad, 0, "number: 20000 doubles read back as themselves");
}


static void
test_locale(void)
{
    size_t                    i;
    json_t                   *doc;
    llm_buf_t                 buf;
    static const char *const  names[] = {
        "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8",
        "de_DE", "fr_FR"
    };

    for (i = 0; i < N(names); i++) {
        if (setlocale(LC_ALL, names[i])) {
            break;
        }
    }

    if (i == N(names)) {
        ok(1, "locale: # SKIP no locale with a decimal comma");
        return;
    }

    test_numbers(" with a decimal comma");

    memset(&buf, 0, sizeof(llm_buf_t));
    is_int(load("{\"a\":1.5}", 9, &doc), LLM_REASON_NONE, "locale: loads");
    is_int(doc ? llm_json_canon(doc, &buf) : -1, 0, "locale: is written");
    is_str(buf, "{\"a\":1.5}", "locale: with a point");

    llm_buf_free(&buf);
    json_decref(doc);
    setlocale(LC_ALL, "C");
}


/* an allocator that gives out only so much */

static int  allocations;


static void *
scarce_malloc(size_t size)
{
    return allocations-- > 0 ? malloc(size) : NULL;
}


static void
test_memory(void)
{
    int                i, bad, told;
    json_t            *doc;
    llm_reason_e       reason;
    static const char  text[] = "{\"a\":[1,2.5,\"x\\u0041\",null,{\"b\":{}}],"
                                "\"c\":\"a longer string than fits into"
                                " sixteen bytes\"}";

    json_set_alloc_funcs(scarce_malloc, free);

    bad = 0;
    told = 0;
    reason = LLM_REASON_NO_MEMORY;

    for (i = 0; i < 1000; i++) {
        allocations = i;
        reason = load(text, sizeof(text) - 1, &doc);

        if (reason == LLM_REASON_NONE) {
            json_decref(doc);
            break;
        }

        if (reason == LLM_REASON_NO_MEMORY) {
            told++;

        } else if (reason != LLM_REASON_JSON) {
            bad++;
        }

        if (doc != NULL) {
            bad++;
        }
    }

    json_set_alloc_funcs(malloc, free);

    is_int(reason, LLM_REASON_NONE, "memory: with enough of it, it loads");
    is_int(bad, 0, "memory: with less, it is refused");
    ok(told > 5, "memory: and the reason is memory, where the parser knows");
}


static void
test_members(void)
{
    size_t              n;
    json_t             *doc;
    llm_json_member_t  *members;

    (void) load("{\"b\":1,\"a\":2}", 13, &doc);
    is_int(llm_json_members(doc, &members, &n), 0, "members");
    is_int(n, 2, "members: all");
    is_mem(members[0].name, members[0].len, "a", 1, "members: sorted");
    is_int(json_integer_value(members[0].value), 2, "members: with values");
    free(members);
    json_decref(doc);

    (void) load("{}", 2, &doc);
    is_int(llm_json_members(doc, &members, &n), 0, "members: of nothing");
    ok(members == NULL && n == 0, "members: none");
    json_decref(doc);
}


int
main(void)
{
    json_t     *real;
    llm_buf_t   buf;

    test_buf();
    test_load();
    test_depth();
    test_canon();
    test_numbers("");
    test_round_trip();
    test_locale();
    test_memory();
    test_members();

    /* jansson makes no such value, nor may one be written */

    memset(&buf, 0, sizeof(llm_buf_t));
    real = json_real(1.0);
    is_int(json_real_set(real, 1e308 * 10), -1, "no infinity in a document");
    is_int(llm_json_canon(real, &buf), 0, "so it stays what it was");
    is_str(buf, "1", "one");
    json_decref(real);
    llm_buf_free(&buf);

    return done();
}
