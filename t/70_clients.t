# The real client libraries, in front of the mock LLM: what each makes of a
# miss, of a hit, and of a hit in the other form is the same.
#
# They come from npm into build/clients, as t/clients/package-lock.json says.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Npm;

my $mock = mock();

ok(LLMTest::Npm::install('clients'), 'the clients are installed');

my $nginx = nginx(workers => 2, location => 'llm_cache on;');

for my $file (LLMTest::Npm::tests('clients')) {
    my ($passed, $output) = LLMTest::Npm::run('clients', $file,
        BASE_URL => 'http://127.0.0.1:' . $nginx->port,
        MOCK_URL => 'http://127.0.0.1:' . $mock->port);

    ok($passed, "$file: " . ($passed // 'no') . ' tests') or diag($output);
}

finish();
