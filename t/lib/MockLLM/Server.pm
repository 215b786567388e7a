package MockLLM::Server;

# The event loop and the HTTP/1.x side of the mock: one process, non-blocking
# sockets, keep-alive and pipelining, and every framing that a test may want.

use strict;
use warnings;

use Compress::Raw::Zlib ();
use Digest::SHA qw(sha256_hex);
use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Socket::INET ();
use JSON::PP ();
use MIME::Base64 qw(decode_base64 encode_base64);
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_LINGER TCP_NODELAY);
use Time::HiRes qw(time);

use MockLLM::Dialects;

my $READ_SIZE = 1 << 18;
my $MAX_LOGGED = 1 << 20;

my %REASON = (200 => 'OK', 201 => 'Created', 204 => 'No Content',
    400 => 'Bad Request', 401 => 'Unauthorized', 404 => 'Not Found',
    429 => 'Too Many Requests', 500 => 'Internal Server Error',
    503 => 'Service Unavailable');

my $CODEC = JSON::PP->new->utf8->canonical->allow_nonref;

sub new {
    my ($class) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => 0, Listen => 1024, ReuseAddr => 1, Blocking => 0)
        or die "mock: cannot listen: $@\n";

    my $self = bless { listen => $listen, connections => {}, timers => [],
        waiting => {}, released => {} }, $class;

    $self->reset;

    return $self;
}

sub port { return $_[0]{listen}->sockport }

sub reset {
    my ($self) = @_;

    $self->{log} = [];
    $self->{queue} = [];
    $self->{paths} = {};
    $self->{aborted} = 0;

    return;
}

# the loop: ends when standard input does, that is when the test has gone

sub run {
    my ($self) = @_;

    while (1) {
        my ($readable, $writable) = ('', '');

        vec($readable, fileno STDIN, 1) = 1;
        vec($readable, fileno $self->{listen}, 1) = 1;

        for my $fd (keys %{$self->{connections}}) {
            my $connection = $self->{connections}{$fd};

            vec($readable, $fd, 1) = 1;
            vec($writable, $fd, 1) = 1 if length $connection->{out};
        }

        my $ready = select $readable, $writable, undef, $self->timeout;

        $self->run_timers;
        next if $ready <= 0;

        return if vec $readable, fileno STDIN, 1;
        $self->accept if vec $readable, fileno $self->{listen}, 1;

        for my $fd (keys %{$self->{connections}}) {
            my $connection = $self->{connections}{$fd} or next;

            $self->read($connection) if vec $readable, $fd, 1;
            $self->write($connection)
                if vec($writable, $fd, 1) && !$connection->{closed};
        }
    }
}

sub timeout {
    my ($self) = @_;

    my $first = $self->{timers}[0] or return undef;
    my $left = $first->[0] - time;

    return $left > 0 ? $left : 0;
}

sub after {
    my ($self, $seconds, $handler) = @_;

    @{$self->{timers}} = sort { $a->[0] <=> $b->[0] }
        @{$self->{timers}}, [time + $seconds, $handler];

    return;
}

sub run_timers {
    my ($self) = @_;

    while (@{$self->{timers}} && $self->{timers}[0][0] <= time) {
        my $timer = shift @{$self->{timers}};

        $timer->[1]->();
    }

    return;
}

sub accept {
    my ($self) = @_;

    while (my $socket = $self->{listen}->accept) {
        $socket->blocking(0);
        setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
        $self->{connections}{fileno $socket} = { socket => $socket,
            fd => fileno $socket, in => '', out => '', steps => [] };
    }

    return;
}

sub close {
    my ($self, $connection) = @_;

    return if $connection->{closed}++;

    delete $self->{connections}{$connection->{fd}};
    close $connection->{socket};

    return;
}

sub read {
    my ($self, $connection) = @_;

    my $read = sysread $connection->{socket}, $connection->{in}, $READ_SIZE,
        length $connection->{in};

    if (!defined $read) {
        return if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
        $read = 0;
    }

    if ($read == 0) {
        $self->{aborted}++ if $connection->{busy};
        return $self->close($connection);
    }

    return $self->serve($connection);
}

sub write {
    my ($self, $connection) = @_;

    my $written = syswrite $connection->{socket}, $connection->{out};

    if (!defined $written) {
        return if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
        return $self->close($connection);
    }

    substr $connection->{out}, 0, $written, '';
    $self->step($connection) if !length $connection->{out};

    return;
}

# one whole request, or undef while some of it is missing

sub request {
    my ($connection) = @_;

    my $head = $connection->{head};

    if (!$head) {
        return undef if $connection->{in} !~ s/^(.*?\r\n)\r\n//s;

        my ($line, @lines) = split /\r\n/, $1;
        my ($method, $uri, $version) = split / /, $line;
        my ($path, $query) = split /\?/, $uri, 2;

        $path =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
        $head = { method => $method, uri => $uri, path => $path,
            query => $query // '', version => $version, body => '',
            headers => [map { [split /:\s*/, $_, 2] } @lines] };
        $connection->{head} = $head;
    }

    my $coding = header($head, 'transfer-encoding');

    if (defined $coding && lc $coding eq 'chunked') {
        return undef if !unchunk($connection, $head);

    } else {
        my $length = header($head, 'content-length') // 0;

        return undef if length $connection->{in} < $length;
        $head->{body} = substr $connection->{in}, 0, $length, '';
    }

    delete $connection->{head};

    return $head;
}

sub unchunk {
    my ($connection, $head) = @_;

    while ($connection->{in} =~ /^([0-9a-fA-F]+)[^\r\n]*\r\n/) {
        my ($line, $size) = ($+[0], hex $1);

        if ($size == 0) {
            return $connection->{in} =~ s/^0+[^\r\n]*\r\n\r\n//;
        }

        return 0 if length $connection->{in} < $line + $size + 2;

        $head->{body} .= substr $connection->{in}, $line, $size;
        substr $connection->{in}, 0, $line + $size + 2, '';
    }

    return 0;
}

sub header {
    my ($head, $name) = @_;

    for my $header (@{$head->{headers}}) {
        return $header->[1] if lc $header->[0] eq $name;
    }

    return undef;
}

sub serve {
    my ($self, $connection) = @_;

    while (!$connection->{busy} && !$connection->{closed}) {
        my $request = request($connection) or return;

        $connection->{busy} = 1;

        my @steps = $request->{path} =~ m{^/__mock/(\w+)$}
            ? $self->control($1, $request)
            : $self->respond($request);
        my $keep = (header($request, 'connection') // '') !~ /close/i
            && $request->{version} eq 'HTTP/1.1';

        push @steps, ['close'] if !$keep;
        $connection->{steps} = \@steps;
        $self->step($connection);
    }

    return;
}

# does the next steps of a response until one has to wait

sub step {
    my ($self, $connection) = @_;

    return if $connection->{closed} || $connection->{stepping}++;

    while (!length $connection->{out} && !$connection->{closed}) {
        my $step = shift @{$connection->{steps}};

        if (!$step) {
            last if !$connection->{busy};
            $connection->{busy} = 0;
            delete $connection->{stepping};
            return $self->serve($connection);
        }

        my ($do, $value) = @$step;

        if ($do eq 'send') {
            $connection->{out} = $value;
            $self->write($connection);

        } elsif ($do eq 'wait') {
            last if $self->wait($connection, $value);

        } elsif ($do eq 'sleep') {
            $self->after($value, sub { $self->step($connection) });
            last;

        } else {
            setsockopt $connection->{socket}, SOL_SOCKET, SO_LINGER,
                pack 'ii', 1, 0 if $do eq 'reset';
            $self->close($connection);
        }
    }

    delete $connection->{stepping};

    return;
}

# gates: a response waits at one until the test releases it

sub wait {
    my ($self, $connection, $gate) = @_;

    return 0 if $self->{released}{$gate};

    push @{$self->{waiting}{$gate}}, $connection;

    return 1;
}

sub release {
    my ($self, $gate) = @_;

    $self->{released}{$gate} = 1;

    my $waiting = delete $self->{waiting}{$gate} // [];

    $self->step($_) for @$waiting;

    return;
}

# control calls of the tests

sub control {
    my ($self, $call, $request) = @_;

    my %argument = map { split /=/, $_, 2 } split /&/, $request->{query};
    my $answer = { ok => JSON::PP::true };

    s/%([0-9A-Fa-f]{2})/chr hex $1/ge for values %argument;

    if ($call eq 'next') {
        push @{$self->{queue}}, @{$CODEC->decode($request->{body})};

    } elsif ($call eq 'reset') {
        $self->reset;

    } elsif ($call eq 'release') {
        $self->release($argument{gate});

    } elsif ($call eq 'count') {
        $answer = { total => scalar @{$self->{log}},
            paths => $self->{paths}, aborted => $self->{aborted},
            waiting => { map { $_ => scalar @{$self->{waiting}{$_}} }
                keys %{$self->{waiting}} } };

    } elsif ($call eq 'log') {
        my $from = $argument{from} // 0;

        $from += @{$self->{log}} if $from < 0;
        $answer = [@{$self->{log}}[$from .. $#{$self->{log}}]];
    }

    my $body = $CODEC->encode($answer);

    return ['send', "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body"];
}

sub behaviour {
    my ($self, $request) = @_;

    my $queued = shift @{$self->{queue}};
    my $asked = header($request, 'x-mock');
    my $both = { %{$queued // {}},
        %{defined $asked ? $CODEC->decode($asked) : {}} };

    # of vectors the next call's are the odd ones

    $both->{embed} = { %{$both->{embed}}, %{$queued->{embed}} }
        if $queued && $queued->{embed};

    return $both;
}

sub record {
    my ($self, $request) = @_;

    my $body = $request->{body};

    push @{$self->{log}}, { method => $request->{method},
        uri => $request->{uri}, version => $request->{version},
        headers => $request->{headers}, sha256 => sha256_hex($body),
        length => length $body, number => $request->{number},
        body => length $body > $MAX_LOGGED ? undef
            : encode_base64($body, '') };
    $self->{paths}{$request->{path}}++;

    return;
}

# the steps of an answer

sub respond {
    my ($self, $request) = @_;

    $request->{number} = @{$self->{log}} + 1;
    $request->{digest} = sha256_hex($request->{body});
    $self->record($request);

    my $behaviour = $self->behaviour($request);
    my ($type, @pieces) = MockLLM::Dialects::answer($request, $behaviour);

    if (defined $behaviour->{body_b64}) {
        @pieces = (decode_base64($behaviour->{body_b64}));

    } elsif (defined $behaviour->{body}) {
        @pieces = ref $behaviour->{body} ? @{$behaviour->{body}}
            : ($behaviour->{body});
        utf8::encode($_) for @pieces;
    }

    $type = $behaviour->{type} if exists $behaviour->{type};

    my @coding = encode_pieces($request, $behaviour, \@pieces);
    my $framing = framing($request, $behaviour, scalar @pieces);
    my @head = (status_line($behaviour), provider_headers($request),
        (defined $type ? "Content-Type: $type" : ()), @coding,
        (map { "$_->[0]: $_->[1]" } @{$behaviour->{headers} // []}),
        framing_header($framing, \@pieces));

    my @steps;

    $self->{log}[-1]{sent} = sha256_hex(substr join('', @pieces), 0,
        $behaviour->{cut} // 1 << 40);
    push @steps, ['wait', $behaviour->{gate}] if defined $behaviour->{gate};
    push @steps, ['sleep', $behaviour->{delay}] if $behaviour->{delay};
    push @steps, ['send', join("\r\n", @head) . "\r\n\r\n"];
    push @steps, body_steps($behaviour, $framing, \@pieces)
        if $request->{method} ne 'HEAD';

    return merge(@steps);
}

# neighbouring sends become one, as small writes of a server would

sub merge {
    my @steps;

    for my $step (@_) {
        if (@steps && $step->[0] eq 'send' && $steps[-1][0] eq 'send') {
            $steps[-1][1] .= $step->[1];
            next;
        }

        push @steps, $step;
    }

    return @steps;
}

sub status_line {
    my ($behaviour) = @_;

    my $status = $behaviour->{status} // 200;

    return "HTTP/1.1 $status " . ($REASON{$status} // 'Status');
}

# what real providers send along with every answer

sub provider_headers {
    my ($request) = @_;

    my $id = sprintf 'req_%08d', $request->{number};

    return ('Date: Mon, 01 Jan 2024 00:00:00 GMT', 'Server: mock',
        "x-request-id: $id", "request-id: $id", 'openai-processing-ms: 421',
        'openai-version: 2020-10-01', 'openai-organization: org-mock',
        "Set-Cookie: __cf_bm=$id; path=/; HttpOnly; Secure",
        "Set-Cookie: _cfuvid=$id; path=/; HttpOnly; Secure",
        "x-ratelimit-remaining-requests: $request->{number}",
        'x-ratelimit-limit-requests: 10000',
        "anthropic-ratelimit-requests-remaining: $request->{number}",
        'x-ratelimit-reset-requests: 6ms', "CF-Ray: $id-FRA",
        'Strict-Transport-Security: max-age=31536000',
        'alt-svc: h3=":443"; ma=86400');
}

sub encode_pieces {
    my ($request, $behaviour, $pieces) = @_;

    my $gzip = $behaviour->{gzip} // '';
    my $accepts = (header($request, 'accept-encoding') // '') =~ /gzip/;

    return () if $gzip ne 'force' && !($gzip eq 'accept' && $accepts);

    my ($deflate) = Compress::Raw::Zlib::Deflate->new(
        -WindowBits => Compress::Raw::Zlib::WANT_GZIP(), -AppendOutput => 1);

    for my $at (0 .. $#$pieces) {
        my $packed = '';

        $deflate->deflate($pieces->[$at], $packed);
        $deflate->flush($packed, $at == $#$pieces
            ? Compress::Raw::Zlib::Z_FINISH()
            : Compress::Raw::Zlib::Z_SYNC_FLUSH());
        $pieces->[$at] = $packed;
    }

    return 'Content-Encoding: gzip';
}

sub framing {
    my ($request, $behaviour, $pieces) = @_;

    return $behaviour->{framing} if $behaviour->{framing};
    return 'none' if ($behaviour->{status} // 200) =~ /^(?:204|304)$/;
    return 'length' if $pieces <= 1;
    return $request->{version} eq 'HTTP/1.1' ? 'chunked' : 'close';
}

sub framing_header {
    my ($framing, $pieces) = @_;

    return 'Content-Length: ' . length join '', @$pieces
        if $framing eq 'length';
    return 'Transfer-Encoding: chunked' if $framing eq 'chunked';
    return 'Connection: close' if $framing eq 'close';
    return ();
}

sub chunk {
    my ($behaviour, $piece) = @_;

    my $extension = $behaviour->{chunk_ext} // '';
    my $size = $behaviour->{chunk} // (length $piece || 1);

    return join '', map { sprintf("%x%s\r\n", length, $extension)
        . "$_\r\n" } unpack "(a$size)*", $piece;
}

sub body_steps {
    my ($behaviour, $framing, $pieces) = @_;

    my $left = $behaviour->{cut} // length join '', @$pieces;
    my ($hold, $gate) = @{$behaviour->{hold} // [-1, undef]};
    my $sent = 0;
    my @steps;

    for my $piece (@$pieces) {
        push @steps, ['wait', $gate] if $sent == $hold;
        push @steps, ['sleep', $behaviour->{pace}]
            if $sent && $behaviour->{pace};

        my $part = substr $piece, 0, $left;

        $left -= length $part;
        $sent++;
        push @steps, ['send', $framing eq 'chunked'
            ? chunk($behaviour, $part) : $part] if length $part;
    }

    return (@steps, [$behaviour->{reset} ? 'reset' : 'close'])
        if defined $behaviour->{cut};

    push @steps, ['send', "0\r\n" . join('', map { "$_->[0]: $_->[1]\r\n" }
        @{$behaviour->{trailers} // []}) . "\r\n"] if $framing eq 'chunked';
    push @steps, ['close'] if $framing eq 'close';

    return @steps;
}

1;
