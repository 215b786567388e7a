#!/usr/bin/perl

# What a stored answer takes in a zone, plain and with compress=on: a table for
# docs/operations.md.  Build the module first.
#
#   sizing.pl [ENTRIES]

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../t/lib";

use File::Temp qw(tempdir);

use LLMTest;

my $entries = shift // 400;
my $bodies = tempdir(CLEANUP => 1);

chmod 0755, $bodies;
system($^X, "$FindBin::Bin/bodies.pl", $bodies) == 0 or die "no bodies\n";

my @kinds = (
    ['chat, JSON, short', 'pack-answer-1700.json', 'chat/completions'],
    ['chat, JSON, long', 'pack-answer-6000.json', 'chat/completions'],
    ['chat, stream of 348 events', 'pack-chat.sse', 'chat/completions'],
    ['chat, stream of 3,000 events', 'pack-chat-1m.sse', 'chat/completions'],
    ['Anthropic, stream of 400 events', 'pack-anthropic.sse', 'messages'],
    ['embedding of 1,536 numbers', 'pack-embedding.json', 'embeddings'],
);

my $locations = join '', map { <<"END" } qw(plain packed);
    location /$_/ {
        llm_cache on zone=$_;
        llm_cache_headers off;
        client_body_buffer_size 64k;
        proxy_pass http://unix:%PREFIX%/files.sock:/;
    }

    location = /free/$_ {
        llm_cache on zone=$_;
        return 200 \$llm_cache_zone_free;
    }
END

my $nginx = nginx(no_location => 1, server => $locations, level => 'notice',
    http => 'llm_cache_zone zone=plain:1g max_entry=4m;'
        . 'llm_cache_zone zone=packed:1g max_entry=4m compress=on;',
    servers => <<"END");
server {
    listen unix:%PREFIX%/files.sock;
    access_log off;

    location ~ ^/(?<file>[^/]+)/ {
        error_page 405 =200 /\$file;
        return 405;
    }

    location ~ sse\$ {
        internal;
        default_type text/event-stream;
        root $bodies;
    }

    location ~ json\$ {
        internal;
        default_type application/json;
        root $bodies;
    }
}
END

sub free_bytes { return $nginx->get("/free/$_[0]")->body }

# bodies are packed after the response

sub settled {
    my ($zone) = @_;

    my ($before, $now) = (0, free_bytes($zone));

    while ($before != $now) {
        pause(0.5);
        ($before, $now) = ($now, free_bytes($zone));
    }

    return $now;
}

sub grouped { return scalar reverse join ',', unpack '(A3)*', reverse $_[0] }

print "| answer | bytes | in a zone | with `compress=on` |\n",
    "|---|---|---|---|\n";

for my $kind (@kinds) {
    my ($name, $file, $api) = @$kind;
    my @taken;

    for my $zone (qw(plain packed)) {
        my $before = settled($zone);

        for my $number (1 .. $entries) {
            my $response = $nginx->post("/$zone/$file/v1/$api", {
                chat("question $number")->%*, input => "question $number",
                stream => $file =~ /sse/ ? json_true : json_false });

            die "$file: status " . $response->status . "\n"
                if $response->status != 200;
        }

        push @taken, int(($before - settled($zone)) / $entries + 0.5);
    }

    printf "| %s | %s | %s | %s |\n", $name,
        map { grouped($_) } -s "$bodies/$file", @taken;
}
