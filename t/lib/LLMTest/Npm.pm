package LLMTest::Npm;

# What a folder of t/ needs from npm, as its package-lock.json names it, in the
# folder of build/ of this name; and aimock, a mock LLM of other people's that
# is one of the clients.
#
#   LLMTest::Npm::install('clients') or die;
#   my $aimock = LLMTest::Npm->aimock;
#   my ($passed, $output) = LLMTest::Npm::run('clients', 'openai.test.mjs',
#       %environment);

use strict;
use warnings;

use Cwd qw(abs_path);
use Fcntl qw(:flock);
use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use IO::Socket::INET ();
use POSIX ();
use Time::HiRes qw(sleep time);

use LLMTest::Client;
use LLMTest::Nginx ();

my $ROOT = abs_path(dirname(__FILE__) . '/../../..');
my $AIMOCK = "$ROOT/build/clients/node_modules/\@copilotkit/aimock";

# Only what the lock file names, and not again while it stays.  The tests
# stand where node finds the libraries.  Several may come at a time.

sub install {
    my ($folder) = @_;

    my ($tests, $place) = map { "$ROOT/$_/$folder" } qw(t build);

    make_path("$ROOT/build");
    open my $guard, '>', "$place.lock" or die "$!\n";
    flock $guard, LOCK_EX or die "$!\n";

    if (LLMTest::Nginx::slurp("$place/installed.json")
        ne LLMTest::Nginx::slurp("$tests/package-lock.json"))
    {
        remove_tree($place);
        make_path($place);
        take("$tests/$_", $place) for qw(package.json package-lock.json
            .npmrc);

        my $said = `cd '$place' && npm ci 2>&1`;

        die "npm ci: $said\n" if $?;
        copy("$place/package-lock.json", "$place/installed.json")
            or die "installed.json: $!\n";
    }

    take($_, $place) for glob("$tests/*.mjs");

    return 1;
}

# in one step, as others may be reading the old one

sub take {
    my ($from, $place) = @_;

    my $to = "$place/" . basename($from);

    copy($from, "$to.$$") && rename "$to.$$", $to or die "$to: $!\n";

    return;
}

sub tests {
    my ($folder) = @_;

    return map { basename($_) } sort glob("$ROOT/t/$folder/*.test.mjs");
}

# a file of tests: how many have passed, where all have, and what node says

sub run {
    my ($folder, $file, %environment) = @_;

    local @ENV{keys %environment} = values %environment;

    my $place = "$ROOT/build/$folder";
    my $output = `cd '$place' && node --test-reporter=tap $file 2>&1`;
    my $status = $?;
    my ($passed) = $output =~ /^# pass ([1-9]\d*)$/m;
    my ($failed) = $output =~ /^# (?:fail|cancelled|skipped|todo) [1-9]/m;

    return ($status == 0 && !$failed ? $passed : undef, $output);
}

# its CommonJS build, which runs in node 18 too

sub aimock {
    my ($class) = @_;

    for my $try (1 .. 10) {
        my $port = 20000 + int rand 12000;
        my $pid = fork // die "fork: $!\n";

        if (!$pid) {
            open STDIN, '<', '/dev/null';
            open STDOUT, '>', '/dev/null';
            open STDERR, '>&', \*STDOUT;
            exec 'node', "$AIMOCK/dist/cli.cjs", '-h', '127.0.0.1', '-p',
                $port, '-f', "$ROOT/t/clients/aimock.json", '--metrics',
                '--journal-max', 0, '--log-level', 'silent'
                or POSIX::_exit(127);
        }

        my $self = bless { pid => $pid, owner => $$, port => $port }, $class;

        return $self if $self->starts;
        $self->stop;
    }

    die "aimock does not start\n";
}

sub port { return $_[0]{port} }

# until it answers, or has ended

sub starts {
    my ($self) = @_;

    my $deadline = time + $LLMTest::Client::TIMEOUT;

    while (time < $deadline) {
        if (waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
            $self->{pid} = undef;
            return 0;
        }

        return 1 if eval { $self->get('/health')->status == 200 };
        sleep 0.05;
    }

    return 0;
}

sub get {
    my ($self, $uri) = @_;

    my $client = LLMTest::Client->new($self->{port}) or die "no aimock\n";

    $client->send("GET $uri HTTP/1.1\r\nHost: aimock\r\n"
        . "Connection: close\r\n\r\n");

    return $client->response;
}

# the requests that it counted, by its own metrics

sub count {
    my ($self, %label) = @_;

    my $sum = 0;

    for (split /\n/, $self->get('/metrics')->body) {
        my ($labels, $n) = /^aimock_requests_total\{(.*)\} (\d+)$/ or next;

        next if grep { $labels !~ /\b$_="$label{$_}"/ } keys %label;
        $sum += $n;
    }

    return $sum;
}

sub stop {
    my ($self) = @_;

    my $pid = delete $self->{pid};

    return if !$pid || $self->{owner} != $$;

    kill 'TERM', $pid;
    waitpid $pid, 0;

    return;
}

sub DESTROY { local $?; $_[0]->stop; return }

1;
