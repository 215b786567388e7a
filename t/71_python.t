# Python's HTTP clients, in front of the mock LLM: JSON as Python spells it,
# bodies from generators, streams by lines, compressed answers.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

# Debian's, whose packages the clients are

my $PYTHON = '/usr/bin/python3';

my $mock = mock();
my $nginx = nginx(workers => 2, location => 'llm_cache on;',
    http => 'llm_cache_zone zone=packed:8m compress=on;',
    server => <<'END');
location /gzip/ {
    proxy_pass http://llm/;
    llm_cache on;
    gzip on;
    gzip_types application/json text/event-stream;
    gzip_min_length 1;
}
location /packed/ {
    proxy_pass http://llm/;
    llm_cache on zone=packed;
}
END

local $ENV{BASE_URL} = 'http://127.0.0.1:' . $nginx->port;
local $ENV{MOCK_URL} = 'http://127.0.0.1:' . $mock->port;
local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
local $ENV{no_proxy} = '*';

for my $client (qw(httpx requests aiohttp)) {
    my $output = `$PYTHON '$FindBin::Bin/clients/raw_$client.py' 2>&1`;
    my $status = $?;
    my $passed = () = $output =~ /^ok \d+/mg;

    ok($status == 0 && $output =~ /^1\.\.\Q$passed\E$/m,
        "$client: $passed tests") or diag($output);
}

finish();
