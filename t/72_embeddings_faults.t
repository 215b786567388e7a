# llm_cache_embeddings: whatever the upstream says to a part of a call, the
# client gets the answer to all of it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Embeddings;

my $mock = mock();

my $nginx = nginx(http => 'llm_cache_zone zone=a:16m;', server => <<'END');
    llm_cache on zone=a;
    proxy_connect_timeout 1s;
    proxy_intercept_errors on;
    error_page 418 = @teapot;
    location /short/ {
        proxy_read_timeout 300ms;
        proxy_pass http://llm/;
    }
    location /unbuffered/ {
        proxy_buffering off;
        proxy_pass http://llm/;
    }
    location @teapot {
        return 200 "{}";
    }
    location /private/ {
        llm_cache_valid 0;
        proxy_pass http://llm/;
    }
END

my $serial = 0;

sub call { my ($api, $inputs, %option) = @_;
    return $nginx->post(embed_call($api, $inputs, %option)) }

sub only_if_cached {
    my ($api, $inputs, %option) = @_;

    return call($api, $inputs, %option,
        headers => { 'Cache-Control' => 'only-if-cached' })->status == 200;
}

# one input is there; the answer to the other one is odd

sub falls_back {
    my ($name, $api, $odd, %option) = @_;

    my $n = ++$serial;
    my @inputs = ("there $n", "missing $n", "gone $n");

    call($api, [$inputs[0]], %option);

    my $before = $mock->count;

    $mock->next($odd);

    my $answer = call($api, \@inputs, %option);
    my @requests = $mock->requests($before);

    is($answer->status, 200, "$name: an answer");
    is_deeply([map { [embed_asked($_)] } @requests],
        [[@inputs[1, 2]], \@inputs], "$name: a part, then all of it");
    is_deeply([embed_vectors($answer->json)], [embed_vectors(call($api,
        \@inputs, %option, headers => { 'Cache-Control' =>
        'no-cache, no-store' })->json)], "$name: the provider's own");
    is($answer->cache, 'MISS', "$name: a miss");
    is($nginx->logged($answer)->{reason}, 'inputs', "$name: and why");
    is($answer->header('X-LLM-Cache-Saved-Tokens'), undef,
        "$name: nothing saved");
    ok(!only_if_cached($api, [$inputs[$_]], %option),
        "$name: input $_ is not stored") for 1, 2;

    return;
}

my %odd = (
    'too few' => { embed => { drop => 1 } },
    'none' => { embed => { drop => 2 } },
    'too many' => { embed => { more => 1 } },
    'an error' => { status => 500 },
    'a rate limit' => { status => 429 },
    'a refusal' => { status => 400 },
    'an error in a 200' => { error => 1 },
    'no JSON' => { body => 'what?' },
    'half a JSON' => { body => '{"data":[' },
    'another JSON' => { body => '{"a":1}' },
    'nothing' => { body => '' },
    'another type' => { type => 'text/plain' },
    'compressed' => { gzip => 'force' },
    'broken off' => { cut => 40 },
    'broken off, chunked' => { cut => 40, framing => 'chunked' },
    'reset' => { cut => 40, reset => 1 },
    'reset at once' => { cut => 0, reset => 1 },
    'shorter vectors' => { embed => { dim => 3 } },
    'created' => { status => 201 },
    'no content' => { status => 204 },
    'a redirect' => { status => 302, headers => [['Location', '/x']] },
    'an error page' => { status => 418 },
    'a broken chunk' => { framing => 'raw', body =>
        qq(8\r\n{"data":\r\nzz\r\n), headers =>
        [['Transfer-Encoding', 'chunked']] },
);

for my $api (embed_apis()) {
    falls_back("$api, $_", $api, $odd{$_}) for sort keys %odd;
}

my %openai = (
    'no index' => { body => '{"object":"list","data":[{"embedding":[1,2,3,4,5,'
        . '6]},{"embedding":[1,2,3,4,5,6]}],"model":"text-embedding-3-small",'
        . '"usage":{"prompt_tokens":2,"total_tokens":2}}' },
    'one index twice' => { embed => { index => [0, 0] } },
    'an index too high' => { embed => { index => [0, 2] } },
    'indexes of the whole call' => { embed => { index => [1, 2] } },
    'a vector of words' => { body => '{"object":"list","data":[{"index":0,'
        . '"embedding":["a"]},{"index":1,"embedding":["b"]}],"model":'
        . '"text-embedding-3-small","usage":{"prompt_tokens":2,'
        . '"total_tokens":2}}' },
    'a null vector' => { body => '{"object":"list","data":[{"index":0,'
        . '"embedding":[null,1]},{"index":1,"embedding":[1,2]}],"model":'
        . '"text-embedding-3-small","usage":{"prompt_tokens":2,'
        . '"total_tokens":2}}' },
);

falls_back($_, 'openai', $openai{$_}) for sort keys %openai;
falls_back('a broken chunk, unbuffered', 'openai', $odd{'a broken chunk'},
    prefix => '/unbuffered');
falls_back('too slow', 'openai', { delay => 1.5 }, prefix => '/short');

# duplicates of which nothing is there: the same, but not every time

$mock->next({ embed => { drop => 1 } });

my $double = call('openai', ['twice', 'twice', 'once']);

is($double->cache, 'MISS', 'duplicates: a miss');
is($double->status, 200, 'duplicates: an answer');
is(scalar @{$double->json->{data}}, 3, 'duplicates: to all of it');
is(calls(sub { call('openai', ['2 twice', '2 twice', '2 once']) }), 1,
    'duplicates: then as they came');


# vectors of another model are not mixed with those that are there

call('openai', ['old 1', 'old 2']);
call('openai', ['old 3']);

my $before = $mock->count;

$mock->next({ embed => { model => 'text-embedding-4' } },
    { embed => { model => 'text-embedding-4' } });

my $new = $nginx->post('/v1/embeddings', { model => 'text-embedding-3-small',
    input => ['old 1', 'new', 'old 2'] });

is($new->json->{model}, 'text-embedding-4', 'a new model: it is told');
is($mock->count - $before, 2, 'a new model: all of it');
ok(!only_if_cached('openai', [$_]), "a new model: $_ is dropped")
    for 'old 1', 'old 2';
ok(only_if_cached('openai', ['old 3']), 'a new model: what was not asked');

# of what is there the newest counts

pause(1.1);
$nginx->post('/v1/embeddings', { model => 'text-embedding-3-small', input =>
    'newest' }, mock => { embed => { model => 'text-embedding-4' } });

my $mixed = call('openai', ['old 3', 'newest'],
    embed => { model => 'text-embedding-4' });

is($mixed->cache, 'PARTIAL', 'two models: one of them');
is_deeply([embed_asked($mock->last_request)], ['old 3'],
    'two models: the older one is asked for');


# answers that are understood in part only are kept as a whole

for my $usage ({ cost => \'0.01' }, { completion_tokens => \'3' }) {
    my %odd = (mock => { body => '{"object":"list","data":[{"index":0,'
        . '"embedding":[1,2]},{"index":1,"embedding":[3,4]}],"model":"m",'
        . '"usage":{"prompt_tokens":2,"total_tokens":2,"'
        . (keys %$usage)[0] . '":' . ${(values %$usage)[0]} . '}}' });
    my @inputs = ('whole ' . (keys %$usage)[0], 'whole');
    my @answers = map { call('openai', \@inputs, %odd) } 1, 2;

    is($answers[0]->cache, 'MISS', "@inputs: first");
    is($answers[1]->cache, 'HIT', "@inputs: a hit");
    is($answers[1]->body, $answers[0]->body, "@inputs: of all of it");
    ok(!only_if_cached('openai', [$inputs[0]]), "@inputs: not one by one");
}


# of one input no more may be known than that it has tokens

my %total = (mock => { body => '{"embeddings":[{"values":[1,2]}],'
    . '"usageMetadata":{"totalTokenCount":4}}' });

call('gemini', [$_], %total) for 'total 1', 'total 2';

my $total = call('gemini', ['total 1', 'total 2'], mock => { body =>
    '{"embeddings":[{"values":[1,2]},{"values":[1,2]}],'
    . '"usageMetadata":{"totalTokenCount":8}}' });

is($total->json->{usageMetadata}{totalTokenCount}, 8, 'a total of tokens');


# what the upstream does not want to be stored

for my $control ('no-store', 'private') {
    my $n = ++$serial;

    call('openai', ["there $n"]);

    my $answer = call('openai', ["there $n", "secret $n"],
        mock => { headers => [['Cache-Control', $control]] });

    is($answer->cache, 'PARTIAL', "$control: a partial hit");
    is($nginx->logged($answer)->{reason}, "upstream_" . $control =~ tr/-/_/r,
        "$control: why it is not stored");
    ok(!only_if_cached('openai', ["secret $n"]), "$control: not stored");

    call('openai', ["secret $n", "secret too $n"],
        mock => { headers => [['Cache-Control', $control]] });
    ok(!only_if_cached('openai', ["secret $n"]), "$control: nor of a miss");
}

call('openai', ['v 1', 'v 2'], prefix => '/private');
ok(!only_if_cached('openai', ['v 1'], prefix => '/private'), 'no lifetime');


finish();
