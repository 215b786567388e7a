# Providers that compress: what is recorded can be read by every client.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use IO::Uncompress::Gunzip qw(gunzip);

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;', server => <<'END');
    location /unpacking/ {
        llm_cache on;
        gunzip on;
        proxy_pass http://llm;
    }
    location /asking/ {
        llm_cache on;
        proxy_set_header Accept-Encoding gzip;
        proxy_set_header Connection "";
        proxy_pass http://llm;
    }
END

my %READS = ('Accept-Encoding' => 'gzip, deflate, br');

sub text {
    my ($response) = @_;

    return $response->body if !defined $response->header('Content-Encoding');

    my $text;

    gunzip(\$response->body, \$text);

    return $text;
}

for my $stream (json_false, json_true) {
    my $how = $stream ? 'stream' : 'JSON';

    # a provider that compresses for those who accept it

    for my $order ([1, 0, 1], [0, 1, 0]) {
        my $name = "$how, readers " . join '', @$order;
        my @answers = map { $nginx->post(chat_uri(), chat($name,
            stream => $stream), mock => { gzip => 'accept' },
            headers => $_ ? { %READS } : {}) } @$order;

        is_deeply([map { $_->cache } @answers], [qw(MISS HIT HIT)],
            "$name: cached");
        is(text($answers[$_]), text($answers[0]), "$name: bytes of $_")
            for 1, 2;

        for my $at (grep { !$order->[$_] } 0 .. 2) {
            is($answers[$at]->header('Content-Encoding'), undef,
                "$name: plain for $at");
        }
    }

    # one that compresses whatever it is asked

    for my $client ({ %READS }, {}) {
        my $name = "$how, forced, " . (%$client ? 'reader' : 'no reader');
        my @request = (chat_uri(), chat($name, stream => $stream),
            mock => { gzip => 'force' }, headers => $client);
        my $answer = $nginx->post(@request);

        is($answer->header('Content-Encoding'), 'gzip', "$name: as it came");
        is_unharmed($answer, $name);

        my $second = $nginx->post(@request);

        like(text($second), $stream ? qr/^data: / : qr/^\{/,
            "$name: readable again");
        is($nginx->logged($answer)->{reason}, 'response_encoding',
            "$name: reason") if $second->cache ne 'HIT';
        is(text($second), text($answer), "$name: the same bytes")
            if $second->cache eq 'HIT';
    }

    # an operator who has nginx unpack for those who cannot read

    my @unpacked = map { $nginx->post('/unpacking' . chat_uri(),
        chat('unpacking', stream => $stream), mock => { gzip => 'force' },
        headers => $_) } {}, { %READS }, {};

    for my $answer (@unpacked) {
        like(text($answer), $stream ? qr/\[DONE\]\n\n$/ : qr/^\{.*\}$/s,
            "$how, gunzip: readable");
    }

    is($unpacked[$_]->header('Content-Encoding'), undef,
        "$how, gunzip: plain") for 0, 2;

    # an operator who asks the provider to compress

    my @asking = map { $nginx->post('/asking' . chat_uri(), chat('asking',
        stream => $stream), mock => { gzip => 'accept' }, headers => $_) }
        { %READS }, { %READS };

    like(text($_), $stream ? qr/\[DONE\]\n\n$/ : qr/^\{.*\}$/s,
        "$how, asked to compress: readable") for @asking;
}

# what the provider sees of Accept-Encoding

my $asked = sub {
    return LLMTest::Mock::request_header($mock->last_request,
        'Accept-Encoding');
};

$nginx->post(chat_uri(), chat('asked'), headers => { %READS });
unlike($asked->() // '', qr/gzip|deflate|br/, 'cached: no compression');
$nginx->post(chat_uri(), 'no JSON', headers => { %READS });
is($asked->(), $READS{'Accept-Encoding'}, 'left alone: as the client asked');

# TE and Accept are the client's

$nginx->post(chat_uri(), chat('accept'),
    headers => { 'Accept' => 'application/json' });
is(LLMTest::Mock::request_header($mock->last_request, 'Accept'),
    'application/json', 'Accept goes upstream');

# nginx's variables tell what the client sent

my $logging = nginx(location => 'llm_cache on;',
    format => ', "accepts": "$http_accept_encoding"');
my $answer = $logging->post(chat_uri(), chat('log'), headers => { %READS });

is($logging->logged($answer)->{accepts}, $READS{'Accept-Encoding'},
    'the log has the client\'s Accept-Encoding');

finish();
