package LLMTest::RedisProxy;

# Stands between nginx and a Redis, and does to its replies what a test wants:
#
#   pass            nothing
#   delay SECONDS   they come later
#   garbage         other bytes take their place
#   huge            and bytes that announce more than there is
#   cut BYTES       the connection is closed after so many bytes
#   close           it is closed instead

use strict;
use warnings;

use File::Temp qw(tempdir);
use IO::Select ();
use IO::Socket::INET ();
use Time::HiRes qw(time);

sub new {
    my ($class, $port) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => 0, Listen => 128, ReuseAddr => 1) or die "proxy: $@\n";
    my $self = bless { owner => $$, to => $port, port => $listen->sockport,
        mode => tempdir(CLEANUP => 1) . '/mode' }, $class;

    $self->mode('pass');

    $self->{pid} = fork // die "fork: $!\n";

    if ($self->{pid} == 0) {
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP ALRM);
        $SIG{PIPE} = 'IGNORE';
        $self->run($listen);
        POSIX::_exit(0);
    }

    return $self;
}

sub port { return $_[0]{port} }

sub url { return "redis://127.0.0.1:$_[0]{port}" }

sub mode {
    my ($self, $mode) = @_;

    open my $file, '>', "$self->{mode}.new" or die "$!\n";
    print $file $mode;
    close $file;
    rename "$self->{mode}.new", $self->{mode};

    return;
}

sub read_mode {
    my ($self) = @_;

    open my $file, '<', $self->{mode} or return 'pass';

    return split ' ', scalar <$file>;
}

sub run {
    my ($self, $listen) = @_;

    my $select = IO::Select->new($listen);
    my (%peer, %client, @later, %left);

    my $drop = sub {
        my @gone = grep { defined } $_[0], $peer{$_[0]};

        for my $socket (@gone) {
            $select->remove($socket);
            delete $peer{$socket};
            close $socket;
        }
    };

    for ( ;; ) {
        exit 0 if getppid() != $self->{owner};

        for my $socket ($select->can_read(0.005)) {

            if ($socket == $listen) {
                my $one = $listen->accept or next;
                my $two = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                    PeerPort => $self->{to}) or do { close $one; next };

                @peer{$one, $two} = ($two, $one);
                $client{$one} = 1;
                delete $client{$two};
                $select->add($one, $two);
                next;
            }

            next if !$peer{$socket};

            if (!sysread $socket, my $data, 65536) {
                $drop->($socket);

            } elsif ($client{$socket}) {
                syswrite $peer{$socket}, $data;

            } else {
                my ($mode, $n) = $self->read_mode;
                my $to = $peer{$socket};

                if ($mode eq 'delay') {
                    push @later, [time + $n, $to, $data];

                } elsif ($mode eq 'pass') {
                    syswrite $to, $data;

                } else {
                    syswrite $to, $mode eq 'garbage' ? "HTTP/1.1 400 Bad\r\n"
                        : $mode eq 'huge' ? "*2000000000\r\n"
                        : $mode eq 'cut' ? substr($data, 0, $n) : '';
                    $drop->($socket) if $mode eq 'cut' || $mode eq 'close';
                }
            }
        }

        while (@later && $later[0][0] <= time) {
            my (undef, $to, $data) = @{shift @later};

            syswrite $to, $data if $peer{$to};
        }
    }
}

sub stop {
    my ($self) = @_;

    my $pid = delete $self->{pid};

    return if !$pid || $self->{owner} != $$;

    kill 'KILL', $pid;
    waitpid $pid, 0;

    return;
}

sub DESTROY { my ($self) = @_; local $?; $self->stop; return }

1;
