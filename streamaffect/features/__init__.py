"""From samples on a grid to what a model reads: arrays in, arrays out. Knows no LSL, no MQTT and no asyncio."""
