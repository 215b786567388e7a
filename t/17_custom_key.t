# llm_cache_key and the variables: $llm_request_NAME in keys, maps and logs.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;',
    http => <<'END', server => <<'END2');
    map $llm_request_model $family {
        default other;
        ~^gpt-4 gpt-4;
    }
    map $llm_request_user $no_guests {
        default 0;
        guest 1;
    }
END
    location /custom/ {
        llm_cache on;
        llm_cache_key "$llm_request_model|$llm_request_messages|$llm_request_temperature|$llm_request_logit_bias";
        proxy_pass http://llm;
    }
    location /family/ {
        llm_cache on;
        llm_cache_key "$family $llm_request_messages";
        proxy_pass http://llm;
    }
    location /header/ {
        llm_cache on;
        llm_cache_key $http_x_key;
        proxy_pass http://llm;
    }
    location /guests/ {
        llm_cache on;
        llm_cache_no_store $no_guests;
        proxy_pass http://llm;
    }
    location /tenant/ {
        llm_cache on;
        llm_cache_scope $llm_request_user;
        llm_cache_namespace "n$llm_request_seed";
        proxy_pass http://llm;
    }
    location /echo/ {
        llm_cache on;
        add_header X-Model "$llm_request_model" always;
        add_header X-Messages "$llm_request_messages" always;
        add_header X-Number "$llm_request_number" always;
        add_header X-Absent "[$llm_request_absent]" always;
        add_header X-Null "$llm_request_nothing" always;
        add_header X-True "$llm_request_yes" always;
        add_header X-Dialect "$llm_cache_dialect" always;
        proxy_pass http://llm;
    }
    location /lines/ {
        llm_cache on;
        llm_cache_key "$llm_cache_model $llm_request_prompt";
        add_header X-Asked "$llm_request_model $llm_cache_model";
        proxy_set_header X-Asked "$llm_request_model $llm_cache_model";
        proxy_set_header Connection "";
        proxy_pass http://llm;
    }
    location /plain/ {
        add_header X-Model "$llm_request_model" always;
        add_header X-Status "[$llm_cache_status]" always;
        proxy_pass http://llm;
    }
END2

sub ask {
    my ($prefix, $prompt, %more) = @_;

    my $headers = delete $more{headers};

    return $nginx->post($prefix . chat_uri(), chat($prompt, %more),
        headers => $headers);
}

sub told_apart {
    my ($name, $prefix, $first, $second) = @_;

    my @answers = map { ask($prefix, $name, %$_) } $first, $second;

    is_deeply([map { $_->cache } @answers], ['MISS', 'MISS'],
        "$name: apart");

    return;
}

sub taken_as_one {
    my ($name, $prefix, $first, $second) = @_;

    my @answers = map { ask($prefix, $name, %$_) } $first, $second;

    is_miss($answers[0], $name);
    is_hit($answers[1], $answers[0], $name);

    return;
}

# the key of LiteLLM's page: model, messages, temperature, logit_bias

told_apart('model', '/custom', { model => 'a' }, { model => 'b' });
told_apart('temperature', '/custom', {}, { temperature => 0.5 });
told_apart('logit_bias', '/custom', { logit_bias => { 50256 => -100 } },
    { logit_bias => { 50256 => -99 } });
taken_as_one('seed is not in the key', '/custom', { seed => 1 },
    { seed => 2 });
taken_as_one('nor is max_tokens', '/custom', {}, { max_tokens => 5 });
taken_as_one('numbers in one spelling', '/custom',
    { temperature => 1 }, { temperature => 1.0 });
told_apart('the scope still applies', '/custom',
    { headers => { 'Authorization' => 'Bearer one' } },
    { headers => { 'Authorization' => 'Bearer two' } });

is_miss(ask('/custom', 'messages a'), 'messages');
is_miss(ask('/custom', 'messages b'), 'other messages');

my @order = map { $nginx->post('/custom' . chat_uri(), $_) }
    '{"model":"m","messages":[{"role":"user","content":"x"}]}',
    '{"messages": [{"content":"\u0078","role":"user"}], "model":"m"}';

is_hit($order[1], $order[0], 'canonical JSON in a variable');

# other keys

taken_as_one('a family of models', '/family', { model => 'gpt-4o' },
    { model => 'gpt-4.1' });
told_apart('another family', '/family', { model => 'gpt-4o' },
    { model => 'llama' });
told_apart('a header as the key', '/header',
    { headers => { 'X-Key' => 'one' } }, { headers => { 'X-Key' => 'two' } });

my @header = map { ask('/header', $_, headers => { 'X-Key' => 'same' }) }
    'one prompt', 'another prompt';

is_hit($header[1], $header[0], 'a header as the key stands for all');

my @empty = map { ask('/header', 'no key') } 1, 2;

is_bypass($empty[1], 'an empty key');
is($nginx->logged($empty[1])->{reason}, 'key', 'an empty key: reason');

# no string of a client's ends a line, in either direction

for my $model ("m\r\nX-Evil: 1", "m\nX-Evil: 1", "m\r\n\r\nX-Evil: 1",
    "m\0")
{
    my $answer = ask('/lines', 'lines', model => $model);
    my $told = join ' ', (to_json([$model]) =~ /^\[(.*)\]$/)[0, 0];

    is($answer->status, 200, 'a model with a line end');
    is($answer->header('X-Asked'), $told, 'it is told as JSON');
    is($answer->header('X-Evil'), undef, 'it makes no header');

    my %sent = map { lc $_->[0] => $_->[1] }
        @{$mock->last_request->{headers}};

    is($sent{'x-asked'}, $told, 'it is sent as JSON');
    is($sent{'x-evil'}, undef, 'it makes no header upstream');
}

my $deployment = $nginx->post('/lines/openai/deployments/a%0d%0aX-Evil:%201'
    . '/chat/completions', { messages => [] });

is($deployment->header('X-Evil'), undef, 'nor does one in the path');
like($deployment->header('X-Asked'), qr/^"a\\r\\nX-Evil: 1"$/,
    'which is told as JSON');

is_deeply([map { ask('/lines', 'apart', prompt => $_)->cache } "a\nb",
    'a\\nb', '"a\\nb"', "a\nb"], [qw(MISS MISS MISS HIT)],
    'and no two strings are told alike');

# the derived key and the custom one do not meet

my $derived = $nginx->post('/custom' . chat_uri(), chat('derived'));

isnt($derived->header('X-LLM-Cache-Key'),
    $nginx->post(chat_uri(), chat('derived'))->header('X-LLM-Cache-Key'),
    'keys of two kinds differ');

# request fields elsewhere

ask('/guests', 'guest', user => 'guest');
is_miss(ask('/guests', 'guest', user => 'member'), 'a field in a map');
taken_as_one('scope from a field', '/tenant', { user => 'u',
    headers => { 'Authorization' => 'Bearer one' } }, { user => 'u',
    headers => { 'Authorization' => 'Bearer two' } });
told_apart('another scope from a field', '/tenant', { user => 'u' },
    { user => 'v' });

# what the variables hold

my $body = '{"model":"m\u00e9 \"x\"","messages":[{"role":"user","content":'
    . '"A"},{"content": 1.50,"b":null,"a":[true,{}]}],"number":1e2,'
    . '"nothing":null,"yes":true}';
my $echo = $nginx->post('/echo' . chat_uri(), $body);

is($echo->header('X-Model'), "m\xc3\xa9 \"x\"", 'a string without quotes');
is($echo->header('X-Messages'), '[{"content":"A","role":"user"},'
    . '{"a":[true,{}],"b":null,"content":1.5}]', 'canonical JSON');
is($echo->header('X-Number'), '100', 'a number');
is($echo->header('X-Absent'), '[]', 'an absent field');
is($echo->header('X-True'), 'true', 'a boolean');
isnt($echo->header('X-Dialect') // '', '', 'a dialect');

my $odd = $nginx->post('/echo' . chat_uri(), '{"model":');

is($odd->status, 200, 'no JSON: answered');
is($odd->header('X-Model') // '', '', 'no JSON: an empty variable');

my $plain = $nginx->post('/plain' . chat_uri(), $body);

is($plain->status, 200, 'without llm_cache: answered');
is($plain->header('X-Status'), '[]', 'without llm_cache: no status');

# in the access log, over all outcomes

my $logging = nginx(location => 'llm_cache on;', format => ', "line": '
    . '"$llm_cache_status $llm_cache_tier $llm_cache_model'
    . ' $llm_request_model $llm_cache_prompt_tokens'
    . ' $llm_cache_completion_tokens [$llm_request_absent]"');
my @lines = map { $logging->logged($_)->{line} }
    map { $logging->post(chat_uri(), chat('log', model => 'm-1'),
        mock => { usage => [11, 7] }) } 1, 2;

like($lines[0], qr/^MISS \S* ?m-1 m-1 11 7 \[\]$/, 'log of a miss');
like($lines[1], qr/^HIT memory m-1 m-1 11 7 \[\]$/, 'log of a hit');

is($logging->get('/v1/models')->status, 200, 'variables without a body');

finish();
