# Who shares answers: credentials, scopes and namespaces.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my @NONE = ('Authorization' => undef);

my $nginx = nginx(http => 'map $http_x_tenant $tenant {'
        . 'default $http_x_tenant; word shared; }', no_location => 1,
    server => 'server_name a.test; location / {'
        . 'proxy_pass http://llm; llm_cache on; }',
    servers => join "\n", map { "server { listen 127.0.0.1:%PORT%;"
        . "server_name $_->[0]; location / { proxy_pass http://llm;"
        . "llm_cache on; $_->[1] } $_->[2] }" }
        ['shared.test', 'llm_cache_scope shared;', ''],
        ['tenant.test', 'llm_cache_scope $tenant; llm_cache_namespace one;',
            ''],
        ['keyword.test', 'llm_cache_scope shared; llm_cache_namespace one;',
            ''],
        ['literal.test', 'llm_cache_scope credentialz;'
            . 'llm_cache_namespace one;', ''],
        ['two.test', '', 'location /v1/chat/ { proxy_pass http://llm;'
            . 'llm_cache on; }'],
        ['joined.test', 'llm_cache_namespace joined;', ''],
        ['joint.test', 'llm_cache_namespace joined;', '']);

# a request of one asker at one host

my $prompt = 0;

sub ask {
    my ($host, $headers, %option) = @_;

    return $nginx->post($option{uri} // chat_uri(),
        chat($option{prompt} // "question $prompt"),
        headers => { 'Host' => $host, %$headers });
}

sub apart {
    my ($name, $one, $two, $host) = @_;

    $prompt++;

    my ($first, $second, $again) = map { ask($host // 'a.test', $_) }
        $one, $two, $one;

    is_miss($first, "$name, first");
    is_miss($second, "$name, second");
    is_hit($again, $first, "$name, first again");

    return;
}

sub together {
    my ($name, $one, $two, $host) = @_;

    $prompt++;

    my ($first, $second) = map { ask($host // 'a.test', $_) } $one, $two;

    is_miss($first, $name);
    is_hit($second, $first, $name);

    return;
}

# credentials

for my $header ('Authorization', 'x-api-key', 'api-key', 'x-goog-api-key',
    'Ocp-Apim-Subscription-Key', 'apikey', 'x-litellm-api-key',
    'cf-aig-authorization', 'x-portkey-api-key', 'x-portkey-virtual-key',
    'Helicone-Auth')
{
    apart($header, map { { @NONE, $header => $_ } } 'secret-1', 'secret-2');
    apart("$header or none", { @NONE, $header => 'secret' }, { @NONE });
    apart("$header, a longer one", map { { @NONE, $header => $_ } } 'secret',
        'secret ok');
    apart("$header in other case", map { { @NONE, $header => $_ } } 'secret',
        'Secret');
    together("$header empty or none", { @NONE, $header => '' }, { @NONE });
    together("$header, the same", map { { @NONE, $_ => 'secret' } } $header,
        uc $header);
}

apart('a secret in another header', { @NONE, 'x-api-key' => 'secret' },
    { @NONE, 'api-key' => 'secret' });
apart('one of two secrets', { @NONE, 'x-api-key' => ['a', 'b'] },
    { @NONE, 'x-api-key' => 'a' });
apart('the other of two secrets', { @NONE, 'x-api-key' => ['a', 'b'] },
    { @NONE, 'x-api-key' => 'b' });
apart('secrets in another order', { @NONE, 'x-api-key' => ['a', 'b'] },
    { @NONE, 'x-api-key' => ['b', 'a'] });
apart('secrets glued together', { @NONE, 'x-api-key' => ['a', 'b'] },
    { @NONE, 'x-api-key' => 'a, b' });
apart('two kinds of secrets', { 'x-api-key' => 'a' },
    { 'x-api-key' => 'b' });
together('a cookie is no credential', { 'Cookie' => 'a=1' },
    { 'Cookie' => 'a=2' });

# Gemini's key argument

sub keyed {
    my ($host, @queries) = @_;

    return map { ask($host, { @NONE }, prompt => "keyed at $host",
        uri => chat_uri() . $_) } @queries;
}

my @keyed = keyed('a.test', '?key=one', '?key=two', '?key=one', '');

is_deeply([map { $_->cache } @keyed], [qw(MISS MISS HIT MISS)],
    'the key argument is a credential');

@keyed = keyed('shared.test', '?key=one', '?key=two', '?a=1&key=x&b=2',
    '?a=1&b=2&key=y', '?monkey=a', '?monkey=b');

is_deeply([map { $_->cache } @keyed[0 .. 3]], [qw(MISS HIT MISS HIT)],
    'the key argument is not part of the path');
is_deeply([map { $_->cache } @keyed[4, 5]], [qw(MISS MISS)],
    'another argument that ends in "key" is');

# scopes

together('scope shared', { 'Authorization' => 'Bearer one' },
    { 'Authorization' => 'Bearer two' }, 'shared.test');
together('scope shared, with and without', { 'x-api-key' => 'one' }, { @NONE },
    'shared.test');
together('scope of a variable', { 'X-Tenant' => 'a',
    'Authorization' => 'Bearer one' }, { 'X-Tenant' => 'a',
    'Authorization' => 'Bearer two' }, 'tenant.test');
apart('another value of the variable', { 'X-Tenant' => 'a' },
    { 'X-Tenant' => 'b' }, 'tenant.test');
apart('an empty value', { 'X-Tenant' => 'a' }, {}, 'tenant.test');

$prompt++;

my %kinds = ('the keyword "shared"' => ask('keyword.test', {}),
    'a variable that says "shared"' => ask('tenant.test',
        { 'X-Tenant' => 'word' }),
    'an empty variable' => ask('tenant.test', {}),
    'another word' => ask('literal.test', {}));

is_miss($kinds{$_}, "$_ is a scope of its own") for sort keys %kinds;

# namespaces

sub hosts {
    my ($name, @hosts) = @_;

    $prompt++;

    return map { ask($_, {}) } @hosts;
}

my @answers = hosts('servers', 'a.test', 'two.test', 'a.test');

is_deeply([map { $_->cache } @answers], [qw(MISS MISS HIT)],
    'servers do not share');

@answers = hosts('locations', 'joined.test', 'joint.test');

is_miss($answers[0], 'one namespace for two servers');
is_hit($answers[1], $answers[0], 'one namespace for two servers');

# one server of several names, which have upstreams of their own

my $names = nginx(no_location => 1, http => join('', map {
        "map \$$_->[1] \$by_$_->[0] { default nobody; red.test red;"
        . ' blue.test blue; }' } ['host', 'host'], ['header', 'http_host']),
    server => 'server_name *.test; location / { llm_cache on;'
        . 'proxy_set_header X-Tenant "$by_host $by_header";'
        . 'proxy_set_header Connection ""; proxy_pass http://llm; }'
        . 'location /one/ { llm_cache on; llm_cache_namespace one;'
        . 'proxy_pass http://llm; }');

my $named_host = sub {
    my ($host, %option) = @_;

    my $uri = ($option{at} // '') . chat_uri();

    return $names->post($option{line} ? "http://$option{line}$uri" : $uri,
        chat('names'), headers => { 'Host' => $host });
};

my @tenants = map { $named_host->($_) } qw(red.test blue.test red.test
    BLUE.test red.test:80);

is_deeply([map { $_->cache } @tenants], [qw(MISS MISS HIT HIT HIT)],
    'names of one server do not share');
isnt($tenants[1]->body, $tenants[0]->body, 'an answer for each name');

@tenants = map { $named_host->(@$_) } ['red.test', line => 'blue.test'],
    ['blue.test', line => 'red.test'], ['blue.test', line => 'blue.test'];

is_deeply([map { $_->cache } @tenants], [qw(MISS MISS HIT)],
    'a request line that names another host than the header');

is_deeply([map { $named_host->($_, at => '/one')->cache } qw(red.test
    blue.test)], [qw(MISS HIT)], 'names share a namespace that is given');

my $locations = nginx(no_location => 1, server => <<'END');
    location /a/ {
        llm_cache on;
        rewrite ^/a(/.*)$ $1 break;
        proxy_pass http://llm;
    }
    location /b/ {
        llm_cache on;
        rewrite ^/b(/.*)$ $1 break;
        proxy_pass http://llm;
    }
    location /c/ {
        llm_cache on;
        llm_cache_namespace both;
        rewrite ^/c(/.*)$ $1 break;
        proxy_pass http://llm;
    }
    location /d/ {
        llm_cache on;
        llm_cache_namespace both;
        rewrite ^/d(/.*)$ $1 break;
        proxy_pass http://llm;
    }
END

my %at = map { $_ => $locations->post("/$_/v1/chat/completions", chat('x')) }
    qw(a b c d);

is_miss($at{a}, 'a location');
is_miss($at{b}, 'another location');
is_miss($at{c}, 'a location with a namespace');
is_hit($at{d}, $at{c}, 'another location of that namespace');

# the client's own namespace lies inside its scope

sub named {
    my ($name, $key) = @_;

    return $nginx->post(chat_uri(), chat('named',
        defined $name ? (cache => { namespace => $name }) : ()),
        headers => { 'Authorization' => "Bearer $key",
            'Host' => 'a.test' });
}

my @named = map { named(@$_) } ['x', 1], ['y', 1], [undef, 1], ['x', 2],
    ['x', 1], ['y', 1], [undef, 1], ['', 1];

is_deeply([map { $_->cache } @named], [qw(MISS MISS MISS MISS HIT HIT HIT
    HIT)], 'namespaces of clients');
is($named[4]->body, $named[0]->body, 'the answer of that namespace');
isnt($named[3]->body, $named[0]->body, 'no answer of another caller');

# a client's namespace cannot be the operator's

my @crossing = ($nginx->post(chat_uri(), chat('cross'),
        headers => { 'Host' => 'joined.test' }),
    $nginx->post(chat_uri(), chat('cross', cache => {
        namespace => 'joined' }), headers => { 'Host' => 'a.test' }));

is_miss($crossing[0], "the operator's namespace");
is_miss($crossing[1], "a client's namespace of that name");

# a key that nginx itself takes out of the query to send it in a header

my $moved = nginx(no_location => 1, server => <<'END');
    location / {
        llm_cache on;
        llm_cache_namespace moved;
        set $credential $arg_key;
        rewrite ^(.*)$ $1? break;
        proxy_set_header X-Goog-Api-Key $credential;
        proxy_set_header Connection "";
        proxy_pass http://llm;
    }
END

my @moved = map { $moved->post(chat_uri() . "?key=$_", chat('moved'),
    headers => { 'Authorization' => undef })->cache } qw(one two one two);

is_deeply(\@moved, [qw(MISS MISS HIT HIT)],
    'a key argument that a rewrite takes away still separates callers');

finish();
