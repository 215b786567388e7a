# One record for every client: JSON serves who asks for a stream, a stream
# serves who asks for JSON, and nothing is lost.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Encode qw(decode_utf8);

use LLMTest;

my $mock = mock();

my $nginx = nginx(workers => 2, location => 'llm_cache on zone=plain;',
    http => 'llm_cache_zone zone=plain:32m;'
        . 'llm_cache_zone zone=packed:8m compress=on max_entry=4m;'
        . 'llm_cache_zone zone=large:64m max_entry=8m;',
    server => <<'END');
    location /marked/ {
        llm_cache on zone=plain;
        llm_cache_mark on;
        proxy_pass http://llm;
    }
    location /packed/ {
        llm_cache on zone=packed;
        proxy_pass http://llm;
    }
    location /large/ {
        llm_cache on zone=large;
        proxy_pass http://llm;
    }
END

my %TYPE = (json => qr{^application/json}, array => qr{^application/json},
    sse => qr{^text/event-stream}, ndjson => qr{^application/x-ndjson});

# uri, body and kind of answer in each form of a dialect

sub form {
    my ($name, $form, $prompt, %more) = @_;

    if ($name eq 'gemini') {
        my $case = dialect($form eq 'json' ? 'gemini generate'
            : $form eq 'sse' ? 'gemini stream' : 'gemini array');

        return ($case->{uri}, $case->{body}->($prompt, %more),
            headers => $case->{headers});
    }

    my $case = dialect($name);
    my $usage = $name =~ /chat$|^completions$/
        && $name !~ /^(?:cohere|ollama)/ && $form ne 'json';

    return ($case->{uri}, $case->{body}->($prompt, %more,
        stream => $form eq 'json' ? json_false : json_true,
        ($usage ? (stream_options => { include_usage => json_true }) : ())),
        headers => $case->{headers});
}

sub is_form {
    my ($response, $form, $name) = @_;

    is($response->cache, 'HIT', "$name: hit");
    like($response->header('Content-Type'), $TYPE{$form}, "$name: type");
    like($response->header('Cache-Status'), qr/^llm-cache; hit; ttl=\d+/,
        "$name: Cache-Status");
    ok($response->complete, "$name: framed");
    is($response->header('Content-Length'), length $response->body,
        "$name: length");

    return;
}

# asks for $form of what is recorded, which costs no call

sub other {
    my ($name, $form, $prompt, $label) = @_;

    my $response;

    is(calls(sub { $response = $nginx->post(form($name, $form, $prompt)) }),
        0, "$label: no call");
    is_form($response, $form, $label);

    return $response;
}

# what a conversion gave, as a provider's own answer

sub recorded {
    my ($name, $form, $prompt, $response) = @_;

    my @mock = (body => decode_utf8($response->body), type =>
        $response->header('Content-Type'));

    is_miss($nginx->post(form($name, $form, $prompt), mock => { @mock }),
        "$prompt: recorded");

    return;
}

my %STREAM = ('ollama chat' => 'ndjson', 'ollama generate' => 'ndjson');
my $TEXT = "One \"two\", three \x{1f600} four,\nfive \\ six \x{e9}; "
    . 'seven data: eight nine ten.';
my %KINDS = (chat => [qw(text reasoning refusal tools)],
    responses => [qw(text reasoning refusal tools)],
    anthropic => [qw(text reasoning tools)],
    gemini => [qw(text reasoning tools)], 'cohere chat' => [qw(text tools)]);

for my $name ('chat', 'azure chat', 'completions', 'responses', 'anthropic',
    'gemini', 'cohere chat', 'ollama chat', 'ollama generate')
{
    for my $kind (@{$KINDS{$name} // ['text']}) {
        my $stream = $STREAM{$name} // 'sse';
        my $label = "$name, $kind";
        my %mock = (kind => $kind, text => $TEXT);

        # recorded as JSON: the stream of it, and that recorded, says the same

        my $json = $nginx->post(form($name, 'json', "$label 1"),
            mock => { %mock });

        is_miss($json, "$label: JSON");

        my $events = other($name, $stream, "$label 1",
            "$label: JSON to $stream");

        recorded($name, $stream, "$label 2", $events);
        is_deeply(other($name, 'json', "$label 2", "$label: and back")->json,
            $json->json, "$label: JSON as it was");
        is($nginx->post(form($name, 'json', "$label 1"))->body, $json->body,
            "$label: JSON byte for byte");

        # recorded as a stream

        $events = $nginx->post(form($name, $stream, "$label 3"),
            mock => { %mock });

        is_miss($events, "$label: $stream");

        $json = other($name, 'json', "$label 3", "$label: $stream to JSON");

        like($json->body, qr/seven data: eight nine ten\./,
            "$label: the text") if $kind eq 'text';

        recorded($name, 'json', "$label 4", $json);
        recorded($name, $stream, "$label 5", other($name, $stream, "$label 4",
            "$label: and back"));
        is_deeply(other($name, 'json', "$label 5", "$label: once more")->json,
            $json->json, "$label: the same JSON");
        is($nginx->post(form($name, $stream, "$label 3"))->body,
            $events->body, "$label: $stream byte for byte");
    }
}

# Gemini has two kinds of stream

for my $order (['json', 'sse', 'array'], ['sse', 'array', 'json'],
    ['array', 'json', 'sse'])
{
    my $prompt = "gemini in order @$order";
    my @answers = map { $nginx->post(form('gemini', $_, $prompt),
        mock => { text => $TEXT }) } @$order;
    my %answer;

    @answer{@$order} = @answers;

    is_deeply([map { $_->cache } @answers], [qw(MISS HIT HIT)],
        "$prompt: one call");
    like($answer{$_}->header('Content-Type'), $TYPE{$_}, "$prompt: $_")
        for @$order;
    is(join('', map { map { $_->{text} } $_->{candidates}[0]{content}{parts}
        ->@* } $answer{array}->json->@*),
        $answer{json}->json->{candidates}[0]{content}{parts}[0]{text},
        "$prompt: the same text");
}

# Ollama streams unless it is told not to

my @ollama = map { $nginx->post('/api/chat', dialect('ollama chat')->{body}
    ->('absent', @$_)) } [], [stream => json_true], [stream => json_false];

is_deeply([map { $_->cache } @ollama], [qw(MISS HIT HIT)],
    'ollama: an absent stream is a stream');
is($ollama[1]->body, $ollama[0]->body, 'ollama: byte for byte');
is($ollama[2]->json->{done}, json_true, 'ollama: JSON');

# usage: JSON always tells it, a stream where it is asked to

sub ask {
    my ($prompt, $stream, $usage) = @_;

    return $nginx->post(chat_uri(), chat($prompt,
        stream => $stream ? json_true : json_false, ($usage
        ? (stream_options => { include_usage => json_true }) : ())));
}

my @usage = map { ask('usage of JSON', @$_) } [0], [1, 0], [1, 1];

is_deeply([map { $_->cache } @usage], [qw(MISS HIT HIT)], 'usage: from JSON');
unlike($usage[1]->body, qr/total_tokens/, 'usage: not without a wish');
like($usage[2]->body, qr/"choices":\[\],"usage":\{.*?\}\}\}\n\ndata: \[DONE\]/,
    'usage: an event of its own');

@usage = map { ask('usage of a stream', @$_) } [1, 1], [0], [1, 0];

is_deeply([map { $_->cache } @usage], [qw(MISS HIT HIT)],
    'usage: from a stream');
is($usage[1]->json->{usage}{total_tokens}, 26, 'usage: JSON tells it');

@usage = map { ask('no usage', @$_) } [1, 0], [0], [1, 0], [0], [1, 1];

is_deeply([map { $_->cache } @usage], [qw(MISS MISS HIT HIT HIT)],
    'usage: JSON owes what the stream did not tell');
is($usage[2]->body =~ s/data: \{.*//sr, '', 'usage: then JSON serves both');

# a server that tells usage in JSON, and does not know how to in streams

@usage = map { $nginx->post(chat_uri(), chat('deaf', %$_), mock => {
    $_->{stream} ? (body => 'data: {"id":"c","choices":[{"index":0,"delta":'
    . '{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}' . "\n\n"
    . "data: [DONE]\n\n") : () }) } map { $_ ? { stream => json_true,
        stream_options => { include_usage => json_true } } : {} } 1, 0, 0;

is_deeply([map { $_->cache } @usage], [qw(MISS MISS HIT)],
    'usage: asked of a stream in vain, still owed by JSON');
ok($usage[$_]->json->{usage}, "usage: JSON $_ tells it") for 1, 2;

# Groq and Mistral tell it unasked: in a stream's last chunk with a choice,
# Groq in a member of its own, which nobody else takes for it

sub chunks {
    my (@last) = @_;

    return join '', map { "data: $_\n\n" } '{"id":"c","choices":[{"index":0,'
        . '"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}',
        map({ '{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":'
        . qq("stop"}],$_}) } @last), '[DONE]';
}

my $counts = '"usage":{"prompt_tokens":5,"completion_tokens":6}';

for (['Groq', chunks('"x_groq":{"id":"r",' . "$counts}"), 'MISS'],
    ['Mistral', chunks($counts), 'HIT'])
{
    my ($name, $stream, $asked) = @$_;
    my $post = sub {
        my ($prompt, %more) = @_;

        return $nginx->post(chat_uri(), chat("$name $prompt", %more),
            mock => $more{stream} && !$more{stream_options}
            ? { body => $stream } : {});
    };
    my @asks = ([stream => json_true], [], [stream => json_true],
        [stream => json_true, stream_options => { include_usage =>
        json_true }]);

    @usage = map { $post->('unasked', @$_) } @asks;

    is_deeply([map { $_->cache } @usage], ['MISS', 'HIT', 'HIT', $asked],
        "usage: $name\'s stream");
    is($usage[1]->json->{usage}{completion_tokens}, 6,
        "usage: $name\'s stream, as JSON");
    is($usage[2]->body, $stream, "usage: $name\'s stream again");
    like($usage[3]->body, qr/[\]}],"usage":\{/,
        "usage: $name\'s stream, asked for it");
}

for (['groq', 'x_groq' => { id => 'r' }, qr/,"x_groq":\{"id":"r","usage":/],
    ['mistral', model => 'mistral-small-latest', qr/\}\],"usage":/])
{
    my ($name, $member, $value, $told) = @$_;
    my $json = to_json({ id => 'c', $member => $value, choices => [{
        index => 0, message => { role => 'assistant', content => 'Hi' },
        finish_reason => 'stop' }], usage => { prompt_tokens => 5 } });

    @usage = map { $nginx->post(chat_uri(), chat("$name unasked", $_
        ? (stream => json_true) : ()), mock => { body => $json }) } 0, 1;

    is_deeply([map { $_->cache } @usage], [qw(MISS HIT)],
        "usage: JSON of $name");
    like($usage[1]->body, $told, "usage: JSON of $name, in the last chunk");
}

# what cannot be given in full is a miss

my $odd = 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a",'
    . '"song":"la"},"finish_reason":null}]}' . "\n\n"
    . 'data: {"id":"c","choices":[{"index":0,"delta":{"song":"li"},'
    . '"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}' . "\n\n"
    . "data: [DONE]\n\n";
my @odd = map { $nginx->post(form('chat', $_, 'odd'),
    mock => { $_ eq 'sse' ? (body => $odd) : () }) } qw(sse sse json sse);

is_deeply([map { $_->cache } @odd], [qw(MISS HIT MISS HIT)],
    'an unknown text in pieces: a miss');
is($odd[1]->body, $odd, 'an unknown text in pieces: byte for byte');

# nor the other way: from the second of one form on each has its own, for as
# long as the record under their key is there

my $fixed = '{"id":"c","choices":[{"index":0,"message":{"role":"assistant",'
    . '"content":"a","annotations":{"a":1}},"finish_reason":"stop"}],'
    . '"usage":{"prompt_tokens":1}}';

for my $order ([qw(json sse)], [qw(sse json)]) {
    my $name = "neither way, $order->[0] first";
    my @ask = (@$order) x 4;
    my @apart = map { $nginx->post(form('chat', $_, $name),
        mock => { body => $_ eq 'sse' ? $odd : $fixed,
        type => $_ eq 'sse' ? 'text/event-stream' : 'application/json' }) }
        @ask;

    is_deeply([map { $_->cache } @apart],
        [qw(MISS MISS MISS HIT HIT HIT HIT HIT)], $name);
    is($apart[$_]->body, $ask[$_] eq 'sse' ? $odd : $fixed, "$name: $_")
        for 0 .. 7;
}

# an upstream that answers otherwise than it was asked

my @other = map { $nginx->post(form('chat', $_, 'JSON for a stream'),
    mock => { body => '{"id":"c","choices":[{"index":0,"message":{"role":'
    . '"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{}}',
    type => 'application/json' }) } qw(sse sse json);

is_deeply([map { $_->cache } @other], [qw(MISS HIT HIT)],
    'JSON for a stream: cached');
is($other[1]->body, $other[0]->body, 'JSON for a stream: as it came');
is_deeply($other[2]->json, $other[0]->json, 'JSON for a stream: as JSON');

# a mark

for my $order (['json', 'sse'], ['sse', 'json']) {
    my $name = "mark, @$order";
    my @request = map { [form('chat', $_, $name)] } @$order;
    my ($first, $second) = map { $nginx->post("/marked$_->[0]", $_->[1]) }
        @request;

    is($second->cache, 'HIT', "$name: hit");
    unlike($first->body, qr/"cache":true/, "$name: none on a miss");
    like($second->body, $order->[1] eq 'json' ? qr/,"cache":true\}$/
        : qr/^data: [^\n]*,"cache":true\}\n/, "$name: where it belongs");
    is(scalar(() = $second->body =~ /"cache":true/g), 1, "$name: once");
}

# packed records

for my $order (['json', 'sse'], ['sse', 'json']) {
    my $name = "packed, @$order";
    my @request = map { [form('chat', $_, $name)] } @$order;
    my @packed = ("/packed$request[0][0]", $request[0][1]);
    my $first = $nginx->post(@packed, mock => { repeat => 100 });

    ok($nginx->wait_until(sub { ($nginx->post(@packed, headers =>
        { 'Accept-Encoding' => 'gzip' })->header('Content-Encoding') // '')
        eq 'gzip' }), "$name: packed");

    my $second = $nginx->post("/packed$request[1][0]", $request[1][1],
        headers => { 'Accept-Encoding' => 'gzip' });

    is($second->cache, 'HIT', "$name: hit");
    is($second->header('Content-Encoding'), undef, "$name: plain");
    is($second->header('Vary'), 'Accept-Encoding', "$name: Vary");
    like($second->body, $order->[1] eq 'json' ? qr/^\{"id"/ : qr/\[DONE\]/,
        "$name: converted");
    is($nginx->post(@packed)->body, $first->body, "$name: the record stays");
}

# large records are converted by a thread, where nginx has threads

my $binary = $ENV{TEST_NGINX_BINARY} || 'nginx';
my $threads = `$binary -V 2>&1` =~ /--with-threads/;

for my $order ($threads ? (['json', 'sse'], ['sse', 'json']) : ()) {
    my $name = "large, @$order";
    my @request = map { [form('chat', $_, $name)] } @$order;

    $nginx->post("/large$request[0][0]", $request[0][1],
        mock => { size => 900_000 });

    my ($small) = map { $nginx->post(form('chat', 'json', 'small')) } 1, 2;
    my $second = $nginx->post("/large$request[1][0]", $request[1][1]);

    is($second->cache, 'HIT', "$name: hit");
    cmp_ok(length $second->body, '>', 900_000, "$name: all of it");
    like($second->body, $order->[1] eq 'json' ? qr/\}$/ : qr/\[DONE\]\n\n$/,
        "$name: to its end");

    # the client may leave meanwhile

    for (1 .. 3) {
        my $client = $nginx->client;

        $client->send($nginx->request_text("/large$request[1][0]",
            $request[1][1]));
        $client->close;
    }

    is($nginx->post("/large$request[1][0]", $request[1][1])->body,
        $second->body, "$name: again");
}

# what conversions take is bounded: while a client has not read a large result,
# there is no room for another one

my $narrow = nginx(http => 'llm_cache_zone zone=huge:32m max_entry=8m;',
    listen => 'sndbuf=16k',
    location => 'llm_cache on zone=huge;');
my @huge = map { [form('chat', $_, 'huge')] } qw(json sse);

$narrow->post(@{$huge[0]}, mock => { size => 7_900_000 });

my $idle = $narrow->client;

$idle->send($narrow->request_text(@{$huge[1]}));
is_deeply([grep { $_->[0] eq 'X-LLM-Cache' } @{($idle->head(time + 20))[2]}],
    [['X-LLM-Cache', 'HIT']], 'huge: a hit whose body is not read');

is($narrow->post(@{$huge[1]}, headers => { 'Cache-Control' => 'no-store' })
    ->cache, 'MISS', 'huge: no room for another one');

$idle->close;

ok($narrow->wait_until(sub { $narrow->post(@{$huge[1]}, headers =>
    { 'Cache-Control' => 'no-store' })->cache eq 'HIT' }),
    'huge: and then there is');

# simultaneous requests for both forms: a call for each form

my @clients = map { $nginx->client } 1 .. 4;

is(calls(sub {
    for my $at (0 .. 3) {
        $clients[$at]->send($nginx->request_text(form('chat',
            $at % 2 ? 'sse' : 'json', 'at once'), mock =>
            { hold => [0, 'forms'] }));
    }

    ok($mock->wait_for(sub { $mock->waiting('forms') == 2 }),
        'at once: two calls');
    $mock->release('forms');

    my @answers = map { $_->response } @clients;

    is_deeply([sort map { $_->cache } @answers], [qw(MISS MISS SHARED SHARED)],
        'at once: each form has a leader and a follower');
    like($answers[$_]->header('Content-Type'), $_ % 2 ? $TYPE{sse}
        : $TYPE{json}, "at once: the form of $_") for 0 .. 3;
}), 2, 'at once: two calls in all');

$_->close for @clients;

# a record that cannot be converted, or does not tell usage: one call for all
# who need another

for my $case (['JSON', 'unfit for JSON', json_false],
    ['usage', 'unfit for usage', json_true])
{
    my ($name, $prompt, $stream) = @$case;
    my $gate = "unfit$name";

    is_miss($nginx->post(chat_uri(), chat($prompt, stream => json_true)),
        "unfit for $name: a stream without usage");

    my @wish = (chat_uri(), chat($prompt, stream => $stream,
        stream_options => { include_usage => json_true }));
    my @crowd = map { $nginx->client } 1 .. 6;

    is(calls(sub {
        $_->send($nginx->request_text(@wish, mock => { hold => [0, $gate] }))
            for @crowd;
        ok($mock->wait_for(sub { $mock->waiting($gate) }),
            "unfit for $name: a call");
        pause(0.3);
        $mock->release($gate);
        is(join(' ', sort map { $_->response->cache } @crowd),
            'MISS ' . join(' ', ('SHARED') x 5), "unfit for $name: shared");
    }), 1, "unfit for $name: one call");

    $_->close for @crowd;
    is($nginx->post(@wish)->cache, 'HIT', "unfit for $name: then a hit");
}

finish();
