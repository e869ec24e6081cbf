// SPDX-License-Identifier: MIT
// stave-server through node-redis, in both protocols: node node_redis.js PORT SOCKET PASSWORD, as
// support/client_program.py starts it.
"use strict";
const assert = require("assert");
const { randomBytes } = require("crypto");
const readline = require("readline");
const { createClient, RESP_TYPES, WatchError } = require("@redis/client");

const [port, path, password] = [Number(process.argv[2]), process.argv[3], process.argv[4]];
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const PIPELINE_COUNT = 10000;
const AS_BUFFER = { [RESP_TYPES.BLOB_STRING]: Buffer };

async function restart() {
    console.log("restart");
    await answers.next();
}

async function connect(RESP, options, socket) {
    const client = createClient({ RESP, password, socket: { reconnectStrategy: 20, ...(socket || { port }) }, ...options });
    client.on("error", () => {}); // a lost connection is seen by the commands
    return client.connect();
}

async function connectionsOfAllKindsReachTheirDatabase(version) {
    const url = `redis://default:${encodeURIComponent(password)}@127.0.0.1:${port}/7`;
    const clients = [await connect(version, { database: 7 }), await connect(version, { database: 7 }, { path }),
        await createClient({ RESP: version, url }).connect()];
    await clients[0].set("where", "seven");
    for (const client of clients) {
        assert.strictEqual(await client.get("where"), "seven");
        await client.close();
    }
    await assert.rejects(connect(version, { password: "wrong" }, { port, reconnectStrategy: false }), /WRONGPASS/);
}

async function stringsCountersAndExpiry(client) {
    assert.strictEqual(await client.set("k", "v", { expiration: { type: "EX", value: 100 }, condition: "NX" }), "OK");
    assert.strictEqual(await client.set("k", "w", { condition: "NX" }), null);
    assert.strictEqual(await client.set("k", "w", { expiration: "KEEPTTL", GET: true }), "v");
    assert.ok(await client.ttl("k") > 50);
    assert.strictEqual(await client.incrBy("n", 41), 41);
    assert.strictEqual(await client.incr("n"), 42);
    assert.strictEqual(await client.incrByFloat("n", 0.5), "42.5");
    await assert.rejects(client.incr("k"), /ERR value is not an integer or out of range/);
    assert.deepStrictEqual(await client.mGet(["k", "none"]), ["w", null]);
    await client.set("soon", "gone", { PX: 20 });
    await new Promise((resolve) => setTimeout(resolve, 40));
    assert.strictEqual(await client.exists("soon"), 0);

    const bytes = client.withTypeMapping(AS_BUFFER);
    const binary = Buffer.from([0, 13, 10, 255, 0]);
    assert.strictEqual(String(await client.set(binary, binary)), "OK");
    assert.ok(binary.equals(await bytes.get(binary)));
    const large = randomBytes(32 << 20);
    assert.strictEqual(await client.set("large", large), "OK");
    assert.ok(large.equals(await bytes.get("large")));
}

async function pipelinesAndTransactionsAreAnsweredInOrder(client) {
    await client.flushAll();
    const batch = client.multi();
    for (let i = 0; i < PIPELINE_COUNT; i++) batch.set(`key:${i}`, String(i));
    assert.deepStrictEqual(new Set(await batch.exec()), new Set(["OK"]));
    const increments = [];
    for (let i = 0; i < PIPELINE_COUNT; i++) increments.push(client.incr("counted"));
    assert.deepStrictEqual(await Promise.all(increments), increments.map((_, i) => i + 1));
    await client.del("counted");
}

async function aScanMeetsEveryKey(client) {
    const seen = new Set();
    for await (const keys of client.scanIterator({ COUNT: 500 })) keys.forEach((key) => seen.add(key));
    assert.strictEqual(seen.size, PIPELINE_COUNT);
    for (let i = 0; i < PIPELINE_COUNT; i++) assert.ok(seen.has(`key:${i}`));
}

// Returns how many attempts the rounds took.
async function count(client, rounds) {
    let attempts = 0;
    for (let done = 0; done < rounds; attempts++) {
        await client.watch("counter");
        const value = Number(await client.get("counter"));
        try {
            await client.multi().set("counter", String(value + 1)).exec();
            done++;
        } catch (error) {
            assert.ok(error instanceof WatchError, error);
        }
    }
    return attempts;
}

async function twoClientsThatRaceForACounterLoseNoTurn(client, rival) {
    const attempts = await Promise.all([count(client, 100), count(rival, 100)]);
    assert.strictEqual(await client.get("counter"), "200");
    console.log(`say 200 transactions took ${attempts[0] + attempts[1]} attempts`);
    await client.del("counter");
}

async function aClientTellsAboutItself(version) {
    const client = await connect(version, { name: "teller" });
    assert.strictEqual(await client.clientGetName(), "teller");
    const info = await client.sendCommand(["CLIENT", "INFO"]);
    assert.match(String(info), new RegExp(`resp=${version}`));
    assert.ok((await client.clientList()).some((each) => each.name === "teller"));
    assert.match(await client.info("server"), /redis_version:7\./);
    assert.deepStrictEqual({ ...await client.configGet("appendfsync") }, { appendfsync: "everysec" });
    assert.strictEqual((await client.commandInfo(["get"]))[0].arity, 2);
    await client.close();
}

async function aKilledServerComesBackWithEverything(version, client) {
    const other = await connect(version, { database: 3 });
    await other.set("kept", "yes");
    await Promise.all(Array.from({ length: 1000 }, (_, i) => client.set(`last:${i}`, String(i))));
    await restart();
    assert.strictEqual(await again(() => other.get("kept")), "yes"); // the same object, in its database
    assert.strictEqual(await again(() => client.dbSize()), PIPELINE_COUNT + 1000);
    assert.strictEqual(await client.get("key:77"), "77");
    assert.strictEqual(await client.get("last:999"), "999");
    await other.close();
}

// A command that the loss of the connection ends is asked again.
async function again(ask) {
    for (let attempt = 0; ; attempt++) {
        try {
            return await ask();
        } catch (error) {
            if (attempt === 100) throw error;
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
    }
}

async function main() {
    for (const version of [2, 3]) {
        console.log(`say protocol ${version}`);
        const client = await connect(version);
        const rival = await connect(version);
        await client.flushAll();
        await connectionsOfAllKindsReachTheirDatabase(version);
        await stringsCountersAndExpiry(client);
        await pipelinesAndTransactionsAreAnsweredInOrder(client);
        await aScanMeetsEveryKey(client);
        await twoClientsThatRaceForACounterLoseNoTurn(client, rival);
        await rival.close();
        await aClientTellsAboutItself(version);
        await aKilledServerComesBackWithEverything(version, client);
        await client.close();
    }
    process.exit(0);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
