import { all, base, fails, forms, reasoning, tools, twice }
    from './lib.mjs';

const { default: Groq } = await import('groq-sdk');

const client = new Groq({ baseURL: base, apiKey: 'gsk', maxRetries: 0 });

const ask = (prompt) => ({ model: 'llama-3.3-70b-versatile',
    messages: [{ role: 'user', content: prompt }] });

const told = (id, text, thought, calls, reason, usage) => ({ id, text,
    thought, calls, reason, usage });

function whole(chunks) {
    const calls = [];
    let text = '';
    let thought = '';
    let reason, usage;

    for (const { choices: [choice], usage: counts } of chunks) {
        usage = counts ?? usage;

        if (!choice) {
            continue;
        }

        text += choice.delta.content ?? '';
        thought += choice.delta.reasoning_content ?? '';
        reason = choice.finish_reason ?? reason;

        for (const { index, ...call } of choice.delta.tool_calls ?? []) {

            if (calls[index]) {
                calls[index].function.arguments += call.function.arguments;

            } else {
                calls[index] = structuredClone(call);
            }
        }
    }

    return told(chunks[0].id, text, thought, calls, reason, usage);
}

for (const [kind, behaviour] of [['text', {}], ['tools', tools],
    ['reasoning', reasoning]])
{
    forms(`groq with ${kind}`,
        async (prompt) => {
            const { id, choices: [{ message, finish_reason: reason }],
                usage } = await client.chat.completions.create(ask(prompt));

            return told(id, message.content ?? '',
                message.reasoning_content ?? '', message.tool_calls ?? [],
                reason, usage);
        },
        async (prompt) => whole(await all(await client.chat.completions
            .create({ ...ask(prompt), stream: true,
                stream_options: { include_usage: true } }))), behaviour);
}

twice('groq embeddings', (prompt) => client.embeddings.create({
    model: 'nomic-embed-text-v1_5', input: [prompt, 'second'] }));

fails('groq errors', (prompt) => client.chat.completions.create(
    ask(prompt)), { status: 429 });
