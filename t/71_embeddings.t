# llm_cache_embeddings: a call for several inputs pays for what is new.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Embeddings;

my $mock = mock();

my $nginx = nginx(http => 'llm_cache_zone zone=a:16m;'
    . 'llm_cache_zone zone=packed:16m compress=on;', server => <<'END');
    llm_cache on zone=a;
    location /whole/ {
        llm_cache_embeddings whole;
        proxy_pass http://llm/;
    }
    location /key/ {
        llm_cache_key $llm_request_model;
        proxy_pass http://llm/;
    }
    location /variants/ {
        llm_cache_variants 2;
        proxy_pass http://llm/;
    }
    location /mark/ {
        llm_cache_mark on;
        proxy_pass http://llm/;
    }
    location /quiet/ {
        llm_cache_headers off;
        proxy_pass http://llm/;
    }
    location /ignore/ {
        llm_cache_key_ignore input extra;
        proxy_pass http://llm/;
    }
    location /packed/ {
        llm_cache on zone=packed;
        proxy_pass http://llm/;
    }
    location /gzip/ {
        gzip on;
        gzip_types application/json;
        gzip_min_length 1;
        proxy_pass http://llm/;
    }
    location /head/ {
        expires 60;
        proxy_pass_header Date;
        proxy_pass_header Server;
        proxy_pass http://llm/;
    }
    location /file/ {
        client_body_in_file_only clean;
        proxy_pass http://llm/;
    }
    location ~ ^/captured/(.*)$ {
        proxy_pass http://llm/$1;
    }
    location /body/ {
        set $size $content_length;
        proxy_set_body $request_body;
        proxy_set_header X-Size $size;
        proxy_pass http://llm/;
    }
END

my %seen;

# what the mock says of each text, asked for alone and past the cache

sub alone {
    my ($api, $text, %option) = @_;

    my $key = to_json([$api, $text, $option{body} // {},
        $option{embed} // {}]);

    $seen{$key} //= do {
        my $answer = $nginx->post(embed_call($api, [$text], %option,
            headers => { 'Cache-Control' => 'no-store, no-cache' }));

        (embed_vectors($answer->json))[0];
    };

    return $seen{$key};
}

# a call, what it is answered, and what the mock is asked for

sub asks {
    my ($name, $api, $inputs, $status, $asked, %option) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @expected = map { alone($api, $_, %option) }
        ref $inputs ? @$inputs : $inputs;
    my $before = $mock->count;
    my $answer = $nginx->post(embed_call($api, $inputs, %option));
    my @requests = $mock->requests($before);

    is($answer->status, 200, "$name: status");
    is($answer->cache, $status, "$name: $status");
    is_deeply([map { embed_asked($_) } @requests], $asked,
        "$name: what is asked for");
    is_deeply([embed_vectors($answer->json)], \@expected,
        "$name: the vectors");
    is_deeply([embed_indexes($answer->json)], [0 .. $#expected],
        "$name: the indexes") if $api eq 'openai';

    return ($answer, @requests);
}

sub saved { return $_[0]->header('X-LLM-Cache-Saved-Tokens') }

sub bytes { my ($answer) = @_; my $body = $answer->body;
    return $body =~ s/"(?:id|total_duration)":[^,]*,//gr }


# each API: nothing there, all there, some there, duplicates

for my $api (embed_apis()) {
    my ($first) = asks("$api, new", $api, ['one', 'two', 'six'],
        'MISS', ['one', 'two', 'six']);
    my ($again) = asks("$api, again", $api, ['one', 'two', 'six'],
        'HIT', []);

    is($again->body, $first->body, "$api, again: the same bytes");
    is(saved($first), undef, "$api, new: nothing saved");
    is(saved($again), $api eq 'gemini' ? undef : 3, "$api, again: saved");

    asks("$api, one of them", $api, ['two'], 'HIT', []);
    asks("$api, backwards", $api, ['six', 'one'], 'HIT', []);

    my ($partial, $request) = asks("$api, some", $api,
        ['ten', 'six', 'few', 'ten', 'one', 'six'], 'PARTIAL',
        ['ten', 'few']);

    like($partial->header('Cache-Status'), qr/^llm-cache; fwd=partial;/,
        "$api, some: Cache-Status");
    is($partial->header('X-Request-Id'),
        sprintf('req_%08d', $mock->count), "$api, some: the provider's head");
    is($request->{length}, LLMTest::Mock::request_header($request,
        'content-length'), "$api, some: the length of the body");
    is(scalar(() = LLMTest::Mock::request_header($request,
        'content-length')), 1, "$api, some: told once");
    is(LLMTest::Mock::request_header($request, 'authorization'),
        $api eq 'gemini' ? undef : 'Bearer sk-test',
        "$api, some: the client's headers");

    # as billed for all of it: one token for each word

    if ($api ne 'gemini') {
        is(embed_billed($partial->json), 6, "$api, some: usage of all");
        is(saved($partial), 4, "$api, some: what was saved");
        is_deeply([@{$nginx->logged($partial)}{qw(prompt_tokens
            saved_tokens)}], [6, 4], "$api, some: logged");
    }

    my ($all) = asks("$api, then", $api,
        ['ten', 'six', 'few', 'ten', 'one', 'six'], 'HIT', []);

    is(bytes($all), bytes($partial), "$api, then: the same bytes");

    asks("$api, duplicates only", $api, ["d $api", "d $api", "e $api"],
        'MISS', ["d $api", "e $api"]);
}


# a text, and a list of it; tokens

sub raw {
    my ($input, %option) = @_;

    return $nginx->post(embed_call('openai', $input, raw => 1, %option));
}

my $alone = raw('a text');

is($alone->cache, 'MISS', 'a string');
is(raw(['a text'])->body, $alone->body, 'a list of it');
is(raw(["a\\u0020text"])->cache, 'MISS', 'another text');
is($nginx->post('/v1/embeddings', '{"model":"text-embedding-3-small",'
    . '"input":"\u0061 text"}', mock => { embed => {} })->body, $alone->body,
    'however it is spelled');
is(raw(['a text', 'another'])->cache, 'PARTIAL', 'in a batch');

my $tokens = raw([1, 2, 3]);

is($tokens->cache, 'MISS', 'tokens');
is(raw([[1, 2, 3]])->body, $tokens->body, 'a list of them');
is($nginx->post('/v1/embeddings', '{"model":"text-embedding-3-small",'
    . '"input":[[1.0,2e0,3]]}', mock => { embed => {} })->cache, 'HIT',
    'numbers are numbers');
is(raw('1 2 3')->cache, 'MISS', 'tokens are no text');

my $lists = raw([[4], [1, 2, 3], [5, 6]]);

is($lists->cache, 'PARTIAL', 'lists of tokens');
is_deeply(from_json($mock->last_request->{body})->{input}, [[4], [5, 6]],
    'lists of tokens: what is asked for');
is(embed_billed($lists->json), 6, 'lists of tokens: usage');
is(saved($lists), 3, 'lists of tokens: saved');
is(embed_billed(raw([5, 6])->json), 2, 'the tokens of one of them');


# all other fields are part of it, and encodings are kept apart

raw(['k']);

for my $case ([dimensions => 3], [encoding_format => 'base64'],
    [encoding_format => 'float'], [model => 'other'], [extra => 1])
{
    is(raw(['k', "k @$case"], body => { @$case })->cache, 'MISS',
        "another $case->[0]");
    is(raw(["k @$case", 'k'], body => { @$case })->cache, 'HIT',
        "the same $case->[0]");
}

is(raw(['k', 'l'], body => { user => 'me' })->cache, 'PARTIAL',
    'but for fields that do not count');
is(raw(['k', 'l'], headers => { Authorization => 'Bearer other' })->cache,
    'MISS', 'another caller');

my $base64 = raw(['k', 'base64'], body => { encoding_format => 'base64' });

is($base64->cache, 'PARTIAL', 'base64');
is_deeply([map { length } map { $_->{embedding} } @{$base64->json->{data}}],
    [32, 32], 'base64: strings');


# what is not by input

for my $place ('/whole', '/key', '/variants') {
    asks("$place, first", 'openai', ['p', 'q'], 'MISS', ['p', 'q'],
        prefix => $place);

    my $second = $nginx->post(embed_call('openai', ['q'],
        prefix => $place));

    is($second->cache, $place eq '/key' ? 'HIT' : 'MISS',
        "$place: not by input");
}

for my $input ([], ['a', 1], ['a', ['b']], [[]], [[1], 'a'], [1, 'a'],
    [{ text => 'a' }], { text => 'a' }, [json_true, json_true], 5,
    [undef, undef], [map { "$_" } 1 .. 2049])
{
    my $name = substr to_json($input), 0, 40;
    my @answers = map { raw($input) } 1, 2;

    is($answers[0]->cache, 'MISS', "$name: first");
    is(embed_asked($mock->last_request), ref $input eq 'ARRAY' ? @$input : 1,
        "$name: as it was sent") if ref $input eq 'ARRAY';
    is(saved($answers[1]), undef, "$name: whole");
}

# Jina's: the vectors of a list depend on all of it

my @late = (body => { late_chunking => json_true });

asks('late chunking', 'openai', ['s', 't'], 'MISS', ['s', 't'], @late);
asks('late chunking: another list', 'openai', ['t', 'u'], 'MISS', ['t', 'u'],
    @late);
is(raw(['s', 't'], @late)->cache, 'HIT', 'late chunking: the same list');
is(raw(['s'], @late)->cache, 'MISS', 'late chunking: one of it');

my @early = (body => { late_chunking => json_false });

raw(['s', 't'], @early);
is(raw(['t', 'v'], @early)->cache, 'PARTIAL', 'late chunking: false');

my @images = ({ images => ['data:x'] }, { inputs => [{ content => [] }] });

for my $more (@images) {
    $nginx->post(embed_call('cohere', ['i', 'j'], body => $more));
    is($nginx->post(embed_call('cohere', ['i'], body => $more))->cache,
        'MISS', 'Cohere: ' . join ' ', keys %$more);
}

is(raw(['x'], prefix => '/ignore')->cache, 'MISS', 'input is ignored');
is(raw(['y'], prefix => '/ignore')->cache, 'HIT', 'as was asked for');


# the client's controls

my @c = ('c one', 'c two');

is(raw(\@c, headers => { 'Cache-Control' => 'only-if-cached' })->status, 504,
    'only-if-cached: nothing');
raw(['c one']);
is(raw(\@c, headers => { 'Cache-Control' => 'only-if-cached' })->status, 504,
    'only-if-cached: some');
is(raw(\@c, headers => { 'Cache-Control' => 'no-store' })->cache, 'PARTIAL',
    'no-store: reads');
is(raw(\@c, headers => { 'Cache-Control' => 'only-if-cached' })->status, 504,
    'no-store: stores nothing');
is(raw(\@c)->cache, 'PARTIAL', 'the rest');
is(raw(\@c, headers => { 'Cache-Control' => 'only-if-cached' })->cache,
    'HIT', 'only-if-cached: all');

my $fresh = raw(\@c, headers => { 'Cache-Control' => 'no-cache' });

is($fresh->cache, 'BYPASS', 'no-cache');
like($fresh->header('Cache-Status'), qr/fwd=request/, 'no-cache: why');
is(raw(['c two'])->header('X-Request-Id'), $fresh->header('X-Request-Id'),
    'no-cache: stored anew');
is(raw(['c three', 'c four'], body => { cache => { 'no-store' => json_true }
    })->cache, 'MISS', 'no-store in the body');
is(raw(['c three', 'c four'])->cache, 'MISS', 'nothing was stored');
is_deeply([sort keys %{from_json($mock->last_request->{body})}],
    ['input', 'model'], 'no controls go upstream');

my $stripped = raw(['c four', 'c five'], body => { cache => { ttl => 1 } });

is($stripped->cache, 'PARTIAL', 'a lifetime');
is_deeply([sort keys %{from_json($mock->last_request->{body})}],
    ['input', 'model'], 'a lifetime: no controls go upstream either');
pause(2.1);
is(raw(['c four', 'c five'])->cache, 'PARTIAL', 'it is over');
is_deeply([embed_asked($mock->last_request)], ['c five'],
    'of one of them');
is(raw(\@c, headers => { 'Cache-Control' => 'max-age=1' })->cache, 'MISS',
    'max-age: both are too old');
is(raw(\@c, headers => { 'Cache-Control' => 'max-age=100' })->cache, 'HIT',
    'max-age: both are not');


# around it

my @mark = map { raw(['m one', 'm two'], prefix => '/mark') } 1, 2;

unlike($mark[0]->body, qr/"cache"/, 'a miss is not marked');
is($mark[1]->cache, 'HIT', 'a hit');
is($mark[1]->body, $mark[0]->body =~ s/\}$/,"cache":true}/r,
    'a hit is marked');
unlike(raw(['m one', 'm three'], prefix => '/mark')->body, qr/"cache"/,
    'a partial hit is not');

raw(['h one', 'h two'], prefix => '/quiet');

my $quiet = raw(['h one', 'h three'], prefix => '/quiet');

is_deeply([map { $quiet->header($_) } 'X-LLM-Cache', 'Cache-Status',
    'X-LLM-Cache-Saved-Tokens', 'X-LLM-Cache-Key'], [(undef) x 4],
    'no headers of ours');
is($nginx->logged($quiet)->{status}, 'PARTIAL', 'but a status');

for my $place ('/file', '/captured', '/body') {
    asks("$place, first", 'openai', ["$place 1", "$place 2"], 'MISS',
        ["$place 1", "$place 2"], prefix => $place);
    asks("$place, more", 'openai', ["$place 3", "$place 2"], 'PARTIAL',
        ["$place 3"], prefix => $place);
}

my $chunked = $nginx->post(embed_call('openai', ['/file 2', 'chunked'],
    prefix => '/file'), chunked => 10);

is($chunked->cache, 'PARTIAL', 'a chunked request');
is($mock->last_request->{length}, LLMTest::Mock::request_header(
    $mock->last_request, 'content-length'), 'a chunked request: its length');

# an upstream that would compress; and nginx, which does

my $zipped = raw(['z one', 'z two'], prefix => '/gzip', headers =>
    { 'Accept-Encoding' => 'gzip' }, mock => { gzip => 'accept' });
my $more = raw(['z one', 'z three'], prefix => '/gzip', headers =>
    { 'Accept-Encoding' => 'gzip' }, mock => { gzip => 'accept' });

is($more->cache, 'PARTIAL', 'gzip');
is($more->header('Content-Encoding'), 'gzip', 'gzip: by nginx');
is(LLMTest::Mock::request_header($mock->last_request, 'accept-encoding'),
    'identity', 'gzip: not by the provider');


# headers that nginx would send too, and those that "expires" sets: as with all
# new, each once, but for what tells of one exchange

my @ONCE = qw(Date Server Expires Cache-Control Link);

sub told_once {
    my ($answer) = @_;

    return [map { [$_, scalar(my @all = $answer->header_all($_))] } @ONCE];
}

my %limits = (prefix => '/head', mock => { headers => [['Link', '</a>'],
    ['Expires', 'Thu, 01 Jan 2099 00:00:01 GMT'],
    ['Cache-Control', 'public'], ['Cache-Control', 'max-age=500']] });
my $all_new = raw(['head one', 'head two'], %limits);
my $some_new = raw(['head one', 'head three'], %limits);

is($some_new->cache, 'PARTIAL', 'headers: some are new');
is_deeply(told_once($some_new), told_once($all_new), 'headers: as many');
is_deeply(told_once($some_new), [map { [$_, 1] } @ONCE], 'headers: each once');
is($some_new->header($_), $all_new->header($_), "headers: $_")
    for qw(Date Server Cache-Control Link);


# packed in the zone

my @long = map { "packed $_" } 1 .. 5;
my %dim = (dim => 400);

asks('packed, first', 'openai', \@long, 'MISS', \@long, embed => \%dim,
    prefix => '/packed');
ok($nginx->wait_until(sub { ($nginx->post(embed_call('openai', [$long[4]],
    embed => \%dim, prefix => '/packed', headers =>
    { 'Accept-Encoding' => 'gzip' }))->header('Content-Encoding') // '')
    eq 'gzip' }), 'packed: packed');
asks('packed, all', 'openai', [reverse @long], 'HIT', [], embed => \%dim,
    prefix => '/packed');
asks('packed, some', 'openai', ['packed 6', @long], 'PARTIAL', ['packed 6'],
    embed => \%dim, prefix => '/packed');


# keep-alive goes on after each of these

my $client = $nginx->client;

for my $inputs (['ka 1', 'ka 2'], ['ka 2', 'ka 3'], ['ka 3', 'ka 1'], ['ka 4'])
{
    $client->send($nginx->request_text(embed_call('openai', $inputs)));
    is($client->response->status, 200, "keep-alive: @$inputs");
}

$client->close;

finish();
