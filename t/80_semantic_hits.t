# The semantic tier: what it serves, how that is told, and what it refuses.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on; llm_cache_semantic on;',
    http => 'llm_cache_zone zone=one:16m;', server => <<'END');
    location /high/ {
        llm_cache on;
        llm_cache_semantic on threshold=0.99;
        proxy_pass http://llm;
    }
    location /loose/ {
        llm_cache on;
        llm_cache_semantic on guards=-question,-words;
        proxy_pass http://llm;
    }
    location /deaf/ {
        llm_cache on;
        llm_cache_controls off;
        llm_cache_semantic on;
        proxy_pass http://llm;
    }
    location /exact/ {
        llm_cache on;
        llm_cache_semantic off;
        proxy_pass http://llm;
    }
    location /custom/ {
        llm_cache on;
        llm_cache_key $llm_request_messages;
        proxy_pass http://llm;
    }
    location /told/ {
        llm_cache on;
        add_header X-Tier $llm_cache_tier always;
        add_header X-Similar "[$llm_cache_similarity]" always;
        proxy_pass http://llm;
    }
    location /short/ {
        llm_cache on;
        llm_cache_valid 1s;
        proxy_pass http://llm;
    }
    llm_cache_semantic on;
END

my $WHAT = 'What is the capital of France?';
my $AGAIN = 'whats the captial of France';

sub ask {
    my ($prefix, $prompt, %option) = @_;

    my $more = delete $option{more} // {};

    return $nginx->post($prefix . chat_uri(), chat($prompt, %$more), %option);
}

# a hit

my $first = ask('', $WHAT);
my $calls = calls(sub {
    my $hit = ask('', $AGAIN);

    is($hit->cache, 'SEMANTIC', 'a question spelt otherwise');
    is($hit->body, $first->body, 'the bytes of the first answer');
    is($hit->header('X-LLM-Cache-Key'), $first->header('X-LLM-Cache-Key'),
        'the key of what was served');
    like($hit->header('X-LLM-Cache-Similarity'), qr/^0\.[5-9]\d\d$/,
        'X-LLM-Cache-Similarity');
    like($hit->header('Cache-Status'),
        qr/^llm-cache; hit; ttl=\d+; detail="semantic"; key="[0-9a-f]{64}"$/,
        'Cache-Status');
    like($hit->header('Age'), qr/^\d+$/, 'Age');
});

is($calls, 0, 'no call upstream');
is(ask('', $AGAIN)->cache, 'SEMANTIC', 'it is never stored as an exact one');
is_hit(ask('', $WHAT), $first, 'the question itself is an exact one');
is($first->header('X-LLM-Cache-Similarity'), undef,
    'no similarity of other answers');

ask('/told', $WHAT);

my ($told, $exact) = (ask('/told', $AGAIN), ask('/told', $WHAT));

is($told->header('X-Tier'), 'semantic', '$llm_cache_tier');
is($told->header('X-Similar'),
    '[' . $told->header('X-LLM-Cache-Similarity') . ']',
    '$llm_cache_similarity');
is($exact->header('X-Similar'), '[]', '$llm_cache_similarity is empty');

# what looks alike and is not

for my $pair (
    ['How do I convert celsius to fahrenheit?',
        'How do I convert fahrenheit to celsius?'],
    ['Is a whale bigger than an elephant?',
        'Is an elephant bigger than a whale?'],
    ['Who wrote chapter 3 of the book?', 'Who wrote chapter 4 of the book?'],
    ['Which foods contain gluten?', 'Which foods do not contain gluten?'],
    ['Who is the president of Brazil?', 'Who was the president of Brazil?'],
    ['What is the capital of Austria?', 'What is the capital of Australia?'])
{
    ask('', $pair->[0]);
    is_miss(ask('', $pair->[1]), $pair->[1]);
}

# guards and thresholds

ask('/loose', 'Where is the Louvre?');
is(ask('/loose', 'When is the Louvre?')->cache, 'SEMANTIC',
    'a guard that is off');
ask('', 'Where is the Louvre?');
is_miss(ask('', 'When is the Louvre?'), 'a guard that is on');

ask('/high', $WHAT);
is_miss(ask('/high', $AGAIN), 'a higher threshold');
is(ask('/high', 'what is the capital of france')->cache, 'SEMANTIC',
    'a question that is over it');

ask('/exact', $WHAT);
is_miss(ask('/exact', $AGAIN), 'llm_cache_semantic off');
ask('/custom', $WHAT);
is_miss(ask('/custom', $AGAIN), 'llm_cache_key');

# what a client may say: more, never less

sub controlled {
    my ($name, $prefix, $status, $cache, $header) = @_;

    ask($prefix, "$name: how is cheese made?");

    my $answer = ask($prefix, "$name: how is chese made??",
        more => { defined $cache ? (cache => $cache) : () },
        headers => $header // {});

    is($answer->cache, $status, $name);

    return;
}

controlled('semantic: true', '', 'SEMANTIC', { semantic => \1 });
controlled('semantic: false', '', 'MISS', { semantic => \0 });
controlled('threshold: 0.999', '', 'MISS', { threshold => 0.999 });
controlled('threshold: 0.1', '', 'SEMANTIC', { threshold => 0.1 });
controlled('a lower threshold', '/high', 'MISS', { threshold => 0.1 });
controlled('X-LLM-Cache-Threshold: 1', '', 'MISS', undef,
    { 'X-LLM-Cache-Threshold' => '1' });
controlled('X-LLM-Cache-Threshold: 0.1', '', 'SEMANTIC', undef,
    { 'X-LLM-Cache-Threshold' => '0.1' });
controlled('X-LLM-Cache-Threshold: lower', '/high', 'MISS', undef,
    { 'X-LLM-Cache-Threshold' => '0.1' });
controlled('X-LLM-Cache-Threshold: nonsense', '', 'MISS', undef,
    { 'X-LLM-Cache-Threshold' => 'high' });
controlled('X-LLM-Cache-Threshold is not heard', '/deaf', 'SEMANTIC', undef,
    { 'X-LLM-Cache-Threshold' => '1' });

# and what an exact-only client asked serves others

ask('', 'How old is the universe?', more => { cache => { semantic => \0 } });
is(ask('', 'how old is the univrese?')->cache, 'SEMANTIC',
    'the answer to a client that wants exact ones');

is(ask('', $AGAIN, headers => { 'Cache-Control' => 'only-if-cached' })->cache,
    'SEMANTIC', 'only-if-cached');
is(ask('', $AGAIN, headers => { 'Cache-Control' => 'no-cache' })->cache,
    'BYPASS', 'no-cache');

# answers that are not shared

ask('', 'Please call the tool for Paris', mock => { kind => 'tools' });
is(ask('', 'please call the tool for paris!', mock => { kind => 'tools' })
    ->cache, 'MISS', 'calls of tools');

ask('/short', $WHAT);
pause(2.1);
is(ask('/short', $AGAIN)->cache, 'MISS', 'what has expired');

# requests that are not compared

for my $other (
    ['a picture', [{ type => 'text', text => '%s' },
        { type => 'image_url', image_url => { url => 'data:,x' } }]],
    ['sound', [{ type => 'input_audio', input_audio => { data => 'x' } },
        { type => 'text', text => '%s' }]],
    ['a file', [{ type => 'file', file => { file_id => 'f' } },
        { type => 'text', text => '%s' }]])
{
    my ($name, $content) = @$other;

    my @answers = map {
        my $text = $_;

        $nginx->post(chat_uri(), { model => 'm', messages => [{
            role => 'user', content => [map { { %$_, exists $_->{text}
                ? (text => $text) : () } } @$content] }] });
    } 'Describe what is there', 'describe what is there!';

    is($answers[1]->cache, 'MISS', $name);
}

for my $choice ('required', { type => 'function',
    function => { name => 'f' } })
{
    my @answers = map { ask('', $_, more => { tool_choice => $choice,
        tools => [{ type => 'function', function => { name => 'f' } }] }) }
        'Ask the tool of mine', 'ask the tool of mine.';

    is($answers[1]->cache, 'MISS', 'a tool that has to be called');
}

# every dialect with a chat, streamed or not

for my $dialect (dialects()) {
    my $name = $dialect->{name};
    my $chat = $name
        =~ /chat|responses|anthropic|generate|gemini (?:stream|array)/;
    my @more = $dialect->{streams} ? ({ stream => \0 }, { stream => \1 })
        : ({});

    for my $more (@more) {
        my $water = $more->{stream} && ${$more->{stream}} ? 'lake' : 'sea';
        my @answers = map { $nginx->post($dialect->{uri},
            $dialect->{body}->($_, %$more),
            headers => $dialect->{headers} // {}) }
            "Why is the $water salty?", "why is the $water salty";

        # both calls to Cohere's embeddings are for "second", too

        is($answers[1]->cache, $chat ? 'SEMANTIC' : $name eq 'cohere embed'
            ? 'PARTIAL' : 'MISS', "$name, " . (keys %$more
            ? ${$more->{stream}} : 'as it is'));
    }
}

finish();
