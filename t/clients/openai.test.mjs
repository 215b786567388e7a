import { all, base, fails, forms, plain, reasoning, tools, twice, weather }
    from './lib.mjs';

const { default: OpenAI } = await import('openai');

const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'sk-openai',
    maxRetries: 0 });

const ask = (prompt) => ({ model: 'gpt-4o-mini',
    messages: [{ role: 'user', content: prompt }],
    tools: [{ type: 'function', function: { name: 'get_weather',
        parameters: weather } }] });

// the SDK's accumulator adds what it has parsed

function told(completion) {
    const value = plain(completion);

    for (const { message } of value.choices) {
        delete message.parsed;
        message.refusal ??= null;

        // which is not OpenAI's: it keeps the last piece alone
        delete message.reasoning_content;

        for (const { function: called } of message.tool_calls ?? []) {
            delete called.parsed_arguments;
        }
    }

    return value;
}

const chat = async (prompt) => told(
    await client.chat.completions.create(ask(prompt)));

const streamed = async (prompt) => {
    const stream = client.chat.completions.stream({ ...ask(prompt),
        stream_options: { include_usage: true } });

    return told(await stream.finalChatCompletion());
};

forms('openai chat', chat, streamed);
forms('openai chat with tools', chat, streamed, tools);
forms('openai chat with reasoning', chat, streamed, reasoning);
forms('openai chat with a refusal', chat, streamed, { kind: 'refusal' });

const many = (prompt) => ({ ...ask(prompt), n: 3 });

forms('openai chat with choices',
    async (prompt) => told(await client.chat.completions.create(many(prompt))),
    async (prompt) => told(await client.chat.completions.stream({
        ...many(prompt), stream_options: { include_usage: true } })
        .finalChatCompletion()));

const respond = (prompt) => ({ model: 'gpt-4.1', input: prompt });
const parts = (response) => {
    const value = plain(response);

    delete value.output_parsed;

    for (const item of value.output) {
        delete item.parsed_arguments;

        for (const part of item.content ?? []) {
            delete part.parsed;
        }
    }

    return value;
};

for (const [kind, behaviour] of [['text', {}], ['tools', tools],
    ['reasoning', reasoning], ['a refusal', { kind: 'refusal' }]])
{
    forms(`openai responses with ${kind}`,
        async (prompt) => parts(await client.responses.create(
            respond(prompt))),
        async (prompt) => parts(await client.responses.stream(
            respond(prompt)).finalResponse()), behaviour);
}

const complete = (prompt) => ({ model: 'gpt-3.5-turbo-instruct', prompt });

forms('openai completions',
    async (prompt) => {
        const { choices, usage } = await client.completions.create(
            complete(prompt));

        return { text: choices[0].text, reason: choices[0].finish_reason,
            usage };
    },
    async (prompt) => {
        const chunks = await all(await client.completions.create({
            ...complete(prompt), stream: true,
            stream_options: { include_usage: true } }));
        const choices = chunks.flatMap((chunk) => chunk.choices);

        return { text: choices.map((choice) => choice.text).join(''),
            reason: choices.at(-1).finish_reason,
            usage: chunks.at(-1).usage };
    });

twice('openai embeddings', (prompt) => client.embeddings.create({
    model: 'text-embedding-3-small', input: [prompt, 'second'] }));

fails('openai errors', (prompt) => client.chat.completions.create(
    ask(prompt)), { status: 429 });
