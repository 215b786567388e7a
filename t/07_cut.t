# Answers that end too early, at every byte and under every framing: never
# stored, and the client gets the bytes that there were.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);

use LLMTest;

my $mock = mock();
my $nginx = nginx(location => 'llm_cache on;', level => 'crit');

# One request for all the cuts of an answer: were one of them stored, the
# next cut would be a hit and not reach the provider.

sub cut_everywhere {
    my ($name, $framing, $length, @request) = @_;

    my (@answers, @wrong);

    $mock->reset;
    $mock->next(map { { cut => $_, framing => $framing } } 0 .. $length - 1);
    push @answers, $nginx->post(@request) for 1 .. $length;

    my @sent = map { $_->{sent} } $mock->requests;
    my @stored = grep { ($answers[$_]->cache // '') eq 'HIT' } 0 .. $#answers;

    for my $cut (0 .. $#answers) {
        my $answer = $answers[$cut];

        push @wrong, "$cut: " . $answer->summary
            if sha256_hex($answer->body) ne ($sent[$cut] // '')
            || $answer->complete != ($framing eq 'close' ? 1 : 0);
    }

    $name = "$name, $framing";
    is(@stored ? $stored[0] - 1 : undef, undef, "$name: no cut is stored");
    is(join(', ', splice @wrong, 0, 5), '', "$name: bytes pass as they come");
    $mock->reset;

    return;
}

sub cut_all {
    my ($name, $case, @framings) = @_;

    my @request = ($case->{uri}, $case->{body}->("cut $name",
        ($name =~ /stream/ ? (stream => json_true) : ())),
        headers => { %{$case->{headers} // {}},
            'X-Mock' => to_json({ text => 'Hi' }) });
    my $whole = $nginx->post(@request[0, 1], headers => {
        %{$request[3]}, 'Cache-Control' => 'no-store' });

    cut_everywhere($name, $_, length $whole->body, @request) for @framings;
    is_cached($nginx, "$name: whole", @request);

    return;
}

cut_all('chat stream', dialect('chat'), qw(length chunked close));
cut_all('anthropic stream', dialect('anthropic'), 'close');
cut_all('ollama stream', dialect('ollama chat'), 'close');
cut_all('gemini', dialect('gemini stream'), 'close');
cut_all('chat', dialect('chat'), 'close');

# streams of the other dialects, cut here and there

for my $name ('completions', 'responses', 'cohere chat', 'gemini array',
    'ollama generate')
{
    my $case = dialect($name);
    my $stream = $case->{streams} ? 1 : 0;

    for my $framing (qw(length chunked close)) {
        my ($whole, $cut) = map { [$case->{uri},
            $case->{body}->("$_ $name $framing",
            ($stream ? (stream => json_true) : ())),
            headers => $case->{headers}] } 'all', 'cut';
        my $length = length $nginx->post(@$whole)->body;
        my @cuts = (map({ int $length * $_ / 12 } 1 .. 11), $length - 20,
            $length - 3);

        $mock->next(map { { cut => $_, framing => $framing } } @cuts);

        my @answers = map { $nginx->post(@$cut) } @cuts;

        is_deeply([map { $_->cache } @answers], [('MISS') x @cuts],
            "$name, $framing: no cut is stored");
        is_deeply([map { length $_->body } @answers], \@cuts,
            "$name, $framing: bytes pass as they come");
    }
}

# connections that are reset, and a client that leaves

my $reset = $nginx->post(chat_uri(), chat('reset', stream => json_true),
    mock => { cut => 300, reset => 1, framing => 'chunked' });

ok(!$reset->complete, 'reset: incomplete');
is_miss($nginx->post(chat_uri(), chat('reset', stream => json_true)),
    'after a reset');

my $client = $nginx->client;

$client->send($nginx->request_text(chat_uri(),
    chat('left', stream => json_true), mock => { hold => [3, 'left'] }));
$client->received(qr/data: .*\n\ndata: /);
$client->close;
ok($mock->wait_for(sub { $mock->aborted }), 'the provider sees it leave');
$mock->release('left');
is_miss($nginx->post(chat_uri(), chat('left', stream => json_true)),
    'after a client left');

# a header that promises less, or more, than what comes

my $long = $nginx->post(chat_uri(), chat('longer'),
    mock => { framing => 'none', type => 'application/json',
        headers => [['Content-Length', 10]], body => '{"a":"0123456789"}' });

is($long->body, '{"a":"0123', 'a body longer than its Content-Length');
is_miss($nginx->post(chat_uri(), chat('longer')), 'it was not stored');

finish();
