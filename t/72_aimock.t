# The same clients in front of a mock LLM that others have written, aimock:
# its answers in all APIs, and what it counts, are not of our making.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Npm;

ok(LLMTest::Npm::install('clients'), 'the clients are installed');

my $aimock = LLMTest::Npm->aimock;
my $nginx = nginx(mock => $aimock, workers => 2,
    location => 'llm_cache on;');

for my $file (LLMTest::Npm::tests('clients')) {
    my ($passed, $output) = LLMTest::Npm::run('clients', $file,
        BASE_URL => 'http://127.0.0.1:' . $nginx->port,
        AIMOCK_URL => 'http://127.0.0.1:' . $aimock->port);

    ok($passed, "$file: " . ($passed // 'no') . ' tests') or diag($output);
}

# all together: what nginx let pass is what came there

$nginx->quit;

my %times;

$times{$_->{status}}++ for $nginx->access_log;

cmp_ok($times{HIT}, '>', $times{MISS}, 'more hits than misses');
is($aimock->count(method => 'POST')
    - $aimock->count(path => '/__aimock/error'), $times{MISS},
    'each miss is a call, and nothing else');

$aimock->stop;
finish();
