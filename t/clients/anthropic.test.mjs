import { base, fails, forms, plain, reasoning, tools, weather }
    from './lib.mjs';

const { default: Anthropic } = await import('@anthropic-ai/sdk');

const client = new Anthropic({ baseURL: base, apiKey: 'sk-ant',
    maxRetries: 0 });

const ask = (prompt) => ({ model: 'claude-3-5-haiku-latest', max_tokens: 99,
    messages: [{ role: 'user', content: prompt }],
    tools: [{ name: 'get_weather', input_schema: weather }] });

// the accumulator adds what it has parsed

function told(message) {
    const value = plain(message);

    for (const part of [value, ...value.content]) {
        delete part.parsed_output;
    }

    return value;
}

for (const [kind, behaviour] of [['text', {}], ['tools', tools],
    ['thinking', reasoning]])
{
    forms(`anthropic with ${kind}`,
        async (prompt) => told(await client.messages.create(ask(prompt))),
        async (prompt) => told(await client.messages.stream(ask(prompt))
            .finalMessage()), behaviour);
}

fails('anthropic errors', (prompt) => client.messages.create(ask(prompt)),
    { status: 429 });
