# make install and make uninstall, below a DESTDIR: where nginx looks for
# modules, or in MODULES_DIR, and nothing else.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Cwd qw(abs_path);
use File::Find qw(find);
use File::Temp qw(tempdir);

use LLMTest;

my $root = abs_path("$FindBin::Bin/..");
my $so = 'ngx_http_llm_cache_module.so';
my $binary = $ENV{TEST_NGINX_BINARY} || `command -v nginx 2>/dev/null`;

chomp $binary;

plan skip_all => 'the module is not a file'
    if ($ENV{TEST_NGINX_MODULE} // '') eq 'static';

my $dest = tempdir(CLEANUP => 1);


sub make {
    my ($target, @variables) = @_;

    local @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS)};

    my $said = `make -C '$root' --no-print-directory $target @variables 2>&1`;

    return ($? == 0 ? 1 : 0, $said);
}

sub installed {
    my @found;

    find(sub { push @found, $File::Find::name =~ s/^\Q$dest\E//r if !-d },
        $dest);

    return \@found;
}

# where nginx looks

my ($prefix) = `$binary -V 2>&1` =~ /--prefix=(\S+)/;
my ($modules) = `$binary -V 2>&1` =~ /--modules-path=(\S+)/;

$prefix //= '/usr/local/nginx';
$modules //= 'modules';
$modules = "$prefix/$modules" if $modules !~ m{^/};

my @here = ("NGINX=$binary", "DESTDIR=$dest");
my ($done, $said) = make('install', @here);

ok($done, 'make install') or diag($said);
is_deeply(installed(), ["$modules/$so"], 'the module, and nothing else');
is((stat "$dest$modules/$so")[2] & 0777, 0644, 'its mode');
like($said, qr{^    load_module \Q$modules/$so\E;$}m, 'how it is loaded');
ok((make('install', @here))[0], 'make install again');
is_deeply(installed(), ["$modules/$so"], 'still nothing else');

# nginx loads it from there

my ($code, $why) = nginx_t(without_module => 1, location => 'llm_cache on;',
    main => '', conf => "load_module $dest$modules/$so;\nevents { }\n"
        . "error_log %PREFIX%/logs/error.log;\npid %PREFIX%/nginx.pid;\n"
        . "http { access_log off; llm_cache on; server { listen 127.0.0.1:1;"
        . join(' ', map { "${_}_temp_path %PREFIX%/$_;" } qw(client_body proxy
        fastcgi uwsgi scgi)) . " } }\n");

is($code, 0, 'nginx loads it from there') or diag($why);

($done, $said) = make('uninstall', @here);
ok($done, 'make uninstall') or diag($said);
is_deeply(installed(), [], 'it is gone');
($done, $said) = make('uninstall', @here);
ok(!$done, 'make uninstall of nothing');
like($said, qr/there is no \Q$dest$modules\E/, 'it says so');

# elsewhere

push @here, 'MODULES_DIR=/opt/nginx/modules/';
($done, $said) = make('install', @here);
ok($done, 'make install with MODULES_DIR') or diag($said);
is_deeply(installed(), ["/opt/nginx/modules/$so"], 'it is there');
like($said, qr{^    load_module /opt/nginx/modules/\Q$so\E;$}m,
    'how it is loaded');
($done, $said) = make('uninstall', @here);
ok($done, 'make uninstall with MODULES_DIR') or diag($said);
is_deeply(installed(), [], 'it is gone');

($done, $said) = make('install', "NGINX=$binary", "DESTDIR=$dest",
    'MODULES_DIR=modules');
ok(!$done, 'a relative MODULES_DIR');
like($said, qr/MODULES_DIR=modules is not an absolute path/, 'it says so');
is_deeply(installed(), [], 'nothing is installed');

done_testing();
