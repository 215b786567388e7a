# Answers past their lifetime: in the place of an error, and during a refresh.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(workers => 2, no_location => 1,
    http => <<'END', server => <<'END2');
    map $http_x_dead $backend {
        default %MOCK%;
        1 127.0.0.1:1;
    }
    map $http_x_brief $valid {
        default 1h;
        1 1s;
    }
    gzip_types application/json;
END
    llm_cache on;
    llm_cache_valid $valid;
    llm_cache_namespace all;
    error_page 502 /sorry;
    location = /sorry {
        return 200 sorry;
    }
    location = /zone {
        return 200 "$llm_cache_zone_flying $llm_cache_zone_flights";
    }
    location /errors/ {
        llm_cache_use_stale error timeout http_403 http_404 http_429 http_500
            http_502 http_503 http_504 http_529;
        proxy_read_timeout 1s;
        gzip on;
        proxy_pass http://$backend;
    }
    location /errors/marked/ {
        llm_cache_use_stale error;
        llm_cache_mark on;
        proxy_pass http://$backend;
    }
    location /some/ {
        llm_cache_use_stale http_500 timeout;
        proxy_pass http://$backend;
    }
    location /intercept/ {
        llm_cache_use_stale http_500;
        proxy_intercept_errors on;
        error_page 500 /sorry;
        proxy_pass http://$backend;
    }
    location /fallback/ {
        llm_cache_use_stale error http_503;
        error_page 502 = @second;
        proxy_pass http://$backend;
    }
    location @second {
        proxy_pass http://llm;
    }
    location /brief/ {
        llm_cache_use_stale error;
        llm_cache_stale 1s;
        proxy_pass http://$backend;
    }
    location /updating/ {
        llm_cache_use_stale updating;
        proxy_pass http://llm;
    }
    location /unlocked/ {
        llm_cache_use_stale updating;
        llm_cache_lock off;
        proxy_pass http://llm;
    }
    location /background/ {
        llm_cache_use_stale updating error http_500;
        llm_cache_background_update on;
        gzip on;
        proxy_pass http://llm;
    }
    location /background/slow/ {
        llm_cache_use_stale updating;
        llm_cache_background_update on;
        limit_rate 200k;
        proxy_pass http://llm;
    }
    location /off/ {
        llm_cache_use_stale off;
        proxy_pass http://$backend;
    }
END2

my @DEAD = (headers => { 'X-Dead' => 1 });

my %first;

sub uri { my ($location) = @_; return "/$location" . chat_uri() }

sub ask {
    my ($location, $prompt, %option) = @_;

    my %body = %{delete $option{body} // {}};

    return $nginx->post(uri($location), chat($prompt, %body), %option);
}

sub prime {
    my ($location, @prompts) = @_;
    my %option = ref $prompts[-1] ? %{pop @prompts} : ();

    for my $prompt (@prompts) {
        my %body = $prompt =~ /stream/ ? (stream => json_true) : ();

        $first{$location}{$prompt} = ask($location, $prompt,
            body => \%body, headers => { 'X-Brief' => 1 }, %option);
        is_miss($first{$location}{$prompt}, "$location, $prompt");
    }

    return;
}

sub is_old {
    my ($response, $location, $prompt, $status, $name) = @_;

    my $first = $first{$location}{$prompt};

    is($response->status, 200, "$name: 200");
    is($response->cache, $status, "$name: $status");
    is($response->body, $first->body, "$name: the old answer");
    ok($response->complete, "$name: complete");
    is($response->header('Content-Type'), $first->header('Content-Type'),
        "$name: its type");
    like($response->header('Age') // '', qr/^\d+$/, "$name: Age");
    like($response->header('Cache-Status'),
        qr/^llm-cache; hit; ttl=(?:0|-\d+); detail="stale"; key="\w{64}"$/,
        "$name: Cache-Status");

    return;
}

sub grounded {
    my ($name) = @_;

    ok($nginx->wait_until(sub { $nginx->get('/zone')->body =~ /^0 / }),
        "$name: nothing is left of the flight");

    return;
}

my @STATUSES = (403, 404, 429, 500, 502, 503, 504, 529);

prime('errors', @STATUSES, 'stream 429', qw(dead timeout crowd slow packed
    no-cache max-age cut));
prime('errors/marked', 'dead');
prime('some', qw(500 429 dead));
prime('intercept', '500');
prime('fallback', qw(dead 503));
prime('brief', 'dead');
prime('updating', qw(json stream));
prime('unlocked', 'json');
prime('background', qw(json stream old left error refused));
prime('background/slow', 'broken', { mock => { size => 300_000 } });
prime('off', 'dead');
pause(2.1);

# what the upstream answers

for my $status (@STATUSES) {
    my $answer = ask('errors', $status, mock => { status => $status,
        body => '{"error":{"message":"no"}}',
        headers => [['Retry-After', 5]] });

    is_old($answer, 'errors', $status, 'STALE', $status);
    is($answer->header('Retry-After'), undef, "$status: no other's headers");
}

is_old(ask('errors', 'stream 429', body => { stream => json_true },
    mock => { status => 429, body => '{"error":{}}' }), 'errors',
    'stream 429', 'STALE', 'stream');

my $line = $nginx->logged(ask('errors', 429, mock => { status => 429 }));

is($line->{tier}, 'memory', 'tier');
is($line->{reason}, '', 'reason');
is($line->{ttl}, 0, 'ttl');
cmp_ok($line->{saved_tokens}, '>', 0, 'saved tokens');

my $answer = ask('errors', 'packed', headers => {
    'Accept-Encoding' => 'gzip' }, mock => { status => 500, body => 'x' });

is($answer->header('Content-Encoding'), 'gzip', "nginx's gzip works on it");
is($answer->cache, 'STALE', 'gzip: STALE');

# an error whose body does not come to its end

my $slow = $nginx->client;

$slow->send($nginx->request_text(uri('errors'), chat('slow'), mock => {
    status => 500, body => ['{"error":', '{}}'], hold => [1, 'slow'] }));
is_old($slow->response, 'errors', 'slow', 'STALE', 'slow error');
$mock->release('slow');

is_old(ask('errors', 'cut', mock => { status => 500, cut => 3,
    body => '{"error":{}}' }), 'errors', 'cut', 'STALE', 'cut error');

# what nginx says by itself

is_old(ask('errors', 'dead', @DEAD), 'errors', 'dead', 'STALE',
    'no connection');
is_old(ask('errors', 'timeout', mock => { gate => 'timeout' }), 'errors',
    'timeout', 'STALE', 'timeout');
$mock->release('timeout');

# and of what may be said of it

$answer = ask('errors/marked', 'dead', @DEAD);
is($answer->cache, 'STALE', 'marked: STALE');
is($nginx->logged($answer)->{code}, 200, 'marked: $status');
ok($answer->json->{cache}, 'marked');

is_old(ask('some', '500', mock => { status => 500 }), 'some', '500',
    'STALE', 'listed');
is(ask('some', '429', mock => { status => 429 })->status, 429, 'not listed');
$answer = ask('some', 'dead', @DEAD);
is($answer->body, 'sorry', 'not listed: the error page');

is_old(ask('intercept', '500', mock => { status => 500 }), 'intercept',
    '500', 'STALE', 'before error_page');
$answer = ask('fallback', 'dead', @DEAD);
is($answer->status, 200, 'a second upstream');
isnt($answer->body, $first{fallback}{dead}->body,
    'a second upstream: is asked');
$mock->next({ status => 503 });
is_old(ask('fallback', '503', @DEAD), 'fallback', '503', 'STALE',
    'a second upstream fails, too');

$answer = ask('brief', 'dead', @DEAD);
is($answer->body, 'sorry', 'llm_cache_stale');
$answer = ask('off', 'dead', @DEAD);
is($answer->body, 'sorry', 'off');
is(ask('errors', 'never seen', mock => { status => 503 })->status, 503,
    'no old answer');

# what the client wants

is(ask('errors', 'no-cache', headers => { 'Cache-Control' => 'no-cache' },
    mock => { status => 503 })->status, 503, 'no-cache');
is(ask('errors', 'max-age', headers => { 'Cache-Control' => 'max-age=1' },
    mock => { status => 503 })->status, 503, 'max-age');
is_old(ask('errors', 'max-age', headers => {
    'Cache-Control' => 'max-age=1000' }, mock => { status => 503 }),
    'errors', 'max-age', 'STALE', 'max-age, longer');

# who waits for the one that fails

my $calls = $mock->count;
my $leader = $nginx->client;

$leader->send($nginx->request_text(uri('errors'), chat('crowd'),
    mock => { gate => 'crowd', status => 429, body => '{"error":{}}' }));
$mock->wait_for(sub { $mock->waiting('crowd') });

my @crowd = map { my $client = $nginx->client;
    $client->send($nginx->request_text(uri('errors'), chat('crowd')));
    $client } 1 .. 10;

pause(0.2);
$mock->release('crowd');
is_old($_->response, 'errors', 'crowd', 'STALE', 'crowd') for $leader, @crowd;
is($mock->count - $calls, 1, 'crowd: one call');
grounded('crowd');

# the upstream is well again

$answer = ask('errors', 500);
is($answer->cache, 'EXPIRED', 'afterwards: a fresh answer');
is_hit(ask('errors', 500), $answer, 'afterwards: stored');

# while another request fetches the answer

for my $prompt ('json', 'stream') {
    my %body = $prompt eq 'stream' ? (stream => json_true) : ();

    $calls = $mock->count;
    $leader = $nginx->client;
    $leader->send($nginx->request_text(uri('updating'), chat($prompt, %body),
        mock => { gate => "updating $prompt" }));
    $mock->wait_for(sub { $mock->waiting("updating $prompt") });
    is_old(ask('updating', $prompt, body => \%body), 'updating', $prompt,
        'UPDATING', "updating $prompt") for 1 .. 3;
    $mock->release("updating $prompt");
    $answer = $leader->response;
    is($answer->cache, 'EXPIRED', "updating $prompt: the leader");
    is_hit(ask('updating', $prompt, body => \%body), $answer,
        "updating $prompt: afterwards");
    is($mock->count - $calls, 1, "updating $prompt: one call");
}

$leader = $nginx->client;
$leader->send($nginx->request_text(uri('unlocked'), chat('json'),
    mock => { gate => 'unlocked' }));
$mock->wait_for(sub { $mock->waiting('unlocked') });
is_old(ask('unlocked', 'json'), 'unlocked', 'json', 'UPDATING',
    'without lock');

$mock->release('unlocked');
$leader->response;
grounded('updating');

# in the background

for my $prompt ('json', 'stream') {
    my %body = $prompt eq 'stream' ? (stream => json_true) : ();

    $calls = $mock->count;
    $mock->next({ gate => "background $prompt" });

    for my $round (1 .. 3) {
        $answer = ask('background', $prompt, body => \%body,
            headers => { 'Accept-Encoding' => 'identity' });
        is_old($answer, 'background', $prompt, 'UPDATING',
            "background $prompt $round");
        is($answer->header('Connection') // '', $round == 1 ? 'close'
            : 'keep-alive', "background $prompt $round: connection");
    }

    is($mock->count - $calls, 1, "background $prompt: one call");
    $mock->release("background $prompt");
    grounded("background $prompt");
    $answer = ask('background', $prompt, body => \%body);
    is($answer->cache, 'HIT', "background $prompt: refreshed");
    isnt($answer->body, $first{background}{$prompt}->body,
        "background $prompt: a new answer");
    is($mock->count - $calls, 1, "background $prompt: still one call");
}

is($nginx->post(uri('background'), chat('old'), version => '1.0')->cache,
    'EXPIRED', 'background: not for HTTP/1.0');

# the client does not wait for it

$mock->next({ gate => 'left' });

my $client = $nginx->client;

$client->send($nginx->request_text(uri('background'), chat('left')));
is_old($client->response, 'background', 'left', 'UPDATING', 'left');
$client->close;
$mock->wait_for(sub { $mock->waiting('left') });
pause(0.1);
$mock->release('left');
grounded('left');
is(ask('background', 'left')->cache, 'HIT', 'left: refreshed all the same');

# a refresh that fails, and one whose answer may not be stored

for my $case (['error', status => 500, body => '{"error":{}}'],
    ['refused', headers => [['Cache-Control', 'no-store']]],
    ['refused', finish => 'filter'], ['refused', cut => 100]) {
    my ($prompt, %mock) = @$case;

    $mock->next(\%mock);
    is_old(ask('background', $prompt), 'background', $prompt, 'UPDATING',
        "@$case[0, 1]");
    grounded("@$case[0, 1]");
}

# one whose answer breaks off while the client still reads the old one

$mock->next({ framing => 'raw', body => qq(8\r\n{"data":\r\nzz\r\n),
    headers => [['Transfer-Encoding', 'chunked']] });
is_old(ask('background/slow', 'broken'), 'background/slow', 'broken',
    'UPDATING', 'broken');
grounded('broken');

is(ask('background', 'error')->cache, 'UPDATING', 'and again');
grounded('again');
is(ask('background', 'error')->cache, 'HIT', 'and it is there');

finish();
