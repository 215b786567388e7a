# llm_cache observe counts what llm_cache on would have given: the same
# traffic through both has the same numbers.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $VARIABLES = join ', ', '', map { "\"$_\": \"\$llm_cache_$_\"" } qw(status
    observed reason key tier saved_tokens saved_cost prompt_tokens);

my $PRICES = 'llm_cache_price gpt* 2.5 10; llm_cache_price * 1 3;';

sub conf {
    my ($how, %more) = @_;

    $more{server} = "location /cache-api { llm_cache_api; }\n"
        . ($more{server} // '');
    $more{location} = "llm_cache $how; $PRICES " . ($more{location} // '');

    return (format => $VARIABLES, level => 'notice', %more);
}

sub zone { my ($nginx) = @_;
    return $nginx->get('/cache-api')->json->{zones}[0] }

# those that there were

sub some { my ($counts) = @_; return { map { $counts->{$_}
    ? ($_ => $counts->{$_}) : () } keys %$counts } }

sub told {
    my ($numbers) = @_;

    return { requests => some($numbers->{requests}), map {
        my $sum = $numbers->{$_};
        $_ => { map { $_ => sprintf '%.9f', $sum->{$_} }
            grep { $_ ne 'seconds' } keys %$sum } } qw(saved fetched) };
}

# the same requests, one after another, to both; calls for embeddings count
# whole

my $BYPASS = 'llm_cache_bypass $http_x_bypass; llm_cache_no_store'
    . ' $http_x_no_store; llm_cache_max_temperature 1.5;'
    . ' llm_cache_embeddings whole;';
my $VARIANTS = 'location /variants/ { llm_cache %s; llm_cache_variants 2;'
    . ' proxy_pass http://llm; }';
my $ZONE = 'llm_cache_zone zone=z:8m max_entry=64k;';
my %server = map { $_ => nginx(conf($_, location => $BYPASS, http => $ZONE,
    server => sprintf $VARIANTS, $_)) } qw(on observe);

my @traffic;

sub add { my (@request) = @_; push @traffic, [@request]; return }

sub twice { my (@request) = @_; add(@request) for 1, 2; return }

my $uri = chat_uri();

for my $dialect (dialects()) {
    my @request = ($dialect->{uri}, $dialect->{body}->('Hello'));

    twice(@request, headers => $dialect->{headers},
        mock => { usage => [30 + @traffic, 7] });
    twice($dialect->{uri}, $dialect->{body}->('a stream',
        stream => json_true), headers => $dialect->{headers})
        if $dialect->{streams};
}

twice($uri, chat('other scope'), headers => { Authorization => "Bearer $_" })
    for qw(red green);
twice($uri, chat('forms', stream => $_)) for json_true, json_false, json_true;
twice($uri, chat('usage', stream => json_true, @$_)) for [],
    [stream_options => { include_usage => json_true }], [];
twice($uri, chat('refreshed'), headers => { 'Cache-Control' => $_ })
    for 'max-age=60', 'no-cache', 'max-age=0', 'no-store', 'max-age=60';
twice($uri, chat('not stored'), headers => { 'Cache-Control' => $_ })
    for 'no-store', 'max-age=60';
twice($uri, chat('controls', @$_)) for [caching => json_false], [],
    [cache => { 'no-cache' => json_true }], [cache => { ttl => 0 }],
    [cache => { namespace => 'mine' }], [cache => { 'no-store' => json_true }];
twice($uri, chat('never stored', cache => { ttl => 0 }));
twice($uri, chat('operator'), headers => { $_ => '1' })
    for 'X-Bypass', 'X-None', 'X-No-Store', 'X-Bypass';
twice($uri, chat('operator 2'), headers => { $_ => '1' })
    for 'X-No-Store', 'X-None';
twice($uri, chat('hot', temperature => 1.7));
twice($uri, chat('tools', tools => [{ type => 'web_search' }]));
twice('/v1/threads', chat('stateful'));
twice($uri, '{"model": "gpt-4o-mini", "messages": [], "messages": []}');
twice($uri, chat('failing'), mock => { status => $_ }) for 500, 429, 200;
twice($uri, chat('error', stream => json_true), mock => $_)
    for { error => json_true }, { error => json_true, after => 2 },
    { keep => 2 }, { cut => 300 }, {};
twice($uri, chat('finish'), mock => { finish => $_ }) for qw(filter length);
twice($uri, chat('empty'), mock => { kind => 'empty' });
twice($uri, chat('tool calls'), mock => { kind => 'tools' });
twice($uri, chat('large'), mock => { size => 70_000 });
twice($uri, chat('large stream', stream => json_true),
    mock => { size => 70_000 });
twice($uri, chat('no usage'), mock => { no_usage => json_true });
twice($uri, chat('private'),
    mock => { headers => [['Cache-Control', 'private']] });
twice($uri, chat('compressed'), mock => { gzip => 'accept' },
    headers => { 'Accept-Encoding' => 'gzip, br' });
twice($uri, chat('compressed stream', stream => json_true),
    mock => { gzip => 'accept' }, headers => { 'Accept-Encoding' => 'gzip' });
twice($uri, chat('another coding'), mock => { gzip => 'force' });
twice('/v2/chat', { chat('cohere')->%*, model => 'command-r-plus',
    stream => json_true }, headers => { 'Cache-Control' => 'no-cache' });
twice('/variants' . $uri, chat('variants')) for 1 .. 3;
twice($uri, chat('only'), headers => {
    'Cache-Control' => 'only-if-cached' });
twice($uri, chat('Hello'), headers => {
    'Cache-Control' => 'only-if-cached' });

my %calls = map { my $nginx = $server{$_};
    $_ => calls(sub { $nginx->post(@$_) for @traffic }) } qw(on observe);

is($calls{observe}, scalar @traffic, 'observe: each request is a call');
cmp_ok($calls{on}, '<', $calls{observe} - 60, 'on: many are none');
pause(0.2);

my %zone = map { $_ => zone($server{$_}) } qw(on observe);

is_deeply(told($zone{observe}{observed}), told($zone{on}),
    'the same requests, savings and costs')
    or diag(to_json([map { told($_) } $zone{on}, $zone{observe}{observed}]));
is_deeply($zone{observe}{observed}{$_}, $zone{on}{$_}, "the same: $_")
    for qw(bypass refused);
cmp_ok($zone{on}{requests}{HIT}, '>', 60, 'and there were hits');

# by location and model too

my %series = map { my $how = $_; $how => { map {
    ("$_->{location} $_->{model}" => told($how eq 'on' ? $_
    : $_->{observed})) } @{$zone{$how}{series}} } } qw(on observe);

is_deeply($series{observe}, $series{on}, 'the same by location and model');
cmp_ok(keys %{$series{on}}, '>', 8, 'which are many');

# each request by itself

my %logged = map { my $how = $_; $how => [map {
    $_->{$how eq 'on' ? 'status' : 'observed'} . " $_->{reason} $_->{key}" }
    grep { $_->{uri} ne '/cache-api' } $server{$how}->access_log] }
    qw(on observe);

is_deeply($logged{observe}, $logged{on}, 'the same for each request');
is((grep { length "$_->{status}$_->{tier}" || $_->{saved_tokens}
    || $_->{saved_cost} > 0 } grep { $_->{uri} ne '/cache-api' }
    $server{observe}->access_log), 0, 'the log claims nothing');

# nothing of it is in the zone, nor among the counters of what was served

is_deeply([@{$zone{observe}}{qw(entries stored)}], [0, 0], 'an empty zone');
is_deeply(some($zone{observe}{requests}), {}, 'no requests');
is($zone{on}{observed}, undef, 'on: nothing is observed');

# how much memory it takes

my $used = $zone{on}{memory_bytes}{used} - zone(nginx(conf('on',
    http => $ZONE)))->{memory_bytes}{used};
my $told = $zone{observe}{observed};

is($told->{entries}{held}, $zone{on}{entries}, 'as many entries');
cmp_ok($told->{memory_bytes}{held}, '<=', $used, 'memory: not more');
cmp_ok($told->{memory_bytes}{held}, '>', $used * 0.75,
    'memory: not much less');
is($told->{memory_bytes}{evicted}, 0, 'memory: nothing was evicted');

# the metrics have the same

my $metrics = $server{observe}->get('/cache-api/metrics')->body;

open my $promtool, '|-', "promtool check metrics >'"
    . $server{observe}->prefix . "/said' 2>&1" or die "promtool: $!\n";
print $promtool $metrics;
ok(close $promtool, 'promtool accepts the metrics');
is(LLMTest::Nginx::slurp($server{observe}->prefix . '/said'), '',
    'and has nothing to say');

for my $scope (qw(location credentials shared)) {
    my $numbers = $scope eq 'location' ? $told : $told->{scopes}{$scope};
    my %sum;

    for (split /\n/, $metrics) {
        my ($name, $labels, $value)
            = /^llm_cache_observed_(\w+)\{(.*)\} (\S+)$/ or next;
        my %label = $labels =~ /(\w+)="([^"]*)"/g;

        next if ($label{scope} // '') ne $scope;
        $sum{join ' ', $name, $label{status} // $label{kind}
            // $label{state} // ()} += $value;
    }

    is_deeply({ map { $_ => sprintf '%.9f', $sum{$_} } keys %sum }, {
        (map { ("requests_total $_" => sprintf '%.9f',
            $numbers->{requests}{$_}) } qw(HIT MISS BYPASS EXPIRED SHARED)),
        (map { my $sum = $_; ("${sum}_tokens_total prompt" => sprintf('%.9f',
            $numbers->{$sum}{prompt_tokens}),
            "${sum}_tokens_total completion" => sprintf('%.9f',
            $numbers->{$sum}{completion_tokens}), "${sum}_cost_total" =>
            sprintf('%.9f', $numbers->{$sum}{cost}), "${sum}_seconds_total" =>
            sprintf('%.9f', $numbers->{$sum}{seconds})) } qw(saved fetched)),
        (map { ("entries $_" => sprintf('%.9f', $numbers->{entries}{$_}),
            "memory_bytes $_" => sprintf '%.9f',
            $numbers->{memory_bytes}{$_}) } qw(held evicted)),
        evictions_total => '0.000000000', lost_hits_total => '0.000000000' },
        "metrics, $scope");
}

finish();
