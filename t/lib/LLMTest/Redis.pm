package LLMTest::Redis;

# Starts redis-server instances of a test's own, and speaks to them.
#
#   my $redis = LLMTest::Redis->new;
#   my $nginx = nginx(location => 'llm_cache_redis ' . $redis->url . ';');
#   $redis->command('GET', $key);
#
# Options: password, conf (further lines), tls (a certificate's name, see
# LLMTest::Certificates), socket, sentinel (lines), port.

use strict;
use warnings;

use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

my $WAIT = $ENV{TEST_NGINX_WAIT} || 20;

my @all;

sub server {
    my ($name) = @_;

    for my $folder (split(/:/, $ENV{PATH} // ''), '/usr/bin',
        '/usr/local/bin')
    {
        return "$folder/$name" if -x "$folder/$name";
    }

    return undef;
}

sub new {
    my ($class, %option) = @_;

    my $self = bless { owner => $$, program => 'redis-server', %option,
        dir => tempdir('llm_redis_XXXXXX', TMPDIR => 1) }, $class;

    chmod 0755, $self->{dir};
    push @all, $self;

    for my $try (1 .. 10) {
        $self->{port} = $option{port} // free_port();
        return $self if $self->start;
    }

    die "redis-server does not start:\n" . $self->log;
}

# ports whose cluster bus, 10000 above, is below those of outgoing connections

sub free_port {
    for my $try (1 .. 200) {
        my $port = 12000 + int rand 8000;
        my @probes = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $_, Listen => 1) } $port, $port + 10000;

        next if grep { !defined } @probes[0, 1];

        return $port;
    }

    die "no free port\n";
}

sub conf_text {
    my ($self) = @_;

    my $dir = $self->{dir};
    my $text = "bind 127.0.0.1\ndaemonize no\ndir $dir\n"
        . "logfile $dir/log\n";

    if (my $tls = $self->{tls}) {
        $text .= "port 0\ntls-port $self->{port}\n"
            . "tls-cert-file $tls->{cert}\ntls-key-file $tls->{key}\n"
            . "tls-ca-cert-file $tls->{ca}\ntls-auth-clients no\n";

    } else {
        $text .= "port $self->{port}\n";
    }

    if (!$self->{sentinel}) {
        $text .= "save \"\"\nappendonly no\n";
        $text .= "unixsocket $dir/socket\n" if $self->{socket};
        $text .= "requirepass $self->{password}\n"
            if defined $self->{password};
    }

    return $text . ($self->{conf} // '') . "\n";
}

# 1 when it answers

sub start {
    my ($self) = @_;

    my $conf = "$self->{dir}/redis.conf";

    if (!-e $conf || !$self->{sentinel}) {
        open my $file, '>', $conf or die "$!\n";
        print $file $self->conf_text;
        close $file;
    }

    my $program = server($self->{program}) // die "no $self->{program}\n";
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/out";
        open STDERR, '>&', \*STDOUT;
        exec $program, $conf, $self->{sentinel} ? '--sentinel' : ()
            or POSIX::_exit(127);
    }

    $self->{pid} = $pid;

    my $deadline = time + $WAIT;

    while (time < $deadline) {
        if (waitpid($pid, WNOHANG) == $pid) {
            delete $self->{pid};
            return 0;
        }

        return 1 if $self->{tls} ? $self->connect(5)
            : defined eval { $self->command('PING') } || $@ =~ /^NO/;
        sleep 0.02;
    }

    $self->stop;

    return 0;
}

sub log {
    my ($self) = @_;

    my $text = '';

    for my $name (qw(out log)) {
        open my $file, '<', "$self->{dir}/$name" or next;
        local $/;
        $text .= <$file> // '';
    }

    return $text;
}

sub port { return $_[0]{port} }

sub pid { return $_[0]{pid} }

sub socket_path { return "$_[0]{dir}/socket" }

# the URL for nginx, with what stands before the host and after the port

sub url {
    my ($self, $user, $rest) = @_;

    my $scheme = $self->{tls} ? 'rediss' : 'redis';

    $user = defined $user ? "$user\@"
        : defined $self->{password} ? ":$self->{password}\@" : '';

    return "$scheme://${user}127.0.0.1:$self->{port}" . ($rest // '');
}

sub signal { my ($self, $name) = @_; kill $name, $self->{pid}; return }

sub stop {
    my ($self, $name) = @_;

    my $pid = delete $self->{pid};

    return if !$pid || $self->{owner} != $$;

    kill 'CONT', $pid;
    kill $name // 'KILL', $pid;
    waitpid $pid, 0;

    return;
}

END {
    my $code = $?;

    for my $redis (@all) {
        $redis->stop;
        remove_tree($redis->{dir}) if $redis->{owner} == $$;
    }

    $? = $code;
}

# a connection of the test's own

sub connect {
    my ($self, $timeout) = @_;

    return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{port}, Timeout => $timeout // 5);
}

# the reply to a command: a string, a number, undef for nil, a reference to a
# list; dies with an error's text

sub command {
    my ($self, @words) = @_;

    my $socket = $self->connect // die "no connection to Redis\n";

    if (defined $self->{password} && $words[0] ne 'AUTH') {
        talk($socket, 'AUTH', $self->{password});
    }

    return talk($socket, @words);
}

sub talk {
    my ($socket, @words) = @_;

    print $socket '*' . @words . "\r\n", map { '$' . length() . "\r\n$_\r\n" }
        @words;
    $socket->flush;

    return reply($socket);
}

sub reply {
    my ($socket) = @_;

    my $line = <$socket> // die "Redis closed the connection\n";

    $line =~ s/\r\n\z//;

    my ($type, $rest) = $line =~ /^(.)(.*)/s or die "an empty reply\n";

    die "$rest\n" if $type eq '-';
    return $rest if $type eq '+' || $type eq ':';
    return undef if $rest eq '-1';
    return [map { reply($socket) } 1 .. $rest] if $type eq '*';

    my $data = '';

    while (length $data < $rest + 2) {
        read($socket, $data, $rest + 2 - length $data, length $data)
            or die "Redis closed the connection\n";
    }

    return substr $data, 0, $rest;
}

sub keys {
    my ($self) = @_;

    return sort @{$self->command('KEYS', '*')};
}

# a field of INFO

sub info {
    my ($self, $field) = @_;

    my ($value) = $self->command('INFO', 'all') =~ /^\Q$field\E:(.*?)\r?$/m;

    return $value;
}

# calls of a command so far

sub calls {
    my ($self, $name) = @_;

    my ($calls) = ($self->info("cmdstat_$name") // '') =~ /^calls=(\d+)/;

    return $calls // 0;
}

sub wait_for {
    my ($self, $condition, $limit) = @_;

    my $deadline = time + ($limit // $WAIT);

    while (time < $deadline) {
        return 1 if eval { $condition->() };
        sleep 0.01;
    }

    return 0;
}

1;
