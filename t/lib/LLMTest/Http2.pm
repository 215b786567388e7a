package LLMTest::Http2;

# A small HTTP/2 client: many streams on one connection, windows as small as
# a test wants them.  It reads bodies; header fields are left to curl.

use strict;
use warnings;

use Time::HiRes qw(time);

use LLMTest::Client;

my ($DATA, $HEADERS, $RST_STREAM, $SETTINGS, $PING, $WINDOW_UPDATE)
    = (0, 1, 3, 4, 6, 8);
my ($END_STREAM, $ACK, $END_HEADERS) = (1, 1, 4);
my $MAX_FRAME = 16_384;

sub new {
    my ($class, $port, %option) = @_;

    my $self = bless { client => LLMTest::Client->new($port), next => 1,
        body => {}, ended => {} }, $class;
    my $window = $option{window} // (1 << 30);

    $self->{client}->send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        . frame($SETTINGS, 0, 0, pack('nN', 4, $window)));
    $self->grant(0, 1 << 30);

    return $self;
}

sub frame {
    my ($type, $flags, $stream, $payload) = @_;

    return substr(pack('N', length $payload), 1)
        . pack('CCN', $type, $flags, $stream) . $payload;
}

# HPACK: a string literal, and a field that is not indexed

sub literal {
    my ($text) = @_;

    my $length = length $text;

    return pack('C', $length) . $text if $length < 127;

    my $prefix = pack 'C', 127;

    for ($length -= 127; $length >= 128; $length >>= 7) {
        $prefix .= pack 'C', $length & 127 | 128;
    }

    return $prefix . pack('C', $length) . $text;
}

sub field { my ($name, $value) = @_; return "\0" . literal($name)
    . literal($value) }

# starts a stream; its body follows in one or more parts

sub open_stream {
    my ($self, $uri, %header) = @_;

    my $stream = $self->{next};

    $self->{next} += 2;
    $self->{body}{$stream} = '';
    $self->{client}->send(frame($HEADERS, $END_HEADERS, $stream,
        join '', field(':method', 'POST'), field(':scheme', 'http'),
            field(':authority', 'localhost'), field(':path', $uri),
            field('content-type', 'application/json'),
            map { field($_, $header{$_}) } sort keys %header));

    return $stream;
}

sub send_body {
    my ($self, $stream, $body, $more) = @_;

    my @parts = unpack "(a$MAX_FRAME)*", $body;

    for my $at (0 .. $#parts) {
        $self->{client}->send(frame($DATA,
            $at == $#parts && !$more ? $END_STREAM : 0, $stream,
            $parts[$at]));
    }

    return;
}

sub request {
    my ($self, $uri, $body, %header) = @_;

    my $stream = $self->open_stream($uri, %header);

    $self->send_body($stream, $body);

    return $stream;
}

# lets the other side send more

sub grant {
    my ($self, $stream, $bytes) = @_;

    $self->{client}->send(frame($WINDOW_UPDATE, 0, $stream,
        pack 'N', $bytes));

    return;
}

sub reset_stream {
    my ($self, $stream) = @_;

    $self->{client}->send(frame($RST_STREAM, 0, $stream, pack 'N', 8));

    return;
}

sub read_frame {
    my ($self, $deadline) = @_;

    my ($head) = $self->{client}->take(9, $deadline);

    return 0 if length $head < 9;

    my ($high, $low, $type, $flags, $stream) = unpack 'CnCCN', $head;
    my ($payload) = $self->{client}->take($high << 16 | $low, $deadline);

    if ($type == $DATA) {
        $self->{body}{$stream} .= $payload;

    } elsif ($type == $SETTINGS && !($flags & $ACK)) {
        $self->{client}->send(frame($SETTINGS, $ACK, 0, ''));

    } elsif ($type == $PING && !($flags & $ACK)) {
        $self->{client}->send(frame($PING, $ACK, 0, $payload));

    } elsif ($type == $RST_STREAM) {
        $self->{ended}{$stream} = 'reset';
    }

    $self->{ended}{$stream} //= 'end'
        if ($type == $DATA || $type == $HEADERS) && $flags & $END_STREAM;

    return 1;
}

# reads until the condition holds

sub read_until {
    my ($self, $condition, $timeout) = @_;

    my $deadline = time + ($timeout // $LLMTest::Client::TIMEOUT);

    while (!$condition->()) {
        return 0 if !$self->read_frame($deadline);
    }

    return 1;
}

# the bodies of streams that came to their end, undef for others

sub bodies {
    my ($self, @streams) = @_;

    $self->read_until(sub {
        return !grep { !$self->{ended}{$_} } @streams;
    });

    return map { ($self->{ended}{$_} // '') eq 'end' ? $self->{body}{$_}
        : undef } @streams;
}

# how much of a body has come

sub received { my ($self, $stream) = @_; return length $self->{body}{$stream} }

sub close { my ($self) = @_; $self->{client}->close; return }

1;
