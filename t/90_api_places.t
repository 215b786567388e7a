# llm_cache_api with what else may stand in its location and around it: "if",
# "limit_except", "llm_cache on" for the whole server; and in subrequests.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(workers => 2, location => '', server => <<'END',
    llm_cache on zone=one;
    location /api { llm_cache_api write=on; }
    location /limited {
        llm_cache_api write=on;
        limit_except GET { allow 127.0.0.1; deny all; }
    }
    location /denied {
        llm_cache_api write=on;
        limit_except GET { deny all; }
    }
    location /read {
        llm_cache_api;
        limit_except GET { allow all; }
        if ($http_x_if) { set $seen 1; }
    }
    location /if {
        llm_cache_api write=on;
        if ($http_x_if) { set $seen 1; }
    }
    location /away {
        llm_cache_api write=on;
        if ($http_x_if) { proxy_pass http://llm; }
    }
    location /observed {
        llm_cache observe zone=two;
        llm_cache_api write=on;
    }
    location /included/ { ssi on; root %PREFIX%; }
    location /preceded/ { add_before_body /api/status; root %PREFIX%; }
END
    http => 'llm_cache_zone zone=one:1m; llm_cache_zone zone=two:1m;',
    level => 'error');

sub purge {
    my ($place, %option) = @_;

    return $nginx->post("$place/purge", { all => json_true }, %option);
}

sub delete_key {
    my ($place, %option) = @_;

    return $nginx->request("$place/keys/" . '0' x 64, undef,
        method => 'DELETE', %option);
}

sub zone {
    my ($name) = @_;

    my ($found) = grep { $_->{name} eq $name }
        @{$nginx->get('/api/status')->json->{zones}};

    return $found;
}

my %if = (headers => { 'X-If' => 1 });

for my $case (['/limited'], ['/if'], ['/if', %if], ['/observed'], ['/api']) {
    my ($place, %option) = @$case;
    my $name = $place . (%option ? ', in "if"' : '');

    $nginx->post(chat_uri(), chat($name));

    my $answer = purge($place, %option);

    is($answer->status, 200, "$name: purges");
    is($answer->json->{purged}, 1, "$name: what is stored");
    is($answer->header('X-LLM-Cache'), undef, "$name: nothing of the cache");
    is(delete_key($place, %option)->status, 200, "$name: deletes");
    is($nginx->get("$place/status", %option)->status, 200, "$name: tells");
}

for my $case (['/denied'], ['/read'], ['/read', %if]) {
    my ($place, %option) = @$case;
    my $name = $place . (%option ? ', in "if"' : '');

    is(purge($place, %option)->status, 403, "$name: does not purge");
    is(delete_key($place, %option)->status, 403, "$name: nor delete");
    is($nginx->get("$place/status", %option)->status, 200, "$name: tells");
}

# a handler of the "if" is not the API

is_cached($nginx, 'what "if" sends away', '/away' . chat_uri(),
    chat('away'), %if);

# who purges is no client of an LLM

is(purge('/api', headers => { 'Cache-Control' => 'only-if-cached' })->status,
    200, "the cache's controls say nothing");

my $calls = zone('one');
my $observed = zone('two');

purge($_) for ('/api', '/observed') x 2;
is_deeply(zone('one')->{requests}, $calls->{requests}, 'it is not counted');
is_deeply(zone('two')->{observed}, $observed->{observed}, 'nor observed');

# a part of another answer

for my $place (qw(included preceded)) {
    my $dir = $nginx->prefix . "/$place";

    mkdir $dir or die "$dir: $!\n";
    open my $file, '>', "$dir/page.html" or die "$dir: $!\n";
    print {$file} '<p>begin</p><!--# include virtual="/api/status" -->',
        '<p>end</p>';
    close $file or die "$dir: $!\n";

    like($nginx->get("/$place/page.html")->body, qr{<p>end</p>\z},
        "$place: the answer goes on after it");
}

finish();
