package LLMTest::Nginx;

# Runs one nginx with the module: its own prefix and port, a configuration
# made of the test's fragments, everything stopped and the error log looked
# through at the end.
#
# In every fragment %PORT% is the port that nginx listens on, %MOCK% the mock
# LLM's address and %PREFIX% nginx's own directory.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET ();
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

use LLMTest::Client;
use LLMTest::Json;

my $ROOT = abs_path(dirname(__FILE__) . '/../../..');
my $BINARY = $ENV{TEST_NGINX_BINARY} || 'nginx';
my $MODULE = $ENV{TEST_NGINX_MODULE}
    || 'build/ngx_http_llm_cache_module.so';
my $WAIT = $ENV{TEST_NGINX_WAIT} || 20;

my $VARIABLES = join ', ', map { "\"$_\": \"\$llm_cache_$_\"" } qw(status
    reason key tier age ttl model dialect prompt_tokens completion_tokens
    saved_tokens saved_cost);

my $serial = 0;

# the "load_module" line, empty for a static build

sub load_module {
    return '' if $MODULE eq 'static';

    my $path = $MODULE =~ m{^/} ? $MODULE : "$ROOT/$MODULE";

    die "$path is missing: build the module first\n" if !-e $path;

    return "load_module $path;\n";
}

sub new {
    my ($class, %option) = @_;

    my $self = $class->prepare(%option);

    for my $try (1 .. 10) {
        $self->choose_port;
        $self->write_conf(%option);
        return $self if $self->start;
        last if $self->stderr !~ /Address already in use/;
    }

    my $said = $self->stderr . $self->error_log;

    $self->remove;

    die "nginx did not start:\n$said";
}

sub prepare {
    my ($class, %option) = @_;

    my $prefix = tempdir('llm_cache_XXXXXX', TMPDIR => 1);

    mkdir "$prefix/logs";
    chmod 0755, $prefix;

    return bless { prefix => $prefix, owner => $$, mock => $option{mock},
        allow => $option{allow}, workers => $option{workers} // 1,
        port => 0 }, $class;
}

sub prefix { return $_[0]{prefix} }

sub port { return $_[0]{port} }

# below the range that the kernel takes for outgoing connections

sub choose_port {
    my ($self) = @_;

    for my $try (1 .. 200) {
        my $port = 20000 + int rand 12000;
        my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Listen => 1) or next;

        close $probe;
        $self->{port} = $port;

        return;
    }

    die "no free port\n";
}

sub fill_in {
    my ($self, $text) = @_;

    my $mock = $self->{mock} ? '127.0.0.1:' . $self->{mock}->port
        : '127.0.0.1:1';

    $text =~ s/%PORT%/$self->{port}/g;
    $text =~ s/%MOCK%/$mock/g;
    $text =~ s/%PREFIX%/$self->{prefix}/g;

    return $text;
}

sub conf_text {
    my ($self, %option) = @_;

    return $option{conf} if defined $option{conf};

    my %part = map { $_ => $option{$_} // '' } qw(main http server location
        servers);
    my $user = $> == 0 ? "user root;\n" : '';
    my $level = $option{level} // 'info';
    my $load = $option{without_module} ? '' : load_module();
    my $format = $option{format} // ($option{without_module} ? ''
        : ", $VARIABLES");
    my $listen = $option{listen} // '';
    my $location = $option{no_location} ? '' : "location / {\n"
        . "proxy_pass http://llm;\n$part{location}\n}\n";
    my $temp = join '', map { "${_}_temp_path %PREFIX%/$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi);

    return <<"END";
${load}${user}daemon off;
master_process on;
worker_processes $self->{workers};
worker_shutdown_timeout 20s;
error_log %PREFIX%/logs/error.log $level;
pid %PREFIX%/nginx.pid;
$part{main}
events { worker_connections 2048; }
http {
${temp}log_format test escape=json
    '{"id": "\$http_x_test_id", "code": "\$status", "uri": "\$uri"$format}';
access_log %PREFIX%/logs/access.log test;
client_max_body_size 64m;
proxy_http_version 1.1;
proxy_set_header Connection "";
upstream llm { server %MOCK%; keepalive 16; }
$part{http}
server {
listen 127.0.0.1:%PORT% $listen;
$part{server}
$location}
$part{servers}
}
END
}

sub write_conf {
    my ($self, %option) = @_;

    open my $file, '>', "$self->{prefix}/nginx.conf" or die "$!\n";
    print $file $self->fill_in($self->conf_text(%option));
    close $file;

    return;
}

sub slurp {
    my ($path) = @_;

    open my $file, '<', $path or return '';
    local $/;

    return scalar(<$file>) // '';
}

sub stderr { return slurp("$_[0]{prefix}/logs/stderr") }

sub error_log { return slurp("$_[0]{prefix}/logs/error.log") }

# nginx with its standard error in the prefix; returns the process's id

sub launch {
    my ($self, @arguments) = @_;

    my $pid = fork // die "fork: $!\n";

    return $pid if $pid;

    open STDIN, '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', "$self->{prefix}/logs/stderr";
    chdir $self->{prefix};
    exec $BINARY, '-p', "$self->{prefix}/", '-c', 'nginx.conf', '-e',
        'stderr', @arguments or POSIX::_exit(127);
}

sub start {
    my ($self) = @_;

    my $deadline = time + $WAIT;

    $self->{master} = $self->launch;

    while (time < $deadline) {
        if (waitpid($self->{master}, WNOHANG) == $self->{master}) {
            $self->{master} = undef;
            return 0;
        }

        if (-s "$self->{prefix}/nginx.pid"
            && $self->worker_pids == $self->{workers})
        {
            return 1;
        }

        sleep 0.01;
    }

    $self->quit('TERM');

    die "nginx does not come up\n";
}

# nginx -t: the exit code and what it says

sub check {
    my ($class, %option) = @_;

    my $self = $class->prepare(%option);

    $self->choose_port;
    $self->write_conf(%option);
    waitpid $self->launch('-t'), 0;

    my $code = $? >> 8 || $? & 127;
    my $said = $self->stderr;

    remove_tree($self->{prefix});

    return ($code, $said);
}

sub master_pid { return $_[0]{master} }

sub children {
    my ($self, $title) = @_;

    my $master = $self->{master} or return ();

    return grep { slurp("/proc/$_/cmdline") =~ $title }
        split ' ', slurp("/proc/$master/task/$master/children");
}

# the workers that are not shutting down, and those that are

sub worker_pids { return $_[0]->children(qr/^\w+: worker process(?! is)/) }

sub old_worker_pids { return $_[0]->children(qr/^\w+: worker process is/) }

# whether the worker has that client's connection; other servers may have one
# from a port of the same number, of late or now

sub has_client {
    my ($self, $pid, $client) = @_;

    my ($here, $there) = map { sprintf '%04X', $_ }
        $client->{socket}->peerport, $client->{socket}->sockport;
    my %inode = map { ('socket:[' . (split)[9] . ']' => 1) }
        grep { /^\s*\d+: \S+:$here \S+:$there / }
        split /\n/, slurp('/proc/net/tcp');

    return scalar grep { $inode{readlink // ''} } glob "/proc/$pid/fd/*";
}

sub wait_until {
    my ($self, $condition) = @_;

    my $deadline = time + $WAIT;

    while (time < $deadline) {
        return 1 if $condition->();
        sleep 0.01;
    }

    return 0;
}

# 1 when a new generation of workers has taken over, 0 when nginx refused
# the configuration

sub reload {
    my ($self, %option) = @_;

    my %old = map { $_ => 1 } $self->worker_pids;
    my $refused = () = $self->error_log =~ /\[emerg\]/g;

    $self->write_conf(%option) if %option;
    kill 'HUP', $self->{master};

    my $done = 0;

    $self->wait_until(sub {
        my @new = grep { !$old{$_} } $self->worker_pids;
        my $now = () = $self->error_log =~ /\[emerg\]/g;

        return 1 if $now > $refused;
        $done = @new == $self->{workers}
            && !grep { $old{$_} } $self->worker_pids;
        return $done;
    });

    return $done ? 1 : 0;
}

# 1 when another worker has taken the place of the killed one

sub kill_worker {
    my ($self, $which) = @_;

    my @pids = $self->worker_pids;
    my $victim = $pids[($which // 0) % @pids];

    kill 'KILL', $victim;

    return $self->wait_until(sub {
        my @now = $self->worker_pids;

        return @now == $self->{workers} && !grep { $_ == $victim } @now;
    });
}

# stops nginx: gracefully (1 when it came to its end by itself) or at once

sub quit {
    my ($self, $signal) = @_;

    my $master = $self->{master};

    return 1 if !$master || $self->{owner} != $$;

    for my $how ($signal // 'QUIT', 'TERM', 'KILL') {
        kill $how, $master;

        my $ended = $self->wait_until(sub {
            return waitpid($master, WNOHANG) == $master;
        });

        if ($ended) {
            $self->{master} = undef;
            return $how eq ($signal // 'QUIT') ? 1 : 0;
        }
    }

    return 0;
}

# lines of the error log that no healthy nginx writes

sub complaints {
    my ($self) = @_;

    my @lines = grep { /\[(?:alert|crit|emerg)\]|Sanitizer|runtime error/ }
        split /\n/, $self->error_log . $self->stderr;

    return grep { !$self->{allow} || $_ !~ $self->{allow} } @lines;
}

sub remove {
    my ($self) = @_;

    remove_tree($self->{prefix}) if $self->{owner} == $$;

    return;
}

# requests

sub client {
    my ($self) = @_;

    return LLMTest::Client->new($self->{port})
        // die "nginx does not accept a connection\n";
}

# the bytes of a request; option: method, headers {name => value or list, or
# undef for none}, version, mock {behaviour}, chunked

sub request_text {
    my ($self, $uri, $body, %option) = @_;

    $body = to_json($body) if ref $body;

    my $version = $option{version} // '1.1';
    my $method = $option{method} // 'POST';
    my %header = ('Host' => 'localhost', 'Content-Type' => 'application/json',
        'Authorization' => 'Bearer sk-test',
        ($option{chunked} ? ('Transfer-Encoding' => 'chunked')
            : defined $body ? ('Content-Length' => length $body) : ()),
        %{$option{headers} // {}});

    $header{'X-Mock'} = to_json($option{mock}) if $option{mock};
    $header{'X-Test-Id'} = $option{id} if defined $option{id};
    $header{'X-Space'} = $option{space} if defined $option{space};

    my $text = "$method $uri HTTP/$version\r\n";

    for my $name (sort keys %header) {
        my $value = $header{$name};

        next if !defined $value;
        $text .= "$name: $_\r\n" for ref $value ? @$value : $value;
    }

    $text .= "\r\n";

    return $text . ($body // '') if !$option{chunked};

    my $size = $option{chunked} > 1 ? $option{chunked} : 1 << 16;

    return $text . join('', map { sprintf("%x\r\n", length) . "$_\r\n" }
        unpack "(a$size)*", $body) . "0\r\n\r\n";
}

sub request {
    my ($self, $uri, $body, %option) = @_;

    my $id = $option{id} //= "$$." . ++$serial;
    my $client = $self->client;

    $client->send($self->request_text($uri, $body, %option));

    my $response = $client->response(
        head => ($option{method} // '') eq 'HEAD');

    $client->close;
    $response->{id} = $id;

    return $response;
}

sub post { my ($self, @argument) = @_; return $self->request(@argument) }

sub get {
    my ($self, $uri, %option) = @_;

    return $self->request($uri, undef, method => 'GET', %option,
        headers => { 'Content-Type' => undef, %{$option{headers} // {}} });
}

# the access log's line for a response

sub logged {
    my ($self, $response) = @_;

    my $line;

    $self->wait_until(sub {
        ($line) = grep { $_->{id} eq $response->{id} } $self->access_log;
        return defined $line;
    });

    return $line // {};
}

sub access_log {
    my ($self) = @_;

    return map { eval { from_json($_) } // () }
        split /\n/, slurp("$self->{prefix}/logs/access.log");
}

1;
