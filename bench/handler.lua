-- A cache of LLM answers as one writes it in Lua: the request is decoded,
-- written again with sorted members, and the SHA-1 of that is the key in a
-- shared dictionary.

local cjson = require "cjson.safe"

local concat, sort = table.concat, table.sort
local encode = cjson.encode


local function canonical(value, out, n)
    if type(value) ~= "table" then
        out[n] = encode(value)
        return n + 1
    end

    if #value > 0 then
        out[n] = "["
        n = n + 1

        for i = 1, #value do
            n = canonical(value[i], out, n)
            out[n] = ","
            n = n + 1
        end

        out[n] = "]"

        return n + 1
    end

    local names = {}

    for name in pairs(value) do
        names[#names + 1] = name
    end

    sort(names)

    out[n] = "{"
    n = n + 1

    for i = 1, #names do
        out[n] = encode(names[i])
        out[n + 1] = ":"
        n = canonical(value[names[i]], out, n + 2)
        out[n] = ","
        n = n + 1
    end

    out[n] = "}"

    return n + 1
end


ngx.req.read_body()

local body = ngx.req.get_body_data()
local document = body and cjson.decode(body)

if not document then
    return ngx.exit(ngx.HTTP_BAD_REQUEST)
end

local out = {}

canonical(document, out, 1)

local key = ngx.sha1_bin(concat(out))
local answer = ngx.shared.answers:get(key)

if not answer then
    local response = ngx.location.capture("/fetch",
        { method = ngx.HTTP_POST, body = body })

    if response.status ~= 200 then
        return ngx.exit(response.status)
    end

    answer = response.body
    ngx.shared.answers:set(key, answer, 3600)
end

ngx.header["Content-Type"] = "application/json"
ngx.header["Content-Length"] = #answer
ngx.print(answer)
