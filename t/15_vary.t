# Vary: an answer goes to requests that agree in the headers that the upstream
# says it depends on, and to no others.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Embeddings;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;'
    . 'llm_cache_use_stale http_500; llm_cache_stale 1h;', server => <<'END');
    location = /zone {
        llm_cache on;
        return 200 $llm_cache_zone_followers;
    }
    location /key/ {
        llm_cache on;
        llm_cache_key $llm_request_messages;
        proxy_pass http://llm/;
    }
    location /hidden/ {
        llm_cache on;
        proxy_hide_header Vary;
        proxy_pass http://llm/;
    }
    location /semantic/ {
        llm_cache on;
        llm_cache_semantic on;
        proxy_pass http://llm/;
    }
    location /short/ {
        llm_cache on;
        llm_cache_valid 1s;
        llm_cache_use_stale http_500;
        proxy_pass http://llm/;
    }
END

# what several requests for one thing get; the provider says "Vary: $vary"

sub ask {
    my ($vary, $prompt, @headers) = @_;

    my $prefix = $prompt =~ m{^(/\w+) } ? $1 : '';

    return map { $nginx->post($prefix . chat_uri(), chat($prompt),
        headers => $_, mock => { headers => [map { ['Vary', $_] }
            ref $vary ? @$vary : $vary] }) } @headers;
}

sub statuses { return [map { $_->cache } @_] }

my ($red, $blue) = map { { 'Cookie' => "session=$_" } } qw(red blue);

my @answers = ask('Cookie', 'a', $red, $red, $blue, $blue, {}, {});

is_deeply(statuses(@answers), [qw(MISS HIT MISS HIT MISS HIT)],
    'an answer for each cookie');
is_hit($answers[$_], $answers[$_ - 1], "cookie $_") for 1, 3, 5;
isnt($answers[2]->body, $answers[0]->body, 'of two cookies');
is($answers[2]->header('X-LLM-Cache-Key'),
    $answers[0]->header('X-LLM-Cache-Key'), 'under one key');

# an absent header and an empty one are the same, a second one is not

is_deeply(statuses(ask('cookie', 'empty', {}, { 'Cookie' => '' })),
    [qw(MISS HIT)], 'no cookie and an empty one');
is_deeply(statuses(ask('X-Of', 'two', { 'X-Of' => ['a', 'b'] },
    { 'X-Of' => 'a, b' }, { 'X-Of' => 'a' })), [qw(MISS MISS MISS)],
    'headers that are there twice');
is_deeply(statuses(ask('X-A, X-B', 'swapped', { 'X-A' => 'x' },
    { 'X-B' => 'x' })), [qw(MISS MISS)], 'one header for another');

# several names, in several headers

for my $vary ('Accept-Encoding, X-A ,X-B', ['x-b', 'X-A'], ',X-A,,X-B,') {
    my $name = ref $vary ? 'two' : $vary;

    is_deeply(statuses(ask($vary, "all $name", { 'X-A' => 1, 'X-B' => 1 },
        { 'X-A' => 1, 'X-B' => 1 }, { 'X-A' => 1, 'X-B' => 2 },
        { 'X-A' => 2, 'X-B' => 2 })), [qw(MISS HIT MISS MISS)],
        "Vary: $name");
}

# what does not matter, or counts for the key

is_deeply(statuses(ask('Accept-Encoding', 'coding', {},
    { 'Accept-Encoding' => 'gzip' })), [qw(MISS HIT)], 'codings');
is_deeply(statuses(ask('Origin, X-Origin, Referer', 'google', {}, {})),
    [qw(MISS HIT)], 'what Google says');
is_deeply(statuses(ask('Origin', '/key origin', { 'Origin' => 'http://a' },
    { 'Origin' => 'http://b' })), [qw(MISS MISS)],
    'Origin, where the operator chose the key');

is_deeply(statuses(ask('Cookie', '/hidden vary', $red, $red, $blue)),
    [qw(MISS HIT MISS)], 'a Vary that the client does not see');

# nothing is stored

for my $vary ('*', 'Cookie, *', ['Cookie', '*'], 'x' x 600) {
    my $name = ref $vary ? 'two' : substr $vary, 0, 10;
    my @alone = ask($vary, "never $name", {}, {});

    is_deeply(statuses(@alone), [qw(MISS MISS)], "Vary: $name");
    is($nginx->logged($alone[1])->{reason}, 'upstream_no_store',
        "Vary: $name: reason");
}

# who follows a flight

for my $stream (json_false, json_true) {
    my $name = $stream ? 'stream' : 'JSON';
    my $before = $nginx->get('/zone')->body;
    my @clients;

    for my $headers ($red, $blue, $red) {
        my $client = $nginx->client;

        $client->send($nginx->request_text(chat_uri(), chat("flight $name",
            stream => $stream), headers => $headers,
            mock => { headers => [['Vary', 'Cookie']],
                @clients ? () : $stream ? (hold => [1, $name])
                    : (gate => $name) }));
        push @clients, $client;
        $mock->wait_for(sub { $mock->waiting($name) }) if @clients == 1;
    }

    ok($nginx->wait_until(sub { $nginx->get('/zone')->body
        >= $before + ($stream ? 1 : 2) }), "$name: they follow");
    $mock->release($name);

    my @flown = map { $_->response } @clients;

    is_deeply(statuses(@flown), [qw(MISS MISS SHARED)],
        "$name: who differs does not share");
    is($flown[2]->body, $flown[0]->body, "$name: who does not differ does");
    isnt($flown[1]->body, $flown[0]->body, "$name: an answer of its own");
}

# a stale answer is nobody else's either

my @stale = ask('Cookie', '/short stale', $red);

pause(2.1);
push @stale, map { $nginx->post('/short' . chat_uri(), chat('/short stale'),
    headers => $_, mock => { status => 500 }) } $red, $blue;

is_deeply([map { $_->cache . $_->status } @stale], [qw(MISS200 STALE200
    EXPIRED500)], 'stale answers');

# nor one to another question of the same meaning

my @similar = map { ask('Cookie', "/semantic $_->[0]", $_->[1]) }
    ['What is the capital of France?', $red],
    ['what is the capital of France', $red],
    ['What is the capital of france ?', $blue];

is_deeply(statuses(@similar), [qw(MISS SEMANTIC MISS)], 'semantic hits');

# inputs of embeddings

my @vary = (mock => { headers => [['Vary', 'Cookie']] });
my @embedded = map { $nginx->post(embed_call('openai', @$_, @vary)) }
    [['a', 'b'], headers => $red], [['b', 'a'], headers => $red],
    [['a', 'b'], headers => $blue], ['b', headers => $blue],
    ['b', headers => $red], [['b', 'c'], headers => $blue];

is_deeply(statuses(@embedded), [qw(MISS HIT MISS HIT MISS MISS)],
    'embeddings');

finish();
