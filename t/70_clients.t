# The real client libraries, in front of the mock LLM: what each makes of a
# miss, of a hit, and of a hit in the other form is the same.
#
# They come from npm into build/clients, as t/clients/package-lock.json says.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Basename qw(basename);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);

use LLMTest;

my $tests = "$FindBin::Bin/clients";
my $clients = "$FindBin::Bin/../build/clients";

sub slurp {
    my ($name) = @_;

    open my $file, '<', $name or return '';
    local $/ = undef;

    return scalar <$file>;
}

# only what the lock file names, and not again while it stays

sub install {
    my $lock = slurp("$tests/package-lock.json");

    return 1 if slurp("$clients/installed.json") eq $lock;

    remove_tree($clients);
    make_path($clients);
    copy("$tests/$_", "$clients/$_") or die "$_: $!\n"
        for qw(package.json package-lock.json .npmrc);

    my $output = `cd '$clients' && npm ci 2>&1`;

    if ($?) {
        diag($output);
        return 0;
    }

    return copy("$clients/package-lock.json", "$clients/installed.json");
}

my $mock = mock();

if (!ok(install(), 'the clients are installed')) {
    done_testing();
    exit;
}

my $nginx = nginx(workers => 2, location => 'llm_cache on;');

$ENV{BASE_URL} = 'http://127.0.0.1:' . $nginx->port;

# they stand where node finds the libraries

copy($_, "$clients/" . basename($_)) or die "$_: $!\n"
    for glob("$tests/*.mjs");

for my $file (sort glob("$tests/*.test.mjs")) {
    my $name = basename($file, '.test.mjs');
    my $output = `cd '$clients' && node --test-reporter=tap \\
        $name.test.mjs 2>&1`;
    my $status = $?;
    my ($passed) = $output =~ /^# pass (\d+)$/m;
    my ($failed) = $output =~ /^# (?:fail|cancelled|skipped|todo) [1-9]/m;

    ok($status == 0 && $passed && !$failed, "$name: " . ($passed // 'none')
        . ' tests') or diag($output);
}

finish();
