# The mock LLM and the test client themselves, through an nginx without the
# module: what the other tests lean on.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);
use IO::Uncompress::Gunzip qw(gunzip);
use LLMTest;

my $mock = mock();
my $nginx = nginx(without_module => 1,
    server => 'proxy_buffering off; proxy_request_buffering off;');

# every dialect

for my $case (dialects()) {
    my $name = $case->{name};
    my @request = ($case->{uri}, $case->{body}->('Hi'),
        headers => $case->{headers});
    my ($one, $two) = map { $nginx->post(@request) } 1, 2;

    is($one->status, 200, "$name: status");
    ok($one->complete, "$name: complete");

    if ($case->{form} eq 'json' || $case->{form} eq 'array') {
        is(eval { ref $one->json }, $case->{form} eq 'array' ? 'ARRAY'
            : 'HASH', "$name: JSON");
    }

    isnt($one->body, $two->body, "$name: no two answers are equal");

    next if !$case->{streams};

    my $stream = $nginx->post($case->{uri},
        $case->{body}->('Hi', stream => json_true), @request[2 .. 3]);
    my $lines = () = $stream->body =~ /^(?:data: )?\{.*\}$/mg;

    ok($lines > 3, "$name: a stream of events");
}

# what a test can ask for

sub mocked {
    my ($mock_says, %more) = @_;

    return $nginx->post(chat_uri(), chat('Hi', %more), mock => $mock_says);
}

is(mocked({ status => 429 })->status, 429, 'status');
ok(mocked({ error => 1 })->json->{error}, 'error in a 200');
is(mocked({ text => "caf\x{e9}" })->json->{choices}[0]{message}{content},
    "caf\x{e9}", 'text');
is(mocked({ finish => 'filter' })->json->{choices}[0]{finish_reason},
    'content_filter', 'finish reason by its class');
is(mocked({ finish => 'odd' })->json->{choices}[0]{finish_reason}, 'odd',
    'finish reason as it stands');
is(scalar @{mocked({ kind => 'tools' })->json
    ->{choices}[0]{message}{tool_calls}}, 2, 'tool calls');
is(scalar @{mocked({}, n => 3)->json->{choices}}, 3, 'choices');
is(mocked({ body => 'raw' })->body, 'raw', 'raw body');
is(length mocked({ size => 300_000 })->json->{choices}[0]{message}{content},
    300_000, 'size');
is(mocked({ headers => [['X-One', 'a'], ['X-One', 'b']] })
    ->header_all('X-One'), 2, 'headers');

my $stream = { stream => json_true };

unlike(mocked({ error => 1, after => 2 }, %$stream)->body, qr/\[DONE\]/,
    'an error ends a stream');
like(mocked({}, %$stream, stream_options => { include_usage => json_true })
    ->body, qr/"choices":\[\],"usage":\{"prompt_tokens"/, 'usage event');

# framing, whole and cut

for my $framing (qw(length chunked close)) {
    my $whole = mocked({ framing => $framing, text => 'Hi' }, %$stream);
    my $cut = mocked({ framing => $framing, text => 'Hi', cut => 100 },
        %$stream);

    is($whole->framing, $framing eq 'length' ? 'length' : 'chunked',
        "$framing: framing");
    ok($whole->complete, "$framing: whole");
    is(length $cut->body, 100, "$framing: cut");
    is($cut->complete, $framing eq 'close' ? 1 : 0,
        "$framing: what the client can know of the cut");
}

is(mocked({ chunk => 1, chunk_ext => ';a="b"', trailers => [['X-T', '1']],
    framing => 'chunked', body => 'odd chunks' })->body, 'odd chunks',
    'one-byte chunks with extensions and a trailer');

# gzip

my $gzip = mocked({ gzip => 'force', text => 'packed' });
my $text;

is($gzip->header('Content-Encoding'), 'gzip', 'gzip');
gunzip(\$gzip->body, \$text);
like($text, qr/packed/, 'gzip: content');

# requests as the mock saw them

my $bytes = join '', map { chr $_ % 256 } 0 .. 99_999;

$mock->reset;
$nginx->post('/any', $bytes, headers => { 'X-Two' => ['1', '2'] });
is($mock->last_request->{sha256}, sha256_hex($bytes), 'binary body');
is_deeply([LLMTest::Mock::request_header($mock->last_request, 'X-Two')],
    [1, 2], 'repeated request header');
$nginx->post('/any', $bytes, chunked => 1000);
is($mock->last_request->{body}, $bytes, 'chunked request');
is($mock->count, 2, 'count');
is($mock->count('/any'), 2, 'count by path');
is($mock->count('/other'), 0, 'count of another path');

$mock->next({ status => 500 }, { status => 503 });
is_deeply([map { mocked({})->status } 1 .. 3], [500, 503, 200],
    'behaviours queued for the next calls');

# gates

my $client = $nginx->client;

$client->send($nginx->request_text(chat_uri(), chat('Hi', %$stream),
    mock => { hold => [2, 'second'] }));
ok($client->received(qr/data: .*\n\ndata: /), 'events before the gate');
ok($mock->wait_for(sub { $mock->waiting('second') }), 'held at the gate');
unlike($client->buffer, qr/finish_reason":"stop/, 'nothing after the gate');
$mock->release('second');
like($client->response->body, qr/\[DONE\]/, 'released');

# several requests on one connection

$client->send(map { $nginx->request_text(chat_uri(), chat($_)) } 1 .. 3);
is_deeply([map { $client->response->status } 1 .. 3], [200, 200, 200],
    'pipelined');
$client->close;

is($nginx->logged(mocked({}))->{code}, '200', 'access log');

# nginx -t, reload and killed workers

my ($code, $said) = nginx_t(without_module => 1, http => 'nonsense on;');

isnt($code, 0, 'nginx -t refuses');
like($said, qr/unknown directive "nonsense"/, 'nginx -t says why');
($code, $said) = nginx_t(without_module => 1);
is($code, 0, 'nginx -t accepts');

my ($old) = $nginx->worker_pids;

ok($nginx->reload, 'reload');
isnt(($nginx->worker_pids)[0], $old, 'a new worker');

finish();
