# Flights beside everything else that nginx does with requests and answers.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Crowd;

my $mock = mock();

my %conf = (workers => 2, main => 'worker_rlimit_nofile 8192;',
    http => <<'END', server => <<'END2');
    llm_cache_zone zone=shards:4m shards=4 compress=on;
    proxy_cache_path %PREFIX%/cache keys_zone=files:1m;
    upstream several { server 127.0.0.1:1 max_fails=0; server %MOCK%; }
END
    llm_cache on;
    llm_cache_namespace all;
    location = /zone {
        return 200 "$llm_cache_zone_followers $llm_cache_zone_flying";
    }
    location /shards/ {
        llm_cache on zone=shards;
        proxy_pass http://llm;
    }
    location = /shards/zone {
        llm_cache on zone=shards;
        return 200 "$llm_cache_zone_followers $llm_cache_zone_flying";
    }
    location /gzip/ {
        gzip on;
        gzip_types application/json text/event-stream;
        gzip_min_length 1;
        proxy_pass http://llm;
    }
    location /sub/ {
        sub_filter wasn XXXX;
        sub_filter_once off;
        sub_filter_types application/json text/event-stream;
        proxy_pass http://llm;
    }
    location /stored/ {
        proxy_store %PREFIX%/stored$uri;
        proxy_pass http://llm;
    }
    location /files/ {
        proxy_cache files;
        proxy_cache_methods POST;
        proxy_cache_key $request_body;
        proxy_cache_valid 200 1m;
        client_body_buffer_size 64k;
        proxy_pass http://llm;
    }
    location /several/ {
        proxy_next_upstream error timeout http_500 non_idempotent;
        proxy_pass http://several;
    }
    location /page/ {
        proxy_intercept_errors on;
        error_page 500 =503 /page.html;
        proxy_pass http://llm;
    }
    location = /page.html {
        internal;
        return 200 "sorry";
    }
END2

my $nginx = nginx(%conf);

sub zone {
    my ($prefix) = @_;

    my ($followers, $flying) = split ' ', $nginx->get("$prefix/zone")->body;

    return { followers => $followers, flying => $flying };
}

sub ask {
    my (@request) = @_;

    my $client = $nginx->client;

    $client->send($nginx->request_text(@request));

    return $client;
}

# the same request by several at once; their answers, the leader's first

sub fly {
    my ($name, $n, $request, %option) = @_;

    my ($uri, $body, %more) = @$request;
    my $zone = $option{zone} // '';
    my $before = zone($zone)->{followers};
    my $leader = ask($uri, $body, %more, mock => { %{$option{mock} // {}},
        gate => $name });

    $mock->wait_for(sub { $mock->waiting($name) });

    my @followers = map { ask($uri, $body, %more) } 1 .. $n;

    $nginx->wait_until(sub { zone($zone)->{followers} >= $before + $n });
    $mock->release($name);

    my @answers = map { $_->response } $leader, @followers;

    ok($nginx->wait_until(sub { zone($zone)->{flying} == 0 }),
        "$name: no flight left");

    return @answers;
}

for my $prefix ('', '/shards', '/sub', '/stored', '/files', '/several') {
    for my $form (qw(JSON stream)) {
        my $name = "$form $prefix";
        my @more = $form eq 'stream' ? (stream => json_true) : ();
        my $calls = $mock->count;
        my ($first, @others) = fly($name, 5, [$prefix . chat_uri(),
            chat($name, @more)], mock => { repeat => 40 },
            zone => $prefix eq '/shards' ? $prefix : '');

        is(join(' ', map { $_->cache } $first, @others),
            join(' ', 'MISS', ('SHARED') x 5), "$name: shared");
        is((grep { $_->complete && $_->body eq $first->body } @others), 5,
            "$name: equal");
        like($first->body, $prefix eq '/sub' ? qr/XXXX't/ : qr/wasn't/,
            "$name: its text");
        is($mock->count - $calls, 1, "$name: one call");
        is($nginx->post($prefix . chat_uri(), chat($name, @more))->body,
            $first->body, "$name: the same from the cache");
    }
}

# nginx packs what goes to each client

for my $form (qw(JSON stream)) {
    my $name = "gzip $form";
    my @request = ('/gzip' . chat_uri(), chat($name,
        $form eq 'stream' ? (stream => json_true) : ()));
    my @answers = fly($name, 3, [@request,
        headers => { 'Accept-Encoding' => 'gzip' }], mock => { repeat => 40 });
    my $plain = $nginx->post(@request);

    require IO::Uncompress::Gunzip;

    for my $answer (@answers) {
        my $packed = $answer->body;

        is($answer->header('Content-Encoding'), 'gzip', "$name: packed");
        IO::Uncompress::Gunzip::gunzip(\$packed, \my $text);
        is($text, $plain->body, "$name: the same text");
    }
}

# errors of the provider, and nginx's pages in place of them

{
    my @answers = fly('page', 4, ['/page' . chat_uri(), chat('page')],
        mock => { status => 500, body => '{"error":1}' });

    is($answers[0]->body, 'sorry', 'page: for the leader');
    is((grep { $_->complete && $_->body =~ /^\{"id"/ } @answers[1 .. 4]), 4,
        'page: followers have the answer to another call');
}

# connections that go on: after a shared answer, with requests in a row

{
    my $before = zone('')->{followers};
    my $body = chat('pipelined', stream => json_true);
    my $leader = ask(chat_uri(), $body, mock => { gate => 'pipelined' });

    $mock->wait_for(sub { $mock->waiting('pipelined') });

    my $client = $nginx->client;

    $client->send($nginx->request_text(chat_uri(), $body) x 2
        . $nginx->request_text(chat_uri(), chat('another')));
    $nginx->wait_until(sub { zone('')->{followers} > $before });
    $mock->release('pipelined');

    my $first = $leader->response;
    my @answers = map { $client->response } 1 .. 3;

    is(join(' ', map { $_->cache } @answers), 'SHARED HIT MISS',
        'pipelined: in order');
    is($answers[$_]->body, $first->body, 'pipelined: equal') for 0, 1;
    $client->send($nginx->request_text(chat_uri(), $body));
    is_hit($client->response, $first, 'pipelined: the connection goes on');
    $leader->send($nginx->request_text(chat_uri(), $body));
    is_hit($leader->response, $first, "pipelined: so does the leader's");
}

# HTTP/1.0: a body that ends with the connection could not show that it was
# cut, so that it waits for the end

for my $cut (0, 1) {
    my $name = "1.0 $cut";
    my @answers = fly($name, 2, [chat_uri(), chat($name, stream => json_true),
        version => '1.0'], mock => $cut ? { cut => 700 } : {});

    is((grep { $_->complete && $_->body =~ /\[DONE\]\n\n\z/ }
        @answers[1, 2]), 2, "$name: whole answers for those who follow");
}

# reload in the middle of a flight: a leader of the old generation, followers
# of the new one

for my $form (qw(JSON stream)) {
    my $name = "reload $form";
    my @request = (chat_uri(), chat($name,
        $form eq 'stream' ? (stream => json_true) : ()));
    my $calls = $mock->count;
    my $leader = ask(@request, mock => { hold => [$form eq 'stream' ? 3 : 0,
        $name] });

    $mock->wait_for(sub { $mock->waiting($name) });

    my $before = zone('')->{followers};
    my @old = map { ask(@request) } 1, 2;

    $nginx->wait_until(sub { zone('')->{followers} >= $before + 2 });
    ok($nginx->reload, "$name: reloaded");

    my @new = map { ask(@request) } 1 .. 4;

    $nginx->wait_until(sub { zone('')->{followers} >= $before + 6 });
    is(zone('')->{flying}, 1, "$name: one flight");
    $mock->release($name);

    my $first = $leader->response;

    ok($first->complete, "$name: the leader");

    for (@old, @new) {
        my $response = $_->response;

        is($response->body, $first->body, "$name: equal");
        is($response->cache, 'SHARED', "$name: shared");
    }

    is($mock->count - $calls, 1, "$name: one call");
}

# different callers never share: the credentials are in each answer's key

{
    my @names = map { join '', map { ('a' .. 'd', ' ', ',', '=')[rand 7] }
        1 .. 1 + int rand 6 } 1 .. 12;
    my %seen;

    @names = grep { /^\S.*\S$/ && !$seen{$_}++ } @names, qw(aa ab);

    my $calls = $mock->count;
    my %clients;

    for my $round (1 .. 5) {
        for my $header (qw(Authorization x-api-key api-key)) {
            for my $name (@names) {
                push @{$clients{"$header: $name"}}, ask(chat_uri(),
                    chat('scope'), mock => { delay => 0.5 }, headers => {
                        Authorization => undef, $header => $name });
            }
        }
    }

    my %bodies;

    for my $who (keys %clients) {
        my %own = map { $_->response->body => 1 } @{$clients{$who}};

        is(scalar keys %own, 1, "scope: one answer for $who");
        $bodies{$_}++ for keys %own;
    }

    is(scalar keys %bodies, 3 * @names, 'scope: of his own');
    is($mock->count - $calls, 3 * @names, 'scope: a call for each');
}

# nginx quits gracefully while others wait: they get the answer

{
    my $before = zone('')->{followers};
    my @stream = (chat_uri(), chat('quit', stream => json_true));
    my $leader = ask(@stream, mock => { hold => [3, 'quit'] });

    $mock->wait_for(sub { $mock->waiting('quit') });

    my @waiting = map { ask(@stream) } 1 .. 4;

    $nginx->wait_until(sub { zone('')->{followers} >= $before + 4 });
    kill 'QUIT', $nginx->{master};
    $nginx->wait_until(sub { !$nginx->worker_pids });
    $mock->release('quit');

    my $first = $leader->response;

    ok($first->complete, 'quit: the leader');
    is($_->response->body, $first->body, 'quit: who follows') for @waiting;
}

finish();
