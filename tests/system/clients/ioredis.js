// SPDX-License-Identifier: MIT
// stave-server through ioredis: node ioredis.js PORT SOCKET PASSWORD, as support/client_program.py starts it.
"use strict";
const assert = require("assert");
const { randomBytes } = require("crypto");
const readline = require("readline");
const Redis = require("ioredis");

const [port, path, password] = [Number(process.argv[2]), process.argv[3], process.argv[4]];
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const PIPELINE_COUNT = 10000;

async function restart() {
    console.log("restart");
    await answers.next();
}

function connect(options) {
    const redis = new Redis({ port, password, ...options });
    redis.on("error", () => {}); // a lost connection is seen by the commands
    return redis;
}

async function connectionsOfAllKindsReachTheirDatabase() {
    const clients = [connect({ db: 7 }), connect({ path, db: 7 }), connect({ db: 7, username: "default" }),
        new Redis(`redis://default:${encodeURIComponent(password)}@127.0.0.1:${port}/7`)];
    await clients[0].set("where", "seven");
    for (const client of clients) {
        assert.strictEqual(await client.get("where"), "seven");
        await client.quit();
    }
    const stranger = connect({ password: "wrong", retryStrategy: null });
    const reason = await new Promise((resolve) => stranger.on("error", resolve));
    assert.match(reason.message, /WRONGPASS/);
    stranger.disconnect();
}

async function stringsCountersAndExpiry(redis) {
    assert.strictEqual(await redis.set("k", "v", "EX", 100, "NX"), "OK");
    assert.strictEqual(await redis.set("k", "w", "NX"), null);
    assert.strictEqual(await redis.set("k", "w", "KEEPTTL", "GET"), "v");
    assert.ok(await redis.ttl("k") > 50);
    assert.strictEqual(await redis.incrby("n", 41), 41);
    assert.strictEqual(await redis.incr("n"), 42);
    assert.strictEqual(await redis.incrbyfloat("n", 0.5), "42.5");
    await assert.rejects(redis.incr("k"), /ERR value is not an integer or out of range/);
    assert.deepStrictEqual(await redis.mget("k", "none"), ["w", null]);
    await redis.set("soon", "gone", "PX", 20);
    await new Promise((resolve) => setTimeout(resolve, 40));
    assert.strictEqual(await redis.exists("soon"), 0);

    const binary = Buffer.from([0, 13, 10, 255, 0]);
    assert.strictEqual(await redis.set(binary, binary), "OK");
    assert.ok(binary.equals(await redis.getBuffer(binary)));
    const large = randomBytes(32 << 20);
    assert.strictEqual(await redis.set("large", large), "OK");
    assert.ok(large.equals(await redis.getBuffer("large")));
}

async function pipelinesAndTransactionsAreAnsweredInOrder(redis) {
    await redis.flushall();
    for (const batch of [redis.pipeline(), redis.multi()]) {
        for (let i = 0; i < PIPELINE_COUNT; i++) batch.set(`key:${i}`, i);
        const replies = await batch.exec();
        assert.strictEqual(replies.length, PIPELINE_COUNT);
        for (const [error, reply] of replies) assert.ok(error === null && reply === "OK");
    }
    const increments = [];
    for (let i = 0; i < PIPELINE_COUNT; i++) increments.push(redis.incr("counted"));
    assert.deepStrictEqual(await Promise.all(increments), increments.map((_, i) => i + 1));
    await redis.del("counted");
}

async function aScanMeetsEveryKey(redis) {
    const seen = new Set();
    for await (const keys of redis.scanStream({ count: 500 })) keys.forEach((key) => seen.add(key));
    assert.strictEqual(seen.size, PIPELINE_COUNT);
    for (let i = 0; i < PIPELINE_COUNT; i++) assert.ok(seen.has(`key:${i}`));
}

// Returns how many attempts the rounds took.
async function count(redis, rounds) {
    let attempts = 0;
    for (let done = 0; done < rounds; attempts++) {
        await redis.watch("counter");
        const value = Number(await redis.get("counter"));
        if (await redis.multi().set("counter", value + 1).exec() !== null) done++;
    }
    return attempts;
}

async function twoClientsThatRaceForACounterLoseNoTurn(redis, rival) {
    const attempts = await Promise.all([count(redis, 100), count(rival, 100)]);
    assert.strictEqual(await redis.get("counter"), "200");
    console.log(`say 200 transactions took ${attempts[0] + attempts[1]} attempts`);
    await redis.del("counter");
}

async function aClientTellsAboutItself() {
    const redis = connect({ connectionName: "teller" });
    assert.strictEqual(await redis.client("GETNAME"), "teller");
    const list = await redis.client("LIST");
    assert.match(list, /name=teller /);
    assert.match(await redis.info("server"), /redis_version:7\./);
    assert.strictEqual((await redis.command("INFO", "get"))[0][1], 2);
    await redis.quit();
}

async function aKilledServerComesBackWithEverything(redis) {
    const other = connect({ db: 3, retryStrategy: () => 20 });
    await other.set("kept", "yes");
    const replies = await redis.pipeline(Array.from({ length: 1000 }, (_, i) => ["set", `last:${i}`, i])).exec();
    assert.ok(replies.every(([error]) => error === null));
    await restart();
    assert.strictEqual(await other.get("kept"), "yes"); // the same object, connected anew, in its database
    assert.strictEqual(await redis.dbsize(), PIPELINE_COUNT + 1000);
    assert.strictEqual(await redis.get("key:77"), "77");
    assert.strictEqual(await redis.get("last:999"), "999");
    await other.quit();
}

async function main() {
    const redis = connect({ retryStrategy: () => 20 });
    const rival = connect();
    await connectionsOfAllKindsReachTheirDatabase();
    await stringsCountersAndExpiry(redis);
    await pipelinesAndTransactionsAreAnsweredInOrder(redis);
    await aScanMeetsEveryKey(redis);
    await twoClientsThatRaceForACounterLoseNoTurn(redis, rival);
    await rival.quit();
    await aClientTellsAboutItself();
    await aKilledServerComesBackWithEverything(redis);
    await redis.quit();
    process.exit(0);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
