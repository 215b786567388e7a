#include "llm_redis_slots.h"
#include "tap.h"


static llm_redis_move_t  move;


static llm_str_t
view(const char *text)
{
    llm_str_t  s;

    s.data = (const unsigned char *) text;
    s.len = strlen(text);

    return s;
}


static llm_redis_move_e
read_move(const char *text)
{
    return llm_redis_move(view(text), &move);
}


static int
to(const char *host, unsigned slot, unsigned port)
{
    return llm_str_eq(move.host, host, strlen(host)) && move.slot == slot
           && move.port == port;
}


/* the values are those of CLUSTER KEYSLOT */

static void
slots(void)
{
    ok(llm_redis_slot(view("123456789")) == 12739, "the check value");
    ok(llm_redis_slot(view("foo")) == 12182, "foo");
    ok(llm_redis_slot(view("")) == 0, "no key");
    ok(llm_redis_slot(view("{foo}bar")) == 12182, "a tag");
    ok(llm_redis_slot(view("bar{foo}{zap}")) == 12182, "the first tag");
    ok(llm_redis_slot(view("foo{}{bar}")) == 8363, "an empty tag is none");
    ok(llm_redis_slot(view("foo{{bar}}zap")) == 4015, "a brace in a tag");
    ok(llm_redis_slot(view("{foo")) != 12182, "an open tag is none");
}


static void
moves(void)
{
    size_t  i;

    static const char  *bad[] = {
        "", "MOVED", "MOVED ", "MOVED x a:1", "MOVED 1", "MOVED 1 ",
        "MOVED 1 a", "MOVED 1 a:", "MOVED 1 a:x", "MOVED 1 a:0",
        "MOVED 1 a:65536", "MOVED 16384 a:1", "MOVED 99999999999999 a:1",
        "MOVED 1 a:1 ", "MOVED 1 a b:1", "ASK", "ASKING 1 a:1",
        "ERR MOVED 1 a:1", "moved 1 a:1"
    };

    ok(read_move("MOVED 3999 127.0.0.1:6381") == LLM_REDIS_MOVED
       && to("127.0.0.1", 3999, 6381),
       "MOVED");
    ok(read_move("ASK 16383 node.example:7000") == LLM_REDIS_ASK
       && to("node.example", 16383, 7000),
       "ASK");
    ok(read_move("MOVED 0 ::1:6379") == LLM_REDIS_MOVED && to("::1", 0, 6379),
       "an IPv6 address");
    ok(read_move("MOVED 1 :6379") == LLM_REDIS_MOVED && to("", 1, 6379),
       "the same host");
    ok(read_move("MOVED 1 ?:6379") == LLM_REDIS_MOVED && to("", 1, 6379),
       "an unknown one");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(read_move(bad[i]) == LLM_REDIS_STAY, "no move: \"%s\"", bad[i]);
    }
}


int
main(void)
{
    slots();
    moves();

    return tap_done();
}
