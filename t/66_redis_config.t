# llm_cache_redis: what nginx -t takes and what it refuses, with a message that
# names the directive and what is wrong, and never a password.

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);

use LLMTest;

my $dir = tempdir(CLEANUP => 1);

sub write_file {
    my ($name, $text) = @_;

    open my $file, '>', "$dir/$name" or die "$!\n";
    print $file $text;
    close $file;

    return "$dir/$name";
}

my $password = write_file('password', "secret\n");
my $empty = write_file('empty', "\n");

sub accepted {
    my ($value, %conf) = @_;

    my ($code, $said) = nginx_t(location =>
        "llm_cache on; llm_cache_redis $value;", %conf);

    is($code, 0, "accepted: $value") or diag($said);

    return;
}

sub refused {
    my ($value, $words, %conf) = @_;

    my ($code, $said) = nginx_t(location =>
        "llm_cache on; llm_cache_redis $value;", %conf);

    isnt($code, 0, "refused: $value");
    like($said, qr/\[emerg\].*llm_cache_redis.*\Q$words\E/, 'says why');
    unlike($said, qr/secret/, 'without the password');

    return;
}

accepted($_) for 'off', 'redis://127.0.0.1', 'redis://127.0.0.1:7000/3',
    'redis://me:secret@127.0.0.1', 'redis://localhost', 'redis://[::1]',
    'unix:/run/redis.sock', 'redis+cluster://127.0.0.1,127.0.0.2:7001',
    'redis+sentinel://127.0.0.1,127.0.0.2/main',
    'rediss://127.0.0.1 verify=off', 'rediss://127.0.0.1',
    "redis://127.0.0.1 password_file=$password",
    'redis://127.0.0.1 prefix=a: connect_timeout=1s timeout=5ms lease=30s';

accepted('redis://redis.invalid', server => 'resolver 127.0.0.1;');

for my $context (qw(http server)) {
    my ($code, $said) = nginx_t($context =>
        'llm_cache on; llm_cache_redis redis://127.0.0.1;',
        location => 'llm_cache_redis off;');

    is($code, 0, "in $context") or diag($said);
}

refused('http://127.0.0.1', 'the URL has an unknown scheme');
refused('redis://:secret@', 'the URL has no host');
refused('redis://:secret@h:99999', 'the URL has an invalid port');
refused('redis://:secret/secret@h', 'a "/" before its "@"');
refused('redis://127.0.0.1 password=secret', 'takes no "password="');
refused('redis://127.0.0.1/x', 'invalid database number');
refused('redis://127.0.0.1,127.0.0.2', 'several hosts');
refused('redis+cluster://127.0.0.1/1', 'only database 0');
refused('redis+sentinel://127.0.0.1', 'must name the master');
refused('unix:redis.sock', 'absolute path');
refused('unix:/' . 'x' x 120, 'too long');
refused('redis://redis.invalid', 'host not found');
refused('redis://me@127.0.0.1', 'a user without a password');
refused("redis://:secret\@127.0.0.1 password_file=$password",
    'a password in the URL and');
refused("redis://127.0.0.1 password_file=$empty", 'no password in');
refused("redis://127.0.0.1 password_file=$dir/none", 'none');
refused("redis://127.0.0.1 ca=$dir/ca", 'for "rediss"');
refused('redis://127.0.0.1 verify=off', 'for "rediss"');
refused("rediss://127.0.0.1 verify=off ca=$dir/ca", 'has no use');

for my $parameter ('prefix=', 'prefix={a}', 'prefix=' . 'x' x 129,
    'timeout=', 'timeout=0', 'timeout=x', 'connect_timeout=2d', 'lease=0',
    'verify=yes', 'ca=', 'nonsense', 'password_file=')
{
    my ($code, $said) = nginx_t(location => 'llm_cache on; llm_cache_redis '
        . "redis://127.0.0.1 \"$parameter\";");

    isnt($code, 0, "refused: $parameter");
    like($said, qr/\[emerg\].* invalid value "\Q$parameter\E" in "llm_cache_r/,
        "$parameter: says so");
}

my ($code, $said) = nginx_t(location => "llm_cache on;\n"
    . "llm_cache_redis rediss://127.0.0.1 ca=$dir/none;");

isnt($code, 0, 'refused: a CA that is not there');
like($said, qr{\[emerg\].*\Q$dir\E/none}, 'it is named');
like($said, qr{"ca=\Q$dir\E/none" in "llm_cache_redis"}, 'as what it is');

($code, $said) = nginx_t(location => "llm_cache on;\n"
    . "llm_cache_redis off; llm_cache_redis redis://127.0.0.1;");
isnt($code, 0, 'refused: twice');
like($said, qr/"llm_cache_redis" directive is duplicate/, 'says so');

done_testing();
