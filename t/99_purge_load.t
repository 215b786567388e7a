# Purging while others ask.  FULL=1: 1,000,000 answers; what it took is told,
# and not judged here.

use FindBin ();
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use LLMTest;

my $entries = $ENV{FULL} ? 1_000_000 : 20_000;
my $zone = $ENV{FULL} ? '1600m' : '64m';
my $program = tempdir(CLEANUP => 1) . '/purger';

plan skip_all => 'no C compiler'
    if system("cc -std=gnu11 -O2 -o $program $FindBin::Bin/lib/purger.c") != 0;

alarm 1200 if $ENV{FULL};

my $mock = mock();
my $nginx = nginx(workers => 2, level => 'notice', no_location => 1,
    http => "llm_cache_zone zone=large:$zone;\nkeepalive_requests 100000000;\n"
        . "access_log off;", server => <<'END', servers => <<'END2');
    location /v1/ {
        llm_cache on zone=large;
        proxy_pass http://provider;
    }

    location /api/ {
        llm_cache_api write=on;
    }
END
    upstream provider {
        server unix:%PREFIX%/provider;
        keepalive 16;
    }

    server {
        listen unix:%PREFIX%/provider;
        default_type application/json;
        access_log off;

        location / {
            return 200 '{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"An answer"},"finish_reason":"stop","x":"end"}]}';
        }
    }
END2

sub zone {
    my ($found) = grep { $_->{name} eq 'large' }
        @{$nginx->get('/api/status')->json->{zones}};

    return $found;
}

for my $what ('{"all":true}', '{"model":"m"}') {
    my @told = split ' ', `$program @{[$nginx->port]} $entries 9 '$what'`;

    # by conditions, answers to who asks meanwhile may go or stay

    cmp_ok($told[0], '>=', $entries - 200, "$what: every answer is counted");
    cmp_ok($told[0], '<=', $entries, "$what: once");
    cmp_ok($told[2], '>', 1000, "$what: others asked meanwhile");
    ok($nginx->wait_until(sub { zone()->{entries} <= 200 }),
        "$what: what is there came later");
    note("$what: purged $told[0] in $told[1] ms; $told[2] others: before, "
        . "p99 $told[3] us, longest $told[4] us, $told[5] over 5 ms; then "
        . "p99 $told[6] us, longest $told[7] us, $told[8] over 5 ms");
}

finish();
