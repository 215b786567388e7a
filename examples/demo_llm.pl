#!/usr/bin/perl

# A pretend LLM provider for trying the cache without a key or a network.
#
#     perl demo_llm.pl PORT
#
# Listens on 127.0.0.1 and answers POST /v1/chat/completions (OpenAI),
# POST /v1/messages (Anthropic), both also with "stream": true,
# POST /v1/embeddings and GET /v1/models.  It "thinks" about 30 ms over every
# word, and no two of its answers are equal, so a cached one is easy to tell.

use strict;
use warnings;

use Digest::SHA qw(sha1 sha1_hex);
use IO::Socket::INET ();
use JSON::PP ();
use Time::HiRes qw(sleep time);

my $THINKING = 0.03;
my $MAX_BODY = 8 << 20;

my $json = JSON::PP->new->utf8->canonical;

my @ANSWERS = (
    'Why did the model cross the road? It had seen the other side in its'
        . ' training data.',
    'There are two hard things in computing: naming things, cache'
        . ' invalidation and off-by-one errors.',
    'I would tell you a joke about caching, but you have heard it before.',
    'A byte walks into a bar. The barman asks: what is wrong? A parity'
        . ' error, says the byte. I see, you look a bit off.',
);

sub id { return $_[0] . substr sha1_hex(join '.', $$, time, rand), 0, 24 }

# the words of an answer, and how many tokens the question had

sub think {
    my ($doc) = @_;

    my $asked = $json->encode($doc->{messages} // []);
    my @words = $ANSWERS[rand @ANSWERS] =~ /(\S+\s*)/g;

    sleep $THINKING * @words if !$doc->{stream};

    return (int(length($asked) / 4) + 1, @words);
}

sub send_head {
    my ($client, $status, $type) = @_;

    print $client "HTTP/1.1 $status\r\nContent-Type: $type\r\n"
        . "Connection: close\r\n\r\n";

    return;
}

sub send_json {
    my ($client, $status, $value) = @_;

    send_head($client, $status, 'application/json');
    print $client $json->encode($value), "\n";

    return;
}

sub send_error {
    my ($client, $status, $message) = @_;

    return send_json($client, $status, { error => { message => $message,
        type => 'invalid_request_error' } });
}

# OpenAI

sub chat {
    my ($client, $doc) = @_;

    my ($in, @words) = think($doc);
    my %head = (id => id('chatcmpl-'), created => int time,
        model => $doc->{model} // 'demo-1');
    my %usage = (prompt_tokens => $in, completion_tokens => scalar @words,
        total_tokens => $in + @words);

    if (!$doc->{stream}) {
        return send_json($client, '200 OK', { %head, usage => \%usage,
            object => 'chat.completion',
            choices => [{ index => 0, finish_reason => 'stop', message => {
                role => 'assistant', content => join '', @words } }] });
    }

    my $chunk = sub {
        print $client 'data: ', $json->encode({ %head,
            object => 'chat.completion.chunk', @_ }), "\n\n";
    };

    my $delta = sub {
        my ($content, $finish) = @_;

        $chunk->(choices => [{ index => 0, delta => $content,
            finish_reason => $finish }]);
    };

    send_head($client, '200 OK', 'text/event-stream');
    $delta->({ role => 'assistant', content => '' });

    for my $word (@words) {
        sleep $THINKING;
        $delta->({ content => $word });
    }

    $delta->({}, 'stop');
    $chunk->(choices => [], usage => \%usage)
        if $doc->{stream_options}{include_usage};
    print $client "data: [DONE]\n\n";

    return;
}

sub embeddings {
    my ($client, $doc) = @_;

    my $input = $doc->{input} // '';
    my @texts = ref $input eq 'ARRAY' ? @$input : ($input);
    my @data = map { { object => 'embedding', index => $_, embedding =>
        [map { $_ / 128 - 1 } unpack 'C16', sha1("$_." . rand)] } }
        0 .. $#texts;

    sleep $THINKING * 5;

    return send_json($client, '200 OK', { object => 'list', data => \@data,
        model => $doc->{model} // 'demo-embed',
        usage => { prompt_tokens => 4 * @texts, total_tokens => 4 * @texts }
    });
}

# Anthropic

sub messages {
    my ($client, $doc) = @_;

    my ($in, @words) = think($doc);
    my %message = (id => id('msg_'), type => 'message', role => 'assistant',
        model => $doc->{model} // 'demo-1', stop_sequence => undef);

    if (!$doc->{stream}) {
        return send_json($client, '200 OK', { %message,
            content => [{ type => 'text', text => join '', @words }],
            stop_reason => 'end_turn', usage => { input_tokens => $in,
                output_tokens => scalar @words } });
    }

    my $event = sub {
        my ($type, %member) = @_;

        print $client "event: $type\ndata: ",
            $json->encode({ type => $type, %member }), "\n\n";
    };

    send_head($client, '200 OK', 'text/event-stream');
    $event->('message_start', message => { %message, content => [],
        stop_reason => undef, usage => { input_tokens => $in,
            output_tokens => 1 } });
    $event->('content_block_start', index => 0,
        content_block => { type => 'text', text => '' });

    for my $word (@words) {
        sleep $THINKING;
        $event->('content_block_delta', index => 0,
            delta => { type => 'text_delta', text => $word });
    }

    $event->('content_block_stop', index => 0);
    $event->('message_delta', usage => { output_tokens => scalar @words },
        delta => { stop_reason => 'end_turn', stop_sequence => undef });
    $event->('message_stop');

    return;
}

sub models {
    my ($client) = @_;

    return send_json($client, '200 OK', { object => 'list', data => [
        map { { id => $_, object => 'model' } } 'demo-1', 'demo-embed'] });
}

my %SERVE = ('POST /v1/chat/completions' => \&chat,
    'POST /v1/messages' => \&messages,
    'POST /v1/embeddings' => \&embeddings, 'GET /v1/models' => \&models);

sub serve {
    my ($client) = @_;

    my ($method, $uri) = split / /, <$client> // '';
    my ($length, $body) = (0, '');

    while (defined(my $line = <$client>)) {
        last if $line =~ /^\r?\n/;
        $length = $1 if $line =~ /^content-length:\s*(\d{1,9})\s*$/i;
    }

    return if !defined $uri;
    return send_error($client, '413 Payload Too Large', 'too large')
        if $length > $MAX_BODY;

    read $client, $body, $length;

    my ($path) = split /\?/, $uri;
    my $do = $SERVE{"$method $path"}
        or return send_error($client, '404 Not Found', "no $path here");
    my $doc = $method eq 'GET' ? {} : eval { $json->decode($body) };

    return send_error($client, '400 Bad Request', 'not a JSON object')
        if ref $doc ne 'HASH';

    return $do->($client, $doc);
}

my $port = shift // die "usage: $0 PORT\n";
my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
    LocalPort => $port, Listen => 64, ReuseAddr => 1)
    or die "cannot listen on port $port: $@\n";

$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';

while (1) {
    my $client = $listen->accept or next;
    my $child = fork;

    next if !defined $child || $child;

    srand;
    $client->autoflush(1);
    serve($client);
    exit 0;
}
