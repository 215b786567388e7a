# llm_cache_mark: hits say "cache": true in their JSON, and are otherwise the
# recorded bytes.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();
my $nginx = nginx(location => 'llm_cache on; llm_cache_mark on;');

sub twice {
    my (@request) = @_;

    my ($first, $second) = map { $nginx->post(@request) } 1, 2;

    is($first->cache, 'MISS', 'first');
    is($second->cache, 'HIT', 'second');

    return ($first, $second);
}

# the mark before the last brace of a text

sub marked {
    my ($text) = @_;

    return $text =~ s/\}(?=[^}]*$)/,"cache":true}/r;
}

sub check_framing {
    my ($response, $name) = @_;

    ok($response->complete, "$name: framed");
    is($response->header('Content-Length'), length $response->body,
        "$name: Content-Length") if $response->framing eq 'length';

    return;
}

# JSON

for my $name ('chat', 'completions', 'responses', 'embeddings', 'anthropic',
    'gemini generate', 'gemini embed', 'cohere chat', 'cohere embed',
    'cohere rerank', 'ollama embed', 'rerank', 'moderations', 'other JSON')
{
    my $case = dialect($name);
    my ($first, $second) = twice($case->{uri}, $case->{body}->('mark'),
        headers => $case->{headers});

    unlike($first->body, qr/"cache":\s*true/, "$name: no mark on a miss");
    is($second->body, marked($first->body), "$name: marked");
    ok($second->json->{cache}, "$name: JSON with the mark");
    check_framing($second, $name);
}

# streams: the first JSON event

for my $name ('chat', 'completions', 'responses', 'anthropic',
    'gemini stream', 'cohere chat', 'ollama chat', 'ollama generate')
{
    my $case = dialect($name);
    my ($first, $second) = twice($case->{uri}, $case->{body}->('marks',
        ($case->{streams} ? (stream => json_true) : ())),
        headers => $case->{headers});
    my ($line) = $first->body =~ /^((?:data: )?\{.*)$/m;
    my $mark = marked($line);

    unlike($first->body, qr/"cache":true/, "$name: no mark on a miss");
    is($second->body, $first->body =~ s/^\Q$line\E$/$mark/mr,
        "$name: the first event is marked");
    is(scalar(() = $second->body =~ /"cache":true/g), 1, "$name: once");
    check_framing($second, $name);
}

# arrays: the first element

my $case = dialect('gemini array');
my ($first, $second) = twice($case->{uri}, $case->{body}->('marked'),
    headers => $case->{headers});

is_deeply([map { exists $_->{cache} ? 1 : 0 } @{$second->json}],
    [1, (0) x $#{$first->json}], 'an array: its first element is marked');
is($second->body =~ s/,"cache":true//r, $first->body,
    'an array: nothing else changes');
check_framing($second, 'an array');

# bodies as providers may spell them

my $choices = '"choices":[{"index":0,"message":{"role":"assistant",'
    . '"content":"}"},"finish_reason":"stop"}]';

my %spelt = (
    'white space after it' => ["{$choices}\n", "{$choices,\"cache\":true}\n"],
    'white space inside' => ["{ $choices }", "{ $choices ,\"cache\":true}"],
    'pretty-printed' => ["{\n  $choices\n}", "{\n  $choices\n,"
        . '"cache":true}'],
    'a brace in a string at the end' => ["{$choices,\"x\":\"a}\"}",
        "{$choices,\"x\":\"a}\",\"cache\":true}"],
    'an escaped quote' => ["{$choices,\"x\":\"\\\"}\\\\\"}",
        "{$choices,\"x\":\"\\\"}\\\\\",\"cache\":true}"],
    'a member of that name already' => ["{\"cache\":false,$choices}",
        "{\"cache\":false,$choices}"],
    'a deeper member of that name' => ["{\"x\":{\"cache\":1},$choices}",
        "{\"x\":{\"cache\":1},$choices,\"cache\":true}"],
);

for my $name (sort keys %spelt) {
    my ($body, $mark) = @{$spelt{$name}};

    ($first, $second) = twice(chat_uri(), chat($name),
        mock => { body => $body });
    is($second->body, $mark, $name);
    check_framing($second, $name);
}

my $event = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":"
    . "{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}";
my $mark = marked($event);

my %stream = (
    'a comment first' => [": ping\n\n", "$event\n\n"],
    'other fields' => ["id: 1\nretry: 5\n", "$event\n\n"],
    'CR LF' => ["$event\r\n\r\n"],
    'CR alone' => ["$event\r\r"],
);

for my $name (sort keys %stream) {
    my @events = (@{$stream{$name}}, "data: [DONE]\n\n");

    ($first, $second) = twice(chat_uri(), chat($name, stream => json_true),
        mock => { body => \@events });
    is($second->body, join('', @events) =~ s/\Q$event\E/$mark/r, $name);
    check_framing($second, $name);
}

# the usage event that a client did not ask for goes, the mark stays

my @usage = map { $nginx->post(chat_uri(), chat('usage',
    stream => json_true, stream_options => { include_usage => $_ })) }
    json_true, json_false;

is($usage[1]->cache, 'HIT', 'mark and usage: hit');
is(scalar(() = $usage[1]->body =~ /"cache":true/g), 1,
    'mark and usage: marked');
unlike($usage[1]->body, qr/"total_tokens"/, 'mark and usage: no usage');
check_framing($usage[1], 'mark and usage');

# a mark is put on a hit, not into the record

is($nginx->post(chat_uri(), chat('white space after it'))->body,
    $spelt{'white space after it'}[1], 'marked once at every hit');

# off is the default

my $plain = nginx(location => 'llm_cache on;');

is_cached($plain, 'no mark by default', chat_uri(), chat('x'));

finish();
