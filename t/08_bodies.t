# Request bodies reach the provider as they were sent: those that no cache may
# understand, those that are too large, and those that are cached.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;', server => <<'END');
    location /small/ {
        llm_cache on;
        llm_cache_max_body 1k;
        proxy_pass http://llm;
    }
    location /file/ {
        llm_cache on;
        client_body_in_file_only clean;
        proxy_pass http://llm;
    }
    location /spill/ {
        llm_cache on;
        client_body_buffer_size 1k;
        proxy_pass http://llm;
    }
    location /direct/ {
        llm_cache on;
        proxy_request_buffering off;
        proxy_pass http://llm;
    }
    location /off/ {
        llm_cache off;
        proxy_request_buffering off;
        proxy_pass http://llm;
    }
END

my @PREFIXES = ('', '/file', '/spill', '/direct', '/off');

sub arrived {
    my ($name, $uri, $body, %option) = @_;

    my $response = $nginx->post($uri, $body, %option);
    my $request = $mock->last_request;

    is($request->{sha256}, sha256_hex($body), "$name: the body arrives");
    is($response->status, 200, "$name: answered");
    is_unharmed($response, $name);

    return $response;
}

# bodies that no key can be made of

my $deep = 100_000;

my %uncached = (
    'malformed' => ['json', '{"model":"m","messages":[}'],
    'cut off' => ['json', '{"model":"m","messages":['],
    'a comma too many' => ['json', '{"model":"m",}'],
    'no JSON' => ['json', 'Hello, model!'],
    'an array' => ['json', '[{"model":"m"}]'],
    'a string' => ['json', '"model"'],
    'white space only' => ['json', " \r\n\t "],
    'trailing bytes' => ['json', '{"model":"m"} x'],
    'two objects' => ['json', '{"model":"m"}{"model":"m"}'],
    'a NUL after it' => ['json', "{\"model\":\"m\"}\0"],
    'a byte order mark' => ['json', "\xef\xbb\xbf{\"model\":\"m\"}"],
    'NaN' => ['json', '{"model":"m","temperature":NaN}'],
    'a hexadecimal number' => ['json', '{"model":"m","seed":0x1}'],
    'a leading zero' => ['json', '{"model":"m","seed":01}'],
    'a comment' => ['json', '{"model":"m" /* x */}'],
    'single quotes' => ['json', "{'model':'m'}"],
    'a control character' => ['json', "{\"model\":\"a\tb\"}"],
    'binary' => ['json', join '', map { chr $_ % 256 } 0 .. 9_999],
    'invalid UTF-8' => ['json', "{\"model\":\"\xff\"}"],
    'overlong UTF-8' => ['json', "{\"model\":\"\xc0\xaf\"}"],
    'a surrogate in UTF-8' => ['json', "{\"model\":\"\xed\xa0\x80\"}"],
    'a lone surrogate' => ['json', '{"model":"\ud83d"}'],
    'a lone low surrogate' => ['json', '{"model":"\ude00x"}'],
    'swapped surrogates' => ['json', '{"model":"\ude00\ud83d"}'],
    'duplicate members' => ['duplicate', '{"model":"a","model":"b"}'],
    'equal duplicates' => ['duplicate', '{"model":"a","model":"a"}'],
    'duplicates, one escaped' => ['duplicate',
        '{"model":"a","\u006dodel":"b"}'],
    'nested duplicates' => ['duplicate', '{"model":"m","a":[{"x":1,"x":2}]}'],
    'duplicate controls' => ['duplicate',
        '{"model":"m","caching":true,"caching":false}'],
    'an integer over 2^53' => ['number',
        '{"model":"m","seed":9007199254740993}'],
    'a negative one' => ['number', '{"model":"m","seed":-9007199254740993}'],
    'a long integer' => ['number',
        '{"model":"m","seed":123456789012345678901234567890}'],
    'a number that overflows' => ['number', '{"model":"m","x":1e999}'],
    'deep arrays' => ['depth', '{"model":"m","x":' . '[' x $deep
        . ']' x $deep . '}'],
    'deep objects' => ['depth', '{"x":' x $deep . '1' . '}' x $deep],
    'unclosed deep arrays' => ['depth|json', '{"x":' . '[' x $deep],
);

for my $name (sort keys %uncached) {
    my ($reason, $body) = @{$uncached{$name}};

    for my $prefix (@PREFIXES) {
        my $where = $prefix eq '' ? $name : "$name at $prefix";
        my $response = arrived($where, $prefix . chat_uri(), $body);

        next if $prefix eq '/off';
        is_bypass($response, $where);
        next if $prefix ne '';
        like($nginx->logged($response)->{reason}, qr/^(?:$reason)$/,
            "$name: reason");
    }

    arrived("$name, chunked", chat_uri(), $body, chunked => 1000);
}

# no body at all

for my $how (['empty', ''], ['none', undef]) {
    my ($name, $body) = @$how;
    my $response = $nginx->post(chat_uri(), $body);

    is($response->status, 200, "$name: answered");
    is_bypass($response, $name);
    is($nginx->logged($response)->{reason}, 'no_body', "$name: reason");
    is($mock->last_request->{length}, 0, "$name: nothing arrives");
}

is_bypass(arrived('empty, chunked', chat_uri(), '', chunked => 1),
    'empty, chunked');

# bodies that are cached arrive as they were sent, too

my $odd = "{ \"model\" :\t\"m\",\r\n \"messages\" : [ ] , \"x\":1.0e+0,"
    . "\"y\":\"\\u0041\\/\" }\n";

for my $prefix (@PREFIXES[0 .. 3]) {
    my $name = "odd spelling at '$prefix'";
    my $first = arrived($name, $prefix . chat_uri(), $odd);

    is_miss($first, $name);
    is_hit($nginx->post($prefix . chat_uri(), $odd), $first, $name);
}

# large bodies, in memory and in a file

sub large {
    my ($size, $marker) = @_;

    my $body = to_json(chat("$marker "));
    my $fill = "The quick brown fox jumps over the lazy d\xc3\xb6g. ";
    my $missing = $size - length $body;

    substr $body, index($body, $marker), 0,
        substr($fill x ($missing / length($fill) + 1), 0,
            $missing - $missing % length $fill)
        . '.' x ($missing % length $fill);

    return $body;
}

for my $size (900, 20_000, 200_000, 8 << 20) {
    my $body = large($size, 'end');

    is(length $body, $size, "$size bytes: made");

    for my $prefix ($size > 1 << 20 ? ('', '/direct') : @PREFIXES[0 .. 3]) {
        my $name = "$size bytes at '$prefix'";
        my $first = arrived($name, $prefix . chat_uri(), $body);

        is_miss($first, $name);
        is_hit($nginx->post($prefix . chat_uri(), $body), $first, $name);
        is_hit($nginx->post($prefix . chat_uri(), $body, chunked => 7777),
            $first, "$name, chunked");
    }

    is_miss($nginx->post(chat_uri(), large($size, 'END')),
        "$size bytes, another end");
}

sub too_large {
    my ($name, $uri, $body, %option) = @_;

    my $response = arrived($name, $uri, $body, %option);

    is_bypass($response, $name);
    is($nginx->logged($response)->{reason}, 'body_size', "$name: reason");

    return;
}

too_large('over 8m', chat_uri(), large((8 << 20) + 1, 'over'));
too_large('over 8m, chunked', chat_uri(), large((8 << 20) + 1, 'over'),
    chunked => 1);
is_miss(arrived('1k', '/small' . chat_uri(), large(1024, 'k')), '1k');
too_large('over 1k', '/small' . chat_uri(), large(1025, 'k'));
too_large('over 1k, chunked', '/small' . chat_uri(), large(1025, 'k'),
    chunked => 100);

# content types and codings

for my $type ('application/json; charset=utf-8', 'Application/JSON',
    'application/json;charset=UTF-8', 'application/json; charset="utf-8"',
    'application/json; v=1; charset=utf-8 ; q="utf-16"',
    'application/json; charset=utf8')
{
    is_cached($nginx, $type, chat_uri(), chat($type),
        headers => { 'Content-Type' => $type });
}

for my $type ('text/plain', 'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded', 'application/jsonl',
    'audio/wav', 'application/json; charset=utf-16',
    'application/json; v=1;Charset=ISO-8859-1', 'application/json; charset=',
    'application/json; charset="utf-7"', 'application/json; charset=utf-88')
{
    my $response = arrived($type, chat_uri(), to_json(chat($type)),
        headers => { 'Content-Type' => $type });

    is_bypass($response, $type);
    is($nginx->logged($response)->{reason}, 'content_type', "$type: reason");
}

my $coded = arrived('gzip', chat_uri(), to_json(chat('x')),
    headers => { 'Content-Encoding' => 'gzip' });

is_bypass($coded, 'a coded request');
is($nginx->logged($coded)->{reason}, 'request_encoding',
    'a coded request: reason');

# a client that waits for 100 Continue, and one that sends in small pieces

my $body = to_json(chat('patience'));
my $text = $nginx->request_text(chat_uri(), $body,
    headers => { 'Expect' => '100-continue' });
my ($head) = $text =~ /^(.*?\r\n\r\n)/s;
my $client = $nginx->client;

$client->send($head);
ok($client->received(qr{^HTTP/1.1 100 }), '100 Continue');
$client->send($body);
is_miss($client->response, 'after 100 Continue');
is($mock->last_request->{sha256}, sha256_hex($body),
    'after 100 Continue: the body arrives');

for my $byte (split //, $text =~ s/Expect.*?\r\n//r) {
    $client->send($byte);
}

is($client->response->cache, 'HIT', 'a request that comes byte by byte');
$client->close;

# a client that stops in the middle of its request

my $before = $mock->count;

$client = $nginx->client;
$client->send(substr $nginx->request_text(chat_uri(), chat('unsaid')), 0,
    -10);
$client->close;
is_miss($nginx->post(chat_uri(), chat('said')), 'after half a request');
is($mock->count - $before, 1, 'half a request goes nowhere');

finish();
