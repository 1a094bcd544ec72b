"""Print every wearer's state as it comes, from any broker: python subscribe.py [HOST] [PORT]."""

import asyncio
import json
import sys

import aiomqtt


async def main(host: str = "127.0.0.1", port: str = "1883") -> None:
    async with aiomqtt.Client(host, int(port)) as client:
        await client.subscribe("streamaffect/v1/+/+/emotion", qos=1)
        async for message in client.messages:
            emotion = json.loads(message.payload)
            print(emotion["subject"], emotion["seq"], emotion["label"] or f"({emotion['reason']})", emotion["probabilities"])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
