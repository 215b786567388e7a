import { all, base, fails, forms, tools, twice } from './lib.mjs';

const { Mistral } = await import('@mistralai/mistralai');

const client = new Mistral({ apiKey: 'mi', serverURL: base,
    retryConfig: { strategy: 'none' } });

const ask = (prompt) => ({ model: 'mistral-small-latest',
    messages: [{ role: 'user', content: prompt }] });

const told = (id, text, calls, reason, usage) => ({ id, text, reason, usage,
    calls: calls.map(({ id: call, function: { name, arguments: given } }) =>
        ({ call, name, given: typeof given === 'string' ? JSON.parse(given)
            : given })) });

function whole(events) {
    const calls = [];
    let text = '';
    let id, reason, usage;

    for (const { data } of events) {
        id = data.id;
        usage = data.usage ?? usage;

        for (const { delta, finishReason } of data.choices) {
            text += delta.content ?? '';
            reason = finishReason ?? reason;

            for (const call of delta.toolCalls ?? []) {
                const at = calls[call.index ?? 0];

                if (at) {
                    at.function.arguments += call.function.arguments;

                } else {
                    calls[call.index ?? 0] = structuredClone(call);
                }
            }
        }
    }

    return told(id, text, calls, reason, usage);
}

// its streams tell usage unasked, and tool calls whole

for (const [kind, behaviour] of [['text', {}], ['tools', tools]]) {
    forms(`mistral with ${kind}`,
        async (prompt) => {
            const { id, choices: [choice], usage }
                = await client.chat.complete(ask(prompt));

            return told(id, choice.message.content ?? '',
                choice.message.toolCalls ?? [], choice.finishReason, usage);
        },
        async (prompt) => whole(await all(await client.chat.stream(
            ask(prompt)))), { ...behaviour, whole: 1 });
}

twice('mistral embeddings', async (prompt) => (await client.embeddings
    .create({ model: 'mistral-embed', inputs: [prompt] })).data, {
    body: JSON.stringify({ id: 'e', object: 'list', model: 'mistral-embed',
        data: [{ object: 'embedding', index: 0, embedding: [0.25, -1] }],
        usage: { prompt_tokens: 1, completion_tokens: 0, total_tokens: 1 } }),
});

fails('mistral errors', (prompt) => client.chat.complete(ask(prompt)),
    { statusCode: 429 });
