# Semantic hits that are verified by an embeddings API, which is asked once the
# client has its answer; and answers that stay in the index without asking it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use IO::Socket::INET ();

use LLMTest;
use LLMTest::Http2;

my $embedder = mock();
my $mock = mock();
my $port = $embedder->port;

my %CONF = (no_location => 1, workers => 1, level => 'info',
    allow => qr/llm cache: (?:".*" gave no vector|a text was not embedded)/,
    http => <<'END',
    map $request_body $vector {
        default "0,0,1";
        "~automobile" "1,0.1,0";
        "~car" "1,0,0";
    }
END
    server => <<"END");
    llm_cache_semantic on;
    location = /count {
        llm_cache on;
        return 200 '{"verified": "\$llm_cache_semantic_verified", "wrong":
            "\$llm_cache_semantic_wrong", "unmeasured":
            "\$llm_cache_semantic_unmeasured", "embeds":
            "\$llm_cache_semantic_embeds", "errors":
            "\$llm_cache_semantic_embed_errors"}';
    }
    location /api/ {
        llm_cache on;
        llm_cache_semantic_verify 100%;
        llm_cache_embed /embed/api dimensions=3;
        proxy_pass http://llm;
    }
    location /mock/ {
        llm_cache on;
        llm_cache_semantic_verify 100%;
        llm_cache_embed /embed/mock dimensions=3 timeout=20s;
        proxy_pass http://llm;
    }
    location /brief/ {
        llm_cache on;
        llm_cache_semantic_verify 100%;
        llm_cache_embed /embed/mock dimensions=3 timeout=500ms;
        proxy_pass http://llm;
    }
    location /fresh/ {
        llm_cache on;
        llm_cache_valid \$http_x_valid;
        llm_cache_use_stale updating;
        llm_cache_background_update on;
        llm_cache_embed /embed/api dimensions=3;
        proxy_pass http://llm;
    }
    location /plain/ {
        llm_cache on;
        chunked_transfer_encoding off;
        llm_cache_semantic_verify 100%;
        llm_cache_embed /embed/api dimensions=3;
        proxy_pass http://llm;
    }
    location /embed/api {
        internal;
        return 200 '{"data":[{"embedding":[\$vector]}]}';
    }
    location /embed/mock {
        internal;
        proxy_read_timeout 60s;
        proxy_pass http://127.0.0.1:$port/v1/embeddings;
    }
END

my $nginx = nginx(%CONF);

sub count { return $nginx->get('/count')->json }

sub counted {
    my ($name, $expected) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $nginx->wait_until(sub { count()->{$name} == $expected });

    return is(count()->{$name}, $expected, "$expected $name");
}

sub vector { return { body => '{"data":[{"embedding":[' . join(',', @_)
    . ']}]}', type => 'application/json' } }

# each subject has a model of its own, as all cars have one vector

sub about {
    my ($what, $thing, %more) = @_;

    return chat("how to $what $thing", model => $what, %more);
}

sub ask {
    my ($prefix, $what, $thing, $text, %option) = @_;

    $option{mock}{text} = $text if defined $text;

    return $nginx->post("/$prefix" . chat_uri(), about($what, $thing),
        %option);
}

sub key { return $_[0]->header('X-LLM-Cache-Key') }

# answers that mean the same

ask('api', 'fix', 'a car', 'take the car to the shop');

my $fresh = ask('api', 'fix', 'an automobile',
    'bring the automobile to the shop');

is($fresh->cache, 'MISS', 'a hit that is verified');
is($fresh->complete, 1, 'is whole');
is($fresh->header('Connection'), 'close', 'the connection ends with it');
counted('verified', 1);
is(count()->{wrong}, 0, 'it was right');
is(count()->{embeds}, 4, 'two questions and two answers');
is_hit(ask('api', 'fix', 'an automobile'), $fresh, 'it is stored');

# the same to the byte: there is nothing to ask

ask('api', 'paint', 'a car', 'with a brush');
ask('api', 'paint', 'an automobile', 'with a brush');
counted('verified', 2);
is(count()->{embeds}, 6, 'the same answer is not embedded');

# and that do not

my $client = $nginx->client;

$client->send(pair('mock', 'sell', vector(1, 0, 0), vector(0, 1, 0)));
is($client->response->complete, 1, 'another answer');
counted('wrong', 1);
counted('verified', 3);

# streams

my $stream = $nginx->post('/api' . chat_uri(), about('wash', 'a car',
    stream => \1), mock => { text => 'wash the car' });
my $again = $nginx->post('/api' . chat_uri(), about('wash', 'an automobile',
    stream => \1), mock => { text => 'wash the automobile' });

is($again->complete, 1, 'a stream is whole');
like($again->body, qr/data: \[DONE\]\n\n$/, 'to its end');
counted('verified', 4);

# clients to whom the end of the answer is that of the connection

ask('api', 'rent', 'a car');
is(ask('api', 'rent', 'an automobile', undef, version => '1.0')->cache,
    'SEMANTIC', 'HTTP/1.0');
ask('plain', 'rent', 'a car');
is(ask('plain', 'rent', 'an automobile')->cache, 'SEMANTIC',
    'chunked_transfer_encoding off');
is(count()->{verified}, 4, 'nothing was verified');

# a question that the mock embeds, and what it says of both answers

sub pair {
    my ($prefix, $what, @answers) = @_;

    $embedder->next(vector(1, 0, 0));
    ask($prefix, $what, 'a car', 'one');
    $embedder->next(vector(1, 0.1, 0), @answers);

    return $nginx->request_text("/$prefix" . chat_uri(),
        about($what, 'an automobile'), mock => { text => 'two' });
}

# the client does not wait for that

my $before = count();

$client = $nginx->client;

$client->send(pair('mock', 'park', { %{vector(1, 0, 0)}, gate => 'late' },
    vector(1, 0, 0.1)));
$fresh = $client->response;
is($fresh->complete, 1, 'the answer is there');
like($fresh->body, qr/two/, 'all of it');
ok($embedder->wait_for(sub { $embedder->waiting('late') }),
    'while the API is asked');
is(count()->{verified}, $before->{verified}, 'nothing is known yet');
$embedder->release('late');
counted('verified', $before->{verified} + 1);

# what is asked

my @asked = map { from_json($_->{body})->{input} } $embedder->requests(-2);

is(join('|', sort @asked), 'one|two', 'the texts of the answers');

# nobody waits long, and no connection is kept

$before = count();
$client = $nginx->client;
$client->send(pair('brief', 'stop', { %{vector(1, 0, 0)}, gate => 'never' },
    vector(1, 0, 0)));
is($client->response->complete, 1, 'an API that is slow');
counted('unmeasured', $before->{unmeasured} + 1);
ok($client->closed, 'the connection is closed');
ok($embedder->wait_for(sub { $embedder->aborted }),
    'the API is not waited for');
is(count()->{verified}, $before->{verified}, 'nothing was verified');

# a question that is not embedded in time: neither does it keep it

my $aborted = $embedder->aborted;

$embedder->next({ gate => 'never' });
$client = $nginx->client;

for my $again (1, 2) {
    $client->send($nginx->request_text('/brief' . chat_uri(),
        about('keep', 'a car')));
    is($client->response->cache, $again == 1 ? 'MISS' : 'HIT',
        "request $again of a connection");
}

ok($embedder->wait_for(sub { $embedder->aborted > $aborted }),
    'the API is not waited for, either');

# garbage, errors, and one vector of two

for my $case (['garbage', { body => 'garbage' }, vector(1, 0, 0)],
    ['an error', vector(1, 0, 0), { status => 500 }],
    ['a short one', vector(1, 0), vector(1, 0, 0)],
    ['an end', { cut => 10 }, vector(1, 0, 0)])
{
    my ($name, @answers) = @$case;

    $before = count();
    $client = $nginx->client;
    $client->send(pair('mock', "move for $name", @answers));
    is($client->response->complete, 1, "$name: the client has its answer");
    counted('unmeasured', $before->{unmeasured} + 1);
    is(count()->{verified}, $before->{verified}, "$name: nothing verified");
    is(count()->{errors}, $before->{errors} + 1, "$name: an error");
    $embedder->reset;
}

# clients that leave meanwhile

for my $number (1 .. 5) {
    $before = count();
    $client = $nginx->client;
    $client->send(pair('mock', 'leave ' . 'x' x $number,
        { %{vector(1, 0, 0)}, gate => "left $number" }, vector(1, 0, 0)));
    $client->response;
    $client->close;
    $embedder->wait_for(sub { $embedder->waiting("left $number") });
    $embedder->release("left $number");
    $nginx->wait_until(sub { my $now = count(); return $now->{verified}
        + $now->{unmeasured} > $before->{verified} + $before->{unmeasured} });
    $embedder->reset;
}

is(ask('api', 'leave', 'a car')->status, 200, 'clients that left');

# an answer that is fetched again stays in the index, the API unasked

ask('fresh', 'find', 'a car', undef, headers => { 'X-Valid' => '1s' });
pause(2.1);

$before = count()->{embeds};

is(ask('fresh', 'find', 'a car', undef, headers => { 'X-Valid' => '1h' })
    ->cache, 'UPDATING', 'it is refreshed in the background');
ok($nginx->wait_until(sub {
    return ask('fresh', 'find', 'a car')->cache eq 'HIT' }), 'it is there');
is(count()->{embeds}, $before, 'the question was not embedded again');
is(ask('fresh', 'find', 'an automobile')->cache, 'SEMANTIC',
    'it serves others');

ask('fresh', 'hide', 'a car', undef, headers => { 'X-Valid' => '1h' });
$before = count()->{embeds};
$fresh = ask('fresh', 'hide', 'a car', undef, headers => {
    'X-Valid' => '1h', 'Cache-Control' => 'no-cache' });
is(count()->{embeds}, $before, 'no-cache: not embedded');
$again = ask('fresh', 'hide', 'an automobile');
is($again->cache, 'SEMANTIC', 'no-cache: it serves others');
is($again->body, $fresh->body, 'no-cache: what is new');

# HTTP/2

my $two = nginx(%CONF, listen => 'http2');
my $connection = LLMTest::Http2->new($two->port);
my %headers = (authorization => 'Bearer sk-test');

for my $what ('a car', 'an automobile', 'a car') {
    my $stream = $connection->request('/api' . chat_uri(),
        to_json(about('lock', $what)), %headers);

    like(($connection->bodies($stream))[0], qr/"Answer/, "HTTP/2: $what");
}

ok($two->wait_until(sub {
    my $stream = $connection->request('/count', '{}', %headers);

    return from_json(($connection->bodies($stream))[0])->{verified} == 1;
}), 'HTTP/2: it was verified');
$connection->close;


finish();
