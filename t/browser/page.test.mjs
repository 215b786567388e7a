// The status page in a browser, as somebody sees it.
//
//   PAGE     where it is, with two zones: "main", in use, and "idle"
//   EMPTY    another one, of a server that caches nowhere
//   POLICY   the page where the server adds a policy of its own
//   ASK      where a chat request is answered and counted in "main"
//   CHROME   the browser

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium } from 'playwright-core';

const { PAGE, EMPTY, POLICY, ASK, CHROME } = process.env;
const SERVED = ['HIT', 'STALE', 'UPDATING', 'SHARED', 'SEMANTIC'];
const EVIL = '<img src="x" onerror="window.evil=1"><script>evil=1</script>';

const sum = (list) => list.reduce((a, b) => a + b, 0);
const of = (list, name) => sum(list.map((one) => one[name]));
const status = async () => (await fetch(`${PAGE}/status`)).json();
const zoneOf = (json, name) => json.zones.find((one) => one.name === name);

let browser;

before(async () => {
    browser = await chromium.launch({ executablePath: CHROME,
        args: ['--no-sandbox'] });
});

after(() => browser.close());

// opens the page with its clock in our hands; what a browser complains of,
// and all that it asks for, is kept

async function open(url, options = {}) {
    const context = await browser.newContext({ viewport:
        { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    const seen = { page, complaints: [], requests: [] };

    page.on('console', (message) => seen.complaints.push(message.text()));
    page.on('pageerror', (error) => seen.complaints.push(error.message));
    page.on('request', (request) => seen.requests.push(request.url()));
    await page.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (event) =>
            console.log(`policy: ${event.violatedDirective}`));
    });
    await page.clock.install({ time: Date.now() });
    await options.prepare?.(page);
    await page.goto(url);

    if (options.javaScriptEnabled !== false && !options.blocked) {
        await page.waitForFunction(() => document.querySelector('#start')
            .hidden || !document.querySelector('#notice').hidden);
    }

    return seen;
}

async function close({ page }) {
    await page.context().close();
}

// the next numbers, which come every few seconds

async function polled(page) {
    let waiting = true;
    const response = page.waitForResponse('**/status').finally(() => {
        waiting = false;
    });

    while (waiting) {
        await page.clock.runFor(1000);
        await page.waitForTimeout(5);
    }

    await (await response).finished();
    await page.waitForFunction(() => document.querySelector('#live')
        .textContent.startsWith('Live'));
}

// lets time pass on the page until the notice says that; null: nothing

async function told(page, text) {
    const notice = page.locator('#notice');

    for (let i = 0; i < 200; i++) {
        if (text ? text.test(await notice.textContent())
            : await notice.isHidden())
        {
            return;
        }

        await page.clock.runFor(5000);
        await page.waitForTimeout(5);
    }

    assert.fail(`the notice is "${await notice.textContent()}"`);
}

// the JSON as another test would like it

function change(edit) {
    return (page) => page.route('**/status', async (route) => {
        const response = await route.fetch();
        const json = await response.json();

        edit(json);
        await route.fulfill({ json });
    });
}

// every number on the page by its name; those of a table with its row

const numbers = (page) => page.evaluate(() => {
    const found = {};

    for (const node of document.querySelectorAll('[data-value]')) {
        const table = node.closest('#models, #locations');
        const row = table ? `${table.id}.${node.parentNode.cells[0]
            .textContent}.` : '';

        if (!node.closest('#hours, [hidden]')) {
            found[row + (node.id || node.dataset.name)]
                = Number(node.dataset.value);
        }
    }

    return found;
});

const hitsOf = (zone) => sum(Object.values(zone.hits).map((tier) =>
    tier.same + tier.converted));

function expected(zone) {
    const { saved, requests } = zone;
    const found = {
        'rate-day': of(zone.history, 'hits') / of(zone.history, 'requests'),
        'rate-all': hitsOf(zone) / sum(Object.values(requests)),
        'tokens': saved.prompt_tokens + saved.completion_tokens,
        'tokens-prompt': saved.prompt_tokens,
        'tokens-completion': saved.completion_tokens,
        'cost': saved.cost,
        'seconds': saved.seconds,
        'seconds-day': sum(zone.history.map((one) => one.saved.seconds)),
        'memory-used': zone.memory_bytes.used,
        'memory-size': zone.memory_bytes.used + zone.memory_bytes.free,
        'entries': zone.entries,
        'stored': zone.stored,
        'evicted-room': zone.evictions.room,
        'evicted-inactive': zone.evictions.inactive,
        'purged': zone.purged,
        'flights-now': zone.flights.now,
        'flights-total': zone.flights.total,
        'followers': zone.flights.followers,
        'takeovers': zone.flights.takeovers,
        'requests-all': sum(Object.values(requests))
    };

    for (const name of Object.keys(requests)) {
        if (requests[name]) {
            found[`requests.${name}`] = requests[name];
        }
    }

    for (const tier of Object.keys(zone.hits)) {
        found[`hits.${tier}.same`] = zone.hits[tier].same;
        found[`hits.${tier}.converted`] = zone.hits[tier].converted;
    }

    for (const kind of ['bypass', 'refused']) {
        for (const word of Object.keys(zone[kind])) {
            found[`${kind}.${word}`] = zone[kind][word];
            found[`lately.${kind}.${word}`] = 0;
        }
    }

    for (const name of ['upstream', 'age', 'lifetime']) {
        found[`histograms.${name}_seconds`]
            = zone.histograms[`${name}_seconds`].count;
    }

    for (const [id, field] of [['models', 'model'],
        ['locations', 'location']])
    {
        const series = [...zone.series, ...zone.series.filter((one) =>
            one.observed).map((one) => ({ ...one.observed,
                [field]: `${one[field]}observed` }))];

        for (const name of new Set(series.map((one) => one[field]))) {
            const own = series.filter((one) => one[field] === name);
            const all = sum(own.map((one) => sum(Object.values(
                one.requests))));
            const hits = sum(own.map((one) => sum(SERVED.map((word) =>
                one.requests[word]))));

            if (!all) {
                continue;
            }

            found[`${id}.${name}.requests`] = all;
            found[`${id}.${name}.rate`] = hits / all;

            for (const key of Object.keys(saved)) {
                found[`${id}.${name}.${key}`]
                    = sum(own.map((one) => one.saved[key]));
            }
        }
    }

    for (const name of Object.keys(zone.semantic || {})) {
        if (name === 'refused') {
            for (const guard of Object.keys(zone.semantic.refused)) {
                found[`semantic.refused.${guard}`]
                    = zone.semantic.refused[guard];
            }

            found['semantic-refused']
                = sum(Object.values(zone.semantic.refused));
        } else if (name !== 'false_rate') {
            found[`semantic.${name}`] = zone.semantic[name];
        }

        if (['lookups', 'hits', 'verified', 'reported'].includes(name)) {
            found[`semantic-${name}`] = zone.semantic[name];
        }

        found['semantic-false-rate'] = zone.semantic.false_rate;
    }

    if (zone.observed) {
        found['observed-capacity'] = zone.observed.capacity_bytes;

        for (const kind of ['bypass', 'refused']) {
            for (const word of Object.keys(zone.observed[kind])) {
                found[`observed.${kind}.${word}`]
                    = zone.observed[kind][word];
                found[`lately.observed.${kind}.${word}`] = 0;
            }
        }

        for (const [scope, way] of [['location', zone.observed],
            ...Object.entries(zone.observed.scopes)])
        {
            const all = sum(Object.values(way.requests));
            const own = `observed.${scope}`;

            found[`${own}.requests`] = all;
            found[`${own}.rate`] = sum(SERVED.map((name) =>
                way.requests[name])) / all;
            found[`${own}.memory`] = way.memory_bytes.held;
            found[`${own}.lost`] = way.lost_hits;

            for (const key of Object.keys(way.saved)) {
                found[`${own}.${key}`] = way.saved[key];
            }
        }
    }

    if (zone.redis) {
        for (const name of Object.keys(zone.redis)) {
            if (name !== 'state') {
                found[`redis.${name}`] = zone.redis[name];
            }
        }

        for (const name of ['lookups', 'hits', 'errors', 'skipped',
            'stores'])
        {
            found[`redis-${name}`] = zone.redis[name];
        }

        found['redis-lost'] = zone.redis.store_errors + zone.redis.dropped;
    }

    return found;
}

function isSame(shown, zone) {
    const wanted = expected(zone);

    // of the last minutes, which may have passed
    delete shown['rate-now'];

    assert.deepEqual(Object.keys(shown).sort(), Object.keys(wanted).sort());

    for (const name of Object.keys(wanted)) {
        assert.ok(Math.abs(shown[name] - (wanted[name] || 0)) < 1e-6,
            `${name}: ${shown[name]}, not ${wanted[name]}`);
    }
}

test('the numbers are those of the JSON', async () => {
    let zone;

    const seen = await open(PAGE, { prepare: change((json) => {
        zone = zoneOf(json, 'main');
    }) });

    assert.ok(zone.requests.HIT > 0 && zone.refused.status > 0);
    assert.equal(hitsOf(zone), sum(SERVED.map((name) =>
        zone.requests[name])));
    isSame(await numbers(seen.page), zone);
    assert.equal(await seen.page.textContent('#host'), new URL(PAGE).host);

    // nothing is without its explanation

    assert.deepEqual(await seen.page.$$eval('main small', (all) =>
        all.filter((one) => !one.textContent).map((one) =>
            one.parentNode.textContent)), []);

    // as people read them

    const tokens = zone.saved.prompt_tokens + zone.saved.completion_tokens;
    const day = of(zone.history, 'hits') / of(zone.history, 'requests');

    assert.equal(await seen.page.textContent('#tokens'),
        tokens.toLocaleString('en'));
    assert.equal(await seen.page.textContent('#rate-day'),
        `${(Math.floor(day * 1000) / 10).toFixed(1)}%`);
    assert.match(await seen.page.textContent('#live'), /^Live, updated /);

    // times are told by the bounds of buckets

    const ages = zone.histograms.age_seconds;
    const bound = ages.buckets.find(([, n]) => n >= ages.count / 2)[0];

    assert.equal(await seen.page.locator('#times tr').nth(1).locator('td')
        .nth(1).textContent(), `\u2264 ${bound} s`);
    await close(seen);
});

test('each number is in its place', async () => {
    let n = 0;
    let zone;

    // all are different
    const number = (node) => {
        for (const key of Object.keys(node)) {
            if (typeof node[key] === 'number') {
                n += 17;
                node[key] = n;
            } else if (node[key] && typeof node[key] === 'object'
                && key !== 'histograms' && key !== 'history')
            {
                number(node[key]);
            }
        }
    };

    const copy = (node) => JSON.parse(JSON.stringify(node));

    const seen = await open(PAGE, { prepare: change((json) => {
        zone = zoneOf(json, 'main');

        const way = copy({ requests: zone.requests, saved: zone.saved,
            fetched: zone.fetched, evictions: 0, lost_hits: 0,
            memory_bytes: { held: 0, evicted: 0 } });

        zone.semantic = { lookups: 0, hits: 0, verified: 0, wrong: 0,
            unmeasured: 0, reported: 0, embeds: 0, embed_errors: 0,
            embed_seconds: 0, search_seconds: 0, false_rate: 0,
            refused: { number: 0, name: 0 } };
        zone.observed = { ...copy(way), bypass: { json: 0, client: 0 },
            refused: { status: 0 }, capacity_bytes: 0,
            scopes: { credentials: copy(way), shared: copy(way) } };
        zone.series[0].observed = copy(way);
        number(zone);
    }) });

    assert.ok(n > 1000);
    isSame(await numbers(seen.page), zone);
    await close(seen);
});

test('the history as a table, and as a chart', async () => {
    const seen = await open(PAGE);
    const { history } = zoneOf(await status(), 'main');

    await seen.page.click('#table summary');
    await seen.page.waitForSelector('#hours tr');

    for (const [name, wanted] of [
        ['requests', of(history, 'requests')], ['hits', of(history, 'hits')],
        ['tokens', sum(history.map((one) => one.saved.prompt_tokens
            + one.saved.completion_tokens))],
        ['cost', sum(history.map((one) => one.saved.cost))]])
    {
        const shown = await seen.page.$$eval(`[data-name="hour.${name}"]`,
            (all) => all.map((one) => Number(one.dataset.value)));

        assert.ok(shown.length >= 24);
        assert.ok(Math.abs(sum(shown) - wanted) < 1e-9, name);
    }

    assert.match(await seen.page.textContent('#hours th'),
        /^[A-Z][a-z]{2} \d\d:00$/);

    // bars of hits and others are as high as there were

    const parts = await seen.page.$$eval('#chart rect', (all) =>
        all.map((one) => [one.getAttribute('class'),
            Number(one.getAttribute('height'))]));
    const height = (kind) => sum(parts.filter((one) => one[0] === kind)
        .map((one) => one[1]));

    assert.ok(Math.abs(height('hit') / (height('hit') + height('rest'))
        - of(history, 'hits') / of(history, 'requests')) < 1e-6);
    await close(seen);
});

test('a bar under the pointer tells its numbers', async () => {
    const seen = await open(PAGE, { prepare: change((json) => {
        const time = Math.floor(json.time / 300) * 300 - 36000;

        zoneOf(json, 'main').history = [{ time, requests: 7, hits: 3,
            saved: { prompt_tokens: 1, completion_tokens: 1, cost: 0,
                seconds: 0 } }];
    }) });
    const bar = await seen.page.locator('#chart .hit').boundingBox();

    await seen.page.mouse.move(bar.x + bar.width / 2, bar.y);
    await seen.page.locator('#readout', { hasText:
        /^\d\d:\d\d to \d\d:\d\d: 7 requests, 42\.8%$/ }).waitFor();
    await seen.page.mouse.move(5, 5);
    await seen.page.locator('#readout', { hasText: 'in steps of' }).waitFor();
    await close(seen);
});

test('another zone can be chosen', async () => {
    const seen = await open(PAGE);

    await seen.page.getByLabel('Zone').selectOption('idle');

    const zone = zoneOf(await status(), 'idle');
    const shown = await numbers(seen.page);

    assert.equal(shown['requests-all'], 0);
    isSame(shown, zone);
    assert.match(seen.page.url(), /#zone=idle$/);
    await seen.page.reload();
    await seen.page.waitForFunction(() => document.querySelector('#zone')
        .value === 'idle');

    // where there is nothing, nothing is made up

    const text = await seen.page.innerText('body');

    assert.doesNotMatch(text, /NaN|undefined|Infinity|null|\[object/);
    assert.equal((text.match(/No requests yet\./g) || []).length, 3);
    assert.match(text, /Nothing was left alone or refused\./);
    assert.equal(await seen.page.textContent('#rate-day'), '\u2013');
    assert.match(await seen.page.textContent('#chart'), /No requests/);
    assert.deepEqual(seen.complaints, []);
    await close(seen);
});

test('it is told when nothing is counted', async () => {
    const seen = await open(EMPTY);

    assert.match(await seen.page.textContent('#notice'),
        /No location of this server has llm_cache on/);
    assert.equal(await seen.page.isVisible('#main'), false);
    assert.equal(await seen.page.isVisible('#notice'), true);
    assert.deepEqual(seen.complaints, []);
    await close(seen);
});

test('it lives, and tells what was lately not cached', async () => {
    const seen = await open(PAGE);
    const earlier = await numbers(seen.page);

    for (let i = 0; i < 3; i++) {
        await fetch(ASK, { method: 'POST', body: '{"a": 1, "a": 2}',
            headers: { 'Content-Type': 'application/json' } });
    }

    await polled(seen.page);

    const later = await numbers(seen.page);

    assert.equal(later['requests-all'], earlier['requests-all'] + 3);
    assert.equal(later['bypass.duplicate'],
        (earlier['bypass.duplicate'] || 0) + 3);
    assert.equal(later['lately.bypass.duplicate'], 3);
    assert.match(await seen.page.locator('#reasons tr').first().innerText(),
        /duplicate\s+an object in the body has two members/);
    await close(seen);
});

test('nothing comes from elsewhere', async () => {
    const seen = await open(`${PAGE}/`);

    await polled(seen.page);
    assert.deepEqual(await seen.page.$$eval('a', (all) =>
        all.map((one) => one.href)), [`${PAGE}/status`, `${PAGE}/metrics`]);

    const asked = seen.requests.filter((url) => !url.startsWith('data:'));

    assert.ok(asked.length >= 3);
    assert.deepEqual(asked.filter((url) => url !== `${PAGE}/`
        && url !== `${PAGE}/status`), []);
    assert.deepEqual(seen.complaints, []);
    await close(seen);
});

test('a server that fails is asked ever less often', async () => {
    const seen = await open(PAGE);
    const { page } = seen;
    let answer = null;
    let asked = 0;

    await page.route('**/status', (route) => {
        asked++;
        return answer ? route.fulfill(answer) : route.abort();
    });

    for (let second = 0; second < 300; second += 5) {
        await page.clock.runFor(5000);
        await page.waitForTimeout(5);
    }

    assert.ok(asked >= 3 && asked <= 12, `${asked} requests`);
    await told(page, /does not answer\. These are old numbers\./);
    assert.match(await page.textContent('#live'), /^Updated \d+ min/);
    assert.equal(await page.getAttribute('#main', 'class'), 'old');
    assert.equal(await page.getAttribute('#notice', 'role'), 'status');

    for (const [what, said] of [
        [{ status: 403, body: 'no' }, /The server answers 403\./],
        [{ status: 200, body: '<p>Log in' }, /not the cache's\./]])
    {
        answer = what;
        await told(page, said);
    }

    await page.unroute('**/status');
    await told(page, null);
    assert.equal(await page.getAttribute('#main', 'class'), '');
    await close(seen);
});

test('a page that nobody sees asks for nothing', async () => {
    const seen = await open(PAGE);
    const { page } = seen;
    const hide = (hidden) => page.evaluate((value) => {
        Object.defineProperty(document, 'hidden',
            { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);

    await hide(true);
    await page.clock.runFor(6000);

    const asked = seen.requests.length;

    for (let minute = 0; minute < 5; minute++) {
        await page.clock.runFor(60000);
    }

    assert.equal(seen.requests.length, asked);
    assert.equal(await page.getAttribute('#main', 'class'), 'old');

    await Promise.all([page.waitForResponse('**/status'), hide(false)]);
    await page.waitForFunction(() => document.querySelector('#live')
        .textContent.startsWith('Live'));
    await close(seen);
});

// WCAG 2's contrast of two colours as getComputedStyle() tells them

function contrast(one, other) {
    const light = (colour) => {
        const [r, g, b] = colour.match(/\d+/g).map((n) => n / 255)
            .map((c) => c <= 0.03928 ? c / 12.92
                : ((c + 0.055) / 1.055) ** 2.4);

        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    const [a, b] = [light(one), light(other)].sort((x, y) => y - x);

    return a / b;
}

for (const colorScheme of ['light', 'dark']) {
    test(`colours: ${colorScheme}`, async () => {
        const seen = await open(PAGE, { colorScheme });
        const style = (selector, name) => seen.page.$eval(selector,
            (node, what) => getComputedStyle(node)[what], name);
        const page = await style('body', 'backgroundColor');
        const card = await style('section', 'backgroundColor');

        assert.equal(contrast(page, 'rgb(0, 0, 0)') < 4,
            colorScheme === 'dark');

        for (const selector of ['h2', '.big', 'thead th', 'td', 'small',
            '.quiet', '.tile p:last-child', 'dt', 'dd', 'summary'])
        {
            assert.ok(contrast(await style(selector, 'color'), card) >= 4.5,
                selector);
        }

        assert.ok(contrast(await style('svg text', 'fill'), card) >= 4.5);
        assert.ok(contrast(await style('.bar.hit', 'backgroundColor'), card)
            >= 3);

        for (const selector of ['h1', '#live', 'footer', 'footer a']) {
            assert.ok(contrast(await style(selector, 'color'), page) >= 4.5,
                selector);
        }

        await close(seen);
    });
}

for (const width of [390, 320]) {
    test(`nothing is wider than a telephone: ${width}`, async () => {
        const seen = await open(PAGE, { viewport: { width, height: 844 },
            prepare: change((json) => {
                const zone = zoneOf(json, 'main');

                zone.series[0].model = 'm'.repeat(96);
                zone.series[0].location = `/${'long/'.repeat(19)}`;
                zone.saved.prompt_tokens = 123456789012;
                zone.saved.seconds = 123456789;
                zone.saved.cost = 123456.78;
            }) });

        assert.ok(await seen.page.evaluate(() =>
            document.documentElement.scrollWidth) <= width);

        // nor hidden: what is wider can be scrolled

        assert.deepEqual(await seen.page.evaluate(() =>
            [...document.querySelectorAll('main *')].filter((node) =>
                node.scrollWidth > node.clientWidth + 1
                && getComputedStyle(node).display !== 'inline'
                && !node.closest('svg, .scroll')).map((node) =>
                node.outerHTML)), []);
        await close(seen);
    });
}

test('names are text, whatever they are', async () => {
    const seen = await open(PAGE);
    const name = '/"quotes" <img src=x onerror=evil=1>/';

    assert.ok((await seen.page.$$eval('#locations th', (all) =>
        all.map((one) => one.textContent))).includes(name));
    assert.equal(await seen.page.$('img'), null);
    assert.deepEqual(seen.complaints, []);
    await close(seen);

    const evil = await open(PAGE, { prepare: change((json) => {
        const zone = zoneOf(json, 'main');

        json.zones = [zone];
        json.version = EVIL;
        json.nginx = EVIL;
        zone.name = EVIL;
        zone.series[0].model = EVIL;
        zone.series[0].location = EVIL;
        zone.bypass = { [EVIL]: 1 };
        zone.hits[EVIL] = { same: 1, converted: 0 };
        zone.requests[EVIL] = 1;
        zone.redis = { ...zone.redis, state: EVIL, [EVIL]: 3 };
    }) });

    assert.equal(await evil.page.textContent('#versions'),
        `Module ${EVIL}, nginx ${EVIL}`);

    for (const id of ['models', 'locations', 'reasons', 'requests', 'tiers',
        'redis'])
    {
        assert.ok((await evil.page.textContent(`#${id}`)).includes(EVIL), id);
    }

    assert.equal(await evil.page.$('img'), null);
    assert.equal(await evil.page.$$eval('script', (all) => all.length), 1);
    assert.equal(await evil.page.evaluate(() => window.evil), undefined);
    assert.deepEqual(evil.complaints, []);
    await close(evil);
});

test('tables are sorted by what is clicked', async () => {
    const seen = await open(PAGE);
    const column = (n) => seen.page.$$eval('#models tbody tr', (rows, i) =>
        rows.map((row) => i ? Number(row.cells[i].dataset.value)
            : row.cells[0].textContent), n);
    const sorted = (list, compare) => [...list].sort(compare);

    let shown = await column(1);

    assert.ok(shown.length >= 3);
    assert.deepEqual(shown, sorted(shown, (a, b) => b - a));

    await seen.page.getByRole('button', { name: 'Hit rate' }).first().click();
    shown = await column(2);
    assert.deepEqual(shown, sorted(shown, (a, b) => b - a));
    await seen.page.getByRole('button', { name: 'Hit rate' }).first().click();
    assert.deepEqual(await column(2), sorted(shown, (a, b) => a - b));
    await seen.page.getByRole('button', { name: 'Model' }).click();
    shown = await column(0);
    assert.deepEqual(shown, sorted(shown));
    assert.deepEqual(await seen.page.$$eval('#models th[aria-sort]', (all) =>
        all.map((one) => [one.textContent, one.ariaSort])),
        [['Model', 'ascending']]);

    // a choice lasts

    await polled(seen.page);
    assert.deepEqual(await column(0), shown);
    await close(seen);
});

test('what assistive technology goes by is there', async () => {
    const seen = await open(PAGE);
    const tree = await seen.page.locator('body').ariaSnapshot();

    for (const part of ['heading "LLM cache', 'combobox "Zone"', 'main',
        'region "Models"', 'meter "Memory"', 'columnheader "Requests"',
        'rowheader "gpt-4o-mini"', 'img "Hit rate and number',
        'group "Why something was not cached"'])
    {
        assert.ok(tree.includes(part), `${part} in:\n${tree}`);
    }

    assert.deepEqual(await seen.page.evaluate(() => [
        ...[...document.querySelectorAll('section')].filter((one) =>
            !document.getElementById(one.getAttribute('aria-labelledby'))),
        ...[...document.querySelectorAll('th:not([scope])')],
        ...[...document.querySelectorAll('button')].filter((one) =>
            !one.textContent.trim())
    ].map((one) => one.outerHTML)), []);
    assert.equal(await seen.page.getAttribute('html', 'lang'), 'en');
    assert.equal(await seen.page.title(), 'LLM cache');
    await close(seen);
});

test('without a script, it says so', async () => {
    const seen = await open(PAGE, { javaScriptEnabled: false });

    const hint = seen.page.locator('noscript p');

    assert.match(await hint.textContent(), /^This page needs its script/);
    assert.equal(await hint.isVisible(), true);
    assert.equal(await seen.page.isVisible('#main'), false);
    await close(seen);
});

test('a policy that the server adds counts too', async () => {
    const seen = await open(POLICY, { blocked: true });

    assert.equal(await seen.page.isVisible('text=Content-Security-Policy'),
        true);
    assert.equal(await seen.page.isVisible('#main'), false);
    assert.ok(seen.complaints.length > 0);
    await close(seen);
});
