# Varnish as a cache of POST requests, by the bytes of the body.

vcl 4.1;

import bodyaccess;
import std;

backend upstream {
    .host = "127.0.0.1";
    .port = "%UPSTREAM%";
}


sub vcl_recv {
    if (!std.cache_req_body(256KB)) {
        return (synth(400));
    }

    return (hash);
}


sub vcl_hash {
    hash_data(req.url);
    bodyaccess.hash_req_body();

    return (lookup);
}


sub vcl_backend_fetch {
    set bereq.method = "POST";
}


sub vcl_backend_response {
    set beresp.ttl = 1h;

    return (deliver);
}
