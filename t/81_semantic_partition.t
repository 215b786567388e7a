# Nothing but the question is compared by its meaning: requests that differ in
# anything else never share answers.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $SEED = $ENV{TEST_SEED} // 20240607;
my $ROUNDS = 150;

srand $SEED;

my $mock = mock();
my $nginx = nginx(location => 'llm_cache on; llm_cache_semantic on;',
    http => 'llm_cache_zone zone=one:32m;', server => <<'END');
    llm_cache_semantic on;
    location /other/ {
        llm_cache on;
        proxy_pass http://llm;
    }
END

my @SPELT = ('Why is the sea so salty?', 'why is the sea so salty',
    'Why is teh sea so salty ??', 'WHY IS THE SEA SO SALTY', 'please tell me '
    . 'why the sea is so salty');

# what may differ, each with the values that it may have

my @PARTS = (
    [tenant => 'sk-one', 'sk-two', 'sk-three'],
    [prefix => '', '/other'],
    [model => 'gpt-4o', 'gpt-4o-mini', 'o3'],
    [system => undef, 'Be brief.', 'Be long.', 'be brief.'],
    [turns => 0, 1, 2],
    [temperature => undef, 0, 0.5],
    [tools => 0, 1],
    [part => undef, 'some text', 'other text'],
    [stream => 0, 1],
    [seed => undef, 1, 2],
    [name => undef, 'ann', 'bob'],
    [namespace => undef, 'x', 'y'],
);

sub chosen { return { map { $_->[0] => $_->[1 + int rand($#$_)] } @PARTS } }

# a stream and JSON are made of each other

sub id_of {
    my ($part) = @_;

    return join '|', map { $_->[0] . '=' . ($part->{$_->[0]} // '-') }
        grep { $_->[0] ne 'stream' } @PARTS;
}

sub request {
    my ($part, $text) = @_;

    my @messages;

    push @messages, { role => 'system', content => $part->{system} }
        if defined $part->{system};
    push @messages, { role => 'user', content => "turn $_" },
        { role => 'assistant', content => "answer $_" }
        for 1 .. $part->{turns};

    my $content = defined $part->{part} ? [
        { type => 'text', text => $part->{part} },
        { type => 'text', text => $text }] : $text;

    push @messages, { role => 'user', content => $content,
        defined $part->{name} ? (name => $part->{name}) : () };

    return $nginx->post($part->{prefix} . chat_uri(), {
        model => $part->{model}, messages => \@messages,
        (map { defined $part->{$_} ? ($_ => $part->{$_}) : () }
            qw(temperature seed)),
        $part->{tools} ? (tools => [{ type => 'function',
            function => { name => 'f' } }]) : (),
        $part->{stream} ? (stream => \1,
            stream_options => { include_usage => \1 }) : (),
        defined $part->{namespace}
            ? (cache => { namespace => $part->{namespace} }) : () },
        headers => { 'Authorization' => "Bearer $part->{tenant}" });
}

# the key of what is served has to be one of the same partition

my (%owner, @wrong, $shared, $missed);

for my $round (1 .. $ROUNDS) {
    my $part = chosen();

    # half of them are near another one: one thing differs

    if ($round % 2 && %owner) {
        my @seen = values %owner;
        my $near = $seen[rand @seen];
        my $one = $PARTS[rand @PARTS];

        $part = { %$near, $one->[0] => $one->[1 + int rand($#$one)] };
    }

    my $id = id_of($part);
    my $answer = request($part, $SPELT[rand @SPELT]);
    my $key = $answer->header('X-LLM-Cache-Key');
    my $known = grep { id_of($_) eq $id } values %owner;

    if ($answer->cache eq 'MISS') {
        push @wrong, "$id: a miss" if $known;
        $missed++;
        $owner{$key} = $part;

    } elsif (!$owner{$key} || id_of($owner{$key}) ne $id) {
        push @wrong, "$id: that of "
            . ($owner{$key} ? id_of($owner{$key}) : 'nobody');

    } else {
        $shared++;
    }
}

is("@wrong[0 .. ($#wrong > 3 ? 3 : $#wrong)]", '',
    "no answer of another partition, seed $SEED");
cmp_ok($missed, '>', 20, 'there were several');

# and one that is shared

my $part = chosen();

request($part, $SPELT[0]);
is(request($part, $_)->cache, 'SEMANTIC', "one partition: $_")
    for @SPELT[1 .. $#SPELT];

finish();
