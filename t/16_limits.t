# Requests that are left alone for what they ask: temperature, state, tools
# that the provider runs; and llm_cache_finish.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;', server => <<'END');
    location /cool/ {
        llm_cache on;
        llm_cache_max_temperature 0.5;
        proxy_pass http://llm;
    }
    location /hot/ {
        llm_cache on;
        llm_cache_max_temperature 1;
        proxy_pass http://llm;
    }
    location /zero/ {
        llm_cache on;
        llm_cache_max_temperature 0;
        proxy_pass http://llm;
    }
    location /hosted/ {
        llm_cache on;
        llm_cache_hosted_tools on;
        proxy_pass http://llm;
    }
    location /stop/ {
        llm_cache on;
        llm_cache_finish stop;
        proxy_pass http://llm;
    }
    location /filter/ {
        llm_cache on;
        llm_cache_finish stop filter;
        proxy_pass http://llm;
    }
    location /words/ {
        llm_cache on;
        llm_cache_finish tool_calls end_turn;
        proxy_pass http://llm;
    }
END

sub left_alone {
    my ($name, $reason, $uri, $body) = @_;

    my @answers = is_not_cached($nginx, $name, $uri, $body);

    is_bypass($answers[1], $name);
    is($nginx->logged($answers[1])->{reason}, $reason, "$name: reason");
    is($mock->last_request->{body}, ref $body ? to_json($body) : $body,
        "$name: the body as it was sent");

    return;
}

# temperature: [where, dialect, fields, too hot?]

my @temperatures = (
    ['/cool', 'chat', [temperature => 0], 0],
    ['/cool', 'chat', [temperature => 0.5], 0],
    ['/cool', 'chat', [temperature => 0.51], 1],
    ['/cool', 'chat', [temperature => 2], 1],
    ['/cool', 'chat', [], 1],
    ['/cool', 'chat', [temperature => undef], 1],
    ['/hot', 'chat', [], 0],
    ['/hot', 'chat', [temperature => 1.01], 1],
    ['/zero', 'chat', [temperature => 0], 0],
    ['/zero', 'chat', [temperature => 0.0001], 1],
    ['/cool', 'completions', [], 1],
    ['/cool', 'responses', [], 1],
    ['/cool', 'responses', [temperature => 0.2], 0],
    ['/cool', 'anthropic', [], 1],
    ['/cool', 'anthropic', [temperature => 0.2], 0],
    ['/cool', 'gemini generate', [], 1],
    ['/cool', 'gemini generate', [generationConfig => {
        temperature => 0.2 }], 0],
    ['/cool', 'gemini generate', [generationConfig => {
        temperature => 0.9 }], 1],
    ['/cool', 'ollama chat', [options => { temperature => 0.2 }], 0],
    ['/cool', 'ollama chat', [options => { temperature => 0.9 }], 1],
    ['/cool', 'ollama chat', [temperature => 0.2,
        options => { temperature => 0.9 }], 1],
    ['/cool', 'ollama generate', [], 1],
    ['/cool', 'cohere chat', [temperature => 0.9], 1],
    ['/cool', 'cohere chat', [temperature => 0.1], 0],
    ['/cool', 'embeddings', [], 0],
    ['/cool', 'rerank', [], 0],
    ['/cool', 'moderations', [], 0],
);

my $serial = 0;

for my $row (@temperatures) {
    my ($prefix, $dialect, $fields, $hot) = @$row;
    my $case = dialect($dialect);
    my $name = "$dialect at $prefix with " . to_json({ @$fields });
    my $body = $case->{body}->('temperature ' . ++$serial, @$fields);

    if ($hot) {
        left_alone($name, 'temperature', $prefix . $case->{uri}, $body);

    } else {
        is_cached($nginx, $name, $prefix . $case->{uri}, $body);
    }
}

is_cached($nginx, 'without a limit', chat_uri(),
    chat('hot', temperature => 2));

# state and side effects

left_alone("POST $_", 'stateful', $_, chat('state')) for
    '/v1/threads', '/v1/threads/t_1/messages', '/v1/threads/t_1/runs',
    '/v1/assistants', '/v1/batches', '/v1/files', '/v1/uploads',
    '/v1/fine_tuning/jobs', '/v1/realtime/sessions',
    '/v1/messages/batches', '/v1/conversations';

left_alone('Responses in the background', 'stateful', '/v1/responses',
    { model => 'm', input => 'x', background => json_true });
left_alone('Responses of a conversation', 'stateful', '/v1/responses',
    { model => 'm', input => 'x', conversation => 'conv_1' });
left_alone('Responses of a conversation object', 'stateful',
    '/v1/responses', { model => 'm', input => 'x',
    conversation => { id => 'conv_1' } });
is_cached($nginx, 'Responses, not in the background', '/v1/responses',
    { model => 'm', input => 'x', background => json_false });
is_cached($nginx, 'previous_response_id', '/v1/responses',
    { model => 'm', input => 'x', previous_response_id => 'resp_1' });
is_miss($nginx->post('/v1/responses', { model => 'm', input => 'x',
    previous_response_id => 'resp_2' }), 'another previous_response_id');

# tools that the provider runs

my @hosted = (
    ['chat', web_search_options => {}],
    ['responses', tools => [{ type => 'web_search' }]],
    ['responses', tools => [{ type => 'web_search_preview' }]],
    ['responses', tools => [{ type => 'function', name => 'f' },
        { type => 'file_search', vector_store_ids => ['v'] }]],
    ['responses', tools => [{ type => 'code_interpreter',
        container => { type => 'auto' } }]],
    ['responses', tools => [{ type => 'computer_use_preview' }]],
    ['responses', tools => [{ type => 'mcp', server_url => 'x' }]],
    ['responses', tools => [{ type => 'image_generation' }]],
    ['anthropic', tools => [{ type => 'web_search_20250305',
        name => 'web_search' }]],
    ['anthropic', tools => [{ type => 'code_execution_20250522',
        name => 'code_execution' }]],
    ['anthropic', mcp_servers => [{ type => 'url', url => 'x' }]],
    ['gemini generate', tools => [{ google_search => {} }]],
    ['gemini generate', tools => [{ googleSearch => {} }]],
    ['gemini generate', tools => [{ googleSearchRetrieval => {} }]],
    ['gemini generate', tools => [{ codeExecution => {} }]],
    ['gemini generate', tools => [{ urlContext => {} }]],
);

for my $row (@hosted) {
    my ($dialect, @fields) = @$row;
    my $case = dialect($dialect);
    my $name = "$dialect with " . to_json({ @fields });

    left_alone($name, 'hosted_tools', $case->{uri},
        $case->{body}->('hosted', @fields));
    is_cached($nginx, "$name, allowed", '/hosted' . $case->{uri},
        $case->{body}->('hosted', @fields));
}

my %own = (
    'chat' => [tools => [{ type => 'function',
        function => { name => 'web_search', parameters => {} } }]],
    'responses' => [tools => [{ type => 'function', name => 'web_search' }]],
    'anthropic' => [tools => [{ name => 'web_search',
        input_schema => { type => 'object' } }]],
    'gemini generate' => [tools => [{ functionDeclarations => [{
        name => 'google_search' }] }]],
    'ollama chat' => [tools => [{ type => 'function',
        function => { name => 'web_search' } }]],
);

for my $dialect (sort keys %own) {
    my $case = dialect($dialect);

    is_cached($nginx, "$dialect with a tool of the client's own",
        $case->{uri}, $case->{body}->('own tool', @{$own{$dialect}}));
}

is_cached($nginx, 'an empty list of tools', '/v1/responses',
    { model => 'm', input => 'x', tools => [] });

# finish reasons

my @finish = (
    ['', 'chat', 'stop', 1], ['', 'chat', 'length', 1],
    ['', 'chat', 'tool', 1], ['', 'chat', 'filter', 0],
    ['/stop', 'chat', 'stop', 1], ['/stop', 'chat', 'length', 0],
    ['/stop', 'chat', 'tool', 0], ['/stop', 'anthropic', 'stop', 1],
    ['/stop', 'anthropic', 'length', 0],
    ['/stop', 'gemini generate', 'length', 0],
    ['/stop', 'gemini generate', 'stop', 1],
    ['/stop', 'embeddings', undef, 1],
    ['/filter', 'chat', 'filter', 1], ['/filter', 'chat', 'length', 0],
    ['/filter', 'gemini generate', 'filter', 1],
    ['/words', 'chat', 'tool', 1], ['/words', 'chat', 'stop', 0],
    ['/words', 'anthropic', 'stop', 1],
    ['/words', 'anthropic', 'tool', 0],
);

for my $row (@finish) {
    my ($prefix, $dialect, $finish, $stored) = @$row;
    my $case = dialect($dialect);

    for my $stream ($case->{streams} ? (json_false, json_true) : undef) {
        my $name = "$dialect at '$prefix' that ends by "
            . ($finish // 'nothing') . ($stream ? ', streamed' : '');
        my @request = ($prefix . $case->{uri}, $case->{body}->(
            "finish " . ($finish // '') . ($stream ? ' in pieces' : ''),
            (defined $stream ? (stream => $stream) : ())),
            mock => { defined $finish ? (finish => $finish) : () });

        if ($stored) {
            is_cached($nginx, $name, @request);
            next;
        }

        my @answers = is_not_cached($nginx, $name, @request);

        is($nginx->logged($answers[1])->{reason}, 'finish',
            "$name: reason");
    }
}

finish();
