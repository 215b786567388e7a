# Simultaneous equal requests cost one upstream call.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(workers => 2,
    allow => qr{exited on signal 9|was locked by}, server => <<'END');
    llm_cache on;
    llm_cache_namespace all;
    location = /zone {
        set $counts "$llm_cache_zone_flights $llm_cache_zone_followers";
        set $counts "$counts $llm_cache_zone_takeovers";
        return 200 "$counts $llm_cache_zone_flying $llm_cache_zone_free";
    }
    location /nolock/ {
        llm_cache_lock off;
        proxy_pass http://llm;
    }
    location /short/ {
        llm_cache_lock_timeout 300ms;
        proxy_pass http://llm;
    }
    location /keep/ {
        llm_cache_ignore_client_abort on;
        proxy_pass http://llm;
    }
    location /linger/ {
        lingering_close always;
        lingering_timeout 60s;
        lingering_time 60s;
        proxy_pass http://llm;
    }
    location /novalid/ {
        llm_cache_valid 0;
        proxy_pass http://llm;
    }
END

my @NAMES = qw(flights followers takeovers flying free);

sub zone {
    my %zone;

    @zone{@NAMES} = split ' ', $nginx->get('/zone')->body;

    return \%zone;
}

sub follow {
    my ($n) = @_;

    return $nginx->wait_until(sub { zone()->{followers} >= $n });
}

sub grounded {
    my ($name) = @_;

    ok($nginx->wait_until(sub { zone()->{flying} == 0 }),
        "$name: nothing is left of the flight");

    return;
}

sub ask {
    my (@request) = @_;

    my $client = $nginx->client;

    $client->send($nginx->request_text(@request));

    return $client;
}

# a leader whose answer waits in the provider, and those who follow it

sub crowd {
    my ($n, $gate, $uri, $body, %mock) = @_;

    my $before = zone()->{followers};
    my $leader = ask($uri, $body, mock => \%mock);

    $mock->wait_for(sub { $mock->waiting($gate) });

    my @clients = map { ask($uri, $body) } 1 .. $n;

    follow($before + $n);

    return ($leader, @clients);
}

# a whole answer

my $calls = $mock->count;
my ($leader, @followers) = crowd(20, 'json', chat_uri(), chat('json'),
    gate => 'json');

is(zone()->{flying}, 1, 'JSON: one flight');
$mock->release('json');

my $answer = $leader->response;

is_miss($answer, 'JSON: the leader');

for (@followers) {
    my $response = $_->response;

    is($response->body, $answer->body, 'JSON: the same answer');
    is($response->cache, 'SHARED', 'JSON: marked');
    like($response->header('Cache-Status'),
        qr/^llm-cache; fwd=uri-miss; collapsed; key="\w{64}"$/,
        'JSON: Cache-Status');
    is($response->header('Content-Length'), length $answer->body,
        'JSON: with its length');
}

is($mock->count - $calls, 1, 'JSON: one call');
is_hit($nginx->post(chat_uri(), chat('json')), $answer, 'JSON: stored');
grounded('JSON');

# a stream: late ones get what is there, then what comes

$calls = $mock->count;
my @stream = (chat_uri(), chat('stream', stream => json_true));

$leader = ask(@stream, mock => { hold => [3, 'stream'] });
ok($leader->received(qr/(?:data: .*\n\n){3}/), 'stream: the leader reads');
$mock->wait_for(sub { $mock->waiting('stream') });
@followers = map { ask(@stream) } 1 .. 20;

ok($_->received(qr/(?:data: .*\n\n){3}/), 'stream: so does a follower')
    for @followers;
unlike($followers[0]->buffer, qr/DONE/, 'stream: which has not ended');

my $old = ask(@stream, version => '1.0');
my $usage = ask(chat_uri(), chat('stream', stream => json_true,
    stream_options => { include_usage => json_true }));

is($usage->response->cache, 'MISS', 'who asks for usage asks on his own');
$mock->release('stream');
$answer = $leader->response;
like($answer->body, qr/\[DONE\]\n\n\z/, 'stream: the leader has it all');

for (@followers, $old) {
    my $response = $_->response;

    is($response->body, $answer->body, 'stream: the same bytes');
    is($response->cache, 'SHARED', 'stream: marked');
    ok($response->complete, 'stream: complete');
}

is($mock->count - $calls, 2, 'stream: one call, and one with usage');
grounded('stream');

# who does not share

for my $other (
    ['another scope', headers => { Authorization => 'Bearer other' }],
    ['no-cache', headers => { 'Cache-Control' => 'no-cache' }],
) {
    my ($name, @more) = @$other;

    $calls = $mock->count;
    ($leader) = crowd(0, $name, chat_uri(), chat($name), gate => $name);
    is($nginx->post(chat_uri(), chat($name), @more)->cache,
        $name eq 'no-cache' ? 'BYPASS' : 'MISS', "$name: on its own");
    $mock->release($name);
    is_miss($leader->response, $name);
    is($mock->count - $calls, 2, "$name: two calls");
}

($leader) = crowd(0, 'cached', chat_uri(), chat('cached'), gate => 'cached');
is($nginx->post(chat_uri(), chat('cached'),
    headers => { 'Cache-Control' => 'only-if-cached' })->status, 504,
    'only-if-cached does not wait');
$mock->release('cached');
$leader->response;

$calls = $mock->count;
($leader) = crowd(0, 'nolock', '/nolock' . chat_uri(), chat('nolock'),
    gate => 'nolock');
is($nginx->post('/nolock' . chat_uri(), chat('nolock'))->cache, 'MISS',
    'llm_cache_lock off');
$mock->release('nolock');
$leader->response;

($leader, my $late) = crowd(1, 'short', '/short' . chat_uri(), chat('short'),
    gate => 'short');
is_miss($late->response, 'llm_cache_lock_timeout');
$mock->release('short');
$leader->response;
grounded('alone');

# a head without a body yet: the timeout is for those who have got nothing

($leader, @followers) = crowd(2, 'begins', '/short' . chat_uri(),
    chat('thinks', stream => json_true), gate => 'begins',
    hold => [0, 'thinks']);
$mock->release('begins');
ok($_->received(qr/\r\n\r\n/), 'thinks: the head') for @followers;
pause(0.6);
$mock->release('thinks');
$answer = $leader->response;
is($_->response->body, $answer->body, 'thinks: the answer') for @followers;
grounded('thinks');

# errors are not multiplied

for my $again (1, 0) {
    $calls = $mock->count;

    my $name = "error$again";

    ($leader, @followers) = crowd(8, $name, chat_uri(), chat($name),
        gate => $name, status => 429, body => '{"error":{"code":1}}',
        headers => [['Retry-After', '7']]);
    $mock->next({ status => 429, body => '{"error":{"code":2}}',
        headers => [['Retry-After', '8']] }) if $again;
    $mock->release($name);
    is($leader->response->json->{error}{code}, 1, 'the first error');

    my @answers = map { $_->response } @followers;

    is(join(' ', map { $_->status } @answers),
        join(' ', ($again ? 429 : 200) x 8), 'the second answer');
    is(join(' ', map { $_->header('Retry-After') } @answers),
        join(' ', (8) x 8), 'its headers') if $again;
    is($mock->count - $calls, 2, 'two calls');
    is((grep { $_->cache eq 'MISS' } @answers), 1, 'one has taken over');
    grounded($name);
}

# what may not be stored is shared with those who wait, and only with them

for my $case (
    ['no-store', chat_uri(), headers => [['Cache-Control', 'no-store']]],
    ['not valid', '/novalid' . chat_uri()],
    ['refused', chat_uri(), finish => 'filter'],
    ['refused stream', chat_uri(), finish => 'filter'],
) {
    my ($name, $uri, %more) = @$case;
    my $body = chat($name, $name =~ /stream/ ? (stream => json_true) : ());

    $calls = $mock->count;
    ($leader, @followers) = crowd(4, $name, $uri, $body, gate => $name,
        %more);
    $mock->release($name);
    $answer = $leader->response;
    is($_->response->body, $answer->body, "$name: shared") for @followers;
    is($mock->count - $calls, 1, "$name: one call");
    is($nginx->post($uri, $body)->cache, 'MISS', "$name: not stored");
    grounded($name);
}

# the provider breaks off; nobody waits for the leader's connection to close

($leader, @followers) = crowd(3, 'cut', '/linger' . chat_uri(),
    chat('cut', stream => json_true), hold => [3, 'cut'], cut => 900);
ok($_->received(qr/data: .*\n\n/), 'cut: a follower reads') for @followers;
$mock->release('cut');

for (@followers) {
    my $response = $_->response;

    ok(!$response->complete && !$response->timed_out,
        'cut: a follower is told');
}

ok(!$leader->response->complete, 'cut: so is the leader');
$_->close for $leader, @followers;
is_miss($nginx->post(chat_uri(), chat('cut', stream => json_true)), 'cut');

($leader, @followers) = crowd(3, 'cut JSON', '/linger' . chat_uri(),
    chat('cut JSON'), gate => 'cut JSON', cut => 100);
$mock->release('cut JSON');
ok($_->response->complete, 'cut: another call for who had nothing')
    for @followers;
ok(!$leader->response->complete, 'cut: not for the leader');
$leader->close;
grounded('cut');

# clients that leave

for my $form ('JSON', 'stream') {
    my $name = "leaves $form";
    my @body = chat($name, $form eq 'stream' ? (stream => json_true) : ());

    $calls = $mock->count;
    ($leader, @followers) = crowd(4, $name, chat_uri(), @body,
        $form eq 'stream' ? (hold => [2, $name]) : (gate => $name));
    (shift @followers)->close;
    $leader->close;
    pause(0.2);
    $mock->release($name);

    my @answers = map { $_->response } @followers;

    ok($_->complete, "$name: complete") for @answers;
    is($_->body, $answers[0]->body, "$name: equal") for @answers;
    is_hit($nginx->post(chat_uri(), @body), $answers[0], "$name: stored");
    is($mock->count - $calls, 1, "$name: one call");
    grounded($name);
}

for my $prefix ('/keep', '') {
    for my $form ('JSON', 'stream') {
        my $name = "alone $form$prefix";
        my @request = ($prefix . chat_uri(), chat($name,
            $form eq 'stream' ? (stream => json_true) : ()));

        $calls = $mock->count;
        ($leader) = crowd(0, $name, @request,
            $form eq 'stream' ? (hold => [2, $name]) : (gate => $name));
        $leader->close;
        pause(0.2);
        $mock->release($name);
        grounded($name);
        is($nginx->post(@request)->cache, $prefix ? 'HIT' : 'MISS',
            "$name: " . ($prefix ? 'kept' : 'dropped'));
    }
}

# a worker is killed under its flight

my @pids = $nginx->worker_pids;

for my $pid (@pids) {
    my $name = "killed $pid";

    $calls = $mock->count;
    ($leader, @followers) = crowd(6, $name, chat_uri(), chat($name),
        gate => $name);
    $mock->next({}, {});
    $nginx->kill_worker($pid);
    $mock->release($name);

    my @answers = map { $_->response } $leader, @followers;
    my @whole = grep { $_->status } @answers;

    ok($_->complete && $_->body =~ /"stop"/, 'killed: complete') for @whole;
    grounded($name);
}

finish();
