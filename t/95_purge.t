# Purging what is in memory: by key and by conditions, what is on its way, and
# what the API tells of a key.

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Crowd;

my $mock = mock();

my $nginx = nginx(workers => 2, location => <<'END', server => <<'END2',
    llm_cache on zone=one;
    llm_cache_ignore_client_abort on;
END
    server_name localhost;
    location /api/ { llm_cache_api write=on; }
    location /read/ { llm_cache_api; }
    location /named/ {
        llm_cache on zone=one;
        llm_cache_namespace things;
        llm_cache_scope shared;
        proxy_pass http://llm/;
    }
    location /other/ {
        llm_cache on zone=two;
        llm_cache_lock off;
        proxy_pass http://llm/;
    }
    location /meaning/ {
        llm_cache on zone=meaning;
        llm_cache_semantic on;
        proxy_pass http://llm/;
    }
    location /packed/ {
        llm_cache on zone=packed;
        proxy_pass http://llm/;
    }
END2
    http => <<'END3');
    llm_cache_zone zone=one:4m shards=4;
    llm_cache_zone zone=two:1m evict=lru;
    llm_cache_zone zone=packed:1m compress=on;
    llm_cache_zone zone=meaning:2m;
END3

sub ask {
    my ($prompt, %option) = @_;

    my $base = $option{base} // '';

    return $nginx->post($base . chat_uri(), chat($prompt,
        model => $option{model} // 'gpt-4o-mini', $option{stream}
        ? (stream => json_true) : ()), mock => $option{mock}, headers => {
        $option{user} ? ('Authorization' => "Bearer $option{user}") : (),
        %{$option{headers} // {}} });
}

sub is_there {
    my ($prompt, %option) = @_;

    return ask($prompt, %option, headers => { 'Cache-Control' =>
        'only-if-cached' })->status == 200 ? 1 : 0;
}

sub purge {
    my ($what, %option) = @_;

    return $nginx->post('/api/purge', ref $what ? to_json($what) : $what,
        %option);
}

sub purged {
    my ($what, $n, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $answer = purge($what);
    my $dry = $what->{dry_run} ? json_true : json_false;

    return is_deeply([$answer->status, $answer->json], [200, { purged => $n,
        dry_run => $dry }], $name) || diag($answer->summary);
}

sub zone {
    my ($zone) = @_;

    return (grep { $_->{name} eq $zone }
        @{$nginx->get('/api/status')->json->{zones}})[0];
}

sub entries { return zone($_[0])->{entries} }

# what is told of a key

my $first = ask('What is told?', mock => { id => 1 });
my $key = $first->header('X-LLM-Cache-Key');

ask('What is told?') for 1 .. 3;

my $got = $nginx->get("/read/keys/$key");
my $told = $got->json;

is($got->status, 200, 'metadata of a key');
is($told->{key}, $key, 'its key');
is($told->{zone}, 'one', 'its zone');
is($told->{model}, 'gpt-4o-mini', 'its model');
is($told->{dialect}, 'openai_chat', 'its dialect');
is($told->{namespace}, 'localhost /', 'its namespace, by default');
like($told->{scope}, qr/^[0-9a-f]{16}$/, 'its scope');
is($told->{form}, 'json', 'its form');
is($told->{expires} - $told->{created}, 3600, 'its lifetime');
cmp_ok($told->{age}, '<', 60, 'its age');
is($told->{age} + $told->{ttl}, 3600, 'and what is left');
is($told->{body_size}, length $first->body, "its body's size");
cmp_ok($told->{size}, '>', length $first->body, 'its size');
is($told->{prompt_tokens}, $first->json->{usage}{prompt_tokens},
    'its prompt tokens');
is($told->{completion_tokens}, $first->json->{usage}{completion_tokens},
    'its completion tokens');
is($told->{hits}, 3, 'its hits');
is($told->{tier}, 'memory', 'its tier');
is($told->{compressed}, json_false, 'not compressed');
unlike($got->body, qr/What is told|choices/, 'nothing of what it says');
is($got->header('Cache-Control'), 'no-store', 'not to be kept');
is($nginx->get("/read/keys/$key")->json->{hits}, 3, 'a look is no hit');
is($nginx->get("/read/keys/$key?zone=one")->status, 200, 'in its zone');
is($nginx->get("/read/keys/$key?zone=two")->status, 404, 'not in another');
is($nginx->get("/read/keys/$key?zone=no")->status, 400, 'in no zone');
is($nginx->get('/read/keys/' . uc $key)->status, 200, 'upper-case digits');
is($nginx->get('/read/keys/' . '0' x 64)->status, 404, 'no such key');
is($nginx->get("/read/keys/$_")->status, 400, "no key: \"$_\"")
    for '', '12', "${key}0", 'g' . '0' x 63;
is($nginx->get("/read/keys/$key", method => 'HEAD')->body, '', 'HEAD');

my $named = ask('Named', base => '/named');

is($nginx->get('/api/keys/' . $named->header('X-LLM-Cache-Key'))
    ->json->{namespace}, 'things', 'a namespace of its own');

my $same = ask('Another of the same scope');

is($nginx->get('/api/keys/' . $same->header('X-LLM-Cache-Key'))
    ->json->{scope}, $told->{scope}, 'equal scopes');

# who may purge

for my $case (['/read/purge', 'POST', '{"all":true}', 403],
    ["/read/keys/$key", 'DELETE', undef, 403],
    ['/api/purge', 'GET', undef, 405], ["/api/keys/$key", 'POST', '{}', 405],
    ['/api/purges', 'POST', '{"all":true}', 404])
{
    my ($path, $method, $body, $status) = @$case;
    my $answer = $nginx->request($path, $body, method => $method);

    is($answer->status, $status, "$method $path");
    ok($answer->json->{error}, "$method $path: it says why");
}

for my $origin ('http://evil.example', 'null', 'http://localhost.example',
    'http://localhost:1', 'localhost')
{
    is(purge({ all => json_true }, headers => { Origin => $origin })->status,
        403, "from a page of $origin");
}

is(purge({ all => json_true, dry_run => json_true }, headers =>
    { Origin => 'http://localhost' })->status, 200, 'from a page of its own');
is(is_there('What is told?'), 1, 'nothing is gone');

# what is no purge

for my $case (['', 'there is no body'], ['[]', 'object'], ['{', 'object'],
    ['{"all":true,"all":true}', 'duplicate'], ['{}', 'no condition'],
    ['{"dry_run":true}', 'no condition'], ['{"all":false}', 'all must be'],
    ['{"all":1}', 'all must be'], ['{"key":"12"}', '64 hex'],
    ['{"key":null}', '64 hex'], ['{"scope":"x"}', '16 hex'],
    ['{"model":""}', 'model must be'], ['{"model":7}', 'model must be'],
    ['{"namespace":null}', 'namespace must'], ['{"prompt":"x"}', 'unknown'],
    ['{"older_than":-1}', 'older_than must'],
    ['{"older_than":"1x"}', 'older_than must'],
    ['{"older_than":""}', 'older_than must'],
    ['{"all":true,"dry_run":1}', 'dry_run must'],
    ['{"all":true,"zone":"no"}', 'no zone'],
    ['{"all":true,"zone":""}', 'zone must'],
    ['{"all":true,"x":"' . 'x' x 20_000 . '"}', 'too large'])
{
    my ($body, $why) = @$case;
    my $answer = purge($body);
    my $name = substr $body, 0, 30;

    is($answer->status, 400, "400: $name");
    like($answer->json->{error}, qr/$why/, "why: $name");
}

# a condition in the query would be missed, and more would go than was meant

my $query = $nginx->post('/api/purge?zone=no', '{"all":true,"dry_run":true}');

is($query->status, 400, '400: a query');
like($query->json->{error}, qr/in the body/, 'why: a query');

is(is_there('What is told?'), 1, 'nothing is gone');

# by key

is($nginx->request("/api/keys/$key", undef, method => 'DELETE')->body,
    '{"purged":1,"dry_run":false}', 'a key is deleted');
is($nginx->get("/api/keys/$key")->status, 404, 'it is not there');
is_miss(ask('What is told?'), 'what was deleted');
is(is_there('Another of the same scope'), 1, 'others stay');
is($nginx->request("/api/keys/$key?zone=two", undef, method => 'DELETE')
    ->json->{purged}, 0, 'not in another zone');
is(is_there('What is told?'), 1, 'it stays');
purged({ key => $key, dry_run => json_true }, 1, 'a key, dry');
is(is_there('What is told?'), 1, 'it stays');
purged({ key => $key, model => 'other' }, 0, 'a key of another model');
is(is_there('What is told?'), 1, 'it stays');
purged({ key => uc $key, model => 'gpt-4o-mini' }, 1, 'a key of its model');
purged({ key => $key }, 0, 'once more');

# by conditions; all must hold

purged({ all => json_true }, $_, "everything: $_") for 2, 0;

sub fill {
    ask("fill $_", model => $_ % 2 ? 'odd' : 'even',
        user => $_ % 3 ? 'many' : 'few', base => $_ % 5 ? '' : '/named')
        for 1 .. 60;
}

fill();
is(entries('one'), 60, 'sixty answers');

my $scope = $nginx->get('/api/keys/' . ask('fill 3', model => 'odd',
    user => 'few')->header('X-LLM-Cache-Key'))->json->{scope};

for my $case ([{ model => 'odd' }, 30], [{ model => 'od' }, 0],
    [{ namespace => 'things' }, 12], [{ namespace => 'localhost /' }, 48],
    [{ namespace => '' }, 0], [{ scope => $scope }, 16],
    [{ scope => $scope, model => 'odd' }, 8],
    [{ namespace => 'things', model => 'even' }, 6],
    [{ all => json_true, model => 'odd' }, 30], [{ older_than => 0 }, 60],
    [{ older_than => '1h' }, 0], [{ older_than => 3600 }, 0],
    [{ older_than => '5w', model => 'odd' }, 0], [{ all => json_true }, 60],
    [{ all => json_true, zone => 'two' }, 0])
{
    my ($what, $n) = @$case;

    purged({ %$what, dry_run => json_true }, $n, 'dry: ' . to_json($what));
}

is(entries('one'), 60, 'nothing is gone');
purged({ scope => $scope, model => 'odd' }, 8, 'a scope and a model');
is(entries('one'), 52, 'they are gone');
is(is_there('fill 3', model => 'odd', user => 'few'), 0, 'one of them');
is(is_there('fill 6', model => 'even', user => 'few'), 1, 'another model');
is(is_there('fill 7', model => 'odd', user => 'many'), 1, 'another scope');
purged({ namespace => 'things' }, 12, 'a namespace');
purged({ model => 'odd' }, 16, 'a model');
pause(1.1);
ask('A younger one');
purged({ older_than => 1 }, 24, 'an age');
is(is_there('A younger one'), 1, 'what is younger stays');
purged({ older_than => 0 }, 1, 'any age');
is(entries('one'), 0, 'all are gone');

# and counted: a deleted key, one of its model, everything, and the five above

is(zone('one')->{purged}, 1 + 1 + 2 + 8 + 12 + 16 + 24 + 1, 'as JSON');
is(zone('two')->{purged}, 0, 'none of another zone');
like($nginx->get('/api/metrics')->body,
    qr/^llm_cache_purged_total\{zone="one"\} 65$/m, 'for Prometheus');

# many times everything, with answers in between

for my $round (1 .. 70) {
    ask("round $_ $round") for 1, 2;
    purge({ all => json_true });
}

is(entries('one'), 0, 'often everything');
is_miss(ask('round 1 70'), 'the last round');
is_hit(ask('round 1 70'), ask('round 1 70'), 'and stored again');

# a zone full of what is dead has room

ask("dead $_", base => '/other', mock => { size => 20_000 }) for 1 .. 100;

my $before = entries('two');

cmp_ok($before, '<', 100, 'the zone is full');
purged({ all => json_true, zone => 'two' }, $before, 'all of a zone');
is(is_there('round 1 70'), 1, 'the other zone has its own');
ask("alive $_", base => '/other', mock => { size => 20_000 }) for 1 .. 20;
is(scalar(grep { is_there("alive $_", base => '/other') } 1 .. 20), 20,
    'what comes then stays');

# what is on its way

my $flights = 0;

sub flying {
    my ($prompt, $purge, %option) = @_;

    $flights++;

    my $client = $nginx->client;

    $client->send($nginx->request_text(($option{base} // '') . chat_uri(),
        chat($prompt, model => 'gpt-4o-mini', $option{stream}
        ? (stream => json_true) : ()), mock => { text => $prompt,
        $option{stream} ? (hold => [2, "air$flights"])
        : (gate => "air$flights") },
        id => $flights));
    $mock->wait_for(sub { $mock->waiting("air$flights") });
    pause(0.1);

    $purge->();

    my $others = $option{then} ? $option{then}->() : undef;

    $mock->release("air$flights");
    my $answer = $client->response;

    $client->close;
    $answer->{id} = $flights;

    return ($answer, $others);
}

for my $case (['everything', { all => json_true }, 0],
    ['its model', { model => 'gpt-4o-mini' }, 0],
    ['its namespace', { namespace => 'localhost /' }, 0],
    ['another model', { model => 'other' }, 1],
    ['an age', { older_than => 100 }, 1])
{
    my ($name, $what, $stays) = @$case;

    for my $stream (0, 1) {
        my ($answer) = flying("flying $name", sub { purge($what) },
            stream => $stream);

        is_miss($answer, "$name, on its way ($stream)");
        is(is_there("flying $name", stream => $stream), $stays,
            "$name: it is " . ($stays ? 'stored' : 'not stored')
            . " ($stream)");
        is($nginx->logged($answer)->{reason}, $stays ? '' : 'purged',
            "$name: the reason ($stream)");
        purge({ all => json_true });
    }
}

# nor by who takes part in no flight

for my $what ({ all => json_true }, { model => 'gpt-4o-mini' }) {
    my ($answer) = flying('alone', sub { purge($what) }, base => '/other');

    is_miss($answer, 'without a lock');
    is(is_there('alone', base => '/other'), 0, 'it is not stored');
}

# who comes after the purge does not follow what was asked for before it

my ($before_it, $after_it) = flying('followed', sub { purge({ all =>
    json_true }) }, then => sub {
    return ask('followed', mock => { text => 'A new one' });
});

is_miss($before_it, 'the first one has its answer');
is_miss($after_it, 'the second one asks for itself');
is_hit(ask('followed'), $after_it, 'and what it got is stored');

# by key, while it is on its way

my $known = ask('known');
my $known_key = $known->header('X-LLM-Cache-Key');

$nginx->request("/api/keys/$known_key", undef, method => 'DELETE');

my ($late) = flying('known', sub {
    $nginx->request("/api/keys/$known_key", undef, method => 'DELETE') });

is_miss($late, 'a key on its way');
is(is_there('known'), 0, 'it is not stored');

# embeddings, input by input

sub embed { return $nginx->post('/v1/embeddings', { model => 'vectors',
    input => [@_] }) }

embed('first', 'second');
embed('second', 'third');
purged({ model => 'vectors', dry_run => json_true }, 3, 'three inputs');
purged({ model => 'vectors' }, 3, 'they are gone');

my $embedding = $nginx->client;

$embedding->send($nginx->request_text('/v1/embeddings', { model => 'vectors',
    input => ['fourth', 'fifth'] }, mock => { gate => 'vectors' }));
$mock->wait_for(sub { $mock->waiting('vectors') });
purged({ model => 'vectors' }, 0, 'inputs on their way');
$mock->release('vectors');
is($embedding->response->status, 200, 'their answer');
$embedding->close;
pause(0.2);
purged({ model => 'vectors' }, 0, 'they are not stored');

# questions that mean the same

for my $what ({ all => json_true }, { model => 'gpt-4o-mini' }) {
    my @meant = ('What is the capital of France?',
        'what is the capital of france');

    ask($meant[0], base => '/meaning');
    is(ask($meant[1], base => '/meaning')->cache, 'SEMANTIC',
        'a question that means the same');
    purged({ %$what, zone => 'meaning' }, 1, 'its answer is purged');
    is(ask($meant[1], base => '/meaning')->cache, 'MISS',
        'and serves no question any more');
    purged({ all => json_true, zone => 'meaning' }, 1, 'for the next round');
}

# packed answers

ask("packed $_", base => '/packed', mock => { size => 6000 }) for 1 .. 5;
$nginx->wait_until(sub { return $nginx->get('/api/keys/' . ask('packed 5',
    base => '/packed')->header('X-LLM-Cache-Key'))->json->{compressed} });
purged({ model => 'gpt-4o-mini', zone => 'packed' }, 5, 'packed answers');
is(is_there('packed 5', base => '/packed'), 0, 'they are gone');

# a reader has what it reads

my $big = ask('read slowly', mock => { size => 900_000 });
my $slow = $nginx->client;

$slow->send($nginx->request_text(chat_uri(), chat('read slowly', model =>
    'gpt-4o-mini')));
pause(0.2);
purge({ all => json_true });
ask("other $_", mock => { size => 50_000 }) for 1 .. 100;

my $read = $slow->response;

is($read->body, $big->body, 'a slow reader has all of it');
$slow->close;

# a worker that serves many at a time has room to look through the zone

my $busy = nginx(location => 'llm_cache on;', http =>
    'llm_cache_zone zone=busy:4m;', listen => 'backlog=1024', server =>
    'location /api/ { llm_cache_api write=on; }'
    . ' location = /zone { llm_cache on; return 200'
    . ' "$llm_cache_zone_followers"; }');

$busy->post(chat_uri(), chat("busy $_")) for 1 .. 20;

my $crowd = crowd($busy, 490, [chat_uri(), chat('a crowd', model => 'other'),
    mock => { gate => 'crowd' }]);

ok($busy->wait_until(sub { $busy->get('/zone')->body == 489 }), 'many wait');
is_deeply($busy->post('/api/purge', { model => 'gpt-4o-mini' })->json,
    { purged => 20, dry_run => json_false }, 'a purge meanwhile');
$mock->release('crowd');
is($crowd->count(status => 200), 490, 'they have their answer');

# who leaves does not stop it

ask("left $_") for 1 .. 50;

my $left = $nginx->client;

$left->send($nginx->request_text('/api/purge', '{"model":"gpt-4o-mini"}'));
$left->close;
ok($nginx->wait_until(sub { !is_there('left 50') }), 'it goes on');

finish();
