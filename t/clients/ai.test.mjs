import { base, fails, forms, reasoning, tools, twice, weather }
    from './lib.mjs';

const { embedMany, generateText, jsonSchema, streamText, tool }
    = await import('ai');
const { createOpenAI } = await import('@ai-sdk/openai');
const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
const { createAnthropic } = await import('@ai-sdk/anthropic');

const openai = createOpenAI({ baseURL: `${base}/v1`, apiKey: 'sk-ai' });
const compatible = createOpenAICompatible({ name: 'mock',
    baseURL: `${base}/v1`, apiKey: 'sk-ai', includeUsage: true });
const anthropic = createAnthropic({ baseURL: `${base}/v1`,
    apiKey: 'sk-ai' });

const ask = (model, prompt) => ({ model, prompt, maxRetries: 0, tools: {
    get_weather: tool({ inputSchema: jsonSchema(weather) }),
    get_time: tool({ inputSchema: jsonSchema({ type: 'object' }) }) } });

async function told(result) {
    return { text: await result.text, reasoning: await result.reasoningText,
        reason: await result.finishReason,
        calls: (await result.toolCalls).map((call) => ({ id: call.toolCallId,
            name: call.toolName, input: call.input })),
        tokens: (({ inputTokens, outputTokens, totalTokens }) =>
            ({ inputTokens, outputTokens, totalTokens }))(
            await result.usage) };
}

const models = { 'openai chat': openai.chat('gpt-4o-mini'),
    'openai responses': openai.responses('gpt-4.1'),
    'openai-compatible': compatible.chatModel('mock-1'),
    anthropic: anthropic('claude-3-5-haiku-latest') };

for (const [name, model] of Object.entries(models)) {
    for (const [kind, behaviour] of [['text', {}], ['tools', tools],
        ['reasoning', reasoning]])
    {
        forms(`ai, ${name} with ${kind}`,
            async (prompt) => told(await generateText(ask(model, prompt))),
            async (prompt) => told(streamText(ask(model, prompt))),
            behaviour);
    }
}

twice('ai embeddings', async (prompt) => (await embedMany({ maxRetries: 0,
    model: openai.embedding('text-embedding-3-small'),
    values: [prompt, 'second'] })).embeddings);

fails('ai errors', (prompt) => generateText(ask(models['openai chat'],
    prompt)), { statusCode: 429 });
