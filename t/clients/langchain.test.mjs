import { base, fails, forms, tools, twice, weather } from './lib.mjs';

const { ChatOpenAI, OpenAIEmbeddings } = await import('@langchain/openai');

const configuration = { baseURL: `${base}/v1`, apiKey: 'sk-lc' };

const chat = new ChatOpenAI({ model: 'gpt-4o-mini', apiKey: 'sk-lc',
    maxRetries: 0, configuration }).bindTools([{ type: 'function',
    function: { name: 'get_weather', parameters: weather } }]);
const embeddings = new OpenAIEmbeddings({ apiKey: 'sk-lc', maxRetries: 0,
    model: 'text-embedding-3-small', configuration });

const told = (message) => ({ id: message.id, text: message.content,
    calls: message.tool_calls.map(({ id, name, args }) =>
        ({ id, name, args })),
    reason: message.response_metadata.finish_reason,
    tokens: message.usage_metadata.total_tokens });

for (const [kind, behaviour] of [['text', {}], ['tools', tools]]) {
    forms(`langchain with ${kind}`,
        async (prompt) => told(await chat.invoke(prompt)),
        async (prompt) => {
            let whole;

            for await (const chunk of await chat.stream(prompt)) {
                whole = whole ? whole.concat(chunk) : chunk;
            }

            return told(whole);
        }, behaviour);
}

twice('langchain embeddings', (prompt) => embeddings.embedDocuments(
    [prompt, 'second']));

fails('langchain errors', (prompt) => chat.invoke(prompt), { status: 429 });
