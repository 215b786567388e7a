"""aiohttp: see raw.py"""

import asyncio

import aiohttp

import raw

loop = asyncio.new_event_loop()


async def generator(pieces):
    for piece in pieces:
        yield piece


def content(body):
    if 'json' in body:
        return {'json': body['json']}

    data = body['data']

    return {'data': generator(data) if isinstance(data, list) else data}


async def ask(path, headers, body, read):
    async with aiohttp.ClientSession() as session:
        async with session.post(raw.BASE + path, headers=headers,
                                **content(body)) as response:
            return raw.Answer(response.status, response.request_info.headers,
                              response.headers, **await read(response))


async def whole(response):
    return {'body': await response.read()}


async def by_line(response):
    return {'lines': [line.decode().rstrip('\n')
                      async for line in response.content]}


def post(path, headers, **body):
    return loop.run_until_complete(ask(path, headers, body, whole))


def lines(path, headers, **body):
    return loop.run_until_complete(ask(path, headers, body, by_line))


raw.run(post, lines)
