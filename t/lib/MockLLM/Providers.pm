package MockLLM::Providers;

# The formats of Anthropic, Gemini, Cohere v2, Ollama and of rerankers.

use strict;
use warnings;

use POSIX qw(strftime);

use MIME::Base64 qw(encode_base64);

use MockLLM::Embeddings;
use MockLLM::Json;
use MockLLM::OpenAI;

my %ANTHROPIC = (stop => 'end_turn', length => 'max_tokens',
    tool => 'tool_use', filter => 'refusal');
my %GEMINI = (stop => 'STOP', length => 'MAX_TOKENS', tool => 'STOP',
    filter => 'SAFETY');
my %COHERE = (stop => 'COMPLETE', length => 'MAX_TOKENS',
    tool => 'TOOL_CALL', filter => 'ERROR_TOXIC');
my %OLLAMA = (stop => 'stop', length => 'length', tool => 'stop',
    filter => 'filter');

# Anthropic

sub anthropic_usage {
    my ($call, $out) = @_;

    return obj(input_tokens => num($call->prompt_tokens),
        cache_creation_input_tokens => num(0),
        cache_read_input_tokens => num(0), output_tokens => num($out));
}

sub anthropic_content {
    my ($call) = @_;

    my @content;

    push @content, obj(type => 'thinking', thinking => $call->reasoning,
        signature => 'EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk=')
        if defined $call->reasoning;
    push @content, obj(type => 'text', text => $call->text)
        if $call->text ne '';
    push @content, map { obj(type => 'tool_use', id => $_->[2],
        name => $_->[0], input => \$_->[1]) } $call->tools;

    return @content;
}

sub anthropic_json {
    my ($call) = @_;

    return obj(id => $call->id('msg_'), type => 'message',
        role => 'assistant', model => $call->model,
        content => [anthropic_content($call)],
        stop_reason => $call->finish(%ANTHROPIC), stop_sequence => undef,
        usage => anthropic_usage($call, $call->completion_tokens));
}

sub anthropic_block {
    my ($call, $index, $block) = @_;

    my %block = @$block;
    my $at = num($index);
    my ($start, @deltas);

    if ($block{type} eq 'text') {
        $start = obj(type => 'text', text => '');
        @deltas = map { obj(type => 'text_delta', text => $_) }
            $call->pieces($block{text});

    } elsif ($block{type} eq 'thinking') {
        $start = obj(type => 'thinking', thinking => '', signature => '');
        @deltas = map { obj(type => 'thinking_delta', thinking => $_) }
            $call->pieces($block{thinking});
        push @deltas, obj(type => 'signature_delta',
            signature => $block{signature});

    } else {
        $start = obj(type => 'tool_use', id => $block{id},
            name => $block{name}, input => obj());
        @deltas = map { obj(type => 'input_json_delta', partial_json => $_) }
            '', $call->pieces(${$block{input}});
    }

    return (['content_block_start', index => $at, content_block => $start],
        (map { ['content_block_delta', index => $at, delta => $_] } @deltas),
        ['content_block_stop', index => $at]);
}

sub anthropic_stream {
    my ($call) = @_;

    my @content = anthropic_content($call);
    my @events = ['message_start', message => obj(id => $call->id('msg_'),
        type => 'message', role => 'assistant', model => $call->model,
        content => [], stop_reason => undef, stop_sequence => undef,
        usage => anthropic_usage($call, 1))];

    push @events, map { anthropic_block($call, $_, $content[$_]) }
        0 .. $#content;
    splice @events, 2, 0, ['ping'];

    push @events, ['message_delta', delta => obj(
        stop_reason => $call->finish(%ANTHROPIC), stop_sequence => undef),
        usage => obj(output_tokens => num($call->completion_tokens))];
    push @events, ['message_stop'];

    return map { my ($type, @rest) = @$_;
        MockLLM::OpenAI::named($type, obj(type => $type, @rest)) } @events;
}

sub anthropic_error {
    my ($call) = @_;

    return obj(type => 'error', error => obj(type => 'overloaded_error',
        message => 'Overloaded'), request_id => $call->id('req_'));
}

sub anthropic_error_event {
    my ($call) = @_;

    return MockLLM::OpenAI::named('error', anthropic_error($call));
}

# Gemini

sub gemini_chunk {
    my ($call, $parts, $finish, $index) = @_;

    my $out = $call->completion_tokens;

    return obj(candidates => [obj(
            content => obj(parts => $parts, role => 'model'),
            (defined $finish ? (finishReason => $finish) : ()),
            index => num($index // 0))],
        usageMetadata => obj(promptTokenCount => num($call->prompt_tokens),
            candidatesTokenCount => num($out),
            totalTokenCount => num($call->prompt_tokens + $out)),
        modelVersion => $call->model, responseId => $call->id(''));
}

sub gemini_parts {
    my ($call) = @_;

    my @parts;

    push @parts, obj(text => $call->reasoning, thought => true)
        if defined $call->reasoning;
    push @parts, obj(text => $call->text) if $call->text ne '';
    push @parts, map { obj(functionCall => obj(name => $_->[0],
        args => \$_->[1])) } $call->tools;

    return @parts;
}

sub gemini_json {
    my ($call) = @_;

    return gemini_chunk($call, [gemini_parts($call)],
        $call->finish(%GEMINI));
}

sub gemini_chunks {
    my ($call) = @_;

    my @parts = gemini_parts($call);
    my @chunks;

    if (@parts == 1 && $call->text ne '') {
        @parts = map { obj(text => $_) } $call->pieces($call->text);
    }

    push @chunks, map { gemini_chunk($call, [$_]) } @parts;
    push @chunks, gemini_chunk($call, [obj(text => '')],
        $call->finish(%GEMINI));

    return @chunks;
}

sub gemini_stream {
    my ($call) = @_;

    return map { 'data: ' . json($_) . "\r\n\r\n" } gemini_chunks($call);
}

sub gemini_array {
    my ($call) = @_;

    my @texts = map { pretty($_) } gemini_chunks($call);

    return ('[' . shift(@texts), (map { "\n,\r\n$_" } @texts), "\n]\n");
}

sub gemini_error {
    my ($call) = @_;

    return obj(error => obj(code => num(503),
        message => 'The model is overloaded. Please try again later.',
        status => 'UNAVAILABLE'));
}

sub gemini_error_event {
    my ($call) = @_;

    return 'data: ' . json(gemini_error($call)) . "\r\n\r\n";
}

sub gemini_array_error { my ($call) = @_; return "\n,\r\n"
    . pretty(gemini_error($call)) . "\n]\n" }

sub gemini_embed_json {
    my ($call) = @_;

    return obj(embedding => obj(values => $call->kind eq 'empty' ? []
        : $call->vector(0)));
}

sub gemini_batch_json {
    my ($call) = @_;

    return obj(embeddings => [map { obj(values => $_->[1]) }
        embed_rows($call)]);
}

# Cohere v2

sub cohere_usage {
    my ($call) = @_;

    my @tokens = (input_tokens => num($call->prompt_tokens),
        output_tokens => num($call->completion_tokens));

    return obj(billed_units => obj(@tokens), tokens => obj(@tokens));
}

sub cohere_tools {
    my ($call) = @_;

    return map { obj(id => $_->[2], type => 'function',
        function => obj(name => $_->[0], arguments => $_->[1])) }
        $call->tools;
}

sub cohere_json {
    my ($call) = @_;

    my @tools = cohere_tools($call);

    return obj(id => $call->id(''), message => obj(role => 'assistant',
            (@tools ? (tool_plan => 'I will call a tool.',
                tool_calls => \@tools) : ()),
            ($call->text ne '' ? (content => [obj(type => 'text',
                text => $call->text)]) : ())),
        finish_reason => $call->finish(%COHERE),
        usage => cohere_usage($call));
}

sub cohere_stream {
    my ($call) = @_;

    my @tools = cohere_tools($call);
    my @events = (['message-start', id => $call->id(''),
        delta => obj(message => obj(role => 'assistant', content => [],
            tool_plan => '', tool_calls => [], citations => []))]);

    for my $at (0 .. $#tools) {
        push @events, ['tool-call-start', index => num($at),
            delta => obj(message => obj(tool_calls => $tools[$at]))];
        push @events, ['tool-call-end', index => num($at)];
    }

    if ($call->text ne '') {
        push @events, ['content-start', index => num(0), delta => obj(
            message => obj(content => obj(type => 'text', text => '')))];
        push @events, map { ['content-delta', index => num(0),
            delta => obj(message => obj(content => obj(text => $_)))] }
            $call->pieces($call->text);
        push @events, ['content-end', index => num(0)];
    }

    push @events, ['message-end', delta => obj(
        finish_reason => $call->finish(%COHERE),
        usage => cohere_usage($call))];

    return map { my ($type, @rest) = @$_;
        MockLLM::OpenAI::named($type, obj(type => $type, @rest)) } @events;
}

sub cohere_error { my ($call) = @_; return obj(id => $call->id(''),
    message => 'internal server error') }

sub cohere_error_event {
    my ($call) = @_;

    return MockLLM::OpenAI::named('message-end', obj(type => 'message-end',
        delta => obj(finish_reason => 'ERROR',
        error => 'internal server error')));
}

sub cohere_embed_json {
    my ($call) = @_;

    my $inputs = $call->doc->{texts} // [];
    my $types = $call->option('embed') ? $call->doc->{embedding_types}
        : undef;
    my @rows = embed_rows($call);
    my %types = (float => [map { $_->[1] } @rows],
        int8 => [map { [map { num(int 100 * $$_) } @{$_->[1]}] } @rows],
        base64 => [map { encode_base64(pack('f<*', map { $$_ } @{$_->[1]}),
            '') } @rows]);

    return obj(id => $call->id(''), embeddings => obj(
            map { $_ => $types{$_} } @{$types // ['float']}),
        texts => $inputs, meta => obj(api_version => obj(version => '2'),
            billed_units => obj(input_tokens => num(embed_tokens($call)))));
}

sub rerank_json {
    my ($call) = @_;

    my $documents = $call->doc->{documents} // [];

    return obj(id => $call->id(''), results => [map { obj(index => num($_),
            relevance_score => num(sprintf '0.%06d%d', $call->{number}, $_)) }
            0 .. $#$documents],
        meta => obj(api_version => obj(version => '2'),
            billed_units => obj(search_units => num(1))));
}

# Ollama

sub ollama_head {
    my ($call) = @_;

    return (model => $call->model, created_at => sprintf('%s.%06dZ',
        strftime('%Y-%m-%dT%H:%M:%S', gmtime $call->created),
        $call->{number}));
}

sub ollama_tail {
    my ($call) = @_;

    return (done_reason => $call->finish(%OLLAMA), done => true,
        total_duration => num(4883583458), load_duration => num(1334875),
        prompt_eval_count => num($call->prompt_tokens),
        prompt_eval_duration => num(342546000),
        eval_count => num($call->completion_tokens),
        eval_duration => num(4535599000));
}

sub ollama_part {
    my ($call, $chat, $text) = @_;

    return (response => $text) if !$chat;

    my @tools = map { obj(function => obj(name => $_->[0],
        arguments => \$_->[1])) } $call->tools;

    return (message => obj(role => 'assistant', content => $text,
        (defined $call->reasoning ? (thinking => $call->reasoning) : ()),
        (@tools ? (tool_calls => \@tools) : ())));
}

sub ollama_json {
    my ($call, $chat) = @_;

    return obj(ollama_head($call), ollama_part($call, $chat, $call->text),
        ollama_tail($call));
}

sub ollama_stream {
    my ($call, $chat) = @_;

    my @pieces = $call->pieces($call->text);

    @pieces = ('') if !@pieces && $call->kind ne 'empty';

    return (map { json($_) . "\n" }
        (map { obj(ollama_head($call), ollama_part($call, $chat, $_),
            done => false) } @pieces),
        obj(ollama_head($call), ($chat ? (message => obj(role => 'assistant',
            content => '')) : (response => '')), ollama_tail($call)));
}

sub ollama_chat_json { return ollama_json($_[0], 1) }

sub ollama_generate_json { return ollama_json($_[0], 0) }

sub ollama_chat_stream { return ollama_stream($_[0], 1) }

sub ollama_generate_stream { return ollama_stream($_[0], 0) }

sub ollama_error { return obj(error => 'llama runner process has terminated') }

sub ollama_error_event { return json(ollama_error()) . "\n" }

sub ollama_embed_json {
    my ($call) = @_;

    return obj(model => $call->model,
        embeddings => [map { $_->[1] } embed_rows($call)],
        total_duration => num(14143917), load_duration => num(1019500),
        prompt_eval_count => num(embed_tokens($call)));
}

1;
