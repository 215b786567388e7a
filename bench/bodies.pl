#!/usr/bin/perl

# Writes the requests and answers of the benchmark into a directory, the same
# ones every time.
#
#   bodies.pl DIRECTORY

use strict;
use warnings;

use JSON::PP ();

my $dir = shift // die "usage: bodies.pl DIRECTORY\n";

# what the load generator puts a number in place of
my $MARK = '@' x 16;

my @words = split ' ', <<'END';
the of and to in a is that for it as was with be by on not he this are or his
from at which but have an had they you were their one all we can her has there
been if more when will would who so no out up into them then about time some
could these two may first other any my now such like our over even most made
after also did many off before must well back through years much where your way
down should because long each just state those people too mr how little good
world make very year still see own work men day get here between both life
being under never same another know while last might us great old since against
go came right used take three please return function request response table
column value index error parser buffer string server client message token
stream model const if (x > 0) { return "value"; } for (i = 0; i < n; i++) //
loop import os def main(args): print("hello") SELECT id, name FROM users WHERE
id = 42;
END

push @words, "caf\x{e9}", "na\x{ef}ve", "stra\x{df}e", "\x{4f60}\x{597d}",
    "\x{2014}", "\x{1f600}", '"quoted"', 'C:\\path\\file';

my $state = 1;

sub draw
{
    my ($n) = @_;

    $state = ($state * 1103515245 + 12345) & 0x7fffffff;

    return int(($state >> 8) % $n);
}


sub text
{
    my ($size) = @_;

    my $text = '';

    while (length $text < $size) {
        my $word = $words[draw(scalar @words)];

        $text .= $word . (draw(12) ? ' ' : draw(3) ? ".\n" : ",\n\n    ");
    }

    return substr $text, 0, $size;
}


sub plain
{
    my ($size) = @_;

    my $text = '';

    while (length $text < $size) {
        $text .= $words[draw(100)] . ' ';
    }

    return substr $text, 0, $size;
}


# members in the order in which clients and providers write them

my @order = qw(id object created model messages role content name arguments
    type function description parameters properties path limit mode minimum
    maximum enum required);
my %rank = map { $order[$_] => $_ } 0 .. $#order;

sub by_custom
{
    my ($x, $y) = ($JSON::PP::a, $JSON::PP::b);

    return ($rank{$x} // @order) <=> ($rank{$y} // @order) || $x cmp $y;
}


my $json = JSON::PP->new->utf8->sort_by(\&by_custom);
my $other = JSON::PP->new->ascii->space_before->space_after
    ->sort_by(sub { $JSON::PP::b cmp $JSON::PP::a });

sub put
{
    my ($name, $bytes) = @_;

    open my $file, '>:raw', "$dir/$name" or die "$dir/$name: $!\n";
    print {$file} $bytes or die "$dir/$name: $!\n";
    close $file or die "$dir/$name: $!\n";

    return;
}


sub tool
{
    my ($name) = @_;

    return { type => 'function', function => { name => $name,
        description => text(160), strict => JSON::PP::true,
        parameters => { type => 'object', required => ['path', 'limit'],
            additionalProperties => JSON::PP::false, properties => {
                path => { type => 'string', description => text(60) },
                limit => { type => 'integer', minimum => 1,
                    maximum => 5000 },
                mode => { type => 'string', enum => [qw(fast full)] } } } } };
}


# a conversation of an agent: instructions, tools, turns with calls and results

sub chat
{
    my ($size, $turn) = @_;

    my @messages = ({ role => 'system', content => text(3000) });
    my $request = { model => 'gpt-4o-mini', temperature => 0.2, top_p => 1,
        max_tokens => 4096, seed => 12345, messages => \@messages,
        tools => [map { tool("tool_$_") } 1 .. 8] };
    my $left = $size - length($json->encode($request)) - 300;
    my $id = 0;

    for ( ;; ) {
        my $call = sprintf 'call_%08d', ++$id;
        my @turn = ({ role => 'user', content => text($turn) },
            { role => 'assistant', content => undef, tool_calls => [{
                id => $call, type => 'function', function => {
                    name => 'tool_' . (1 + draw(8)), arguments =>
                    $json->encode({ path => text(40), limit => draw(99) })
                } }] },
            { role => 'tool', tool_call_id => $call, content => text($turn) },
            { role => 'assistant', content => text($turn) });

        $left -= length $json->encode(\@turn);
        last if $left < 0;
        push @messages, @turn;
    }

    my $last = { role => 'user', content => "$MARK " };

    push @messages, $last;

    $last->{content} .= plain($size - length $json->encode($request));

    return $request;
}


sub small
{
    my ($size, %more) = @_;

    my $request = { model => 'gpt-4o-mini', temperature => 0, %more,
        messages => [{ role => 'user', content => "$MARK " }] };

    $request->{messages}[0]{content}
        .= plain($size - length $json->encode($request));

    return $request;
}


sub answer
{
    my ($size) = @_;

    my $answer = { id => 'chatcmpl-0123456789abcdef', created => 1700000000,
        object => 'chat.completion', model => 'gpt-4o-mini-2024-07-18',
        system_fingerprint => 'fp_0123456789', choices => [{ index => 0,
            finish_reason => 'stop', logprobs => undef, message => {
                role => 'assistant', content => 'Yes.', refusal => undef } }],
        usage => { prompt_tokens => 40, completion_tokens => 320,
            total_tokens => 360 } };

    # plain words, as nginx's "return" would take a "$" for a variable

    $answer->{choices}[0]{message}{content}
        .= plain($size - length $json->encode($answer));

    return $json->encode($answer);
}


sub stream
{
    my ($size) = @_;

    my %chunk = (id => 'chatcmpl-0123456789abcdef', created => 1700000000,
        object => 'chat.completion.chunk', model => 'gpt-4o-mini-2024-07-18',
        system_fingerprint => 'fp_0123456789');
    my $event = sub {
        my ($finish, %delta) = @_;

        return 'data: ' . $json->encode({ %chunk, choices => [{ index => 0,
            delta => \%delta, logprobs => undef, finish_reason => $finish }]
        }) . "\n\n";
    };

    my $stream = $event->(undef, role => 'assistant', content => '');

    while (length $stream < $size) {
        $stream .= $event->(undef, content => ' ' . $words[draw(100)]);
    }

    return $stream . $event->('stop') . "data: [DONE]\n\n";
}


# what "compress=on" is measured with: varied text in tokens, as providers
# stream it; OpenAI adds random characters to each event

sub tokens
{
    my ($n) = @_;

    my @tokens = map { length > 6 && draw(2)
        ? (substr($_, 0, 4), substr $_, 4) : $_ } text(8 * $n) =~ /\s*\S+/g;

    return @tokens[0 .. $n - 1];
}


sub letters
{
    my ($n) = @_;

    return join '', map { ('a' .. 'z', 'A' .. 'Z', 0 .. 9)[draw(62)] } 1 .. $n;
}


sub chat_stream
{
    my ($n, $obfuscated) = @_;

    my %chunk = (id => 'chatcmpl-' . letters(29), created => 1700000000,
        object => 'chat.completion.chunk', model => 'gpt-4o-mini-2024-07-18',
        system_fingerprint => 'fp_0123456789', service_tier => 'default',
        usage => undef);
    my $event = sub {
        my ($finish, %delta) = @_;

        return 'data: ' . $json->encode({ %chunk, choices => [{ index => 0,
            delta => \%delta, logprobs => undef, finish_reason => $finish }],
            $obfuscated ? (obfuscation => letters(1 + draw(14))) : ()
        }) . "\n\n";
    };

    return join '', $event->(undef, role => 'assistant', content => ''),
        (map { $event->(undef, content => $_) } tokens($n - 2)),
        $event->('stop'), "data: [DONE]\n\n";
}


sub anthropic_stream
{
    my ($n) = @_;

    my $event = sub {
        my ($type, %more) = @_;

        return "event: $type\ndata: "
            . $json->encode({ type => $type, %more }) . "\n\n";
    };

    return join '', $event->('message_start', message => {
            id => 'msg_' . letters(24), type => 'message',
            role => 'assistant', model => 'claude-sonnet-4-5',
            content => [], usage => { input_tokens => 25, output_tokens => 1 }
        }),
        $event->('content_block_start', index => 0, content_block =>
            { type => 'text', text => '' }),
        (map { $event->('content_block_delta', index => 0, delta =>
            { type => 'text_delta', text => $_ }) } tokens($n)),
        $event->('content_block_stop', index => 0),
        $event->('message_delta', usage => { output_tokens => $n },
            delta => { stop_reason => 'end_turn', stop_sequence => undef }),
        $event->('message_stop');
}


sub embedding
{
    my ($n) = @_;

    return '{"object":"list","data":[{"object":"embedding","index":0,'
        . '"embedding":[' . join(',', map { sprintf '%s0.0%08d',
            draw(2) ? '-' : '', draw(10_000) * 7919 % 100_000_000 } 1 .. $n)
        . ']}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,'
        . '"total_tokens":8}}';
}


my $large = chat(34 * 1024, 1200);

put('request-small.json', $json->encode(small(205)));
put('request-large.json', $json->encode($large));
put('request-stream.json', $json->encode(small(205,
    stream => JSON::PP::true)));
put('answer.json', answer(1741));
put('answer-tiny.json', answer(0));
put('stream.sse', stream(115 * 1024));

for my $n (0 .. 7) {
    my $request = chat(34 * 1024, 1200 - 8 * $n);

    put("canon-34k-$n.json", $json->encode($request));
    put("canon-34k-other-$n.json", $other->encode($request));
}

put("canon-1m.json", $json->encode(chat(1024 * 1024, 9000)));

put('pack-chat.sse', chat_stream(348, 1));
put('pack-chat-plain.sse', chat_stream(376, 0));
put('pack-chat-1m.sse', chat_stream(3000, 1));
put('pack-anthropic.sse', anthropic_stream(400));
put('pack-embedding.json', embedding(1536));

my $answer = answer(0);

for my $size (1700, 6000) {
    put("pack-answer-$size.json", $answer =~ s/Yes\./substr(
        $json->encode([text($size - length $answer)]), 2, -2)/er);
}
