# Access control guards hits as it guards the upstream.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw(encode_base64);

use LLMTest;

my $mock = mock();

my $nginx = nginx(http => <<'END',
    llm_cache_scope shared;
    llm_cache_namespace all;
    limit_req_zone $binary_remote_addr zone=rate:1m rate=1r/m;
END
    location => 'llm_cache on;',
    server => <<'END');
    location /plain {
        llm_cache on;
        rewrite .* /v1/chat/completions break;
        proxy_pass http://llm;
    }
    location /deny {
        deny all;
        llm_cache on;
        rewrite .* /v1/chat/completions break;
        proxy_pass http://llm;
    }
    location /basic {
        auth_basic "LLM";
        auth_basic_user_file %PREFIX%/htpasswd;
        llm_cache on;
        rewrite .* /v1/chat/completions break;
        proxy_pass http://llm;
    }
    location /request {
        auth_request /allowed;
        llm_cache on;
        rewrite .* /v1/chat/completions break;
        proxy_pass http://llm;
    }
    location = /allowed {
        internal;
        if ($http_x_pass != "open") { return 403; }
        return 204;
    }
    location /rate {
        limit_req zone=rate;
        llm_cache on;
        rewrite .* /v1/chat/completions break;
        proxy_pass http://llm;
    }
    location /satisfy {
        satisfy any;
        deny all;
        auth_basic "LLM";
        auth_basic_user_file %PREFIX%/htpasswd;
        llm_cache on;
        rewrite .* /v1/chat/completions break;
        proxy_pass http://llm;
    }
END

open my $file, '>', $nginx->prefix . '/htpasswd' or die "$!\n";
print $file "ann:{PLAIN}sesame\n";
close $file;

my $good = { 'Authorization' => 'Basic ' . encode_base64('ann:sesame', '') };
my $bad = { 'Authorization' => 'Basic ' . encode_base64('ann:guess', '') };
my $first = $nginx->post('/plain', chat('secret'));

is_miss($first, 'without access control');
is_hit($nginx->post('/plain', chat('secret')), $first,
    'without access control');

sub guarded {
    my ($name, $status, $uri, $headers) = @_;

    my $response;

    is(calls(sub { $response = $nginx->post($uri, chat('secret'),
        headers => $headers) }), 0, "$name: no call");
    is($response->status, $status, "$name: refused");
    unlike($response->body, qr/choices/, "$name: no answer");
    isnt($response->cache // '', 'HIT', "$name: no hit");

    return;
}

sub admitted {
    my ($name, $uri, $headers) = @_;

    is_hit($nginx->post($uri, chat('secret'), headers => $headers), $first,
        "$name: admitted");

    return;
}

guarded('deny', 403, '/deny', {});
guarded('auth_basic, no password', 401, '/basic', {});
guarded('auth_basic, wrong password', 401, '/basic', $bad);
admitted('auth_basic', '/basic', $good);
guarded('auth_request', 403, '/request', {});
admitted('auth_request', '/request', { 'X-Pass' => 'open' });
admitted('limit_req, first', '/rate', {});
guarded('limit_req, second', 503, '/rate', {});
guarded('satisfy any, none given', 401, '/satisfy', {});
admitted('satisfy any', '/satisfy', $good);

finish();
