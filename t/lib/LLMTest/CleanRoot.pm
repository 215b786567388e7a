package LLMTest::CleanRoot;

# A Debian of its own in a directory: minimal, with nginx from the archive that
# apt on this machine uses.  It is unpacked from a file that is made once a day
# (build/package/root.tar).  Nothing is mounted in it for longer than a
# package's installation takes, and no service starts.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Temp qw(tempdir);

my $CACHE = abs_path(dirname(__FILE__) . '/../../..') . '/build/package';

# what installing anything changes, and what is not of packages
my $NOISE = qr{^(?:tmp|root|proc|sys|dev|run|var/log|var/cache|var/lib/apt
    |var/lib/dpkg|var/lib/systemd)(?:/|$)}x;

# the root, or why there is none

sub new {
    my ($class) = @_;

    my $archive = "$CACHE/root.tar";

    if (!-e $archive || -M $archive > 1) {
        my $problem = make($archive);

        return (undef, $problem) if !-e $archive;
    }

    my $root = tempdir('llm_cache_root_XXXXXX', TMPDIR => 1);

    chmod 0755, $root;

    my $self = bless { root => $root, owner => $$ }, $class;

    return (undef, 'the root cannot be unpacked') if system('tar', '-C', $root,
        '--numeric-owner', '--exclude=./dev/*', '-xf', $archive);

    # maintainer scripts write there; a plain file will do where devices
    # cannot be made

    system("mknod -m 666 $root/dev/null c 1 3 2>/dev/null || touch "
        . "$root/dev/null");
    copy('/etc/resolv.conf', "$root/etc/resolv.conf");
    $self->put('usr/sbin/policy-rc.d', "#!/bin/sh\nexit 101\n");
    chmod 0755, "$root/usr/sbin/policy-rc.d";

    return $self;
}

sub make {
    my ($archive) = @_;

    my ($suite) = slurp('/etc/os-release') =~ /^VERSION_CODENAME=(\w+)$/m
        or return 'this is no release of Debian';
    my $log = "$CACHE/root.log";

    mkdir $_ for dirname($CACHE), $CACHE;

    my $failed = system("mmdebstrap --quiet --format=tar --variant=minbase"
        . " --skip=cleanup/apt/lists --include=nginx $suite $archive.$$"
        . " >$log 2>&1 </dev/null");

    if (!$failed) {
        rename "$archive.$$", $archive;
        return '';
    }

    unlink "$archive.$$";

    my ($why) = grep { /^E:/ } split /\n/, slurp($log);

    return 'no root could be made: ' . ($why // 'mmdebstrap failed');
}

sub slurp {
    my ($path) = @_;

    open my $file, '<', $path or return '';
    local $/;

    return scalar(<$file>) // '';
}

sub path { return "$_[0]{root}/$_[1]" }

sub put {
    my ($self, $path, $text) = @_;

    open my $file, '>', $self->path($path) or die "$path: $!\n";
    print $file $text;
    close $file;

    return;
}

# runs a command in it: 1 if it succeeds, and what it said

sub run {
    my ($self, @command) = @_;

    my $pid = open(my $pipe, '-|') // die "fork: $!\n";

    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        open STDIN, '<', '/dev/null';
        $ENV{DEBIAN_FRONTEND} = 'noninteractive';
        $ENV{PATH} = '/usr/sbin:/usr/bin:/sbin:/bin';
        exec 'chroot', $self->{root}, @command or POSIX::_exit(127);
    }

    local $/;

    my $said = <$pipe> // '';

    close $pipe;

    return wantarray ? ($? == 0, $said) : $? == 0;
}

sub apt {
    my ($self, @arguments) = @_;

    return $self->run('apt-get', '-y', '-q', '--no-install-recommends',
        @arguments);
}

# every path in it that a package could have left there

sub files {
    my ($self) = @_;

    my $pid = open(my $pipe, '-|', 'find', $self->{root}, '-xdev', '-printf',
        '%P\n') // die "find: $!\n";

    chomp(my @paths = <$pipe>);
    close $pipe;

    return sort grep { length && $_ !~ $NOISE } @paths;
}

# processes and mounts in it

sub users {
    my ($self) = @_;

    my @processes = grep { (readlink($_) // '') eq $self->{root} }
        glob '/proc/[0-9]*/root';
    my @mounts = grep { m{ \Q$self->{root}\E[/ ]} }
        split /\n/, slurp('/proc/mounts');

    return (@processes, @mounts);
}

sub DESTROY {
    my ($self) = @_;

    local $?;

    return if $self->{owner} != $$ || $self->users;

    system('rm', '-rf', '--one-file-system', $self->{root});

    return;
}

1;
