# llm_cache observe changes nothing: the upstream and the client see the very
# bytes that they see without the module, headers and framing too.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Compress::Zlib qw(memGzip);
use File::Temp qw(tempdir);
use IO::Socket::INET ();
use POSIX ();

use LLMTest;

# an upstream that keeps the bytes of each request, by the connection and the
# test's own header, and answers with the bytes of the case that it names

my $ANSWER = '{"id":"a","object":"chat.completion","model":"gpt-4o-mini",'
    . '"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},'
    . '"finish_reason":"stop"}],"usage":{"prompt_tokens":5,'
    . '"completion_tokens":2,"total_tokens":7}}';
my @EVENTS = map { "data: $_\n\n" }
    '{"id":"a","object":"chat.completion.chunk","model":"m","choices":'
    . '[{"index":0,"delta":{"role":"assistant","content":"Hi"},'
    . '"finish_reason":null}]}', '{"id":"a","object":"chat.completion.chunk",'
    . '"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
    '[DONE]';

sub head {
    my ($status, @lines) = @_;

    return join "\r\n", "HTTP/1.1 $status", 'x-request-id: req_1',
        'Set-Cookie: a=1; path=/', 'openai-processing-ms: 3', @lines, '', '';
}

sub plain {
    my ($body, @lines) = @_;

    return head('200 OK', 'Content-Type: application/json', @lines,
        'Content-Length: ' . length $body) . $body;
}

sub chunks { return map { sprintf("%x\r\n%s\r\n", length, $_) } @_ }

my $STREAM = head('200 OK', 'Content-Type: text/event-stream; charset=utf-8',
    'Transfer-Encoding: chunked');

my %CASES = (
    json => [plain($ANSWER)],
    slow => ['wait', plain($ANSWER)],
    private => [plain($ANSWER, 'Cache-Control: private')],
    gzip => [plain(memGzip($ANSWER), 'Content-Encoding: gzip',
        'Vary: Accept-Encoding')],
    stream => [$STREAM, chunks(@EVENTS), "0\r\n\r\n"],
    cut => [$STREAM, (chunks(@EVENTS))[0], 'close'],
    short => [head('200 OK', 'Content-Type: application/json',
        'Content-Length: ' . (10 + length $ANSWER)) . $ANSWER, 'close'],
    failure => [head('503 Service Unavailable',
        'Content-Type: application/json', 'Content-Length: 20')
        . '{"error": "too busy"}' =~ s/ //r],
    no_type => [head('200 OK', 'Content-Length: ' . length $ANSWER)
        . $ANSWER],
    large => [plain('{"x":"' . 'y' x 2_000_000 . '"}')],
);

sub whole {
    my ($bytes) = @_;

    my $at = index($$bytes, "\r\n\r\n");

    return 0 if $at < 0;

    my $head = substr $$bytes, 0, $at;

    return substr($$bytes, -7) =~ /^(?:\r\n|..)0\r\n\r\n\z/s
        if $head =~ /^transfer-encoding: chunked/mi;
    return length($$bytes) - $at - 4
        >= ($head =~ /^content-length: (\d+)/mi ? $1 : 0);
}

my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64)
    or die "listen: $!\n";
my $upstream = $listen->sockport;
my $folder = tempdir(CLEANUP => 1);

sub serve {
    my ($socket) = @_;

    my $bytes = '';

    while (sysread $socket, $bytes, 1 << 16, length $bytes) {
        next if !whole(\$bytes);

        my ($case) = $bytes =~ /case=(\w+)/;

        open my $file, '>', "$folder/seen" or die "seen: $!\n";
        print $file $bytes;
        close $file;
        $bytes = '';

        for my $piece (@{$CASES{$case}}) {
            return if $piece eq 'close';
            pause(0.5) if $piece eq 'wait';
            next if $piece eq 'wait';
            syswrite $socket, $piece;
        }
    }

    return;
}

my $owner = $$;
my $serial = 0;
my $server = fork // die "fork: $!\n";

if (!$server) {
    alarm 240;
    local $SIG{CHLD} = 'IGNORE';

    while (my $socket = $listen->accept) {
        next if fork;
        serve($socket);
        POSIX::_exit(0);
    }
}

# what the upstream saw of the latest request

sub seen {
    open my $file, '<', "$folder/seen" or return '';
    local $/;

    my $bytes = <$file>;

    unlink "$folder/seen";

    return $bytes;
}

sub conf {
    my ($how) = @_;

    return (without_module => $how eq '', format => $how eq '' ? ''
        : ', "observed": "$llm_cache_observed", "reason": "$llm_cache_reason"'
        . ', "status": "$llm_cache_status", "tier": "$llm_cache_tier"',
        http => "upstream raw { server 127.0.0.1:$upstream; }",
        no_location => 1, server => <<"END");
    location / { proxy_pass http://raw; $how }
    location /unbuffered/ {
        proxy_request_buffering off; proxy_buffering off;
        proxy_pass http://raw; $how
    }
    location /files/ {
        client_body_buffer_size 1k; proxy_buffers 3 4k;
        proxy_buffer_size 4k; proxy_busy_buffers_size 4k;
        proxy_pass http://raw; $how
    }
    location /packing/ {
        gzip on; gzip_min_length 1; gzip_types application/json;
        proxy_pass http://raw; $how
    }
    location = /static { $how }
    error_page 503 = \@other;
    location \@other { return 200 other; }
    location /intercepting/ {
        proxy_intercept_errors on; proxy_pass http://raw; $how
    }
END
}

my %server = (without => nginx(conf('')),
    observe => nginx(conf('llm_cache observe; llm_cache_max_body 4m;')));

# where it was cut into chunks depends on when it came

sub joined {
    my ($bytes) = @_;

    my ($head, $body) = $bytes =~ /^(.*?\r\n\r\n)(.*)\z/s or return $bytes;

    return $bytes if $head !~ /^transfer-encoding: chunked/mi;

    my $plain = '';

    while ($body =~ s/^([0-9a-f]+)\r\n//) {
        $plain .= substr $body, 0, hex $1, '';
        $body =~ s/^\r\n//;
    }

    return $head . $plain . "|$body";
}

# the bytes of the response, but for the time of day

sub ask {
    my ($nginx, $text) = @_;

    my $client = $nginx->client;

    $client->send($text);

    my $deadline = time + 10;

    while ($client->fill($deadline)) { }


    my $bytes = $client->buffer;

    $client->close;
    $bytes =~ s/^Date: [^\r\n]*\r\n//m;

    return $bytes;
}

sub request {
    my ($path, $case, $body, %option) = @_;

    my $version = delete $option{version} // '1.1';
    my $method = delete $option{method} // 'POST';
    my $chunked = delete $option{chunked};
    my $text = "$method $path?case=$case HTTP/$version\r\nHost: test\r\n"
        . "Connection: close\r\nAuthorization: Bearer sk\r\n"
        . "Content-Type: application/json\r\nX-Test-Id: ID\r\n";

    $text .= "$_: $option{$_}\r\n" for sort keys %option;

    return "$text\r\n" if !defined $body;
    return "$text" . 'Content-Length: ' . length($body) . "\r\n\r\n$body"
        if !$chunked;
    return "${text}Transfer-Encoding: chunked\r\n\r\n"
        . join('', chunks(unpack "(a$chunked)*", $body)) . "0\r\n\r\n";
}

my $uri = chat_uri();
my $hello = to_json(chat('Hello'));
my $long = to_json(chat('long ' x 800));
my $huge = to_json(chat('huge ' x 150_000));
my $controls = '{"caching": true , "model":"m","cache":{"ttl":5},'
    . '"messages":[{"role":"user","content":"controls"}]}';

my @requests = (
    ['JSON', 'MISS HIT', $uri, 'json', $hello],
    ['a stream', 'MISS HIT', $uri, 'stream', to_json(chat('s',
        stream => json_true))],
    ['controls in the body', 'MISS HIT', $uri, 'json', $controls],
    ['controls in headers', 'BYPASS client BYPASS client', $uri, 'json',
        $hello, 'Cache-Control' => 'no-cache'],
    ['only-if-cached', 'MISS MISS', $uri, 'json', to_json(chat('only')),
        'Cache-Control' => 'only-if-cached'],
    ['Accept-Encoding', 'MISS HIT', $uri, 'gzip', to_json(chat('packed')),
        'Accept-Encoding' => 'gzip, br'],
    ['packed by nginx', 'MISS HIT', "/packing$uri", 'json', $hello,
        'Accept-Encoding' => 'gzip'],
    ['chunked', 'MISS HIT', $uri, 'json', $long, chunked => 500],
    ['HTTP/1.0', 'MISS HIT', $uri, 'stream', to_json(chat('1.0')),
        version => '1.0'],
    ['a large body', 'MISS HIT', $uri, 'slow', $huge],
    ['a body over the limit', 'BYPASS body_size BYPASS body_size', $uri,
        'json', '{"x":"' . 'x' x 5_000_000 . '"}'],
    ['the same, chunked', 'BYPASS body_size BYPASS body_size', $uri,
        'json', '{"x":"' . 'x' x 5_000_000 . '"}', chunked => 1 << 16],
    ['a body in a file', 'MISS entry_size MISS entry_size', "/files$uri",
        'large', $long],
    ['no JSON', 'BYPASS json BYPASS json', $uri, 'json', '{"model": "m"'],
    ['GET', 'BYPASS method BYPASS method', $uri, 'json', undef,
        method => 'GET'],
    ['HEAD', 'BYPASS method BYPASS method', $uri, 'json', undef,
        method => 'HEAD'],
    ['Range', 'BYPASS range BYPASS range', $uri, 'json', $hello,
        'Range' => 'bytes=0-9'],
    ['Expect', 'HIT HIT', $uri, 'json', $long, 'Expect' => '100-continue'],
    ['private', 'MISS upstream_private MISS upstream_private', $uri,
        'private', to_json(chat('private'))],
    ['a failure', 'MISS status MISS status', $uri, 'failure',
        to_json(chat('failure'))],
    ['an intercepted failure', 'MISS redirected MISS redirected',
        "/intercepting$uri", 'failure', $hello],
    ['a stream cut off', 'MISS truncated MISS truncated', $uri, 'cut',
        to_json(chat('cut'))],
    ['JSON cut off', 'MISS truncated MISS truncated', $uri, 'short',
        to_json(chat('short'))],
    ['no type', 'MISS response_type MISS response_type', $uri, 'no_type',
        to_json(chat('no type'))],
    ['an answer over the limit', 'MISS entry_size MISS entry_size', $uri,
        'large', to_json(chat('large'))],
    ['unbuffered', 'MISS HIT', "/unbuffered$uri", 'stream', $long],
    ['unbuffered, chunked', 'MISS HIT', "/unbuffered$uri", 'json',
        to_json(chat('chunked ' x 800)), chunked => 700],
    ['unbuffered, a large body', 'MISS HIT', "/unbuffered$uri", 'json',
        $huge],
    ['a file', 'BYPASS unread BYPASS unread', '/static', 'json', $long],
);

for my $request (@requests) {
    my ($name, $expected, $path, @rest) = @$request;
    my $text = request($path, @rest);
    my @observed;

    for my $round (1, 2) {
        my (%sent, %seen);
        my $id = 'id.' . ++$serial;

        $text =~ s/^(X-Test-Id:) \S+/$1 $id/m;

        for my $how (qw(without observe)) {
            $sent{$how} = ask($server{$how}, $text);
            $seen{$how} = seen();
        }

        isnt($sent{without}, '', "$name, $round: there is a response");
        ok(joined($sent{observe}) eq joined($sent{without}),
            "$name, $round: response")
            or diag(substr($sent{without}, 0, 600), "\n---\n",
                substr($sent{observe}, 0, 600));
        ok(joined($seen{observe}) eq joined($seen{without}),
            "$name, $round: request")
            or diag(substr($seen{without}, 0, 600), "\n---\n",
                substr($seen{observe}, 0, 600));

        my $line = $server{observe}->logged({ id => $id });

        push @observed, $line->{observed}, $line->{reason};
        is("$line->{status}$line->{tier}", '', "$name, $round: no claim");
    }

    is(join(' ', grep { length } @observed), $expected, "$name: observed");
}

finish();

END { kill 'TERM', $server if $owner == $$ }
