// What the clients' tests share: which answers came from the cache, and the
// same question in one form and the other.
//
// Environment: BASE_URL (nginx in front of a mock LLM), and that mock itself:
// MOCK_URL (ours) or AIMOCK_URL (@copilotkit/aimock).

import assert from 'node:assert/strict';
import { test } from 'node:test';

export const base = process.env.BASE_URL;

const ours = process.env.MOCK_URL;
const aimock = process.env.AIMOCK_URL;

// what aimock does not do, or not as the provider does

const lacks = new Set(aimock && [
    ...both('openai chat with a refusal'),
    ...both('openai responses with a refusal'),
    ...both('openai chat with choices'),
    ...both('openai completions'),              // it has no such path
    'mistral with text: stream first',          // which tells no usage
    'mistral with tools: stream first',         // calls in pieces
    'mistral embeddings',                       // without an id
    'google embeddings',                        // no batchEmbedContents
    'ollama chat with thinking: stream first',  // named otherwise there
]);

function both(name) {
    return [`${name}: json first`, `${name}: stream first`];
}

function tests(name, run) {
    if (!lacks.has(name)) {
        test(name, run);
    }
}

let statuses = [];
let mock;

const fetch = globalThis.fetch;

// every SDK goes through this; the mock is told how to behave by a header

globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);

    if (mock) {
        request.headers.set('x-mock', JSON.stringify(mock));
    }

    const response = await fetch(request);

    statuses.push(response.headers.get('x-llm-cache'));

    return response;
};

let serial = 0;

export function unique(what, { kind } = {}) {
    return `${what} ${process.pid}.${++serial}${kind ? ` with ${kind}` : ''}`;
}

// how many calls came to the mock, as it says itself

async function count() {
    if (ours) {
        const response = await fetch(`${ours}/__mock/count`,
            { method: 'POST' });

        return (await response.json()).total;
    }

    const response = await fetch(`${aimock}/__aimock/journal?limit=0`);

    return Number(response.headers.get('x-total-count'));
}

// aimock does not read our mock's header

async function prepare({ status }) {
    if (aimock && status) {
        const response = await fetch(`${aimock}/__aimock/error`,
            { method: 'POST', headers: { 'content-type': 'application/json' },
                body: JSON.stringify({ status, body: { message: 'wait',
                    type: 'rate_limit_error' } }) });

        assert.ok(response.ok, 'aimock takes an error');
    }
}

// runs a call that has to have this status

export async function call(status, behaviour, ask) {
    await prepare(behaviour);

    const before = await count();

    statuses = [];
    mock = behaviour;

    try {
        const answer = await ask();

        assert.deepEqual(statuses, [status]);
        assert.equal(await count() - before, status === 'MISS' ? 1 : 0,
            'calls');

        return answer;

    } finally {
        mock = undefined;
    }
}

// undefined members and classes are no part of what an answer says

export function plain(value) {
    return value === undefined ? value : JSON.parse(JSON.stringify(value));
}

// One question, asked in both forms; "json" and "stream" are calls with a
// prompt, and give what the SDK makes of the answer.

export function forms(name, json, stream, behaviour = {}) {
    const calls = { json, stream };

    for (const [first, other] of [['json', 'stream'], ['stream', 'json']]) {
        tests(`${name}: ${first} first`, async () => {
            const prompt = unique(name, behaviour);
            const ask = (form, status) => call(status, behaviour,
                () => calls[form](prompt));

            const miss = plain(await ask(first, 'MISS'));

            assert.ok(JSON.stringify(miss).length > 10, 'it says something');
            assert.deepEqual(plain(await ask(first, 'HIT')), miss,
                'the same form');
            assert.deepEqual(plain(await ask(other, 'HIT')), miss,
                'the other form');
            assert.deepEqual(plain(await ask(first, 'HIT')), miss,
                'the first form again');
        });
    }
}

// what has but one form

export function twice(name, ask, behaviour = {}) {
    tests(name, async () => {
        const prompt = unique(name, behaviour);
        const miss = plain(await call('MISS', behaviour, () => ask(prompt)));

        assert.deepEqual(plain(await call('HIT', behaviour,
            () => ask(prompt))), miss);
    });
}

// errors reach the client, and are asked for again

export function fails(name, ask, check) {
    test(name, async () => {
        const prompt = unique(name);

        for (let i = 0; i < 2; i++) {
            await call('MISS', { status: 429 }, () => assert.rejects(
                () => ask(prompt), check));
        }

        await call('MISS', {}, () => ask(prompt));
        await call('HIT', {}, () => ask(prompt));
    });
}

export const tools = { kind: 'tools' };
export const reasoning = { kind: 'reasoning' };

// the tool that the mock calls

export const weather = {
    type: 'object',
    properties: { city: { type: 'string' }, unit: { type: 'string' } },
};

export async function all(iterable) {
    const items = [];

    for await (const item of iterable) {
        items.push(item);
    }

    return items;
}
