# Answers that are never stored.  The client gets what the provider sent, and
# an equal request goes to the provider again.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

mock();

my $nginx = nginx(location => 'llm_cache on;',
    http => 'llm_cache_zone zone=one:4m max_entry=64k;',
    server => 'location /hidden/ { llm_cache on; proxy_pass http://llm/;'
        . 'proxy_hide_header Cache-Control; }');
my $serial = 0;

sub request_to {
    my ($dialect, $stream, $behaviour, %more) = @_;

    my $case = dialect($dialect);

    return ($case->{uri}, $case->{body}->('gate ' . ++$serial,
        ($stream ? (stream => json_true) : $case->{form} eq 'ndjson'
            ? (stream => json_false) : ()), %more),
        headers => $case->{headers}, mock => $behaviour);
}

sub never_stored {
    my ($dialect, $stream, $name, $reason, $behaviour, %more) = @_;

    $name = "$dialect: $name" . ($stream ? ', streamed' : '');

    my @answers = is_not_cached($nginx, $name,
        request_to($dialect, $stream, $behaviour, %more));

    is($answers[1]->status, $behaviour->{status} // 200, "$name: status");
    ok($answers[1]->complete, "$name: complete");
    is_unharmed($answers[1], $name);
    like($nginx->logged($answers[1])->{reason}, qr/^(?:$reason)$/,
        "$name: reason");

    return;
}

sub stored {
    my ($dialect, $stream, $name, $behaviour, %more) = @_;

    is_cached($nginx, "$dialect: $name" . ($stream ? ', streamed' : ''),
        request_to($dialect, $stream, $behaviour, %more));

    return;
}

# statuses

for my $status (201, 202, 204, 301, 400, 401, 403, 404, 408, 413, 422, 429,
    500, 502, 503, 504, 529)
{
    never_stored('chat', 0, "status $status", 'status',
        { status => $status, $status == 204 ? (body => '') : () });
}

never_stored('chat', 1, 'status 429', 'status', { status => 429 });
never_stored('chat', 0, 'a whole answer with status 500', 'status',
    { status => 500, body => '{"id":"1","choices":[{"index":0,"message":'
        . '{"role":"assistant","content":"x"},"finish_reason":"stop"}]}' });

# one choice of a chat answer, and what makes it fit or unfit

sub choice {
    my ($message, $finish) = @_;

    return { body => '{"id":"1","object":"chat.completion","choices":['
        . "{\"index\":0,\"message\":$message,\"finish_reason\":$finish}]}" };
}

stored('chat', 0, 'a choice',
    choice('{"role":"assistant","content":"x"}', '"stop"'));

my %unfit = (
    'an empty 200' => ['no_output|response_json|incomplete', { body => '' }],
    'white space only' => ['no_output|response_json|incomplete',
        { body => " \n" }],
    'half an object' => ['response_json|incomplete', { body => '{"id":' }],
    'no JSON' => ['response_json', { body => 'upstream went away' }],
    'bytes after the JSON' => ['response_json',
        { body => choice('{"role":"assistant","content":"x"}', '"stop"')
            ->{body} . '}' }],
    'two objects' => ['response_json', { body => '{"choices":[]}{}' }],
    'HTML' => ['response_type|response_json',
        { type => 'text/html', body => '<html>Bad gateway</html>' }],
    'JSON called HTML' => ['response_type', { type => 'text/html' }],
    'an empty object' => ['no_output|finish', { body => '{}' }],
    'an empty array' => ['no_output|response_json|finish',
        { body => '[]' }],
    'null' => ['no_output|response_json|finish', { body => 'null' }],
    'no choice' => ['no_output|finish', { body => '{"choices":[]}' }],
    'empty text' => ['no_output',
        choice('{"role":"assistant","content":""}', '"stop"')],
    'no text' => ['no_output',
        choice('{"role":"assistant","content":null}', '"stop"')],
    'no tool call' => ['no_output',
        choice('{"content":null,"tool_calls":[]}', '"stop"')],
    'no finish reason' => ['finish|incomplete',
        choice('{"role":"assistant","content":"x"}', 'null')],
    'an unknown finish reason' => ['finish', { finish => 'somehow' }],
    'a content filter' => ['finish', { finish => 'filter' }],
    'an error' => ['error', { error => 1 }],
    'an error beside an answer' => ['error', { body =>
        '{"error":{"message":"x"},"choices":[{"index":0,"message":'
        . '{"content":"x"},"finish_reason":"stop"}]}' }],
    'an error string' => ['error', { body => '{"error":"overloaded"}' }],
    'one choice of two filtered' => ['finish', { body => '{"choices":['
        . '{"index":0,"message":{"content":"x"},"finish_reason":"stop"},'
        . '{"index":1,"message":{"content":"y"},'
        . '"finish_reason":"content_filter"}]}' }],
    'more than max_entry' => ['entry_size', { size => 80_000 }],
);

never_stored('chat', 0, $_, @{$unfit{$_}}) for sort keys %unfit;

stored('chat', 0, 'null for an error', { body => '{"error":null,"choices":['
    . '{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}' });
stored('chat', 0, 'less than max_entry', { size => 40_000 });

# a job that is asked after later, of an API that is not known

for my $answer (map({ qq({"id":"j1","status":"$_"}) } qw(queued IN_QUEUE
    Pending processing in_progress running starting)),
    '{"task_status":"PROCESSING","id":"j1"}',
    '{"output":{"task_id":"j1","task_status":"PENDING"}}')
{
    never_stored('other JSON', 0, $answer, 'incomplete', { body => $answer });
}

never_stored('other JSON', 0, "status $_", 'error',
    { body => qq({"status":"$_","message":"no"}) }) for qw(error Failed fail);
stored('other JSON', 0, $_, { body => $_ }) for '{"status":"ok","x":1}',
    '{"status":200}', '{"status":"succeeded"}', '{"x":{"status":"queued"}}',
    '{"output":"queued","status":null}', '{"output":["queued"]}';

# what a provider says about caching

for my $stream (0, 1) {
    for my $value ('no-store', 'private', 'No-Store', 'max-age=0, no-store',
        'private, max-age=60', 'private="set-cookie"',
        'no-cache, no-store, must-revalidate')
    {
        never_stored('chat', $stream, "Cache-Control: $value",
            $value =~ /no-store/i ? 'upstream_no_store' : 'upstream_private',
            { headers => [['Cache-Control', $value]] });
    }

    never_stored('chat', $stream, 'no-store in a second header',
        'upstream_no_store', { headers => [['cache-control', 'no-cache'],
            ['Cache-Control', 'no-store']] });
    is_not_cached($nginx, "$_ that is hidden from the client, $stream",
        '/hidden' . chat_uri(), chat("hidden $_",
            stream => $stream ? json_true : json_false),
        mock => { headers => [['Cache-Control', $_]] })
        for 'no-store', 'private';
    stored('chat', $stream, "Cache-Control: $_",
        { headers => [['Cache-Control', $_]] }) for 'no-cache',
        'max-age=0', 'no-cache, must-revalidate', 'public', 'x-no-store',
        'ext="no-store"';
    stored('chat', $stream, 'Expires in the past',
        { headers => [['Expires', 'Thu, 01 Jan 1970 00:00:00 GMT']] });
}

# streams of every dialect that has them

my %CHAT = (id => 'c', object => 'chat.completion.chunk', model => 'm');

sub chunk {
    my ($delta, $finish) = @_;

    return 'data: ' . to_json({ %CHAT, choices => [{ index => 0,
        delta => $delta, finish_reason => $finish }] }) . "\n\n";
}

my $text = chunk({ role => 'assistant', content => 'x' });
my $stop = chunk({}, 'stop');
my $done = "data: [DONE]\n\n";
my $event_stream = 'text/event-stream';

stored('chat', 1, 'a written stream', { body => [$text, $stop, $done] });
stored('chat', 1, 'CR LF', { body => [map { s/\n/\r\n/gr }
    $text, $stop, $done] });
stored('chat', 1, 'comments', { body => [": ping\n\n", $text, ":\n", $stop,
    ": bye\n\n", $done] });
stored('chat', 1, 'no blank after the colon', { body => [map {
    s/^data: /data:/r } $text, $stop, $done] });
stored('chat', 1, 'type without charset', { type => $event_stream,
    body => [$text, $stop, $done] });

my %unfit_stream = (
    'no event' => ['no_output|incomplete|response_json', { body => '' }],
    'no [DONE]' => ['incomplete', { body => [$text, $stop] }],
    'no finish reason' => ['incomplete|finish', { body => [$text, $done] }],
    'no output' => ['no_output', { body => [
        chunk({ role => 'assistant', content => '' }), $stop, $done] }],
    'only [DONE]' => ['no_output|incomplete|finish', { body => [$done] }],
    'a content filter' => ['finish', { finish => 'filter' }],
    'an unknown finish reason' => ['finish', { finish => 'somehow' }],
    'one choice of two without an end' => ['incomplete|finish', { body => [
        $text, $text =~ s/"index":0/"index":1/r, $stop, $done] }],
    'broken JSON in an event' => ['response_json', { body => [$text,
        "data: {\"choices\": [\n\n", $stop, $done] }],
    'an error at once' => ['error', { error => 1 }],
    'an error before [DONE]' => ['error', { body => [$text,
        "data: {\"error\":{\"message\":\"x\"}}\n\n", $stop, $done] }],
    'an error event' => ['error', { body => [$text,
        "event: error\ndata: {\"message\":\"x\"}\n\n", $stop, $done] }],
    'an error after [DONE]' => ['error|incomplete', { body => [$text, $stop,
        $done, "data: {\"error\":{\"message\":\"x\"}}\n\n"] }],
    'HTML' => ['response_type', { type => 'text/html',
        body => '<html></html>' }],
    'more than max_entry' => ['entry_size', { size => 80_000 }],
    'half an event at the end' => ['incomplete', { body => [$text, $stop,
        $done =~ s/\n$//r] }],
);

never_stored('chat', 1, $_, @{$unfit_stream{$_}}) for sort keys %unfit_stream;

for my $name ('chat', 'completions', 'responses', 'anthropic',
    'gemini stream', 'gemini array', 'cohere chat', 'ollama chat',
    'ollama generate')
{
    my $stream = dialect($name)->{streams} ? 1 : 0;

    never_stored($name, $stream, "an error after $_ events",
        'error|response_json', { error => 1, after => $_ })
        for $name eq 'gemini array' ? (2) : (0, 2);
    next if $name eq 'gemini array';
    never_stored($name, $stream, "a clean end after $_ events",
        'incomplete|no_output|finish', { keep => $_ }) for 1, 3;
    never_stored($name, $stream, 'an unknown finish reason',
        'finish|incomplete', { finish => 'somehow' })
        if $name ne 'responses';
}

for my $name ('responses', 'anthropic', 'gemini generate', 'gemini stream',
    'gemini array', 'cohere chat')
{
    for my $stream (dialect($name)->{streams} ? (0, 1) : (0)) {
        never_stored($name, $stream, 'a content filter', 'finish|error',
            { finish => 'filter' });
        stored($name, $stream, 'stopped by length', { finish => 'length' });
    }
}

for my $name ('completions', 'responses', 'anthropic', 'gemini generate',
    'cohere chat', 'ollama chat', 'ollama generate', 'embeddings',
    'gemini embed', 'cohere embed', 'cohere rerank', 'ollama embed',
    'moderations', 'rerank', 'other JSON')
{
    never_stored($name, 0, 'an error in a 200', 'error|no_output|finish',
        { $name =~ /cohere|rerank/
            ? (body => '{"error":{"message":"x"}}') : (error => 1) });
    never_stored($name, 0, 'half a JSON', 'response_json|incomplete',
        { body => '{"data": [' });
    never_stored($name, 0, 'broken JSON', 'response_json',
        { body => '{"data": [,]}' });
    never_stored($name, 0, 'an empty 200',
        'no_output|response_json|incomplete', { body => '' });
}

# no output in other dialects

my %without_output = (
    'completions' => '{"choices":[{"text":"","index":0,'
        . '"finish_reason":"stop"}]}',
    'responses' => '{"status":"completed","output":[]}',
    'anthropic' => '{"type":"message","content":[],"stop_reason":"end_turn"}',
    'gemini generate' => '{"candidates":[{"content":{"parts":[]},'
        . '"finishReason":"STOP"}]}',
    'cohere chat' => '{"message":{"role":"assistant","content":[]},'
        . '"finish_reason":"COMPLETE"}',
    'ollama chat' => '{"message":{"role":"assistant","content":""},'
        . '"done":true,"done_reason":"stop"}',
    'ollama generate' => '{"response":"","done":true,"done_reason":"stop"}',
    'embeddings' => '{"object":"list","data":[]}',
    'gemini embed' => '{"embedding":{"values":[]}}',
    'cohere embed' => '{"embeddings":{"float":[]}}',
    'ollama embed' => '{"embeddings":[]}',
    'cohere rerank' => '{"results":[]}',
    'moderations' => '{"results":[]}',
);

never_stored($_, 0, 'no output', 'no_output', { body => $without_output{$_} })
    for sort keys %without_output;

# other ends that are none

never_stored('responses', 0, 'status failed', 'error|finish|incomplete',
    { body => '{"status":"failed","error":{"code":"x"},"output":[]}' });
never_stored('responses', 0, 'status in_progress', 'finish|incomplete',
    { body => '{"status":"in_progress","output":[{"type":"message",'
        . '"content":[{"type":"output_text","text":"x"}]}]}' });
never_stored('responses', 1, 'response.failed', 'error|finish|incomplete',
    { body => ["event: response.output_text.delta\ndata: {\"type\":"
        . "\"response.output_text.delta\",\"delta\":\"x\"}\n\n",
        "event: response.failed\ndata: {\"type\":\"response.failed\","
        . "\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"x\"}}}"
        . "\n\n"], type => $event_stream });
never_stored('gemini generate', 0, 'a blocked prompt',
    'no_output|finish|incomplete', { body => '{"promptFeedback":'
        . '{"blockReason":"SAFETY"},"usageMetadata":{}}' });
never_stored('ollama chat', 0, 'not done', 'finish|incomplete',
    { body => '{"message":{"content":"x"},"done":false}' });
never_stored('ollama chat', 1, 'a line that is no JSON', 'response_json',
    { type => 'application/x-ndjson', body => [
        "{\"message\":{\"content\":\"x\"},\"done\":false}\n", "oops\n",
        "{\"message\":{\"content\":\"\"},\"done\":true,"
        . "\"done_reason\":\"stop\"}\n"] });

finish();
