# The module among nginx's other ways to handle a request: rewrites, internal
# redirects, named locations, mirrors, subrequests, filters.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use IO::Uncompress::Gunzip qw(gunzip);

use LLMTest;

my $mock = mock();

my $nginx = nginx(http => 'proxy_buffering on; '
    . 'charset_map shifted plain { 51 50; 52 51; }'
    . 'upstream pair {'
    . 'server 127.0.0.1:1 max_fails=0; server %MOCK%; }',
    location => 'llm_cache on;',
    server => <<'END');
    location /rewritten/ {
        llm_cache on;
        rewrite ^/rewritten/(.*)$ /v1/$1 break;
        proxy_pass http://llm;
    }
    location /renamed/ {
        rewrite ^/renamed/(.*)$ /target/v1/$1 last;
    }
    location /target/ {
        llm_cache on;
        proxy_pass http://llm/;
    }
    location /tried/ {
        try_files /nothing @tried;
    }
    location @tried {
        llm_cache on;
        proxy_pass http://llm;
    }
    location /tried_on/ {
        llm_cache on;
        try_files /nothing @tried;
    }
    location /falling/ {
        llm_cache on;
        proxy_intercept_errors on;
        error_page 500 502 503 = @fallback;
        proxy_pass http://llm;
    }
    location @fallback {
        llm_cache on;
        rewrite .* /fallback/v1/chat/completions break;
        proxy_pass http://llm;
    }
    location /falling_off/ {
        llm_cache on;
        proxy_intercept_errors on;
        error_page 500 = @uncached;
        proxy_pass http://llm;
    }
    location @uncached {
        rewrite .* /fallback/v1/chat/completions break;
        proxy_pass http://llm;
    }
    location /page/ {
        llm_cache on;
        proxy_intercept_errors on;
        error_page 429 /page.json;
        proxy_pass http://llm;
    }
    location = /page.json {
        default_type application/json;
        return 200 '{"choices":[{"index":0,"message":{"content":"page"},"finish_reason":"stop"}]}';
    }
    location /accel/ {
        llm_cache on;
        proxy_pass http://llm;
    }
    location /inside/ {
        internal;
        default_type application/json;
        return 200 '{"choices":[{"index":0,"message":{"content":"in"},"finish_reason":"stop"}]}';
    }
    location /mirrored/ {
        mirror /mirror;
        llm_cache on;
        proxy_pass http://llm;
    }
    location = /mirror {
        internal;
        llm_cache on;
        proxy_pass http://llm/mirror_sink;
    }
    location /asked/ {
        auth_request /question;
        llm_cache on;
        proxy_pass http://llm;
    }
    location = /question {
        internal;
        llm_cache on;
        proxy_pass http://llm/question/v1/chat/completions;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_set_header Connection "";
    }
    location /around/ {
        llm_cache on;
        add_before_body /before;
        add_after_body /after;
        addition_types application/json;
        proxy_pass http://llm;
    }
    location = /before {
        internal;
        llm_cache on;
        proxy_pass http://llm/around_before;
    }
    location = /after {
        internal;
        llm_cache on;
        proxy_pass http://llm/around_after;
    }
    location /if/ {
        llm_cache on;
        if ($http_x_off) {
            llm_cache off;
        }
        proxy_pass http://llm;
    }
    location /if_on/ {
        if ($http_x_on) {
            llm_cache on;
        }
        proxy_pass http://llm;
    }
    location /if_set/ {
        set $bypass 0;
        if ($http_x_fresh) {
            set $bypass 1;
        }
        llm_cache on;
        llm_cache_bypass $bypass;
        proxy_pass http://llm;
    }
    location /gzip/ {
        llm_cache on;
        gzip on;
        gzip_min_length 1;
        gzip_types application/json text/event-stream;
        proxy_pass http://llm;
    }
    location /direct/ {
        llm_cache on;
        proxy_buffering off;
        proxy_pass http://llm;
    }
    location /sub/ {
        llm_cache on;
        sub_filter assistant ASSISTANT;
        sub_filter_types application/json;
        sub_filter_once off;
        proxy_pass http://llm;
    }
    location /charset/ {
        llm_cache on;
        charset shifted;
        source_charset plain;
        override_charset on;
        charset_types application/json;
        proxy_pass http://llm;
    }
    location /charset_told/ {
        llm_cache on;
        charset shifted;
        source_charset plain;
        charset_types application/json;
        proxy_pass http://llm;
    }
    location /returned/ {
        llm_cache on;
        default_type application/json;
        return 200 '{"choices":[{"index":0,"message":{"content":"ret"},"finish_reason":"stop"}]}';
    }
    location /down/ {
        llm_cache on;
        proxy_pass http://127.0.0.1:1;
    }
    location /pair/ {
        llm_cache on;
        proxy_pass http://pair;
    }
    location /set_body/ {
        llm_cache on;
        proxy_set_body '{"model":"set"}';
        proxy_pass http://llm;
    }
    location /no_body/ {
        llm_cache on;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_set_header Connection "";
        proxy_pass http://llm;
    }
    location /limited/ {
        llm_cache on;
        client_max_body_size 1k;
        proxy_pass http://llm;
    }
    location /limited_page/ {
        llm_cache on;
        client_max_body_size 1k;
        error_page 413 /too_large/page;
        proxy_pass http://llm;
    }
    location /limited_named/ {
        llm_cache on;
        client_max_body_size 1k;
        error_page 413 = @too_large;
        proxy_pass http://llm;
    }
    location /too_large/ {
        llm_cache on;
        proxy_pass http://llm;
    }
    location @too_large {
        llm_cache on;
        rewrite .* /too_large/named break;
        proxy_pass http://llm;
    }
    location /acted/ {
        llm_cache on;
        post_action /action;
        proxy_pass http://llm;
    }
    location = /action {
        internal;
        llm_cache on;
        proxy_pass http://llm/action;
    }
    location /slow/ {
        llm_cache on;
        limit_rate 20k;
        proxy_pass http://llm;
    }
END

sub at { my ($prefix) = @_; return $prefix . chat_uri() }

# rewrites and named locations

is_cached($nginx, 'rewrite ... break', '/rewritten/chat/completions',
    chat('a'));
is_cached($nginx, 'rewrite ... last', '/renamed/chat/completions',
    chat('a'));
is($mock->last_request->{uri}, '/v1/chat/completions',
    'rewrite ... last: what the provider is asked');
is_cached($nginx, 'try_files', at('/tried'), chat('a'));

for my $prompt ('b', 'b') {
    is($nginx->post(at('/tried_on'), chat($prompt))->status, 200,
        'try_files in a cached location');
}

# a fallback's answer is whole and right, wherever it is kept

my $controlled = '{"model":"m","caching":true,"n":1}';

for my $prefix ('/falling', '/falling_off') {
    $mock->reset;
    $mock->next({ status => 500 });

    my $answer = $nginx->post(at($prefix), $controlled);

    is($answer->status, 200, "$prefix: answered");
    is($mock->last_request->{uri}, '/fallback/v1/chat/completions',
        "$prefix: by the fallback");
    is($mock->last_request->{body}, '{"model":"m","n":1}',
        "$prefix: the fallback gets the body");
    is_unharmed($answer, $prefix);

    my $second = $nginx->post(at($prefix), $controlled);

    is($second->status, 200, "$prefix: answered again");

    if ($second->cache eq 'HIT') {
        is($second->body, $answer->body, "$prefix: the answer it was given");

    } else {
        is($mock->last_request->{uri}, at($prefix),
            "$prefix: the first provider is asked again");
    }
}

$mock->next({ status => 500 }, { status => 503 });
is($nginx->post(at('/falling'), chat('all down'))->status, 503,
    'a fallback that fails');

# an error page is no answer of the provider's

$mock->next({ status => 429 });

my $page = $nginx->post(at('/page'), chat('c'));

like($page->body, qr/"page"/, 'error_page');
is_miss($nginx->post(at('/page'), chat('c')), 'error_page: not stored');

my @accel = map { $nginx->post(at('/accel'), chat('d'), mock => {
    headers => [['X-Accel-Redirect', '/inside/']] }) } 1, 2;

like($accel[0]->body, qr/"in"/, 'X-Accel-Redirect');
isnt($accel[1]->cache // '', 'HIT', 'X-Accel-Redirect: not stored');
like($accel[1]->body, qr/"in"/, 'X-Accel-Redirect, again');

# to another URI of the same location, where the request becomes a GET

$mock->next({ headers => [['X-Accel-Redirect', at('/accel') . '/other']] });

my $moved = $nginx->post(at('/accel'), chat('moved'));

is($mock->last_request->{method}, 'GET', 'X-Accel-Redirect: a GET');
is($moved->cache, 'BYPASS', 'X-Accel-Redirect: decided anew');
is($nginx->post(at('/accel'), chat('moved'))->cache, 'MISS',
    'X-Accel-Redirect: not stored as the answer to the first URI');

# mirrors

$mock->reset;

my $first = $nginx->post(at('/mirrored'), chat('e'));

is_miss($first, 'mirror');
ok($mock->wait_for(sub { $mock->count('/mirror_sink') == 1 }),
    'mirror: a miss is mirrored');

my ($original, $copy) = sort { $a->{uri} cmp $b->{uri} } $mock->requests;

is($copy->{sha256}, $original->{sha256}, 'mirror: with its body');
is_hit($nginx->post(at('/mirrored'), chat('e')), $first, 'mirror');
pause(0.1);
is($mock->count('/mirror_sink'), 1, 'mirror: a hit is not mirrored');

# subrequests are not cached themselves

$mock->reset;
$first = $nginx->post(at('/asked'), chat('f'));
is_miss($first, 'auth_request');
is_hit($nginx->post(at('/asked'), chat('f')), $first, 'auth_request');
is($mock->count('/question/v1/chat/completions'), 2,
    'auth_request: asked each time');
is($mock->count(at('/asked')), 1, 'auth_request: one answer');

my @around = map { $nginx->post(at('/around'), chat('g'), mock => {
    text => 'middle' }) } 1, 2;

is_deeply([map { $_->cache } @around], ['MISS', 'HIT'], 'addition');

for my $answer (@around) {
    my $objects = () = $answer->body =~ /"object":"thing"/g;

    like($answer->body, qr/middle/, 'addition: the answer');
    is($objects, 2, 'addition: before and after');
}

is($mock->count('/around_before'), 2, 'addition: subrequests each time');

# if

$first = $nginx->post(at('/if'), chat('h'));
is_hit($nginx->post(at('/if'), chat('h')), $first, 'beside an if');
is($nginx->post(at('/if'), chat('h'), headers => { 'X-Off' => '1' })->cache,
    undef, 'switched off in an if');
is($nginx->post(at('/if_on'), chat('h'))->cache, undef,
    'not switched on in an if');
is_cached($nginx, 'switched on in an if', at('/if_on'), chat('h'),
    headers => { 'X-On' => '1' });
$nginx->post(at('/if_set'), chat('h'));
is_bypass($nginx->post(at('/if_set'), chat('h'),
    headers => { 'X-Fresh' => '1' }), 'a variable set in an if');

# gzip

my %coded = ('Accept-Encoding' => 'gzip');

for my $stream (json_false, json_true) {
    my $name = 'gzip on' . ($stream ? ', streamed' : '');
    my @body = (at('/gzip'), chat('i', stream => $stream));
    my $plain = $nginx->post(@body);
    my @packed = map { $nginx->post(@body, headers => { %coded }) } 1, 2;

    is($plain->header('Content-Encoding'), undef, "$name: not asked for");

    for my $answer (@packed) {
        my $text;

        is($answer->cache, 'HIT', "$name: hit");
        is($answer->header('Content-Encoding'), 'gzip', "$name: packed");
        gunzip(\$answer->body, \$text);
        is($text, $plain->body, "$name: the same bytes");
    }

    is_hit($nginx->post(@body), $plain, "$name: plain again");

    my @other = (at('/gzip'), chat('j', stream => $stream));
    my $miss = $nginx->post(@other, headers => { %coded });
    my $text;

    is($miss->header('Content-Encoding'), 'gzip', "$name: a packed miss");
    gunzip(\$miss->body, \$text);
    is($nginx->post(@other)->body, $text, "$name: recorded unpacked");
}

# other filters and handlers

is_cached($nginx, 'proxy_buffering off', at('/direct'), chat('k'));
is_cached($nginx, 'proxy_buffering off, streamed', at('/direct'),
    chat('k streamed', stream => json_true));

my @sub = map { $nginx->post(at('/sub'), chat('l')) } 1, 2;

is($sub[1]->cache, 'HIT', 'sub_filter');
like($_->body, qr/"role":"ASSISTANT"/, 'sub_filter') for @sub;
is($sub[1]->body, $sub[0]->body, 'sub_filter: the same bytes');

# a filter that changes bytes where they stand must not change the record

my @charset = map { $nginx->post(at('/charset'), chat('s'),
    mock => { text => 'PPP', type => 'application/json; charset=plain' }) }
    1 .. 4;

is_deeply([map { $_->cache } @charset], [qw(MISS HIT HIT HIT)], 'charset');
like($_->body, qr/"content":"QQQ"/, 'charset: shifted once') for @charset;

# what the provider says of it stands, of a hit as well

my @told = map { $nginx->post(at('/charset_told'), chat('t'),
    mock => { text => 'PPP', type => 'application/json; charset="plain"' }) }
    1, 2;

is_hit($told[1], $told[0], 'a charset that is told');
like($told[1]->body, qr/"content":"PPP"/, 'a charset that is told: stays');

is($nginx->post(at('/returned'), chat('m'))->status, 200, 'return');

my @down = map { $nginx->post(at('/down'), chat('n')) } 1, 2;

is_deeply([map { $_->status } @down], [502, 502], 'a provider that is down');
is($down[1]->cache, 'MISS', 'a provider that is down: status');

for my $prompt ('first', 'second') {
    is_cached($nginx, "the next provider, $prompt", at('/pair'),
        chat($prompt));
}

my @set = map { $nginx->post(at('/set_body'), chat('o')) } 1, 2;

is($mock->last_request->{body}, '{"model":"set"}', 'proxy_set_body');
is_hit($set[1], $set[0], 'proxy_set_body');

is_cached($nginx, 'proxy_pass_request_body off', at('/no_body'), chat('p'));
is($mock->last_request->{length}, 0, 'proxy_pass_request_body off: no body');

is($nginx->post(at('/limited'), chat('x' x 2000))->status, 413,
    'client_max_body_size');
is($nginx->post(at('/limited'), chat('x' x 2000), chunked => 100)->status,
    413, 'client_max_body_size, chunked');

# the same when it is seen while the body is read, which has a page of its own

for my $prefix ('/limited_page', '/limited_named') {
    my $client = $nginx->client;
    my ($head, $body) = split /(?<=\r\n\r\n)/, $nginx->request_text(
        at($prefix), chat('x' x 2000), chunked => 1), 2;

    $client->send($head);
    pause(0.1);
    $client->send($body);

    my $answer = $client->response;

    is($answer->status, $prefix =~ /named/ ? 200 : 413,
        "$prefix: body too large, status");
    like($answer->body, qr/"object":"thing"/, "$prefix: the error's page");
}

# what is done afterwards is no call of the client's

my @acted = map { $nginx->post(at('/acted'), chat('acted')) } 1, 2;

is_hit($acted[1], $acted[0], 'post_action');
ok($mock->wait_for(sub { $mock->count('/action') == 2 }),
    'post_action: each time');
is($nginx->logged($acted[0])->{status}, 'MISS', 'post_action: a miss');
is($nginx->logged($acted[1])->{status}, 'HIT', 'post_action: a hit');

is_cached($nginx, 'limit_rate', at('/slow'), chat('q'),
    mock => { size => 30_000 });

# a query and odd URIs

is_cached($nginx, $_, $_, chat('r')) for '/v1/chat/completions?',
    '/v1/chat/completions?a=1&b=%20', '/v1//chat/completions',
    '/v1/chat/%63ompletions', '/v1/./chat/completions',
    '/caf%C3%A9/v1/chat/completions';

is($nginx->post('*', chat('r'))->status, 400, 'an URI that is none');

finish();
