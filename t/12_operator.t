# What the operator says about reading and storing: opt_in, bypass, no_store,
# and llm_cache off.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => <<'END', server => <<'END2');
    llm_cache on;
    llm_cache_bypass $http_x_bypass $arg_bypass;
    llm_cache_no_store $http_x_no_store $arg_no_store;
END
    location /asked/ {
        llm_cache opt_in;
        proxy_pass http://llm;
    }
    location /headers/ {
        llm_cache opt_in;
        llm_cache_controls header;
        proxy_pass http://llm;
    }
    location /neither/ {
        llm_cache opt_in;
        llm_cache_controls off;
        proxy_pass http://llm;
    }
    location /off/ {
        proxy_pass http://llm;
    }
END2

sub reason { my ($response) = @_; return $nginx->logged($response)->{reason} }

# bypass does not read, but stores

sub ask {
    my ($prompt, $headers, $query) = @_;

    return $nginx->post(chat_uri() . ($query // ''), chat($prompt),
        headers => $headers);
}

my $first = ask('a');
my $second = ask('a', { 'X-Bypass' => '1' });

is_bypass($second, 'bypass');
is(reason($second), 'operator', 'bypass: reason');
like($second->header('Cache-Status'), qr/; fwd=bypass/,
    'bypass: Cache-Status');
is_hit(ask('a'), $second, 'bypass stores');
is_hit(ask('a', { 'X-Bypass' => $_ }), $second, "bypass '$_'") for '', '0';

ask('b', {}, '?bypass=yes');
is_bypass(ask('b', {}, '?bypass=yes'), 'bypass by its second string');

# no_store may read, but does not store

$first = ask('c', { 'X-No-Store' => '1' });
is_miss($first, 'no_store');
is(reason($first), 'operator_no_store', 'no_store: reason');
$first = ask('c');
is_miss($first, 'no_store did not store');
is_hit(ask('c', { 'X-No-Store' => '1' }), $first, 'no_store reads');
is_hit(ask('c', { 'X-No-Store' => '0' }), $first, "no_store '0'");
is_bypass(ask('c', { 'X-No-Store' => '1', 'X-Bypass' => '1' }),
    'bypass and no_store');
is_hit(ask('c'), $first, 'bypass and no_store: the old one stays');

# opt_in

sub asked {
    my ($prefix, $prompt, $headers, %body) = @_;

    return $nginx->post($prefix . chat_uri(), chat($prompt, %body),
        headers => $headers);
}

$first = asked('/asked', 'd', {});
is_bypass($first, 'opt_in, not asked');
is(reason($first), 'opt_in', 'opt_in, not asked: reason');
is_miss(asked('/asked', 'd', {}, caching => json_true),
    'opt_in, not asked: not stored');

my %ask = (
    'caching: true' => [{}, caching => json_true],
    'use-cache: true' => [{}, cache => { 'use-cache' => json_true }],
    'X-LLM-Cache: on' => [{ 'X-LLM-Cache' => 'on' }],
);

for my $name (sort keys %ask) {
    my @how = @{$ask{$name}};

    $first = asked('/asked', $name, @how);
    is_miss($first, "opt_in by $name");
    is_hit(asked('/asked', $name, @how), $first, "opt_in by $name");
    is_bypass(asked('/asked', $name, {}),
        "opt_in by $name: only when asked");
}

for my $value ('off', '', 'yes', 'onward') {
    is_bypass(asked('/asked', 'e', { 'X-LLM-Cache' => $value }),
        "opt_in, X-LLM-Cache: '$value'");
}

is_bypass(asked('/asked', 'f', {}, cache => { ttl => 5 }),
    'opt_in, a cache object that does not ask');
is_bypass(asked('/asked', 'f', {}, caching => json_false),
    'opt_in, caching: false');
is_bypass(asked('/asked', 'f', { 'X-LLM-Cache' => 'on' },
    caching => json_false), 'opt_in, asked and declined');

my $body = '{"model":"m","caching":true}';

$nginx->post('/asked' . chat_uri(), $body);
is($mock->last_request->{body}, '{"model":"m"}',
    'opt_in: controls are removed');
$nginx->post('/asked' . chat_uri(), '{"model":"n","cache":{"ttl":1}}');
is($mock->last_request->{body}, '{"model":"n"}',
    'opt_in: controls of who did not ask are removed');

# opt_in where only some controls count

is_bypass(asked('/headers', 'g', {}, caching => json_true),
    'opt_in, body controls off');
is_miss(asked('/headers', 'g', { 'X-LLM-Cache' => 'on' }),
    'opt_in by header, body controls off');
is_bypass(asked('/neither', 'h', { 'X-LLM-Cache' => 'on' },
    caching => json_true), 'opt_in, all controls off');

# X-LLM-Cache asks, it is no part of the key where all is cached

$first = ask('i');
is_hit(ask('i', { 'X-LLM-Cache' => 'on' }), $first, 'X-LLM-Cache: on');

# off: the module is not there

my @off = map { $nginx->post('/off' . chat_uri(),
    '{"model":"off","caching":true}', headers => {
        'Accept-Encoding' => 'gzip', 'X-LLM-Cache' => 'on' }) } 1, 2;

isnt($off[1]->body, $off[0]->body, 'off: nothing is cached');
is_deeply([map { $off[1]->header($_) } 'X-LLM-Cache', 'Cache-Status',
    'X-LLM-Cache-Key', 'Age'], [(undef) x 4], 'off: no headers');
is($mock->last_request->{body}, '{"model":"off","caching":true}',
    'off: the body stays');
is(LLMTest::Mock::request_header($mock->last_request, 'Accept-Encoding'),
    'gzip', 'off: the headers stay');
is_unharmed($off[1], 'off');

my $line = $nginx->logged($off[1]);

is(join('', map { $line->{$_} } qw(status reason key tier age)), '',
    'off: empty variables');

# module loaded, nothing cached anywhere

my $idle = nginx(location => '');

is_unharmed($idle->post(chat_uri(), chat('idle')), 'nothing cached');

finish();
