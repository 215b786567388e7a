-- The load: POST requests with a JSON body from a file, or GET requests.
--
--   wrk ... -s load.lua URL -- get
--   wrk ... -s load.lua URL -- same FILE
--   wrk ... -s load.lua URL -- gzip FILE
--   wrk ... -s load.lua URL -- distinct FILE PREFIX
--   wrk ... -s load.lua URL -- among FILE COUNT SEED
--   wrk ... -s load.lua URL -- count FILE FIRST COUNT
--
-- The file holds 16 "@" in a place where a number can stand.  "gzip" is "same"
-- from a client that reads gzip.  "distinct" never asks the same twice,
-- "among" draws one of COUNT numbers, "count" goes round through them.  The
-- last line that is printed is for the caller:
--
--   result REQUESTS MICROSECONDS BYTES ERRORS P99 LAST P50

local mark = string.rep("@", 16)
local threads = {}


local function read(name)
    local file = assert(io.open(name, "rb"))
    local data = file:read("*a")

    file:close()

    return data
end


function setup(thread)
    table.insert(threads, thread)
    thread:set("serial", #threads)
end


-- a request is built for each call only where it has to be: wrk takes the
-- same one for all where there is no request()

local function numbered(body, draw)
    local whole = wrk.format("POST", nil, nil, body)
    local from, to = whole:find(mark, 1, true)
    local before, after = whole:sub(1, from - 1), whole:sub(to + 1)
    local format = string.format

    request = function()
        return before .. draw(format) .. after
    end
end


local modes = {}


function modes.get()
    wrk.method = "GET"
end


function modes.same(file)
    wrk.body = read(file)
end


function modes.gzip(file)
    modes.same(file)
    wrk.headers["Accept-Encoding"] = "gzip, deflate"
end


function modes.distinct(file, prefix)
    local n = 0

    numbered(read(file), function(format)
        n = n + 1
        return format("%06d%010d", prefix * 10 + serial, n)
    end)
end


function modes.among(file, count, seed)
    local random, max = math.random, tonumber(count)

    math.randomseed(seed * 10 + serial)

    numbered(read(file), function(format)
        return format("%016d", random(max))
    end)
end


function modes.count(file, first, count)
    last = first - 1

    numbered(read(file), function(format)
        last = last + 1
        return format("%016d", (last - 1) % count + 1)
    end)
end


function init(args)
    wrk.method = "POST"
    wrk.headers["Accept"] = "application/json"
    wrk.headers["Authorization"] = "Bearer sk-benchmark-0123456789abcdef"
    wrk.headers["Content-Type"] = "application/json"
    wrk.headers["User-Agent"] = "OpenAI/Python 1.0.0"

    modes[args[1]](args[2], args[3], args[4])
end


function done(summary, latency)
    local e = summary.errors

    io.write(string.format("result %d %d %d %d %d %d %d\n",
        summary.requests, summary.duration, summary.bytes,
        e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(99), threads[1]:get("last") or 0,
        latency:percentile(50)))
end
