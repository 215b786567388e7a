"""requests: see raw.py"""

import requests

import raw

session = requests.Session()


def content(body):
    if 'json' in body:
        return {'json': body['json']}

    data = body['data']

    return {'data': iter(data) if isinstance(data, list) else data}


def post(path, headers, **body):
    response = session.post(raw.BASE + path, headers=headers, **content(body))

    return raw.Answer(response.status_code, response.request.headers,
                      response.headers, response.content)


def lines(path, headers, **body):
    with session.post(raw.BASE + path, headers=headers, stream=True,
                      **content(body)) as response:
        read = [line.decode() for line in response.iter_lines()]

        return raw.Answer(response.status_code, response.request.headers,
                          response.headers, lines=read)


raw.run(post, lines)
