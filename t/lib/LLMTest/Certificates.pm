package LLMTest::Certificates;

# A certification authority for one test, and certificates by it.

use strict;
use warnings;

use File::Temp qw(tempdir);

sub new {
    my ($class) = @_;

    my $self = bless { dir => tempdir(CLEANUP => 1), serial => 1 }, $class;

    chmod 0755, $self->{dir};
    $self->openssl(qw(req -x509 -newkey ec -pkeyopt
        ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca -keyout),
        $self->path('ca.key'), '-out', $self->path('ca.crt'));

    return $self;
}

sub path { my ($self, $name) = @_; return "$self->{dir}/$name" }

sub ca { return $_[0]->path('ca.crt') }

sub openssl {
    my ($self, @arguments) = @_;

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', $self->path('openssl.log');
        exec 'openssl', @arguments or POSIX::_exit(127);
    }

    waitpid $pid, 0;
    die "openssl @arguments failed\n" if $?;

    return;
}

# what LLMTest::Redis takes as "tls": for "DNS:name" or "IP:address"

sub issue {
    my ($self, $name, $for) = @_;

    my %file = map { $_ => $self->path("$name.$_") } qw(key csr crt ext);

    open my $ext, '>', $file{ext} or die "$!\n";
    print $ext "subjectAltName=$for\n";
    close $ext;

    $self->openssl(qw(req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
        -nodes -subj /CN=redis -keyout), $file{key}, '-out', $file{csr});
    $self->openssl(qw(x509 -req -days 2 -in), $file{csr}, '-CA', $self->ca,
        '-CAkey', $self->path('ca.key'), '-set_serial', ++$self->{serial},
        '-extfile', $file{ext}, '-out', $file{crt});

    return { cert => $file{crt}, key => $file{key}, ca => $self->ca };
}

1;
