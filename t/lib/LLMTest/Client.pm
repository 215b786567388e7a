package LLMTest::Client;

# A raw HTTP/1.x client: sends bytes as they are given, reads responses as
# they come, one after another on one connection.

use strict;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

use LLMTest::Response;

our $TIMEOUT = $ENV{TEST_CLIENT_TIMEOUT} || 20;

sub new {
    my ($class, $port) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $port, Timeout => $TIMEOUT) or return undef;

    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;

    return bless { socket => $socket, in => '', eof => 0 }, $class;
}

sub send {
    my ($self, @pieces) = @_;

    local $SIG{PIPE} = 'IGNORE';

    for my $piece (@pieces) {
        my $at = 0;

        while ($at < length $piece) {
            my $sent = syswrite $self->{socket}, $piece, 1 << 18, $at;

            return 0 if !defined $sent;
            $at += $sent;
        }
    }

    return 1;
}

sub close {
    my ($self) = @_;

    $self->{socket}->close if $self->{socket};
    $self->{socket} = undef;

    return;
}

# the other side sees the end of the request while we still read

sub shutdown_writing { return shutdown $_[0]{socket}, 1 }

# more bytes into the buffer: 1, or 0 at the end, or undef after the timeout

sub fill {
    my ($self, $deadline) = @_;

    return 0 if $self->{eof};

    my $left = $deadline - time;

    return undef if $left <= 0;
    return undef if !IO::Select->new($self->{socket})->can_read($left);

    my $read = sysread $self->{socket}, $self->{in}, 1 << 18,
        length $self->{in};

    return 1 if $read;

    $self->{eof} = 1;

    return 0;
}

# waits until what has been received matches; the bytes stay in the buffer

sub received {
    my ($self, $pattern, $timeout) = @_;

    my $deadline = time + ($timeout // $TIMEOUT);

    while ($self->{in} !~ $pattern) {
        return 0 if !$self->fill($deadline);
    }

    return 1;
}

sub buffer { return $_[0]{in} }

# 1 when the other side has closed the connection and sent nothing more

sub closed {
    my ($self, $timeout) = @_;

    my $filled = $self->fill(time + ($timeout // $TIMEOUT));

    return defined $filled && !$filled && $self->{in} eq '' ? 1 : 0;
}

# takes $length bytes, or what there is before the end

sub take {
    my ($self, $length, $deadline) = @_;

    while (length $self->{in} < $length) {
        my $filled = $self->fill($deadline);

        next if $filled;
        return (substr($self->{in}, 0, length $self->{in}, ''), $filled);
    }

    return (substr($self->{in}, 0, $length, ''), 1);
}

sub take_line {
    my ($self, $deadline) = @_;

    while ($self->{in} !~ /\n/) {
        return undef if !$self->fill($deadline);
    }

    $self->{in} =~ s/^(.*?)\r?\n//;

    return $1;
}

sub head {
    my ($self, $deadline) = @_;

    my $line = $self->take_line($deadline);

    return if !defined $line;

    my ($version, $status) = $line =~ m{^HTTP/(\d\.\d) (\d{3})} or return;
    my @headers;

    while (1) {
        $line = $self->take_line($deadline);

        return if !defined $line;
        last if $line eq '';
        push @headers, [split /:\s*/, $line, 2];
    }

    return ($version, $status, \@headers);
}

# as take(): 1, or 0 at the end, or undef after the timeout

sub chunks {
    my ($self, $deadline) = @_;

    my $body = '';

    while (1) {
        my $line = $self->take_line($deadline);

        return ($body, $self->{eof} ? 0 : undef) if !defined $line;
        return ($body, 0) if $line !~ /^([0-9a-fA-F]+)/;

        my $size = hex $1;

        last if $size == 0;

        my ($part, $whole) = $self->take($size, $deadline);

        $body .= $part;
        return ($body, $whole) if !$whole;
        $self->take_line($deadline);
    }

    while (1) {
        my $line = $self->take_line($deadline);

        return ($body, $self->{eof} ? 0 : undef) if !defined $line;
        return ($body, 1) if $line eq '';
    }
}

sub response {
    my ($self, %option) = @_;

    my $deadline = time + ($option{timeout} // $TIMEOUT);
    my ($version, $status, $headers);

    do {
        ($version, $status, $headers) = $self->head($deadline);

        return LLMTest::Response->new(headers => [], body => '',
            framing => 'none', complete => 0, timed_out => !$self->{eof})
            if !defined $status;
    } while ($status == 100);

    my %last = map { lc $_->[0] => $_->[1] } @$headers;
    my ($body, $whole, $framing);

    if ($option{head} || $status == 204 || $status == 304) {
        ($body, $whole, $framing) = ('', 1, 'none');

    } elsif (lc($last{'transfer-encoding'} // '') eq 'chunked') {
        ($body, $whole) = $self->chunks($deadline);
        $framing = 'chunked';

    } elsif (defined $last{'content-length'}) {
        ($body, $whole) = $self->take($last{'content-length'}, $deadline);
        $framing = 'length';

    } else {
        ($body, $whole) = $self->take(1 << 40, $deadline);
        $whole = defined $whole ? 1 : undef;
        $framing = 'close';
    }

    return LLMTest::Response->new(version => $version, status => $status,
        headers => $headers, body => $body, framing => $framing,
        complete => $whole ? 1 : 0, timed_out => !defined $whole);
}

1;
