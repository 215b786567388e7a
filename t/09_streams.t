# Recording never holds a stream back, and what is recorded is what came.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(workers => 2, server => <<'END');
    llm_cache on;
    llm_cache_namespace all;
    proxy_buffering off;
    location /buffered/ {
        proxy_buffering on;
        proxy_pass http://llm;
    }
END

my $gate = 0;

# the client has read $before before the provider sends what comes after

sub passes {
    my ($name, $before, $after, $uri, $body, %mock) = @_;

    my $client = $nginx->client;
    my $gate = 'g' . ++$gate;
    my @request = ($uri, $body);

    $client->send($nginx->request_text(@request, mock => {
        hold => [$mock{events} // 2, $gate], %mock }));
    ok($client->received($before), "$name: the first events come");
    ok($mock->wait_for(sub { $mock->waiting($gate) }),
        "$name: while the provider waits");
    unlike($client->buffer, $after, "$name: the last has not been sent");
    $mock->release($gate);

    my $first = $client->response;

    $client->close;
    is_miss($first, $name);
    like($first->body, $after, "$name: the last comes");
    is_unharmed($first, $name);

    return ($first, @request);
}

sub passes_and_hits {
    my ($name, @rest) = @_;

    my ($first, @request) = passes($name, @rest);
    my $second;

    # the record is there once the last byte is: perhaps a moment later for
    # the other worker

    ok($nginx->wait_until(sub {
        $second = $nginx->post(@request);
        return $second->cache eq 'HIT';
    }), "$name: recorded");
    is($second->body, $first->body, "$name: the same bytes");

    return;
}

my @CHAT = (qr/data: .*\n\ndata: .*\n\n/, qr/\[DONE\]/, chat_uri());

passes_and_hits("chat under $_ framing", @CHAT,
    chat("held $_", stream => json_true), framing => $_)
    for qw(chunked close length);
passes_and_hits('X-Accel-Buffering', @CHAT[0, 1], '/buffered' . chat_uri(),
    chat('accel', stream => json_true),
    headers => [['X-Accel-Buffering', 'no']]);
passes_and_hits('anthropic', qr/event: message_start\n/, qr/message_stop/,
    '/v1/messages', dialect('anthropic')->{body}->('held',
    stream => json_true));
passes_and_hits('ollama', qr/"done":false/, qr/"done":true/, '/api/chat',
    dialect('ollama chat')->{body}->('held'));
passes_and_hits('gemini', qr/data: /, qr/STOP/,
    dialect('gemini stream')->{uri}, dialect('gemini stream')->{body}
    ->('held'));
passes_and_hits('a JSON array', qr/candidates/, qr/STOP/,
    dialect('gemini array')->{uri}, dialect('gemini array')->{body}
    ->('held as an array'));
passes_and_hits('pieces of JSON', qr/"id"/, qr/"stop"/, chat_uri(),
    chat('pieces'), events => 1, framing => 'chunked',
    body => ['{"id":"1",', '"choices":[{"index":0,"message":{"content":"x"},'
    . '"finish_reason":"stop"}]}']);

# a refused one passes as freely

my ($refused) = passes('a stream that is not stored', @CHAT,
    chat('filtered', stream => json_true), finish => 'filter');

like($refused->body, qr/content_filter/, 'a stream that is not stored');

# with buffering on, events that fill nginx's buffers

passes_and_hits('large events under buffering', qr/(?:data: .*\n\n){2}/,
    qr/\[DONE\]/, '/buffered' . chat_uri(), chat('large',
    stream => json_true), size => 40_000, events => 30);

# odd pieces

my $steady = nginx(location => 'llm_cache on;', server =>
    'location /direct/ { llm_cache on; proxy_buffering off;'
    . 'proxy_pass http://llm; }');

for my $prefix ('', '/direct') {
    my %odd = (
        'chunks of one byte' => { chunk => 1, framing => 'chunked' },
        'chunk extensions' => { chunk_ext => ';name="va;lue"',
            framing => 'chunked' },
        'trailers' => { framing => 'chunked',
            trailers => [['X-Trailer', 'yes']] },
        'a long stream' => { size => 600_000 },
        'paced' => { pace => 0.01, text => 'a b c' },
    );

    for my $name (sort keys %odd) {
        for my $stream (json_false, json_true) {
            is_cached($steady, "$name at '$prefix'"
                . ($stream ? ', streamed' : ''), $prefix . chat_uri(),
                chat("odd $name" . ($stream ? ' in pieces' : ''),
                stream => $stream), mock => $odd{$name});
        }
    }
}

# the usage event is there for those who ask for it

sub asked {
    my ($prompt, $usage) = @_;

    return $steady->post(chat_uri(), chat($prompt, stream => json_true,
        ($usage ? (stream_options => { include_usage => json_true }) : ())));
}

my $USAGE = qr/^data: \{[^\n]*"choices":\[\],[^\n]*\}\n\n/m;

my @answers = map { asked('with usage', $_) } 1, 0, 1;

like($answers[0]->body, $USAGE, 'usage: in the first answer');
is($answers[1]->cache, 'HIT', 'usage: a hit for who did not ask');
is($answers[1]->body, $answers[0]->body =~ s/$USAGE//r,
    'usage: without the event');
is_hit($answers[2], $answers[0], 'usage: for who asked');

@answers = map { asked('without usage', $_) } 0, 1, 0, 1;

is_deeply([map { $_->cache eq 'HIT' ? 1 : 0 } @answers], [0, 0, 1, 1],
    'usage: a record without it is a miss for who asks');
is($answers[2]->body, $answers[1]->body =~ s/$USAGE//r,
    'usage: the new answer serves who does not ask');
is($answers[3]->body, $answers[1]->body,
    'usage: the new answer serves who asks');

finish();
