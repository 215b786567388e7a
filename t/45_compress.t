# compress=on: what is stored is packed behind the scenes; clients get the same
# bytes as without, and those that read gzip get it packed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Compress::Raw::Zlib ();
use IO::Uncompress::Gunzip ();

use LLMTest;

my $mock = mock();
my %GZIP = ('Accept-Encoding' => 'gzip, deflate');

srand 45;

sub text {
    my ($response) = @_;

    my ($body, $text) = ($response->body, undef);

    return $body if ($response->header('Content-Encoding') // '') ne 'gzip';

    IO::Uncompress::Gunzip::gunzip(\$body, \$text, Transparent => 0,
        TrailingData => \my $rest) or return 'no gzip';

    return defined $rest && length $rest ? 'bytes behind the end' : $text;
}

sub is_packed {
    my ($response) = @_;

    return ($response->header('Content-Encoding') // '') eq 'gzip';
}

# asks as a client that reads gzip until the answer comes packed

sub packed {
    my ($nginx, $uri, $body, %option) = @_;

    my $response;

    $nginx->wait_until(sub {
        $response = $nginx->post($uri, $body, %option, headers =>
            { %{$option{headers} // {}}, %GZIP,
                'Cache-Control' => 'only-if-cached' });
        return is_packed($response) || $response->status != 200;
    });

    return $response;
}

# letters and digits at random, which pack slowly and badly

sub noise {
    my ($size) = @_;

    return join '', map { ('a' .. 'z', 'A' .. 'Z', 0 .. 9)[rand 62] }
        1 .. $size;
}

# a streamed chat answer of 115 KB, as OpenAI sends it

my @WORDS = map { noise(1 + rand 9) } 1 .. 200;

sub recorded {
    my $head = 'data: {"id":"chatcmpl-' . noise(29)
        . '","object":"chat.completion.chunk","created":1700000000,"model":'
        . '"gpt-4o-mini-2024-07-18","service_tier":"default",'
        . '"system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,'
        . '"delta":{"content":" ';

    return join('', map { $head . $WORDS[rand @WORDS]
        . '"},"logprobs":null,"finish_reason":null}],"usage":null,'
        . '"obfuscation":"' . noise(1 + rand 14) . "\"}\n\n" } 1 .. 348)
        . $head . '"},"logprobs":null,"finish_reason":"stop"}],"usage":null}'
        . "\n\ndata: [DONE]\n\n";
}

sub store_recorded {
    my ($nginx, $prompt, $body) = @_;

    $mock->next({ body => $body, type => 'text/event-stream' });

    return $nginx->post(chat_uri(), chat($prompt, stream => json_true));
}

# every form: the same bytes for all clients, before and after

my $nginx = nginx(location => 'llm_cache on;',
    http => 'llm_cache_zone zone=one:8m compress=on;', server => <<'END');
    location /marked/ {
        llm_cache on;
        llm_cache_mark on;
        proxy_pass http://llm;
    }
    location /zipping/ {
        llm_cache on;
        gzip on;
        gzip_types *;
        gzip_min_length 1;
        proxy_pass http://llm;
    }
    location /varying/ {
        llm_cache on;
        gzip on;
        gzip_vary on;
        gzip_types *;
        proxy_pass http://llm;
    }
    location /unpacking/ {
        llm_cache on;
        gunzip on;
        proxy_pass http://llm;
    }
END

my %CODINGS = ('' => 0, 'identity' => 0, 'br, deflate' => 0, 'gzip;q=0' => 0,
    'gzip;q=0.0, *' => 0, 'gzip' => 1, 'br, gzip;q=0.5' => 1, '*' => 1,
    'x-gzip' => 1, 'GZIP' => 1, 'identity;q=1, *;q=0' => 0);

for my $case (['chat', json_false], ['chat', json_true],
    ['anthropic', json_true], ['ollama chat', json_true], ['cohere embed', 0],
    ['responses', json_true], ['gemini stream', 0])
{
    my ($name, $stream) = @$case;
    my $dialect = dialect($name);
    my @request = ($dialect->{uri}, $dialect->{body}->(
        $stream ? 'Pack this stream.' : 'Pack this.',
        ref $stream ? (stream => $stream) : ()), headers =>
        $dialect->{headers});
    my $how = "$name, " . ($stream ? 'stream' : 'JSON');
    my $mocked = { repeat => 100, text => undef };

    $mocked = { body => '{"id":"x","embeddings":{"float":[['
        . join(',', map { "0.$_" } 1000 .. 1500) . ']]},"texts":["a"],'
        . '"response_type":"embeddings_floats"}' } if $name eq 'cohere embed';

    my $first = $nginx->post(@request, mock => $mocked);

    is_miss($first, $how);

    my $packed = packed($nginx, @request);

    ok(is_packed($packed), "$how: packed");
    is($packed->cache, 'HIT', "$how: packed is a hit");
    is(text($packed), $first->body, "$how: packed, the same bytes");
    cmp_ok(length $packed->body, '<', 0.7 * length $first->body,
        "$how: packed, shorter");
    is($packed->header('Content-Length'), length $packed->body,
        "$how: packed, Content-Length");
    is($packed->header('Content-Type'), $first->header('Content-Type'),
        "$how: packed, Content-Type");
    is(join(', ', $packed->header_all('Vary')), 'Accept-Encoding',
        "$how: packed, Vary");

    my $plain = $nginx->post(@request);

    is_hit($plain, $first, "$how: plain");
    is($plain->header('Content-Encoding'), undef, "$how: plain");
    is(join(', ', $plain->header_all('Vary')), 'Accept-Encoding',
        "$how: plain, Vary");

    my $old = $nginx->post(@request, version => '1.0');

    is($old->body, $first->body, "$how: HTTP/1.0");
}

# what a client says that it accepts

for my $accept (sort keys %CODINGS) {
    my $response = $nginx->post(chat_uri(), chat('Pack this.'),
        headers => { 'Accept-Encoding' => $accept eq '' ? undef : $accept });

    is(is_packed($response) ? 1 : 0, $CODINGS{$accept},
        "Accept-Encoding: $accept");
    is($response->cache, 'HIT', "Accept-Encoding: $accept: hit");
}

ok(!is_packed($nginx->post(chat_uri(), chat('Pack this.'), headers => {
    'Accept-Encoding' => ['*', 'gzip;q=0'] })), 'two headers');
ok(is_packed($nginx->post(chat_uri(), chat('Pack this.'), headers => {
    'Accept-Encoding' => ['br', 'gzip'] })), 'two other headers');

# short answers stay as they are, and so do those that would take long to
# unpack

$nginx->post(chat_uri(), chat('left short'));
$mock->next({ body => '{"object":"thing","text":"' . noise(300_000) . '"}' });
$nginx->post('/v1/things', { question => 'left large' });
$nginx->post(chat_uri(), chat('after those'), mock => { size => 5000 });
ok(is_packed(packed($nginx, chat_uri(), chat('after those'))),
    'left alone: one that came later is packed');

for my $request ([chat_uri(), chat('left short')],
    ['/v1/things', { question => 'left large' }])
{
    my $response = $nginx->post(@$request, headers => { %GZIP });

    is($response->cache, 'HIT', 'left alone: hit');
    ok(!is_packed($response), 'left alone: not packed');
}

# nginx's own gzip: not twice, and what is not packed is still its business

for my $prefix ('/zipping', '/varying') {
    my @request = ($prefix . chat_uri(), chat('zip'));
    my $first = $nginx->post(@request, mock => { size => 9000 });
    my $packed = packed($nginx, @request);

    $nginx->wait_until(sub { ($packed = packed($nginx, @request))
        ->header('Content-Length') });
    is(text($packed), $first->body, "$prefix: packed once");
    is($packed->header('Content-Length'), length $packed->body,
        "$prefix: as it is stored");
    is(join(', ', $packed->header_all('Content-Encoding')), 'gzip',
        "$prefix: one Content-Encoding");
    is(join(', ', $packed->header_all('Vary')), 'Accept-Encoding',
        "$prefix: one Vary");

    my $plain = $nginx->post(@request);

    is($plain->body, $first->body, "$prefix: plain");
    is($plain->header('Content-Encoding'), undef, "$prefix: plain");
    is(join(', ', $plain->header_all('Vary')), 'Accept-Encoding',
        "$prefix: plain, one Vary");
}

for my $version ('1.0', '1.1') {
    my @request = ('/unpacking' . chat_uri(), chat('gunzip'));
    my $first = $nginx->post(@request, mock => { size => 9000 });

    packed($nginx, @request);

    for my $headers ({}, { %GZIP }) {
        is(text($nginx->post(@request, headers => $headers,
            version => $version)), $first->body,
            "gunzip, HTTP/$version, " . (%$headers ? 'reads' : 'does not'));
    }
}

# a mark, and a usage event to leave out: unpacked, changed, complete

for my $stream (json_false, json_true) {
    my @request = ('/marked' . chat_uri(), chat("mark $stream", stream =>
        $stream));
    my $how = 'mark, ' . ($stream ? 'stream' : 'JSON');
    my $first = $nginx->post(@request, mock => { repeat => 200 });

    # the same record through a location without the mark shows when

    $nginx->post(chat_uri(), chat("after $how"), mock => { size => 9000 });
    packed($nginx, chat_uri(), chat("after $how"));

    for my $headers ({}, { %GZIP }) {
        my $marked = $nginx->post(@request, headers => $headers);

        is($marked->cache, 'HIT', "$how: hit");
        ok(!is_packed($marked), "$how: plain");
        like($marked->body, qr/"cache":true/, "$how: marked");
        is($marked->body =~ s/,"cache":true//r, $first->body,
            "$how: and else the same bytes");
    }
}

my @asks = map { chat('usage', stream => json_true, stream_options =>
    { include_usage => $_ }) } json_true, json_false;
my $with = $nginx->post(chat_uri(), $asks[0], mock => { repeat => 200 });
my $all = packed($nginx, chat_uri(), $asks[0]);

is(text($all), $with->body, 'usage: packed for who asks');

for my $headers ({}, { %GZIP }) {
    my $less = $nginx->post(chat_uri(), $asks[1], headers => $headers);

    is($less->cache, 'HIT', 'usage: hit for who does not ask');
    ok(!is_packed($less), 'usage: unpacked');
    unlike($less->body, qr/"prompt_tokens"/, 'usage: left out');
    is($less->body, $with->body =~ s/data: [^\n]*"prompt_tokens"[^\n]*\n\n//r,
        'usage: and nothing else');
}

# times are those of the answer, not of its packing

pause(2.1);

my $aged = packed($nginx, chat_uri(), chat('Pack this.'));
my ($ttl) = $aged->header('Cache-Status') =~ /ttl=(\d+)/;

cmp_ok($aged->header('Age'), '>=', 2, 'age');
is($aged->header('Age') + $ttl, 3600, 'lifetime');

my $brief = nginx(location => 'llm_cache on; llm_cache_valid 3s;',
    http => 'llm_cache_zone zone=brief:1m compress=on;');

$brief->post(chat_uri(), chat('brief'), mock => { size => 9000 });
ok(is_packed(packed($brief, chat_uri(), chat('brief'))), 'brief: packed');
ok($brief->wait_until(sub { $brief->post(chat_uri(), chat('brief'), headers =>
    { %GZIP, 'Cache-Control' => 'only-if-cached' })->status == 504 }),
    'brief: expires');

# a slow reader of what is being replaced keeps its bytes: the second of two
# requests in one go is served from the record before it is packed

my $slow = nginx(location => 'llm_cache on;', listen => 'sndbuf=16k',
    http => 'llm_cache_zone zone=slow:8m compress=on;');
my ($reader, $whole, $prompt);

for my $try (1 .. 30) {
    $prompt = "slow $try";
    $reader = $slow->client;
    $mock->next({ body => '{"id":"x","object":"chat.completion","choices":'
        . '[{"index":0,"finish_reason":"stop","message":{"role":"assistant",'
        . '"content":"' . noise(120_000) . '"}}]}' });
    $reader->send(map { $slow->request_text(chat_uri(), chat($prompt),
        headers => { %GZIP }) } 1, 2);
    $whole = $reader->response;
    $reader->received(qr/\r\n\r\n/);
    last if $reader->buffer !~ /^Content-Encoding/mi;
}

like($reader->buffer, qr/^X-LLM-Cache: HIT/m, 'slow reader: a hit');
unlike($reader->buffer, qr/^Content-Encoding/mi, 'slow reader: not packed');

my $replaced = packed($slow, chat_uri(), chat($prompt));

is(text($replaced), $whole->body, 'slow reader: packed meanwhile');
is($reader->response->body, $whole->body, 'slow reader: its own bytes');
is($slow->post(chat_uri(), chat($prompt))->body, $whole->body,
    'slow reader: unpacked');

# a recorded stream of 115 KB takes less than 8 KB of its zone, everything
# counted: 270 of them are in 2 MB

my $STREAMS = 270;
my $dense = nginx(location => 'llm_cache on;',
    http => 'llm_cache_zone zone=dense:2m evict=lru compress=on;');
my (%stream, @not);

for my $number (1 .. $STREAMS) {
    my $body = recorded();

    $stream{$number} = $body if $number % 50 == 1;
    store_recorded($dense, "stream $number", $body);
    push @not, $number if !is_packed(packed($dense, chat_uri(),
        chat("stream $number", stream => json_true)));
}

cmp_ok(length recorded(), '>', 113_000, 'streams: of 115 KB');
is("@not", '', 'streams: packed');

my $held = grep { $dense->post(chat_uri(), chat("stream $_", stream =>
    json_true), headers => { %GZIP, 'Cache-Control' => 'only-if-cached' })
    ->status == 200 } 1 .. $STREAMS;

is($held, $STREAMS, 'streams: all of them are there');
is(scalar(grep { $dense->post(chat_uri(), chat("stream $_", stream =>
    json_true))->body eq $stream{$_} } keys %stream), scalar keys %stream,
    'streams: the same bytes');

# a record that is damaged is a miss, once

sub damage {
    my ($server, $bytes, $at) = @_;

    my ($pid) = $server->worker_pids;
    my $done = 0;

    open my $maps, '<', "/proc/$pid/maps" or return 0;
    open my $memory, '+<:raw', "/proc/$pid/mem" or return 0;

    no warnings 'portable';

    for my $line (grep { /^\S+ rw-s / } <$maps>) {
        my ($start, $end) = map { hex } $line =~ /^([0-9a-f]+)-([0-9a-f]+)/;
        my $text;

        sysseek $memory, $start, 0 or next;
        sysread $memory, $text, $end - $start;

        my $found = index $text // '', substr $bytes, 0, 64;

        next if $found < 0;
        sysseek $memory, $start + $found + $at, 0;
        $done += syswrite $memory, chr(ord(substr $bytes, $at, 1) ^ 0x10);
    }

    return $done;
}

for my $reads (0, 1) {
    my @request = (chat_uri(), chat("damage $reads"));
    my $how = 'damage, ' . ($reads ? 'packed' : 'unpacked');
    my $first = $nginx->post(@request, mock => { repeat => 50 });
    my $packed = packed($nginx, @request);

    SKIP: {
        skip 'memory of processes cannot be written here', 4
            if !damage($nginx, $packed->body, 50);

        my $again = $nginx->post(@request, mock => { repeat => 50 },
            headers => $reads ? { %GZIP } : {});

        is_miss($again, $how);
        isnt($again->body, $first->body, "$how: another answer");
        is(text(packed($nginx, @request)), $again->body, "$how: is stored");
        is((() = $nginx->error_log =~ /gave a damaged record/g), 1 + $reads,
            "$how: logged");
    }
}

# reload: packed records are served by the next generation, with compress=off
# as well, and four shards do as one does

my %conf = (mock => $mock, workers => 2, level => 'notice',
    location => 'llm_cache on;',
    http => 'llm_cache_zone zone=one:8m shards=4 compress=on;');
my $sharded = nginx(%conf);
my %first = map { $_ => $sharded->post(chat_uri(), chat("entry $_"),
    mock => { size => 5000 + $_ }) } 1 .. 60;

sub same {
    my $same = 0;

    for my $number (keys %first) {
        my $response = packed($sharded, chat_uri(), chat("entry $number"));

        $same++ if is_packed($response)
            && text($response) eq $first{$number}->body;
    }

    return $same;
}

is(same(), 60, 'shards: all are packed');
ok($sharded->reload, 'reload');
is(same(), 60, 'reload: they are there');
ok($sharded->reload(%conf, http => 'llm_cache_zone zone=one:8m shards=4;'),
    'reload with compress=off');
is(same(), 60, 'compress=off: they are there');
is_hit($sharded->post(chat_uri(), chat('entry 7')), $first{7},
    'compress=off');
is_cached($sharded, 'compress=off', chat_uri(), chat('new'),
    mock => { size => 5000 });

my $new = $sharded->post(chat_uri(), chat('new'), headers => { %GZIP });

is($new->header('Vary'), undef, 'compress=off: no Vary');

finish();
