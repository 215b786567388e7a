import { all, base, fails, forms, reasoning, tools, twice } from './lib.mjs';

const { Ollama } = await import('ollama');

const client = new Ollama({ host: base, fetch: globalThis.fetch });

const ask = (prompt) => ({ model: 'llama3.2',
    messages: [{ role: 'user', content: prompt }] });

const numbers = ({ done_reason: reason, eval_count: out,
    prompt_eval_count: given, total_duration: took }) =>
    ({ reason, out, given, took });

function told(chunks) {
    const join = (name) => chunks.map((chunk) => chunk.message[name] ?? '')
        .join('');

    return { text: join('content'), thinking: join('thinking'),
        calls: chunks.flatMap((chunk) => chunk.message.tool_calls ?? []),
        ...numbers(chunks.at(-1)) };
}

for (const [kind, behaviour] of [['text', {}], ['tools', tools],
    ['thinking', reasoning]])
{
    forms(`ollama chat with ${kind}`,
        async (prompt) => told([await client.chat(ask(prompt))]),
        async (prompt) => told(await all(await client.chat({
            ...ask(prompt), stream: true }))), behaviour);
}

const generate = (prompt) => ({ model: 'llama3.2', prompt });

forms('ollama generate',
    async (prompt) => {
        const answer = await client.generate(generate(prompt));

        return { text: answer.response, ...numbers(answer) };
    },
    async (prompt) => {
        const chunks = await all(await client.generate({
            ...generate(prompt), stream: true }));

        return { text: chunks.map((chunk) => chunk.response).join(''),
            ...numbers(chunks.at(-1)) };
    });

twice('ollama embeddings', async (prompt) => (await client.embed({
    model: 'all-minilm', input: [prompt, 'second'] })).embeddings);

fails('ollama errors', (prompt) => client.chat(ask(prompt)),
    { status_code: 429 });
