# Cache-Control of the client: it may tighten what the operator set.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;', server => <<'END');
    location /off/ {
        llm_cache on;
        llm_cache_controls off;
        proxy_pass http://llm;
    }
    location /body/ {
        llm_cache on;
        llm_cache_controls body;
        proxy_pass http://llm;
    }
    location /header/ {
        llm_cache on;
        llm_cache_controls header;
        proxy_pass http://llm;
    }
END

sub ask {
    my ($prompt, $control, %option) = @_;

    return $nginx->post(($option{prefix} // '') . chat_uri(), chat($prompt),
        headers => { 'Cache-Control' => $control });
}

sub reason { my ($response) = @_; return $nginx->logged($response)->{reason} }

# no-cache does not read, but stores

my $first = ask('a');
my $second = ask('a', 'no-cache');
my $third = ask('a');

is_miss($first, 'first');
is_bypass($second, 'no-cache');
is(reason($second), 'client', 'no-cache: reason');
like($second->header('Cache-Status'), qr/; fwd=request/,
    'no-cache: Cache-Status');
isnt($second->body, $first->body, 'no-cache: a fresh answer');
is_hit($third, $second, 'no-cache: the fresh answer is stored');

# no-store may read, but does not store

$first = ask('b', 'no-store');
$second = ask('b');
$third = ask('b', 'no-store');

is_miss($first, 'no-store');
is(reason($first), 'client_no_store', 'no-store: reason');
unlike($first->header('Cache-Status'), qr/stored(?!=\?0)/,
    'no-store: Cache-Status');
is_miss($second, 'no-store: nothing was stored');
is_hit($third, $second, 'no-store: may read');

# both

ask('c');
$first = ask('c', 'no-cache, no-store');
is_bypass($first, 'no-cache, no-store');
isnt(ask('c')->body, $first->body, 'no-cache, no-store: keeps the old one');

# however they are written

for my $value ('No-Cache', ' no-cache ', 'max-age=60, no-cache',
    'no-cache="x"', 'no-transform,no-cache', ['max-age=60', 'no-cache'],
    'x="no-store", no-cache')
{
    my $name = ref $value ? join ' and ', @$value : $value;

    ask("d $name");
    is_bypass(ask("d $name", $value), $name);
}

for my $value ('x-no-cache', 'no-cache-please', 'x="no-cache"', 'public', '',
    ',', '=', '"', 'max-age=60', 'max-age="60"')
{
    $first = ask("e $value");
    is_hit(ask("e $value", $value), $first, "'$value'");
}

# max-age

$first = ask('f');
is_hit(ask('f', 'max-age=60'), $first, 'max-age=60');
$second = ask('f', 'max-age=0');
isnt($second->cache, 'HIT', 'max-age=0: not from the cache');
isnt($second->body, $first->body, 'max-age=0: fetched');
is_hit(ask('f'), $second, 'max-age=0: stored');
isnt(ask('f', 'max-age=nonsense')->cache, 'HIT',
    'a max-age that is none is taken for the strictest');

# only-if-cached

my $answer;

is(calls(sub { $answer = ask('g', 'only-if-cached') }), 0,
    'only-if-cached: no call');
is($answer->status, 504, 'only-if-cached: 504');
like($answer->header('Cache-Status'), qr/detail="?only-if-cached"?/,
    'only-if-cached: Cache-Status');
unlike($answer->header('Cache-Status'), qr/\bfwd\b/,
    'only-if-cached: not forwarded');
$first = ask('g');
is_hit(ask('g', 'only-if-cached'), $first, 'only-if-cached: hit');
is(calls(sub { $answer = ask('g', 'only-if-cached, no-cache') }), 0,
    'only-if-cached, no-cache: no call');
is($answer->status, 504, 'only-if-cached, no-cache: 504');
is_hit(ask('g'), $first, 'only-if-cached, no-cache: the record stays');

my $keep = $nginx->client;

$keep->send(map { $nginx->request_text(chat_uri(), chat("h $_"),
    headers => { 'Cache-Control' => 'only-if-cached' }) } 1, 2);
is_deeply([map { $keep->response->status } 1, 2], [504, 504],
    'only-if-cached: the connection is kept');
$keep->close;

# the header reaches the provider

ask('i', 'no-cache, x=1');
is(LLMTest::Mock::request_header($mock->last_request, 'Cache-Control'),
    'no-cache, x=1', 'the header goes upstream');

# where header controls do not count

for my $prefix ('/off', '/body') {
    $first = ask("j $prefix", 'no-store', prefix => $prefix);
    is_hit(ask("j $prefix", $_, prefix => $prefix), $first, "$prefix: $_")
        for 'no-cache', 'max-age=0', 'no-store';
    is(ask("k $prefix", 'only-if-cached', prefix => $prefix)->status, 200,
        "$prefix: only-if-cached");
}

ask('l', undef, prefix => '/header');
is_bypass(ask('l', 'no-cache', prefix => '/header'), '/header: no-cache');

# Pragma is no control; Cohere's SDK sends no-cache with every stream

$first = ask('m');
is_hit($nginx->post(chat_uri(), chat('m'),
    headers => { 'Pragma' => 'no-cache' }), $first, 'Pragma');

for my $stream (json_false, json_true) {
    is_cached($nginx, 'Cohere' . ($stream ? ', streamed' : ''), '/v2/chat',
        dialect('cohere chat')->{body}->("cohere $stream",
        stream => $stream),
        headers => { 'Cache-Control' => 'no-cache',
            'Pragma' => 'no-cache' });
}

# a client cannot ask for more than the operator gives

my $short = nginx(location => 'llm_cache on; llm_cache_valid 1s;');

$first = $short->post(chat_uri(), chat('n'));
pause(2.2);
$second = $short->post(chat_uri(), chat('n'),
    headers => { 'Cache-Control' => 'max-age=3600, max-stale=3600' });
isnt($second->cache, 'HIT', 'max-age does not lengthen a life');

finish();
