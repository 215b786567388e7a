# Every dialect, streamed and not: the second equal request is served with the
# bytes of the first answer and makes no call.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();
my $nginx = nginx(location => 'llm_cache on;');

my %NAME = (sse => qr{^text/event-stream}, ndjson => qr{^application/x-ndjson},
    json => qr{^application/json}, array => qr{^application/json});

# the pair of log lines of a miss and its hit

sub check_log {
    my ($case, $name, $first, $second) = @_;

    my ($miss, $hit) = map { $nginx->logged($_) } $first, $second;

    is($miss->{status}, 'MISS', "$name: status of the miss");
    is($hit->{status}, 'HIT', "$name: status of the hit");
    is($miss->{reason} . $hit->{reason}, '', "$name: no reason");
    is($hit->{model}, $case->{model}, "$name: model");
    like($hit->{key}, qr/^[0-9a-f]{64}$/, "$name: key");
    is($hit->{key}, $miss->{key}, "$name: one key");
    is($hit->{dialect}, $miss->{dialect}, "$name: one dialect");
    isnt($hit->{dialect}, '', "$name: a dialect");

    return;
}

sub check {
    my ($case, $form, $name, @request) = @_;

    my ($first, $second) = is_cached($nginx, $name, @request);

    like($second->header('Content-Type'), $NAME{$form}, "$name: form");
    check_log($case, $name, $first, $second);

    return;
}

for my $case (dialects()) {
    my $name = $case->{name};
    my %more = (headers => $case->{headers});

    check($case, $case->{form}, $name, $case->{uri},
        $case->{body}->("Hi, $name"), %more);

    next if !$case->{streams};

    check($case, $case->{streams}, "$name stream", $case->{uri},
        $case->{body}->("Go, $name", stream => json_true), %more);
    check($case, 'json', "$name explicit no stream", $case->{uri},
        $case->{body}->("No, $name", stream => json_false), %more);
}

# dialects have names of their own

my %names = map { ($_->{dialect} // '-') => 1 } $nginx->access_log;

ok(keys %names >= 12, 'dialects are told apart')
    or diag(join ' ', sort keys %names);

# contents that a cache could lose

for my $name ('chat', 'responses', 'anthropic', 'gemini generate',
    'gemini stream', 'gemini array', 'cohere chat', 'ollama chat')
{
    my $case = dialect($name);

    for my $kind (qw(tools reasoning)) {
        for my $stream ($case->{streams} ? (json_false, json_true) : undef) {
            my %ask = defined $stream ? (stream => $stream) : ();

            is_cached($nginx, "$name with $kind"
                . ($stream ? ', streamed' : ''), $case->{uri},
                $case->{body}->("$kind for $name" . ($stream ? ' in pieces'
                : ''), %ask),
                headers => $case->{headers}, mock => { kind => $kind });
        }
    }
}

for my $stream (json_false, json_true) {
    my $how = $stream ? 'streamed' : 'at once';

    is_cached($nginx, "a refusal, $how", chat_uri(),
        chat("refuse $how", stream => $stream), mock => { kind => 'refusal' });
    is_cached($nginx, "three choices, $how", chat_uri(),
        chat("choose $how", stream => $stream, n => 3));
    is_cached($nginx, "a long answer, $how", chat_uri(),
        chat("long $how", stream => $stream), mock => { size => 300_000 });
    is_cached($nginx, "stopped by length, $how", chat_uri(),
        chat("short $how", stream => $stream), mock => { finish => 'length' });
}

is_cached($nginx, 'base64 embeddings', '/v1/embeddings',
    { model => 'text-embedding-3-small', input => ['a', 'b'],
        encoding_format => 'base64' });
is_cached($nginx, 'embeddings of tokens', '/v1/embeddings',
    { model => 'text-embedding-3-small', input => [[1, 2], [3]] });

# what the answers tell of tokens

for my $name ('chat', 'completions', 'responses', 'anthropic',
    'gemini generate', 'gemini stream', 'gemini array', 'cohere chat',
    'ollama chat', 'ollama generate')
{
    my $case = dialect($name);

    for my $stream ($case->{streams} ? (json_false, json_true) : undef) {
        my %ask = (defined $stream ? (stream => $stream) : (),
            $stream && $name =~ /^(?:chat|completions)$/
                ? (stream_options => { include_usage => json_true }) : ());

        next if $name eq 'completions' && $stream;

        my @answers = map { $nginx->post($case->{uri},
            $case->{body}->("count $name", %ask),
            headers => $case->{headers}, mock => { usage => [123, 45] }) }
            1, 2;
        my $line = $nginx->logged($answers[1]);
        my $how = $name . ($stream ? ', streamed' : '');

        is($line->{prompt_tokens}, '123', "$how: prompt tokens");
        is($line->{completion_tokens}, '45', "$how: completion tokens");
        is($line->{saved_tokens}, '168', "$how: saved tokens");
    }
}

my $miss = $nginx->logged($nginx->post(chat_uri(), chat('count once'),
    mock => { usage => [123, 45] }));

is($miss->{prompt_tokens}, '123', 'miss: prompt tokens');
is($miss->{completion_tokens}, '45', 'miss: completion tokens');
like($miss->{saved_tokens}, qr/^0?$/, 'miss: nothing saved');

finish();
