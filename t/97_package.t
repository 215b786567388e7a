# The life of the Debian package in a clean root: it is installed, loaded,
# upgraded, removed, installed again and purged, and leaves nothing behind.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Cwd qw(abs_path);
use File::Copy qw(copy);
use File::Temp qw(tempdir);

use LLMTest;
use LLMTest::CleanRoot;
use LLMTest::RootNginx;

# a compilation and a Debian
alarm 1200;

my $root_dir = abs_path("$FindBin::Bin/..");
my $name = 'libnginx-mod-http-llm-cache';
my $link = 'etc/nginx/modules-enabled/50-mod-http-llm-cache.conf';
my $so = 'usr/lib/nginx/modules/ngx_http_llm_cache_module.so';
my $doc = "usr/share/doc/$name";


# why this cannot be tried here, if so

sub obstacle {
    my $binary = abs_path($ENV{TEST_NGINX_BINARY} || '/usr/sbin/nginx') // '';

    return 'not root' if $> != 0;

    for my $tool (qw(dpkg-query dpkg-buildpackage dh_nginx mmdebstrap)) {
        return "no $tool"
            if system("command -v $tool >/dev/null 2>&1") != 0;
    }

    return 'nginx is not that of Debian'
        if system("dpkg-query -S '$binary' >/dev/null 2>&1") != 0;

    return '';
}

my $obstacle = obstacle();

plan skip_all => $obstacle if $obstacle;

my ($root, $problem) = LLMTest::CleanRoot->new;

plan skip_all => $problem if !$root;


# this version, and the same as two later ones

sub build {
    my $said = do {
        local %ENV = %ENV;

        delete @ENV{qw(NGINX VERSION MAKEFLAGS)};
        `'$root_dir/tools/package.sh' 2>&1`;
    };

    my ($file) = $said =~ m{^built (\S+_\S+\.deb)$}m
        or die "the package is not built:\n$said\n";

    return "$root_dir/$file";
}

sub later {
    my ($file, $by) = @_;

    my $work = tempdir(CLEANUP => 1);

    chmod 0755, $work;
    system("dpkg-deb -R '$file' $work/package"
        . " && sed -i 's/^Version: .*/&+$by/' $work/package/DEBIAN/control"
        . " && dpkg-deb -b $work/package $work/later.deb >/dev/null") == 0
        or die "no later package\n";
    copy("$work/later.deb", $root->path("tmp/$by.deb"));

    return "/tmp/$by.deb";
}

my $built = build();
my ($version) = $built =~ /_([^_]+)_/;

copy($built, $root->path('tmp/0.deb'));

# the libraries that it needs come from the archive

my ($fetched, $why) = $root->apt('--download-only', 'install', '/tmp/0.deb');

plan skip_all => 'the archive cannot be reached'
    if !$fetched && $why =~ /Failed to fetch|Temporary failure resolving/;

my @package = ('/tmp/0.deb', later($built, 1), later($built, 2));
my ($abi) = LLMTest::CleanRoot::slurp(
    '/usr/share/nginx/src/debian/libnginx-mod.abisubstvars')
    =~ /^nginx:abi=(\S+)$/m;
my $depends = `dpkg-deb -f '$built' Depends`;

like($depends, qr/(?:^|, )\Q$abi\E(?:,|$)/, 'it depends on the ABI of nginx');
like(LLMTest::CleanRoot::slurp("$root_dir/CHANGELOG.md"),
    qr/^## \Q@{[$version =~ s{-1$}{}r]}\E\b/m, 'the version of the changelog');


sub does {
    my ($what, @command) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($done, $said) = $root->run(@command);

    return ok($done, $what) || diag($said);
}

sub install {
    my ($which, $what) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($done, $said) = $root->apt('--allow-downgrades', '--reinstall',
        'install', $package[$which]);

    return ok($done, $what) || diag($said);
}

sub state_of_package {
    my ($done, $said) = $root->run('dpkg-query', '-W', '-f',
        '${db:Status-Status} ${Version}', $name);

    return $done ? $said : 'none';
}

my $mock = mock();
my %conf = (class => 'LLMTest::RootNginx', root => $root,
    location => 'llm_cache on;');


# installed

# which makes nginx's own directories
does("nginx's configuration is fine", 'nginx', '-t');

my @before = $root->files;

ok(!(grep { $_ eq $so } @before), 'the module is not there');
install(0, 'install');
is(state_of_package(), "installed $version", 'it is installed');
is(readlink $root->path($link),
    '/usr/share/nginx/modules-available/mod-http-llm-cache.conf',
    'the module is enabled');
does("nginx's configuration is fine", 'nginx', '-t');
ok(-e $root->path("$doc/$_"), "$_ comes with it") for qw(README.md copyright
    README.Debian changelog.gz docs/directives.md docs/operations.md
    examples/quickstart.conf);

my $nginx = nginx(%conf);
my $first = $nginx->post(chat_uri(), chat('one'));

is_miss($first, 'installed');
is_hit($nginx->post(chat_uri(), chat('one')), $first, 'installed');


# upgraded while nginx runs

sub loaded {
    my ($pid) = $nginx->worker_pids;
    my ($line) = grep { /ngx_http_llm_cache_module/ }
        split /\n/, LLMTest::CleanRoot::slurp("/proc/$pid/maps");

    return !defined $line ? 'none' : $line =~ /\(deleted\)/ ? 'old' : 'new';
}

is(loaded(), 'new', 'nginx has loaded the module');
install(1, 'upgrade');
is(state_of_package(), "installed $version+1", 'it is upgraded');
is_hit($nginx->post(chat_uri(), chat('one')), $first, 'after the upgrade');
ok($nginx->reload, 'reload');
is_hit($nginx->post(chat_uri(), chat('one')), $first, 'after a reload');
is(loaded(), 'old', 'which goes on with the old module');
ok($nginx->quit, 'nginx stops');

$nginx = nginx(%conf);
is(loaded(), 'new', 'nginx has loaded the new one');
$first = $nginx->post(chat_uri(), chat('two'));
is_miss($first, 'restarted');
is_hit($nginx->post(chat_uri(), chat('two')), $first, 'restarted');
ok($nginx->quit, 'nginx stops');


# disabled by the administrator

unlink $root->path($link);
install(2, 'another upgrade');
ok(!-l $root->path($link), 'what was disabled stays so');
symlink '/usr/share/nginx/modules-available/mod-http-llm-cache.conf',
    $root->path($link);


# removed, with the configuration kept

my ($done, $said) = $root->apt('remove', $name);

ok($done, 'remove') or diag($said);
like(state_of_package(), qr/^(?:none|config-files)/, 'it is removed');
ok(!-e $root->path($so), 'the module is gone');
does("nginx's configuration is fine without it", 'nginx', '-t');
install(0, 'installed again');
ok(-l $root->path($link), 'it is enabled again');

$nginx = nginx(%conf);
$first = $nginx->post(chat_uri(), chat('three'));
is_miss($first, 'installed again');
is_hit($nginx->post(chat_uri(), chat('three')), $first, 'installed again');
ok($nginx->quit, 'nginx stops');
$nginx->remove;


# purged

($done, $said) = $root->apt('--purge', 'autoremove', $name);
ok($done, 'purge') or diag($said);
unlike(state_of_package(), qr/installed|config/, 'nothing of it is known');
does("nginx's configuration is fine without it", 'nginx', '-t');

my %before = map { $_ => 1 } @before;

is_deeply([grep { !delete $before{$_} } $root->files], [],
    'nothing of it is left');
is_deeply([sort keys %before], [], 'nothing else is gone');
is_deeply([$root->users], [], 'no process and no mount is left');

finish();
