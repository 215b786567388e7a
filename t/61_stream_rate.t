# llm_cache_stream_rate: hits are sent event by event.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

# one URI, so that all share one record

my $nginx = nginx(workers => 2, listen => 'sndbuf=16k',
    http => 'llm_cache_zone zone=plain:8m; llm_cache_zone zone=packed:8m'
        . ' compress=on;', server => <<'END', location => <<'END2');
    llm_cache on zone=plain;
    llm_cache_namespace all;
    location /packed/ {
        llm_cache on zone=packed;
        llm_cache_stream_rate 2000;
        proxy_pass http://llm;
    }
END
    if ($http_x_rate = slow) {
        llm_cache_stream_rate 1;
        proxy_pass http://llm;
    }
    if ($http_x_rate = fast) {
        llm_cache_stream_rate 200;
        proxy_pass http://llm;
    }
    if ($http_x_rate = marked) {
        llm_cache_stream_rate 1000000;
        llm_cache_mark on;
        proxy_pass http://llm;
    }
END2

sub at {
    my ($rate, $uri, $body, %more) = @_;

    return ($uri, $body, headers => { %{$more{headers} // {}},
        'X-Rate' => $rate });
}

my %body = (chat => [chat_uri(), chat('rate', stream => json_true)],
    anthropic => ['/v1/messages', dialect('anthropic')->{body}->('rate',
        stream => json_true)],
    ollama => ['/api/chat', dialect('ollama chat')->{body}->('rate')],
    gemini => [dialect('gemini stream')->{uri},
        dialect('gemini stream')->{body}->('rate')]);

for my $name (sort keys %body) {
    my ($uri, $body) = @{$body{$name}};
    my $first = $nginx->post(at('slow', $uri, $body));

    is_miss($first, "$name: a miss is not paced");

    my ($begin) = $name eq 'ollama' ? $first->body =~ /^(.*\n)/
        : $first->body =~ /^(.*?\r?\n\r?\n)/s;
    my $client = $nginx->client;

    $client->send($nginx->request_text(at('slow', $uri,
        $body)));
    ok($client->received(qr/\Q$begin\E/), "$name: the first event comes");
    unlike($client->buffer, qr/\Q$begin\E.*\S/s, "$name: alone");
    like($client->buffer, qr/X-LLM-Cache: HIT/, "$name: of a hit");
    $client->close;

    for my $rate (qw(fast marked off)) {
        my $hit = $nginx->post(at($rate, $uri, $body));

        is($hit->cache, 'HIT', "$name, $rate: hit");
        ok($hit->complete, "$name, $rate: framed");
        is($hit->body =~ s/,"cache":true//r, $first->body,
            "$name, $rate: the same bytes in the end");
    }
}

# the second event comes without anybody's doing

my $client = $nginx->client;
my ($two) = $nginx->post(at('off', chat_uri(), $body{chat}[1]))->body
    =~ /^((?:.*?\n\n){2})/s;

$client->send($nginx->request_text(at('slow', chat_uri(), $body{chat}[1])));
ok($client->received(qr/\Q$two\E/), 'the second event comes');
unlike($client->buffer, qr/\[DONE\]/, 'before the last');
$client->close;

# several on one connection, over HTTP/1.0, of another form

$client = $nginx->client;

for (1 .. 3) {
    $client->send($nginx->request_text(at('fast', chat_uri(),
        $body{chat}[1])));
    is($client->response->cache, 'HIT', "keep-alive $_");
}

$client->close;

my $hit = $nginx->post(at('fast', chat_uri(), $body{chat}[1]),
    version => '1.0');

like($hit->body, qr/\[DONE\]/, 'HTTP/1.0');

my $json = $nginx->post(at('slow', chat_uri(), chat('JSON')));

is_hit($nginx->post(at('slow', chat_uri(), chat('JSON'))), $json,
    'JSON comes at once');

$hit = $nginx->post(at('fast', chat_uri(), chat('JSON',
    stream => json_true)));
is($hit->cache, 'HIT', 'JSON as a stream: hit');
like($hit->body, qr/\[DONE\]\n\n$/, 'JSON as a stream: to its end');

# a packed record has no events: it is sent plain

my @packed = ('/packed' . chat_uri(), chat('packed', stream => json_true));
my $plain = $nginx->post(@packed, mock => { repeat => 60 });

$nginx->post('/packed' . chat_uri(), chat('after'));
pause(0.2);
$hit = $nginx->post(@packed, headers => { 'Accept-Encoding' => 'gzip' });
is($hit->cache, 'HIT', 'packed: hit');
is($hit->header('Content-Encoding'), undef, 'packed: plain');
is($hit->body, $plain->body, 'packed: the same bytes');

# a client that reads late is sent the rest, and is heard afterwards

my @late = at('marked', chat_uri(), chat('late', stream => json_true));
my $whole = $nginx->post(@late, mock => { repeat => 8000 });

$client = $nginx->client;

for (1 .. 2) {
    $client->send($nginx->request_text(@late));
    pause(0.3);
    $hit = $client->response;

    ok($hit->body =~ s/,"cache":true//r eq $whole->body,
        "late, $_: all of it");
}

$client->close;

# clients that leave

for (1 .. 8) {
    my $gone = $nginx->client;

    $gone->send($nginx->request_text(at('slow', chat_uri(), $body{chat}[1])));
    $gone->received(qr/HIT/) if $_ % 2;
    $gone->close;
}

is($nginx->post(at('off', chat_uri(), $body{chat}[1]))->cache, 'HIT',
    'others are served');

finish();
