// A key for llm_cache_key: the whole request, so that nothing which changes
// the answer is forgotten, without a line like
//
//     Current time: 2026-01-31T12:00:00Z
//
// in a system prompt.  An empty key leaves the request uncached.

var volatile = /^Current time: .*$/m;

var ignored = ['stream', 'stream_options', 'user', 'metadata'];


function canonical(value) {
    if (value === null || typeof value !== 'object') {
        return JSON.stringify(value);
    }

    if (Array.isArray(value)) {
        return '[' + value.map(canonical).join(',') + ']';
    }

    return '{' + Object.keys(value).sort().map(function(name) {
        return JSON.stringify(name) + ':' + canonical(value[name]);
    }).join(',') + '}';
}


function compute(r) {
    try {
        var request = JSON.parse(r.requestText);

        ignored.forEach(function(name) {
            delete request[name];
        });

        (request.messages || []).forEach(function(message) {
            if (message.role === 'system'
                && typeof message.content === 'string')
            {
                message.content = message.content.replace(volatile, '');
            }
        });

        return r.uri + '|' + canonical(request);

    } catch (e) {
        return '';
    }
}


export default { compute };
