# The key: which requests are one request and which are not.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

mock();

my $nginx = nginx(location => 'llm_cache on;'
    . 'llm_cache_namespace "test $http_x_space";');
my $space = 0;

# two requests [body, uri, headers], in a space of their own

sub asked_after {
    my ($first, $second) = @_;

    $space++;

    return map { $nginx->post($_->[1] // chat_uri(), $_->[0],
        headers => $_->[2], space => $space) } $first, $second;
}

sub same {
    my ($name, $first, $second) = @_;

    my ($one, $two) = asked_after($first, $second);

    is_miss($one, $name);
    is_hit($two, $one, $name);

    return;
}

sub different {
    my ($name, $first, $second) = @_;

    my ($one, $two) = asked_after($first, $second);

    is_miss($one, "$name, first");
    is_miss($two, "$name, second");
    isnt($two->body, $one->body, "$name: answers of their own");

    return;
}

# one spelling of a request and others

my $plain = '{"model":"m","messages":[{"role":"user","content":"A"}],'
    . '"temperature":1,"top_p":0.1}';

my %same = (
    'members in another order' => '{"top_p":0.1,"temperature":1,'
        . '"messages":[{"content":"A","role":"user"}],"model":"m"}',
    'white space' => "\r\n{ \"model\" :\t\"m\" , \"messages\": [ {\"role\":"
        . " \"user\",\n\"content\": \"A\"} ],\"temperature\": 1,"
        . "\"top_p\":0.1 }\n ",
    '1.0 for 1' => $plain =~ s/:1,/:1.0,/r,
    '1e0 for 1' => $plain =~ s/:1,/:1e0,/r,
    '1E-1 for 0.1' => $plain =~ s/0\.1/1E-1/r,
    'an escaped letter' => $plain =~ s/"A"/"\\u0041"/r,
    'an escaped name' => $plain =~ s/"content"/"\\u0063ontent"/r,
    'a text part for a string' => $plain
        =~ s/"A"/[{"type":"text","text":"A"}]/r,
    'null for absent' => $plain =~ s/\{"model"/{"seed":null,"model"/r,
    'another user' => $plain =~ s/\{"model"/{"user":"u-2","model"/r,
    'stream: false' => $plain =~ s/\{"model"/{"stream":false,"model"/r,
    'stream_options' => $plain
        =~ s/\{"model"/{"stream_options":{"x":1},"model"/r,
    'metadata' => $plain =~ s/\{"model"/{"metadata":{"x":1},"model"/r,
    'safety_identifier' => $plain
        =~ s/\{"model"/{"safety_identifier":"x","model"/r,
    'prompt_cache_key' => $plain
        =~ s/\{"model"/{"prompt_cache_key":"x","model"/r,
    'prompt_cache_retention' => $plain
        =~ s/\{"model"/{"prompt_cache_retention":"24h","model"/r,
);

same($_, [$plain], [$same{$_}]) for sort keys %same;

same("$_ for 0", map { ["{\"model\":\"m\",\"temperature\":$_}"] } '0', $_)
    for '-0', '-0.0', '0e5';
same('UTF-8 for escapes', map { ["{\"model\":\"m\",\"prompt\":\"$_\"}"] }
    "caf\xc3\xa9 \xf0\x9f\x98\x80", 'caf\u00e9 \ud83d\ude00');
same('an escaped slash', map { ["{\"model\":\"m\",\"prompt\":\"$_\"}"] }
    'a/b', 'a\/b');
same('the greatest exact integer', map { ["{\"model\":\"m\",\"seed\":$_}"] }
    '9007199254740992', '9007199254740992.0');
same('streams with and without usage asked for',
    map { [chat('usage', stream => json_true, @$_)] }
    [stream_options => { include_usage => json_false }], []);

# a "stream" that only some providers take for true has answers of its own

for my $odd ('1', '"true"', '"yes"', '1.0') {
    my $body = $plain =~ s/\{"model"/{"stream":$odd,"model"/r;

    $space++;

    my ($first, $json, $again) = map { $nginx->post(chat_uri(), $_,
        space => $space) } $body, $plain, $body;

    is_miss($first, "stream: $odd");
    is_miss($json, "no stream after stream: $odd");
    like($json->header('Content-Type'), qr/json/,
        "no stream after stream: $odd: JSON");
    is_hit($again, $first, "stream: $odd again");
}

# requests that differ

my %other = (
    'model' => ['"m"', '"n"'],
    'model in other case' => ['"m"', '"M"'],
    'message' => ['"A"', '"B"'],
    'message in other case' => ['"A"', '"a"'],
    'message with a blank' => ['"A"', '"A "'],
    'message, decomposed' => ['"A"', '"A\u0300"'],
    'role' => ['"user"', '"system"'],
    'temperature' => ['"temperature":1', '"temperature":0.9'],
    'temperature, next double' => ['"top_p":0.1',
        '"top_p":0.10000000000000002'],
    'no temperature' => ['"temperature":1,', ''],
    'a number as a string' => ['"temperature":1', '"temperature":"1"'],
    'true for 1' => ['"temperature":1', '"temperature":true'],
    'null below the top level' => ['"role":"user"',
        '"role":"user","name":null'],
    'an empty array' => ['"temperature"', '"stop":[],"temperature"'],
    'an empty object' => ['"temperature"',
        '"response_format":{},"temperature"'],
    'an empty string' => ['"A"', '""'],
    'tools' => ['"temperature"', '"tools":[{"type":"function",'
        . '"function":{"name":"f"}}],"temperature"'],
    'seed' => ['"temperature"', '"seed":1,"temperature"'],
    'top_k' => ['"temperature"', '"top_k":1,"temperature"'],
    'n' => ['"temperature"', '"n":2,"temperature"'],
    'response_format' => ['"temperature"',
        '"response_format":{"type":"json_object"},"temperature"'],
    'an unknown field' => ['"temperature"', '"x_unknown":0,"temperature"'],
    'an unknown nested field' => ['"role"', '"x_unknown":0,"role"'],
    'a user inside a message' => ['"role"', '"user":"x","role"'],
    'two text parts' => ['"A"', '[{"type":"text","text":"A"},'
        . '{"type":"text","text":""}]'],
    'a text part with more' => ['"A"',
        '[{"type":"text","text":"A","x":1}]'],
    'another message' => [']', ',{"role":"user","content":"A"}]'],
);

for my $name (sort keys %other) {
    my ($from, $to) = @{$other{$name}};

    different($name, [$plain], [$plain =~ s/\Q$from\E/$to/r]);
}

different('order in an array', map { [chat('order', stop => $_)] }
    ['a', 'b'], ['b', 'a']);
different('two messages in the other order',
    map { [{ model => 'm', messages => $_ }] }
    [map { { role => 'user', content => $_ } } 'a', 'b'],
    [map { { role => 'user', content => $_ } } 'b', 'a']);

# bytes that a field could borrow from its neighbour

my $crafted = sub {
    my ($name, $model, $prompt, $other_model, $other_prompt) = @_;

    different($name, [{ model => $model, prompt => $prompt }],
        [{ model => $other_model, prompt => $other_prompt }]);
};

$crafted->('fields without delimiters', 'ab', 'c', 'a', 'bc');
$crafted->('a field that spells a delimiter', 'a","prompt":"b', 'c',
    'a', 'b","prompt":"c');
$crafted->('NUL as a delimiter', "a\0b", 'c', 'a', "b\0c");
different('nested for flat', ['{"model":"m","a":{"b":1}}'],
    ['{"model":"m","a.b":1}']);
different('a body that spells another', ['{"model":"m","a":"{\"b\":1}"}'],
    ['{"model":"m","a":{"b":1}}']);

# path and query

different('path', [chat('path')],
    [chat('path'), '/openai/v1/chat/completions']);
different('query', map { [chat('query'),
    "/openai/deployments/d/chat/completions?api-version=$_"] } 1, 2);
different('deployment', map { [chat('deployment'),
    "/openai/deployments/$_/chat/completions"] } 'a', 'b');
different('model in the path', map { [{ contents => [] },
    "/v1beta/models/$_:generateContent"] } 'gemini-a', 'gemini-b');
different('dialect', ['{"model":"m","prompt":"x"}', '/v1/completions'],
    ['{"model":"m","prompt":"x"}', '/api/generate']);

# headers

my $bedrock = '/model/anthropic.claude-3/invoke';
my %ANSWER_CHANGING = ('anthropic-version' => '/v1/messages',
    'anthropic-beta' => '/v1/messages',
    'openai-organization' => chat_uri(), 'openai-project' => chat_uri(),
    'openai-beta' => '/v1/responses', 'x-policy-id' => chat_uri(),
    'azureml-model-deployment' => chat_uri(),
    'x-ms-model-mesh-model-name' => chat_uri(),
    'x-portkey-provider' => chat_uri(), 'x-portkey-config' => chat_uri(),
    'helicone-target-url' => chat_uri(),
    map { ("x-amzn-bedrock-$_" => $bedrock) } qw(guardrailidentifier
        guardrailversion trace));

for my $header (sort keys %ANSWER_CHANGING) {
    my $uri = $ANSWER_CHANGING{$header};

    different($header, map { [chat($header), $uri, { $header => $_ }] }
        'one', 'two');
    different("$header or none", [chat($header), $uri, { $header => 'one' }],
        [chat($header), $uri]);
    same("$header empty or none", [chat($header), $uri, { $header => '' }],
        [chat($header), $uri]);
}

different('anthropic-beta split otherwise', map { [chat('beta'),
    '/v1/messages', { 'anthropic-beta' => $_ }] } ['a', 'b'], ['b', 'a']);

same($_, [chat($_), undef, { $_ => 'one' }],
    [chat($_), undef, { $_ => 'two' }]) for 'User-Agent',
    'x-stainless-retry-count', 'traceparent', 'Accept', 'Cookie', 'X-Unknown';

# of an API that is not known everything counts

my $unknown = '/v1/query';

different("$_ of an unknown API", map { [{ query => 'x', @$_ }, $unknown] }
    @{{ user => [[user => 'a'], [user => 'b']],
        metadata => [[metadata => { tenant => 'a' }],
            [metadata => { tenant => 'b' }]],
        stream_options => [[stream_options => {}], []] }->{$_}})
    for qw(user metadata stream_options);
same('stream: false of an unknown API', map { [{ query => 'x', @$_ },
    $unknown] } [stream => json_false], []);
different("$_ of an unknown API", [{ query => $_ }, $unknown, { $_ => 'a' }],
    [{ query => $_ }, $unknown, { $_ => 'b' }])
    for 'Accept', 'X-DashScope-SSE';

# Anthropic's markers, which change no answer

my $claude = sub {
    my (@marker) = @_;

    return [{ model => 'claude', max_tokens => 9, system => [{
        type => 'text', text => 'Be kind.', @marker }],
        messages => [{ role => 'user', content => [{ type => 'text',
            text => 'Hi', @marker }] }] }, '/v1/messages'];
};

same('cache_control', $claude->(),
    $claude->(cache_control => { type => 'ephemeral' }));
different('cache_control of another dialect',
    map { [{ model => 'm', messages => [{ role => 'user', content => 'x',
        @$_ }] }] } [], [cache_control => { type => 'ephemeral' }]);

# Gemini spells the forms of one request in its URL: what they answer differs
# in form, so none may be served for another

my @FORMS = (['generateContent', qr{json}, qr/^\{/],
    ['streamGenerateContent', qr{json}, qr/^\[/],
    ['streamGenerateContent?alt=sse', qr{event-stream}, qr/^data: /]);

for my $order ([0, 1, 2], [2, 1, 0], [1, 2, 0]) {
    $space++;

    for my $at (@$order, @$order) {
        my ($form, $type, $start) = @{$FORMS[$at]};
        my $answer = $nginx->post("/v1beta/models/g:$form",
            { contents => [] }, space => $space);

        like($answer->header('Content-Type'), $type, "$form: type");
        like($answer->body, $start, "$form: form");
    }
}

# which of two counts, the provider decides

my $array = '[{"candidates":[{"content":{"parts":[{"text":"x"}]},'
    . '"finishReason":"STOP","index":0}]}]';

$space++;

for my $query ('alt=sse&alt=json', 'alt=json&alt=sse', 'alt=sse') {
    my $answer = $nginx->post("/v1beta/models/g:streamGenerateContent?$query",
        { contents => [] }, space => $space, $query =~ /json/ ? (mock => {
            type => 'application/json', body => $array }) : ());

    is_miss($answer, $query);
}

# the operator's own list

my $ignoring = nginx(location => 'llm_cache on; llm_cache_namespace ignoring;'
    . 'llm_cache_key_ignore trace_id options.seed messages.name;');

sub ignoring {
    my ($name, $status, $first, $second) = @_;

    my @answers = map { $ignoring->post(chat_uri(), chat($name, %$_)) }
        $first, $second;

    is($answers[0]->cache, 'MISS', "$name: first");
    is($answers[1]->cache, $status, "$name: $status");

    return;
}

ignoring('ignored field', 'HIT', { trace_id => 1 }, { trace_id => 2 });
ignoring('ignored field or none', 'HIT', { trace_id => [1] }, {});
ignoring('ignored path', 'HIT', { options => { seed => 1, k => 1 } },
    { options => { seed => 2, k => 1 } });
ignoring('beside the ignored path', 'MISS',
    { options => { seed => 1, k => 1 } }, { options => { seed => 1, k => 2 }
    });
ignoring('ignored only at its place', 'MISS', { seed => 1 }, { seed => 2 });
ignoring('ignored in every element', 'HIT',
    { messages => [map { { role => 'user', content => $_, name => 'a' } }
        'x', 'y'] },
    { messages => [map { { role => 'user', content => $_, name => 'b' } }
        'x', 'y'] });
ignoring('the built-in list stays', 'HIT', { user => 'a' }, { user => 'b' });

# "stream" does not count where the operator names what does, but the form of
# an answer does

my $named = nginx(location => 'llm_cache on;'
    . 'llm_cache_key "$llm_request_messages";');
my @named = map { $named->post(chat_uri(), chat('named', @$_)) } [stream => 1],
    [];

is_deeply([map { $_->header('Content-Type') =~ /(json|event)/ } @named],
    ['event', 'json'], 'llm_cache_key: JSON for who asks for no stream');

finish();
