"""What Python's HTTP clients send and read raw, for t/71_python.t.

Each raw_CLIENT.py has its client's two ways to ask, and runs these tests; they
speak TAP.

    post(path, headers, **body)   -> Answer, with the whole body
    lines(path, headers, **body)  -> Answer, with the body's lines

The body is json=DOCUMENT, as the client spells it, or data=BYTES or a list of
BYTES, which a generator hands to the client.

Environment: BASE_URL (nginx in front of the mock LLM), MOCK_URL (the mock).
"""

import json
import os
import sys
import urllib.request

BASE = os.environ['BASE_URL']
MOCK = os.environ['MOCK_URL']
CHAT = '/v1/chat/completions'
HEADERS = {'content-type': 'application/json', 'authorization': 'Bearer sk'}

serial = 0
ran = 0
failed = 0


class Answer:
    def __init__(self, status, sent, headers, body=b'', lines=()):
        self.chunked = sent.get('transfer-encoding') == 'chunked'
        self.status = status
        self.cache = headers.get('x-llm-cache')
        self.coding = headers.get('content-encoding')
        self.type = headers.get('content-type', '').split(';')[0]
        self.body = body
        self.lines = list(lines)


def ok(passed, name, told=''):
    global ran, failed

    ran += 1
    failed += not passed
    print('ok' if passed else 'not ok', ran, '-', name)

    if not passed and told:
        print('#', told)


def same(got, expected, name):
    ok(got == expected, name,
       f'got {got!r:.500}, expected {expected!r:.500}')


def control(call):
    request = urllib.request.Request(f'{MOCK}/__mock/{call}', data=b'')

    with urllib.request.urlopen(request) as response:
        return json.load(response)


def count():
    return control('count')['total']


# a question of its own; accents and an emoji, which Python escapes

def question(**more):
    global serial

    serial += 1
    content = f'Grüezi \U0001f600 "{os.getpid()}.{serial}"'

    return {'model': 'gpt-4o-mini', 'temperature': 1.0,
            'messages': [{'role': 'user', 'content': content}], **more}


def compact(document):
    return json.dumps(document, ensure_ascii=False,
                      separators=(',', ':')).encode()


def pieces(body, size=7):
    return [body[i:i + size] for i in range(0, len(body), size)]


# runs a call that has to have this status, and as many calls upstream

def call(name, status, ask, path, extra=None, **body):
    before = count()
    answer = ask(path, {**HEADERS, **(extra or {})}, **body)

    same((answer.status, answer.cache, count() - before),
         (200, status, int(status == 'MISS')), name)

    return answer


def text_of(lines):
    chunks = [json.loads(line[6:]) for line in lines
              if line.startswith('data: {')]

    return ''.join(chunk['choices'][0]['delta'].get('content') or ''
                   for chunk in chunks if chunk['choices'])


def text_in(body):
    return json.loads(body)['choices'][0]['message']['content']


def spellings(post):
    document = question()
    reordered = dict(reversed(list(document.items())))
    spelled = json.dumps(document)

    ok('\\u00fc' in spelled and '\\ud83d\\ude00' in spelled
       and '": 1.0, "' in spelled, 'Python escapes, and writes 1.0')

    first = call('its own JSON', 'MISS', post, CHAT, json=document)

    same(first.type, 'application/json', 'the type')

    for name, body in (
            ('the same once more', {'json': document}),
            ('the same in bytes', {'data': spelled.encode()}),
            ('members in another order', {'json': reordered}),
            ('no escapes, no spaces', {'data': compact(document)}),
            ('1 for 1.0', {'json': {**document, 'temperature': 1}}),
            ('with spaces and lines',
             {'data': json.dumps(document, indent=4).encode()}),
            ('a generator', {'data': pieces(spelled.encode())}),
            ('a generator of all at once', {'data': [spelled.encode()]}),
            ('a generator without escapes',
             {'data': pieces(compact(document), 3)})):
        answer = call(name, 'HIT', post, CHAT, **body)
        same((answer.body, answer.chunked),
             (first.body, isinstance(body.get('data'), list)),
             f'{name}: the body')

    call('another question', 'MISS', post, CHAT,
         json={**document, 'temperature': 0.5})


def streams(post, lines):
    document = question()
    streamed = {**document, 'stream': True,
                'stream_options': {'include_usage': True}}

    first = call('a stream by lines', 'MISS', lines, CHAT, json=streamed)
    text = text_of(first.lines)

    same((first.type, len(text) > 10, [line for line in first.lines
                                       if line][-1]),
         ('text/event-stream', True, 'data: [DONE]'), 'all of it')

    again = call('the stream again', 'HIT', lines, CHAT, json=streamed)
    same(again.lines, first.lines, 'the same lines')

    again = call('from a generator', 'HIT', lines, CHAT,
                 data=pieces(compact(streamed)))
    same(again.lines, first.lines, 'the same lines')

    other = call('JSON from the stream', 'HIT', post, CHAT, json=document)
    same((other.type, text_in(other.body)), ('application/json', text),
         'says the same')

    document = question()
    streamed = {**document, 'stream': True}

    first = call('JSON', 'MISS', post, CHAT, json=document)
    other = call('a stream from JSON', 'HIT', lines, CHAT, json=streamed)

    same((other.type, text_of(other.lines)),
         ('text/event-stream', text_in(first.body)), 'says the same')


def codings(post, lines):
    for coding in ('gzip, deflate, br', 'gzip, deflate, br, zstd', 'identity',
                   'br'):
        document = question()
        streamed = {**document, 'stream': True}
        accept = {'accept-encoding': coding}
        expected = 'gzip' if 'gzip' in coding else None
        miss = call(f'accepts {coding}', 'MISS', post, '/gzip' + CHAT, accept,
                    json=document)
        hit = call(f'accepts {coding}, once more', 'HIT', post,
                   '/gzip' + CHAT, accept, json=document)

        same((miss.coding, hit.coding, hit.body), (expected, expected,
                                                   miss.body),
             f'accepts {coding}: what was read')

        other = call(f'accepts {coding}, by lines', 'HIT', lines,
                     '/gzip' + CHAT, accept, json=streamed)

        same((other.coding, text_of(other.lines)),
             (expected, text_in(miss.body)), f'accepts {coding}: the lines')


# a record that the zone has packed meanwhile, for who reads gzip and who not

def packed(post, lines):
    streamed = question(stream=True, stream_options={'include_usage': True})
    behaviour = {'x-mock': json.dumps({'size': 20000})}
    first = call('a long stream', 'MISS', lines, '/packed' + CHAT, behaviour,
                 json=streamed)

    for _ in range(1000):
        hit = lines('/packed' + CHAT, {**HEADERS, 'accept-encoding': 'gzip'},
                    json=streamed)
        if hit.coding:
            break

    same((hit.cache, hit.coding, hit.lines), ('HIT', 'gzip', first.lines),
         'packed: the same lines')

    for coding in ('br', 'identity'):
        hit = call(f'packed, for {coding}', 'HIT', lines, '/packed' + CHAT,
                   {'accept-encoding': coding}, json=streamed)
        same((hit.coding, hit.lines), (None, first.lines),
             f'packed, for {coding}: the same lines')

    other = call('packed, the other form', 'HIT', post, '/packed' + CHAT,
                 {'accept-encoding': 'gzip, deflate, br'},
                 json={**streamed, 'stream': False})
    same(text_in(other.body), text_of(first.lines),
         'packed, the other form: says the same')


def errors(post):
    document = question()
    failing = {**HEADERS, 'x-mock': json.dumps({'status': 429})}

    for _ in range(2):
        before = count()
        answer = post(CHAT, failing, json=document)
        same((answer.status, answer.cache, count() - before), (429, 'MISS', 1),
             'an error')

    call('then an answer', 'MISS', post, CHAT, json=document)
    call('which is kept', 'HIT', post, CHAT, json=document)


def run(post, lines):
    spellings(post)
    streams(post, lines)
    codings(post, lines)
    packed(post, lines)
    errors(post)

    print(f'1..{ran}')
    sys.exit(failed != 0)
