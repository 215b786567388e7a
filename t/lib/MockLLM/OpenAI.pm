package MockLLM::OpenAI;

# OpenAI's formats: chat completions, completions, Responses, embeddings and
# moderations.

use strict;
use warnings;


use MockLLM::Embeddings;
use MockLLM::Json;

my %FINISH = (stop => 'stop', length => 'length', tool => 'tool_calls',
    filter => 'content_filter');

sub data { my ($value) = @_; return 'data: ' . json($value) . "\n\n" }

sub named {
    my ($name, $value) = @_;

    return "event: $name\n" . data($value);
}

sub error {
    my ($call) = @_;

    return obj(error => obj(
        message => 'The server had an error while processing your request.',
        type => 'server_error', param => undef, code => 'internal_error'));
}

sub error_event { my ($call) = @_; return data(error($call)) }

sub usage {
    my ($call) = @_;

    my ($in, $out) = ($call->prompt_tokens, $call->completion_tokens);

    return obj(prompt_tokens => num($in), completion_tokens => num($out),
        total_tokens => num($in + $out),
        prompt_tokens_details => obj(cached_tokens => num(0)),
        completion_tokens_details => obj(reasoning_tokens => num(0)));
}

sub chat_message {
    my ($call, $index) = @_;

    my @tools = $call->tools;
    my @message = (role => 'assistant',
        content => $call->text($index) eq '' ? undef : $call->text($index));

    push @message, reasoning_content => $call->reasoning
        if defined $call->reasoning;
    push @message, tool_calls => [map { obj(id => $_->[2], type => 'function',
        function => obj(name => $_->[0], arguments => $_->[1])) } @tools]
        if @tools;

    return obj(@message, refusal => $call->refusal, annotations => []);
}

sub chat_json {
    my ($call) = @_;

    my @choices = map { obj(index => num($_),
        message => chat_message($call, $_), logprobs => undef,
        finish_reason => $call->finish(%FINISH)) } $call->choices;

    return obj(id => $call->id('chatcmpl-'), object => 'chat.completion',
        created => num($call->created), model => $call->model,
        choices => \@choices,
        ($call->wants_usage ? (usage => usage($call)) : ()),
        service_tier => 'default', system_fingerprint => 'fp_44709d6fcb');
}

sub chat_deltas {
    my ($call, $index) = @_;

    my @tools = $call->tools;
    my @deltas = (obj(role => 'assistant', content => @tools ? undef : '',
        refusal => undef));
    my $at = 0;

    push @deltas, map { obj(reasoning_content => $_) }
        $call->pieces($call->reasoning // '');
    push @deltas, map { obj(content => $_) }
        $call->pieces($call->text($index));
    push @deltas, map { obj(refusal => $_) }
        $call->pieces($call->refusal // '');

    for my $tool (@tools) {
        my $whole = $call->option('whole');

        push @deltas, obj(tool_calls => [obj(index => num($at),
            id => $tool->[2], type => 'function',
            function => obj(name => $tool->[0], arguments => $whole
            ? $tool->[1] : ''))]);
        push @deltas, map { obj(tool_calls => [obj(index => num($at),
            function => obj(arguments => $_))]) }
            $whole ? () : $call->pieces($tool->[1]);
        $at++;
    }

    return @deltas;
}

sub chat_stream {
    my ($call) = @_;

    my $include = $call->doc->{stream_options}{include_usage};
    my @head = (id => $call->id('chatcmpl-'),
        object => 'chat.completion.chunk', created => num($call->created),
        model => $call->model, service_tier => 'default',
        system_fingerprint => 'fp_44709d6fcb');
    my @usage = $include ? (usage => undef) : ();
    my @events;

    my $chunk = sub {
        my ($index, $delta, $finish) = @_;

        return data(obj(@head, choices => [obj(index => num($index),
            delta => $delta, logprobs => undef, finish_reason => $finish)],
            defined $finish && $call->option('whole')
            ? (usage => usage($call)) : @usage));
    };

    for my $index ($call->choices) {
        push @events, map { $chunk->($index, $_) } chat_deltas($call, $index);
        push @events, $chunk->($index, obj(), $call->finish(%FINISH));
    }

    push @events, data(obj(@head, choices => [], usage => usage($call)))
        if $include;

    return (@events, "data: [DONE]\n\n");
}

sub completions_choice {
    my ($call, $index, $text, $finish) = @_;

    return obj(text => $text, index => num($index), logprobs => undef,
        finish_reason => $finish);
}

sub completions_head {
    my ($call) = @_;

    return (id => $call->id('cmpl-'), object => 'text_completion',
        created => num($call->created), model => $call->model);
}

sub completions_json {
    my ($call) = @_;

    return obj(completions_head($call), choices => [map {
        completions_choice($call, $_, $call->text($_),
            $call->finish(%FINISH)) } $call->choices],
        usage => usage($call));
}

sub completions_stream {
    my ($call) = @_;

    my @events;

    for my $index ($call->choices) {
        push @events, map { data(obj(completions_head($call),
            choices => [completions_choice($call, $index, $_, undef)])) }
            $call->pieces($call->text($index));
        push @events, data(obj(completions_head($call),
            choices => [completions_choice($call, $index, '',
            $call->finish(%FINISH))]));
    }

    push @events, data(obj(completions_head($call), choices => [],
        usage => usage($call))) if $call->doc->{stream_options}{include_usage};

    return (@events, "data: [DONE]\n\n");
}

sub responses_output {
    my ($call) = @_;

    my @output;

    push @output, obj(id => $call->id('rs_'), type => 'reasoning',
        summary => [obj(type => 'summary_text', text => $call->reasoning)])
        if defined $call->reasoning;

    push @output, map { obj(id => $call->id('fc_'), type => 'function_call',
        status => 'completed', arguments => $_->[1], call_id => $_->[2],
        name => $_->[0]) } $call->tools;

    my @content = defined $call->refusal
        ? obj(type => 'refusal', refusal => $call->refusal)
        : $call->text ne ''
        ? obj(type => 'output_text', annotations => [], logprobs => [],
            text => $call->text)
        : ();

    push @output, obj(id => $call->id('msg_'), type => 'message',
        status => 'completed', role => 'assistant', content => \@content)
        if @content;

    return \@output;
}

sub responses_object {
    my ($call, $status, $output) = @_;

    my $finish = $call->finish(stop => 'completed', length => 'incomplete',
        tool => 'completed', filter => 'content_filter');
    my $reason;

    if ($status eq 'completed') {
        $status = $finish eq 'completed' ? $finish : 'incomplete';
        $reason = obj(reason => $finish eq 'incomplete'
            ? 'max_output_tokens' : $finish) if $status eq 'incomplete';
    }

    return obj(id => $call->id('resp_'), object => 'response',
        created_at => num($call->created), status => $status,
        background => false, error => undef, incomplete_details => $reason,
        instructions => undef, model => $call->model, output => $output,
        parallel_tool_calls => true, previous_response_id => undef,
        reasoning => obj(effort => undef, summary => undef), store => true,
        temperature => num('1.0'), tool_choice => 'auto', tools => [],
        usage => !@$output ? undef : obj(
            input_tokens => num($call->prompt_tokens),
            input_tokens_details => obj(cached_tokens => num(0)),
            output_tokens => num($call->completion_tokens),
            output_tokens_details => obj(reasoning_tokens => num(0)),
            total_tokens => num($call->prompt_tokens
                + $call->completion_tokens)),
        user => undef, metadata => obj());
}

sub responses_json {
    my ($call) = @_;

    return responses_object($call, 'completed', responses_output($call));
}

sub responses_item_deltas {
    my ($call, $item, $index) = @_;

    my %item = @$item;
    my @at = (item_id => $item{id}, output_index => num($index));

    if ($item{type} eq 'function_call') {
        return map { ['response.function_call_arguments.delta', @at,
            delta => $_] } $call->pieces($item{arguments});
    }

    if ($item{type} eq 'reasoning') {
        my %part = @{$item{summary}[0]};
        my @part = (@at, summary_index => num(0));

        return (['response.reasoning_summary_part.added', @part, part =>
            obj(type => 'summary_text', text => '')], (map {
            ['response.reasoning_summary_text.delta', @part, delta => $_] }
            $call->pieces($part{text})),
            ['response.reasoning_summary_text.done', @part,
            text => $part{text}], ['response.reasoning_summary_part.done',
            @part, part => $item{summary}[0]]);
    }

    return () if $item{type} ne 'message';

    my %part = @{$item{content}[0]};
    my ($name, $text) = $part{type} eq 'refusal'
        ? ('refusal', $part{refusal}) : ('output_text', $part{text});

    return map { ["response.$name.delta", @at, content_index => num(0),
        delta => $_] } $call->pieces($text);
}

sub responses_stream {
    my ($call) = @_;

    my $output = responses_output($call);
    my $done = responses_object($call, 'completed', $output);
    my %done = @$done;
    my @steps;
    my $sequence = 0;

    push @steps, map { ["response.$_", response =>
        responses_object($call, 'in_progress', [])] } 'created', 'in_progress';

    for my $index (0 .. $#$output) {
        push @steps, ['response.output_item.added',
            output_index => num($index), item => $output->[$index]];
        push @steps, responses_item_deltas($call, $output->[$index], $index);
        push @steps, ['response.output_item.done',
            output_index => num($index), item => $output->[$index]];
    }

    push @steps, ["response.$done{status}", response => $done];

    return map { my ($type, @rest) = @$_; named($type, obj(type => $type,
        sequence_number => num($sequence++), @rest)) } @steps;
}

sub responses_error_event {
    my ($call) = @_;

    return named('error', obj(type => 'error', code => 'server_error',
        message => 'The server had an error.', param => undef,
        sequence_number => num(2)));
}

sub embeddings_json {
    my ($call) = @_;

    my $embed = $call->option('embed') // {};
    my $tokens = embed_tokens($call);
    my @data = map { obj(object => 'embedding', index => num($_->[0]),
        embedding => embed_spell($call, $_->[1])) } embed_rows($call);

    return obj(object => 'list',
        data => $call->kind eq 'empty' ? [] : \@data,
        model => $embed->{model} // $call->model,
        usage => obj(prompt_tokens => num($tokens),
            total_tokens => num($tokens), %{$embed->{usage} // {}}));
}

sub moderations_json {
    my ($call) = @_;

    return obj(id => $call->id('modr-'), model => $call->model,
        results => [obj(flagged => false,
            categories => obj(harassment => false, violence => false),
            category_scores => obj(harassment => num('0.000131'),
                violence => num('0.0000421')))]);
}

1;
