# Flights: what is rare, and must not harm anybody.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Http2;

my $mock = mock();

my $nginx = nginx(workers => 2, no_location => 1, http => <<'END',
    map $http_x_brief $valid {
        default 1h;
        1 1s;
    }
    map $http_x_dead $backend {
        default %MOCK%;
        1 127.0.0.1:1;
    }
END
    server => <<'END2');
    llm_cache on;
    llm_cache_namespace all;
    llm_cache_valid $valid;
    location = /zone {
        return 200 "$llm_cache_zone_followers $llm_cache_zone_flying";
    }
    location = /sorry {
        return 200 sorry;
    }
    location / {
        proxy_pass http://llm;
    }
    location /shared/ {
        llm_cache_scope shared;
        proxy_pass http://llm;
    }
    location /now/ {
        llm_cache_lock_timeout 0;
        proxy_pass http://llm;
    }
    location /plain/ {
        chunked_transfer_encoding off;
        proxy_pass http://llm;
    }
    location /short/ {
        llm_cache_lock_timeout 300ms;
        proxy_pass http://llm;
    }
    location /sorry/ {
        error_page 500 502 /sorry;
        proxy_intercept_errors on;
        proxy_pass http://$backend;
    }
    location /acted/ {
        post_action /action;
        proxy_pass http://llm;
    }
    location = /action {
        proxy_pass http://llm/action;
    }
    location /mirrored/ {
        mirror /mirror;
        proxy_pass http://llm;
    }
    location = /mirror {
        internal;
        proxy_set_header X-Mock '{"gate":"mirror"}';
        proxy_pass http://llm/mirror_sink;
    }
    location /rate/ {
        limit_rate 100k;
        proxy_pass http://llm;
    }
END2

sub zone { return split ' ', $nginx->get('/zone')->body }

sub grounded {
    my ($name) = @_;

    ok($nginx->wait_until(sub { (zone())[1] == 0 }),
        "$name: nothing is left of the flight");

    return;
}

sub ask {
    my (@request) = @_;

    my $client = $nginx->client;

    $client->send($nginx->request_text(@request));

    return $client;
}

# a leader whose answer waits in the provider

sub lead {
    my ($gate, $uri, $body, %option) = @_;

    my $leader = ask($uri, $body, %option);

    ok($mock->wait_for(sub { $mock->waiting($gate) }), "$gate: leads");

    return $leader;
}

sub follow {
    my ($n, @request) = @_;

    my ($before) = zone();
    my @clients = map { ask(@request) } 1 .. $n;

    $nginx->wait_until(sub { (zone())[0] >= $before + $n });

    return @clients;
}

# an error comes to many at once, and is not multiplied

for my $row (['429', status => 429, body => '{"error":{}}'],
    ['cut', cut => 100]) {
    my ($name, %mock) = @$row;
    my $calls = $mock->count;
    my $leader = lead($name, chat_uri(), chat($name),
        mock => { gate => $name, %mock });
    my @crowd = follow(150, chat_uri(), chat($name));

    $mock->next(\%mock) if $name eq '429';
    $mock->release($name);
    $leader->response;

    my %status;

    $status{$_->response->status // 0}++ for @crowd;
    is_deeply(\%status, { $name eq '429' ? 429 : 200, 150 },
        "$name: one outcome for all");
    is($mock->count - $calls, 2, "$name: two calls");
    grounded($name);
}

# nor where another worker learns of it when the second call has ended, too

my ($quick, $busy) = $nginx->worker_pids;

sub halt {
    my ($pid) = @_;

    kill 'STOP', $pid;

    return $nginx->wait_until(sub {
        LLMTest::Nginx::slurp("/proc/$pid/stat") =~ /\) T / });
}

sub client_of {
    my ($pid) = @_;

    my ($other) = grep { $_ != $pid } $quick, $busy;

    halt($other);

    my $client = $nginx->client;

    $client->send($nginx->request_text('/zone', undef, method => 'GET'));
    $client->response;
    kill 'CONT', $other;

    return $client;
}

my @in_turn = map { client_of($_) } $quick, $quick, $busy, $busy;
my @refused = (chat_uri(), chat('refused'));
my $before_them = $mock->count;
my ($following) = zone();

$in_turn[0]->send($nginx->request_text(@refused, mock => {
    gate => 'refused', status => 429, body => '{"error":{}}' }));
$mock->wait_for(sub { $mock->waiting('refused') });
$_->send($nginx->request_text(@refused)) for @in_turn[1 .. 3];
$nginx->wait_until(sub { (zone())[0] >= $following + 3 });
$mock->next({ status => 429, body => '{"error":{}}' });
halt($busy);
$mock->release('refused');
is($_->response->status, 429, 'refused: first and second call')
    for @in_turn[0, 1];
kill 'CONT', $busy;

for (@in_turn[2, 3]) {
    my $answer = $_->response;

    is($answer->status, 429, 'refused: the others');
    is($answer->cache, 'SHARED', 'refused: the others share it');
}

is($mock->count - $before_them, 2, 'refused: two calls');
grounded('refused');

# what is wrong with the leader's credentials is its own affair

for my $location ('/shared', '') {
    my $name = "unauthorized $location";
    my %mock = (status => 401, body => '{"error":{}}');
    my $leader = lead($name, $location . chat_uri(), chat($name),
        mock => { gate => $name, %mock });
    my @others = follow(2, $location . chat_uri(), chat($name));

    $mock->next(\%mock);
    $mock->release($name);
    is($leader->response->status, 401, "$name: the leader");
    is(join(' ', sort map { $_->response->status } @others),
        $location ? '200 401' : '401 401', "$name: the followers");
    grounded($name);
}

# a record that does not serve: those whom it does not serve share a call

my @usage = (chat_uri(), chat('usage', stream => json_true,
    stream_options => { include_usage => json_true }));

is_miss($nginx->post(chat_uri(), chat('usage', stream => json_true)),
    'without usage');

my $calls = $mock->count;
my $leader = lead('usage', @usage, mock => { gate => 'usage' });
my @crowd = follow(5, @usage);

$mock->release('usage');
is_miss($leader->response, 'usage');
is($_->response->cache, 'SHARED', 'usage: shared') for @crowd;
is($mock->count - $calls, 1, 'usage: one call');
grounded('usage');

is_miss($nginx->post(chat_uri(), chat('age')), 'age');
pause(2.1);
$calls = $mock->count;

my @age = (chat_uri(), chat('age'),
    headers => { 'Cache-Control' => 'max-age=1' });

$leader = lead('age', @age, mock => { gate => 'age' });
@crowd = follow(3, @age);
$mock->release('age');
$leader->response;

for (@crowd) {
    my $answer = $_->response;

    is($answer->cache, 'SHARED', 'max-age: shared');
    like($answer->header('Cache-Status'), qr/fwd=request; collapsed/,
        'max-age: Cache-Status');
}

is($mock->count - $calls, 1, 'max-age: one call');
grounded('max-age');

# not to be waited for

$leader = lead('now', '/now' . chat_uri(), chat('now'),
    mock => { gate => 'now' });

my $alone = $nginx->post('/now' . chat_uri(), chat('now'));

is_miss($alone, 'lock_timeout 0');
like($alone->header('Cache-Status'), qr/fwd=uri-miss; fwd-status=200/,
    'lock_timeout 0: Cache-Status');
$mock->release('now');
$leader->response;

# who comes after somebody has waited too long need not wait

$leader = lead('forsaken', '/short' . chat_uri(), chat('forsaken'),
    mock => { gate => 'forsaken', status => 500 });

my ($late) = follow(1, '/short' . chat_uri(), chat('forsaken'),
    mock => { status => 500 });

is($late->response->status, 500, 'forsaken: by itself');

my ($before) = zone();

is_miss($nginx->post('/short' . chat_uri(), chat('forsaken')), 'forsaken');
is((zone())[0], $before, 'forsaken: nobody follows it');
$mock->release('forsaken');
$leader->response;
grounded('forsaken');

# a cut must show: without chunks a follower waits for the end

my @plain = ('/plain' . chat_uri(), chat('plain', stream => json_true));

$leader = lead('plain', @plain, mock => { hold => [2, 'plain'],
    cut => 700 });
($late) = follow(1, @plain);
pause(0.1);
is($late->buffer, '', 'no chunks: nothing is sent yet');
$mock->release('plain');
$leader->response;
ok($late->response->body =~ /\[DONE\]\n\n\z/, 'no chunks: complete');
grounded('plain');

# error pages of a location that caches

$calls = $mock->count;
$leader = lead('page', '/sorry' . chat_uri(), chat('page'),
    mock => { gate => 'page', status => 500 });
@crowd = follow(5, '/sorry' . chat_uri(), chat('page'));
$mock->next({ status => 500 });
$mock->release('page');
is($_->response->body, 'sorry', 'error page') for $leader, @crowd;
is($mock->count - $calls, 2, 'error page: two calls');
grounded('error page');

# the leader's client is gone, and then the last follower

for my $keep (0, 1) {
    my $name = "gone $keep";
    my @gone = (chat_uri(), chat($name, stream => json_true));

    $calls = $mock->aborted;
    $leader = lead($name, @gone, mock => { hold => [2, $name],
        pace => 0.02, repeat => 40 });
    @crowd = follow(2, @gone);
    $leader->close;
    pause(0.1);
    (pop @crowd)->close;
    (pop @crowd)->close if !$keep;
    pause(0.1);
    $mock->release($name);
    ok($_->response->complete, "$name: the other one is served") for @crowd;
    grounded($name);
    is($mock->aborted - $calls, $keep ? 0 : 1, "$name: the call");
}

# a follower that has left does something else by then

my @acted = ('/acted' . chat_uri(), chat('acted'));

$leader = lead('acted', @acted, mock => { gate => 'acted' });
($late) = follow(1, @acted, mock => { gate => 'action' });
$calls = $mock->aborted;
$late->close;
ok($mock->wait_for(sub { $mock->waiting('action') }),
    'post_action: a follower has left');
$mock->release('acted');
is($leader->response->status, 200, 'post_action: the leader');
pause(0.1);
$mock->release('action');
pause(0.1);
is($mock->aborted - $calls, 0, 'post_action: not ended with the flight');
grounded('post_action');

# and a leader that has left leads no more

$acted[1] = chat('acted alone');
$leader = lead('acted alone', @acted, mock => { gate => 'acted alone' });
$leader->close;
ok($mock->wait_for(sub { $mock->count('/action') == 3 }),
    'post_action: a leader has left');
is_miss($nginx->post(@acted), 'post_action: the next one');
$mock->release('acted alone');
grounded('post_action, a leader');

# a copy of a call whose client is gone ends before the call does

my @mirrored = ('/mirrored' . chat_uri(), chat('mirrored',
    stream => json_true));

$leader = lead('original', @mirrored, mock => { hold => [2, 'original'] });
ok($mock->wait_for(sub { $mock->waiting('mirror') }), 'mirror: waits');
($late) = follow(1, @mirrored);
ok($late->received(qr/data:/), 'mirror: the follower has a part');
$leader->close;
pause(0.1);
$mock->release('mirror');
pause(0.1);
$mock->release('original');
like($late->response->body, qr/\[DONE\]\n\n\z/,
    'mirror: the follower has all of it');
grounded('mirror');

# a rate that nginx is to keep

my $started = time;

$nginx->post('/rate' . chat_uri(), chat('rate'), mock => { size => 300_000 });
cmp_ok(time - $started, '>=', 1, 'limit_rate counts for a leader');

# an HTTP/2 leader closes its connection while frames wait for it

my $server = nginx(workers => 2, listen => 'http2 sndbuf=8k',
    location => 'llm_cache on;');
my $body = to_json(chat('two', stream => json_true));
my @h2 = map { LLMTest::Http2->new($server->port) } 1, 2;
my %field = (authorization => 'Bearer sk-test');

$calls = $mock->count;
$h2[0]->request(chat_uri(), $body, %field, 'x-mock' => to_json({
    hold => [2, 'two'], size => 1_000_000, pace => 0.001 }));
$mock->wait_for(sub { $mock->waiting('two') });

my $stream = $h2[1]->request(chat_uri(), $body, %field);

pause(0.3);
$mock->release('two');
pause(0.3);
$h2[0]->close;
like(($h2[1]->bodies($stream))[0] // '', qr/\[DONE\]\n\n\z/,
    'HTTP/2: the follower has the whole answer');
is($mock->count - $calls, 1, 'HTTP/2: one call');

finish();
