# Response headers: what the module adds, and which of the provider's are
# kept with an answer.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;', server => <<'END');
    location /silent/ {
        llm_cache on;
        llm_cache_headers off;
        proxy_pass http://llm;
    }
    location /added/ {
        llm_cache on;
        add_header X-Status $llm_cache_status always;
        add_header X-Reason $llm_cache_reason always;
        expires 5m;
        proxy_pass http://llm;
    }
    location /hidden/ {
        llm_cache on;
        proxy_hide_header X-Custom;
        proxy_pass http://llm;
    }
END

# what is added

my ($first, $second) = map { $nginx->post(chat_uri(), chat('a')) } 1, 2;
my $key = $first->header('X-LLM-Cache-Key');

like($key, qr/^[0-9a-f]{64}$/, 'X-LLM-Cache-Key');
is($second->header('X-LLM-Cache-Key'), $key, 'one key');
is($nginx->logged($second)->{key}, $key, '$llm_cache_key');
isnt($nginx->post(chat_uri(), chat('b'))->header('X-LLM-Cache-Key'), $key,
    'another key');
like($first->header('Cache-Status'), qr/^llm-cache; fwd=uri-miss\b/,
    'Cache-Status of a miss');
like($first->header('Cache-Status'), qr/; key="\Q$key\E"/,
    'Cache-Status of a miss: key');
unlike($first->header('Cache-Status'), qr/; hit|; ttl/,
    'Cache-Status of a miss: no hit');
like($second->header('Cache-Status'),
    qr/^llm-cache; hit; ttl=\d+; key="\Q$key\E"$/, 'Cache-Status of a hit');
is_deeply([map { scalar $second->header_all($_) } 'X-LLM-Cache',
    'Cache-Status', 'Age', 'X-LLM-Cache-Key'], [1, 1, 1, 1],
    'each of them once');

# Cache-Status lists caches from the origin on: a provider's own stays

my ($theirs, $ours) = map { $nginx->post(chat_uri(), chat('edge'),
    mock => { headers => [['Cache-Status', 'edge; hit'], ['Age', '7']] }) }
    1, 2;

is(($theirs->header_all('Cache-Status'))[0], 'edge; hit',
    "the provider's Cache-Status passes");
is(scalar $ours->header_all('Age'), 1, 'one Age on a hit');

# a cache of this kind behind this one: what we say is about us

my @chained = map { $nginx->post(chat_uri(), chat('chained'),
    mock => { headers => [['X-LLM-Cache', 'EXPIRED'],
    ['X-LLM-Cache-Key', 'theirs']] }) } 1, 2;

is_deeply([map { $_->header_all('X-LLM-Cache') } @chained], ['MISS', 'HIT'],
    'one X-LLM-Cache, which is ours');
is(scalar $_->header_all('X-LLM-Cache-Key'), 1, 'one X-LLM-Cache-Key')
    for @chained;

# left alone

my $alone = $nginx->post(chat_uri(), 'no JSON');

is_bypass($alone, 'left alone');
like($alone->header('Cache-Status'), qr/^llm-cache; fwd=bypass/,
    'left alone: Cache-Status');
is($alone->header('X-LLM-Cache-Key'), undef, 'left alone: no key');

# headers off

my @silent = map { $nginx->post('/silent' . chat_uri(), chat('c')) } 1, 2;

is($silent[1]->body, $silent[0]->body, 'headers off: a hit');

for my $name ('X-LLM-Cache', 'Cache-Status', 'X-LLM-Cache-Key', 'Age') {
    is_deeply([map { $_->header($name) } @silent], [undef, undef],
        "headers off: no $name");
}

is($nginx->post('/silent' . chat_uri(), chat('c'), headers => {
    'Cache-Control' => 'no-cache' })->header('Cache-Status'), undef,
    'headers off: none on a bypass');

# nginx's own additions

my @added = map { $nginx->post('/added' . chat_uri(), chat('d')) } 1, 2;

is_deeply([map { $_->header('X-Status') } @added], ['MISS', 'HIT'],
    'add_header on hits');
is($added[1]->header('Cache-Control'), 'max-age=300', 'expires on hits');
is($nginx->post('/added' . chat_uri(), 'no JSON')->header('X-Reason'),
    'json', 'add_header knows the reason');

# what is kept of the provider's headers

my %LOST = map { lc $_ => 1 } 'Set-Cookie', 'x-ratelimit-limit-requests',
    'x-ratelimit-remaining-requests', 'x-ratelimit-reset-requests',
    'anthropic-ratelimit-requests-remaining', 'Retry-After', 'CF-Ray',
    'Strict-Transport-Security', 'alt-svc', 'Keep-Alive', 'Proxy-Connection',
    'Trailer', 'Upgrade', 'WWW-Authenticate', 'ETag', 'Last-Modified',
    'Cache-Control', 'Expires', 'Content-Encoding', 'Refresh', 'Via',
    'X-Accel-Buffering', 'X-Accel-Expires', 'X-Unknown';

my @extra = (['Retry-After', '1'], ['Keep-Alive', 'timeout=5'],
    ['Trailer', 'X-T'], ['ETag', '"x"'], ['Via', '1.1 proxy'],
    ['Last-Modified', 'Mon, 01 Jan 2024 00:00:00 GMT'],
    ['Cache-Control', 'no-cache'], ['X-Unknown', '1'],
    ['Expires', 'Mon, 01 Jan 2024 00:00:00 GMT'],
    ['X-Accel-Buffering', 'no'], ['Set-Cookie', 'session=secret']);

for my $stream (json_false, json_true) {
    my $name = $stream ? 'stream' : 'JSON';
    my @request = (chat_uri(), chat("e $name", stream => $stream),
        mock => { headers => \@extra });
    my ($miss, $hit) = map { $nginx->post(@request) } 1, 2;
    my %seen;

    $seen{lc $_->[0]}++ for @{$hit->headers};

    is($hit->cache, 'HIT', "$name: hit");
    is(join(', ', grep { $LOST{$_} } sort keys %seen), '',
        "$name: what belongs to one call is not replayed");
    is($hit->header('Content-Type'), $miss->header('Content-Type'),
        "$name: Content-Type");
    is(join(', ', grep { $seen{$_} > 1 } sort keys %seen), '',
        "$name: no header twice");
    is($seen{date}, 1, "$name: a date");
    unlike($hit->header('Date'), qr/2024/, "$name: its own date");
    like(join(' ', $miss->header_all('Set-Cookie')), qr/session=secret/,
        "$name: the first caller gets all of them");
    is(scalar $miss->header_all('Set-Cookie'), 3, "$name: all cookies");
    ok(defined $miss->header('x-ratelimit-remaining-requests'),
        "$name: rate limits of the first call");
}

# framing of hits

my ($json, $sse) = map { my $stream = $_; (map { $nginx->post(chat_uri(),
    chat('f', stream => $stream)) } 1, 2)[1] } json_false, json_true;

is($json->framing, 'length', 'a JSON hit has a length');
is($json->header('Content-Length'), length $json->body,
    'a JSON hit: Content-Length');
is($sse->cache, 'HIT', 'a stream hit');
ok($sse->complete, 'a stream hit is framed');

# proxy_hide_header holds for what the first caller gets

is($nginx->post('/hidden' . chat_uri(), chat('g'),
    mock => { headers => [['X-Custom', '1']] })->header('X-Custom'), undef,
    'proxy_hide_header');

# other spellings of a content type

for my $type ('application/json; charset=utf-8', 'APPLICATION/JSON') {
    my @answers = map { $nginx->post(chat_uri(), chat($type),
        mock => { type => $type }) } 1, 2;

    is_hit($answers[1], $answers[0], $type);
    is($answers[1]->header('Content-Type'), $type, "$type: as it came");
}

finish();
