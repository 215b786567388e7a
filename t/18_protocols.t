# HTTP/1.0, keep-alive, pipelining, HTTP/2; other methods and ranges.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Http2;

my $mock = mock();
my $nginx = nginx(location => 'llm_cache on;');

sub slurp { my ($path) = @_; return LLMTest::Nginx::slurp($path) }

my %stream = (JSON => json_false, stream => json_true);

# HTTP/1.0

for my $how (sort keys %stream) {
    my @request = (chat_uri(), chat("1.0 $how", stream => $stream{$how}),
        version => '1.0', headers => { 'Connection' => 'close' });
    my ($first, $second) = is_cached($nginx, "HTTP/1.0, $how", @request);

    isnt($second->framing, 'chunked', "HTTP/1.0, $how: not chunked");
    is_hit($nginx->post(@request[0, 1]), $first, "HTTP/1.0 and 1.1, $how");

    my $client = $nginx->client;

    $client->send($nginx->request_text(@request[0, 1], version => '1.0',
        headers => { 'Connection' => 'keep-alive' }));

    my $kept = $client->response;

    is($kept->body, $first->body, "HTTP/1.0 keep-alive, $how");
    $client->close;
}

my @chunked = map { $nginx->post(chat_uri(), chat('1.1 first',
    stream => json_true), version => $_) } '1.1', '1.0';

is($chunked[0]->body, $chunked[1]->body, 'HTTP/1.1, then 1.0');
isnt($chunked[1]->framing, 'chunked', 'HTTP/1.1, then 1.0: not chunked');

# keep-alive: misses, hits, refusals and requests left alone on one connection

my $client = $nginx->client;
my @kept;

for my $round (1, 2) {
    for my $request ([chat('kept')], [chat('kept', stream => json_true)],
        ['no JSON'], [chat('other')], [chat('failed'),
        mock => { status => 500 }], [chat('large'), mock => {
        size => 100_000 }])
    {
        $client->send($nginx->request_text(chat_uri(), @$request));
        push @kept, $client->response;
    }
}

$client->close;
is_deeply([map { $_->cache } @kept], [qw(MISS HIT BYPASS MISS MISS MISS
    HIT HIT BYPASS HIT MISS HIT)], 'keep-alive');
is($kept[6]->body, $kept[0]->body, 'keep-alive: JSON hit');
is($kept[7]->body, $kept[1]->body, 'keep-alive: stream hit');
is($kept[11]->body, $kept[5]->body, 'keep-alive: large hit');
is(scalar(grep { $_->complete } @kept), 12, 'keep-alive: all complete');

# pipelining

my @prompts = qw(a b a b c a c kept);

$client = $nginx->client;
$client->send(join '', map { $nginx->request_text(chat_uri(),
    chat($_, $_ eq 'b' ? (stream => json_true) : ())) } @prompts);

my @piped = map { $client->response } @prompts;

is_deeply([map { $_->cache } @piped], [qw(MISS MISS HIT HIT MISS HIT HIT
    HIT)], 'pipelined');
is($piped[2]->body, $piped[0]->body, 'pipelined: the right answers');
is($piped[7]->body, $kept[0]->body, 'pipelined: the right record');
ok($piped[7]->complete, 'pipelined: all complete');

# a hundred hits at once

$client->send(join '', map { $nginx->request_text(chat_uri(),
    chat($_ % 2 ? 'a' : 'large')) } 1 .. 100);
@piped = map { $client->response } 1 .. 100;
is(scalar(grep { ($_->cache // '') eq 'HIT' } @piped), 100,
    'a hundred pipelined hits');
is(scalar(grep { $piped[$_]->body ne ($_ % 2 ? $kept[5] : $piped[0])->body }
    0 .. 99), 0, 'a hundred pipelined hits: the right answers');
$client->close;

# a client that reads slowly, or not at all

is_cached($nginx, 'a big answer', chat_uri(), chat('big'),
    mock => { size => 700_000 });

my @slow = map { my $slow = $nginx->client;
    $slow->send($nginx->request_text(chat_uri(), chat('big'))); $slow } 1 .. 8;

$_->close for splice @slow, 0, 4;
is(length $_->response->json->{choices}[0]{message}{content}, 700_000,
    'a big hit, read late') for @slow;
$_->close for @slow;

# methods

for my $method (qw(GET PUT PATCH DELETE HEAD OPTIONS)) {
    my @answers = map { $nginx->request(chat_uri(), $method eq 'GET'
        || $method eq 'HEAD' ? undef : to_json(chat('method')),
        method => $method) } 1, 2;

    is_deeply([map { $_->status } @answers], [200, 200], "$method: answered");
    is_deeply([map { $_->cache } @answers], ['BYPASS', 'BYPASS'],
        "$method: bypass");
    is($nginx->logged($answers[1])->{reason}, 'method', "$method: reason");
    is($mock->last_request->{method}, $method, "$method: goes upstream");
}

is_bypass($nginx->request(chat_uri(), to_json(chat('method')),
    method => 'GET'), 'GET with a body');
is($mock->last_request->{body}, to_json(chat('method')),
    'GET with a body: it arrives');

my $models = $nginx->get('/v1/models', headers => {
    'Accept-Encoding' => 'gzip' });

is($models->status, 200, 'a list of models');
is(LLMTest::Mock::request_header($mock->last_request, 'Accept-Encoding'),
    'gzip', 'what is left alone keeps its Accept-Encoding');

# ranges and conditions

for my $header (['Range', 'bytes=0-9'], ['Upgrade', 'websocket']) {
    my ($name, $value) = @$header;
    my @answers = map { $nginx->post(chat_uri(), chat("with $name"),
        headers => { $name => $value }) } 1, 2;

    isnt($answers[1]->cache, 'HIT', "$name: no hit");
    is($nginx->logged($answers[1])->{reason}, lc $name, "$name: reason");
}

# Java's HttpClient asks for HTTP/2 so with each request

is_cached($nginx, 'Upgrade: h2c', chat_uri(), chat('with h2c'), headers => {
    'Connection' => 'Upgrade, HTTP2-Settings', 'Upgrade' => 'h2c',
    'HTTP2-Settings' => 'AAMAAABkAARAAAAAAAIAAAAA' });

my $whole = $nginx->post(chat_uri(), chat('whole'));

is_hit($nginx->post(chat_uri(), chat('whole'), headers => { $_->[0] =>
    $_->[1] }), $whole, $_->[0]) for ['If-None-Match', '*'],
    ['If-Modified-Since', 'Fri, 01 Jan 2100 00:00:00 GMT'];

my $ranged = $nginx->post(chat_uri(), chat('whole'),
    headers => { 'Range' => 'bytes=0-9' });

is($ranged->status, 200, 'a range of what is cached: status');
isnt($ranged->cache, 'HIT', 'a range of what is cached: fetched');

# HTTP/2

my $two = nginx(listen => 'http2', location => 'llm_cache on;');
my $directory = $two->prefix;
my $url = 'http://127.0.0.1:' . $two->port;

sub curl {
    my ($body, $uri, @more) = @_;

    return curl_to($url, '--http2-prior-knowledge', $body, $uri, @more);
}

sub curl_to {
    my ($url, $protocol, $body, $uri, @more) = @_;

    open my $file, '>', "$directory/request" or die "$!\n";
    print $file $body;
    close $file;
    unlink "$directory/head", "$directory/body";

    my @command = ('curl', '-s', '-k', $protocol, '-m', '20',
        '-D', "$directory/head", '-o', "$directory/body", '-w',
        '%{http_version} %{http_code}', '-H',
        'Content-Type: application/json', '-H', 'Expect:', '-H',
        'Host: localhost',
        (@more ? @more : ('--data-binary', "\@$directory/request")),
        "$url$uri");

    open my $pipe, '-|', @command or die "curl: $!\n";
    my $said = <$pipe>;
    close $pipe;

    my %head = map { /^([^:]+): (.*?)\r?$/ ? (lc $1, $2) : () }
        split /\n/, slurp("$directory/head");

    return { said => $said, head => \%head,
        body => slurp("$directory/body") };
}

for my $how (sort keys %stream) {
    my $body = to_json(chat("2 $how", stream => $stream{$how}));
    my @answers = map { curl($body, chat_uri()) } 1, 2;

    is_deeply([map { $_->{said} } @answers], ['2 200', '2 200'],
        "HTTP/2, $how: answered");
    is_deeply([map { $_->{head}{'x-llm-cache'} } @answers], ['MISS', 'HIT'],
        "HTTP/2, $how: hit");
    is($answers[1]{body}, $answers[0]{body}, "HTTP/2, $how: the same bytes");
}

my $large = to_json(chat('x' x 300_000));
my @large = map { curl($large, chat_uri()) } 1, 2;

is($large[1]{head}{'x-llm-cache'}, 'HIT', 'HTTP/2, a large request');
is($mock->last_request->{body}, $large, 'HTTP/2, a large request arrives');

my @upload = map { curl($large, chat_uri(), '-X', 'POST', '-T',
    "$directory/request", '-H', 'Content-Length:') } 1, 2;

is($upload[1]{head}{'x-llm-cache'}, 'HIT', 'HTTP/2, no length given');
is($upload[1]{body}, $large[0]{body}, 'HTTP/2, no length given: bytes');

my $odd = curl('{"model":', chat_uri());

is($odd->{head}{'x-llm-cache'}, 'BYPASS', 'HTTP/2, no JSON');
is($mock->last_request->{body}, '{"model":', 'HTTP/2, no JSON arrives');

# many streams of one connection

my $connection = LLMTest::Http2->new($two->port);
my $first = curl(to_json(chat('many')), chat_uri());
my @streams = map { $connection->request(chat_uri(), to_json(chat('many'))) }
    1 .. 100;
my @bodies = $connection->bodies(@streams);

is(scalar(grep { ($_ // '') eq $first->{body} } @bodies), 100,
    'HTTP/2, many hits at once');

@streams = map { $connection->request(chat_uri(), to_json(chat("mixed "
    . $_ % 10, stream => $_ % 3 ? json_true : json_false))) } 1 .. 60;
@bodies = $connection->bodies(@streams);
is(scalar(grep { ($bodies[$_ - 1] // '') =~ ($_ % 3 ? qr/\[DONE\]\n\n\z/
    : qr/^\{.*\}\z/s) } 1 .. 60), 60, 'HTTP/2, hits and misses at once');

# bodies that come in pieces, out of turn

my @pieces = unpack '(a9)*', to_json(chat('many'));

@streams = map { $connection->open_stream(chat_uri()) } 1 .. 5;

for my $at (0 .. $#pieces) {
    $connection->send_body($_, $pieces[$at], $at < $#pieces) for @streams;
}

@bodies = $connection->bodies(@streams);
is(scalar(grep { ($_ // '') eq $first->{body} } @bodies), 5,
    'HTTP/2, requests in pieces');
$connection->close;

# a narrow window: the hit waits, others go on

my $big = curl(to_json(chat('wide')), chat_uri(), '-H',
    'X-Mock: {"size":100000}', '--data-binary', "\@$directory/request");
my $narrow = LLMTest::Http2->new($two->port, window => 100);
my ($waiting, $other, $dropped) = map { $narrow->request(chat_uri(),
    to_json(chat('wide'))) } 1 .. 3;

ok($narrow->read_until(sub { !grep { $narrow->received($_) < 100 }
    $waiting, $other, $dropped }), 'HTTP/2, a narrow window: it is filled');
$narrow->grant($other, 1 << 20);
is(($narrow->bodies($other))[0], $big->{body},
    'HTTP/2, a narrow window: another stream goes on');
$narrow->reset_stream($dropped);
is($narrow->received($waiting), 100, 'HTTP/2, a narrow window: it waits');

for my $step (1 .. 50) {
    $narrow->grant($waiting, 997);
    $narrow->read_until(sub {
        $narrow->received($waiting) == 100 + 997 * $step });
}

is($narrow->received($waiting), 100 + 997 * 50,
    'HTTP/2, a narrow window: as it is opened');
$narrow->grant($waiting, 1 << 20);
is(($narrow->bodies($waiting))[0], $big->{body},
    'HTTP/2, a narrow window: the same bytes in the end');
$narrow->close;

# TLS

system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    . " -subj /CN=localhost -days 2 -keyout $directory/key.pem"
    . " -out $directory/cert.pem 2>/dev/null") == 0
    or die "openssl could not make a certificate\n";

my $tls = nginx(listen => 'ssl http2', location => 'llm_cache on;',
    server => "ssl_certificate $directory/cert.pem;"
    . "ssl_certificate_key $directory/key.pem;");
my $secure = 'https://127.0.0.1:' . $tls->port;

for my $protocol ('--http1.1', '--http2') {
    for my $size (10, 200_000) {
        my @answers = map { curl_to($secure, $protocol,
            to_json(chat("$protocol $size")), chat_uri(), '-H',
            "X-Mock: {\"size\":$size}", '--data-binary',
            "\@$directory/request") } 1, 2;

        is($answers[1]{head}{'x-llm-cache'}, 'HIT',
            "TLS, $protocol, $size bytes: hit");
        is($answers[1]{body}, $answers[0]{body},
            "TLS, $protocol, $size bytes: the same bytes");
    }
}

# who shows a certificate is known by it

for my $name ('red', 'blue') {
    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256"
        . " -nodes -subj /CN=$name -days 2 -keyout $directory/$name.key"
        . " -out $directory/$name.pem 2>/dev/null") == 0
        or die "openssl could not make a certificate\n";
}

my $mutual = nginx(listen => 'ssl http2', location => 'llm_cache on;',
    server => "ssl_certificate $directory/cert.pem;"
    . "ssl_certificate_key $directory/key.pem;"
    . 'ssl_verify_client optional_no_ca;');

sub certified {
    my ($protocol, $name) = @_;

    return curl_to('https://127.0.0.1:' . $mutual->port, $protocol,
        to_json(chat('certified')), chat_uri(), '--data-binary',
        "\@$directory/request", $name ? ('--cert', "$directory/$name.pem",
        '--key', "$directory/$name.key") : ());
}

my @certified = map { certified(@$_) } ['--http1.1', 'red'],
    ['--http1.1', 'blue'], ['--http1.1'], ['--http2', 'red'],
    ['--http2', 'blue'], ['--http2'];

is_deeply([map { $_->{head}{'x-llm-cache'} } @certified],
    [qw(MISS MISS MISS HIT HIT HIT)], "clients' certificates are credentials");
is($certified[$_ + 3]{body}, $certified[$_]{body},
    "clients' certificates: the same bytes") for 0 .. 2;

finish();
