package LLMTest::Mock;

# Starts the mock LLM and speaks to its control calls.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec ();
use IPC::Open2 qw(open2);
use MIME::Base64 qw(decode_base64);
use Time::HiRes qw(sleep time);

use LLMTest::Client;
use LLMTest::Json;

my $SCRIPT = File::Spec->rel2abs(dirname(__FILE__) . '/../mock_llm.pl');

sub new {
    my ($class) = @_;

    my ($out, $in);
    my $pid = open2($out, $in, $^X, $SCRIPT);
    my $port = <$out>;

    die "the mock LLM did not start\n" if !$port;
    chomp $port;

    return bless { pid => $pid, owner => $$, in => $in, out => $out,
        port => $port }, $class;
}

sub port { return $_[0]{port} }

sub stop {
    my ($self) = @_;

    my $pid = delete $self->{pid};

    return if !$pid || $self->{owner} != $$;

    close $self->{in};
    kill 'TERM', $pid;
    waitpid $pid, 0;

    return;
}

sub control {
    my ($self, $call, $data) = @_;

    my $body = defined $data ? to_json($data) : '';
    my $client = LLMTest::Client->new($self->{port})
        or die "the mock LLM is gone\n";

    $client->send("POST /__mock/$call HTTP/1.1\r\nHost: mock\r\n"
        . 'Content-Length: ' . length($body)
        . "\r\nConnection: close\r\n\r\n$body");

    return $client->response->json;
}

# behaviours of the next calls, one hash for each

sub next { my ($self, @behaviours) = @_; $self->control('next', \@behaviours);
    return }

sub release {
    my ($self, $gate) = @_;

    $gate =~ s/([^\w-])/sprintf '%%%02X', ord $1/ge;
    $self->control("release?gate=$gate");

    return;
}

sub reset { my ($self) = @_; $self->control('reset'); return }

# how many calls there were: all of them, or to one path

sub count {
    my ($self, $path) = @_;

    my $count = $self->control('count');

    return $count->{total} if !defined $path;
    return $count->{paths}{$path} // 0;
}

# how many responses stand at a gate

sub waiting {
    my ($self, $gate) = @_;

    return $self->control('count')->{waiting}{$gate} // 0;
}

# calls that the other side gave up

sub aborted { return $_[0]->control('count')->{aborted} }

# the requests as the mock received them, from the given number on

sub requests {
    my ($self, $from) = @_;

    my $log = $self->control('log?from=' . ($from // 0));

    for my $request (@$log) {
        $request->{body} = decode_base64($request->{body})
            if defined $request->{body};
    }

    return @$log;
}

sub last_request { my ($self) = @_; return ($self->requests(-1))[0] }

# a header of a logged request; all of them in list context

sub request_header {
    my ($request, $name) = @_;

    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name }
        @{$request->{headers}};

    return wantarray ? @values : $values[0];
}

sub wait_for {
    my ($self, $condition) = @_;

    my $deadline = time + $LLMTest::Client::TIMEOUT;

    while (time < $deadline) {
        return 1 if $condition->();
        sleep 0.01;
    }

    return 0;
}

1;
