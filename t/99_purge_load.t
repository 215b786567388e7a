# Everything is purged while others ask.  FULL=1: of 1,000,000 answers; what it
# took is told, and not judged here.

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

my ($purged, $ms, $asked, $p99, $max, $later_p99, $later_max, $late)
    = split ' ', `$program @{[$nginx->port]} $entries 6`;

is($purged, $entries, 'every answer is counted');
cmp_ok($asked, '>', 1000, 'others asked meanwhile');
ok($nginx->wait_until(sub { zone()->{entries} <= 200 }),
    'what is there came later');
note("purged $purged in $ms ms; $asked others: before p99 $p99 us, longest "
    . "$max us; from then on p99 $later_p99 us, longest $later_max us, "
    . "$late of them over 5 ms");

finish();
