# llm_cache observe with bodies that a thread reads: the request does not wait
# for it, and may have ended long before.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache observe;', server => <<'END');
    client_max_body_size 16m;
    client_body_buffer_size 16m;
    location /api { llm_cache_api; }
    location /quick/ {
        llm_cache observe;
        proxy_pass http://127.0.0.1:%PORT%/words/;
    }
    location /words/ { llm_cache off; return 200 "{}"; }
END

my $serial = 0;

sub large {
    my $first = to_json('number ' . ++$serial);

    return qq({"model":"m","messages":[{"role":"user","content":$first})
        . ',{"role":"user","content":"another one"}' x 120_000 . ']}';
}

sub observed {
    return $nginx->get('/api/status')->json->{zones}[0]{observed};
}

# an answer that does not wait for the body

for my $round (1 .. 3) {
    my $answer = $nginx->post('/quick' . chat_uri(), large(), headers =>
        { Connection => 'close' });

    is($answer->body, '{}', 'the answer');

    my $client = $nginx->client;

    $client->send($nginx->request_text('/quick' . chat_uri(), large()));
    is($client->response->body, '{}', 'the answer, on a connection to keep');
    $client->send("GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    is($client->response->status, 200, 'the next one');

    # and who leaves while the body is read

    my $leaves = $nginx->client;

    $leaves->send($nginx->request_text(chat_uri(), large(),
        mock => { gate => "left$round" }));
    $leaves->close;
    $mock->release("left$round");
}

# an answer that takes longer

my $body = large();

for my $status (qw(MISS HIT HIT)) {
    my $before = observed()->{requests}{$status};
    my $client = $nginx->client;

    $client->send($nginx->request_text(chat_uri(), $body,
        mock => { gate => "slow$serial" }));
    $mock->wait_for(sub { $mock->waiting("slow$serial") });
    pause(0.5);
    $mock->release("slow$serial");
    is($client->response->status, 200, 'the answer');
    $client->close;

    ok($nginx->wait_until(sub {
        observed()->{requests}{$status} == $before + 1
    }), "would be a $status");
    $serial++;
}

finish();
