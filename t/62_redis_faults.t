# Whatever becomes of Redis, requests succeed, and Redis is of use again
# without a reload when it is well.

use FindBin ();
use lib "$FindBin::Bin/lib";
use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;
use LLMTest::RedisProxy;

my $mock = mock();
my $serial = 0;

# so many different requests succeed, whatever the tier

sub all_well {
    my ($nginx, $name, $count) = @_;

    my $well = 0;

    for (1 .. $count // 5) {
        my @request = (chat_uri(), chat('Question ' . $serial++));
        my $first = $nginx->post(@request);
        my $second = $nginx->post(@request);

        $well++ if $first->status == 200 && $first->complete
            && $second->status == 200 && $second->complete;
    }

    is($well, $count // 5, "$name: all requests succeed");

    return;
}

# until Redis answers and is told of by a hit of the other machine

sub recovers {
    my ($nginx, $other, $name) = @_;

    settle($_) for $nginx, $other;

    my @request = (chat_uri(), chat('Question ' . $serial++));
    my $first = $nginx->post(@request);
    my $stores = sub { counter($nginx, 'stores') };
    my $before = $stores->();

    $nginx->wait_until(sub { $stores->() > $before });
    pause(0.2);
    is_hit($other->post(@request), $first, "$name: the other machine");

    return;
}

sub opens {
    my ($nginx, $name) = @_;

    for (1 .. 50) {
        last if state_of($nginx)->{state} eq 'open';
        $nginx->post(chat_uri(), chat('Question ' . $serial++));
    }

    is(state_of($nginx)->{state}, 'open', "$name: the breaker is open");

    my $before = state_of($nginx);

    all_well($nginx, "$name, left alone");

    my $after = state_of($nginx);

    is($after->{lookups}, $before->{lookups}, "$name: nobody waits for it");
    cmp_ok($after->{skipped}, '>', $before->{skipped}, "$name: skipped");

    return;
}


# absent at the start, then there

my $port = LLMTest::Redis::free_port();
my ($a, $b) = map { machine("redis://127.0.0.1:$port",
    quick => 1, allow => qr/exited on signal 9/) } 1, 2;

all_well($a, 'absent');
is(calls(sub { is_cached($a, 'absent', chat_uri(), chat('In memory')) }), 1,
    'absent: memory works');
opens($a, 'absent');

my $redis = LLMTest::Redis->new(port => $port);

recovers($a, $b, 'there at last');


# killed under way, then there again

$redis->stop('KILL');
all_well($a, 'killed');
opens($a, 'killed');
ok($redis->start, 'Redis is there again');
recovers($a, $b, 'after the kill');


# what is in memory came from Redis, and nobody tells of changes any more

my @known = (chat_uri(), chat('Known'));
my $known = $a->post(@known);

ok(stored($redis, 'llm:' . $known->header('X-LLM-Cache-Key')), 'stored');
is_hit($b->post(@known), $known, 'known to the other');
$redis->stop('KILL');
ok($redis->start, 'Redis starts empty');
settle($_) for $a, $b;
is(calls(sub { is_miss($b->post(@known), 'unverified') }), 1,
    'what Redis has no more is fetched again');
cmp_ok(counter($b, 'unverified'), '>', 0, 'it was not served from memory');


# paused

$redis->signal('STOP');
all_well($a, 'paused');
opens($a, 'paused');
$redis->signal('CONT');
recovers($a, $b, 'after the pause');


# out of memory: nothing is stored, everything else works

$redis->command('CONFIG', 'SET', 'maxmemory', '1');
all_well($a, 'out of memory');
ok($a->wait_until(sub { counter($a, 'store_errors') > 0 }), 'errors count');
is(state_of($a)->{state}, 'tracking', 'which is no reason to leave it alone');

my @only = (chat_uri(), chat('Only here'));
my $only = $a->post(@only);

pause(0.2);
is(calls(sub { is_hit($a->post(@only), $only, 'in memory alone') }), 0,
    'out of memory: no call');
$redis->command('CONFIG', 'SET', 'maxmemory', '0');
recovers($a, $b, 'with memory again');


# foreign, torn and damaged values are misses

my @torn = (chat_uri(), chat('Torn'));
my $torn = $a->post(@torn);
my $key = 'llm:' . $torn->header('X-LLM-Cache-Key');

ok(stored($redis, $key), 'stored');

my $value = $redis->command('GET', $key);
my $flip = sub { my ($at) = @_; my $copy = $value;
    substr($copy, $at, 1) ^= "\x01"; return $copy };

for my $bad (['empty', ''], ['foreign', 'a value of somebody else'],
    ['short', substr $value, 0, -1], ['long', $value . 'x'],
    ['another version', $flip->(4)], ['another key', $flip->(20)],
    ['damaged', $flip->(length($value) - 9)], ['damaged sum', $flip->(50)],
    ['damaged head', $flip->(70)])
{
    my ($name, $bytes) = @$bad;

    $redis->command('SET', $key, $bytes);
    pause(0.1);
    is(calls(sub { is_miss($b->post(@torn), $name) }), 1, "$name: a call");
    ok($redis->wait_for(sub { $redis->command('GET', $key) ne $bytes }),
        "$name: replaced");
}

$redis->command('DEL', $key);
$redis->command('RPUSH', $key, 'a', 'list');
pause(0.1);
is_miss($a->post(@torn), 'a value of another type');
pause(0.2);


# values of a machine whose zone takes larger ones: misses, and no more

my ($large, $small) = map { machine($redis->url,
    http => "llm_cache_zone zone=z:16m max_entry=$_;") } '4m', '64k';

settle($_) for $large, $small;

my @large = (chat_uri(), chat('Large'), mock => { size => 2_000_000 });
my $size = $large->post(@large);

ok(stored($redis, 'llm:' . $size->header('X-LLM-Cache-Key')), 'stored');
is(calls(sub { is_miss($small->post(@large), "too large, $_") for 1 .. 5 }),
    5, 'what is too large for this machine is fetched');
is(counter($small, $_), 0, "too large: $_") for qw(failures damaged errors);


# slow, garbled and cut replies

my $proxy = LLMTest::RedisProxy->new($redis->port);
my ($c, $d) = map { machine($proxy->url, quick => 1) } 1, 2;

settle($_) for $c, $d;

for my $mode ('delay 1', 'garbage', 'huge', 'cut 3', 'close') {
    $proxy->mode($mode);
    all_well($c, $mode);
    opens($c, $mode);
    $proxy->mode('pass');
    recovers($c, $d, "after $mode");
}

cmp_ok(counter($c, 'timeouts'), '>', 0, 'slow replies were not waited for');


# names that nobody resolves

my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp');
my $nameless = machine('redis://redis.test', quick => 1,
    http => 'resolver 127.0.0.1:' . $silent->sockport . ';');

all_well($nameless, 'no names');
opens($nameless, 'no names');
like($nameless->error_log, qr/"redis\.test" is not resolved in time/,
    'no names: the log says so');
like($nameless->error_log, qr/Redis at redis\.test is left alone/,
    'no names: and which Redis it is');

# from now on it is tried, without a line each time

my $lines = sub { scalar(() = $nameless->error_log =~ /not resolved in/g) };
my $tried = sub {
    my $before = counter($nameless, 'failures');

    return $nameless->wait_until(sub {
        counter($nameless, 'failures') > $before + 1 });
};

ok($tried->(), 'no names: it is tried again');

my $said = $lines->();

ok($tried->(), 'no names: and again');
is($lines->(), $said, 'no names: which the log does not tell');


# a worker is killed; what it knew is verified anew

my @kept = (chat_uri(), chat('Kept'));
my $kept = $a->post(@kept);

ok(stored($redis, 'llm:' . $kept->header('X-LLM-Cache-Key')), 'stored');
ok($a->kill_worker, 'a worker is killed');
settle($a);
is(calls(sub { is_hit($a->post(@kept), $kept, 'after the kill') }), 0,
    'no call after the kill');
ok($a->reload, 'reload');
settle($a);
is(calls(sub { is_hit($a->post(@kept), $kept, 'after the reload') }), 0,
    'no call after the reload');

finish();
