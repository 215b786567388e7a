# Purging where several machines share a Redis: what is there, and what each
# of them has in memory.

use FindBin ();
use lib "$FindBin::Bin/lib";
use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();
my $prefix = 'a*[b]?:';
my $server = 'location /api/ { llm_cache_api write=on; }';

sub pair {
    my ($url, %option) = @_;

    my @pair = map { machine($url, param => "prefix=$prefix", workers => 2,
        server => $server, %option) } 1, 2;

    settle($_, $option{state}) for @pair;

    return @pair;
}

sub ask {
    my ($nginx, $prompt, %option) = @_;

    return $nginx->post(chat_uri(), chat($prompt, model => $option{model}
        // 'gpt-4o-mini'), mock => $option{mock}, headers =>
        $option{headers});
}

sub has {
    my ($nginx, $prompt, %option) = @_;

    return ask($nginx, $prompt, %option, headers => { 'Cache-Control' =>
        'only-if-cached' })->status == 200 ? 1 : 0;
}

sub purge {
    my ($nginx, $what) = @_;

    return $nginx->post('/api/purge', $what);
}

sub purged {
    my ($nginx, $what, $memory, $redis, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $answer = purge($nginx, $what);

    return is_deeply([$answer->status, $answer->json], [200, { purged =>
        $memory, dry_run => $what->{dry_run} ? json_true : json_false,
        redis => { purged => $redis, state => 'ok' } }], $name)
        || diag($answer->body);
}

sub key { return $_[0]->header('X-LLM-Cache-Key') }

# each in the memory of both, and in Redis

sub fill {
    my ($redis, $first, $second, @prompts) = @_;

    my @answers = map { ask($first, $_, model => /odd/ ? 'odd' : 'even') }
        @prompts;

    $redis->wait_for(sub { !grep { !$redis->command('EXISTS', $_) }
        map { $prefix . key($_) } @answers });
    pause(0.1);
    ask($second, $_, model => /odd/ ? 'odd' : 'even') for @prompts;

    return @answers;
}

sub gone {
    my ($name, $prompts, @machines) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $found = 'none';

    $machines[0]->wait_until(sub {
        $found = join ' ', map { my $nginx = $_; grep { has($nginx, $_,
            model => /odd/ ? 'odd' : 'even') } @$prompts } @machines;
        return $found eq '';
    });

    return is($found, '', $name);
}

sub suite {
    my ($how, $redis, $first, $second) = @_;

    my @prompts = map { "$how " . ($_ % 2 ? 'odd' : 'even') . " $_" } 1 .. 20;
    my @odd = grep { /odd/ } @prompts;
    my @even = grep { /even/ } @prompts;
    my $foreign = $prefix . 'f' x 64;

    my @answers = fill($redis, $first, $second, @prompts);

    # others' keys stay

    $redis->command('SET', "a1b2:$_", 'other') for 'x', key($answers[0]);
    $redis->command('SET', "${prefix}settings", 'other');
    $redis->command('SADD', $foreign, 'member');

    # a key

    my $key = key($answers[0]);
    my $told = $second->get("/api/keys/$key")->json;

    is($told->{tier}, 'memory', "$how: a key in memory");
    is($second->request("/api/keys/$key", undef, method => 'DELETE')->body,
        '{"purged":1,"dry_run":false,"redis":{"purged":1,"state":"ok"}}',
        "$how: a key is deleted");
    gone("$how: it is gone", [$prompts[0]], $first, $second);
    ok(!$redis->command('EXISTS', $prefix . $key), "$how: in Redis too");

    # a key that never came to Redis, and of which that tells nobody

    $redis->command('CONFIG', 'SET', 'maxmemory', '1');

    my $lost = key(ask($first, 'lost'));

    $first->wait_until(sub { counter($first, 'store_errors') });
    $redis->command('CONFIG', 'SET', 'maxmemory', '0');
    is($redis->command('EXISTS', "$prefix$lost"), 0, "$how: not in Redis");
    is(has($first, 'lost'), 1, "$how: in memory");
    purged($second, { key => $lost }, 0, 0, "$how: a key of nobody's");
    gone("$how: it is gone where it was", ['lost'], $first);

    # a key in Redis only

    my $far = key(ask($first, 'far'));

    ok(stored($redis, "$prefix$far"), "$how: stored");

    is($second->get("/api/keys/$far")->json->{tier}, 'redis',
        "$how: a key in Redis");
    is($second->get("/api/keys/$far")->json->{hits}, undef, 'its hits');
    is($second->get('/api/keys/' . '0' x 64)->status, 404, 'no such key');
    purged($second, { key => $far, dry_run => json_true }, 0, 1,
        "$how: a key in Redis, dry");
    purged($second, { key => $far, model => 'odd' }, 0, 0,
        "$how: a key of another model");
    purged($second, { key => $far, model => 'gpt-4o-mini' }, 0, 1,
        "$how: a key in Redis");
    gone("$how: it is gone where it came from", ['far'], $first);

    # conditions

    purged($second, { model => 'odd', dry_run => json_true }, 9, 9,
        "$how: a model, dry");
    purged($second, { model => 'odd', older_than => 1000 }, 0, 0,
        "$how: a model, older");
    purged($second, { model => 'odd' }, 9, 9, "$how: a model");
    gone("$how: the model is gone", \@odd, $first, $second);
    is(scalar(grep { has($first, $_, model => 'even') } @even), 10,
        "$how: another model stays");
    is(scalar(grep { has($second, $_, model => 'even') } @even), 10,
        "$how: and on the other machine");

    # on its way on another machine

    my $client = $second->client;

    $client->send($second->request_text(chat_uri(), chat('flying', model =>
        'odd'), mock => { gate => $how }));
    $mock->wait_for(sub { $mock->waiting($how) });
    purged($first, { model => 'odd' }, 0, 0, "$how: nothing is stored");
    pause(0.2);
    $mock->release($how);
    is_miss($client->response, "$how: on its way elsewhere");
    $client->close;
    is(has($second, 'flying', model => 'odd'), 0, "$how: it is not stored");

    # everything

    purged($first, { all => json_true, dry_run => json_true }, 10, 11,
        "$how: everything, dry");
    purged($first, { all => json_true }, 10, 11, "$how: everything");
    gone("$how: everything is gone", \@even, $first, $second);
    is_deeply([sort @{$redis->command('KEYS', '*')}], [sort "a1b2:x",
        'a1b2:' . key($answers[0]), "${prefix}settings"],
        "$how: the others' keys stay");

    # what comes then stays

    fill($redis, $first, $second, @prompts[0 .. 3]);
    is(scalar(grep { has($second, $_, model => /odd/ ? 'odd' : 'even') }
        @prompts[0 .. 3]), 4, "$how: stored again");
    $redis->command('DEL', "a1b2:$_") for 'x', key($answers[0]);
    $redis->command('DEL', "${prefix}settings");

    return;
}

# told by tracking, and without it

my $redis = LLMTest::Redis->new;

suite('tracking', $redis, pair($redis->url));

my $old = LLMTest::Redis->new(conf => "user default on nopass ~* &* +\@all"
    . " -client|tracking");

suite('pub/sub', $old, pair($old->url));

# many keys: several rounds

my ($first, $second) = pair($redis->url);

$redis->command('FLUSHALL');

for my $part (1 .. 30) {
    $redis->command('MSET', map { ($prefix . sprintf('%064x', $_), 'junk') }
        $part * 100 .. $part * 100 + 99);
}

fill($redis, $first, $second, 'one among many');
purged($first, { model => 'even' }, 1, 1, 'one among many');
is($redis->command('DBSIZE'), 3000, 'the others stay');
purged($first, { all => json_true }, 0, 3000, 'all of them');
is($redis->command('DBSIZE'), 0, 'none stays');

# what a machine was about to send to Redis when it learned of a purge, which
# takes it some time, as its zone is a large one

my $near = machine($redis->url, server => $server, location =>
    'llm_cache on zone=near;', http => 'llm_cache_zone zone=near:1m;');
my $large = machine($redis->url, server => $server, location =>
    'llm_cache on zone=large;', http =>
    'llm_cache_zone zone=large:512m compress=on max_entry=4m;');

settle($_) for $near, $large;

for my $number (1 .. 3) {
    my $long = key(ask($large, "long $number", model => 'long',
        mock => { size => 1_500_000 }));

    is(purge($near, { model => 'long' })->status, 200, "long $number: purge");
    ok($large->wait_until(sub { ($large->get("/api/keys/$long")->json->{tier}
        // '') ne 'memory' }), "long $number: gone from memory");
    ok($redis->wait_for(sub { !$redis->command('EXISTS', "llm:$long") }),
        "long $number: and from Redis");
    pause(0.1);
    ok(!$redis->command('EXISTS', "llm:$long"), "long $number: for good");
}

# a server that is down

$near = machine($redis->url, quick => 1, server => $server);

settle($near);

my $kept = key(ask($near, 'kept in Redis'));

ok(stored($redis, "llm:$kept"), 'stored');
$redis->signal('STOP');

my $answer = purge($near, { all => json_true });

is($answer->status, 502, 'Redis does not answer');
is($answer->json->{purged}, 1, 'memory is purged');
is($answer->json->{redis}{state}, 'unreachable', 'Redis is not');
like($answer->json->{error}, qr/Redis was not purged/, 'it says so');
is($near->get("/api/keys/$kept")->status, 502, 'nor can it be asked');

$redis->signal('CONT');
ok($near->wait_until(sub { purge($near, { all => json_true })->status
    == 200 }), 'when it is back');
ok(!$redis->command('EXISTS', "llm:$kept"), 'what was there is gone');

# who may not

my $strict = LLMTest::Redis->new(conf => 'user default on nopass ~* &* '
    . '-@all +getrange +set +del +pttl +ping +client|id '
    . '+client|tracking +subscribe');
my $poor = machine($strict->url, server => $server);

settle($poor);
ask($poor, 'poor');
$answer = purge($poor, { all => json_true });
is($answer->status, 502, 'Redis refuses');
is($answer->json->{redis}{state}, 'refused, see the log', 'the state');
like($poor->error_log, qr/Redis does not purge: "NOPERM/, 'the log');

finish();
