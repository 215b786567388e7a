# Clients that read late or slowly, leaders and followers: each gets its
# answer once and whole, and the others need not wait for it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Crowd;

my $mock = mock();

my $nginx = nginx(workers => 2, listen => 'sndbuf=16k', server => <<'END');
    llm_cache on;
    llm_cache_namespace all;
    llm_cache_lock_timeout 2s;
    location = /zone {
        return 200 "$llm_cache_zone_followers $llm_cache_zone_flying";
    }
    location /buffered/ {
        proxy_buffering on;
        proxy_pass http://llm;
    }
    location /unbuffered/ {
        proxy_buffering off;
        proxy_pass http://llm;
    }
    location /rate/ {
        limit_rate 400k;
        proxy_pass http://llm;
    }
    location /gzip/ {
        gzip on;
        gzip_types application/json text/event-stream;
        proxy_pass http://llm;
    }
    location /lingering/ {
        send_timeout 1s;
        proxy_pass http://llm;
    }
END

sub zone { return split ' ', $nginx->get('/zone')->body }

sub grounded {
    my ($name) = @_;

    ok($nginx->wait_until(sub { (zone())[1] == 0 }), "$name: no flight left");

    return;
}

# slow ones among those who follow, or all of them, on connections that are
# used again afterwards

for my $prefix ('', '/buffered', '/unbuffered', '/rate') {
    for my $form (qw(JSON stream)) {
        my $name = "$form $prefix";
        my @more = $form eq 'stream' ? (stream => json_true) : ();
        my @request = ($prefix . chat_uri(), chat($name, @more),
            mock => { repeat => 4000, gate => $name });
        my $calls = $mock->count;
        my ($before) = zone();
        my %slow = (rcvbuf => 4096, times => 2);
        my @crowds = (crowd($nginx, 1, \@request, %slow, late => 300),
            crowd($nginx, 4, \@request, %slow, late => 500),
            crowd($nginx, 4, \@request, %slow, nap => 5),
            crowd($nginx, 4, \@request, times => 2));

        $nginx->wait_until(sub { (zone())[0] >= $before + 12 });
        $mock->release($name);

        my @faults = crowd_faults(@crowds);
        my %bodies = map { $_->{digest} => 1 } map { $_->groups } @crowds;
        my ($whole, $shared) = (0, 0);

        for my $crowd (@crowds) {
            $whole += $crowd->count(status => 200, end => 'whole');
            $shared += $crowd->count(cache => 'SHARED', end => 'whole');
        }

        is(join("\n", @faults), '', "$name: no faults");
        is($whole, 26, "$name: whole answers")
            or diag(join "\n", map { $_->summary } @crowds);
        is($shared, 12, "$name: shared");
        is(scalar keys %bodies, 1, "$name: equal");
        is($mock->count - $calls, 1, "$name: one call");
        grounded($name);
    }
}

# a client that stops reading is dropped, and nobody else

{
    my @request = ('/lingering' . chat_uri(), chat('lingering',
        stream => json_true), mock => { repeat => 8000,
        hold => [400, 'lingering'] });
    my @slow = (crowd($nginx, 1, \@request, rcvbuf => 4096, late => 4000));

    $mock->wait_for(sub { $mock->waiting('lingering') });
    push @slow, crowd($nginx, 3, \@request, rcvbuf => 4096, late => 4000);

    my $quick = crowd($nginx, 3, \@request);

    is($slow[1]->count(end => 'cut'), 3, 'lingering: followers are dropped')
        or diag(join "\n", $slow[1]->summary);
    $mock->release('lingering');
    is($slow[0]->count(end => 'cut'), 1, 'lingering: so is the leader')
        or diag(join "\n", $slow[0]->summary);
    is(join("\n", crowd_faults(@slow, $quick)), '', 'lingering: no faults');
    is($quick->count(end => 'whole'), 3, 'lingering: the others')
        or diag(join "\n", $quick->summary);
    grounded('lingering');
}

finish();
