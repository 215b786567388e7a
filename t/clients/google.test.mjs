import { all, base, fails, forms, reasoning, tools, twice } from './lib.mjs';

const { GoogleGenAI } = await import('@google/genai');

const client = new GoogleGenAI({ apiKey: 'AIza', vertexai: false,
    httpOptions: { baseUrl: base } });

const ask = (prompt) => ({ model: 'gemini-2.0-flash', contents: prompt });

function told(chunks) {
    const parts = chunks.flatMap((chunk) =>
        chunk.candidates[0].content?.parts ?? []);
    const text = (thought) => parts.filter((part) => part.text !== undefined
        && Boolean(part.thought) === thought).map((part) => part.text)
        .join('');

    return { text: text(false), thoughts: text(true),
        calls: parts.filter((part) => part.functionCall)
            .map((part) => part.functionCall),
        reason: chunks.at(-1).candidates[0].finishReason,
        id: chunks.at(-1).responseId, model: chunks.at(-1).modelVersion,
        usage: chunks.at(-1).usageMetadata };
}

for (const [kind, behaviour] of [['text', {}], ['tools', tools],
    ['thoughts', reasoning]])
{
    forms(`google with ${kind}`,
        async (prompt) => told([await client.models.generateContent(
            ask(prompt))]),
        async (prompt) => told(await all(
            await client.models.generateContentStream(ask(prompt)))),
        behaviour);
}

twice('google embeddings', async (prompt) => (await client.models
    .embedContent({ model: 'text-embedding-004', contents: prompt }))
    .embeddings);

fails('google errors', (prompt) => client.models.generateContent(
    ask(prompt)), { status: 429 });
