# The semantic tier beside the others: flights, the other form of an answer,
# variants and Redis.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;

my $embedder = mock();
my $mock = mock();
my $port = $embedder->port;

my $nginx = nginx(workers => 2, location => 'llm_cache on zone=plain;',
    http => 'llm_cache_zone zone=plain:32m max_entry=4m;'
        . ' llm_cache_zone zone=crowd:8m; llm_cache_zone zone=others:8m;',
    server => <<"END");
    llm_cache_semantic on;
    location = /zone {
        llm_cache on zone=crowd;
        return 200 "\$llm_cache_zone_followers \$llm_cache_zone_flying";
    }
    location /api/ {
        llm_cache on zone=crowd;
        llm_cache_embed /embed dimensions=3 timeout=20s;
        proxy_pass http://llm;
    }
    location /embed {
        internal;
        proxy_pass http://127.0.0.1:$port/v1/embeddings;
    }
    location /large/ {
        llm_cache on zone=plain;
        proxy_pass http://llm;
    }
    location /two/ {
        llm_cache on zone=others;
        llm_cache_variants 2;
        proxy_pass http://llm;
    }
END

sub zone { return split ' ', $nginx->get('/zone')->body }

sub vector { return { body => '{"data":[{"embedding":[' . join(',', @_)
    . ']}]}', type => 'application/json' } }

sub ask {
    my ($prefix, $prompt, %more) = @_;

    return $nginx->post($prefix . chat_uri(), chat($prompt, %more));
}

# clients that ask the same while the first one's question is embedded; each
# with headers of its own

sub crowd {
    my ($prompt, $vector, @headers) = @_;

    my $before = (zone())[0];

    $embedder->next({ %$vector, gate => $prompt });

    my @clients = map { $nginx->client } @headers;
    my @request = ('/api' . chat_uri(), chat($prompt));

    $clients[0]->send($nginx->request_text(@request, headers => $headers[0]));
    ok($embedder->wait_for(sub { $embedder->waiting($prompt) }),
        "$prompt: is being embedded");

    $clients[$_]->send($nginx->request_text(@request,
        headers => $headers[$_])) for 1 .. $#clients;
    ok($nginx->wait_until(sub { (zone())[0] - $before == $#clients }),
        "$prompt: all the others wait");

    return @clients;
}

sub statuses { return join ' ', map { $_->cache } @_ }

# a crowd whose question was asked before in other words

$embedder->next(vector(1, 0, 0));

my $first = ask('/api', 'how to fix a car');
my $embedded = $embedder->count;

is($first->cache, 'MISS', 'the first question');
is(calls(sub {
    my @clients = crowd('how to fix an automobile', vector(1, 0.1, 0),
        ({}) x 50);

    $embedder->release('how to fix an automobile');

    my @answers = map { $_->response } @clients;

    is(statuses(@answers), join(' ', ('SEMANTIC') x 50), 'a crowd: its hit');
    is(scalar(grep { $_->body eq $first->body } @answers), 50,
        'a crowd: the bytes of the first answer');
    is(scalar(grep { $_->header('X-LLM-Cache-Similarity') eq '0.995' }
        @answers), 50, 'a crowd: the similarity');
}), 0, 'a crowd: no call upstream');
is($embedder->count - $embedded, 1, 'a crowd: its question is embedded once');
ok($nginx->wait_until(sub { (zone())[1] == 0 }), 'a crowd: no flight is left');

# some of it are more strict: one of these calls for all of them

$embedder->next(vector(1, 0, 0));
ask('/api', 'how to paint a car');
$embedded = $embedder->count;

my %strict = ('X-LLM-Cache-Threshold' => '0.999');

is(calls(sub {
    my @clients = crowd('how to paint an automobile', vector(1, 0.1, 0),
        {}, ({}, \%strict) x 4);

    $embedder->next(vector(1, 0.1, 0));
    $mock->next({ gate => 'strict' });
    $embedder->release('how to paint an automobile');

    is(statuses(map { $clients[$_]->response } 0, 1, 3, 5, 7),
        join(' ', ('SEMANTIC') x 5), 'the others of a crowd: the hit');
    ok($mock->wait_for(sub { $mock->waiting('strict') }), 'the strict: call');
    $mock->release('strict');

    my @answers = map { $clients[$_]->response } 2, 4, 6, 8;

    is(join(' ', sort map { $_->cache } @answers), 'MISS SHARED SHARED SHARED',
        'the strict: and share');
}), 1, 'the strict: one call');
is($embedder->count - $embedded, 2, 'the strict: the question once more');

# who leads it leaves: the next one takes over

$embedder->next(vector(1, 0, 0));
ask('/api', 'how to sell a car');

is(calls(sub {
    my @clients = crowd('how to sell an automobile', vector(1, 0.1, 0),
        ({}) x 6);

    $embedder->next(vector(1, 0.1, 0));
    shift(@clients)->close;
    $embedder->release('how to sell an automobile');

    is(statuses(map { $_->response } @clients),
        join(' ', ('SEMANTIC') x 5), 'a leader that left: the others\' hit');
}), 0, 'a leader that left: no call');

# crowds on all workers, where the question is embedded at once

ask('', 'Why is the sea so salty?');

is(calls(sub {
    for my $round (1 .. 5) {
        my @clients = map { $nginx->client } 1 .. 50;
        my $text = $nginx->request_text(chat_uri(),
            chat('why is the sea so salty' . '?' x ($round + 1)));

        $_->send($text) for @clients;
        is(statuses(map { $_->response } @clients),
            join(' ', ('SEMANTIC') x 50), "lexical: crowd $round");
    }
}), 0, 'lexical: no call');

# the other form

sub stream { return (stream => \1, stream_options => { include_usage => \1 }) }

for my $case (['', 'river', 300], ['/large', 'lake', 300_000]) {
    my ($prefix, $what, $size) = @$case;

    $mock->next({ size => $size });

    my $sse = ask($prefix, "Why is the $what so deep?", stream());
    my $json = ask($prefix, "why is teh $what so deep");
    my $same = ask($prefix, "why is teh $what so deep", stream());

    is($sse->cache, 'MISS', "$what: a stream");
    is($json->cache, 'SEMANTIC', "$what: JSON of it");
    is($json->header('Content-Type'), 'application/json', "$what: its type");
    cmp_ok(length $json->json->{choices}[0]{message}{content}, '>=', $size,
        "$what: all of the text");
    is($json->header('X-LLM-Cache-Key'), $sse->header('X-LLM-Cache-Key'),
        "$what: the stream's key");
    is($same->body, $sse->body, "$what: the stream itself");

    $mock->next({ size => $size });
    $json = ask($prefix, "Who is the $what named after?");
    $sse = ask($prefix, "who is teh $what named after", stream());

    is($json->cache, 'MISS', "$what: JSON");
    is($sse->cache, 'SEMANTIC', "$what: a stream of it");
    like($sse->body, qr/^data: .*\n\ndata: \[DONE\]\n\n$/s,
        "$what: to its end");
}

# one that has no other form: what is fetched has the request's own key

my $odd = 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a",'
    . '"song":"la"},"finish_reason":null}]}' . "\n\n"
    . 'data: {"id":"c","choices":[{"index":0,"delta":{"song":"li"},'
    . '"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}' . "\n\n"
    . "data: [DONE]\n\n";

$mock->next({ body => $odd });

my $sung = ask('', 'How do whales sing?', stream());
my @own = map { ask('', 'how do wahles sing') } 1, 2;

is(statuses($sung, @own), 'MISS MISS HIT', 'no other form: a miss');
isnt($own[0]->header('X-LLM-Cache-Key'), $sung->header('X-LLM-Cache-Key'),
    'no other form: its own key');
is($own[1]->body, $own[0]->body, 'no other form: its own answer');
is(ask('', 'How do whales sing?', stream())->body, $odd,
    'no other form: the stream is still there');

# variants are not each other's answers

my @two = map { ask('/two', 'How tall is the tower?', temperature => 1) }
    1 .. 4;

is(statuses(@two), 'MISS MISS HIT HIT', 'variants: each has its own answer');
is($two[2]->body, $two[0]->body, 'variants: in turn');
is(ask('/two', 'how tall is teh tower', temperature => 1)->cache, 'SEMANTIC',
    'variants: a question that means the same');

# Redis is asked first, and the lease is given back

my $redis = LLMTest::Redis->new;
my ($one, $other) = map { machine($redis->url, param => 'lease=20s',
    server => 'llm_cache_semantic on;') } 1, 2;

settle($_) for $one, $other;

my @moon = (chat_uri(), chat('Who walked on the moon?'));
my @again = (chat_uri(), chat('who walked on teh moon'));

my $moon = $one->post(@moon);

ok(stored($redis, 'llm:' . $moon->header('X-LLM-Cache-Key')), 'stored');

sub keys_there { return join ' ', sort @{$redis->command('KEYS', '*')} }

my $keys = keys_there();
my $lookups = counter($one, 'lookups');

is($one->post(@again)->cache, 'SEMANTIC', 'Redis has no such key');
is(counter($one, 'lookups') - $lookups, 1, 'it was asked');
ok($redis->wait_for(sub { keys_there() eq $keys }),
    'nobody waits for an answer');

my $own = $other->post(@again);

is_miss($own, 'the other machine knows no such question');
ok(stored($redis, 'llm:' . $own->header('X-LLM-Cache-Key')), 'it is stored');
is_hit($one->post(@again), $own, 'an exact one goes first');

finish();
