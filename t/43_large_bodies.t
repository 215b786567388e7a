# Bodies that are too large to be read between two events: a thread of nginx's
# pool reads them, where nginx has one.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);

use LLMTest;

my $mock = mock();
my %conf = (location => 'llm_cache on;', mock => $mock, workers => 2,
    level => 'debug', server => 'client_max_body_size 32m;');
my $nginx = nginx(%conf);

my $binary = $ENV{TEST_NGINX_BINARY} || 'nginx';
my $version = `$binary -V 2>&1`;
my $threads = $version =~ /--with-threads/;

# a chat of about that many megabytes, in two spellings

my $line = 'All work and no play makes Jack a dull boy: "\u00e9", 1.50. ';

sub large {
    my ($name, $megabytes, $spelling) = @_;

    my $text = to_json($line x ($megabytes * 1_048_576 / length $line));
    my $content = to_json($name);

    return $spelling
        ? qq({ "messages" : [ { "content" : $content , "role" : "user" },\r\n)
            . qq({"content":$text, "role":"user"} ], "model":"m\\u006f" })
        : qq({"model":"mo","messages":[{"role":"user","content":$content},)
            . qq({"role":"user","content":$text}]});
}

# equal keys, byte for byte upstream

for my $megabytes (1, 3, 7) {
    my $body = large("of $megabytes", $megabytes);
    my $first = $nginx->post(chat_uri(), $body);

    is_miss($first, "$megabytes MB");
    is($mock->last_request->{sha256}, sha256_hex($body),
        "$megabytes MB: the body arrives");
    is_hit($nginx->post(chat_uri(), large("of $megabytes", $megabytes, 1)),
        $first, "$megabytes MB, spelled otherwise");
    is_hit($nginx->post(chat_uri(), $body), $first, "$megabytes MB again");
}

SKIP: {
    skip 'nginx has no threads, or no debug log', 1
        unless $threads && $version =~ /--with-debug/;

    like($nginx->error_log, qr/llm cache: a thread reads a body of \d{7} /,
        'a thread reads them');
}

# what no key can be made of

my $broken = large('broken', 3);
chop $broken;

for my $try (1, 2) {
    my $response = $nginx->post(chat_uri(), $broken);

    is_bypass($response, "cut off, $try");
    is($mock->last_request->{sha256}, sha256_hex($broken),
        "cut off, $try: the body arrives");
}

# controls are cut out of a body that a thread has read

my $plain = large('controls', 3);
(my $controlled = $plain) =~ s/^\{/{"cache":{"ttl":60},/;

is_miss($nginx->post(chat_uri(), $controlled), 'with controls');
is($mock->last_request->{sha256}, sha256_hex($plain),
    'the controls do not arrive, all else does');
is($nginx->post(chat_uri(), $plain)->cache, 'HIT',
    'they are no part of the key');

# many at a time, of one connection and of many

my @clients = map { $nginx->client } 1 .. 6;

for my $number (0 .. $#clients) {
    $clients[$number]->send($nginx->request_text(chat_uri(),
        large("client $number", 2)));
}

my %seen;

for my $number (0 .. $#clients) {
    my $response = $clients[$number]->response;

    is($response->status, 200, "client $number is answered");
    $seen{$response->header('X-LLM-Cache-Key')}++;
}

is(scalar(keys %seen), 6, 'each has a key of its own');

# clients that leave, at any moment

for my $number (1 .. 10) {
    my $client = $nginx->client;

    $client->send($nginx->request_text(chat_uri(), large("left $number", 2)));
    pause(0.002 * $number);
    $client->close;
}

# so are large answers in another form than the recorded one

my $answer = $nginx->post(chat_uri(), chat('answer'),
    mock => { size => 600_000 });
my $converted = $nginx->post(chat_uri(), chat('answer',
    stream => json_true));

is($converted->cache, $threads ? 'HIT' : 'MISS',
    'a large answer as a stream: hit, with threads');
like($converted->body, qr/\[DONE\]\n\n$/, 'a large answer as a stream');

SKIP: {
    skip 'nginx has no threads, or no debug log', 1
        unless $threads && $version =~ /--with-debug/;

    like($nginx->error_log,
        qr/llm cache: a thread converts an answer of \d{6} /,
        'a thread converts it');
}

my $small = $nginx->post(chat_uri(), chat('small'));

is_miss($small, 'after clients that left');
is_hit($nginx->post(chat_uri(), chat('small')), $small, 'and again');

# reload while threads read

my @during = map { $nginx->client } 1 .. 4;

for my $number (0 .. $#during) {
    $during[$number]->send($nginx->request_text(chat_uri(),
        large("reload $number", 4)));
}

ok($nginx->reload, 'reload');
is($_->response->status, 200, 'a request during a reload is answered')
    for @during;

# a worker that exits waits for a thread, if it has nothing else to wait for

my $items = join ',', map { '{"' . $_ * 7919 % 10_000_019 . '":1,"a":1}' }
    1 .. 1_500_000;
my $slow = nginx(%conf, workers => 1, location => 'llm_cache on;'
    . 'llm_cache_max_body 64m; client_body_buffer_size 64m;');
my $client = $slow->client;

$client->send($slow->request_text(chat_uri(),
    qq({"model":"mo","messages":[],"items":[$items]})));

ok($slow->reload, 'reload while a thread reads one body');
is(eval { $client->response->status }, 200, 'it is waited for');

finish();
