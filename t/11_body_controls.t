# "caching" and "cache" in the body, as LiteLLM's clients send them: obeyed,
# and removed before the request goes upstream.

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
    location /header/ {
        llm_cache on;
        llm_cache_controls header;
        proxy_pass http://llm;
    }
    location /direct/ {
        llm_cache on;
        proxy_request_buffering off;
        proxy_pass http://llm;
    }
    location /file/ {
        llm_cache on;
        client_body_in_file_only clean;
        proxy_pass http://llm;
    }
    location /spill/ {
        llm_cache on;
        client_body_buffer_size 1k;
        proxy_pass http://llm;
    }
    location /disabled/ {
        llm_cache off;
        proxy_pass http://llm;
    }
END

sub ask {
    my ($prompt, %body) = @_;

    return $nginx->post(chat_uri(), chat($prompt, %body));
}

sub reason { my ($response) = @_; return $nginx->logged($response)->{reason} }

# what they do

my $first = ask('a');

is_hit(ask('a', caching => json_true), $first, 'caching: true');
is_hit(ask('a', cache => {}), $first, 'an empty cache');
is_hit(ask('a', cache => { 'use-cache' => json_true }), $first,
    'use-cache: true');
is_hit(ask('a', cache => { 'no-cache' => json_false,
    'no-store' => json_false }), $first, 'no-cache: false');
is_hit(ask('a', cache => { unknown => 1 }), $first, 'an unknown control');
is_hit(ask('a', cache => { ttl => 60 }), $first, 'ttl');
is_hit(ask('a', cache => { 's-maxage' => 60 }), $first, 's-maxage');

my $second = ask('a', caching => json_false);

is_bypass($second, 'caching: false');
is(reason($second), 'client', 'caching: false: reason');
is_hit(ask('a'), $first, 'caching: false does not store');
is_bypass(ask('a', cache => { 'use-cache' => json_false }),
    'use-cache: false');
is_hit(ask('a'), $first, 'use-cache: false does not store');
is_bypass(ask('a', caching => json_false, cache => {
    'use-cache' => json_true }), 'one of both says no');

$second = ask('a', cache => { 'no-cache' => json_true });
is_bypass($second, 'no-cache');
is_hit(ask('a'), $second, 'no-cache stores');

$second = ask('b', cache => { 'no-store' => json_true });
is_miss($second, 'no-store');
is(reason($second), 'client_no_store', 'no-store: reason');
$first = ask('b');
is_miss($first, 'no-store did not store');
is_hit(ask('b', cache => { 'no-store' => json_true }), $first,
    'no-store reads');

$second = ask('b', cache => { 's-maxage' => 0 });
isnt($second->cache, 'HIT', 's-maxage: 0 fetches');
is_hit(ask('b'), $second, 's-maxage: 0 stores');

$second = ask('c', cache => { ttl => 0 });
is_miss($second, 'ttl: 0');
is_miss(ask('c'), 'ttl: 0 stored nothing');

# what the provider gets: [sent, arrives]; more than one where white space
# may go with either comma

my @stripped = (
    ['{"model":"m","caching":true}', '{"model":"m"}'],
    ['{"caching":true,"model":"m"}', '{"model":"m"}'],
    ['{"model":"m","caching":false,"n":1}', '{"model":"m","n":1}'],
    ['{"model":"m", "caching": true, "n": 1}', '{"model":"m", "n": 1}'],
    ['{"cache":{"ttl":5},"model":"m"}', '{"model":"m"}'],
    ['{"cache":{"ttl":5},"caching":true,"model":"m"}', '{"model":"m"}'],
    ['{"model":"m","cache":{},"caching":true}', '{"model":"m"}'],
    ['{"caching":true,"model":"m","cache":{"a":[1,{"b":"}"}]}}',
        '{"model":"m"}'],
    ['{"cache":{"s":"\\"}{"},"model":"m"}', '{"model":"m"}'],
    ['{"c\u0061ching":true,"model":"m"}', '{"model":"m"}'],
    ['{"\u0063\u0061\u0063\u0068\u0065":{},"model":"m"}', '{"model":"m"}'],
    ['{"model":"m","x":{"caching":true,"cache":{}},"cache":{}}',
        '{"model":"m","x":{"caching":true,"cache":{}}}'],
    ['{"model":"a, \"caching\":true, b","caching":true}',
        '{"model":"a, \"caching\":true, b"}'],
    ['{"model":"\\\\","caching":true,"n":1.0e0,"s":"\u0041\/"}',
        '{"model":"\\\\","n":1.0e0,"s":"\u0041\/"}'],
    ["{\r\n  \"model\": \"m\",\r\n  \"caching\": true\r\n}\r\n",
        "{\r\n  \"model\": \"m\"\r\n}\r\n"],
    ["{\n  \"caching\": true,\n  \"model\": \"m\"\n}\n",
        "{\n  \"model\": \"m\"\n}\n", "{\n  \n  \"model\": \"m\"\n}\n"],
    ["{\"model\":\"m\" ,\t\"caching\" : true  ,\n\"n\":1}",
        "{\"model\":\"m\"   ,\n\"n\":1}", "{\"model\":\"m\" ,\t\n\"n\":1}"],
    ["{\"model\":\"caf\xc3\xa9\",\"caching\":true}",
        "{\"model\":\"caf\xc3\xa9\"}"],
);

for my $row (@stripped) {
    my ($sent, @arrives) = @$row;

    for my $prefix ('', '/direct', '/file') {
        my $name = ($sent =~ s/\s/ /gr) . " at '$prefix'";
        my $answer = $nginx->post($prefix . chat_uri(), $sent,
            headers => { 'Authorization' => "Bearer $name" =~ s/\W/_/gr });
        my $request = $mock->last_request;

        is($answer->status, 200, "$name: answered");
        ok((grep { $_ eq $request->{body} } @arrives), "$name: stripped")
            or diag("arrived: $request->{body}");
        is(LLMTest::Mock::request_header($request, 'Content-Length'),
            length $request->{body}, "$name: Content-Length");
    }
}

$nginx->post(chat_uri(), '{"model":"chunked","caching":true}', chunked => 5);
is($mock->last_request->{body}, '{"model":"chunked"}', 'a chunked request');

my $big = to_json(chat('x' x 300_000));
my $controlled = $big =~ s/^\{/{"caching":true,/r
    =~ s/\}$/,"cache":{"ttl":60}}/r;

for my $prefix ('', '/direct', '/file', '/spill') {
    $nginx->post($prefix . chat_uri(), $controlled);
    is($mock->last_request->{body}, $big, "a large request at '$prefix'");
}

# the controls of a request that is not read from the cache go as well

for my $control ('"caching":false', '"cache":{"no-cache":true}',
    '"cache":{"no-store":true}')
{
    $nginx->post(chat_uri(), "{\"model\":\"fetched\",$control}");
    is($mock->last_request->{body}, '{"model":"fetched"}',
        "$control is removed");
}

# no controls: another type, another place, another spelling

my @kept = ('"caching":"true"', '"caching":1', '"caching":null',
    '"caching":{}', '"cache":true', '"cache":"no-cache"', '"cache":null',
    '"cache":[{"no-cache":true}]', '"Caching":true', '"CACHE":{}',
    '"cachin":true', '"caching ":true', '"x":{"caching":false}');

for my $member (@kept) {
    my $body = to_json({ model => "kept $member" }) =~ s/\}$/,$member}/r;
    my $answer = $nginx->post(chat_uri(), $body);

    is($mock->last_request->{body}, $body, "$member stays");
    is_miss($answer, $member);
    is_hit($nginx->post(chat_uri(), $body), $answer, "$member");
}

# null at the top level is as good as absent, other values are fields

$first = $nginx->post(chat_uri(), '{"model":"field","caching":"true"}');
is_miss($nginx->post(chat_uri(), '{"model":"field","caching":"false"}'),
    'a "caching" of another type counts as a field');
$first = $nginx->post(chat_uri(), '{"model":"field","cache":true}');
is_miss($nginx->post(chat_uri(), '{"model":"field"}'),
    'a "cache" of another type counts as a field');

# where body controls are off they are fields like any other

for my $prefix ('/off', '/header') {
    my $body = '{"model":"m","caching":false,"cache":{"no-cache":true}}';

    $first = $nginx->post($prefix . chat_uri(), $body);
    is($mock->last_request->{body}, $body, "$prefix: controls stay");
    is_hit($nginx->post($prefix . chat_uri(), $body), $first, $prefix);
    is_miss($nginx->post($prefix . chat_uri(), '{"model":"m"}'),
        "$prefix: controls count as fields");
    is_miss($nginx->post($prefix . chat_uri(), $body =~ s/false/true/r),
        "$prefix: every value its own");
}

my $body = '{"model":"m","caching":true}';

$nginx->post('/disabled' . chat_uri(), $body);
is($mock->last_request->{body}, $body, 'llm_cache off: controls stay');

# a body that cannot be understood is not touched

for my $odd ('{"caching":true,"caching":true}', '{"caching":true,}',
    '{"caching":true} {"caching":true}', '{"model":"\ud800","caching":true}')
{
    is_bypass($nginx->post(chat_uri(), $odd), $odd);
    is($mock->last_request->{body}, $odd, "$odd: untouched");
}

# lifetimes

my $brief = nginx(location => 'llm_cache on; llm_cache_valid 2s;', server =>
    'location /long/ { llm_cache on; proxy_pass http://llm; }');

sub lived {
    my ($prefix, $name, %cache) = @_;

    return $brief->post($prefix . chat_uri(), chat($name,
        (%cache ? (cache => \%cache) : ())));
}

lived('/long', 'a short ttl', ttl => 1);
lived('', 'a long ttl', ttl => 3600);
my $kept = lived('/long', 'no ttl');
is_hit(lived('/long', 'no ttl', 's-maxage' => 3600), $kept, 's-maxage');
pause(3.2);
is(lived('/long', 'a short ttl')->cache, 'EXPIRED',
    'a ttl shortens the life of what it stores');
is(lived('', 'a long ttl')->cache, 'EXPIRED',
    'a ttl does not lengthen it');
is_hit(lived('/long', 'no ttl'), $kept, 'no ttl: still there');
isnt(lived('/long', 'no ttl', 's-maxage' => 1)->cache, 'HIT',
    's-maxage: too old for this client');

finish();
