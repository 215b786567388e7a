"""httpx: see raw.py"""

import httpx

import raw

client = httpx.Client(base_url=raw.BASE)


def content(body):
    if 'json' in body:
        return {'json': body['json']}

    data = body['data']

    return {'content': iter(data) if isinstance(data, list) else data}


def post(path, headers, **body):
    response = client.post(path, headers=headers, **content(body))

    return raw.Answer(response.status_code, response.request.headers,
                      response.headers, response.content)


def lines(path, headers, **body):
    with client.stream('POST', path, headers=headers,
                       **content(body)) as response:
        read = [line.rstrip('\n') for line in response.iter_lines()]

        return raw.Answer(response.status_code, response.request.headers,
                          response.headers, lines=read)


raw.run(post, lines)
