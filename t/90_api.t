# llm_cache_api: what is counted, as JSON and as metrics, and who may see it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(
    location => <<'END', server => <<'END2', http => <<'END3',
    llm_cache on zone=one;
    llm_cache_bypass $http_x_bypass;
    llm_cache_price gpt-4o-mini 2.5 10;
    llm_cache_price gpt-* 1 1;
END
    location /api { llm_cache_api; }
    location /slash/ { llm_cache_api write=off; }
    location = /exact { llm_cache_api; }
    location /two/ {
        llm_cache on zone=two;
        llm_cache_price * 0.000001 0;
        proxy_pass http://llm;
    }
    location ~ "^/re\"gex\d*" {
        llm_cache on zone=two;
        proxy_pass http://llm;
    }
    location /none/ { proxy_pass http://llm; }
END2
    llm_cache_zone zone=one:1m;
    llm_cache_zone zone=two:1m;
END3
);

sub status {
    my ($zone) = @_;

    my ($found) = grep { $_->{name} eq ($zone // 'one') }
        @{from_json($nginx->get('/api/status')->body)->{zones}};

    return $found;
}

# the samples of a text format: name and labels to value

sub samples {
    my (%option) = @_;

    return { $nginx->get('/api/metrics', %option)->body
        =~ /^([^#\s][^{]*\{.*\}) (\S+)$/mg };
}

# paths and forms

for my $path (qw(/api /api/ /api/status /slash/ /slash/status /exact)) {
    my $answer = $nginx->get($path);

    is($answer->status, 200, "GET $path");
    is($answer->header('Content-Type'), 'application/json', "$path: JSON");
    is($answer->header('Cache-Control'), 'no-store', "$path: not kept");
    is($answer->header('X-LLM-Cache'), undef, "$path: not cached");
    is_deeply([map { $_->{name} } @{from_json($answer->body)->{zones}}],
        [qw(one two)], "$path: zones");
}

for my $path (qw(/api/nothing /api/statuses /slash/status/
    /apiary)) {
    my $answer = $nginx->get($path);

    isnt($answer->status, 200, "GET $path");
}

is_deeply(from_json($nginx->get('/api/nothing')->body),
    { error => 'no such endpoint' }, 'an error is JSON');

for my $path (qw(/api /api/status /api/metrics)) {
    my $head = $nginx->get($path, method => 'HEAD');

    is($head->status, 200, "HEAD $path");
    is($head->body, '', "HEAD $path: no body");
    is($nginx->post($path, '{}')->status, 405, "POST $path");
    is($nginx->request($path, undef, method => 'DELETE')->status, 405,
        "DELETE $path");
}

is($nginx->get('/api/metrics')->header('Content-Type'),
    'text/plain; version=0.0.4; charset=utf-8', 'metrics: type');

my $open = $nginx->get('/api/metrics',
    headers => { Accept => 'application/openmetrics-text;version=1.0.0' });

like($open->header('Content-Type'), qr{^application/openmetrics-text; },
    'OpenMetrics: type');
like($open->body, qr/\n# EOF\n\z/, 'OpenMetrics: end');
like($open->body, qr/^# TYPE llm_cache_requests counter$/m,
    'OpenMetrics: a family has no suffix');
like($nginx->get('/api/metrics')->body,
    qr/^# TYPE llm_cache_requests_total counter$/m,
    "Prometheus' own: it has");

# at first there is nothing

my $zone = status();

is($zone->{$_}, 0, "at first: no $_") for qw(entries stored);
is_deeply($zone->{$_}, {}, "at first: no $_") for qw(bypass refused);
is_deeply($zone->{$_}, [], "at first: no $_") for qw(series history);

# requests by status, tokens, money

my $first = $nginx->post(chat_uri(), chat('a'));

is_hit($nginx->post(chat_uri(), chat('a')), $first, 'a') for 1 .. 2;
$nginx->post(chat_uri(), chat('a'), headers => { 'X-Bypass' => 1 });
$nginx->post(chat_uri(), chat('a', stream => json_true));
$nginx->post(chat_uri(), 'not JSON');
$nginx->post(chat_uri(), chat('error', model => 'never-answered'),
    mock => { status => 500 });
$nginx->post('/none' . chat_uri(), chat('a'));
$nginx->logged($nginx->get('/api'));

$zone = status();

is_deeply($zone->{requests}, { HIT => 3, MISS => 2, BYPASS => 2, EXPIRED => 0,
    STALE => 0, UPDATING => 0, SHARED => 0, SEMANTIC => 0, PARTIAL => 0 },
    'by status');
is_deeply($zone->{bypass}, { json => 1, operator => 1 }, 'bypassed');
is_deeply($zone->{refused}, { status => 1 }, 'refused');
is($zone->{stored}, 2, 'stored');
is($zone->{entries}, 1, 'entries');
is_deeply($zone->{hits}{memory}, { same => 2, converted => 1 },
    'hits in memory');
is_deeply($zone->{hits}{$_}, { same => 0, converted => 0 }, "hits: $_")
    for qw(redis semantic flight);

my $usage = from_json($first->body)->{usage};
my ($in, $out) = @$usage{qw(prompt_tokens completion_tokens)};

is($zone->{saved}{prompt_tokens}, 3 * $in, 'saved: tokens of the prompt');
is($zone->{saved}{completion_tokens}, 3 * $out, 'saved: of the answer');
is(sprintf('%.9f', $zone->{saved}{cost}),
    sprintf('%.9f', 3 * ($in * 2.5 + $out * 10) / 1e6), 'saved: cost');
is($zone->{fetched}{prompt_tokens}, 2 * $in, 'fetched: tokens');
is(sprintf('%.9f', $zone->{fetched}{cost}),
    sprintf('%.9f', 2 * ($in * 2.5 + $out * 10) / 1e6), 'fetched: cost');

# by location and model

is_deeply([map { [@$_{qw(location model)}] } sort { $a->{model} cmp
    $b->{model} } @{$zone->{series}}],
    [['/', 'gpt-4o-mini'], ['/', 'other']], 'series');

my ($named, $other) = sort { $a->{model} cmp $b->{model} }
    @{$zone->{series}};

is($named->{requests}{HIT}, 3, 'the series of a model');
is($other->{requests}{MISS}, 1, 'what was never answered is "other"');
is($other->{requests}{BYPASS}, 1, 'so is what names no model');

my @names = ('<b>"', "a\nb", 'x' x 97, "m\x{c3}\x{a9}", 'two words');

for my $name (@names) {
    my $answer = $nginx->post('/two' . chat_uri(), chat('n', model => $name));

    is_hit($nginx->post('/two' . chat_uri(), chat('n', model => $name)),
        $answer, 'a name that is none');
}

$nginx->logged($nginx->get('/api'));
is_deeply([map { $_->{model} } @{status('two')->{series}}], ['other'],
    'what does not look like a model is no label');
is(sprintf('%.9f', status('two')->{saved}{cost}),
    sprintf('%.9f', 0), 'less than half a billionth is nothing');

my $label = 'models/x-1.2:beta@v+' . 'y' x 76;

$nginx->post('/two' . chat_uri(), chat('n', model => $label));
$nginx->post('/re"gex' . chat_uri(), chat('n', model => $label));
$nginx->logged($nginx->get('/api'));

ok((grep { $_->{model} eq $label } @{status('two')->{series}}),
    'what looks like one is');

# embeddings that are asked for in part

my $before_part = status('two');

my $whole = $nginx->post('/two/v1/embeddings', to_json({ model => 'embed',
    input => ['one', 'two'] }));

my $part = $nginx->post('/two/v1/embeddings', to_json({ model => 'embed',
    input => ['two', 'three'] }), mock => { delay => 0.25 });

is($part->cache, 'PARTIAL', 'a part is there');
$nginx->logged($part);

my $after_part = status('two');
my $saved_part = $after_part->{saved}{prompt_tokens}
    - $before_part->{saved}{prompt_tokens};

is($after_part->{requests}{PARTIAL}, 1, 'PARTIAL is counted');
cmp_ok($after_part->{fetched}{seconds} - $before_part->{fetched}{seconds},
    '>', 0.2, 'the time that it took is counted');
is($after_part->{stored} - $before_part->{stored}, 3,
    'each input is stored once');
is($saved_part, $part->header('X-LLM-Cache-Saved-Tokens'),
    'what it saved is counted');
cmp_ok($saved_part, '>', 0, 'it saved something');
is($after_part->{fetched}{prompt_tokens}
    - $before_part->{fetched}{prompt_tokens},
    from_json($whole->body)->{usage}{prompt_tokens}
    + from_json($part->body)->{usage}{prompt_tokens} - $saved_part,
    'what was fetched is counted');

# the metrics say the same

$zone = status();

my $samples = samples();
my %same = (
    'requests_total{zone="one",location="/",model="gpt-4o-mini",status="HIT"}'
        => 3,
    'requests_total{zone="one",location="/",model="other",status="BYPASS"}'
        => 1,
    'hits_total{zone="one",tier="memory",kind="converted"}' => 1,
    'bypass_total{zone="one",reason="operator"}' => 1,
    'refused_total{zone="one",reason="status"}' => 1,
    'stored_total{zone="one"}' => 2,
    'saved_tokens_total{zone="one",location="/",model="gpt-4o-mini"'
        . ',kind="prompt"}' => 3 * $in,
    'fetched_tokens_total{zone="one",location="/",model="gpt-4o-mini"'
        . ',kind="completion"}' => 2 * $out,
    'saved_cost_total{zone="one",location="/",model="gpt-4o-mini"}'
        => $zone->{saved}{cost},
    'saved_seconds_total{zone="one",location="/",model="gpt-4o-mini"}'
        => $zone->{saved}{seconds},
    'fetched_seconds_total{zone="one",location="/",model="gpt-4o-mini"}'
        => $zone->{fetched}{seconds},
    'entries{zone="one"}' => 1,
    'memory_bytes{zone="one",state="free"}' => $zone->{memory_bytes}{free},
    'flights_started_total{zone="one"}' => $zone->{flights}{total},
    'age_seconds_count{zone="one"}' => 3,
    'age_seconds_bucket{zone="one",le="2592000"}' => 3,
    'upstream_seconds_count{zone="one"}' => 2,
    'lifetime_seconds_sum{zone="one"}' => 7200,
    'lifetime_seconds_bucket{zone="one",le="900"}' => 0,
    'lifetime_seconds_bucket{zone="one",le="3600"}' => 2,
    'lookup_seconds_count{zone="one",tier="memory"}'
        => $zone->{histograms}{memory_lookup_seconds}{count},
    'lookup_seconds_count{zone="one",tier="redis"}' => 0,
);

for my $name (sort keys %same) {
    my $value = delete $samples->{"llm_cache_$name"};

    ok(defined $value && abs($value - $same{$name}) < 1e-9, $name)
        or diag($value // 'undef', " instead of $same{$name}");
}

is($samples->{'llm_cache_requests_total{zone="two",location="'
    . '^/re\\"gex\\\\d*' . "\",model=\"$label\",status=\"MISS\"}"}, 1,
    'a label is escaped');
is((scalar grep { !defined } %$samples), 0, 'samples');
is_deeply([grep { !exists samples()->{$_} } keys %{samples(
    headers => { Accept => 'application/openmetrics-text' })}], [],
    'both formats have the same samples');
ok(!(grep { /llm_cache_redis/ } keys %$samples), 'no Redis, no samples of it');

# the log

my $hit = $nginx->logged($nginx->post(chat_uri(), chat('a')));

is($hit->{saved_cost}, sprintf('%.9f', ($in * 2.5 + $out * 10) / 1e6),
    '$llm_cache_saved_cost');
is($nginx->logged($nginx->post(chat_uri(), chat('b')))->{saved_cost},
    '0.000000000', '$llm_cache_saved_cost of a miss');
is($nginx->logged($nginx->post(chat_uri(), chat('c', model => 'claude')))
    ->{saved_cost}, '0.000000000', 'no price');

# the history, and no prompts anywhere

is($zone->{history}[-1]{hits}, 3, 'history: hits');
is($zone->{history}[-1]{requests}, 7, 'history: requests');
is($zone->{history}[-1]{time} % 300, 0, 'history: its time');

$nginx->post(chat_uri(), chat('a secret prompt')) for 1, 2;
unlike($nginx->get("/api/$_")->body, qr/secret/, "$_: no prompt")
    for qw(status metrics);

# a reload forgets nothing

my $before = status();

$nginx->reload;

my $after = status();

delete $_->{histograms} for $before, $after;
is_deeply($after, $before, 'a reload forgets nothing');

# more models than there is room for

for my $n (1 .. 300) {
    $nginx->post('/two' . chat_uri(), chat('n', model => "model-$n"));
}

my $two = status('two');
my $sum = 0;

$sum += $_->{requests}{MISS} for @{$two->{series}};
is($sum, $two->{requests}{MISS}, 'many models: the sum is that of all');
cmp_ok(scalar @{$two->{series}}, '<=', 256, 'many models: bounded');
cmp_ok(scalar @{$two->{series}}, '>', 200, 'many models: not too few');
ok((grep { $_->{location} eq '/two/' && $_->{model} eq 'other'
    && $_->{requests}{MISS} > 40 } @{$two->{series}}),
    'many models: the others count as one');

# configuration

my %bad = (
    'llm_cache_api maybe;' => qr/invalid value "maybe" in "llm_cache_api"/,
    'llm_cache_api write=1;' => qr/invalid value "write=1"/,
    'llm_cache_api; llm_cache_api;' => qr/"llm_cache_api" directive is dupl/,
    'llm_cache_api a b;' => qr/invalid number of arguments/,
    'llm_cache_price gpt 1;' => qr/invalid number of arguments/,
    'llm_cache_price gpt one 2;' => qr/invalid value "one" in "llm_cache_pr/,
    'llm_cache_price gpt 1 -2;' => qr/invalid value "-2"/,
    'llm_cache_price gpt 1 0.1234567;' => qr/invalid value "0.1234567"/,
    'llm_cache_price "" 1 2;' => qr/invalid value ""/,
);

for my $directive (sort keys %bad) {
    my ($code, $said) = nginx_t(location => $directive);

    isnt($code, 0, "$directive is refused");
    like($said, $bad{$directive}, "$directive: it says why");
}

for my $place (['~ ^/api', 'a regular expression'], ['@api', 'a name']) {
    my ($code, $said) = nginx_t(server =>
        "location $place->[0] { llm_cache_api; }");

    isnt($code, 0, "in a location with $place->[1]");
    like($said, qr/"llm_cache_api" directive must stand in a location/,
        "with $place->[1]: it says why");
}

# a warning where everybody may purge

sub warned {
    my ($inside, %option) = @_;

    my ($code, $said) = nginx_t(%option, server => ($option{server} // '')
        . "location /api { $inside }");

    is($code, 0, "$inside is accepted") or diag($said);

    return $said =~ /\[warn\].*"llm_cache_api write=on" lets everybody/;
}

my %wide = (servers => 'server { listen 127.0.0.1:1; }',
    server => 'listen 0.0.0.0:%PORT%;');

ok(!warned('llm_cache_api write=on;'), 'a loopback listener: no warning');
ok(warned('llm_cache_api write=on;', %wide), 'everybody: a warning');
ok(!warned('llm_cache_api;', %wide), 'read only: none');
ok(!warned('llm_cache_api write=on; deny all;', %wide), 'deny: none');
ok(!warned('llm_cache_api write=on; auth_basic x; auth_basic_user_file y;',
    %wide), 'auth_basic: none');
ok(warned('llm_cache_api write=on; auth_basic off;', %wide,
    http => 'auth_basic x; auth_basic_user_file y;'),
    'auth_basic off: a warning');
ok(warned('llm_cache_api write=on; auth_request off;', %wide,
    http => 'auth_request /auth;'), 'auth_request off: a warning');
ok(!warned('llm_cache_api write=on; auth_request /auth;', %wide),
    'auth_request: none');
ok(!warned('llm_cache_api write=on;', %wide, http => 'deny all;'),
    'deny around it: none');
ok(!warned('llm_cache_api write=on; limit_except GET { deny all; }', %wide),
    'limit_except with deny: none');
ok(warned('llm_cache_api write=on; limit_except POST { deny all; }', %wide),
    'limit_except for others than POST: a warning');
ok(warned('llm_cache_api write=on; limit_except GET { }',
    %wide), 'limit_except that guards nothing: a warning');

finish();
