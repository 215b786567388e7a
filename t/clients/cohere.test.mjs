import { all, base, fails, forms, tools, twice } from './lib.mjs';

const { CohereClientV2 } = await import('cohere-ai');

const client = new CohereClientV2({ token: 'co', environment: base,
    baseUrl: base });

const ask = (prompt) => ({ model: 'command-r-plus',
    messages: [{ role: 'user', content: prompt }] });
const options = { maxRetries: 0 };

const told = ({ id, finishReason, usage, content, calls }) => ({ id,
    finishReason, usage, text: content, calls });

function whole(events) {
    const calls = [];
    let text = '';
    let id, end;

    for (const event of events) {
        const message = event.delta?.message;

        switch (event.type) {
        case 'message-start':
            id = event.id;
            break;
        case 'content-delta':
            text += message.content.text;
            break;
        case 'tool-call-start':
            calls.push(structuredClone(message.toolCalls));
            break;
        case 'tool-call-delta':
            calls.at(-1).function.arguments
                += message.toolCalls.function.arguments;
            break;
        case 'message-end':
            end = event.delta;
        }
    }

    return told({ id, finishReason: end.finishReason, usage: end.usage,
        content: text, calls });
}

for (const [kind, behaviour] of [['text', {}], ['tools', tools]]) {
    forms(`cohere with ${kind}`,
        async (prompt) => {
            const answer = await client.chat(ask(prompt), options);

            return told({ ...answer, content: (answer.message.content ?? [])
                .map((part) => part.text).join(''),
                calls: answer.message.toolCalls ?? [] });
        },
        async (prompt) => whole(await all(await client.chatStream(
            ask(prompt), options))), behaviour);
}

twice('cohere embeddings', async (prompt) => (await client.embed({
    model: 'embed-v4.0', texts: [prompt, 'second'],
    inputType: 'search_query', embeddingTypes: ['float'] }, options))
    .embeddings);

fails('cohere errors', (prompt) => client.chat(ask(prompt), options),
    { statusCode: 429 });
