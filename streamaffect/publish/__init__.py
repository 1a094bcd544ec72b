"""Messages out: the MQTT client with its outbox, the embedded broker, the AsyncAPI document.

``address`` says where a broker is, ``outbox`` is the bounded queue, ``mqtt`` the only module that knows aiomqtt,
``broker`` the embedded one. Imports clock, errors and messages; asyncio lives here, the engine only calls ``publish_*``.
"""
