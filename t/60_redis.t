# The Redis tier: two nginx with zones of their own share one Redis.

use FindBin ();
use lib "$FindBin::Bin/lib";
use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();
my $redis = LLMTest::Redis->new;
my $a = machine($redis->url);
my $b = machine($redis->url);

settle($_) for $a, $b;


# stored by one, hit by the other, byte for byte

my @requests = map {
    my $case = $_;
    map { my $name = $case->{name} . ($_ ? ' stream' : '');
        [$name, $case->{uri}, $case->{body}->($name, $_ ? (stream => \1)
        : ()), headers => $case->{headers}] } 0, $case->{streams} ? 1 : ();
} map { dialect($_) } 'chat', 'responses', 'anthropic', 'embeddings',
    'ollama chat', 'gemini stream';

for my $request (@requests) {
    my ($name, @request) = @$request;

    my $first = $a->post(@request);

    is_miss($first, $name);
    is($a->logged($first)->{tier}, '', "$name: of no tier");

    my $key = 'llm:' . $first->header('X-LLM-Cache-Key');

    ok(stored($redis, $key), "$name: stored in Redis");

    my $ttl = $redis->command('TTL', $key);

    cmp_ok($ttl, '<=', 3600, "$name: with its lifetime");
    cmp_ok($ttl, '>', 3500, "$name: with all of it");

    my $second;

    is(calls(sub { $second = $b->post(@request) }), 0, "$name: no call");
    is_hit($second, $first, "$name by the other");

    my $log = $b->logged($second);

    is($log->{tier}, 'redis', "$name: from Redis");
    like($log->{redis_time}, qr/^0\.\d{3}$/, "$name: which took a time");
    like($second->header('Cache-Status'), qr/^llm-cache; hit; ttl=3\d{3}; /,
        "$name: Cache-Status");

    my $third = $b->post(@request);

    is_hit($third, $first, "$name once more");
    is($b->logged($third)->{tier}, 'memory', "$name: now from memory");

    my $fourth = $a->post(@request);

    is_hit($fourth, $first, "$name by the first one");
    is($a->logged($fourth)->{tier}, 'memory',
        "$name: which kept what it stored");
}


# overwritten by one: both have the new answer within 100 ms

my @question = (chat_uri(), chat('Something that changes'));
my $old = $a->post(@question);
my $key = 'llm:' . $old->header('X-LLM-Cache-Key');

ok(stored($redis, $key), 'the old answer is in Redis');
is_hit($b->post(@question), $old, 'the old answer');

my $before = $redis->command('GET', $key);

pause(1.1);

$mock->next({ text => 'A new answer' });

my $new = $b->post(@question, headers => { 'Cache-Control' => 'no-cache' });

isnt($new->body, $old->body, 'another answer');
ok($redis->wait_for(sub { $redis->command('GET', $key) ne $before }),
    'it takes the place of the old one');
pause(0.1);

is_hit($b->post(@question), $new, 'the new answer where it was fetched');
is_hit($a->post(@question), $new, 'the new answer elsewhere');


# deleted in Redis: gone everywhere

$redis->command('DEL', $key);
pause(0.1);

is(calls(sub {
    is_miss($a->post(@question), 'deleted, where it was stored');
}), 1, 'deleted: a call');

ok(stored($redis, $key), 'stored again');
is_hit($b->post(@question), $a->post(@question), 'and found again');


# flushed

$redis->command('FLUSHALL');
pause(0.1);

is_miss($b->post(@question), 'flushed');
ok(stored($redis, $key), 'stored after the flush');

# the key's time to live is that of the copies in memory

my @short = (chat_uri(), chat('Short-lived'));
my $short = $a->post(@short);
my $short_key = 'llm:' . $short->header('X-LLM-Cache-Key');

ok(stored($redis, $short_key), 'another answer');
$redis->command('PEXPIRE', $short_key, 60_000);
pause(0.1);

my $hit = $b->post(@short);

is_hit($hit, $short, 'with a shorter time to live');
like($hit->header('Cache-Status'), qr/ttl=(?:5\d|60);/,
    'it is that of the copy');


# controls of the client count for Redis as for memory

my @aged = (chat_uri(), chat('An aged answer'));
my $aged = $a->post(@aged);

ok(stored($redis, 'llm:' . $aged->header('X-LLM-Cache-Key')), 'an answer');
pause(2.1);
isnt($b->post(@aged, headers => { 'Cache-Control' => 'max-age=1' })->cache,
    'HIT', 'max-age: too old in Redis too');

my @only = (chat_uri(), chat('Only if cached'));

is($a->post(@only, headers => { 'Cache-Control' => 'only-if-cached' })
    ->status, 504, 'only-if-cached: in no tier');

my $only = $a->post(@only);

ok(stored($redis, 'llm:' . $only->header('X-LLM-Cache-Key')), 'an answer');
is_hit($b->post(@only, headers => { 'Cache-Control' => 'only-if-cached' }),
    $only, 'only-if-cached: Redis is a cache');


# a usage event that another client did not ask for

my @plain = (chat_uri(), chat('Usage', stream => \1));
my @usage = (chat_uri(), chat('Usage', stream => \1,
    stream_options => { include_usage => \1 }));
my $plain = $a->post(@plain);

ok(stored($redis, 'llm:' . $plain->header('X-LLM-Cache-Key')), 'no usage');
is_miss($b->post(@usage), 'usage asked for');


# forms that cannot be made of each other have an answer each, everywhere

my %odd = (sse => 'data: {"choices":[{"index":0,"delta":{"song":"la"}}]}'
    . "\n\n" . 'data: {"choices":[{"index":0,"delta":{"content":"a","song":'
    . '"li"},"finish_reason":"stop"}]}' . "\n\ndata: [DONE]\n\n",
    json => '{"choices":[{"index":0,"message":{"content":"a","annotations":'
    . '{"a":1}},"finish_reason":"stop"}]}');
my $odd = sub {
    my ($machine, $form) = @_;

    my $response = $machine->post(chat_uri(), chat('Odd',
        $form eq 'sse' ? (stream => \1) : ()), mock => { body => $odd{$form},
        $form eq 'sse' ? () : (type => 'application/json') });

    ok(stored($redis, 'llm:' . $response->header('X-LLM-Cache-Key')),
        "odd: $form is in Redis");
    is($response->body, $odd{$form}, "odd: $form as it came");

    return $response->cache;
};

is_deeply([map { $odd->($a, $_) } qw(sse json sse)], [qw(MISS MISS MISS)],
    'odd: each form takes the place of the other, and then is apart');
is(calls(sub {
    is_deeply([map { $odd->($b, $_) } qw(sse json sse)], [qw(HIT HIT HIT)],
        'odd: each form has its own by the other');
}), 0, 'odd: no call');

# scopes stay apart

my @secret = (chat_uri(), chat('A secret'));
my $secret = $a->post(@secret);

ok(stored($redis, 'llm:' . $secret->header('X-LLM-Cache-Key')), 'a secret');
is_miss($b->post(@secret, headers => { Authorization => 'Bearer other' }),
    'another caller');

finish();
